"""A load begins only when every worker accounts for it: what one sends before another counts would look lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from cicada.aio import HostPort, Message, SwarmPeer
from cicada.commands import RunLoad
from cicada.errors import Unavailable
from cicada.ids import Address, split_address
from launcher.load import Accountant, LoadPeer, LoadShare, plan_load
from launcher.loading import LoadWork
from launcher.loadrun import run_load
from launcher.protocol import AnyWorkerReply, CollectLoad, EndLoad, LoadReport, PrepareLoad, Report, StartLoad
from launcher.swarm import Swarm

PEERS = tuple(LoadPeer(f"core-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(2))


class Member:
    def __init__(self, index: int) -> None:
        self.name, self.address = PEERS[index].name, PEERS[index].address
        self.worker = f"worker-{index}"


class FakeSwarm:
    """Two workers with a peer each. It is its own pool, and notes which commands were asked when."""

    def __init__(self, *, refuses: str = "") -> None:
        self.pool = self
        self.asked: list[tuple[type, tuple[str, ...]]] = []
        self._refuses = refuses
        self._accountants: dict[str, Accountant] = {}

    def joined(self) -> list[Member]:
        return [Member(0), Member(1)]

    async def ask_each(self, commands: Mapping[str, object], *_: object) -> dict[str, AnyWorkerReply]:
        self.asked.append((type(next(iter(commands.values()))), tuple(commands)))
        return {worker: self._reply(worker, command) for worker, command in commands.items()}

    def _reply(self, worker: str, command: object) -> AnyWorkerReply:
        if isinstance(command, PrepareLoad):
            self._accountants[worker] = Accountant(command.share.plan)
        if isinstance(command, CollectLoad):
            return LoadReport(finished=True, part=self._accountants[worker].part(1.0))
        refused = isinstance(command, PrepareLoad) and worker == self._refuses
        return Report(failed={"load": "busy"} if refused else {})

    def of(self, *kinds: type) -> list[tuple[type, tuple[str, ...]]]:
        return [entry for entry in self.asked if entry[0] in kinds]


def loaded(swarm: FakeSwarm) -> Any:
    return run_load(cast(Swarm, swarm), RunLoad(rate=1000.0, count=1))


async def test_no_worker_sends_before_all_are_prepared() -> None:
    swarm = FakeSwarm()
    await loaded(swarm)
    both = ("worker-0", "worker-1")
    assert swarm.of(PrepareLoad, StartLoad, EndLoad) == [
        (PrepareLoad, both),
        (StartLoad, both),
        (EndLoad, both),
    ]


async def test_a_worker_that_cannot_prepare_stops_the_load_before_it_starts() -> None:
    swarm = FakeSwarm(refuses="worker-1")
    with pytest.raises(Unavailable, match="worker-1 cannot take its share of the load: busy"):
        await loaded(swarm)
    assert not swarm.of(StartLoad)
    assert swarm.of(EndLoad)


class Unwilling:
    """A peer that takes no message."""

    def send(self, *_: object, **__: object) -> None:
        raise Unavailable("closed")


async def test_a_load_that_is_started_twice_is_sent_once() -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=5), PEERS, 1)
    unwilling = {peer.name: cast(SwarmPeer, Unwilling()) for peer in PEERS}
    work = LoadWork(LoadShare(plan=plan, sources=tuple(unwilling)), unwilling)
    work.start()
    work.start()
    async with asyncio.timeout(10.0):
        while not work.finished:
            await asyncio.sleep(0.001)
    part = work.report(final=True).part
    assert part is not None
    assert (part.sent, part.failures) == (5, {"closed": 5})


async def test_a_prepared_worker_counts_what_arrives_and_sends_nothing() -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=1), PEERS, 1)
    shot = next(plan.shots())
    no_peers: dict[str, SwarmPeer] = {}
    work = LoadWork(LoadShare(plan=plan, sources=(shot.source.name,)), no_peers)
    source = HostPort(*split_address(shot.source.address))
    payload = Accountant(plan).payload_of(shot)
    work.received(
        shot.target.name, Message(source=source, data=payload, more=False, id=1, kind="message", hops=1)
    )
    for _ in range(10):
        await asyncio.sleep(0)
    part = work.report(final=True).part
    assert part is not None
    assert (part.sent, part.received, work.finished) == (0, b"\x01", False)
    await work.end()
