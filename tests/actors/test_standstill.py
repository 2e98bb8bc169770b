"""A standstill withholds turns and time from the actors of one peer, loses nothing, and concerns nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cicada.actors.alarm import Alarms, LoopClock, Wake
from cicada.actors.loop import LoopDispatcher
from cicada.actors.standstill import PeerAlarms, PeerClock, Standstill
from tests.actors.fakeloop import FakeLoop, FakeTime
from tests.actors.probes import Probe, asked, eventually, heard, in_thread, stop


class Bench:
    """Two peers' shares in one event loop."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.dispatcher = LoopDispatcher(loop)
        self.clock = LoopClock(loop)
        self.alarms = Alarms(self.clock, loop)
        self.still, self.other = (Standstill(self.dispatcher, self.clock, self.alarms) for _ in range(2))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.alarms.close()
    made.clock.close()


async def test_what_is_told_to_a_still_actor_waits_in_order_while_others_have_their_turns(
    bench: Bench,
) -> None:
    said: list[object] = []
    still = Probe.start(bench.still.dispatcher, heard=said)
    other = Probe.start(bench.other.dispatcher)
    still.tell(1)
    await asked(still, heard)
    bench.still.begin()
    for number in (2, 3):
        still.tell(number)
    other.tell("x")
    assert await asked(other, heard) == ["x"]
    assert said == [1]
    bench.still.end()
    still.tell(4)
    assert await asked(still, heard) == [1, 2, 3, 4]
    await stop(still, other)


async def test_an_actor_that_waits_for_its_turn_when_the_standstill_begins_has_it_afterwards(
    bench: Bench,
) -> None:
    still = Probe.start(bench.still.dispatcher)
    other = Probe.start(bench.other.dispatcher)
    still.tell("waiting")
    bench.still.begin()
    await asked(other, heard)
    bench.still.end()
    assert await asked(still, heard) == ["waiting"]
    await stop(still, other)


async def test_an_actor_started_and_one_told_from_a_thread_during_a_standstill_wait_too(bench: Bench) -> None:
    said: list[object] = []
    old = Probe.start(bench.still.dispatcher, heard=said)
    await asked(old, heard)
    bench.still.begin()
    fresh = Probe.start(bench.still.dispatcher, on_start=lambda: said.append("started"))
    await in_thread(lambda: old.tell("from a thread"))
    other = Probe.start(bench.other.dispatcher)
    await asked(other, heard)
    assert said == []
    bench.still.end()
    await eventually(lambda: sorted(map(str, said)) == ["from a thread", "started"])
    await stop(old, fresh, other)


async def test_beginning_and_ending_twice_is_like_once(bench: Bench) -> None:
    still = Probe.start(bench.still.dispatcher)
    bench.still.begin()
    still.tell(1)
    bench.still.begin()
    bench.still.end()
    bench.still.end()
    assert await asked(still, heard) == [1]
    assert not bench.still.is_on
    await stop(still)


class Clocks:
    """A peer's clock and alarms on a loop that moves by hand."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.loop = FakeLoop(self.time)
        self.base = LoopClock(self.loop, monotonic=self.time)
        self.clock = PeerClock(self.base)


def test_a_stopped_clock_stands_still_and_goes_on_from_there() -> None:
    made = Clocks()
    made.loop.run_for(1.0)
    stopped_at = made.clock.now()
    made.clock.stop()
    made.loop.run_for(5.0)
    assert made.clock.now() == stopped_at
    made.clock.go_on()
    made.loop.run_for(2.0)
    assert made.clock.now() == pytest.approx(stopped_at + 2.0)
    made.clock.stop()
    made.loop.run_for(1.0)
    made.clock.go_on()
    assert made.clock.now() == pytest.approx(stopped_at + 2.0)
    assert made.clock.behind == pytest.approx(6.0)


async def test_a_deadline_set_after_a_standstill_is_one_on_the_peers_clock(bench: Bench) -> None:
    time = FakeTime()
    loop = FakeLoop(time)
    base = LoopClock(loop, monotonic=time)
    alarms = Alarms(base, loop)
    clock = PeerClock(base)
    clock.stop()
    loop.run_for(3.0)
    clock.go_on()
    woken: list[object] = []
    probe = Probe.start(bench.other.dispatcher, heard=woken)
    PeerAlarms(alarms, clock).arm(probe, clock.now() + 1.0)
    loop.run_for(0.9)
    await asked(probe, heard)
    assert woken == []
    loop.run_for(0.2)
    await asked(probe, heard)
    assert [type(message) for message in woken] == [Wake]
    await stop(probe)
