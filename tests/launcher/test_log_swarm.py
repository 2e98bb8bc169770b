"""The logs of a real swarm: what they tell, what they never tell, and that they are in nobody's way."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from cicada.commands import (
    BroadcastResult,
    Crash,
    Done,
    Kill,
    Lookup,
    LookupResult,
    Send,
    SendResult,
    SendToAll,
    SetLogLevel,
    Status,
)
from launcher.logs.reading import RunLogs
from launcher.logs.records import TRACE, Record
from launcher.runfolder import LOG_FILE
from tests.launcher.swarms import RunningSwarm, config, free_ports, running

PEERS = 6
SECRET = b"the eagle has landed at noon"


def lookup(swarm: RunningSwarm, via: str) -> None:
    assert swarm.ask(Lookup(value="core-5", via=via, iterative=True), LookupResult).right


def debug(swarm: RunningSwarm, select: str, actor: str = "") -> tuple[str, ...]:
    command = SetLogLevel(select=select, level="debug", actor=actor)  # type: ignore[arg-type]
    return swarm.ask(command, Done).peers


def crash(swarm: RunningSwarm, name: str, actor: str) -> None:
    restarts = swarm.status().restarts
    swarm.ask(Crash(select=name, actor=actor), Done)
    swarm.wait_for(lambda status: status.ring_proven and status.restarts > restarts)


def wait_until_logged(swarm: RunningSwarm, name: str, event: str) -> None:
    """A process that is killed takes along what its writer has not written yet."""
    swarm.wait_for(lambda _: any(record.event == event for record in records(swarm.folder, name)))


def whole(status: Status) -> bool:
    return status.ring_proven and status.joined == PEERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a swarm that has lived through all of this, and ended, so that its logs are complete."""
    made = config(PEERS, first_port=free_ports(PEERS))
    with running(made, tmp_path_factory.mktemp("runs") / "run") as swarm:
        for via in ("core-1", "core-2"):
            lookup(swarm, via)
        assert debug(swarm, "core-1", "ring") == ("core-1",)
        for via in ("core-1", "core-2"):
            lookup(swarm, via)
        crash(swarm, "core-2", "router")
        wait_until_logged(swarm, "core-1", "LookupFinished")
        worker = next(worker for worker in swarm.status().workers if worker.name == "worker-1")
        swarm.ask(Kill(select="worker-1"), Done)
        swarm.wait_for(
            lambda status: whole(status) and any(now.restarts > worker.restarts for now in status.workers)
        )
        lookup(swarm, "core-1")
        assert len(debug(swarm, "all")) == PEERS
        swarm.ask(Send(target="core-3", payload=SECRET, via="core-0"), SendResult)
        swarm.ask(Send(target="127.0.0.1:9", payload=SECRET, via="core-0", timeout=3.0), SendResult)
        swarm.ask(SendToAll(payload=SECRET), BroadcastResult)
        crash(swarm, "core-3", "ring")
        assert swarm.status().problems == ()
    return swarm.folder


def records(folder: Path, name: str) -> list[Record]:
    logs = RunLogs(folder)
    assert name in logs.names("all")
    return [line.record for line in logs.tail(name).read()]


def lookups(folder: Path, name: str) -> list[Record]:
    return [record for record in records(folder, name) if record.event == "LookupFinished"]


def test_every_peer_tells_its_life_from_its_start_to_its_end(folder: Path) -> None:
    for number in range(PEERS):
        told = records(folder, f"core-{number}")
        assert {record.name for record in told} == {f"core-{number}"}
        assert [record.time for record in told] == sorted(record.time for record in told)
        assert told[0].text.startswith("listens at 127.0.0.1:")
        assert any(record.text.startswith("phase member") for record in told)
        assert told[-1].text == "ended: killed"


def test_a_lookup_is_logged_with_its_id_by_the_one_peer_that_was_set_to_debug(folder: Path) -> None:
    told = lookups(folder, "core-1")
    assert len(told) == 2, "one after the level was set, and one after the worker came back"
    assert all(record.lookup and record.actor == "ring" and record.remote for record in told)
    assert lookups(folder, "core-2") == []


def test_a_level_for_one_actor_leaves_the_others_as_they_were(folder: Path) -> None:
    before_all = [record for record in records(folder, "core-1") if record.event.startswith("Link")]
    first = next(record for record in records(folder, "launcher") if "SetLogLevel" in record.text)
    everyone = [record for record in records(folder, "launcher") if "SetLogLevel" in record.text][-1]
    assert first.time < everyone.time
    assert all(record.time >= everyone.time for record in before_all)


def test_a_crash_is_told_with_its_actor_and_place_and_so_is_the_restart(folder: Path) -> None:
    told = records(folder, "core-2")
    failure = next(record for record in told if record.level == "error")
    assert (failure.actor, failure.event) == ("router", "cicada.actors")
    assert "crash injected by a test" in failure.text
    trace = failure.detail[TRACE]
    assert isinstance(trace, tuple)
    assert trace[-1].endswith("_on_crash")
    restarts = [record.text for record in told if record.event == "ChildRestarted"]
    assert restarts[0] == "router is started again, restart 1"


def test_a_message_that_failed_is_told_with_its_id(folder: Path) -> None:
    failed = [record for record in records(folder, "core-0") if record.event == "MessageSettled"]
    assert any(record.message is not None and "no such peer" in record.text for record in failed)
    assert not any("delivered" in record.text for record in failed)


def test_the_launcher_tells_of_workers_and_of_the_swarm(folder: Path) -> None:
    told = [record.text for record in records(folder, "launcher")]
    assert told[0] == "the swarm is starting"
    assert any("ended: SIGKILL" in text for text in told)
    assert told[-1] == "the swarm is stopped"


def test_nothing_in_a_run_folder_holds_a_payload_that_was_sent(folder: Path) -> None:
    shapes = [SECRET, SECRET.hex().encode(), base64.b64encode(SECRET), repr(list(SECRET)).encode()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > PEERS
    assert [(path, shape) for path in files for shape in shapes if shape in path.read_bytes()] == []


def test_a_configured_level_holds_for_every_peer_and_a_lost_log_folder_stops_nobody(tmp_path: Path) -> None:
    made = config(4, first_port=free_ports(4), extra='[peer]\nlog_level = "error"')
    with running(made, tmp_path / "run") as swarm:
        logs = swarm.folder / "logs"
        assert list(logs.iterdir()) == [], "a calm start has no errors"
        logs.rmdir()
        logs.write_text("in the way")
        for name in ("core-0", "core-1", "core-2"):
            crash(swarm, name, "router")
        assert swarm.ask(Send(target="core-3", payload=b"hi", via="core-0"), SendResult).status == "delivered"
        status = swarm.wait_for(lambda status: bool(status.problems))
        assert "records are missing from logs" in status.problems[0]
        warnings = [line for line in (swarm.folder / LOG_FILE).read_text().splitlines() if "WARNING" in line]
        assert 1 <= sum("cannot be written" in line for line in warnings) <= 2, "one for each worker"
        logs.unlink()
        logs.mkdir()
        crash(swarm, "core-3", "router")
    assert any("records were not logged: Not a directory" in path.read_text() for path in logs.iterdir())
