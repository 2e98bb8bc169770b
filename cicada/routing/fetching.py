"""Asking the neighbours of a place, and whoever lives there, which record they have of it.

Neighbours have met the peer, and they are many: no single one of them, and no single relay, can say what all of them say.
So several points just before the place are asked, on ways of different colours: as many as are needed, and a spare one when an
answer is missing, or two came from the same peer.
"""

from __future__ import annotations

from itertools import cycle, islice
from random import Random

from cicada.ids import RING_SIZE, Address, Peer, Place, peer_at, place_from_bytes, place_to_bytes
from cicada.keys.io import RecordsFetched, Told
from cicada.limits import DeliveryLimits
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.paths import Ways
from cicada.routing.table import Routes, RoutingTable
from cicada.routing.timers import Timers
from cicada.wire.routed import GetRecord, RecordIs

_REQUEST_BITS = 62
_SMALL_RING = 16  # so many others are all known: r
_EACH = 2  # copies of a question: a lost one makes a first contact wait for fetch_seconds
_NEEDED = 3


class _Fetch:
    __slots__ = ("ends", "neighbours", "open", "spare", "told", "used", "wanted", "ways")

    def __init__(self, wanted: int, ends: float, ways: tuple[bytes, ...]) -> None:
        self.wanted = wanted
        self.ends = ends
        self.neighbours = 0  # that told something
        self.open: dict[int, Place] = {}  # questions to their points
        self.spare: list[Place] = []  # points that were not asked
        self.told: dict[Address, Told] = {}
        self.used: tuple[Peer, ...] = ()  # first hops
        self.ways = cycle(ways)  # each question its own, so that no relay sees two

    def is_asking_neighbours(self, place: Place) -> bool:
        """Whether an answer of another than ``place`` itself is awaited."""
        return any(point != place for point in self.open.values())


class Fetches:
    """Open questions by place, at most ``fetches``; each ends when all answered, or after ``fetch_seconds``."""

    def __init__(self, own: Peer, routes: Routes, ways: Ways, limits: DeliveryLimits, rng: Random) -> None:
        self._own = own
        self._routes = routes
        self._ways = ways
        self._limits = limits
        self._rng = rng
        self._open: dict[Place, _Fetch] = {}
        self._timers = Timers()

    def __len__(self) -> int:
        return len(self._open)

    def start(
        self, place: Place, knock: int | None, now: float, *, is_hidden: bool = False
    ) -> list[RouterOutput]:
        """Ask. ``knock`` numbers the question to the place itself, whose denial means that nobody lives there. The record of a
        hidden peer is with those after its place."""
        table = self._routes.table()
        if place in self._open:
            return []
        if table is None or len(self._open) >= self._limits.fetches:
            return [RecordsFetched(place, (), 0)]
        hop = table.next_hop(place)
        others = len(table) - (hop is not None and hop.place == place)
        fetch = self._open[place] = _Fetch(
            min(_NEEDED, others), now + self._limits.fetch_seconds, self._ways.draw(_EACH * (1 + _NEEDED))
        )
        self._timers.set(place, now + self._limits.fetch_spare)
        fetch.spare = self._points(table, place, is_hidden)
        outputs = self._ask(table, fetch, place, place, (), knock)
        for _ in range(_NEEDED):
            outputs += self._ask_next(table, fetch, place)
        return outputs or self._end(place)

    def on_record(self, answer: RecordIs, now: float) -> list[RouterOutput]:
        """Somebody answered. The first word of each peer counts."""
        place = place_from_bytes(answer.about)
        fetch = self._open.get(place)
        if fetch is None or answer.request not in fetch.open:
            return []
        del fetch.open[answer.request]
        origin = Address(answer.origin)
        is_there = peer_at(origin).place == place
        fetch.neighbours += not is_there and origin not in fetch.told
        succession = answer.succession if is_there else b""
        fetch.told.setdefault(origin, Told(origin, answer.record, succession))
        return self._go_on(place, fetch)

    def on_denial(self, place: Place, request: int) -> list[RouterOutput]:
        """A question was answered by NoSuchPeer."""
        fetch = self._open.get(place)
        if fetch is None or request not in fetch.open:
            return []
        del fetch.open[request]
        return self._go_on(place, fetch)

    def fire(self, now: float) -> list[RouterOutput]:
        """What came in time has to do. Before that, when an answer is missing, one more is asked."""
        outputs: list[RouterOutput] = []
        for key in self._timers.pop_due(now, self._limits.batch):
            place = Place(key)
            fetch = self._open[place]
            if now >= fetch.ends:
                outputs += self._end(place)
                continue
            self._timers.set(place, fetch.ends)
            table = self._routes.table()
            if table is not None and fetch.neighbours < fetch.wanted:
                outputs += self._ask_next(table, fetch, place)
        return outputs

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return self._timers.next_deadline()

    def _go_on(self, place: Place, fetch: _Fetch) -> list[RouterOutput]:
        """A question was answered: when all neighbours answered and are too few, ask one more; end when nothing is open."""
        table = self._routes.table()
        are_few = fetch.neighbours < fetch.wanted and not fetch.is_asking_neighbours(place)
        outputs = self._ask_next(table, fetch, place) if are_few and table is not None else []
        return outputs if fetch.open else self._end(place)

    def _ask_next(self, table: RoutingTable, fetch: _Fetch, place: Place) -> list[RouterOutput]:
        """Ask at the next point from where others can be reached, if there is one."""
        while fetch.spare:
            outputs = self._ask(table, fetch, place, fetch.spare.pop(0), fetch.used, None)
            if outputs:
                fetch.used += tuple(output.peer for output in outputs if isinstance(output, Forward))
                return outputs
        return []

    def _ask(
        self,
        table: RoutingTable,
        fetch: _Fetch,
        place: Place,
        point: Place,
        used: tuple[Peer, ...],
        request: int | None,
    ) -> list[RouterOutput]:
        legs = self._ways.along(table, point, tuple(islice(fetch.ways, _EACH)), used)
        if not legs:
            return []
        number = request or 1 + self._rng.getrandbits(_REQUEST_BITS)
        fetch.open[number] = point
        question = GetRecord(
            target=place_to_bytes(point),
            origin=self._own.address,
            hops=1,
            request=number,
            about=place_to_bytes(place),
        )
        return [leg.take(question) for leg in legs]

    def _points(self, table: RoutingTable, place: Place, is_after: bool) -> list[Place]:
        """Places of different peers before ``place``, or after it. In a small ring those of the peers there are."""
        if table.peers() <= _SMALL_RING + 1:
            known = table.last_before(place, self._limits.fetch_points)
            return [peer.place for peer in known]
        gap = table.mean_gap() * (-1 if is_after else self._limits.fetch_spacing)
        shift = self._rng.random()
        return [
            Place((place - int((number + shift) * gap) - 1) % RING_SIZE)
            for number in range(self._limits.fetch_points)
        ]

    def _end(self, place: Place) -> list[RouterOutput]:
        fetch = self._open.pop(place)
        self._timers.clear(place)
        return [RecordsFetched(place, tuple(fetch.told.values()), fetch.wanted)]
