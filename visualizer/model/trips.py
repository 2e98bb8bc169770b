"""Sampled messages: hop by hop, what became of their copies, and how a broadcast spread."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

from cicada.events import CopiesTraced, HopTaken, RelayMisbehaved
from visualizer.model.bounds import FLIGHTS_OF_TRIP, LATEST_MS, NAME, TRIPS
from visualizer.model.peers import name_at, name_of_target
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

_SEARCHED_FLIGHTS: Final = 1_024
"""Flights of all trips that are judged anew when one is known to be harmed: those before have landed long ago."""
_MOST_COPIES: Final = 64
_ALIASES: Final = 4 * TRIPS


class Trips:
    """The trips of a state. They are shared with copies of it until they change."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._own: set[str] = set()
        self._aliases: dict[str, str] = {}  # attempts and receipts that belong to another trip

    def share(self, state: SwarmState) -> Trips:
        """The trips of a copy of the state. Whichever of both changes a trip first does so on a copy of it."""
        self._own.clear()
        other = Trips(state)
        other._aliases = dict(self._aliases)
        return other

    def take_hop(self, event: HopTaken, start: str) -> None:
        """A message goes over one more link."""
        state = self._state
        kind = KINDS.get(event.kind, Kind.DATA)
        name = self._main(event.trip)
        trip = self._at(name)
        if trip is None:
            trip = self._begin(name, kind, event.origin, event.target)
        if trip.kind is Kind.RECEIPT and kind is not Kind.RECEIPT:
            trip.kind = kind
        fate = _fate(trip, event, start) if trip.harmed or trip.altered_by else ""
        end = state.addresses.get(event.remote, event.remote)
        at_us = event.at_us if 0 <= event.at_us <= LATEST_MS * 1000 else state.now_ms * 1000
        flight = Flight(trip.trip, kind, start, end, at_us, event.copy, event.attempt, event.hops, fate)
        state.flights.append(flight)
        state.sampled = max(1, event.sampled)
        if len(trip.flights) < FLIGHTS_OF_TRIP:
            trip.flights.append(flight)

    def take_copies(self, event: CopiesTraced, sender: str) -> None:
        """The sender knows what belongs together, and what became of the copies. Where nobody owned up to a loss, it was after
        the copy's last hop."""
        trip = self._gather(event, sender)
        trip.fates = event.fates[:_MOST_COPIES]
        whole = sum(fate == "intact" for fate in event.fates)
        trip.outcome = f"{whole} of {len(event.fates)} copies intact"
        for (attempt, number), fate in zip(_copies(event), trip.fates, strict=False):
            if fate in (ALTERED, LOST) and (number, attempt) not in trip.harmed:
                last = max(
                    (f for f in _outward(trip.flights) if (f.copy, f.attempt) == (number, attempt)),
                    key=lambda flight: flight.hops,
                    default=None,
                )
                if last is not None:
                    self._harm(trip, number, attempt, last.hops - 1, fate)

    def take_harm(self, event: RelayMisbehaved, relay: str) -> None:
        """A relay owns up to what it did to a copy: to the one that came to it, since copies go by different relays."""
        fate = LOST if event.behaviour == "drop" or event.field == "unreadable" else ALTERED
        trip = self._at(self._main(event.trip))
        if trip is None or (fate == ALTERED and not event.field):
            return  # not sampled; or sent astray, late or twice, but as it was
        if trip.kind is Kind.BROADCAST:
            if fate == ALTERED and relay in self._state.peers:
                trip.altered_by.add(relay)
            return  # whoever drops it is a leaf of the tree
        hit = _arrival(trip, relay, event)
        if hit is None:
            return
        if hit.kind is Kind.RECEIPT:
            self._judge(trip, hit.__eq__, fate)
        else:
            self._harm(trip, hit.copy, hit.attempt, hit.hops - (fate == LOST), fate)

    def finish(self, name: str, outcome: str) -> None:
        """How a trip ended, in words. Nothing happens when it is not known."""
        trip = self._at(self._main(name))
        if trip is not None:
            trip.outcome = outcome

    def _main(self, name: str) -> str:
        name = name[:NAME]
        return self._aliases.get(name, name)

    def _at(self, name: str) -> Trip | None:
        """A trip to be changed."""
        trips = self._state.trips
        if name in self._own:
            return trips.get(name)
        trip = trips.get(name)
        if trip is not None:
            trip = trips[name] = copy.copy(trip)
            trip.flights, trip.harmed = list(trip.flights), dict(trip.harmed)
            trip.altered_by = set(trip.altered_by)
            self._own.add(name)
        return trip

    def _begin(self, name: str, kind: Kind, origin: str, target: str) -> Trip:
        state = self._state
        if len(state.trips) >= TRIPS:
            oldest = next(iter(state.trips))
            del state.trips[oldest]
            self._own.discard(oldest)
        trip = Trip(name, kind, name_at(state, origin)[:NAME], name_of_target(state, target)[:NAME])
        state.trips[name] = trip
        self._own.add(name)
        return trip

    def _gather(self, event: CopiesTraced, sender: str) -> Trip:
        """One trip of all attempts and receipts of a message."""
        name = self._main(event.trip)
        trip = self._at(name) or self._begin(name, Kind.DATA, sender, event.target)
        for other in event.trips[:_MOST_COPIES]:
            part = self._main(other)
            if part == name:
                continue
            self._aliases[part] = name
            if len(self._aliases) > _ALIASES:
                del self._aliases[next(iter(self._aliases))]
            gathered = self._state.trips.pop(part, None)
            self._own.discard(part)
            if gathered is not None:
                trip.flights += [flight._replace(trip=name) for flight in gathered.flights]
                self._replace_flown({part}, lambda flight: flight._replace(trip=name))
        del trip.flights[FLIGHTS_OF_TRIP:]
        return trip

    def _harm(self, trip: Trip, copy_of: int, attempt: int, after: int, fate: str) -> None:
        """Whatever this copy does after so many links, it does altered, or not at all."""
        trip.harmed[copy_of, attempt] = (fate, after)

        def is_meant(flight: Flight) -> bool:
            key = (flight.copy, flight.attempt)
            return key == (copy_of, attempt) and flight.hops > after and flight.kind is not Kind.RECEIPT

        self._judge(trip, is_meant, fate)

    def _judge(self, trip: Trip, is_meant: Callable[[Flight], bool], fate: str) -> None:
        def judged(flight: Flight) -> Flight:
            return flight._replace(fate=fate) if is_meant(flight) else flight

        trip.flights = [judged(flight) for flight in trip.flights]
        self._replace_flown({trip.trip}, judged)

    def _replace_flown(self, trips: Collection[str], by: Callable[[Flight], Flight]) -> None:
        """What is known of these trips now is true of the flights of the whole swarm too."""
        flights = self._state.flights
        for index in range(len(flights) - 1, max(-1, len(flights) - 1 - _SEARCHED_FLIGHTS), -1):
            if flights[index].trip in trips:
                flights[index] = by(flights[index])


def _arrival(trip: Trip, relay: str, event: RelayMisbehaved) -> Flight | None:
    """How what was harmed came to the relay."""
    is_receipt = event.message == "DataAck"
    for flight in reversed(trip.flights):
        is_such = flight.end == relay and (flight.kind is Kind.RECEIPT) == is_receipt
        if is_such and (is_receipt or event.attempt in (0, flight.attempt)):
            return flight
    return None


def _fate(trip: Trip, event: HopTaken, start: str) -> str:
    """What is known to have happened to a message before this hop."""
    if event.kind == "receipt":
        return ""
    if start in trip.altered_by:
        return ALTERED
    fate, after = trip.harmed.get((event.copy, event.attempt), ("", 0))
    return fate if event.hops > after else ""


def _copies(event: CopiesTraced) -> list[tuple[int, int]]:
    """The attempt of each copy, and its number within that."""
    left: Counter[int] = Counter()
    copies = []
    for attempt in event.attempts[:_MOST_COPIES] or (1,) * min(len(event.fates), _MOST_COPIES):
        copies.append((attempt, left[attempt]))
        left[attempt] += 1
    return copies


def _outward(flights: Iterable[Flight]) -> Iterable[Flight]:
    return (flight for flight in flights if flight.kind is not Kind.RECEIPT)
