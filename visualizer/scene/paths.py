"""Which lines to draw: the ring as its members see it, tables of the selection, and the way of a message."""

from __future__ import annotations

import enum
import math
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from visualizer.model.state import Flight, Kind, PeerView, SwarmState, Trip
from visualizer.scene.camera import Point
from visualizer.scene.layout import in_ring, on_circle, turn_at
from visualizer.view import View

STUB_TURN: Final = 0.012  # of the circle: how far a missing successor's stub reaches
BEND: Final = 0.06  # of its length: how far a hop across the whole ring bows
BEND_OF_SHORT: Final = 0.26  # how much more one between neighbours
COPY_BEND: Final = 0.035  # how much more each copy
BACK: Final = 0.55  # of that in one of the two directions
UNKNOWN_MS: Final = -1.0
ALTERED: Final = "altered"
LOST: Final = "lost"


class Trace(enum.Enum):
    """What a line means."""

    SUCCESSOR = "successor"  # right: along the circle
    WRONG = "wrong"  # to whom it should not go, along the circle
    STRAY = "stray"  # wrong, and beyond the due one: across
    GAP = "gap"  # where the ring is open: to whom it should go, along the circle, dashed
    MISSING = "missing"  # a dangling stub
    FINGER = "finger"
    LINK = "link"
    HOP = "hop"
    TREE = "tree"


class Ending(enum.Enum):
    """What is at a line's end."""

    NONE = "none"
    ARROW = "arrow"
    ALTERED = "altered"  # an arrow, and a cross where it begins: there it was altered
    LOST = "lost"  # it breaks off before


class Segment(NamedTuple):
    """A line in ring units. ``bend``: how far it bows to the left of its way, as a share of its length."""

    trace: Trace
    start: Point
    end: Point
    peer: str = ""  # whose it is
    kind: Kind = Kind.DATA
    copy: int = -1  # none: the message has no copies
    depth: int = 0
    bend: float = 0.0
    label: str = ""
    ending: Ending = Ending.NONE
    is_spoiled: bool = False  # what goes here is not what was sent


def ring_segments(state: SwarmState, positions: dict[str, Point]) -> list[Segment]:
    """Every live member's successor: right ones clockwise to the next member, wrong ones where they go, missing as a stub,
    and the gap that they leave."""
    ring = in_ring(state)
    if len(ring) < 2:
        return []
    wrong = {link.peer: link.seen for link in state.health.wrong}
    names = {peer.address: peer.name for peer in state.peers.values()}
    found = []
    for peer, due in zip(ring, ring[1:] + ring[:1], strict=True):
        start, end = positions[peer.name], positions[due.name]
        if peer.name not in wrong:
            found.append(Segment(Trace.SUCCESSOR, start, end, peer.name))
            continue
        seen = names.get(wrong[peer.name], "")
        found.append(Segment(Trace.GAP, start, end, peer.name))
        found.append(_wrong(peer.name, start, end, positions.get(seen)))
    return found


def _wrong(peer: str, start: Point, due: Point, seen: Point | None) -> Segment:
    if seen is None or seen == start:
        end = on_circle(turn_at(start) + STUB_TURN, 1.035)
        return Segment(Trace.MISSING, start, end, peer, ending=Ending.LOST)
    way, whole = (turn_at(seen) - turn_at(start)) % 1.0, (turn_at(due) - turn_at(start)) % 1.0
    trace = Trace.WRONG if way <= whole else Trace.STRAY
    return Segment(trace, start, seen, peer, bend=0.12, ending=Ending.ARROW)


def table_segments(state: SwarmState, view: View, positions: dict[str, Point]) -> list[Segment]:
    """Fingers and known peers of the selection, as far as they are switched on."""
    names = {peer.address: peer.name for peer in state.peers.values()}
    found = []
    for name in sorted(chosen(state, view)):
        peer = state.peers[name]
        if view.shows_known:
            found += _chords(Trace.LINK, peer, known_to(peer), names, positions)
        if view.shows_fingers:
            found += _chords(Trace.FINGER, peer, peer.fingers, names, positions)
    return found


def known_to(peer: PeerView) -> set[str]:
    """All addresses that a peer knows: successors, predecessor, fingers, links."""
    return {*peer.successors, *peer.fingers, *peer.links, peer.predecessor} - {"", peer.address}


def _chords(
    trace: Trace,
    peer: PeerView,
    addresses: Iterable[str],
    names: dict[str, str],
    positions: dict[str, Point],
) -> list[Segment]:
    here = positions[peer.name]
    others = (names.get(address, "") for address in sorted(addresses))
    return [Segment(trace, here, positions[other], peer.name) for other in others if other in positions]


def chosen(state: SwarmState, view: View) -> set[str]:
    """Who is selected or has the inspector open, as far as the swarm knows them."""
    return (view.selected | {view.pinned}) & state.peers.keys()


def focus(state: SwarmState, view: View) -> frozenset[str] | None:
    """Who stays bright: the chosen ones and their neighbours, or who is on the followed trip. None: everybody."""
    trip = state.trips.get(view.followed)
    if trip is not None:
        return frozenset(
            {trip.origin, trip.target}
            | {end for flight in trip.flights for end in (flight.start, flight.end)}
        )
    picked = chosen(state, view)
    if not picked:
        return None if not view.only_group else _members(state, view.only_group)
    names = {peer.address: peer.name for peer in state.peers.values()}
    near = set(picked)
    for name in picked:
        peer = state.peers[name]
        addresses = (
            known_to(peer) if view.shows_known else {*peer.successors, *peer.fingers, peer.predecessor}
        )
        near |= {names[address] for address in addresses if address in names}
    return frozenset(near)


def _members(state: SwarmState, group: str) -> frozenset[str]:
    return frozenset(peer.name for peer in state.peers.values() if peer.group == group)


def bend_of(flight: Flight, start: Point, end: Point) -> float:
    """How far a hop bows towards the middle: short ones more, which would else lie on the ring; each copy otherwise, and there
    otherwise than back, so that lines between the same peers stay apart."""
    length = math.dist(start, end)
    bow = BEND + BEND_OF_SHORT * max(0.0, 1 - length / 2) + COPY_BEND * flight.copy
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    inwards = -(middle[0] * (end[1] - start[1]) - middle[1] * (end[0] - start[0]))
    return math.copysign(bow, inwards) * (BACK if flight.start > flight.end else 1.0)


Hop = tuple[
    int, str, str
]  # when it was taken, from whom, to whom: the same whatever becomes known of it later


def hop_of(flight: Flight) -> Hop:
    """Which hop it is, by what never changes."""
    return flight.at_us, flight.start, flight.end


def trip_segments(trip: Trip, positions: dict[str, Point], pending: Collection[Hop] = ()) -> list[Segment]:
    """The way of a message hop by hop: copies apart with what became of them, a broadcast as its tree, other hops with ms.
    Without hops that are ``pending``: the picture has not come to them yet.
    """
    alone, harmed, found = not has_copies(trip), set[tuple[int, int]](), []
    for hop, time in hop_times(trip.flights):
        if hop.start not in positions or hop.end not in positions or hop_of(hop) in pending:
            continue
        start, end = positions[hop.start], positions[hop.end]
        if trip.kind is Kind.BROADCAST:
            found.append(_tree(hop, start, end))
            continue
        is_first = bool(hop.fate) and (hop.copy, hop.attempt) not in harmed
        if is_first:
            harmed.add((hop.copy, hop.attempt))
        segment = _hop(hop, start, end, hop_text(time), is_first)
        found.append(segment._replace(copy=-1) if alone else segment)
    return found


def _tree(hop: Flight, start: Point, end: Point) -> Segment:
    return Segment(
        Trace.TREE,
        start,
        end,
        hop.start,
        depth=hop.hops,
        bend=bend_of(hop, start, end),
        is_spoiled=hop.fate == ALTERED,
    )


def _hop(hop: Flight, start: Point, end: Point, time: str, is_first_harmed: bool) -> Segment:
    ending = Ending.ARROW
    if hop.fate == LOST:
        ending = Ending.LOST
    elif is_first_harmed:
        ending = Ending.ALTERED
    label = "" if hop.kind is Kind.RECEIPT else time
    if ending is not Ending.ARROW:
        label = hop.fate
    return Segment(
        Trace.HOP,
        start,
        end,
        hop.start,
        kind=hop.kind,
        copy=hop.copy,
        depth=hop.hops,
        bend=bend_of(hop, start, end),
        label=label,
        ending=ending,
        is_spoiled=hop.fate == ALTERED,
    )


def has_copies(trip: Trip) -> bool:
    """Whether a message went in several copies, which are then told apart by their colours."""
    return len(trip.fates) > 1 or any(hop.copy for hop in trip.flights)


def hop_times(flights: list[Flight]) -> list[tuple[Flight, float]]:
    """The hops in the order in which they were taken, each with the milliseconds until who received it sent the next of that
    copy; UNKNOWN_MS when it sent none.

    They are of two peers' clocks when the hop is: on one machine exact, between machines as good as their clocks agree.
    """
    following: dict[tuple[str, int, int], int] = {}
    ordered = sorted(flights, key=lambda flight: (flight.at_us, flight.hops))
    times = []
    for hop in reversed(ordered):
        then = following.get((hop.end, hop.copy, hop.attempt))
        times.append((hop, UNKNOWN_MS if then is None else (then - hop.at_us) / 1000))
        following[hop.start, hop.copy, hop.attempt] = hop.at_us
    times.reverse()
    return times


def copy_numbers(trip: Trip) -> list[int]:
    """The number of each copy that a fate is told of, which its colour goes by: every attempt numbers its copies anew."""
    seen = sorted({(hop.attempt, hop.copy) for hop in trip.flights if hop.kind is not Kind.RECEIPT})
    if len(seen) == len(trip.fates):
        return [number for _, number in seen]
    return list(range(len(trip.fates)))


def hop_text(milliseconds: float) -> str:
    """A hop's time to be read at a glance; empty when it is not known."""
    if milliseconds < 0:
        return ""
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"


def curve(segment: Segment, points: int = 22) -> list[Point]:
    """A bowed line as a polyline of that many pieces; one piece when it is straight."""
    if not segment.bend:
        return [segment.start, segment.end]
    return [along(segment.start, segment.end, segment.bend, step / points) for step in range(points + 1)]


def along(start: Point, end: Point, bend: float, share: float) -> Point:
    """The point of a bowed line after a share of its way."""
    across, down = end[0] - start[0], end[1] - start[1]
    bow = 4 * bend * share * (1 - share)
    return start[0] + across * share + down * bow, start[1] + down * share - across * bow
