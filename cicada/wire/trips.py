"""What a message is called on its way, so that what is told of it at different peers can be put together. Pure.

A relay can tell what a message is by what it can read: who sent it, and a number. So each attempt of a message is a trip of its
own, as is the receipt, which is sealed under another number; their sender alone knows which belong together (CopiesTraced).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cicada.ids import Address
from cicada.wire.ring import FindSuccessor, Found, GetNextHop, LookupFailed, NextHop
from cicada.wire.routed import (
    Broadcast,
    BroadcastAck,
    BroadcastDigest,
    BroadcastPull,
    BroadcastTaken,
    Contact,
    ContactReply,
    Data,
    DataAck,
    GetRecord,
    LodgingFind,
    LodgingFound,
    NoSuchPeer,
    NoSuchSession,
    PutRecord,
    RecordIs,
)

_SPREAD: Final = 0x9E3779B1  # 2**32 divided by the golden ratio: neighbouring numbers end up far apart


class Hop(NamedTuple):
    """One link that a message crosses, as it can be read from the message. ``kind`` as in HopTaken; ``target`` is a place in
    hex, or empty."""

    kind: str
    trip: str
    origin: str
    target: str
    hops: int
    copy: int = 0
    attempt: int = 1


def lookup_trip(origin: str, request: int) -> str:
    """Of a lookup and its answers."""
    return f"{origin} {request:x}"


def data_trip(origin: str, index: int, counter: int) -> str:
    """Of one attempt of a message, or of a receipt, by session and counter."""
    return f"{origin} {index:x}.{counter:x}"


def broadcast_trip(origin: str, message: int) -> str:
    """Of a broadcast, by its number as BroadcastReceived has it."""
    return f"{origin} b{message:x}"


def is_sampled(key: int, sampled: int) -> bool:
    """Whether a trip is among the one of ``sampled`` (a power of two) that is told. Whoever tells more tells these too."""
    return not key & (sampled - 1)


def data_key(index: int, counter: int) -> int:
    """What decides whether an attempt is told. An index is random, so no session is in step with another."""
    return index ^ counter


def trip_of(message: object) -> str:
    """The trip of a message that passes through a relay; empty: nobody follows it."""
    match message:
        case Data() | DataAck():
            return data_trip(message.origin, message.index, message.counter)
        case Broadcast():
            return broadcast_trip(message.origin, message.message)
        case FindSuccessor() | Found() | LookupFailed() if message.path:
            return lookup_trip(message.path[0], message.request)
        case _:
            return ""


def hop_of(message: object, own: Address, remote: Address) -> Hop | None:
    """The hop that a message takes from ``own`` to ``remote``; None: nobody follows such messages."""
    trip = trip_of(message)
    match message:
        case Data():
            return _routed("data", trip, message)
        case DataAck():
            return _routed("receipt", trip, message)
        case Broadcast():
            return Hop("broadcast", trip, message.origin, "", message.hops)
        case FindSuccessor():
            return Hop("lookup", trip, message.path[0], message.target.hex(), len(message.path))
        case Found() | LookupFailed():
            return Hop("answer", trip, message.path[0], "", len(message.path) - message.position)
        case GetNextHop():
            return Hop("lookup", lookup_trip(own, message.request), own, message.target.hex(), 1)
        case NextHop():
            return Hop("answer", lookup_trip(remote, message.request), remote, "", 1)
        case _:
            return None


def _routed(kind: str, trip: str, message: Data | DataAck) -> Hop:
    target = message.target.hex()
    return Hop(kind, trip, message.origin, target, message.hops, message.copy, message.attempt)


def _spread(number: int) -> int:
    return number * _SPREAD >> 16


KEYS: Final[dict[type, Callable[[Any], int]]] = {
    **dict.fromkeys(
        (FindSuccessor, Found, LookupFailed, GetNextHop, NextHop), lambda message: _spread(message.request)
    ),
    **dict.fromkeys((Data, DataAck), lambda message: data_key(message.index, message.counter)),
    Broadcast: lambda message: _spread(message.origin_boot ^ message.message),
}
"""The classes whose hops are told, and what decides whether a trip is."""

FAMILIES: Final[dict[type, str]] = {
    **dict.fromkeys((FindSuccessor, Found, LookupFailed, GetNextHop, NextHop), "lookup"),
    **dict.fromkeys((LodgingFind, LodgingFound), "lookup"),
    Data: "data",
    DataAck: "receipt",
    **dict.fromkeys((Broadcast, BroadcastAck, BroadcastDigest, BroadcastPull, BroadcastTaken), "broadcast"),
    **dict.fromkeys((Contact, ContactReply, NoSuchPeer, NoSuchSession), "session"),
    **dict.fromkeys((GetRecord, RecordIs, PutRecord), "session"),
}
"""As what messages are counted on an edge; others are of the ring, or ``other``."""
