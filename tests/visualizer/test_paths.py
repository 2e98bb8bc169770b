"""Which lines are drawn: right and wrong successors, tables, and the ways of messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualizer.model.state import Flight, Kind, PeerState, SwarmState, Trip
from visualizer.scene.camera import Point
from visualizer.scene.layout import Layout, on_circle
from visualizer.scene.paths import (
    UNKNOWN_MS,
    Ending,
    Segment,
    Trace,
    along,
    bend_of,
    copy_numbers,
    curve,
    focus,
    hop_of,
    hop_text,
    hop_times,
    ring_segments,
    table_segments,
    trip_segments,
)
from visualizer.view import View

from .scenes import broadcast, healthy, lookup, ring, send, swarm


def positions(state: SwarmState) -> dict[str, Point]:
    return Layout().positions(state, View())


def by_trace(state: SwarmState) -> dict[Trace, list[Segment]]:
    found: dict[Trace, list[Segment]] = {}
    for segment in ring_segments(state, positions(state)):
        found.setdefault(segment.trace, []).append(segment)
    return found


def test_a_right_ring_goes_from_each_member_to_the_next() -> None:
    state = swarm(9)
    points = positions(state)
    names = [one.name for one in ring(state)]
    found = by_trace(state)
    assert set(found) == {Trace.SUCCESSOR}
    assert [(one.start, one.end) for one in found[Trace.SUCCESSOR]] == [
        (points[name], points[after]) for name, after in zip(names, names[1:] + names[:1], strict=True)
    ]


def test_a_successor_that_died_is_wrong_and_leaves_a_gap_to_the_due_one() -> None:
    state = swarm(9)
    before, dead, due = ring(state)[3:6]
    dead.state = PeerState.DEAD
    state.health = healthy(state)
    found, points = by_trace(state), positions(state)
    assert [(one.peer, one.start, one.end) for one in found[Trace.WRONG]] == [
        (before.name, points[before.name], points[dead.name])
    ]
    assert [(one.start, one.end) for one in found[Trace.GAP]] == [(points[before.name], points[due.name])]
    assert len(found[Trace.SUCCESSOR]) == 7


def test_a_successor_beyond_the_due_one_goes_across() -> None:
    state = swarm(9)
    members = ring(state)
    members[2].successors = (members[5].address,)
    state.health = healthy(state)
    assert [one.end for one in by_trace(state)[Trace.STRAY]] == [positions(state)[members[5].name]]


@pytest.mark.parametrize("successors", [(), ("10.9.9.9:9",)])
def test_without_a_successor_that_anybody_knows_a_stub_dangles(successors: tuple[str, ...]) -> None:
    state = swarm(9)
    member = ring(state)[4]
    member.successors = successors
    state.health = healthy(state)
    (stub,) = by_trace(state)[Trace.MISSING]
    assert stub.peer == member.name
    assert stub.ending is Ending.LOST


def test_one_alone_has_no_ring() -> None:
    assert ring_segments(swarm(1), positions(swarm(1))) == []
    assert ring_segments(SwarmState(), {}) == []


def test_tables_are_drawn_of_the_selection_and_only_when_asked_for() -> None:
    state = swarm(40)
    points, one = positions(state), state.peers["core-3"]
    assert table_segments(state, View(selected={"core-3"}), points) == []
    chords = table_segments(state, View(selected={"core-3"}, shows_fingers=True), points)
    assert {segment.trace for segment in chords} == {Trace.FINGER}
    assert len(chords) == len(one.fingers)
    both = table_segments(state, View(pinned="core-3", shows_fingers=True, shows_known=True), points)
    assert sum(segment.trace is Trace.LINK for segment in both) == len(
        {*one.successors, *one.fingers, *one.links, one.predecessor}
    )


def test_a_finger_that_nobody_told_of_has_no_line() -> None:
    state = swarm(10)
    state.peers["core-3"].fingers = {"10.9.9.9:9", state.peers["core-4"].address}
    chords = table_segments(state, View(selected={"core-3"}, shows_fingers=True), positions(state))
    assert len(chords) == 1


def test_the_neighbourhood_of_the_selection_stays_bright() -> None:
    state = swarm(40)
    one = state.peers["core-3"]
    near = focus(state, View(selected={"core-3"}))
    assert near is not None
    addresses = {state.peers[name].address for name in near}
    assert addresses == {one.address, one.predecessor, *one.successors, *one.fingers}
    assert focus(state, View()) is None
    assert focus(state, View(selected={"gone"})) is None


def test_a_filtered_group_and_a_followed_message_stay_bright() -> None:
    state = swarm(40, ("core", "edge"))
    assert focus(state, View(only_group="edge")) == frozenset(f"edge-{number}" for number in range(20))
    trip = lookup(state, "core-1", "edge-9")
    passed = frozenset(flight.start for flight in trip.flights)
    assert focus(state, View(followed="lookup", only_group="edge")) == passed


def test_a_lookup_is_told_hop_by_hop_with_milliseconds() -> None:
    state = swarm(40)
    trip = lookup(state, "core-1", "core-30")
    found = trip_segments(trip, positions(state))
    assert [segment.depth for segment in found] == list(range(1, len(trip.flights) + 1))
    assert all(segment.trace is Trace.HOP and segment.ending is Ending.ARROW for segment in found)
    assert [segment.label for segment in found[:-2]] == ["0.7 ms"] * (len(found) - 2)
    assert found[-1].label == ""


def test_a_hop_takes_until_its_receiver_sends_on_in_the_same_copy() -> None:
    def hop(start: str, end: str, at_us: int, copy: int = 0) -> Flight:
        return Flight("t", Kind.DATA, start, end, at_us, copy, 1, 1)

    hops = [hop("a", "b", 1_000), hop("a", "c", 1_100, 1), hop("b", "d", 3_500), hop("c", "d", 900, 1)]
    told = [(one.start + one.end, time) for one, time in hop_times(hops)]
    assert told == [("cd", UNKNOWN_MS), ("ab", 2.5), ("ac", UNKNOWN_MS), ("bd", UNKNOWN_MS)]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-1, ""), (0.04, "0.0 ms"), (3.26, "3.3 ms"), (48.2, "48 ms"), (12_000, "12 s")],
)
def test_times_are_read_at_a_glance(milliseconds: float, text: str) -> None:
    assert hop_text(milliseconds) == text


def test_each_copy_has_its_way_and_is_marked_where_it_was_harmed() -> None:
    state = swarm(40)
    trip = send(state, "core-2", "core-31", ("intact", "altered", "lost"))
    found = trip_segments(trip, positions(state))
    ways = {copy: [one for one in found if one.copy == copy] for copy in range(3)}
    assert [one.ending for one in ways[0]] == [Ending.ARROW] * 3
    assert [one.ending for one in ways[1]] == [Ending.ARROW, Ending.ARROW, Ending.ALTERED]
    assert [one.is_spoiled for one in ways[1]] == [False, False, True]
    assert [one.ending for one in ways[2]] == [Ending.ARROW, Ending.LOST]
    assert [ways[1][-1].label, ways[2][-1].label] == ["altered", "lost"]


def test_what_was_altered_stays_so_and_is_marked_once() -> None:
    state = swarm(6)
    hops = [
        Flight("t", Kind.DATA, f"core-{index}", f"core-{index + 1}", 10 * index, 0, 1, index + 1, fate)
        for index, fate in enumerate(("", "altered", "altered"))
    ]
    found = trip_segments(Trip("t", Kind.DATA, "core-0", "core-3", hops[::-1]), positions(state))
    assert [one.ending for one in found] == [Ending.ARROW, Ending.ALTERED, Ending.ARROW]
    assert [one.is_spoiled for one in found] == [False, True, True]


def test_a_receipt_goes_beside_what_it_is_for_without_times() -> None:
    state = swarm(6)
    hops = [
        Flight("t", Kind.DATA, "core-0", "core-1", 10, 0, 1, 1),
        Flight("t", Kind.RECEIPT, "core-1", "core-2", 1_010, 0, 1, 1),
        Flight("t", Kind.RECEIPT, "core-2", "core-0", 2_010, 0, 1, 2),
    ]
    found = trip_segments(Trip("t", Kind.DATA, "core-0", "core-1", hops), positions(state))
    assert [(one.kind, one.label) for one in found] == [
        (Kind.DATA, "1.0 ms"),
        (Kind.RECEIPT, ""),
        (Kind.RECEIPT, ""),
    ]


def test_a_message_without_copies_has_the_colour_of_its_kind() -> None:
    state = swarm(40)
    alone = trip_segments(lookup(state, "core-1", "core-30"), positions(state))
    assert {(one.kind, one.copy) for one in alone} == {(Kind.LOOKUP, -1)}


def test_colours_of_copies_begin_anew_at_each_attempt() -> None:
    def hop(copy: int, attempt: int) -> Flight:
        return Flight("t", Kind.DATA, "core-0", "core-1", attempt, copy, attempt, 1)

    hops = [hop(0, 1), hop(1, 1), hop(0, 2)]
    assert copy_numbers(Trip("t", Kind.DATA, "", "", hops, ("lost", "lost", "intact"))) == [0, 1, 0]
    assert copy_numbers(Trip("t", Kind.DATA, "", "", hops[:1], ("lost", "lost"))) == [0, 1]


def test_a_branch_that_was_altered_is_spoiled() -> None:
    state = swarm(8)
    trip = broadcast(state, "core-4")
    trip.flights[0] = trip.flights[0]._replace(fate="altered")
    assert [one.is_spoiled for one in trip_segments(trip, positions(state))].count(True) == 1


def test_a_broadcast_is_a_tree_by_depth_that_reaches_everybody() -> None:
    state = swarm(60)
    found = trip_segments(broadcast(state, "core-4"), positions(state))
    assert {segment.trace for segment in found} == {Trace.TREE}
    assert len({segment.end for segment in found}) == 59
    assert {segment.depth for segment in found} == set(range(1, 7))


def test_lines_grow_with_the_story() -> None:
    state = swarm(40)
    trip = lookup(state, "core-1", "core-30")
    assert len(trip_segments(trip, positions(state), {hop_of(flight) for flight in trip.flights[1:]})) == 1
    tree = broadcast(state, "core-4")
    late = {hop_of(flight) for flight in tree.flights if flight.hops > 2}
    assert {one.depth for one in trip_segments(tree, positions(state), late)} == {1, 2}


def test_peers_that_are_gone_leave_no_lines() -> None:
    state = swarm(20)
    trip = lookup(state, "core-1", "core-15")
    del state.peers["core-1"]
    found = trip_segments(trip, positions(state))
    assert len(found) == sum("core-1" not in (hop.start, hop.end) for hop in trip.flights)


@given(st.floats(0, 1), st.floats(0.01, 0.99), st.floats(0, 1))
def test_a_bowed_line_keeps_its_ends_and_bows_towards_the_middle(
    turn: float, further: float, share: float
) -> None:
    start, end = on_circle(turn), on_circle(turn + further)
    bend = bend_of(Flight("t", Kind.DATA, "a", "b", 0, 0, 1, 1), start, end)
    assert along(start, end, bend, 0) == pytest.approx(start)
    assert along(start, end, bend, 1) == pytest.approx(end)
    x, y = along(start, end, bend, share)
    assert x * x + y * y <= 1 + 1e-9
    assert curve(Segment(Trace.HOP, start, end, bend=bend), 4)[2] == pytest.approx(
        along(start, end, bend, 0.5)
    )


def test_there_and_back_and_two_copies_are_different_lines() -> None:
    start, end = on_circle(0.1), on_circle(0.3)
    there = bend_of(Flight("t", Kind.LOOKUP, "a", "b", 0, 0, 1, 1), start, end)
    back = bend_of(Flight("t", Kind.LOOKUP, "b", "a", 0, 0, 1, 2), end, start)
    other = bend_of(Flight("t", Kind.DATA, "a", "b", 0, 1, 1, 1), start, end)
    middles = {
        along(start, end, there, 0.5),
        along(end, start, back, 0.5),
        along(start, end, other, 0.5),
    }
    assert len(middles) == 3
