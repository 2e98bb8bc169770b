"""Alarms and rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cicada.transport.linktimers import NEVER, Alarms


class Sleeper:
    def __init__(self) -> None:
        self.armed = NEVER


def test_a_thing_is_woken_once_at_the_earliest_time_asked_for() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    sleeper = Sleeper()
    for due in (5.0, 3.0, 4.0):
        alarms.arm(sleeper, due)
    assert alarms.next() == 3.0
    assert alarms.due(2.9) == []
    assert alarms.due(10.0) == [sleeper]
    assert alarms.next() is None


def test_a_disarmed_thing_is_not_woken() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    sleeper, other = Sleeper(), Sleeper()
    alarms.arm(sleeper, 1.0)
    alarms.arm(other, 2.0)
    alarms.disarm(sleeper)
    assert alarms.next() == 2.0
    assert alarms.due(3.0) == [other]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["arm", "due"]), st.integers(1, 50))))
def test_nothing_is_woken_late_or_early(steps: list[tuple[int, str, int]]) -> None:
    alarms: Alarms[Sleeper] = Alarms()
    sleepers = [Sleeper() for _ in range(6)]
    asked: dict[int, float] = {}
    now = 0.0
    for number, what, after in steps:
        if what == "arm":
            asked[number] = min(asked.get(number, NEVER), now + after)
            alarms.arm(sleepers[number], now + after)
        else:
            now += after
            woken = {sleepers.index(sleeper) for sleeper in alarms.due(now)}
            assert woken == {number for number, due in asked.items() if due <= now}
            for number in woken:
                del asked[number]
        assert alarms.next() == min(asked.values(), default=None)


def test_superseded_alarms_do_not_pile_up() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    sleepers = [Sleeper() for _ in range(10)]
    for number in range(10_000):
        for sleeper in sleepers:
            alarms.disarm(sleeper)
            alarms.arm(sleeper, 1e6 - number)
    assert len(alarms) < 200
    assert alarms.due(2e6) == sleepers
