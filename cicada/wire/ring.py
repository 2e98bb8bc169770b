"""Ring messages: what RingNodes say to each other. Peers are named by canonical address; places follow from it.

Every message carries ``incarnation``, the sender's life, and ``extra``, bytes that upper layers may add for free.
"""

from __future__ import annotations

import msgspec

from cicada.limits import WIRE
from cicada.wire.checks import (
    check_addresses,
    check_list,
    check_optional_address,
    check_place,
    check_range,
    check_size,
)


class RingMessageBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What all ring messages have."""

    incarnation: int
    extra: bytes = b""

    def __post_init__(self) -> None:
        check_size("extra", self.extra, WIRE.max_extra)
        self._check()

    def _check(self) -> None:
        """Refuses field values that no honest peer sends. Raises ValueError."""


class FindSuccessor(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=1):
    """Recursive lookup, on its way. ``path`` begins with the asking peer; every hop appends itself.

    ``joining`` is the asking peer's incarnation when it wants to enter the ring at ``target`` (its own place), else 0.
    """

    request: int
    target: bytes
    path: tuple[str, ...]
    joining: int = 0

    def _check(self) -> None:
        check_place(self.target)
        check_list(self.path, WIRE.max_path)
        check_range("path length", len(self.path), 1, WIRE.max_path)


class Found(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=2):
    """Answer to FindSuccessor, from the place's predecessor, back along ``path``.

    ``successors`` is the predecessor's whole successor list: its first entry owns the place.
    ``position`` indexes the hop of ``path`` this copy is for; 0 is the asking peer.
    """

    request: int
    predecessor: str
    successors: tuple[str, ...]
    path: tuple[str, ...]
    position: int

    def _check(self) -> None:
        check_addresses(self.predecessor)
        check_list(self.successors, WIRE.max_list)
        check_list(self.path, WIRE.max_path)
        check_range("position", self.position, 0, len(self.path) - 1)


class LookupFailed(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=3):
    """A hop could not carry the lookup on: ``reason`` is one of LookupFailure's values. Travels like Found."""

    request: int
    reason: str
    path: tuple[str, ...]
    position: int

    def _check(self) -> None:
        check_list(self.path, WIRE.max_path)
        check_range("position", self.position, 0, len(self.path) - 1)


class GetState(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=4):
    """Stabilize's question: who is your predecessor, what is your successor list?"""

    request: int


class State(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=5):
    """Answer to GetState, taken at one instant. ``predecessor`` is empty when unknown."""

    request: int
    predecessor: str
    successors: tuple[str, ...]

    def _check(self) -> None:
        check_list(self.successors, WIRE.max_list)
        check_optional_address(self.predecessor)


class NotMember(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=6):
    """Answer of a peer that has not joined yet: dead for stabilize and lookup, but not to be quarantined."""

    request: int


class Notify(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=7):
    """The sender believes that it is the receiver's predecessor (Zave: the receiver then rectifies)."""


class Nudge(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=8):
    """The sender's list or predecessor changed: the receiver should stabilize soon. Carries no claim."""


class Leaving(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=9):
    """The sender leaves the ring: stop listing it. Its lists tell where to look next; they are hints."""

    predecessor: str
    successors: tuple[str, ...]

    def _check(self) -> None:
        check_list(self.successors, WIRE.max_list)
        check_optional_address(self.predecessor)


class GetNextHop(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=10):
    """One step of an iterative lookup, for diagnosis."""

    request: int
    target: bytes

    def _check(self) -> None:
        check_place(self.target)


class NextHop(RingMessageBase, frozen=True, array_like=True, kw_only=True, tag=11):
    """Answer to GetNextHop. When ``final``, ``hops[0]`` owns the place; else ``hops`` are the best next peers, best first."""

    request: int
    hops: tuple[str, ...]
    final: bool

    def _check(self) -> None:
        check_list(self.hops, WIRE.max_list)


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
