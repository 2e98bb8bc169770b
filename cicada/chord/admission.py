"""Admission: one joiner at a time into the gap between this node and its head.

Joiners that got the same list would all enter in front of the same head, and their ring would settle one round after
the other. Answering the next one when the head has changed only delays answers, which Zave's rules allow.
"""

from __future__ import annotations

import enum

from cicada.ids import Peer
from cicada.wire.ring import FindSuccessor


class Verdict(enum.Enum):
    """What to do with a join request for this node's gap."""

    ANSWER = enum.auto()
    PARKED = enum.auto()
    OVERLOADED = enum.auto()


class Admission:
    """At most ``size`` parked join requests, one for each joiner, none older than ``max_age`` seconds."""

    __slots__ = ("_admitted", "_hold", "_max_age", "_parked", "_size", "_until")

    def __init__(self, size: int, hold: float, max_age: float) -> None:
        self._size = size
        self._hold = hold
        self._max_age = max_age
        self._admitted: Peer | None = None
        self._until = 0.0
        self._parked: dict[Peer, tuple[FindSuccessor, float]] = {}

    def request(self, joiner: Peer, message: FindSuccessor, now: float) -> Verdict:
        """Decide about a request that falls into the gap; a repeated one replaces the one that is parked."""
        if self._admitted is None or self._admitted == joiner or now >= self._until:
            self._admit(joiner, now)
            return Verdict.ANSWER
        if joiner not in self._parked and len(self._parked) >= self._size:
            return Verdict.OVERLOADED
        self._parked[joiner] = (message, now)
        return Verdict.PARKED

    def release(self) -> None:
        """The head changed: the admitted joiner has come, or the gap is another one."""
        self._admitted = None

    def is_open(self, now: float) -> bool:
        """Whether the next joiner may be answered."""
        return self._admitted is None or now >= self._until

    def take_all(self, now: float) -> list[tuple[Peer, FindSuccessor]]:
        """All parked requests that are still wanted, for a new decision about each."""
        parked, self._parked = self._parked, {}
        return [(joiner, message) for joiner, (message, at) in parked.items() if now - at <= self._max_age]

    def next_deadline(self) -> float | None:
        """When the next parked request has its turn even if the admitted joiner never comes."""
        return self._until if self._parked and self._admitted is not None else None

    def _admit(self, joiner: Peer, now: float) -> None:
        self._parked.pop(joiner, None)
        self._admitted = joiner
        self._until = now + self._hold
