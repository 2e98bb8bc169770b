"""The generator begins on time whatever the swarm does, and counts from the time at which it meant to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import pytest

from benchmarks.generator import NullPeer, Offered, loopback, measure, offer, work_on
from cicada.commands import RunLoad
from cicada.errors import Unavailable
from cicada.limits import LOAD
from launcher.load.generator import MakeTimer
from launcher.load.histogram import percentile
from launcher.load.ledger import Tally
from launcher.load.plan import TOO_MANY
from launcher.load.spec import plan_load
from launcher.load.strain import ProcessorUse
from launcher.load.timer import LoopTimer, precise_timer
from tests.launcher.virtual import VirtualLoop

T = TypeVar("T")

SERVICE_S = 0.001
STALL = (4.5, 5.5)


def in_virtual_time(work: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(loop))


class Stalling(NullPeer):
    """Serves each operation in a millisecond, but for one second in which it stands still."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(self._serve)
        self._loop = loop

    def _serve(self, done: Callable[[], None]) -> None:
        now = self._loop.time()
        start = STALL[1] if STALL[0] <= now < STALL[1] else now
        self._loop.call_at(start + SERVICE_S, done)


def stalled(command: RunLoad) -> Offered:
    return in_virtual_time(lambda loop: offer(command, Stalling(loop), loop.time))


def test_a_stall_is_in_the_figures_of_an_open_load_and_a_closed_one_omits_it() -> None:
    """Coordinated omission: one second of ten stands still, at 100 a second. The one user of the closed load waits through the
    stall and so asks only once in it; the open load asks a hundred times, as users who do not know of each other would."""
    closed = stalled(RunLoad(model="closed", users=1, think=0.009, duration=10.0))
    open_ = stalled(RunLoad(rate=100.0, duration=10.0))
    assert closed.operations == pytest.approx(901, abs=2)
    assert open_.operations == 1000
    assert percentile(closed.response, 0.99) == pytest.approx(0.001, rel=0.01)
    assert percentile(closed.response, 1.0) == pytest.approx(1.0, abs=0.01)
    p99 = percentile(open_.response, 0.99)
    assert p99 is not None
    assert p99 > 0.9
    assert percentile(open_.response, 0.89) == pytest.approx(0.001, rel=0.01)


def test_a_stall_of_the_generator_itself_is_in_the_response_times_and_not_in_the_service_times() -> None:
    async def run(loop: VirtualLoop) -> Offered:
        hesitant = Hesitant(loop)
        return await offer(RunLoad(rate=100.0, duration=10.0), hesitant, hesitant.clock)

    found = in_virtual_time(run)
    assert found.operations == 1000
    assert 85 <= found.late <= 95
    response, service = percentile(found.response, 0.99), percentile(found.service, 0.99)
    assert response is not None
    assert response > 0.9
    assert service == pytest.approx(0.001, rel=0.01)


class Hesitant(NullPeer):
    """Its first operation after 4.5 s takes the whole loop a second, as a collection of garbage would."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(lambda done: loop.call_later(SERVICE_S, done))
        self._loop = loop
        self._lost = 0.0

    def clock(self) -> float:
        return self._loop.time() + self._lost

    def send(self, *arguments: Any, **options: Any) -> Any:
        if self.clock() > STALL[0]:
            self._lost = 1.0
        return super().send(*arguments, **options)


def test_what_would_be_one_too_many_in_flight_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_limit(monkeypatch, in_flight=10)

    async def run(loop: VirtualLoop) -> tuple[int, dict[str, int]]:
        plan = plan_load(RunLoad(rate=100.0, count=30, timeout=1.0), loopback(5), 1)
        never = NullPeer(lambda done: None)
        with work_on(plan, lambda _: never, loop.time) as (work, file):
            work.start(loop.time())
            await asyncio.sleep(1.0)
            report = await work.report()
            assert (report.finished, report.in_flight) == (False, 10)
            await work.end()
            op = file.ledger.main.ops["send"]
            return op[Tally.STARTED], dict(op.drops())

    assert in_virtual_time(run) == (10, {TOO_MANY: 20})


def replace_limit(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    monkeypatch.setattr("launcher.load.generator.LOAD", msgspec.structs.replace(LOAD, **limits))


def test_a_generator_that_is_stopped_begins_nothing_more_and_waits_for_what_flies() -> None:
    async def run(loop: VirtualLoop) -> tuple[int, int]:
        plan = plan_load(RunLoad(rate=100.0, count=500), loopback(5), 1)
        slow = NullPeer(lambda done: loop.call_later(0.5, done))
        with work_on(plan, lambda _: slow, loop.time) as (work, file):
            work.start(loop.time())
            await asyncio.sleep(1.005)
            work.stop()
            await asyncio.sleep(0.01)
            assert not (await work.report()).finished
            await asyncio.sleep(0.6)
            assert (await work.report()).finished
            await work.end()
            op = file.ledger.main.ops["send"]
            return op[Tally.STARTED], op[Tally.SUCCEEDED]

    assert in_virtual_time(run) == (101, 101)


def test_all_kinds_of_operations_are_begun_and_their_ends_written_down() -> None:
    async def run(loop: VirtualLoop) -> dict[str, int]:
        weights = {"send": 80.0, "lookup": 15.0, "broadcast": 5.0}
        plan = plan_load(RunLoad(rate=1000.0, count=1009, ops=weights), loopback(5), 1)
        peer = NullPeer(lambda done: loop.call_later(0.01, done))
        with work_on(plan, lambda _: peer, loop.time) as (work, file):
            work.start(loop.time())
            while not (await work.report()).finished:
                await asyncio.sleep(0.05)
            await work.end()
            assert len(list(file.ledger.lookups())) == plan.draws.of_kind("lookup")
            return {op: bank[Tally.SUCCEEDED] for op, bank in file.ledger.main.ops.items()}

    assert in_virtual_time(run) == {"send": 808, "lookup": 151, "broadcast": 50}


def test_a_peer_that_takes_nothing_or_is_not_there_costs_its_own_operations_only() -> None:
    class Unwilling(NullPeer):
        def send(self, *_: Any, **__: Any) -> Any:
            raise Unavailable("closed")

    async def run(loop: VirtualLoop) -> tuple[dict[str, int], dict[str, int]]:
        plan = plan_load(RunLoad(rate=1000.0, count=100), loopback(5), 1)
        peers = {peer.name: Unwilling() for peer in plan.peers[1:]}
        with work_on(plan, peers.get, loop.time) as (work, file):
            work.start(loop.time())
            while not (await work.report()).finished:
                await asyncio.sleep(0.05)
            await work.end()
            op = file.ledger.main.ops["send"]
            return dict(op.failures()), dict(op.drops())

    assert in_virtual_time(run) == ({"closed": 80}, {"its source does not run": 20})


def test_users_of_a_closed_load_whose_peer_is_gone_or_takes_nothing_pause_before_they_try_again() -> None:
    class Unwilling(NullPeer):
        def send(self, *_: Any, **__: Any) -> Any:
            raise Unavailable("closed")

    async def run(loop: VirtualLoop) -> tuple[int, int, int]:
        plan = plan_load(RunLoad(model="closed", users=5, duration=10.0), loopback(5), 1)
        well = NullPeer(lambda done: loop.call_later(0.01, done))
        peers = {peer.name: well for peer in plan.peers[2:]} | {plan.peers[1].name: Unwilling()}
        with work_on(plan, peers.get, loop.time) as (work, file):
            work.start(loop.time())
            while not (await work.report()).finished:
                await asyncio.sleep(0.05)
            await work.end()
            op = file.ledger.main.ops["send"]
            return op[Tally.SUCCEEDED], op[Tally.FAILED], op[Tally.DROPPED]

    succeeded, failed, dropped = in_virtual_time(run)
    assert succeeded == pytest.approx(3 * 1000, rel=0.01)
    assert failed == pytest.approx(100, abs=3)
    assert dropped == pytest.approx(100, abs=3)


def test_a_generator_that_has_a_defect_says_so_and_keeps_nobody_waiting() -> None:
    class Broken(NullPeer):
        def send(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError("a defect")

    async def run(loop: VirtualLoop) -> str:
        plan = plan_load(RunLoad(rate=1000.0, count=100), loopback(5), 1)
        with work_on(plan, lambda _: Broken(), loop.time) as (work, _):
            work.start(loop.time())
            await asyncio.sleep(0.1)
            report = await work.report()
            assert report.finished
            await work.end()
            return report.failure

    assert "ZeroDivisionError" in in_virtual_time(run)


@pytest.mark.parametrize("make", [LoopTimer, precise_timer])
async def test_a_timer_calls_back_once_when_it_was_set_last_and_not_after_it_was_closed(
    make: MakeTimer,
) -> None:
    loop = asyncio.get_running_loop()
    woken: list[float] = []
    rung = asyncio.Event()

    def ring() -> None:
        woken.append(loop.time())
        rung.set()

    timer = make(loop, ring)
    timer.set(30.0)
    begun = loop.time()
    timer.set(0.02)
    async with asyncio.timeout(10.0):
        await rung.wait()
    assert woken[0] >= begun + 0.019
    timer.set(0.0)
    timer.close()
    closing = make(loop, rung.clear)
    closing.set(0.001)
    async with asyncio.timeout(10.0):
        while rung.is_set():
            await asyncio.sleep(0)
    closing.close()
    closing.close()
    assert len(woken) == 1


def test_processor_use_is_the_share_of_all_cores_that_processes_took_since_the_last_look() -> None:
    use = ProcessorUse()
    gone = 2**22 + 1
    use.look([os.getpid(), gone])
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    share = use.look([os.getpid(), gone])
    assert 0 < share <= 1
    assert use.look([gone]) == 0


def test_the_benchmark_of_the_generator_says_what_it_costs() -> None:
    figures = measure(seconds=0.3, rate=200.0)
    assert figures["highest_rate_per_s"] > 1000
    assert 0 < figures["busy_us_per_operation"] < 1000
    assert figures["rate_per_s"] == pytest.approx(200, rel=0.1)
