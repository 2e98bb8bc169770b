"""Each verb asks the launcher for the right thing, shows its answer, and ends with the exit code that fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from cicada.commands import (
    Add,
    AnyCommand,
    AnyReply,
    BroadcastResult,
    Crash,
    Done,
    Down,
    GetPeers,
    GetStatus,
    GroupStatus,
    Join,
    Kill,
    Lookup,
    LookupResult,
    MessageCounts,
    PeerRow,
    Peers,
    Refused,
    Restart,
    Scale,
    Send,
    SendResult,
    SendToAll,
    Status,
    Stop,
    TimelineStatus,
    WorkerStatus,
)
from launcher.cli import app

from .fake_launcher import FakeLauncher, ask, fake_launcher

STATUS = Status(
    run="run-1",
    name="fake",
    state="proven",
    launcher_pid=7,
    peers=20,
    joined=19,
    dead=1,
    ring_proven=True,
    wrong_successors=0,
    wrong_predecessors=0,
    workers=(WorkerStatus(name="worker-0", pid=8, peers=19, restarts=2, rss_bytes=3 << 20, state="running"),),
    restarts=2,
    messages=MessageCounts(sent=5, delivered=4, failed=1, dropped={"hop-limit": 3}),
    traffic={"frames.sent": 12, "bytes.sent": 3 << 20, "connections.dialled": 4, "dial-failed.refused": 1},
    rounds=31.5,
    estimated_size=18.6,
    churn_per_s=0.5,
    proven_after_s=1.25,
    uptime_s=3723.0,
    problems=("core-3 gave up",),
    timeline=TimelineStatus(
        state="running",
        elapsed_s=12.0,
        ends_s=60.0,
        planned=5,
        done=2,
        failed=1,
        expected=3,
        held=1,
        missed=("joined at least 20 at 5 s: 19 of 20 joined",),
        next_s=20.0,
        upcoming="kill core:10%",
    ),
)
ROW = PeerRow(
    name="core-1",
    address="127.0.0.1:20001",
    place="abcdef0123456789",
    worker="worker-0",
    phase="member",
    predecessor="127.0.0.1:20005",
    successors=("127.0.0.1:20002", "127.0.0.1:20009"),
    fingers=7,
    restarts=1,
)
LOOKUP = LookupResult(
    owner="127.0.0.1:20001",
    owner_name="core-1",
    place="ab",
    route=("127.0.0.1:20000", "127.0.0.1:20005"),
    hops=1,
    seconds=0.0015,
    right=True,
)
SENT = SendResult(status="delivered", reason="", attempts=1, hops=2, round_trip_s=0.0123)
REACHED = BroadcastResult(reached=19, expected=19, seconds=0.025)
DONE = Done(peers=("core-1", "core-2"))


def change(reply: Any, **fields: object) -> Any:
    return msgspec.structs.replace(reply, **fields)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("line", "reply", "command"),
    [
        ("status", STATUS, GetStatus()),
        ("peers", Peers(rows=(ROW,)), GetPeers(select="all")),
        ("peers core:10%", Peers(rows=(ROW,)), GetPeers(select="core:10%")),
        ("join core-3", DONE, Join(select="core-3")),
        ("lookup core-1", LOOKUP, Lookup(value="core-1")),
        ("lookup ab --via core-2 --iterative", LOOKUP, Lookup(value="ab", via="core-2", iterative=True)),
        ("send core-1 hi", SENT, Send(target="core-1", payload=b"hi")),
        (
            "send core-1 hi --via core-2 --duplicates 2 --timeout 3s",
            SENT,
            Send(target="core-1", payload=b"hi", via="core-2", duplicates=2, timeout=3.0),
        ),
        ("broadcast hi --via core-2", REACHED, SendToAll(payload=b"hi", via="core-2")),
        ("kill 10%", DONE, Kill(select="10%")),
        ("kill worker-1 --hard", DONE, Kill(select="worker-1", hard=True)),
        ("stop core", DONE, Stop(select="core")),
        ("restart all", DONE, Restart(select="all")),
        ("crash core-1 ring", DONE, Crash(select="core-1", actor="ring")),
        ("add core 5", DONE, Add(group="core", count=5)),
        ("scale core 3", DONE, Scale(group="core", count=3)),
    ],
)
def test_a_verb_asks_for_what_was_typed(run: Path, line: str, reply: AnyReply, command: AnyCommand) -> None:
    result, asked = ask(run, reply, *line.split())
    assert (asked, result.exit_code) == ([command], 0), result.stderr
    assert result.output


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("status", STATUS),
        ("lookup core-1", LOOKUP),
        ("send core-1 hi", SENT),
        ("broadcast hi", REACHED),
    ],
)
def test_json_has_every_field_of_the_answer(run: Path, line: str, reply: AnyReply) -> None:
    result, _ = ask(run, reply, *line.split(), "--json")
    assert json.loads(result.stdout) | {"type": type(reply).__name__} == json.loads(
        msgspec.json.encode(reply)
    )


def test_the_peers_as_json_are_a_list(run: Path) -> None:
    result, _ = ask(run, Peers(rows=(ROW, ROW)), "peers", "--json")
    assert json.loads(result.stdout) == [json.loads(msgspec.json.encode(ROW))] * 2


@pytest.mark.parametrize(
    ("line", "reply", "code"),
    [
        ("send core-1 hi", change(SENT, status="failed", reason="no such peer"), 1),
        ("lookup core-1", change(LOOKUP, failure="timed-out", right=False), 1),
        ("lookup core-1", change(LOOKUP, right=False), 1),
        ("broadcast hi", change(REACHED, reached=18), 1),
        ("kill core-9", Refused(reason="no peer is called 'core-9'"), 1),
    ],
)
def test_what_went_wrong_shows_in_the_exit_code(run: Path, line: str, reply: AnyReply, code: int) -> None:
    result, _ = ask(run, reply, *line.split())
    assert result.exit_code == code


def test_a_refusal_is_the_launchers_own_words_on_standard_error(run: Path) -> None:
    result, _ = ask(run, Refused(reason="no peer is called 'core-9'"), "kill", "core-9")
    assert (result.stdout, result.stderr) == ("", "no peer is called 'core-9'\n")


def test_status_counts_each_group_when_there_are_several_or_somebody_is_missing(run: Path) -> None:
    core = GroupStatus(name="core", peers=15, joined=13, joining=0, suspect=1, dead=1)
    edge = GroupStatus(name="edge", peers=5, joined=5, joining=0, suspect=0, dead=0)
    missing = change(STATUS, groups=(core,), worst=("core-3: does not answer",))
    whole = change(STATUS, joined=20, groups=(edge,))
    for status, shown in (
        (
            missing,
            ["  groups    core: 13 of 15 joined, 1 suspect, 1 dead", "  worst     core-3: does not answer"],
        ),
        (
            change(missing, groups=(core, edge), worst=()),
            [
                "  groups    core: 13 of 15 joined, 1 suspect, 1 dead",
                "            edge: 5 of 5 joined",
            ],
        ),
        (whole, []),
    ):
        lines = ask(run, status, "status")[0].stdout.splitlines()
        start = next(index for index, line in enumerate(lines) if line.startswith("  peers"))
        end = next(index for index, line in enumerate(lines) if line.startswith("  estimate"))
        assert lines[start + 1 : end] == shown


def test_status_shows_ring_peers_workers_messages_and_problems(run: Path) -> None:
    text = ask(run, STATUS, "status")[0].stdout
    for words in ("proven 1.2 s", "19 of 20 joined, 1 dead", "pid 8", "3 MiB", "2 restarts", "1 h 2 min 3 s"):
        assert words in text
    assert "5 sent, 4 delivered, 1 failed; dropped: 3 hop-limit" in text
    assert "19 members, 0.50 come or go a second" in text
    assert "12 frames sent, 3.0 MiB; 4 connections dialled, 1 dials failed" in text
    assert "core-3 gave up" in text
    assert "at 12 of 60 s; 2 of 5 done, 1 could not be done; 1 of 3 expectations held" in text
    assert "next: kill core:10% at 20 s" in text
    assert "missed: joined at least 20 at 5 s: 19 of 20 joined" in text


def test_status_of_a_ring_that_is_not_proven_says_what_is_wrong(run: Path) -> None:
    result, _ = ask(run, change(STATUS, ring_proven=False, unproven="of 19 peers: 1 not answering"), "status")
    assert "not proven: of 19 peers: 1 not answering" in result.stdout
    assert result.exit_code == 0


def test_waiting_for_the_proof_asks_until_it_is_there(run: Path) -> None:
    replies = iter([change(STATUS, ring_proven=False)] * 3 + [STATUS])
    result, asked = ask(run, lambda _: next(replies), "status", "--wait", "proven", "--json")
    assert len(asked) == 4
    assert json.loads(result.stdout)["ring_proven"] is True


def test_waiting_for_a_proof_that_does_not_come_fails_and_says_what_is_wrong(run: Path) -> None:
    unproven = change(STATUS, ring_proven=False, unproven="of 19 peers: 2 not joined")
    result, _ = ask(run, unproven, "status", "--wait", "proven", "--timeout", "50ms")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the ring is not proven after 0.05 s: of 19 peers: 2 not joined" in result.stderr


def test_peers_are_shown_in_columns(run: Path) -> None:
    lines = ask(run, Peers(rows=(ROW,)), "peers")[0].stdout.splitlines()
    assert lines[1].split() == [
        *("core-1", "127.0.0.1:20001", "abcdef01", "member", "worker-0"),
        *("127.0.0.1:20005", "127.0.0.1:20002", "7", "1"),
    ]


def test_a_payload_may_come_from_standard_input(run: Path) -> None:
    with fake_launcher(run, lambda _: SENT) as launcher:
        arguments = ["send", "core-1", "-", "--run", str(launcher.folder)]
        assert CliRunner().invoke(app, arguments, input=b"\x00\xff").exit_code == 0
        assert launcher.asked == [Send(target="core-1", payload=b"\x00\xff")]


def end_with(launchers: list[FakeLauncher]) -> Callable[[AnyCommand], AnyReply]:
    def answer(_: AnyCommand) -> AnyReply:
        launchers[0].end_run()
        return DONE

    return answer


def test_down_returns_when_the_launcher_is_gone(run: Path) -> None:
    launchers: list[FakeLauncher] = []
    with fake_launcher(run, end_with(launchers)) as launcher:
        launchers.append(launcher)
        result = CliRunner().invoke(app, ["down", "--run", str(launcher.folder)])
        assert launcher.asked == [Down()]
    assert result.exit_code == 0
    assert "has ended" in result.stderr


def test_down_says_so_when_the_launcher_does_not_end(run: Path) -> None:
    result, _ = ask(run, DONE, "down", "--timeout", "200ms")
    assert result.exit_code == 1
    assert "has not ended within 0.2 s" in result.stderr


def test_a_launcher_that_dies_while_it_is_asked_is_a_lost_swarm(run: Path) -> None:
    with fake_launcher(run, lambda _: STATUS) as launcher:
        launcher.stop()
        result = CliRunner().invoke(app, ["status", "--run", str(launcher.folder)])
    assert result.exit_code == 4
    assert "is lost" in result.stderr
