"""Asking the neighbours of a place, and whoever lives there, which record they have of it.

Neighbours have met the peer, and they are many: no single one of them, and no single relay, can say what all of them say.
So several points just before the place are asked, over different first hops.
"""

from __future__ import annotations

from random import Random

from cicada.ids import RING_SIZE, Address, Peer, Place, peer_at, place_from_bytes, place_to_bytes
from cicada.keys.io import RecordsFetched, Told
from cicada.limits import DeliveryLimits
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.paths import choose_paths
from cicada.routing.table import Routes, RoutingTable
from cicada.routing.timers import Timers
from cicada.wire.routed import GetRecord, RecordIs

_REQUEST_BITS = 62
_SMALL_RING = 16  # so many others are all known: r
_NEEDED = 3


class _Fetch:
    __slots__ = ("asked", "open", "told", "wanted")

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.asked = 0
        self.open: set[int] = set()
        self.told: dict[Address, Told] = {}


class Fetches:
    """Open questions by place, at most ``fetches``; each ends when all answered, or after ``fetch_seconds``."""

    def __init__(self, own: Peer, routes: Routes, limits: DeliveryLimits, rng: Random) -> None:
        self._own = own
        self._routes = routes
        self._limits = limits
        self._rng = rng
        self._open: dict[Place, _Fetch] = {}
        self._timers = Timers()

    def __len__(self) -> int:
        return len(self._open)

    def start(self, place: Place, knock: int | None, now: float) -> list[RouterOutput]:
        """Ask. ``knock`` numbers the question to the place itself, whose denial means that nobody lives there."""
        table = self._routes.table()
        if place in self._open:
            return []
        if table is None or len(self._open) >= self._limits.fetches:
            return [RecordsFetched(place, (), 0)]
        hop = table.next_hop(place)
        others = len(table) - (hop is not None and hop.place == place)
        fetch = self._open[place] = _Fetch(min(_NEEDED, others))
        self._timers.set(place, now + self._limits.fetch_seconds)
        outputs = self._ask(table, fetch, place, place, (), knock)
        used: tuple[Peer, ...] = ()
        for point in self._points(table, place):
            outputs += self._ask(table, fetch, place, point, used, None)
            used += tuple(output.peer for output in outputs[-1:] if isinstance(output, Forward))
        return outputs or self._end(place)

    def on_record(self, answer: RecordIs, now: float) -> list[RouterOutput]:
        """Somebody answered. The first word of each peer counts."""
        place = place_from_bytes(answer.about)
        fetch = self._open.get(place)
        if fetch is None or answer.request not in fetch.open:
            return []
        fetch.open.discard(answer.request)
        origin = Address(answer.origin)
        is_there = peer_at(origin).place == place
        succession = answer.succession if is_there else b""
        fetch.told.setdefault(origin, Told(origin, answer.record, succession))
        return self._end(place) if not fetch.open else []

    def on_denial(self, place: Place, request: int) -> list[RouterOutput]:
        """A question was answered by NoSuchPeer."""
        fetch = self._open.get(place)
        if fetch is None or request not in fetch.open:
            return []
        fetch.open.discard(request)
        return self._end(place) if not fetch.open else []

    def fire(self, now: float) -> list[RouterOutput]:
        """What came in time has to do."""
        outputs: list[RouterOutput] = []
        for key in self._timers.pop_due(now, self._limits.batch):
            outputs += self._end(Place(key))
        return outputs

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return self._timers.next_deadline()

    def _ask(
        self,
        table: RoutingTable,
        fetch: _Fetch,
        place: Place,
        point: Place,
        used: tuple[Peer, ...],
        request: int | None,
    ) -> list[RouterOutput]:
        hops = choose_paths(table, point, 1, used)
        if not hops:
            return []
        number = request or 1 + self._rng.getrandbits(_REQUEST_BITS)
        fetch.open.add(number)
        question = GetRecord(
            target=place_to_bytes(point),
            origin=self._own.address,
            hops=1,
            request=number,
            about=place_to_bytes(place),
        )
        return [Forward(hops[0], question, None)]

    def _points(self, table: RoutingTable, place: Place) -> list[Place]:
        """Places of different peers before ``place``. In a small ring those of the peers there are."""
        if len(table) <= _SMALL_RING:
            known = table.last_before(place, self._limits.fetch_points)
            return [peer.place for peer in known]
        gap = table.mean_gap() * self._limits.fetch_spacing
        shift = self._rng.random()
        return [
            Place((place - int((number + shift) * gap) - 1) % RING_SIZE)
            for number in range(self._limits.fetch_points)
        ]

    def _end(self, place: Place) -> list[RouterOutput]:
        fetch = self._open.pop(place)
        self._timers.clear(place)
        return [RecordsFetched(place, tuple(fetch.told.values()), fetch.wanted)]
