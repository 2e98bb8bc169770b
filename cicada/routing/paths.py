"""Which first hops the copies of one attempt take, and what a peer says of places that nobody owns."""

from __future__ import annotations

from collections.abc import Collection
from itertools import cycle, islice

from cicada.ids import Address, Peer, Place, peer_at, place_to_bytes
from cicada.routing.table import RoutingTable
from cicada.wire.routed import Contact, Data, GetRecord, NoSuchPeer


def choose_paths(
    table: RoutingTable, place: Place, copies: int, avoid: Collection[Peer] = frozenset()
) -> tuple[Peer, ...]:
    """First hops for ``copies`` copies to ``place``, best progress first; empty when no known peer makes progress.

    They are distinct as far as there are enough peers; then the same ones serve again, so that the number of copies
    is what was asked for. Peers of ``avoid`` (the last attempt's) come last. Colours will be chosen here: a copy's
    colour will pick among the candidates, and travel with the copy so that relays can stay within it.
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
