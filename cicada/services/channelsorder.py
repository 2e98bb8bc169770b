"""The order of one origin's messages: those that came early wait a while for those before them."""

from __future__ import annotations

from typing import NamedTuple

from cicada.limits import ChannelLimits
from cicada.services.channelsio import Delivered


class Waiting(NamedTuple):
    """A message that came. ``is_old``: it was published before this peer joined, and is not delivered; ``is_first``: those
    before it were, so that nothing is waited for when it is the first one that comes."""

    message: Delivered
    is_old: bool
    is_first: bool


class Line:
    """What one membership of an origin says, by number. ``until``: then the gap before what is held back is given up; None:
    nothing is held back."""

    __slots__ = ("_bytes", "_held", "_limits", "_next", "missed", "until")

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        self._next = 0  # 0: nothing was taken yet, so it is not known how many were before
        self._held: dict[int, Waiting] = {}
        self._bytes = 0
        self.until: float | None = None
        self.missed = 0
        """Numbers given up since ``take_missed``; of an unknown number before the first one, 1."""

    def __len__(self) -> int:
        return len(self._held)

    def take(self, item: Waiting, now: float) -> list[Waiting] | None:
        """What may be delivered now that ``item``, which is new, came. None: it is too late for that."""
        number = item.message.number
        if number < self._next:
            return None
        self._held[number] = item
        self._bytes += len(item.message.payload)
        if number == self._next or (item.is_first and not self._next):
            return self._deliver(number, now)
        if self.until is None:
            self.until = now + self._limits.hold
        if len(self._held) > self._limits.held or self._bytes > self._limits.held_bytes:
            return self.go_on(now)
        return []

    def expire(self, now: float) -> list[Waiting]:
        """What may be delivered because what was waited for did not come."""
        return self.go_on(now) if self.until is not None and self.until <= now else []

    def go_on(self, now: float) -> list[Waiting]:
        """Give up what is missing before the first one that is held back."""
        first = min(self._held)
        self.missed += first - self._next if self._next else 1
        return self._deliver(first, now)

    def take_missed(self) -> int:
        """How many numbers were given up since this was asked last."""
        missed, self.missed = self.missed, 0
        return missed

    def _deliver(self, first: int, now: float) -> list[Waiting]:
        ready = []
        self._next = first
        while self._next in self._held:
            item = self._held.pop(self._next)
            self._bytes -= len(item.message.payload)
            ready.append(item)
            self._next += 1
        self.until = now + self._limits.hold if self._held else None
        return ready
