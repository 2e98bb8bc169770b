"""Which first hops and ways the copies of one attempt take, and what a peer says of places that nobody owns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import cycle, islice
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from cicada.ids import Address, Peer, Place, peer_at, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.colours import SEED_BYTES, Way
from cicada.routing.homes import Homes
from cicada.routing.table import RoutingTable
from cicada.transport.linkio import Forward
from cicada.wire.routed import Contact, Data, GetRecord, Lodging, NoSuchPeer

_NOBODY: frozenset[Peer] = frozenset()


class Entropy(Protocol):
    """Where seeds come from: the operating system, except in simulations."""

    def randbytes(self, n: int, /) -> bytes:
        """``n`` bytes that no peer can guess."""
        ...


class Leg(NamedTuple):
    """How one copy leaves. ``strayed``: its first hop is not of its colour. ``home``: the relay that passes it on to a hidden
    destination."""

    hop: Peer
    way: bytes
    strayed: bool = False
    home: Peer | None = None

    def aim(self, target: bytes) -> tuple[bytes, Lodging | None]:
        """``target`` and ``lodging`` of a message for ``target`` that leaves so."""
        if self.home is None:
            return target, None
        return place_to_bytes(self.home.place), Lodging(to=target)

    def take(self, message: Contact | GetRecord) -> Forward:
        """The message on this leg."""
        target, lodging = self.aim(message.target)
        return Forward(self.hop, replace(message, target=target, way=self.way, lodging=lodging), None)


class Ways:
    """Ways for what one peer sends. ``homes`` tells where hidden destinations lodge, ``lodgers`` which of them do so here."""

    def __init__(
        self,
        limits: DeliveryLimits,
        entropy: Entropy,
        homes: Homes | None = None,
        lodgers: Callable[[Place], Peer | None] = lambda place: None,
    ) -> None:
        self._limits = limits
        self._entropy = entropy
        self.homes = Homes() if homes is None else homes
        self._lodgers = lodgers

    def fresh(
        self,
        table: RoutingTable,
        place: Place,
        copies: int,
        attempt: int = 1,
        avoid: Collection[Peer] = _NOBODY,
    ) -> tuple[Leg, ...]:
        """Legs for ``copies`` copies on ways that nobody has taken before; empty when no known peer makes progress."""
        return self.along(table, place, self.draw(copies, attempt), avoid)

    def draw(self, copies: int, attempt: int = 1) -> tuple[bytes, ...]:
        """As many ways of one random seed, each of another colour; plain ones, when nothing is coloured."""
        if not self._limits.coloured:
            return (b"",) * copies
        seed = self._entropy.randbytes(SEED_BYTES)
        k = max(copies, self._limits.colours_least)
        start = Way(seed, attempt, k, 0).pack()
        return (start, *(start[:-1] + bytes((colour,)) for colour in range(1, copies)))

    def along(
        self, table: RoutingTable, place: Place, ways: Sequence[bytes], avoid: Collection[Peer] = _NOBODY
    ) -> tuple[Leg, ...]:
        """Legs for copies on these ways, as many, unless no known peer makes progress; then none.

        The first goes to the destination itself, if it is known, unless it is the only one and ``avoid`` has the
        destination; the others do when nobody else is left. Peers of ``avoid`` (the last attempt's) come last. Those for a
        hidden destination go to its relays, each to another one as far as there are as many; to a lodger goes one alone.
        """
        lodger = self._lodgers(place)
        if lodger is not None:
            return tuple(Leg(lodger, way) for way in ways[:1])  # more would cross the same link
        homes = [home for home in self.homes.to(place) if _may_be_there(table, home)]
        if homes:
            return self._to_homes(table, place, homes, ways, avoid)
        if not self._limits.coloured:
            hops = choose_paths(table, place, len(ways), avoid)
            return tuple(Leg(hop, b"") for hop in hops)
        there = table.knows(place)
        is_direct = self._limits.direct and (len(ways) > 1 or there not in avoid)
        if there is not None and is_direct and len(ways) == 1:
            return (Leg(there, ways[0]),)
        legs: list[Leg] = []
        for way in ways:
            if there is not None and not legs and is_direct:
                legs.append(Leg(there, way))
                continue
            leg = _leg(table, place, way, there, avoid, [leg.hop for leg in legs])
            if leg is None:
                break
            legs.append(leg)
        return tuple(legs)

    def _to_homes(
        self,
        table: RoutingTable,
        place: Place,
        homes: Sequence[Peer],
        ways: Sequence[bytes],
        avoid: Collection[Peer],
    ) -> tuple[Leg, ...]:
        """One leg to each relay in turn. Another attempt begins with another one, and has the place itself among them: whoever
        keeps the record there knows newer relays, should all of these be gone."""
        legs: list[Leg] = []
        for number, way in enumerate(ways):
            attempt = way[-3] if way else 0
            used = [leg.hop for leg in legs]
            turn = (number + attempt) % (len(homes) + (attempt > 1))
            leg = _leg(table, place, way, None, avoid, used) if turn == len(homes) else None
            leg = leg or self._to_home(table, homes[turn % len(homes)], way, avoid, used)
            if leg is not None:
                legs.append(leg)
        return tuple(legs)

    def _to_home(
        self, table: RoutingTable, home: Peer, way: bytes, avoid: Collection[Peer], used: Collection[Peer]
    ) -> Leg | None:
        there = table.knows(home.place)
        if there is not None and (self._limits.direct or not way):
            return Leg(there, way, home=home)
        leg = _leg(table, home.place, way, there, avoid, used) if way else _plain(table, home.place)
        return None if leg is None else leg._replace(home=home)


def _may_be_there(table: RoutingTable, home: Peer) -> bool:
    """Whether others may reach that relay: not the own peer, and not who has left the arc that this one sees."""
    return table.distance(home.place) != 0 and not table.nobody_at(home.place)


def _plain(table: RoutingTable, place: Place) -> Leg | None:
    hop = table.next_hop(place)
    return None if hop is None else Leg(hop, b"")


def _leg(
    table: RoutingTable,
    place: Place,
    way: bytes,
    there: Peer | None,
    avoid: Collection[Peer],
    used: Collection[Peer],
) -> Leg | None:
    """Over a relay of the way's colour, even the long way round; else over one that no other copy takes, else over any."""
    end = _NOBODY if there is None else frozenset((there,))
    hop = table.coloured_relay(place, way, end.union(avoid)) if avoid else None
    hop = hop or table.coloured_relay(place, way, end)
    if hop is not None:
        return Leg(hop, way)
    if table.nobody_at(place):
        return None
    hop = table.coloured_beyond(place, way, end)
    if hop is not None:
        return Leg(hop, way)
    others = (peer for peer in table.last_before(place, len(table)) if peer not in used)
    last = next(others, None) or next(iter(table.next_hops(place, 1, end)), there)
    return None if last is None else Leg(last, way, strayed=True)


def choose_paths(
    table: RoutingTable, place: Place, copies: int, avoid: Collection[Peer] = frozenset()
) -> tuple[Peer, ...]:
    """First hops for ``copies`` copies to ``place`` without colours, best progress first; empty when no known peer makes
    progress.

    They are distinct as far as there are enough peers; then the same ones serve again, so that the number of copies
    is what was asked for. Peers of ``avoid`` (the last attempt's) come last.
    """
    candidates = table.next_hops(place, copies + len(avoid))
    fresh = [peer for peer in candidates if peer not in avoid]
    used = [peer for peer in candidates if peer in avoid]
    distinct = (fresh + used)[:copies]
    return tuple(islice(cycle(distinct), copies)) if distinct else ()


def denial(own: Peer, asked: Contact | Data | GetRecord) -> NoSuchPeer:
    """What ``own``, whose arc holds the target, answers to the origin of ``asked``."""
    request = index = counter = 0
    if isinstance(asked, Data):
        index, counter = asked.index, asked.counter
    else:
        request = asked.request
    return NoSuchPeer(
        target=target_of(asked.origin),
        origin=own.address,
        hops=0,
        way=asked.way,
        place=asked.target,
        request=request,
        index=index,
        counter=counter,
    )


def target_of(origin: str) -> bytes:
    """Where answers to ``origin`` go."""
    return place_to_bytes(peer_named(origin).place)


def peer_named(address: str) -> Peer:
    """The peer that a message names. Its address is canonical: the wire's decoder has checked it."""
    return peer_at(Address(address))
