"""The window of a process: found by delay, shared by its peers."""

from __future__ import annotations

from collections import deque

from msgspec.structs import replace

from cicada.limits import DELIVERY
from cicada.routing.pace import Line, Pace

LIMITS = replace(
    DELIVERY,
    pace_first=100,
    pace_least=10,
    pace_most=1000,
    pace_interval=0.25,
    pace_delay=0.25,
    pace_stretch=4.0,
    pace_memory=15.0,
)


def carried(pace: Pace, rate: float, seconds: float, round_trip: float = 0.01) -> float:
    """A path that carries ``rate`` messages a second, one after another, always offered as many as the window lets pass.
    Returns the last round trip."""
    line, now, took, last = Line(pace), 0.0, 0.0, 0
    queue: deque[tuple[int, float]] = deque()
    while now < seconds:
        while line.ask(last):
            queue.append((last, now))
            last += 1
        line.over(last)
        now += 1.0 / rate
        id, left = queue.popleft()
        took = now - left + round_trip
        pace.measured(took, now)
        line.over(id)
    line.close()
    return took


def test_the_window_shrinks_until_messages_do_not_wait_long_on_their_way() -> None:
    pace = Pace(LIMITS)
    assert carried(pace, rate=50.0, seconds=30.0) < 0.6
    assert pace.window < 40


def test_the_window_grows_while_round_trips_stay_short() -> None:
    pace = Pace(LIMITS)
    took = carried(pace, rate=5000.0, seconds=10.0)
    assert pace.window > 500
    assert took < 0.3


def test_long_paths_are_not_taken_for_queues() -> None:
    pace = Pace(LIMITS)
    line = Line(pace)
    for step in range(40 * 100):  # 40 a second, each 0.4 s on its way: 16 at once
        line.ask(step)
        pace.ran_short()
        pace.measured(0.4, step / 40)
        line.over(step - 16)
    assert pace.window == LIMITS.pace_most


def test_a_window_that_nobody_needs_stays() -> None:
    pace = Pace(LIMITS)
    for step in range(100):
        pace.measured(0.01, step * 0.1)
    assert pace.window == LIMITS.pace_first


def test_peers_share_the_window_and_each_has_at_least_one_message() -> None:
    pace = Pace(replace(LIMITS, pace_first=30))
    lines = [Line(pace) for _ in range(60)]
    alone = sum(lines[0].ask(id) for id in range(100))
    assert alone == 30
    assert all(line.ask(1) for line in lines[1:])
    assert pace.share() == 1
    assert not lines[1].ask(2)
    assert lines[1].waits(2)
    lines[1].over(1)
    assert lines[1].next() == [2]


def test_who_has_nothing_in_flight_takes_no_share() -> None:
    pace = Pace(replace(LIMITS, pace_first=30))
    lines = [Line(pace) for _ in range(3)]
    for line in lines:
        line.ask(1)
    assert pace.share() == 10
    lines[0].over(1)
    lines[1].close()
    assert pace.share() == 30


def test_messages_wait_in_order_and_ask_twice_for_nothing() -> None:
    pace = Pace(replace(LIMITS, pace_first=1))
    line = Line(pace)
    assert [line.ask(id) for id in (5, 3, 4, 5, 3)] == [True, False, False, True, False]
    line.over(3)
    line.over(5)
    assert line.next() == [4]
    assert len(line) == 0
