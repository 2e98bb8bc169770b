"""What a message is called on its way, so that what is told of it at different peers can be put together. Pure.

A relay can tell what a message is by what it can read: who sent it, and a number. So each attempt of a message is a trip of its
own, as is the receipt, which is sealed under another number; their sender alone knows which belong together (CopiesTraced).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, get_args

from cicada.ids import Address
from cicada.wire.ring import FindSuccessor, Found, GetNextHop, LookupFailed, NextHop, RingMessage
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
    LodgingMessage,
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

FAMILIES: Final = ("ring", "lookup", "data", "receipt", "broadcast", "session", "other")
"""As what messages are counted on an edge."""

FAMILY: Final[dict[type, int]] = {
    kind: FAMILIES.index(family)
    for family, kinds in {
        "other": get_args(LodgingMessage),
        "ring": get_args(RingMessage),
        "lookup": (FindSuccessor, Found, LookupFailed, GetNextHop, NextHop, LodgingFind, LodgingFound),
        "data": (Data,),
        "receipt": (DataAck,),
        "broadcast": (Broadcast, BroadcastAck, BroadcastDigest, BroadcastPull, BroadcastTaken),
        "session": (Contact, ContactReply, NoSuchPeer, NoSuchSession, GetRecord, RecordIs, PutRecord),
    }.items()
    for kind in kinds
}
"""The number in FAMILIES of every class of message."""


class Sample:
    """Which trips are told: one of ``share`` (a power of two), by their keys, so that all relays choose the same without a word to
    each other. None while it is not open."""

    __slots__ = ("_left_out", "is_open", "share")

    def __init__(self) -> None:
        self.is_open = False
        self.choose(1)

    def choose(self, share: int) -> None:
        """From now on one trip of ``share``."""
        self.share = share
        self._left_out = share - 1

    def holds(self, message: object) -> bool:
        """Whether the trip of this message is told, if it has one."""
        kind = type(message)
        if kind is Data or kind is DataAck:  # most are; as data_key and is_sampled say
            return not (message.index ^ message.counter) & self._left_out  # type: ignore[attr-defined]
        key_of = KEYS.get(kind)
        return key_of is not None and is_sampled(key_of(message), self.share)
