"""A load begins only when every worker accounts for it: what one sends before another counts would look lost."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec
import pytest

from cicada.aio import HostPort, Message, SwarmPeer
from cicada.commands import LoadResult, RunLoad, Threshold
from cicada.errors import CicadaError, Misuse, Unavailable
from cicada.events import AnyEvent, LoadEnded, LoadInterval, LoadStarted, ThresholdChecked
from cicada.ids import Address, split_address
from launcher.load.ledger import Layout, Mark, Tally
from launcher.load.ledgerfile import LedgerFile
from launcher.load.payloads import write
from launcher.load.plan import LoadPeer, LoadPlan, LoadShare
from launcher.load.run import LoadRun
from launcher.load.spec import plan_load
from launcher.load.work import LoadWork
from launcher.plan import PlannedPeer
from launcher.protocol import (
    AnyWorkerCommand,
    AnyWorkerReply,
    CollectLoad,
    EndLoad,
    HaltLoad,
    LoadReport,
    PrepareLoad,
    Report,
    StartLoad,
)
from launcher.roster import State
from launcher.swarm import Swarm

SEED = 1
PEERS = tuple(LoadPeer(f"core-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(2))


ONE = RunLoad(rate=1000.0, count=1, seed=SEED)
"""A load of one message, from core-1 to core-0."""


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
        self.names = tuple(self.pids)
        self.events: list[AnyEvent] = []
        self._refuses = refuses

    def joined(self) -> list[Member]:
        return [Member(0), Member(1)]

    def pid(self, worker: str) -> int:
        return self.pids[worker]

    def is_frozen(self, _: str) -> bool:
        return False

    def answers(self, _: str) -> bool:
        return False

    def greet(self, worker: str, about: str, command: AnyWorkerCommand | None) -> None:
        assert about == "load"
        self.greetings.pop(worker, None)
        if command is not None:
            self.greetings[worker] = command

    async def ask_each(
        self, commands: Mapping[str, object], *_: object
    ) -> dict[str, AnyWorkerReply | CicadaError]:
        if not commands:
            return {}
        self.asked.append((type(next(iter(commands.values()))), tuple(commands)))
        return {worker: self._reply(worker, command) for worker, command in commands.items()}

    def _reply(self, worker: str, command: object) -> AnyWorkerReply | CicadaError:
        if isinstance(command, CollectLoad):
            return self.finish(worker)
        refused = isinstance(command, PrepareLoad) and worker == self._refuses
        return Report(failed={"load": "busy"} if refused else {})

    def finish(self, worker: str) -> LoadReport | CicadaError:
        return LoadReport(finished=True)

    def of(self, *kinds: type) -> list[tuple[type, tuple[str, ...]]]:
        return [entry for entry in self.asked if entry[0] in kinds]


class DyingSwarm(FakeSwarm):
    """Its worker-0, to which the one message goes, dies when it was acknowledged, and is greeted in its new life."""

    def finish(self, worker: str) -> LoadReport | CicadaError:
        self.pids["worker-0"] = 3
        greeting = self.greetings["worker-0"]
        assert isinstance(greeting, PrepareLoad)
        with LedgerFile(Path(greeting.ledger), Layout.of(greeting.share.plan)) as file:
            file.ledger.mark(Mark.SENT, 0)
            file.ledger.mark(Mark.ACKNOWLEDGED, 0)
        return super().finish(worker)


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


async def loaded(swarm: FakeSwarm, folder: Path) -> LoadResult:
    result = await LoadRun(cast(Swarm, swarm), ONE, folder, swarm.events.append).carry_out()
    assert is_empty(folder), "accounts are left behind"
    return result


def work(plan: LoadPlan, sources: tuple[str, ...], peers: dict[str, SwarmPeer], path: Path) -> LoadWork:
    LedgerFile.create(path, Layout.of(plan)).close()
    return LoadWork(LoadShare(plan=plan, sources=sources), peers.get, path)


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


def kinds(events: list[AnyEvent]) -> list[type]:
    return [type(event) for event in events]


async def test_a_load_tells_its_beginning_what_it_did_second_by_second_and_its_end(tmp_path: Path) -> None:
    swarm = FakeSwarm()
    await loaded(swarm, tmp_path)
    assert set(kinds(swarm.events[1:-1])) == {LoadInterval}
    started, interval, ended = swarm.events[0], swarm.events[1], swarm.events[-1]
    assert isinstance(started, LoadStarted)
    assert isinstance(interval, LoadInterval)
    assert isinstance(ended, LoadEnded)
    assert (started.planned, started.stages, started.generators) == (1, ((0.001, 1000.0, 1000.0),), 2)
    assert [op.op for op in interval.ops] == ["send"]
    assert (ended.outcome, ended.messages["sent"]) == ("finished", 0)


async def test_thresholds_are_checked_at_the_end_and_one_without_a_figure_does_not_hold(
    tmp_path: Path,
) -> None:
    swarm = FakeSwarm()
    thresholds = (Threshold("lost == 0"), Threshold("send.p99 < 1s"))
    command = msgspec.structs.replace(ONE, thresholds=thresholds)
    result = await LoadRun(cast(Swarm, swarm), command, tmp_path, swarm.events.append).carry_out()
    assert [(found.value, found.held) for found in result.thresholds] == [(0.0, True), (None, False)]
    checked = [event for event in swarm.events if isinstance(event, ThresholdChecked)]
    assert [(event.threshold, event.held, event.final) for event in checked] == [
        ("lost == 0", True, True),
        ("send.p99 < 1s", False, True),
    ]


class EndlessSwarm(FakeSwarm):
    """Its workers go on until they are told to stop."""

    def finish(self, worker: str) -> LoadReport:
        return LoadReport(finished=bool(self.of(HaltLoad)), lag_s=0.25)


class FailingSwarm(EndlessSwarm):
    """Its operations fail."""

    def finish(self, worker: str) -> LoadReport:
        greeting = self.greetings["worker-0"]
        assert isinstance(greeting, PrepareLoad)
        with LedgerFile(Path(greeting.ledger), Layout.of(greeting.share.plan)) as file:
            file.ledger.main.ops["send"].failed("timed out")
        return super().finish(worker)


async def test_a_load_ends_early_when_it_is_stopped_or_a_threshold_aborts_it(tmp_path: Path) -> None:
    stopped = EndlessSwarm()
    command = RunLoad(rate=1.0, duration=600.0)
    run = LoadRun(cast(Swarm, stopped), command, tmp_path, stopped.events.append)
    going = asyncio.create_task(run.carry_out())
    while not kinds(stopped.events):
        await asyncio.sleep(0.01)
    run.stop()
    async with asyncio.timeout(10.0):
        assert (await going).outcome == "stopped"

    aborted = FailingSwarm()
    limit = Threshold("send.p99 < 1s", abort_on_fail=True)
    run = LoadRun(
        cast(Swarm, aborted),
        msgspec.structs.replace(command, thresholds=(limit,)),
        tmp_path,
        aborted.events.append,
    )
    async with asyncio.timeout(10.0):
        result = await run.carry_out()
    assert (result.outcome, [found.held for found in result.thresholds]) == ("aborted", [False])
    checked = [event.final for event in aborted.events if isinstance(event, ThresholdChecked)]
    assert checked == [False, True]
    lags = [event.lag_s for event in aborted.events if isinstance(event, LoadInterval)]
    assert max(lags) == 0.25


class FrozenSwarm(FakeSwarm):
    """Its worker-1 stands still when it is first asked how far it is."""

    looks = 0

    def is_frozen(self, worker: str) -> bool:
        return worker == "worker-1" and self.looks < 3

    def finish(self, worker: str) -> LoadReport | CicadaError:
        if worker == "worker-1":
            self.looks += 1
            if self.is_frozen(worker):
                return Unavailable("worker-1 is frozen")
        return super().finish(worker)


async def test_a_frozen_worker_is_waited_for(tmp_path: Path) -> None:
    swarm = FrozenSwarm()
    result = await loaded(swarm, tmp_path)
    assert (swarm.looks, result.died, result.outcome) == (3, (), "finished")


class ReturningSwarm(FakeSwarm):
    """Its worker-0 dies at once, and is back with its peer in the ring when it was looked for twice."""

    looks = 0
    resumed: StartLoad | None = None

    def __getitem__(self, name: str) -> ReturningSwarm:
        assert name == "core-0"
        return self

    @property
    def state(self) -> State:
        return State.JOINED if self.looks >= 2 else State.LOST

    def answers(self, worker: str) -> bool:
        assert worker == "worker-0"
        self.looks += 1
        return True

    def _reply(self, worker: str, command: object) -> AnyWorkerReply | CicadaError:
        if isinstance(command, StartLoad) and command.skip_s:
            assert worker == "worker-0"
            self.resumed = command
        return super()._reply(worker, command)

    def finish(self, worker: str) -> LoadReport | CicadaError:
        self.pids["worker-0"] = 3
        return LoadReport(finished=self.resumed is not None)


async def test_a_worker_that_comes_back_goes_on_with_what_has_not_begun(tmp_path: Path) -> None:
    swarm = ReturningSwarm()
    command = RunLoad(rate=1.0, duration=60.0)
    run = LoadRun(cast(Swarm, swarm), command, tmp_path, swarm.events.append)
    async with asyncio.timeout(20.0):
        result = await run.carry_out()
    started = [workers for _, workers in swarm.of(StartLoad)]
    assert started == [("worker-0", "worker-1"), ("worker-0",)]
    assert swarm.resumed is not None
    assert 0 < swarm.resumed.skip_s < 20
    assert (result.died, result.outcome) == (("worker-0",), "finished")
    assert swarm.looks >= 2


class Beyond(FakeSwarm):
    """One of its peers is at an address of a network."""

    def joined(self) -> list[Member]:
        here, there = Member(0), Member(1)
        there.address = Address("10.0.0.5:20001")
        return [here, there]


async def test_a_load_beyond_loopback_is_refused_unless_one_owns_the_network(tmp_path: Path) -> None:
    beyond = cast(Swarm, Beyond())
    with pytest.raises(Misuse, match=r"core-1 is at 10\.0\.0\.5:20001.*--i-own-this-network"):
        LoadRun(beyond, ONE, tmp_path, lambda _: None)
    assert is_empty(tmp_path)
    mine = LoadRun(beyond, msgspec.structs.replace(ONE, own_network=True), tmp_path, lambda _: None)
    assert (await mine.carry_out()).outcome == "finished"


async def test_a_load_without_the_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh", None)
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    with pytest.raises(Unavailable, match=re.escape("pip install 'cicada-swarm[load]'")):
        LoadRun(cast(Swarm, FakeSwarm()), ONE, tmp_path, lambda _: None)
    assert is_empty(tmp_path)


def test_a_load_whose_account_cannot_be_kept_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be kept"):
        LoadRun(cast(Swarm, FakeSwarm()), RunLoad(rate=1000.0, count=1), tmp_path / "none", lambda _: None)


class Unwilling:
    """A peer that takes no message."""

    def send(self, *_: object, **__: object) -> None:
        raise Unavailable("closed")


async def test_a_load_that_is_started_twice_is_sent_once(tmp_path: Path) -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=5), PEERS, 1)
    unwilling = {peer.name: cast(SwarmPeer, Unwilling()) for peer in PEERS}
    sending = work(plan, tuple(unwilling), unwilling, tmp_path / "ledger")
    sending.start(time.monotonic())
    sending.start(time.monotonic())
    async with asyncio.timeout(10.0):
        while not (await sending.report()).finished:
            await asyncio.sleep(0.001)
    await sending.end()
    with LedgerFile(tmp_path / "ledger", Layout.of(plan)) as file:
        sends = file.ledger.main.ops["send"]
        assert (sends[Tally.STARTED], sends.failures()) == (5, {"closed": 5})


async def test_a_prepared_worker_counts_what_arrives_and_sends_nothing(tmp_path: Path) -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=1), PEERS, 1)
    shot = plan.shot(0)
    prepared = work(plan, (PEERS[shot.source].name,), {}, tmp_path / "ledger")
    source = HostPort(*split_address(PEERS[shot.source].address))
    payload = write(plan, shot)
    prepared.received(
        PEERS[shot.target].name,
        Message(source=source, data=payload, more=False, id=1, kind="message", hops=1),
    )
    for _ in range(10):
        await asyncio.sleep(0)
    with LedgerFile(tmp_path / "ledger", Layout.of(plan)) as file:
        started = file.ledger.main.ops["send"][Tally.STARTED]
        assert (started, file.ledger.marks(Mark.RECEIVED)) == (0, 1)
    assert not (await prepared.report()).finished
    await prepared.end()


async def test_a_worker_that_only_accounts_keeps_nobody_waiting(tmp_path: Path) -> None:
    plan = plan_load(RunLoad(rate=1000.0, count=1), PEERS, 1)
    accounting = work(plan, (), {}, tmp_path / "ledger")
    assert (await accounting.report()).finished
    await accounting.end()
