"""Exactly once: which messages an application's mailbox has taken already.

The owner of the mailbox keeps the window, so it survives crashes of the Router, which keeps none.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cicada.hosts import HostOf, by_peer
from cicada.ids import Peer, is_hidden
from cicada.keys.trust import Trust
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.io import Verdict

_CHUNK_BITS = 10
_CHUNK = 1 << _CHUNK_BITS
_FULL = (1 << _CHUNK) - 1
_HIDDEN = "hidden"
_STRANGERS = "strangers"
_Origin = tuple[str, int]


class Judgement(msgspec.Struct, frozen=True):
    """``fresh``: put the message into the mailbox, now. ``verdict`` is what the Router is to be told, as Judged."""

    fresh: bool
    verdict: Verdict


class DedupeWindow:
    """The messages taken, by (peer id, origin_boot, message id). The peer id is the one that was proven: somebody else who calls
    itself by the same address can neither use an id up nor learn that it was, and who moves to another address stays the same.
    Where nobody proves anything, the origin's address counts.

    For each origin it remembers exactly every taken id within ``dedupe_ids`` of the highest one. An older id is never
    taken: it is STALE, because it may have been. An origin is forgotten only to make room, and only after
    ``dedupe_seconds`` of silence; while there is no room, strangers are BUSY rather than a message taken twice.

    Keys and lives cost nothing, so nobody fills it by having many. Whoever is at a host that holds as many places as are free
    finds room only where the oldest of that host makes way: one host alone has half, and who has none finds some however hard
    the others press. Hidden origins, which cost nobody an address, have ``dedupe_hidden_share`` of the room, and all whose keys
    were not known before have ``dedupe_stranger_share``, since a relay may write in the name of addresses that are not its own.
    """

    def __init__(self, limits: DeliveryLimits = DELIVERY, host_of: HostOf = by_peer) -> None:
        self._limits = limits
        self._host_of = host_of
        self._origins: dict[_Origin, _Ids] = {}  # the one heard last is the last, as it is in each crowd
        self._crowds: dict[str, dict[_Origin, None]] = {}
        self._shares = {
            _HIDDEN: max(int(limits.dedupe_origins * limits.dedupe_hidden_share), 1),
            _STRANGERS: max(int(limits.dedupe_origins * limits.dedupe_stranger_share), 1),
        }

    def __len__(self) -> int:
        return len(self._origins)

    def judge(
        self,
        origin: Peer,
        origin_boot: int,
        message: int,
        *,
        peer_id: str = "",
        trust: Trust = Trust.UNVERIFIED,
        has_room: bool,
        now: float,
        take: Callable[[], bool] = lambda: True,
    ) -> Judgement:
        """Whether to take a message, and what to tell its sender. A message judged fresh is remembered as taken.

        ``has_room``: the mailbox can take it. ``now`` is in monotonic seconds. ``take`` is called with one that nothing speaks
        against, once; when it returns False the message was not taken, and its sender is told FULL.
        """
        key = (peer_id or origin.address, origin_boot)
        crowds = self._crowds_of(origin, peer_id, trust)
        ids = self._origins.get(key)
        if ids is not None:
            verdict = ids.verdict_on(message)
            if verdict is not None:
                self._touch(key, ids, crowds, now)
                return Judgement(fresh=False, verdict=verdict)
        if not has_room or (ids is None and not self._make_room(crowds, now)):
            return Judgement(fresh=False, verdict=Verdict.BUSY)
        if not take():
            return Judgement(fresh=False, verdict=Verdict.FULL)
        ids = ids or _Ids(max(self._limits.dedupe_ids >> _CHUNK_BITS, 1))
        ids.add(message)
        self._touch(key, ids, crowds, now)
        return Judgement(fresh=True, verdict=Verdict.DELIVERED)

    def _crowds_of(self, origin: Peer, peer_id: str, trust: Trust) -> tuple[str, ...]:
        """With whom it shares a part of the room. Where nobody proves anything, there are no strangers."""
        own = _HIDDEN if is_hidden(origin.address) else self._host_of(origin.address)
        return (own, _STRANGERS) if peer_id and trust < Trust.PINNED else (own,)

    def _touch(self, key: _Origin, ids: _Ids, crowds: tuple[str, ...], now: float) -> None:
        if self._origins.pop(key, None) is not None:
            self._leave(key, ids)
        ids.heard_at, ids.crowds = now, crowds
        self._origins[key] = ids
        for crowd in crowds:
            self._crowds.setdefault(crowd, {})[key] = None

    def _leave(self, key: _Origin, ids: _Ids) -> None:
        for crowd in ids.crowds:
            members = self._crowds[crowd]
            del members[key]
            if not members:
                del self._crowds[crowd]

    def _make_room(self, crowds: tuple[str, ...], now: float) -> bool:
        """For one more origin, which is in these crowds."""
        for crowd in crowds:
            while self._is_over(crowd):
                if self._forget(next(iter(self._crowds[crowd])), now):
                    break  # it takes the place of another one
                if crowd in self._shares or not self._forget(next(iter(self._origins)), now):
                    return False
        if len(self._origins) < self._limits.dedupe_origins:
            return True
        return self._forget(next(iter(self._origins)), now)

    def _is_over(self, crowd: str) -> bool:
        """Whether as many of a crowd are here as may be."""
        held = len(self._crowds.get(crowd, ()))
        free = self._limits.dedupe_origins - len(self._origins)
        return held > 0 and held >= self._shares.get(crowd, free)

    def _forget(self, oldest: _Origin, now: float) -> bool:
        ids = self._origins[oldest]
        if now - ids.heard_at < self._limits.dedupe_seconds:
            return False
        del self._origins[oldest]
        self._leave(oldest, ids)
        return True


class _Ids:
    """A sliding set of ids: one bit for each, in chunks. Full chunks share one integer."""

    __slots__ = ("_chunks", "_floor", "_newest", "_span", "crowds", "heard_at")

    def __init__(self, span: int) -> None:
        self._chunks: dict[int, int] = {}
        self._span = span
        self._floor = 0
        self._newest = -1
        self.heard_at = 0.0
        self.crowds: tuple[str, ...] = ()

    def verdict_on(self, message: int) -> Verdict | None:
        """DELIVERED when it was taken, STALE when that is not known any more, None when it is new."""
        chunk = message >> _CHUNK_BITS
        if self._chunks.get(chunk, 0) >> (message & _CHUNK - 1) & 1:
            return Verdict.DELIVERED
        return Verdict.STALE if chunk < self._floor else None

    def add(self, message: int) -> None:
        chunk = message >> _CHUNK_BITS
        bits = self._chunks.get(chunk, 0) | 1 << (message & _CHUNK - 1)
        self._chunks[chunk] = _FULL if bits == _FULL else bits
        if chunk > self._newest:
            self._newest = chunk
            self._raise_floor(chunk - self._span)

    def _raise_floor(self, floor: int) -> None:
        """One chunk more than the span is kept, so that the youngest, partly used one does not shorten it."""
        if floor <= self._floor:
            return
        self._floor = floor
        for chunk in [chunk for chunk in self._chunks if chunk < floor]:
            del self._chunks[chunk]
