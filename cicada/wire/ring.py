"""Ring messages: what RingNodes say to each other. Peers are named by canonical address; places follow.

Every message carries ``incarnation``, the sender's life, and ``extra``, bytes that upper layers add for free.
"""

from __future__ import annotations

import msgspec

from cicada.wire.fields import (
    Addresses,
    AddressText,
    Extra,
    Hops,
    Number,
    Path,
    PlaceBytes,
    Text,
    check_addresses,
    check_position,
)


class RingMessageBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What all ring messages have."""

    incarnation: Number
    extra: Extra = b""


class FindSuccessor(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=1):
    """Recursive lookup, on its way. ``path`` begins with the asking peer; every hop appends itself.

    ``joining`` is the asking peer's incarnation when it wants to enter the ring at ``target``, its own place;
    else 0.
    """

    request: Number
    target: PlaceBytes
    path: Path
    joining: Number = 0

    def __post_init__(self) -> None:
        check_addresses(*self.path)


class Found(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=2):
    """Answer to FindSuccessor, from the place's predecessor, back along ``path``.

    ``successors`` is the predecessor's whole successor list: its first entry owns the place.
    ``position`` indexes the hop of ``path`` this copy is for; 0 is the asking peer.
    """

    request: Number
    predecessor: AddressText
    successors: Addresses
    path: Path
    position: Hops

    def __post_init__(self) -> None:
        check_addresses(self.predecessor, *self.successors, *self.path)
        check_position(self.position, self.path)


class LookupFailed(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=3):
    """A hop could not carry the lookup on: ``reason`` is a LookupFailure's value. Travels like Found."""

    request: Number
    reason: Text
    path: Path
    position: Hops

    def __post_init__(self) -> None:
        check_addresses(*self.path)
        check_position(self.position, self.path)


class GetState(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=4):
    """Stabilize's question: who is your predecessor, what is your successor list?"""

    request: Number


class State(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=5):
    """Answer to GetState, taken at one instant. ``predecessor`` is empty when unknown."""

    request: Number
    predecessor: AddressText
    successors: Addresses

    def __post_init__(self) -> None:
        check_addresses(*self.successors)
        if self.predecessor:
            check_addresses(self.predecessor)


class NotMember(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=6):
    """Answer of a peer that has not joined yet: dead for stabilize and lookup, but not to be quarantined."""

    request: Number


class Notify(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=7):
    """The sender believes that it is the receiver's predecessor (Zave: the receiver then rectifies)."""


class Nudge(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=8):
    """The sender's list or predecessor changed: the receiver should stabilize soon. Carries no claim."""


class Leaving(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=9):
    """The sender leaves the ring: stop listing it. Its lists tell where to look next; they are hints."""

    predecessor: AddressText
    successors: Addresses

    def __post_init__(self) -> None:
        check_addresses(*self.successors)
        if self.predecessor:
            check_addresses(self.predecessor)


class GetNextHop(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=10):
    """One step of an iterative lookup, for diagnosis."""

    request: Number
    target: PlaceBytes


class NextHop(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=11):
    """Answer to GetNextHop: the best next peers, best first. When ``final``, ``hops[0]`` owns the place."""

    request: Number
    hops: Addresses
    final: bool

    def __post_init__(self) -> None:
        check_addresses(*self.hops)


RingMessage = (
    FindSuccessor
    | Found
    | LookupFailed
    | GetState
    | State
    | NotMember
    | Notify
    | Nudge
    | Leaving
    | GetNextHop
    | NextHop
)
