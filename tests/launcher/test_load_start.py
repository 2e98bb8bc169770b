"""A load begins only when every worker accounts for it: what one sends before another counts would look lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from cicada.aio import HostPort, Message, SwarmPeer
from cicada.commands import LoadResult, RunLoad
from cicada.errors import Unavailable
from cicada.ids import Address, split_address
from launcher.load.account import Accountant, LoadPeer, LoadPlan, LoadShare, plan_load
from launcher.load.generator import LoadWork
from launcher.load.ledger import Count, Ledger, Mark, ledger_bytes
from launcher.load.ledgerfile import LedgerFile
from launcher.load.run import LoadRun
from launcher.plan import PlannedPeer
from launcher.protocol import (
    AnyWorkerCommand,
    AnyWorkerReply,
    CollectLoad,
    EndLoad,
    LoadReport,
    PrepareLoad,
    Report,
    StartLoad,
)
from launcher.swarm import Swarm

PEERS = tuple(LoadPeer(f"core-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(2))


class Member:
    def __init__(self, index: int) -> None:
        self.name, self.address = PEERS[index].name, PEERS[index].address
        self.worker = f"worker-{index}"
        self.planned = PlannedPeer(
            name=self.name, group="core", number=index, address=self.address, worker=self.worker
        )


class FakeSwarm:
    """Two workers with a peer each. It is its own roster and pool, and notes which commands were asked when."""

    def __init__(self, *, refuses: str = "") -> None:
        self.roster = self.pool = self
        self.asked: list[tuple[type, tuple[str, ...]]] = []
        self.greetings: dict[str, AnyWorkerCommand] = {}
        self.pids = {"worker-0": 1, "worker-1": 2}
        self._refuses = refuses

    def joined(self) -> list[Member]:
        return [Member(0), Member(1)]

    def pid(self, worker: str) -> int:
        return self.pids[worker]

    def greet(self, worker: str, about: str, command: AnyWorkerCommand | None) -> None:
        assert about == "load"
        self.greetings.pop(worker, None)
        if command is not None:
            self.greetings[worker] = command

    async def ask_each(self, commands: Mapping[str, object], *_: object) -> dict[str, AnyWorkerReply]:
        self.asked.append((type(next(iter(commands.values()))), tuple(commands)))
        return {worker: self._reply(worker, command) for worker, command in commands.items()}

    def _reply(self, worker: str, command: object) -> AnyWorkerReply:
        if isinstance(command, CollectLoad):
            return self.finish(worker)
        refused = isinstance(command, PrepareLoad) and worker == self._refuses
        return Report(failed={"load": "busy"} if refused else {})

    def finish(self, worker: str) -> LoadReport:
        return LoadReport(finished=True)

    def of(self, *kinds: type) -> list[tuple[type, tuple[str, ...]]]:
        return [entry for entry in self.asked if entry[0] in kinds]


class DyingSwarm(FakeSwarm):
    """Its worker-0, to which the one message goes, dies when it was acknowledged, and is greeted in its new life."""

    def finish(self, worker: str) -> LoadReport:
        self.pids["worker-0"] = 3
        greeting = self.greetings["worker-0"]
        assert isinstance(greeting, PrepareLoad)
        with LedgerFile(Path(greeting.ledger), greeting.share.plan.count) as file:
            file.ledger.mark(Mark.SENT, 0)
            file.ledger.mark(Mark.ACKNOWLEDGED, 0)
        return super().finish(worker)


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


async def loaded(swarm: FakeSwarm, folder: Path) -> LoadResult:
    result = await LoadRun(cast(Swarm, swarm), RunLoad(rate=1000.0, count=1), folder).carry_out()
    assert is_empty(folder), "accounts are left behind"
    return result


def work(plan: LoadPlan, sources: tuple[str, ...], peers: dict[str, SwarmPeer], path: Path) -> LoadWork:
    LedgerFile.create(path, plan.count).close()
    return LoadWork(LoadShare(plan=plan, sources=sources), peers, path)


async def test_no_worker_sends_before_all_are_prepared(tmp_path: Path) -> None:
    swarm = FakeSwarm()
    await loaded(swarm, tmp_path)
    both = ("worker-0", "worker-1")
    assert swarm.of(PrepareLoad, StartLoad, EndLoad) == [
        (PrepareLoad, both),
        (StartLoad, both),
        (EndLoad, both),
    ]


async def test_a_worker_that_cannot_prepare_stops_the_load_before_it_starts(tmp_path: Path) -> None:
    swarm = FakeSwarm(refuses="worker-1")
    with pytest.raises(Unavailable, match="worker-1 cannot take its share of the load: busy"):
        await loaded(swarm, tmp_path)
    assert not swarm.of(StartLoad)
    assert swarm.of(EndLoad)
    assert not swarm.greetings
    assert is_empty(tmp_path)


async def test_a_worker_that_died_is_named_and_what_it_acknowledged_is_not_lost(tmp_path: Path) -> None:
    swarm = DyingSwarm()
    result = await loaded(swarm, tmp_path)
    assert result.died == ("worker-0",)
    assert (result.acknowledged, result.died_with_worker) == (1, 1)
    assert (result.lost, result.acknowledged_lost) == (0, 0)
    assert not swarm.greetings, "a worker that starts after the load would account for it"


def test_a_load_whose_account_cannot_be_kept_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be kept"):
        LoadRun(cast(Swarm, FakeSwarm()), RunLoad(rate=1000.0, count=1), tmp_path / "none")


class Unwilling:
    """A peer that takes no message."""

    def send(self, *_: object, **__: object) -> None:
        raise Unavailable("closed")


async def test_a_load_that_is_started_twice_is_sent_once(tmp_path: Path) -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=5), PEERS, 1)
    unwilling = {peer.name: cast(SwarmPeer, Unwilling()) for peer in PEERS}
    sending = work(plan, tuple(unwilling), unwilling, tmp_path / "ledger")
    sending.start()
    sending.start()
    async with asyncio.timeout(10.0):
        while not sending.finished:
            await asyncio.sleep(0.001)
    await sending.end()
    with LedgerFile(tmp_path / "ledger", plan.count) as file:
        assert (file.ledger[Count.SENT], file.ledger.failures()) == (5, {"closed": 5})


async def test_a_prepared_worker_counts_what_arrives_and_sends_nothing(tmp_path: Path) -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=1), PEERS, 1)
    shot = next(plan.shots())
    prepared = work(plan, (shot.source.name,), {}, tmp_path / "ledger")
    source = HostPort(*split_address(shot.source.address))
    payload = Accountant(plan, Ledger(bytearray(ledger_bytes(1)), 1)).payload_of(shot)
    prepared.received(
        shot.target.name, Message(source=source, data=payload, more=False, id=1, kind="message", hops=1)
    )
    for _ in range(10):
        await asyncio.sleep(0)
    with LedgerFile(tmp_path / "ledger", plan.count) as file:
        assert (file.ledger[Count.SENT], file.ledger.marks(Mark.RECEIVED)) == (0, 1)
    assert not prepared.report().finished
    await prepared.end()


async def test_a_worker_that_only_accounts_keeps_nobody_waiting(tmp_path: Path) -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=1), PEERS, 1)
    accounting = work(plan, (), {}, tmp_path / "ledger")
    assert accounting.report().finished
    await accounting.end()
