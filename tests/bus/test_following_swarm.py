"""Followers of one real swarm see it as it is: late, in between, after losses, and when it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cicada.bus.follower import Follower
from cicada.bus.remote import WatchKeys, remote_endpoints
from cicada.bus.snapshot import Snapshot
from cicada.commands import (
    Add,
    BroadcastResult,
    Done,
    FaultList,
    Freeze,
    GetPeers,
    Kill,
    Lookup,
    LookupResult,
    PeerRow,
    Peers,
    Send,
    SendResult,
    SendToAll,
    Stop,
    Thaw,
)
from cicada.errors import DeliveryTimeout
from cicada.events import (
    AnyEvent,
    BroadcastReceived,
    CopiesTraced,
    Envelope,
    FaultEnded,
    FaultStarted,
    FingersChanged,
    HopTaken,
    LinkClosed,
    LinkOpened,
    LookupStarted,
    PeerMeasured,
    PeerStarted,
    PeerStopped,
    PhaseChanged,
    PredecessorChanged,
    RunStateChanged,
    SuccessorsChanged,
    TrafficCounted,
    WorkerExited,
    WorkerStarted,
)
from cicada.keys.keytext import swarm_key_text
from cicada.keys.store import create_secret
from cicada.limits import BUS
from launcher.runfolder import RunInfo, read_info
from tests.launcher.swarms import PATIENCE, RunningSwarm, config, free_ports, running

PEERS = 5
SECRET = bytes(range(32))
SOON = 2.0  # seconds within which the state must be exact again


class Sight:
    """What a follower knows: the simplest fold that works."""

    def __init__(self) -> None:
        self.peers: dict[str, dict[str, object]] = {}
        self.ended: dict[str, str] = {}
        self.fingers: dict[str, set[str]] = {}
        self.links: dict[str, set[str]] = {}
        self.faults: set[int] = set()
        self.workers: dict[str, int] = {}
        self.run_state = ""

    def living(self) -> dict[str, tuple[object, set[str], set[str]]]:
        return {name: (peer, self.fingers[name], self.links[name]) for name, peer in self.peers.items()}

    def take(self, item: object) -> None:
        if isinstance(item, Snapshot):
            self.__init__()  # type: ignore[misc]
            for envelope in item.events:
                self.see(envelope.peer, envelope.event)
        elif isinstance(item, Envelope):
            self.see(item.peer, item.event)

    def see(self, name: str, event: AnyEvent) -> None:
        match event:
            case PeerStarted(address=address):
                self.peers[name] = {"address": address, "successors": (), "predecessor": ""}
                self.fingers[name], self.links[name] = set(), set()
                self.ended.pop(name, None)
            case PeerStopped(how=how):
                self.peers.pop(name, None)
                self.ended[name] = how
            case PhaseChanged(phase=phase):
                self.peers[name]["phase"] = phase
            case SuccessorsChanged(successors=successors):
                self.peers[name]["successors"] = successors
            case PredecessorChanged(predecessor=predecessor):
                self.peers[name]["predecessor"] = predecessor
            case FingersChanged(added=added, removed=removed):
                self.fingers[name] = (self.fingers[name] - set(removed)) | set(added)
            case LinkOpened(remote=remote):
                self.links[name].add(remote)
            case LinkClosed(remote=remote, left=0):
                self.links[name].discard(remote)
            case RunStateChanged(state=state):
                self.run_state = state
            case WorkerStarted(worker=worker, pid=pid):
                self.workers[worker] = pid
            case WorkerExited(worker=worker):
                self.workers.pop(worker, None)
            case FaultStarted(fault=fault):
                self.faults.add(fault)
            case FaultEnded(fault=fault):
                self.faults.discard(fault)
            case _:
                pass


@pytest.fixture(scope="module")
def swarm() -> Iterator[RunningSwarm]:
    with tempfile.TemporaryDirectory(prefix="follow-") as folder:
        key_file, port = Path(folder) / "watch.key", free_ports(PEERS + 5)
        create_secret(key_file, swarm_key_text(SECRET))
        watch = f'[watch]\nlisten = "127.0.0.1:{port}"\nkey_file = "{key_file}"'
        with running(config(PEERS, first_port=port + 2, extra=watch), Path(folder) / "run") as swarm:
            yield swarm


def is_connected(follower: Follower) -> bool:
    return follower.connected


def info_of(swarm: RunningSwarm) -> RunInfo:
    info = read_info(swarm.folder)
    assert info is not None
    assert info.snapshots
    return info


def follower_of(swarm: RunningSwarm, **limits: float) -> Follower:
    info = info_of(swarm)
    return Follower(info.events, info.snapshots, limits=msgspec.structs.replace(BUS, **limits))


async def until(
    follower: Follower, sight: Sight, condition: Callable[[], bool], seconds: float = SOON
) -> None:
    """Fold until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            sight.take(await follower.receive(seconds))


async def drain(follower: Follower, sight: Sight) -> None:
    """Fold what there is."""
    try:
        while True:
            sight.take(await follower.receive(0.1))
    except DeliveryTimeout:
        pass


async def rows(swarm: RunningSwarm) -> dict[str, PeerRow]:
    peers = await asyncio.to_thread(swarm.ask, GetPeers(), Peers)
    return {row.name: row for row in peers.rows}


def agree(sight: Sight, truth: dict[str, PeerRow]) -> bool:
    """Whether what is seen of live peers is what they say of themselves."""
    live = {name: row for name, row in truth.items() if row.phase in ("member", "alone", "frozen")}
    return sight.peers.keys() == live.keys() and all(
        (peer["address"], peer["successors"], peer["predecessor"])
        == (row.address, row.successors, row.predecessor)
        and len(sight.fingers[name]) == row.fingers
        for name, row in live.items()
        for peer in [sight.peers[name]]
        if row.phase != "frozen"
    )


async def same_as_the_truth(swarm: RunningSwarm, follower: Follower, sight: Sight) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            await drain(follower, sight)
            if agree(sight, await rows(swarm)):
                return


async def test_a_late_joiner_sees_exactly_what_the_peers_say_of_themselves(swarm: RunningSwarm) -> None:
    sight = Sight()
    async with follower_of(swarm) as follower:
        await until(follower, sight, lambda: bool(sight.peers))
        assert agree(sight, await rows(swarm))
        assert sight.run_state == "proven"
        status = await asyncio.to_thread(swarm.status)
        assert sight.workers == {worker.name: worker.pid for worker in status.workers}
        assert all(sight.links.values())
        assert (follower.healed, follower.lost) == (0, 0)


async def test_one_that_saw_everything_and_one_that_joins_late_agree_after_peers_came_and_went(
    swarm: RunningSwarm,
) -> None:
    early, late = Sight(), Sight()
    async with follower_of(swarm) as first:
        await until(first, early, lambda: bool(early.peers))
        await asyncio.to_thread(swarm.ask, Add(group="core", count=2), Done)
        await asyncio.to_thread(swarm.ask, Kill(select="core-1", hard=True), Done)
        await asyncio.to_thread(swarm.ask, Stop(select="core-2"), Done)
        await same_as_the_truth(swarm, first, early)
        async with follower_of(swarm) as second:
            await until(second, late, lambda: bool(late.peers))
            async with asyncio.timeout(PATIENCE):
                while early.living() != late.living():  # one of them may be some events behind
                    await asyncio.gather(drain(first, early), drain(second, late))
        assert (first.healed, first.lost) == (0, 0)


async def test_a_message_through_the_swarm_is_seen_on_its_way(swarm: RunningSwarm) -> None:
    async with follower_of(swarm) as follower:
        first = await follower.receive(PATIENCE)
        assert isinstance(first, Snapshot)
        wanted = {HopTaken, CopiesTraced, PeerMeasured, TrafficCounted, LookupStarted, BroadcastReceived}
        sent = await asyncio.to_thread(
            swarm.ask,
            Send(via="core-3", target="core-0", payload=b"hello", duplicates=1, timeout=5.0),
            SendResult,
        )
        assert sent.status == "delivered"
        assert len(sent.copies) >= 2
        found = await asyncio.to_thread(
            swarm.ask, Lookup(value="core-0", via="core-3", iterative=True), LookupResult
        )
        assert len(found.seconds_per_hop) == len(found.route) - 1
        await asyncio.to_thread(
            swarm.ask, SendToAll(payload=b"to all", via="core-3", timeout=5.0), BroadcastResult
        )
        seen: set[type] = set()
        async with asyncio.timeout(PATIENCE):
            while not seen >= wanted:
                item = await follower.receive(PATIENCE)
                seen |= {type(item.event)} if isinstance(item, Envelope) else set()
        assert follower.lag_ms < 1000


async def test_who_has_the_key_follows_from_elsewhere(swarm: RunningSwarm) -> None:
    assert swarm.config.watch.listen is not None
    endpoints, sight = remote_endpoints(swarm.config.watch.listen), Sight()
    async with Follower(*endpoints, keys=WatchKeys(SECRET)) as follower:
        await until(follower, sight, lambda: bool(sight.peers))
        await same_as_the_truth(swarm, follower, sight)
    assert SECRET.hex() not in (swarm.folder / "run.json").read_text()


async def test_one_that_was_paused_with_a_tiny_queue_is_exact_again_soon_after(swarm: RunningSwarm) -> None:
    sight = Sight()
    async with follower_of(swarm, queue=1) as follower:
        await until(follower, sight, lambda: bool(sight.peers))
        await asyncio.to_thread(swarm.ask, Add(group="core", count=1), Done)
        await same_as_the_truth(swarm, follower, sight)


async def test_a_worker_that_dies_and_comes_back_is_followed_into_its_next_life(swarm: RunningSwarm) -> None:
    early, late = Sight(), Sight()
    async with follower_of(swarm) as first:
        await until(first, early, lambda: bool(early.peers))
        before = early.workers["worker-1"]
        assert (await rows(swarm))["core-1"].worker == "worker-1"
        await asyncio.to_thread(swarm.ask, Kill(select="worker-1", hard=True), Done)
        await until(first, early, lambda: "worker-1" not in early.workers, PATIENCE)
        await until(first, early, lambda: early.workers.get("worker-1", before) != before, PATIENCE)
        await same_as_the_truth(swarm, first, early)
        async with follower_of(swarm) as second:
            await until(second, late, lambda: bool(late.peers))
            async with asyncio.timeout(PATIENCE):
                while early.living() != late.living():
                    await asyncio.gather(drain(first, early), drain(second, late))
        assert early.ended == late.ended
        assert late.ended["core-1"] == "killed", "which the worker's second life has never heard of"
        assert first.lost == 0


async def test_what_stands_still_is_still_known(swarm: RunningSwarm) -> None:
    worker = "worker-0"
    frozen = await asyncio.to_thread(swarm.ask, Freeze(select=worker), FaultList)
    try:
        sight = Sight()
        async with follower_of(swarm) as follower:
            await until(follower, sight, lambda: bool(sight.peers))
            assert frozen.rows[0].fault in sight.faults
            assert sight.peers.keys() >= set(frozen.rows[0].peers)
            await asyncio.to_thread(swarm.ask, Thaw(select=worker), Done)
            await until(follower, sight, lambda: not sight.faults)
            await same_as_the_truth(swarm, follower, sight)
    finally:
        await asyncio.to_thread(swarm.reply, Thaw(select=worker))


async def test_a_killed_launcher_is_noticed(swarm: RunningSwarm) -> None:
    """The last one of this swarm."""
    async with follower_of(swarm, silence=0.6, snapshot_wait=0.2) as follower:
        sight = Sight()
        await until(follower, sight, lambda: bool(sight.peers))
        assert is_connected(follower)
        os.kill(swarm.launcher.pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while is_connected(follower):
                with contextlib.suppress(DeliveryTimeout):
                    await follower.receive(0.2)
        with pytest.raises(DeliveryTimeout):
            await follower.receive(0.5)
        assert not follower.connected
