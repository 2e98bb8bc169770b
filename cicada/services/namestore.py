"""The records of names that one node keeps for the swarm: which it takes, which it refuses, and how many.

First come, first served: while a key holds a name, no other gets it, and only that key's own later record changes anything.
A lapsed name waits for ``clock_skew`` before another key may have it, so that a replica whose clock is ahead takes it from nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from cicada.limits import NAMES, NameLimits
from cicada.routing.shares import may_hold
from cicada.services.namerecords import SKEW_MS, NameRecord, SignedRecord, rank_of
from cicada.tokens import Shares
from cicada.wire.names import Verdict

T = TypeVar("T")


class _Holding:
    __slots__ = ("held", "sender", "since")

    def __init__(self, held: SignedRecord, sender: str, since: float) -> None:
        self.held = held
        self.sender = sender
        self.since = since  # when this key got the name, here


class NameStore:
    """Records by name. ``now`` is monotonic seconds, ``now_ms`` wall-clock milliseconds; what comes in has been read already."""

    def __init__(self, limits: NameLimits = NAMES) -> None:
        self._limits = limits
        self._holdings: dict[str, _Holding] = {}
        self._by_key: Counter[bytes] = Counter()
        self._by_sender: Counter[str] = Counter()
        self._keys = Shares(limits.key_rate, limits.key_burst, limits.metered)
        self._senders = Shares(limits.sender_rate, limits.sender_burst, limits.metered)

    def __len__(self) -> int:
        return len(self._holdings)

    def __iter__(self) -> Iterator[str]:
        return iter(self._holdings)

    def find(self, name: str, now_ms: int) -> SignedRecord | None:
        """The record of a name, a release as well, while its lease lasts."""
        holding = self._holdings.get(name)
        if holding is None or holding.held.record.expires_ms <= now_ms:
            return None
        return holding.held

    def is_new(self, record: NameRecord, now_ms: int) -> bool:
        """Whether nobody has the name here, so that to keep the record needs room: see ``admit``."""
        return self._holder(record.name, now_ms) is None

    def admit(self, record: NameRecord, sender: str, now: float) -> Verdict:
        """Whether there is room for one more name: KEPT if so, and then it is charged to the rates of key and sender."""
        limits, key = self._limits, record.signing_key
        if self._by_key[key] >= limits.held_by_key:
            return Verdict.FULL
        brought = self._by_sender[sender]
        if len(self) >= limits.held or not may_hold(brought, 1, len(self), limits.held, limits.held_share):
            return Verdict.FULL
        if not self._senders.take(sender, now) or not self._keys.take(key, now):
            return Verdict.BUSY
        return Verdict.KEPT

    def keep(self, offered: SignedRecord, sender: str, now: float, now_ms: int) -> Verdict:
        """Take the record in if its key has a right to the name: KEPT, TAKEN or STALE; FULL when there is no room at all."""
        record = offered.record
        holding = self._holder(record.name, now_ms)
        if holding is None:
            return self._enter(offered, sender, now)
        if holding.held.record.signing_key == record.signing_key:
            return self._renew(holding, offered, now)
        if record.is_release or not self._has_better_right(record, holding, now):
            return Verdict.TAKEN
        if self._by_key[record.signing_key] >= self._limits.held_by_key:
            return Verdict.FULL
        self._replace(holding, offered, sender, now)
        return Verdict.KEPT

    def overrule(self, elected: SignedRecord, sender: str, now: float) -> None:
        """The other replicas have decided for another key than the one that has the name here."""
        holding = self._holdings.get(elected.record.name)
        if holding is not None:
            self._replace(holding, elected, sender, now)

    def drop(self, name: str) -> None:
        """Forget a name."""
        holding = self._holdings.pop(name, None)
        if holding is not None:
            self._charge(holding, -1)

    def drop_lapsed(self, name: str, now_ms: int) -> bool:
        """Forget a name that is nobody's any more. Whether it is forgotten, or was never here."""
        holding = self._holdings.get(name)
        if holding is not None and _lapses_ms(holding.held.record) <= now_ms:
            self.drop(name)
        return name not in self._holdings

    def _holder(self, name: str, now_ms: int) -> _Holding | None:
        return None if self.drop_lapsed(name, now_ms) else self._holdings[name]

    def _enter(self, offered: SignedRecord, sender: str, now: float) -> Verdict:
        if (
            len(self) >= self._limits.held
            or self._by_key[offered.record.signing_key] >= self._limits.held_by_key
        ):
            return Verdict.FULL
        holding = self._holdings[offered.record.name] = _Holding(offered, sender, now)
        self._charge(holding, 1)
        return Verdict.KEPT

    def _renew(self, holding: _Holding, offered: SignedRecord, now: float) -> Verdict:
        if offered.age < holding.held.age:
            return Verdict.STALE
        if holding.held.record.is_release and not offered.record.is_release:
            holding.since = now
        holding.held = offered
        return Verdict.KEPT

    def _has_better_right(self, record: NameRecord, holding: _Holding, now: float) -> bool:
        holder = holding.held.record
        if holder.is_release:
            return True
        return now - holding.since < self._limits.settle and rank_of(record) < rank_of(holder)

    def _replace(self, holding: _Holding, offered: SignedRecord, sender: str, now: float) -> None:
        self._charge(holding, -1)
        holding.held, holding.sender, holding.since = offered, sender, now
        self._charge(holding, 1)

    def _charge(self, holding: _Holding, count: int) -> None:
        _add(self._by_key, holding.held.record.signing_key, count)
        _add(self._by_sender, holding.sender, count)


def _add(counter: Counter[T], who: T, count: int) -> None:
    counter[who] += count
    if not counter[who]:
        del counter[who]


def _lapses_ms(record: NameRecord) -> int:
    return record.expires_ms if record.is_release else record.expires_ms + SKEW_MS
