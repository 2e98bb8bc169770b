"""The loop of virtual time: timers come in order, at exactly their moments, and nobody waits for them."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse
from cicada.testing.virtualloop import VirtualLoop

DELAYS = st.floats(min_value=0.0, max_value=1e6, allow_nan=False)
Slept = tuple[float, int]


def sleepers(delays: list[float]) -> list[Slept]:
    """Who woke when, in the order in which they did."""
    woken: list[Slept] = []

    async def sleep(number: int) -> None:
        await asyncio.sleep(delays[number])
        woken.append((asyncio.get_running_loop().time(), number))

    async def main() -> None:
        await asyncio.gather(*map(sleep, range(len(delays))))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    return woken


@given(st.lists(DELAYS, max_size=12))
def test_sleepers_wake_in_the_order_of_their_moments_and_at_them(delays: list[float]) -> None:
    woken = sleepers(delays)
    assert sorted(number for _, number in woken) == list(range(len(delays)))
    moments = [moment for moment, _ in woken]
    assert moments == sorted(moments)
    assert moments == pytest.approx(sorted(delays), abs=1e-8)


def test_a_day_passes_at_once() -> None:
    began = time.monotonic()
    assert sleepers([86_400.0 * 30]) == [(86_400.0 * 30, 0)]
    assert time.monotonic() - began < 5.0


def test_time_stands_still_while_something_is_to_be_done() -> None:
    async def main() -> float:
        asyncio.get_running_loop().call_later(1.0, print)
        for _ in range(100):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == 0.0


def test_a_timeout_strikes_at_its_moment() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 7.5)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == 7.5


def test_a_program_that_waits_for_nothing_that_could_happen_is_told_so() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(Misuse, match="never happens"):
        runner.run(main())
