"""A destination's congestion window, sample by sample."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Place
from cicada.limits import KIB, TransferLimits
from cicada.routing.flow import Flow, Flows

LIMITS = TransferLimits(flows=2)
PIECE = 32 * KIB
BASE = 0.02


@pytest.fixture
def flow() -> Flow:
    return Flow(LIMITS)


def fill(flow: Flow) -> int:
    """Let as many fragments leave as may, and say how many."""
    pieces = 0
    while flow.has_room(PIECE):
        flow.left(PIECE)
        pieces += 1
    return pieces


def turn(flow: Flow, now: float, round_trip: float) -> None:
    """A window's worth leaves, and all of it arrives."""
    fill(flow)
    while flow.in_flight:
        flow.arrived(PIECE, round_trip, now)


def test_slow_start_doubles_the_window_in_each_round_trip(flow: Flow) -> None:
    for power in range(3):
        assert flow.window == LIMITS.window_initial * 2**power
        fill(flow)
        for _ in range(flow.in_flight // PIECE):
            flow.arrived(PIECE, BASE, 0.0)
            fill(flow)  # the next round's leave as these arrive
        flow.given_up(flow.in_flight)


def test_the_window_ends_at_its_limits(flow: Flow) -> None:
    for step in range(60):
        turn(flow, step * BASE, BASE)
    assert flow.window == LIMITS.window_max
    for step in range(60):
        flow.lost(10.0 + step, 10.5 + step)
    assert flow.window == LIMITS.window_min


def test_one_fragment_may_always_be_under_way(flow: Flow) -> None:
    assert flow.has_room(100 * PIECE)
    flow.left(100 * PIECE)
    assert not flow.has_room(1)


def test_a_window_that_is_not_used_up_does_not_grow(flow: Flow) -> None:
    for step in range(20):
        flow.left(PIECE)
        flow.arrived(PIECE, BASE, step * BASE)
    assert flow.window == LIMITS.window_initial


def test_half_of_the_delay_target_ends_slow_start(flow: Flow) -> None:
    turn(flow, 0.0, BASE)
    before = flow.window
    late = BASE + LIMITS.delay_target * 0.6
    for _ in range(4):  # the least of the last four counts
        fill(flow)
        flow.arrived(PIECE, late, 0.1)
    threshold = flow.window
    assert threshold < before + 4 * PIECE
    turn(flow, 0.2, late)
    assert threshold < flow.window < threshold + PIECE


def test_more_delay_than_the_target_shrinks_the_window_and_less_lets_it_grow(flow: Flow) -> None:
    for step in range(8):
        turn(flow, step * BASE, BASE)
    full = flow.window
    for step in range(8):
        turn(flow, 1.0 + step, BASE + 3 * LIMITS.delay_target)
    shrunk = flow.window
    assert shrunk < full
    for step in range(8):
        turn(flow, 10.0 + step, BASE + LIMITS.delay_target / 2)
    assert flow.window > shrunk


def test_loss_without_delay_takes_a_fifth_and_with_delay_a_half(flow: Flow) -> None:
    turn(flow, 0.0, BASE)
    before = flow.window
    flow.lost(0.0, 0.1)
    assert flow.window == pytest.approx(before * 0.8)
    for _ in range(4):
        flow.left(PIECE)
        flow.arrived(PIECE, BASE + LIMITS.delay_target * 0.9, 0.2)
    before = flow.window
    flow.lost(0.2, 0.3)
    assert flow.window == pytest.approx(max(before / 2, LIMITS.window_min))


def test_all_that_was_lost_under_one_load_reduces_the_window_once(flow: Flow) -> None:
    turn(flow, 0.0, BASE)
    flow.lost(0.0, 0.1)
    reduced = flow.window
    for sent_at in (0.02, 0.05, 0.1):
        flow.lost(sent_at, 0.2)
    assert flow.window == reduced
    flow.lost(0.15, 0.3)
    assert flow.window < reduced


def test_nothing_is_overdue_before_a_round_trip_was_measured(flow: Flow) -> None:
    assert flow.overdue == float("inf")
    flow.left(PIECE)
    flow.arrived(PIECE, BASE, 0.0)
    assert BASE < flow.overdue < 5 * BASE


def test_a_way_that_became_longer_is_an_empty_way_again_after_two_spans(flow: Flow) -> None:
    turn(flow, 0.0, BASE)
    longer = BASE + 2 * LIMITS.delay_target
    now = LIMITS.base_seconds
    turn(flow, now, longer)
    assert flow.queueing == pytest.approx(2 * LIMITS.delay_target)
    turn(flow, 2 * now, longer)
    assert flow.queueing == pytest.approx(0.0)


def test_windows_in_use_are_never_forgotten() -> None:
    flows = Flows(LIMITS)
    first = flows.to(Place(1))
    first.left(PIECE)
    for number in range(2, 10):
        flows.to(Place(number))
    assert len(flows) == 2
    assert flows.to(Place(1)) is first


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 2.0)), max_size=60))
def test_the_window_stays_within_its_limits_and_the_books_balance(steps: list[tuple[bool, float]]) -> None:
    flow = Flow(LIMITS)
    now, under_way = 0.0, deque[float]()
    for is_lost, seconds in steps:
        while flow.has_room(PIECE):
            flow.left(PIECE)
            under_way.append(now)
        now += seconds
        sent_at = under_way.popleft()
        if is_lost:
            flow.lost(sent_at, now)
            flow.given_up(PIECE)
        else:
            flow.arrived(PIECE, now - sent_at, now)
        assert LIMITS.window_min <= flow.window <= LIMITS.window_max
        assert flow.in_flight == len(under_way) * PIECE
