"""Messages under way, slow enough to be seen. A hop takes a fraction of a millisecond; it is shown for about a third of a second,
and the hops of a trip one after another, so that a lookup is a story. Time here is seconds on the window's clock, which stands
while the picture is paused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from visualizer.model.state import Flight, Kind
from visualizer.scene.camera import Point
from visualizer.scene.detail import is_shown
from visualizer.scene.paths import Hop, along, bend_of, hop_of

P = TypeVar("P")

KINDS: Final = tuple(Kind)
HOP_S: Final = 0.32  # as long as an eye needs to follow a dot across the window (guess, tried out)
STAGGER_S: Final = 0.25  # what came together is begun within this time in its own order
LATEST_S: Final = (
    6.0  # a chain that would begin later than this is not shown: the picture would lie about now
)
REMEMBERED_ARRIVALS: Final = 8_192


class Leg(NamedTuple):
    """A flight with its time on the screen."""

    flight: Flight
    begins: float
    ends: float
    kind: int  # its number among the kinds: looked up a thousand times at each frame


class Choreography:
    """Which flight is shown when. ``take`` reads the state's flights again and again and adds what is new."""

    def __init__(self) -> None:
        self._legs: deque[Leg] = deque()
        self._last: Flight | None = None
        self._arrivals: dict[tuple[str, int, int, str], float] = {}

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The flights that are shown now or will be, in the order in which they came."""
        return tuple(self._legs)

    def take(self, flights: deque[Flight], now_s: float, shown_ms: float, speed: float = 1.0) -> None:
        """Adds the flights after the last one that was taken. When that one is not there (one jumped in time), all begin anew:
        each where it would be at ``shown_ms`` of the events' clock."""
        fresh, continues = self._fresh(flights)
        if not continues:
            self._legs.clear()
            self._arrivals.clear()
        if fresh:
            self._last = fresh[-1]
            first = min(flight.at_us for flight in fresh)
            for flight in sorted(fresh, key=lambda one: (one.at_us, one.hops)):
                if continues:
                    wished = now_s + min(STAGGER_S, (flight.at_us - first) / 1e6 / speed)
                else:
                    wished = now_s - (shown_ms - flight.at_us / 1000) / 1000 / speed
                self._add(flight, wished, now_s)
        elif not flights:
            self._last = None
        self._forget(now_s)

    def pending(self, hops: Collection[Hop], now_s: float) -> frozenset[Hop]:
        """Those of some hops that are still to be shown."""
        return frozenset(hop_of(leg.flight) for leg in self._legs if leg.begins > now_s) & frozenset(hops)

    def _fresh(self, flights: deque[Flight]) -> tuple[list[Flight], bool]:
        """What comes after the last one taken, and whether that is there. It may have another fate or trip by now."""
        fresh: list[Flight] = []
        last = hop_of(self._last) if self._last is not None else None
        for flight in reversed(flights):
            if flight is self._last or (last is not None and hop_of(flight) == last):
                fresh.reverse()
                return fresh, True
            fresh.append(flight)
        fresh.reverse()
        return fresh, False

    def _add(self, flight: Flight, wished: float, now_s: float) -> None:
        key = flight.trip, flight.copy, flight.attempt
        begins = max(wished, self._arrivals.get((*key, flight.start), wished))
        if begins > now_s + LATEST_S:
            return
        ends = begins + HOP_S
        self._arrivals[*key, flight.end] = ends
        if ends > now_s:
            self._legs.append(Leg(flight, begins, ends, KINDS.index(flight.kind)))

    def _forget(self, now_s: float) -> None:
        while self._legs and self._legs[0].ends <= now_s:
            self._legs.popleft()
        if len(self._legs) > 64 and self._legs[len(self._legs) // 2].ends <= now_s:
            self._legs = deque(leg for leg in self._legs if leg.ends > now_s)
        if len(self._arrivals) > REMEMBERED_ARRIVALS:
            self._arrivals = {key: at for key, at in self._arrivals.items() if at > now_s}
            while len(self._arrivals) > REMEMBERED_ARRIVALS:
                del self._arrivals[next(iter(self._arrivals))]

    def under_way(self, now_s: float, hidden: Collection[Kind] = ()) -> list[Leg]:
        """What is between two peers now."""
        found = [leg for leg in self._legs if leg.begins <= now_s < leg.ends]
        return [leg for leg in found if leg.flight.kind not in hidden] if hidden else found


def dots(
    legs: Iterable[Leg],
    now_s: float,
    positions: dict[str, Point],
    origin: Point,
    radius: float,
    pictures: Sequence[P],
    share: int = 1,
) -> list[tuple[P, Point]]:
    """Where messages are now, in pixels of a ring of ``radius`` about ``origin``, each with the one of ``pictures`` that
    belongs to its kind. One trip of ``share`` is shown."""
    found: list[tuple[P, Point]] = []
    left, top = origin
    for flight, begins, _, kind in legs:
        if flight.start not in positions or flight.end not in positions:
            continue
        if share > 1 and not is_shown(flight.trip, share):
            continue
        from_x, from_y = positions[flight.start]
        to_x, to_y = positions[flight.end]
        done = (now_s - begins) / HOP_S
        done *= done * (3 - 2 * done)
        found.append(
            (
                pictures[kind],
                (
                    left + (from_x + (to_x - from_x) * done) * radius,
                    top + (from_y + (to_y - from_y) * done) * radius,
                ),
            )
        )
    return found


def followed_dots(
    legs: Iterable[Leg], now_s: float, positions: dict[str, Point], origin: Point, radius: float
) -> list[tuple[Flight, Point]]:
    """Where the messages of the followed trip are now: on its drawn paths, and never sampled away."""
    found = []
    for leg in legs:
        flight = leg.flight
        if flight.start not in positions or flight.end not in positions:
            continue
        start, end = positions[flight.start], positions[flight.end]
        x, y = along(start, end, bend_of(flight, start, end), eased((now_s - leg.begins) / HOP_S))
        found.append((flight, (origin[0] + x * radius, origin[1] + y * radius)))
    return found


def eased(share: float) -> float:
    """The share of its way that a message is drawn at: it starts and arrives gently."""
    return share * share * (3 - 2 * share)
