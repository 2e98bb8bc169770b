"""Sampled messages: hop by hop, what became of their copies, and how a broadcast spread."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple

from cicada.events import CopiesTraced, HopTaken, RelayMisbehaved
from visualizer.model.bounds import FLIGHTS_OF_TRIP, NAME, TRIPS
from visualizer.model.peers import name_at
from visualizer.model.state import Flight, Kind, SwarmState, Trip

KINDS: Final = {
    "lookup": Kind.LOOKUP,
    "answer": Kind.LOOKUP,
    "data": Kind.DATA,
    "receipt": Kind.RECEIPT,
    "broadcast": Kind.BROADCAST,
}
ALTERED: Final = "altered"
LOST: Final = "lost"

_SEARCHED_TRIPS: Final = 64
"""Trips that are looked through for the one that a relay harmed: it was on its way a moment ago."""
_SEARCHED_FLIGHTS: Final = 512
_MOST_COPIES: Final = 64


class Trips:
    """The trips of a state. They are shared with copies of it until they change."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._own: set[str] = set()

    def share(self) -> None:
        """From now on the trips are somebody else's too."""
        self._own.clear()

    def take_hop(self, event: HopTaken, start: str) -> None:
        """A message goes over one more link."""
        state = self._state
        kind = KINDS.get(event.kind, Kind.DATA)
        name = event.trip[:NAME]
        trip = self._at(name) or self._begin(name, event, kind)
        if trip.kind is Kind.RECEIPT and kind is not Kind.RECEIPT:
            trip.kind = kind
        harm = trip.harmed.get((event.copy, event.attempt)) if trip.harmed else None
        fate = harm[0] if harm is not None and event.hops > harm[1] and kind is not Kind.RECEIPT else ""
        end = state.addresses.get(event.remote, event.remote)
        flight = Flight(trip.trip, kind, start, end, event.at_us, event.copy, event.attempt, event.hops, fate)
        state.flights.append(flight)
        state.sampled = max(1, event.sampled)
        if len(trip.flights) < FLIGHTS_OF_TRIP:
            trip.flights.append(flight)

    def take_copies(self, event: CopiesTraced) -> None:
        """The sender knows what became of the copies. Where nobody told where one was lost, it was after its last hop."""
        trip = self._at(event.trip[:NAME])
        if trip is None:
            return
        trip.fates = event.fates[:_MOST_COPIES]
        whole = sum(fate == "intact" for fate in event.fates)
        trip.outcome = f"{whole} of {len(event.fates)} copies intact"
        for index, fate in enumerate(trip.fates):
            if fate in (ALTERED, LOST) and not any(copy_of == index for copy_of, _ in trip.harmed):
                last = max(
                    (f for f in trip.flights if f.copy == index and f.kind is not Kind.RECEIPT),
                    key=lambda flight: (flight.attempt, flight.hops),
                    default=None,
                )
                if last is not None:
                    self._harm(trip, last.copy, last.attempt, last.hops - 1, fate)

    def take_harm(self, event: RelayMisbehaved, relay: str) -> None:
        """A relay owns up to what it did to a copy: of which trip follows from where that copy was last."""
        fate = LOST if event.behaviour == "drop" or event.field == "unreadable" else ALTERED
        if fate == ALTERED and not event.field:
            return  # sent astray, late or twice, but as it was
        origin = name_at(self._state, event.origin)
        for trip in islice(reversed(self._state.trips.values()), _SEARCHED_TRIPS):
            if trip.origin != origin:
                continue
            hit = _arrival(trip, relay, event.index, event.attempt)
            if hit is not None and (hit.copy, hit.attempt) not in trip.harmed:
                own = self._at(trip.trip)
                if own is not None:
                    after = hit.hops - 1 if fate == LOST else hit.hops
                    self._harm(own, hit.copy, hit.attempt, after, fate)
                return

    def finish(self, name: str, outcome: str) -> None:
        """How a trip ended, in words. Nothing happens when it is not known."""
        trip = self._at(name)
        if trip is not None:
            trip.outcome = outcome

    def _at(self, name: str) -> Trip | None:
        """A trip to be changed."""
        trips = self._state.trips
        if name in self._own:
            return trips.get(name)
        trip = trips.get(name)
        if trip is not None:
            trip = trips[name] = copy.copy(trip)
            trip.flights, trip.harmed = list(trip.flights), dict(trip.harmed)
            self._own.add(name)
        return trip

    def _begin(self, name: str, event: HopTaken, kind: Kind) -> Trip:
        state = self._state
        if len(state.trips) >= TRIPS:
            oldest = next(iter(state.trips))
            del state.trips[oldest]
            self._own.discard(oldest)
        trip = Trip(name, kind, name_at(state, event.origin)[:NAME], name_at(state, event.target)[:NAME])
        state.trips[name] = trip
        self._own.add(name)
        return trip

    def _harm(self, trip: Trip, copy_of: int, attempt: int, after: int, fate: str) -> None:
        """Whatever this copy does after so many links, it does altered, or not at all."""
        trip.harmed[copy_of, attempt] = (fate, after)

        def judged(flight: Flight) -> Flight:
            is_meant = (flight.copy, flight.attempt) == (copy_of, attempt) and flight.hops > after
            return flight._replace(fate=fate) if is_meant and flight.kind is not Kind.RECEIPT else flight

        trip.flights = [judged(flight) for flight in trip.flights]
        flights = self._state.flights
        for index in range(len(flights) - 1, max(-1, len(flights) - 1 - _SEARCHED_FLIGHTS), -1):
            if flights[index].trip == trip.trip:
                flights[index] = judged(flights[index])


def _arrival(trip: Trip, relay: str, copy_of: int, attempt: int) -> Flight | None:
    """The flight that brought a copy to a relay; ``attempt`` 0: whichever."""
    for flight in reversed(trip.flights):
        if flight.end == relay and flight.copy == copy_of and attempt in (0, flight.attempt):
            return flight
    return None


class Leg(NamedTuple):
    """One hop of a trip; ``ms`` from when it left until whoever got it sent something on, None while nobody has."""

    flight: Flight
    ms: float | None


def legs(trip: Trip) -> tuple[Leg, ...]:
    """All hops of a trip in the order in which they were taken, with what each took."""
    onward: defaultdict[tuple[int, int, str], list[int]] = defaultdict(list)
    ordered = sorted(trip.flights, key=lambda flight: (flight.at_us, flight.hops))
    for flight in ordered:
        onward[flight.copy, flight.attempt, flight.start].append(flight.at_us)
    return tuple(_leg(flight, onward[flight.copy, flight.attempt, flight.end]) for flight in ordered)


def _leg(flight: Flight, onward: list[int]) -> Leg:
    index = bisect_right(onward, flight.at_us)
    return Leg(flight, (onward[index] - flight.at_us) / 1000 if index < len(onward) else None)


def tree(trip: Trip) -> dict[str, tuple[str, ...]]:
    """How a broadcast spread: whom each peer was the first to send it to."""
    reached = {trip.origin}
    children: defaultdict[str, list[str]] = defaultdict(list)
    for flight in sorted(_spreading(trip.flights), key=lambda flight: (flight.at_us, flight.hops)):
        if flight.end not in reached:
            reached.add(flight.end)
            children[flight.start].append(flight.end)
    return {start: tuple(ends) for start, ends in children.items()}


def _spreading(flights: Iterable[Flight]) -> Iterable[Flight]:
    return (flight for flight in flights if flight.kind is not Kind.RECEIPT)
