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


class Trace(enum.Enum):
    """What a line means."""

    SUCCESSOR = "successor"  # right: along the circle
    WRONG = "wrong"  # to whom it should not go, along the circle
    STRAY = "stray"  # wrong, and beyond the due one: across
    GAP = "gap"  # where the ring is open: to whom it should go, along the circle, dashed
    MISSING = "missing"  # a dangling stub
    FINGER = "finger"
    LINK = "link"
    TIE = "tie"
    HOP = "hop"
    TREE = "tree"


class Ending(enum.Enum):
    """What is at a line's end."""

    NONE = "none"
    ARROW = "arrow"
    ALTERED = "altered"  # a cross
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


def trip_segments(trip: Trip, positions: dict[str, Point], pending: Collection[Flight] = ()) -> list[Segment]:
    """The way of a message hop by hop: copies apart with what became of them, a broadcast as its tree, other hops with ms.
    Without hops that are ``pending``: the picture has not come to them yet.
    """
    if trip.kind is Kind.BROADCAST:
        return [
            _tree(hop, positions[hop.start], positions[hop.end])
            for hop in trip.flights
            if hop.start in positions and hop.end in positions and hop not in pending
        ]
    alone = not has_copies(trip)
    last = {hop.copy: index for index, hop in enumerate(trip.flights) if hop.kind is not Kind.RECEIPT}
    times = hop_times(trip.flights)
    found = []
    for index, hop in enumerate(trip.flights):
        if hop.start not in positions or hop.end not in positions or hop in pending:
            continue
        fate = hop.fate or (_fate(trip, hop.copy) if last.get(hop.copy) == index else "")
        segment = _hop(hop, positions[hop.start], positions[hop.end], fate, hop_text(times[index]))
        found.append(segment._replace(copy=-1) if alone else segment)
    return found


def _tree(hop: Flight, start: Point, end: Point) -> Segment:
    return Segment(Trace.TREE, start, end, hop.start, depth=hop.hops, bend=bend_of(hop, start, end))


def _hop(hop: Flight, start: Point, end: Point, fate: str, time: str) -> Segment:
    ending = {"altered": Ending.ALTERED, "lost": Ending.LOST}.get(fate, Ending.ARROW)
    return Segment(
        Trace.HOP,
        start,
        end,
        hop.start,
        kind=hop.kind,
        copy=hop.copy,
        depth=hop.hops,
        bend=bend_of(hop, start, end),
        label=time if ending is Ending.ARROW else fate,
        ending=ending,
    )


def has_copies(trip: Trip) -> bool:
    """Whether a message went in several copies, which are then told apart by their colours."""
    return len(trip.fates) > 1 or any(hop.copy for hop in trip.flights)


def _fate(trip: Trip, copy: int) -> str:
    return trip.fates[copy] if copy < len(trip.fates) else ""


def hop_times(flights: list[Flight]) -> list[float]:
    """Milliseconds until who received each hop sent the next of that trip; UNKNOWN_MS when it sent none.

    They are of two peers' clocks when the hop is: on one machine exact, between machines as good as their clocks agree.
    """
    following: dict[tuple[str, int, int], int] = {}
    times = [UNKNOWN_MS] * len(flights)
    for index in range(len(flights) - 1, -1, -1):
        hop = flights[index]
        then = following.get((hop.end, hop.copy, hop.attempt))
        if then is not None and then >= hop.at_us:
            times[index] = (then - hop.at_us) / 1000
        following[hop.start, hop.copy, hop.attempt] = hop.at_us
    return times


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
