"""Circle arithmetic against walking a circle of sixteen points, enumerated completely."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from cicada.chord.circle import between, distance, finger_start, in_open_closed, interval_of
from cicada.ids import RING_BITS, RING_SIZE

BITS = 4
SIZE = 1 << BITS
POINTS = range(SIZE)


def walk(low: int, high: int) -> list[int]:
    """The points met on the way clockwise from ``low`` until ``high`` is reached, which is the last."""
    points = [(low + 1) % SIZE]
    while points[-1] != high:
        points.append((points[-1] + 1) % SIZE)
    return points


def test_between_holds_exactly_the_points_met_before_the_end() -> None:
    for low, point, high in product(POINTS, repeat=3):
        assert between(low, point, high, SIZE) == (point in walk(low, high)[:-1]), (low, point, high)


def test_between_of_one_point_is_the_whole_circle_but_that_point() -> None:
    for low, point in product(POINTS, repeat=2):
        assert between(low, point, low, SIZE) == (point != low)


def test_an_interval_open_at_its_beginning_holds_the_points_met_and_its_end() -> None:
    for low, point, high in product(POINTS, repeat=3):
        assert in_open_closed(low, point, high, SIZE) == (point in walk(low, high)), (low, point, high)


def test_distance_counts_the_steps_of_the_walk() -> None:
    for start, end in product(POINTS, repeat=2):
        assert distance(start, end, SIZE) == (0 if start == end else len(walk(start, end)))


def test_finger_intervals_part_the_circle_without_the_node_itself() -> None:
    for own, point in product(POINTS, repeat=2):
        inside = [
            interval
            for interval in range(BITS)
            if point in [finger_start(own, interval, SIZE)]
            or (
                point != own
                and point in walk(finger_start(own, interval, SIZE), (own + (2 << interval)) % SIZE)[:-1]
            )
        ]
        assert inside == ([] if point == own else [interval_of(own, point, SIZE)]), (own, point)


@given(st.integers(0, RING_SIZE - 1), st.integers(0, RING_SIZE - 1), st.integers(0, RING_SIZE - 1))
def test_turning_the_whole_circle_changes_nothing(low: int, point: int, turn: int) -> None:
    high = (low * 3 + 7) % RING_SIZE
    turned = [(value + turn) % RING_SIZE for value in (low, point, high)]
    assert between(low, point, high) == between(turned[0], turned[1], turned[2])
    assert in_open_closed(low, point, high) == in_open_closed(turned[0], turned[1], turned[2])


def test_the_farthest_finger_begins_half_a_circle_away() -> None:
    assert finger_start(5, RING_BITS - 1) == 5 + RING_SIZE // 2
