"""How much of others' unfinished messages the peers of one event loop may hold, and what each of them has charged to that.

Charged is what was received, never what a sender says that it will send.
"""

from __future__ import annotations

import math
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


Claim = tuple[Origin, int]
"""A message that comes in fragments."""


class _Pool:
    """So many bytes, of which the last ``finish_bytes`` are for one message at a time: when many are here in part and leave no
    room for each other, that one can be finished."""

    def __init__(self, size: int, limits: TransferLimits) -> None:
        self._size = size
        self._limits = limits
        self._finisher: Claim | None = None
        self._finisher_at = -math.inf
        self.used = 0

    def has_room(self, size: int, claim: Claim | None, now: float) -> bool:
        """Whether as many bytes may be used, for a message in fragments or (None) for another."""
        used = self.used + size
        if used <= self._size - self._limits.finish_bytes:
            return True
        return used <= self._size and claim is not None and self._may_finish(claim, now)

    def take(self, size: int, claim: Claim | None, now: float) -> None:
        """They are used."""
        self.used += size
        if claim is not None and self.used > self._size - self._limits.finish_bytes:
            self._finisher, self._finisher_at = claim, now

    def give_back(self, size: int) -> None:
        """They are not used any more."""
        self.used -= size

    def _may_finish(self, claim: Claim, now: float) -> bool:
        is_over = now - self._finisher_at >= self._limits.finisher_seconds
        return self._finisher in (None, claim) or is_over

    def end(self, claim: Claim) -> None:
        """Nothing of that message is here any more."""
        if self._finisher == claim:
            self._finisher = None


class Allowance:
    """``held_bytes`` for all peers of one event loop, of which those never met before share ``stranger_share``."""

    def __init__(self, limits: TransferLimits = TRANSFER) -> None:
        self.limits = limits
        self._all = _Pool(limits.held_bytes, limits)
        self._strangers = _Pool(int(limits.held_bytes * limits.stranger_share), limits)

    @property
    def used(self) -> int:
        """Bytes charged, to all accounts."""
        return self._all.used

    @property
    def used_by_strangers(self) -> int:
        """Those of first contacts."""
        return self._strangers.used

    def account(self) -> Account:
        """What one more Router may charge to it."""
        return Account(self)

    def take(self, size: int, claim: Claim | None, trust: Trust, now: float) -> bool:
        """Use as many bytes, if there are."""
        pools = self._pools(trust)
        if not all(pool.has_room(size, claim, now) for pool in pools):
            return False
        for pool in pools:
            pool.take(size, claim, now)
        return True

    def give_back(self, size: int, trust: Trust) -> None:
        """They are not used any more."""
        for pool in self._pools(trust):
            pool.give_back(size)

    def end(self, claim: Claim) -> None:
        """Nothing of that message is here any more."""
        for pool in (self._all, self._strangers):
            pool.end(claim)

    def _pools(self, trust: Trust) -> tuple[_Pool, ...]:
        return (self._all, self._strangers) if trust < Trust.PINNED else (self._all,)


class Account:
    """The charges of one Router. Closed when that ends, whatever it held."""

    def __init__(self, allowance: Allowance) -> None:
        self.limits = allowance.limits
        self._allowance = allowance
        self._by_origin: Counter[Origin] = Counter()
        self._by_trust: Counter[Trust] = Counter()

    def __len__(self) -> int:
        """Bytes charged."""
        return self._by_trust.total()

    def charge(self, origin: Origin, trust: Trust, size: int, now: float, message: int | None = None) -> bool:
        """Charge ``size`` bytes, and what objects there are around them, to a sender: those of a fragment of ``message``, or of
        another message. False: there is no room, and nothing was charged."""
        size += self.limits.held_overhead
        held = self._by_origin.get(origin, 0)
        claim = None if message is None else (origin, message)
        if held + size > self.limits.sender_bytes or not self._allowance.take(size, claim, trust, now):
            return False
        self._by_origin[origin] = held + size
        self._by_trust[trust] += size
        return True

    def release(self, origin: Origin, trust: Trust, size: int) -> None:
        """What was charged for ``size`` bytes is held no more."""
        size += self.limits.held_overhead
        self._allowance.give_back(size, trust)
        self._by_trust[trust] -= size
        self._by_origin[origin] -= size
        if not self._by_origin[origin]:
            del self._by_origin[origin]

    def end(self, origin: Origin, message: int) -> None:
        """Nothing of a message in fragments is held any more."""
        self._allowance.end((origin, message))

    def close(self) -> None:
        """Nothing of all is held any more."""
        for trust, size in self._by_trust.items():
            self._allowance.give_back(size, trust)
        self._by_origin.clear()
        self._by_trust.clear()
