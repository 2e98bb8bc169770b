"""Who is next: the peers this one knows, by clockwise distance, and the greedy choice among them.

A message moves to the known peer nearest to its target that does not lie past it, so the distance left shrinks with
every hop and paths cannot loop (Chord, section 4.3, with all known peers as fingers).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from typing import Final

from cicada.chord.io import TableChanged
from cicada.hosts import HostOf, by_peer
from cicada.ids import RING_SIZE, Peer, Place, is_hidden
from cicada.limits import DeliveryLimits
from cicada.routing.colours import colouring

_MASK = RING_SIZE - 1
_NEAREST = 16  # r: so many successors are known without gaps
_HARD: Final = 4  # candidates for each colour that make a table large: then a colour costs next to nothing
_TRIES: Final = 8  # candidates looked at for each colour: at k = 4 none fits once in 10,000 times
_REMEMBERED: Final = 512  # coloured choices; proven ways are taken again and again


class RoutingTable:
    """Known peers sorted by clockwise distance from ``own``. Immutable; ``lost`` peers are left out.

    ``arc`` is the distance to the head: places strictly inside it belong to nobody. In a ring of one it is the
    whole circle. ``host_of`` names what has a colour.
    """

    __slots__ = ("_chosen", "_delegates", "_distances", "_hops", "_host_of", "_hosts", "_own", "arc")

    def __init__(
        self,
        own: Peer,
        head: Peer,
        known: Collection[Peer],
        lost: Collection[Peer] = frozenset(),
        host_of: HostOf = by_peer,
    ) -> None:
        self._own: int = own.place
        self.arc: int = (head.place - own.place) & _MASK or RING_SIZE
        usable = {*known, head}.difference(lost, (own,))
        entries = sorted(((peer.place - self._own) & _MASK, peer.address, peer) for peer in usable)
        self._distances = [distance for distance, _, _ in entries]
        self._hops: list[Peer | None] = [None, *(peer for _, _, peer in entries)]
        self._delegates = _spread(self._distances)
        self._host_of = host_of
        self._hosts: list[bytes] = []  # of each hop; empty until a coloured message comes
        self._chosen: dict[tuple[bytes, int], Peer | None] = {}

    def __len__(self) -> int:
        return len(self._distances)

    def next_hop(self, place: int) -> Peer | None:
        """The known peer of best progress towards ``place``: at it or before it, never past it."""
        return self._hops[bisect_right(self._distances, (place - self._own) & _MASK)]

    def next_hops(self, place: int, count: int, exclude: Collection[Peer] = frozenset()) -> tuple[Peer, ...]:
        """Up to ``count`` distinct peers of progress towards ``place``, best first, none of ``exclude``."""
        chosen: list[Peer] = []
        position = bisect_right(self._distances, (place - self._own) & _MASK)
        while len(chosen) < count:
            hop = self._hops[position]
            if hop is None:
                break
            if hop not in exclude:
                chosen.append(hop)
            position -= 1
        return tuple(chosen)

    def knows(self, place: int) -> Peer | None:
        """The peer at ``place``, if it is known."""
        hop = self.next_hop(place)
        return hop if hop is not None and hop.place == place else None

    def coloured_hop(self, place: int, way: bytes) -> Peer | None:
        """The peer of best progress that is of the colour of ``way``; the peer at ``place`` itself whatever its colour.

        None when there is no such peer, or, in a table of less than four peers a colour, when keeping the colour would cost
        more than one halving of the distance: then the plain choice is better.
        """
        key = (way, place)
        try:
            return self._chosen[key]
        except KeyError:
            pass
        if len(self._chosen) >= _REMEMBERED:
            self._chosen.clear()
        position = bisect_right(self._distances, (place - self._own) & _MASK)
        hop = self._hops[position]
        if hop is not None and hop.place != place:
            hop = self._first_of_colour(position, self._least(place, position, way[-2]), way)
        self._chosen[key] = hop
        return hop

    def coloured_relay(self, place: int, way: bytes, exclude: Collection[Peer] = frozenset()) -> Peer | None:
        """As ``coloured_hop``, but none of ``exclude``, and nobody is exempt."""
        position = bisect_right(self._distances, (place - self._own) & _MASK)
        while position and self._hops[position] in exclude:
            position -= 1
        return self._first_of_colour(position, self._least(place, position, way[-2]), way, exclude)

    def coloured_beyond(self, place: int, way: bytes, exclude: Collection[Peer] = frozenset()) -> Peer | None:
        """The peer of that colour beyond ``place`` from which it is least far clockwise, so nearest before the own place.

        For the first hop alone: from there on every hop makes progress again.
        """
        beyond = bisect_right(self._distances, (place - self._own) & _MASK)
        return self._first_of_colour(len(self._distances), beyond, way, exclude)

    def nobody_at(self, place: int) -> bool:
        """Whether the ring says that nobody lives there: strictly between this peer and its head."""
        return 0 < (place - self._own) & _MASK < self.arc

    def distance(self, place: int) -> int:
        """Clockwise distance from the own place, below the size of the circle."""
        return (place - self._own) & _MASK

    def place(self, distance: int) -> Place:
        """The place that many steps clockwise from the own one."""
        return Place((self._own + distance) & _MASK)

    def before(self, distance: int) -> Peer | None:
        """The last known peer strictly nearer than ``distance``."""
        return self._hops[bisect_left(self._distances, distance)]

    def last_before(self, place: int, count: int) -> tuple[Peer, ...]:
        """Up to ``count`` known peers before ``place``, the nearest first, once around the circle."""
        end = bisect_left(self._distances, (place - self._own) & _MASK)
        around = [*reversed(self._hops[1 : end + 1]), *reversed(self._hops[end + 1 :])]
        return tuple(peer for peer in around if peer is not None and peer.place != place)[:count]

    def mean_gap(self) -> int:
        """The mean distance between neighbours, from the successors that are known without gaps."""
        number = min(len(self._distances), _NEAREST)
        return self._distances[number - 1] // number if number else RING_SIZE

    def peers(self) -> int:
        """How many peers the ring has, this one included: known while there are few, else by how near the neighbours are."""
        number = len(self._distances)
        return number + 1 if number <= _NEAREST else RING_SIZE // self.mean_gap()

    def next_ones(self, count: int) -> tuple[Peer, ...]:
        """Up to ``count`` known peers that come after this one."""
        return tuple(peer for peer in self._hops[1 : count + 1] if peer is not None)

    def spread_out(self) -> tuple[Peer, ...]:
        """The known peers among which a broadcast's intervals are shared: some for each doubling of the distance."""
        return tuple(self._entry(position)[1] for position in self._delegates)

    def delegates(self, start: int, limit: int) -> tuple[tuple[int, Peer], ...]:
        """Peers to share the distances in [start, limit) among, nearest first, with their distances.

        The first known peer of the range is among them, so that nobody lies before the first. The others are spread
        so that their number and the depth of the tree they begin grow with the logarithm of the ring.
        """
        first = bisect_left(self._distances, start)
        last = bisect_left(self._distances, limit)
        if first >= last:
            return ()
        spread = self._delegates[bisect_right(self._delegates, first) : bisect_left(self._delegates, last)]
        return tuple(self._entry(position) for position in (first, *spread))

    def _first_of_colour(
        self, position: int, least: int, way: bytes, exclude: Collection[Peer] = frozenset()
    ) -> Peer | None:
        """The first peer of the way's colour from ``position`` down to above ``least``. Relays come here with every message on
        a fresh way: ``colour_of``, with what is the same for all hosts done once."""
        k, colour, attempt = way[-2], way[-1], way[-3:-2]
        keyed = colouring(way)
        hosts, hops = self._hosts or self._name_hosts(), self._hops
        for number in range(position, max(position - _TRIES * k, least), -1):
            hashed = keyed.copy()
            hashed.update(hosts[number] + attempt)
            if int.from_bytes(hashed.digest(), "big") % k == colour and hops[number] not in exclude:
                return hops[number]
        return None

    def _name_hosts(self) -> list[bytes]:
        host_of = self._host_of
        self._hosts = [b"" if hop is None else host_of(hop.address).encode() for hop in self._hops]
        return self._hosts

    def _least(self, place: int, position: int, k: int) -> int:
        """The position that a peer of one of ``k`` colours must be above. In a small table it must lie at most twice as far
        from ``place`` as the best one. Within reach of lists of successors nearer is no better: all there know that place."""
        if len(self._distances) >= _HARD * k or not position:
            return 0
        left = (place - self._own) & _MASK
        zone = self._distances[min(len(self._distances), _NEAREST) - 1]
        nearest = left - 2 * max(left - self._distances[position - 1], zone)
        return bisect_left(self._distances, nearest)

    def _entry(self, position: int) -> tuple[int, Peer]:
        hop = self._hops[position + 1]
        if hop is None:
            raise IndexError(position)
        return self._distances[position], hop


class OutsideTable(RoutingTable):
    """That of a hidden peer, which is no member: it sends by its relays alone, and no place is nobody's as far as it can tell.

    ``gap`` is the mean distance between members, as the relays say.
    """

    __slots__ = ("_gap", "_relays")

    def __init__(self, own: Peer, relays: Sequence[Peer], gap: int, host_of: HostOf = by_peer) -> None:
        super().__init__(own, relays[0], relays, host_of=host_of)
        self._relays = tuple(relays)
        self._gap = gap

    def next_hop(self, place: int) -> Peer | None:
        return super().next_hop(place) or self._hops[-1]

    def next_hops(self, place: int, count: int, exclude: Collection[Peer] = frozenset()) -> tuple[Peer, ...]:
        nearest = self.last_before(place, len(self))
        there = self.knows(place)
        ordered = nearest if there is None else (there, *nearest)
        return tuple(peer for peer in ordered if peer not in exclude)[:count]

    def coloured_relay(self, place: int, way: bytes, exclude: Collection[Peer] = frozenset()) -> Peer | None:
        """Each colour has a relay of its own, as far as there are as many."""
        relays = [peer for peer in self._relays if peer not in exclude]
        return relays[(way[-1] + way[-3]) % len(relays)] if relays else None

    def place(self, distance: int) -> Place:
        """Once around the circle ends before the first relay: nothing before it is served by another."""
        first = self._hops[1]
        if distance < RING_SIZE or first is None:
            return super().place(distance)
        return Place((first.place - 1) & _MASK)

    def nobody_at(self, place: int) -> bool:
        return False

    def mean_gap(self) -> int:
        return self._gap

    def peers(self) -> int:
        return RING_SIZE // max(self._gap, 1)


def _spread(distances: list[int]) -> list[int]:
    """Positions of the nearest peer of each doubling interval of distance, and of every doubling rank.

    Distances halve what is left where the table is sparse; ranks do where it is complete and peers are bunched.
    """
    chosen: list[int] = []
    interval = 0
    for position, distance in enumerate(distances):
        if distance.bit_length() != interval or (position + 1) & position == 0:
            chosen.append(position)
            interval = distance.bit_length()
    return chosen


class Routes:
    """What the ring last said, less the next hops that were lost since."""

    def __init__(self, own: Peer, limits: DeliveryLimits, host_of: HostOf = by_peer) -> None:
        self._own = own
        self._limits = limits
        self._host_of = host_of
        self._said = TableChanged(head=None, predecessor=None, known=())
        self._lost: dict[Peer, float] = {}
        self._table: RoutingTable | None = None
        self._is_current = True
        self._is_outside = is_hidden(own.address)

    def table(self) -> RoutingTable | None:
        """The table to route by at present; None while this peer is not in a ring.

        Made when first asked for: while peers join in masses it changes far more often than messages need it.
        """
        if not self._is_current:
            self._is_current = True
            head = self._said.head
            if head is None:
                self._table = None
            else:
                self._table = RoutingTable(self._own, head, self._said.known, self._lost, self._host_of)
        return self._table

    def lodge(self, relays: Sequence[Peer], gap: int) -> None:
        """Route by these relays, as a hidden peer does; without any not at all."""
        self._table = OutsideTable(self._own, relays, gap, self._host_of) if relays else None

    def update(self, change: TableChanged) -> None:
        """Route by what the ring says now. A lost peer that it lists still has to wait out its time."""
        if self._is_outside:  # no ring says anything about it
            return
        self._said = change
        self._is_current = False
        if self._lost:
            listed = {*change.known, change.head}
            self._lost = {peer: until for peer, until in self._lost.items() if peer in listed}

    def lose(self, peer: Peer, now: float) -> None:
        """Leave ``peer`` out for ``lost_hop_seconds``, or until the ring drops it. Strangers are ignored."""
        if peer in self._said.known or peer == self._said.head:
            self._lost[peer] = now + self._limits.lost_hop_seconds
            self._is_current = False

    def restore(self, now: float) -> None:
        """Use lost peers again whose time is over and that the ring never dropped."""
        over = [peer for peer, until in self._lost.items() if until <= now]
        for peer in over:
            del self._lost[peer]
            self._is_current = False

    def next_deadline(self) -> float | None:
        """When ``restore`` has something to do."""
        return min(self._lost.values()) if self._lost else None
