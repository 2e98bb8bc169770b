"""Where peers are: at their place, evenly, or outside when nobody can dial them; and which one is meant by a pixel."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import RING_SIZE
from visualizer.model.state import PeerState, SwarmState
from visualizer.scene.areas import areas
from visualizer.scene.layout import HIT, OUTER, Layout, group_numbers, on_circle, ties, turn_at, turn_of
from visualizer.view import Camera, View

from .scenes import peer, swarm

SIZE = (1600, 900)


def with_places(places: list[int]) -> SwarmState:
    state = SwarmState()
    for number, place in enumerate(places):
        one = peer(f"core-{number}", number)
        one.place = place
        state.peers[one.name] = one
    return state


@pytest.mark.parametrize(
    ("place", "point"),
    [
        (0, (0, -1)),
        (RING_SIZE // 4, (1, 0)),
        (RING_SIZE // 2, (0, 1)),
        (3 * RING_SIZE // 4, (-1, 0)),
    ],
)
def test_places_go_clockwise_from_the_top(place: int, point: tuple[float, float]) -> None:
    found = Layout().positions(with_places([place]), View())
    assert found["core-0"] == pytest.approx(point, abs=1e-9)


def test_the_last_place_is_just_before_the_top() -> None:
    assert turn_of(RING_SIZE - 1) < 1.0


@given(st.floats(0, 1, exclude_max=True))
def test_a_share_of_the_circle_comes_back_from_its_point(turn: float) -> None:
    gap = abs(turn_at(on_circle(turn)) - turn)
    assert min(gap, 1 - gap) < 1e-9


def test_even_spacing_keeps_the_order_of_places() -> None:
    state = with_places([900, 5, 6])
    turns = Layout().turns(state, View(even_spacing=True))
    assert turns == {"core-1": 0.0, "core-2": pytest.approx(1 / 3), "core-0": pytest.approx(2 / 3)}


def test_a_hidden_peer_stands_outside_near_its_place_and_is_tied_to_its_relays() -> None:
    state = swarm(3)
    hidden = peer("leaf-0", 50, "leaf")
    hidden.address, hidden.relays = "@" + "ab" * 32, (state.peers["core-1"].address, "10.0.0.1:1")
    hidden.links = {one.address for one in state.peers.values()}  # more than its relays
    state.peers[hidden.name] = hidden
    point = Layout().positions(state, View())["leaf-0"]
    assert math.hypot(*point) == pytest.approx(OUTER)
    assert turn_at(point) == pytest.approx(turn_of(hidden.place))
    assert [(tie.peer, tie.relay) for tie in ties(state)] == [("leaf-0", "core-1")]


def test_nobody_moves_when_another_dies_or_comes_back_elsewhere() -> None:
    state, layout = swarm(12), Layout()
    before = layout.positions(state, View())
    state.peers["core-3"].state = PeerState.DEAD
    state.peers["core-4"].place = 77
    after = layout.positions(state, View())
    assert [name for name in before if before[name] != after[name]] == ["core-4"]
    assert after["core-4"] == pytest.approx(on_circle(turn_of(77)))


@given(st.lists(st.integers(0, RING_SIZE - 1), min_size=1, max_size=20, unique=True), st.booleans())
def test_arcs_cover_the_circle_once(places: list[int], even: bool) -> None:
    arcs = Layout().arcs(with_places(places), View(even_spacing=even))
    assert len(arcs) == len(places)
    if len({turn_of(place) for place in places}) == len(places):
        assert sum(arc.end - arc.start for arc in arcs) == pytest.approx(1.0)


def test_nobody_is_responsible_who_is_not_a_live_member() -> None:
    state = swarm(4)
    state.peers["core-2"].state = PeerState.SUSPECT
    assert "core-2" not in {arc.peer for arc in Layout().arcs(state, View())}
    assert Layout().arcs(SwarmState(), View()) == []


@given(
    st.lists(st.integers(0, RING_SIZE - 1), max_size=40),
    st.tuples(st.integers(0, SIZE[0]), st.integers(0, SIZE[1])),
    st.floats(0.5, 40),
    st.booleans(),
)
def test_the_peer_under_a_pixel_is_the_nearest_within_reach(
    places: list[int], pixel: tuple[int, int], zoom: float, even: bool
) -> None:
    state, view = with_places(places), View(camera=Camera(0.5, -0.5, zoom), even_spacing=even)
    layout = Layout()
    found = layout.peer_at(pixel, state, view, SIZE)
    distances = {
        name: math.dist(Layout.to_window(point, view.camera, SIZE), pixel)
        for name, point in layout.positions(state, view).items()
    }
    near = {name: distance for name, distance in distances.items() if distance < HIT - 1e-6}
    if not areas(SIZE).field.holds(pixel) or not near:
        assert found == "" or distances[found] < HIT + 1e-6
    else:
        assert distances[found] == pytest.approx(min(near.values()), abs=1e-6)


def test_a_peer_is_hit_at_its_middle_and_not_through_a_panel() -> None:
    state, layout = swarm(5), Layout()
    x, y = Layout.to_window(layout.positions(state, View())["core-2"], Camera(), SIZE)
    assert layout.peer_at((round(x), round(y)), state, View(), SIZE) == "core-2"
    off = View(camera=Camera(x=1.0, y=0.0, zoom=3.0))
    for one in layout.pixels(state, off, SIZE).values():
        if one[0] < areas(SIZE).field.x:
            assert layout.peer_at((round(one[0]), round(one[1])), state, off, SIZE) == ""


@given(st.tuples(*[st.integers(0, 1600)] * 4))
def test_a_rectangle_takes_whoever_is_in_it_however_it_was_drawn(
    rectangle: tuple[int, int, int, int],
) -> None:
    state, layout, view = swarm(30), Layout(), View()
    x0, y0, x1, y1 = rectangle
    found = layout.in_rectangle((x0, y0, x1, y1), state, view, SIZE)
    assert found == layout.in_rectangle((x1, y1, x0, y0), state, view, SIZE)
    assert found == {
        name
        for name, (x, y) in layout.pixels(state, view, SIZE).items()
        if min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1)
    }


def test_groups_are_numbered_by_name() -> None:
    assert group_numbers(swarm(6, ("leaf", "core"))) == {"core": 0, "leaf": 1}
