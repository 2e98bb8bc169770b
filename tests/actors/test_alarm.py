"""Alarms fire once their deadline has come, on a clock that leaves stalls out; after a stall the sockets come first."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pykka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.actors.alarm import Alarms, LoopClock, Wake
from cicada.actors.loop import LoopDispatcher
from cicada.limits import ActorLimits
from tests.actors.fakeloop import FakeLoop, FakeTime
from tests.actors.probes import Probe, eventually, stop

LIMITS = ActorLimits(clock_tick=0.05, stall=0.05, drain_polls=3)


class Sleeper(pykka.ThreadingActor):
    """Never started: only its reference is used."""


class Bell(pykka.ActorRef[Any]):
    """Notes when it is woken."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__(Sleeper())
        self._time = time
        self.woken: list[tuple[float, float]] = []

    def tell(self, message: Any) -> None:
        assert isinstance(message, Wake)
        self.woken.append((message.deadline, self._time.seconds))

    @property
    def deadlines(self) -> list[float]:
        return [deadline for deadline, _ in self.woken]


class Bench:
    """Alarms on a fake loop."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.loop = FakeLoop(self.time)
        self.clock = LoopClock(self.loop, limits=LIMITS, monotonic=self.time)
        self.alarms = Alarms(self.clock, self.loop, LIMITS)

    def bell(self) -> Bell:
        return Bell(self.time)


def test_an_alarm_fires_once_when_its_deadline_has_come() -> None:
    bench = Bench()
    bell = bench.bell()
    bench.alarms.arm(bell, 1001.0)
    bench.loop.run_for(0.98)
    assert bell.woken == []
    bench.loop.run_for(3)
    assert bell.deadlines == [1001.0]
    assert bell.woken[0][1] == pytest.approx(1001.0, abs=0.02)


def test_an_alarm_whose_deadline_has_passed_fires_but_not_inside_the_call() -> None:
    bench = Bench()
    bell = bench.bell()
    bench.alarms.arm(bell, 999.0)
    assert bell.woken == []
    bench.loop.run_for(0.02)
    assert bell.deadlines == [999.0]


@pytest.mark.parametrize("second", [1000.5, 1002.0])
def test_arming_again_replaces_the_deadline(second: float) -> None:
    bench = Bench()
    bell = bench.bell()
    bench.alarms.arm(bell, 1001.0)
    bench.alarms.arm(bell, second)
    bench.loop.run_for(4)
    assert bell.deadlines == [second]
    assert bell.woken[0][1] == pytest.approx(second, abs=0.02)


def test_a_cancelled_alarm_stays_silent_and_may_be_armed_again() -> None:
    bench = Bench()
    bell, other = bench.bell(), bench.bell()
    bench.alarms.arm(bell, 1001.0)
    bench.alarms.arm(other, 1001.0)
    bench.alarms.cancel(bell)
    bench.loop.run_for(2)
    assert (bell.deadlines, other.deadlines) == ([], [1001.0])
    bench.alarms.arm(bell, 1003.0)
    bench.loop.run_for(2)
    assert bell.deadlines == [1003.0]


def test_a_closed_alarm_leaves_no_timer() -> None:
    bench = Bench()
    bell = bench.bell()
    bench.alarms.arm(bell, 1001.0)
    bench.alarms.close()
    bench.alarms.arm(bell, 1001.0)
    bench.clock.close()
    assert bench.loop.timers == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["arm", "cancel", "wait"]), st.integers(0, 100)),
        max_size=60,
    )
)
def test_alarms_fire_as_the_plainest_possible_table_says(steps: list[tuple[int, str, int]]) -> None:
    bench = Bench()
    bells = [bench.bell() for _ in range(4)]
    table: dict[int, float] = {}
    expected: list[list[float]] = [[] for _ in bells]

    def wait(seconds: float) -> None:
        bench.loop.run_for(seconds)
        for who, deadline in sorted(table.items()):
            if deadline <= bench.time.seconds - 0.005:
                expected[who].append(deadline)
                del table[who]

    for who, step, hundredths in steps:
        if step == "arm":
            deadline = bench.time.seconds + hundredths / 100 + 0.015  # between two polls
            bench.alarms.arm(bells[who], deadline)
            table[who] = deadline
        elif step == "cancel":
            bench.alarms.cancel(bells[who])
            table.pop(who, None)
        else:
            wait(hundredths / 100)
    wait(3)
    assert [bell.deadlines for bell in bells] == expected


def test_the_clock_runs_with_time_when_nothing_stalls() -> None:
    bench = Bench()
    bench.loop.run_for(5)
    assert bench.clock.now() == pytest.approx(1005.0)
    assert bench.clock.stalled_seconds == 0


def test_the_clock_leaves_a_stall_out_before_and_after_it_was_noticed() -> None:
    bench = Bench()
    bench.loop.run_for(1)
    bench.time.seconds += 30
    before = bench.clock.now()
    assert before == pytest.approx(1001.1, abs=0.06)
    assert bench.clock.stalled_seconds == pytest.approx(30, abs=0.11)
    bench.loop.poll()
    assert bench.clock.now() == pytest.approx(before)
    bench.loop.run_for(1)
    assert bench.clock.now() == pytest.approx(before + 1, abs=0.01)


@given(st.lists(st.floats(0, 5), max_size=50))
def test_the_clock_never_goes_back_nor_faster_than_time(steps: list[float]) -> None:
    bench = Bench()
    last, real = bench.clock.now(), bench.time.seconds
    for step in steps:
        bench.time.seconds += step
        for polled in (False, True):
            if polled:
                bench.loop.poll()
            now = bench.clock.now()
            assert last <= now <= last + (bench.time.seconds - real) + 1e-6
            assert now + bench.clock.stalled_seconds == pytest.approx(bench.time.seconds)
            last, real = now, bench.time.seconds


def test_a_deadline_is_put_off_by_a_stall() -> None:
    bench = Bench()
    bell = bench.bell()
    bench.alarms.arm(bell, 1002.0)
    bench.time.seconds += 60
    for _ in range(10):
        bench.loop.poll()
    assert bell.woken == []
    bench.loop.run_for(1.8)
    assert bell.woken == []
    bench.loop.run_for(0.3)
    assert bell.deadlines == [1002.0]


def test_after_a_stall_the_sockets_are_polled_before_a_deadline_that_is_due_fires() -> None:
    bench = Bench()
    bell = bench.bell()
    bench.alarms.arm(bell, 1000.02)
    bench.time.seconds += 60
    polls = 0
    while not bell.woken:
        assert polls < 10
        bench.loop.poll()
        polls += 1
    assert polls == 1 + LIMITS.drain_polls


async def test_an_actor_is_woken_on_a_real_loop() -> None:
    clock = LoopClock()
    alarms = Alarms(clock)
    seen: list[Any] = []
    ref = Probe.start(LoopDispatcher(), heard=seen)
    deadline = clock.now() + 0.02
    alarms.arm(ref, deadline)
    await eventually(lambda: bool(seen))
    assert seen == [Wake(deadline)]
    assert clock.now() >= deadline
    alarms.close()
    clock.close()
    await stop(ref)


async def test_a_blocked_loop_reads_its_sockets_before_a_passed_deadline_fires() -> None:
    clock = LoopClock()
    alarms = Alarms(clock)
    seen: list[Any] = []
    dispatcher = LoopDispatcher()
    ref = Probe.start(dispatcher, heard=seen)
    relay = Probe.start(dispatcher)
    reader, writer = await _pair(lambda data: relay.tell(lambda _: ref.tell(data)))
    await asyncio.sleep(0)
    writer.write(b"the answer")
    alarms.arm(ref, clock.now() + 0.01)
    time.sleep(0.3)  # noqa: ASYNC251  the stall itself
    await eventually(lambda: len(seen) == 2)
    assert seen[0] == b"the answer"
    assert isinstance(seen[1], Wake)
    assert clock.stalled_seconds > 0.1
    writer.close()
    reader.close()
    alarms.close()
    clock.close()
    await stop(ref, relay)


async def _pair(on_data: Any) -> tuple[asyncio.Transport, asyncio.Transport]:
    class Reader(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            on_data(data)

    left, right = socket.socketpair()
    loop = asyncio.get_running_loop()
    reading, _ = await loop.create_connection(Reader, sock=left)
    writing, _ = await loop.create_connection(asyncio.Protocol, sock=right)
    return reading, writing
