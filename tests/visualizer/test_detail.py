"""Level of detail: names where there is room, edges that become a haze, messages sampled whole and told so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visualizer.scene.areas import Area
from visualizer.scene.camera import Point
from visualizer.scene.detail import (
    DOTS,
    Label,
    edge_share,
    heat,
    is_shown,
    labels,
    peer_radius,
    place_labels,
    sampling_notice,
    shown_of,
)
from visualizer.scene.layout import on_circle
from visualizer.view import View

from .scenes import broadcast, lookup, swarm

RADIUS = 320.0
FIELD = Area(0, 0, 1000, 800)


def test_a_small_swarm_is_named_and_a_large_one_is_not() -> None:
    assert len(labels(swarm(20), View(), RADIUS)) == 20
    assert labels(swarm(200), View(), RADIUS) == []


def test_from_near_there_is_room_for_every_name() -> None:
    assert len(labels(swarm(200), View(), RADIUS * 20)) == 200


def test_who_is_pointed_at_chosen_or_found_is_always_named_and_first() -> None:
    view = View(hovered="core-9", selected={"core-3"}, pinned="core-5", found={"core-7"})
    found = labels(swarm(200), view, RADIUS)
    assert found == [Label(f"core-{number}", True) for number in (9, 5, 3, 7)]


def test_the_peers_of_the_followed_message_are_named() -> None:
    state = swarm(200)
    trip = lookup(state, "core-1", "core-150")
    named = {label.peer for label in labels(state, View(followed="lookup"), RADIUS)}
    assert named == {flight.start for flight in trip.flights} | {"core-150"}


def test_of_a_broadcast_only_the_origin_is_named() -> None:
    state = swarm(200)
    broadcast(state, "core-4")
    assert labels(state, View(followed="broadcast"), RADIUS) == [Label("core-4", True)]


def test_a_name_that_nobody_has_is_not_written() -> None:
    assert labels(swarm(200), View(hovered="gone", selected={""}), RADIUS) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_no_two_labels_overlap_and_none_leaves_the_field(turns: list[tuple[float, bool]]) -> None:
    wanted = []
    for index, (turn, strong) in enumerate(turns):
        point: Point = on_circle(turn)
        pixel = 500 + point[0] * RADIUS, 400 + point[1] * RADIUS
        wanted.append((Label(f"core-{index}", strong), point, pixel, (52, 15)))
    placed = place_labels(wanted, FIELD, 24)
    for index, one in enumerate(placed):
        assert 0 <= one.x <= FIELD.w - 52
        assert 0 <= one.y <= FIELD.h - 15
        for other in placed[:index]:
            assert abs(one.x - other.x) >= 52 or abs(one.y - other.y) >= 15
    assert bool(placed) == bool(turns)


def test_edges_fade_the_more_there_are_but_never_vanish() -> None:
    shares = [edge_share(count) for count in (1, 200, 1_000, 4_500, 100_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0.1
    assert shares[0] > 2 * shares[3]


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 1e6))
def test_a_busier_edge_is_never_colder(one: float, other: float, peak: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= heat(low, peak) <= heat(high, peak)
    assert abs(heat(peak, peak) - 1) < 1e-9
    assert heat(one, 0.0) == 0.0


@given(st.integers(0, 200_000))
def test_no_more_messages_are_drawn_than_the_budget(messages: int) -> None:
    share = shown_of(messages)
    assert messages / share <= DOTS
    assert share == 1 or messages / share > DOTS / 2


def test_sampling_takes_about_the_share_that_it_tells() -> None:
    shown = sum(is_shown(f"core-{number % 50}/{number}", 16) for number in range(16_000))
    assert 800 < shown < 1_200
    assert all(is_shown(f"core-1/{number}", 1) for number in range(50))


def test_a_trip_that_is_shown_at_a_share_is_shown_at_every_larger_picture() -> None:
    trips = [f"core-2/{number}" for number in range(2_000)]
    assert all(is_shown(trip, 4) for trip in trips if is_shown(trip, 8))


def test_the_notice_multiplies_both_samplings() -> None:
    assert sampling_notice(1, 1) == ""
    assert sampling_notice(20, 1) == "showing 1 of 20 messages"
    assert sampling_notice(5, 4) == "showing 1 of 20 messages"


def test_peers_are_smaller_in_a_crowd_and_larger_from_near() -> None:
    assert peer_radius(20, 1, 1) > peer_radius(200, 1, 1) > peer_radius(1000, 1, 1) > 2
    assert peer_radius(500, 8, 1) > peer_radius(500, 1, 1)
    assert peer_radius(500, 1, 2) == 2 * peer_radius(500, 1, 1)
