"""Faults on a real swarm of 20 peers in two worker processes: set, seen, survived, ended, and recorded."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cicada.bus.recording import read_recording
from cicada.commands import (
    AnyCommand,
    AnyFault,
    Delay,
    Done,
    Drop,
    Duplicate,
    FaultList,
    Freeze,
    GetFaults,
    GetPeers,
    Heal,
    Kill,
    LoadResult,
    Lookup,
    LookupResult,
    Partition,
    Peers,
    Restart,
    RunLoad,
    Scale,
    Send,
    SendResult,
    Status,
    Thaw,
)
from cicada.events import FaultEnded, FaultStarted, WaveRestarted
from tests.launcher.swarms import RunningSwarm, config, free_ports, running, still_running

PEERS = 20
GONE_WITHIN = 5.0  # seconds after the launcher was killed
STATUS_WITHIN = 5.0  # seconds, although a worker does not answer: half of what one may take to


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    """A swarm that all tests of this module share. Each leaves it whole and without faults."""
    made = config(PEERS, first_port=free_ports(PEERS))
    with running(made, tmp_path_factory.mktemp("runs") / "run") as made_swarm:
        yield made_swarm


@pytest.fixture(autouse=True)
def swarm_is_whole_again(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "swarm" in request.fixturenames:
        shared: RunningSwarm = request.getfixturevalue("swarm")
        shared.ask(Heal(), FaultList)
        shared.wait_for(whole)
        assert shared.status().faults == ()


def whole(status: Status) -> bool:
    return status.ring_proven and status.joined == PEERS


def recorded(swarm: RunningSwarm) -> list[object]:
    return [envelope.event for envelope in read_recording(swarm.folder / "events.jsonl")]


def started(swarm: RunningSwarm, fault: int) -> FaultStarted:
    (event,) = (e for e in recorded(swarm) if isinstance(e, FaultStarted) and e.fault == fault)
    return event


def ends(swarm: RunningSwarm, fault: int) -> list[FaultEnded]:
    return [event for event in recorded(swarm) if isinstance(event, FaultEnded) and event.fault == fault]


def wait_for_ends(swarm: RunningSwarm, fault: int, *reasons: str) -> list[FaultEnded]:
    """What the recording says, once it says that much: it is written twice a second."""
    swarm.wait_for(lambda _: len(ends(swarm, fault)) >= len(reasons))
    found = ends(swarm, fault)
    assert [event.reason for event in found] == list(reasons)
    return found


def waves_of(swarm: RunningSwarm) -> list[WaveRestarted]:
    return [event for event in recorded(swarm) if isinstance(event, WaveRestarted)]


def set_fault(swarm: RunningSwarm, fault: AnyFault) -> int:
    (row,) = swarm.ask(fault, FaultList).rows
    return row.fault


def halves_are_apart(swarm: RunningSwarm) -> bool:
    """Nobody lists anybody of the other worker."""
    rows = swarm.ask(GetPeers(), Peers).rows
    worker_of = {row.address: row.worker for row in rows}
    return all(worker_of[peer] == row.worker for row in rows for peer in row.successors)


@pytest.mark.prove
def test_two_halves_that_were_cut_apart_become_two_rings_and_one_again_when_healed(
    swarm: RunningSwarm,
) -> None:
    number = set_fault(swarm, Partition(one="worker-0", other="worker-1"))
    across = Send(target="core-1", payload=b"anybody there?", via="core-0", timeout=2.0)
    assert swarm.ask(across, SendResult).status == "failed"
    swarm.wait_for(lambda _: halves_are_apart(swarm))
    status = swarm.status()
    assert (status.ring_proven, status.state) == (False, "degraded")
    assert [(row.fault, row.kind) for row in status.faults] == [(number, "partition")]
    within = Send(target="core-2", payload=b"among us", via="core-0")
    assert swarm.ask(within, SendResult).status == "delivered"
    assert [row.fault for row in swarm.ask(Heal(one="worker-1", other="worker-0"), FaultList).rows] == [
        number
    ]
    swarm.wait_for(whole)
    assert swarm.ask(across, SendResult).status == "delivered"
    event = started(swarm, number)
    assert (event.kind, event.one, event.other, len(event.peers), len(event.others)) == (
        *("partition", "worker-0", "worker-1"),
        *(10, 10),
    )
    wait_for_ends(swarm, number, "healed")


def test_a_fault_that_was_to_last_ends_by_itself_and_a_share_is_cut_off_from_the_rest(
    swarm: RunningSwarm,
) -> None:
    (row,) = swarm.ask(Partition(one="core:20%", lasts=1.0), FaultList).rows
    assert (len(row.peers), len(row.others), row.other) == (4, 16, "")
    assert not set(row.peers) & set(row.others)
    assert row.left_s == pytest.approx(1.0, abs=0.1)
    swarm.wait_for(lambda status: not status.faults)
    swarm.wait_for(whole)
    wait_for_ends(swarm, row.fault, "expired")


@pytest.mark.prove
def test_a_frozen_worker_is_neither_dead_nor_in_the_ring_and_comes_back_as_it_was(
    swarm: RunningSwarm,
) -> None:
    before = swarm.status()
    number = set_fault(swarm, Freeze(select="worker-1"))
    status = swarm.status()
    worker = status.workers[1]
    assert (worker.state, worker.pid, status.frozen) == ("frozen", before.workers[1].pid, 10)
    assert psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED
    status = swarm.wait_for(lambda status: status.ring_proven and status.joined == 10)
    assert status.messages.sent >= before.messages.sent
    assert swarm.ask(Lookup(value="core-4", via="core-0"), LookupResult).right
    assert "frozen" in swarm.refusal(Send(target="core-0", payload=b"x", via="core-1"))
    assert swarm.ask(RunLoad(rate=100.0, count=50), LoadResult).acknowledged == 50
    swarm.ask(Thaw(select="worker-1"), Done)
    status = swarm.wait_for(whole)
    assert [(w.pid, w.restarts) for w in status.workers] == [(w.pid, w.restarts) for w in before.workers]
    wait_for_ends(swarm, number, "thawed")


def test_a_worker_that_somebody_else_stopped_is_frozen_too(swarm: RunningSwarm) -> None:
    victim = swarm.status().workers[0]
    os.kill(victim.pid, signal.SIGSTOP)
    begun = time.monotonic()
    status = swarm.wait_for(lambda status: status.workers[0].state == "frozen")
    assert time.monotonic() - begun < STATUS_WITHIN
    assert (status.frozen, status.faults) == (10, ())
    swarm.ask(Thaw(select="all"), Done)
    assert swarm.wait_for(whole).workers[0].pid == victim.pid


def test_frozen_peers_stand_still_among_others_of_their_worker_until_they_are_thawed(
    swarm: RunningSwarm,
) -> None:
    number = set_fault(swarm, Freeze(select="core:10%"))
    (first, second) = swarm.ask(GetFaults(), FaultList).rows[0].peers
    assert swarm.ask(GetPeers(select=first), Peers).rows[0].phase == "frozen"
    status = swarm.wait_for(lambda status: status.ring_proven and status.joined == PEERS - 2)
    assert (status.frozen, status.dead) == (2, 0)
    assert {worker.state for worker in status.workers} == {"running"}
    assert swarm.ask(Thaw(select=first), Done).peers == (first,)
    swarm.wait_for(lambda status: status.ring_proven and status.joined == PEERS - 1)
    swarm.ask(Thaw(select="all"), Done)
    swarm.wait_for(whole)
    ended = wait_for_ends(swarm, number, "thawed", "thawed")
    assert [event.peers for event in ended] == [(first,), (second,)]


def test_a_frozen_worker_that_is_killed_comes_back_unfrozen(swarm: RunningSwarm) -> None:
    restarts = swarm.status().workers[1].restarts
    number = set_fault(swarm, Freeze(select="worker-1"))
    swarm.ask(Kill(select="worker-1"), Done)
    status = swarm.wait_for(lambda status: whole(status) and status.workers[1].restarts > restarts)
    assert (status.frozen, status.faults, status.workers[1].state) == (0, (), "running")
    wait_for_ends(swarm, number, "worker-ended")


@pytest.mark.prove
def test_a_delay_shows_in_the_latency_of_messages_and_survives_the_restart_of_a_worker(
    swarm: RunningSwarm,
) -> None:
    load = RunLoad(rate=100.0, count=100)
    assert swarm.ask(load, LoadResult).latency_p50_s < 0.1
    set_fault(swarm, Delay(one="all", other="all", seconds=0.06, jitter=0.01))
    slow = swarm.ask(load, LoadResult)
    assert (slow.delivered, slow.acknowledged) == (100, 100)
    assert slow.latency_p50_s >= 0.12  # there and back
    restarts = swarm.status().workers[0].restarts
    swarm.ask(Kill(select="worker-0"), Done)
    swarm.wait_for(lambda status: whole(status) and status.workers[0].restarts > restarts)
    again = Send(target="core-2", payload=b"x", via="core-0")
    swarm.ask(again, SendResult)  # the first may learn only that its receiver restarted
    assert swarm.ask(again, SendResult).round_trip_s >= 0.12
    swarm.ask(Heal(one="all"), FaultList)
    assert swarm.ask(again, SendResult).round_trip_s < 0.1


@pytest.mark.prove
@pytest.mark.parametrize(
    "fault",
    [Drop(one="all", other="all", percent=5.0), Duplicate(one="all", other="all", percent=50.0)],
    ids=["lost", "repeated"],
)
def test_messages_that_are_lost_or_repeated_between_peers_are_delivered_once(
    swarm: RunningSwarm, fault: AnyFault
) -> None:
    set_fault(swarm, fault)
    result = swarm.ask(RunLoad(rate=200.0, count=300, timeout=15.0), LoadResult)
    assert set(result.failures) <= {"unknown: peer restarted"}  # by the test before this one
    assert (result.acknowledged_lost, result.duplicated, result.altered, result.wrong_peer) == (0, 0, 0, 0)


@pytest.mark.prove
def test_a_rolling_restart_waits_for_the_proof_between_its_waves(swarm: RunningSwarm) -> None:
    before = {row.name: row.address for row in swarm.ask(GetPeers(), Peers).rows}
    done = swarm.ask(Restart(select="core:20%", rolling=True, at_once=2, timeout=20.0), Done)
    assert len(done.peers) == 4
    assert whole(swarm.status())
    assert {row.name: row.address for row in swarm.ask(GetPeers(), Peers).rows} == before
    swarm.wait_for(lambda _: len(waves_of(swarm)) == 2)
    waves = waves_of(swarm)
    assert [(event.wave, event.waves, len(event.peers)) for event in waves] == [(1, 2, 2), (2, 2, 2)]
    assert {name for event in waves for name in event.peers} == set(done.peers)


def test_a_rolling_restart_whose_ring_is_not_proven_in_time_names_the_wave_and_stops(
    swarm: RunningSwarm,
) -> None:
    reason = swarm.refusal(Restart(select="core", rolling=True, at_once=5, timeout=0.001))
    assert "not proven within 0.001 s after wave 1 of 4 (core-" in reason
    assert reason.endswith("15 peers were not restarted")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Freeze(select="nobody"), "no peer to act on is called 'nobody'"),
        (Freeze(select="core-1", lasts=-1.0), "cannot last"),
        (Partition(one="core-1", other="nobody"), "called 'nobody'"),
        (Partition(one="all"), "nobody on the other side"),
        (Drop(one="all", other="all", percent=101.0), "at most 100%"),
        (Delay(one="all", other="all", seconds=61.0), "at most 60 s"),
        (Thaw(select="core-1"), "nobody that 'core-1' names is frozen"),
        (Thaw(select="nobody"), "called 'nobody'"),
        (Heal(one="core-1"), "no fault between peers names 'core-1'"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_the_reason(
    swarm: RunningSwarm, command: AnyCommand, reason: str
) -> None:
    assert reason in swarm.refusal(command)
    assert swarm.status().faults == ()


def test_who_is_frozen_cannot_be_asked_to_do_anything(swarm: RunningSwarm) -> None:
    set_fault(swarm, Freeze(select="core-19"))
    assert "core-19 is frozen: have it go on" in swarm.refusal(Kill(select="core-19", hard=True))
    assert "core-19 is frozen" in swarm.refusal(Restart(select="core-19"))
    assert "core-19 is frozen" in swarm.refusal(Scale(group="core", count=PEERS - 1))
    assert "core-19 is frozen" in swarm.refusal(Send(target="core-1", payload=b"x", via="core-19"))
    swarm.ask(Thaw(select="core-19"), Done)
    set_fault(swarm, Freeze(select="worker-1"))
    assert "use `cicada fault thaw worker-1`" in swarm.refusal(Thaw(select="core-19"))
    assert "worker-1 does not run" in swarm.refusal(Freeze(select="worker-1"))
    swarm.ask(Thaw(select="worker-1"), Done)


def test_no_process_survives_a_launcher_that_is_killed_while_a_worker_is_frozen(tmp_path: Path) -> None:
    with running(config(4, first_port=free_ports(4)), tmp_path / "run") as swarm:
        processes = swarm.processes()
        assert len(processes) == 5  # launcher, fork server, resource tracker, two workers
        control = Path(swarm.progress.control).parent
        swarm.ask(Freeze(select="worker-1"), FaultList)
        swarm.launcher.kill()
        assert not still_running(processes, GONE_WITHIN)
        assert not control.exists()


def test_down_ends_frozen_workers_and_peers_gracefully(tmp_path: Path) -> None:
    with running(config(4, first_port=free_ports(4)), tmp_path / "run") as swarm:
        processes = swarm.processes()
        swarm.ask(Freeze(select="core-0"), FaultList)
        swarm.ask(Freeze(select="worker-1"), FaultList)
        swarm.end()
        assert not still_running(processes, GONE_WITHIN)
