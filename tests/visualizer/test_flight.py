"""Messages under way: slow enough to be seen, one hop after another, and right again after a jump in time."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualizer.model.state import Flight, Kind
from visualizer.scene.flight import (
    HOP_S,
    KINDS,
    LATEST_S,
    STAGGER_S,
    Choreography,
    dots,
    followed_dots,
)
from visualizer.scene.layout import on_circle
from visualizer.scene.paths import along, bend_of, hop_of

START_MS = 1_000_000
POINTS = {name: on_circle(index / 5) for index, name in enumerate("abcde")}


def hop(
    start: str, end: str, at_us: int = 0, copy: int = 0, trip: str = "t", kind: Kind = Kind.DATA
) -> Flight:
    return Flight(trip, kind, start, end, START_MS * 1000 + at_us, copy, 1, 1)


def begun(flights: list[Flight]) -> Choreography:
    """Flights that come while one looks on."""
    shown: deque[Flight] = deque([hop("d", "e", -9_000_000, trip="before")])
    made = Choreography()
    made.take(shown, 0.0, START_MS)
    shown.extend(flights)
    made.take(shown, 0.0, START_MS)
    return made


def under_way(made: Choreography, now_s: float) -> list[str]:
    return [leg.flight.start + leg.flight.end for leg in made.under_way(now_s)]


def test_a_hop_of_a_fraction_of_a_millisecond_is_seen_for_a_third_of_a_second() -> None:
    made = begun([hop("a", "b"), hop("b", "c", 300)])
    assert 0.25 <= HOP_S <= 0.4
    assert under_way(made, 0.0) == ["ab"]
    assert under_way(made, HOP_S * 0.99) == ["ab"]
    assert under_way(made, HOP_S * 1.01) == ["bc"]
    assert under_way(made, HOP_S * 2.01) == []


def test_a_lookup_is_a_story_of_one_hop_after_another() -> None:
    story = [hop("a", "b"), hop("b", "a", 300), hop("a", "c", 600), hop("c", "a", 900)]
    made = begun(story)
    seen = [under_way(made, (index + 0.5) * HOP_S) for index in range(4)]
    assert seen == [["ab"], ["ba"], ["ac"], ["ca"]]


def test_copies_and_branches_of_a_tree_fly_at_the_same_time() -> None:
    made = begun([hop("a", "b"), hop("a", "c", copy=1), hop("b", "d", 200), hop("c", "d", 200, copy=1)])
    assert under_way(made, 0.5 * HOP_S) == ["ab", "ac"]
    assert under_way(made, 1.5 * HOP_S) == ["bd", "cd"]


def test_what_comes_in_one_gulp_is_begun_in_its_order_and_soon() -> None:
    made = begun(
        [hop("a", "b", trip="1"), hop("a", "c", 100_000, trip="2"), hop("a", "d", 9_000_000, trip="3")]
    )
    assert under_way(made, 0.05) == ["ab"]
    assert under_way(made, 0.15) == ["ab", "ac"]
    assert under_way(made, STAGGER_S + 0.01) == ["ab", "ac", "ad"]


def test_at_a_first_look_messages_are_where_they_would_be() -> None:
    made = Choreography()
    made.take(deque([hop("a", "b", -2_000_000, trip="1"), hop("a", "c", -100_000, trip="2")]), 5.0, START_MS)
    assert under_way(made, 5.0) == ["ac"]
    assert under_way(made, 5.0 + HOP_S - 0.09) == []


def test_after_a_jump_in_time_all_begins_anew() -> None:
    made = begun([hop("a", "b")])
    made.take(deque([hop("c", "d", 50_000_000)]), 0.1, START_MS + 50_050)
    assert under_way(made, 0.1) == ["cd"]
    made.take(deque(), 0.2, START_MS)
    assert under_way(made, 0.2) == []


def test_at_another_speed_a_hop_is_seen_as_long() -> None:
    made = Choreography()
    made.take(deque([hop("a", "b", -1_600_000)]), 0.0, START_MS, speed=16.0)
    assert under_way(made, 0.0) == ["ab"]
    assert under_way(made, HOP_S - 0.11) == ["ab"]


def test_taking_the_same_flights_again_adds_nothing() -> None:
    shown = deque([hop("a", "b"), hop("b", "c", 300)])
    made = Choreography()
    for _ in range(3):
        made.take(shown, 0.0, START_MS)
    assert len(made.legs) == 2


def test_what_the_story_has_not_come_to_is_pending() -> None:
    first, second = hop("a", "b"), hop("b", "c", 300)
    made = begun([first, second, hop("d", "e", 400, trip="another")])
    hops = {hop_of(first), hop_of(second)}
    assert made.pending(hops, 0.1) == {hop_of(second)}
    assert made.pending(hops, HOP_S * 1.1) == frozenset()


def test_what_becomes_known_of_a_hop_later_does_not_begin_it_anew() -> None:
    shown = deque([hop("a", "b"), hop("b", "c", 300)])
    made = Choreography()
    made.take(shown, 0.0, START_MS)
    shown[-1] = shown[-1]._replace(fate="altered", trip="another")
    shown.append(hop("c", "d", 600))
    made.take(shown, 0.1, START_MS)
    assert [leg.flight.start for leg in made.legs] == ["a", "b", "c"]


def test_hops_that_come_in_another_order_are_told_in_theirs() -> None:
    made = begun([hop("b", "c", 300), hop("a", "b")])
    assert under_way(made, 0.1) == ["ab"]
    assert under_way(made, HOP_S * 1.1) == ["bc"]


def test_a_hidden_kind_does_not_fly() -> None:
    made = begun([hop("a", "b"), hop("a", "c", kind=Kind.LOOKUP, trip="2")])
    assert [leg.flight.kind for leg in made.under_way(0.01, {Kind.DATA})] == [Kind.LOOKUP]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde"), st.integers(0, 2))))
def test_no_hop_begins_before_the_one_that_brought_the_message(hops: list[tuple[str, str, int]]) -> None:
    made = begun([hop(start, end, index * 100, copy) for index, (start, end, copy) in enumerate(hops)])
    arrived: dict[tuple[int, str], float] = {}
    for leg in made.legs:
        key = leg.flight.copy, leg.flight.start
        assert leg.begins >= arrived.get(key, 0.0) - 1e-9
        assert leg.ends - leg.begins == pytest.approx(HOP_S)
        assert leg.begins <= LATEST_S
        arrived[leg.flight.copy, leg.flight.end] = leg.ends


def test_what_is_remembered_is_bounded_and_goes() -> None:
    shown: deque[Flight] = deque(maxlen=4_096)
    made = Choreography()
    for frame in range(400):
        shown.extend(hop("a", "b", frame * 10_000, trip=f"{frame}.{index}") for index in range(60))
        made.take(shown, frame / 60, START_MS)
    assert 0 < len(made.legs) < 60 * 60 * 2
    made.take(shown, 400 / 60 + 10, START_MS)
    assert made.legs == ()


def test_dots_go_from_one_peer_to_the_other_as_pictures_of_their_kind() -> None:
    made = begun([hop("a", "b")])
    pictures = [kind.value for kind in KINDS]
    first, last = (
        dots(made.under_way(now_s), now_s, POINTS, (100, 100), 50, pictures)[0]
        for now_s in (0.0, HOP_S - 1e-9)
    )
    assert first[0] == last[0] == "data"
    assert first[1] == pytest.approx((100 + 50 * POINTS["a"][0], 100 + 50 * POINTS["a"][1]))
    assert last[1] == pytest.approx((100 + 50 * POINTS["b"][0], 100 + 50 * POINTS["b"][1]))


def test_only_a_share_is_shown_when_there_are_too_many() -> None:
    made = begun([hop("a", "b", trip=f"a/{number}") for number in range(400)])
    legs = made.under_way(0.1)
    assert len(dots(legs, 0.1, POINTS, (0, 0), 1, KINDS)) == 400
    assert 50 < len(dots(legs, 0.1, POINTS, (0, 0), 1, KINDS, 4)) < 150


def test_a_followed_message_keeps_to_its_drawn_path() -> None:
    flight = hop("a", "b")
    made = begun([flight])
    half = HOP_S / 2
    ((found, point),) = followed_dots(made.under_way(half), half, POINTS, (0, 0), 1)
    assert found is flight
    bend = bend_of(flight, POINTS["a"], POINTS["b"])
    assert point == pytest.approx(along(POINTS["a"], POINTS["b"], bend, 0.5))


def test_a_message_between_peers_that_are_unknown_is_not_drawn() -> None:
    made = begun([hop("a", "nobody")])
    assert dots(made.under_way(0.1), 0.1, POINTS, (0, 0), 1, KINDS) == []
    assert followed_dots(made.under_way(0.1), 0.1, POINTS, (0, 0), 1) == []
