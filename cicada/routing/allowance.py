"""How much of others' unfinished messages the peers of one event loop may hold, and what each of them has charged to that.

Charged is what was received, never what a sender says that it will send.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from cicada.ids import Address
from cicada.keys.trust import Trust
from cicada.limits import TRANSFER, TransferLimits
from cicada.routing.sessions import Session


class Origin(NamedTuple):
    """One life of a sender. Its id is the one that was proven, as in DedupeWindow."""

    peer_id: str
    address: Address
    boot: int

    @classmethod
    def of(cls, session: Session) -> Origin:
        """Who speaks in the session."""
        return cls(session.peer_id, session.peer.address, session.boot)


class Allowance:
    """``held_bytes`` for all peers of one event loop, of which those never met before share ``stranger_share``."""

    def __init__(self, limits: TransferLimits = TRANSFER) -> None:
        self.limits = limits
        self.used = 0
        self.used_by_strangers = 0

    def account(self) -> Account:
        """What one more Router may charge to it."""
        return Account(self)

    def has_room(self, size: int, *, is_stranger: bool) -> bool:
        """Whether as many bytes may be charged."""
        most = self.limits.held_bytes
        if is_stranger and self.used_by_strangers + size > most * self.limits.stranger_share:
            return False
        return self.used + size <= most


class Account:
    """The charges of one Router. Closed when that ends, whatever it held."""

    def __init__(self, allowance: Allowance) -> None:
        self.limits = allowance.limits
        self._allowance = allowance
        self._by_origin: Counter[Origin] = Counter()
        self._of_strangers = 0

    def __len__(self) -> int:
        """Bytes charged."""
        return self._by_origin.total()

    def charge(self, origin: Origin, trust: Trust, size: int) -> bool:
        """Charge ``size`` bytes, and what objects there are around them, to a sender. False: there is no room, and nothing
        was charged."""
        size += self.limits.held_overhead
        is_stranger = trust < Trust.PINNED
        if self._by_origin[origin] + size > self.limits.sender_bytes or not self._allowance.has_room(
            size, is_stranger=is_stranger
        ):
            self._forget_if_zero(origin)
            return False
        self._add(origin, size, size * is_stranger)
        return True

    def release(self, origin: Origin, trust: Trust, size: int) -> None:
        """What was charged for ``size`` bytes is held no more."""
        size += self.limits.held_overhead
        self._add(origin, -size, -size * (trust < Trust.PINNED))
        self._forget_if_zero(origin)

    def close(self) -> None:
        """Nothing of it is held any more."""
        self._allowance.used -= len(self)
        self._allowance.used_by_strangers -= self._of_strangers
        self._by_origin.clear()
        self._of_strangers = 0

    def _add(self, origin: Origin, size: int, of_strangers: int) -> None:
        self._by_origin[origin] += size
        self._of_strangers += of_strangers
        self._allowance.used += size
        self._allowance.used_by_strangers += of_strangers

    def _forget_if_zero(self, origin: Origin) -> None:
        if not self._by_origin[origin]:
            del self._by_origin[origin]
