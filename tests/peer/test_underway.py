"""What was published and no neighbour has yet: who waits for it, and for how long."""

from __future__ import annotations

import asyncio

from cicada.embedding.underway import Underway


async def is_over(waiting: asyncio.Task[None]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return waiting.done()


async def test_only_what_was_under_way_before_is_waited_for() -> None:
    underway = Underway(60.0)
    first, second = underway.begin(0.0), underway.begin(0.0)
    underway.number(second, 2)
    waiting = asyncio.create_task(underway.over(1.0))
    assert not await is_over(waiting)
    underway.begin(1.0)
    underway.carried(2)
    assert not await is_over(waiting), "its number is not known yet"
    underway.number(first, 1)
    underway.carried(1)
    assert await is_over(waiting)
    assert len(underway) == 1


async def test_what_could_not_be_published_is_not_waited_for() -> None:
    underway = Underway(60.0)
    said = underway.begin(0.0)
    waiting = asyncio.create_task(underway.over(0.0))
    assert not await is_over(waiting)
    underway.end(said)
    assert await is_over(waiting)


async def test_what_nobody_took_in_time_is_lost_and_kept_no_longer() -> None:
    underway = Underway(60.0)
    for number in range(1, 100):
        underway.number(underway.begin(float(number)), number)
        assert len(underway) <= 60
    underway.carried(1)
    waiting = asyncio.create_task(underway.over(159.0))
    assert await is_over(waiting)


async def test_when_nothing_more_will_be_heard_nobody_waits() -> None:
    underway = Underway(60.0)
    said = underway.begin(0.0)
    waiting = asyncio.create_task(underway.over(0.0))
    assert not await is_over(waiting)
    underway.clear()
    assert await is_over(waiting)
    underway.number(said, 1)
    assert not len(underway)
