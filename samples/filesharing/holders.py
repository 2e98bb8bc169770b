"""Who has the file, how much each may be asked at once, and who is asked no more. Pure: the instant is an argument."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from typing import Final

WINDOW_FIRST: Final = 2  # chunks asked of a new holder at once
WINDOW_MOST: Final = 8  # 4 MiB at 512 KiB: what a way of 100 ms carries at 40 MB/s
STRIKES: Final = 2  # in a row, then a holder is dropped: one answer may be lost with a relay that dies
PAUSE_S: Final = 10.0  # a dropped one that does not lie may be found again after this
HOLDERS: Final = 64  # asked at the same time; more would only share the same line
REMEMBERED: Final = 1024  # of those dropped; who makes up more addresses gains another two requests each
SMOOTHING: Final = 0.125  # share of a new measurement in the mean, as TCP has it (RFC 6298)


class Fault(enum.StrEnum):
    """Why a holder is asked no more."""

    LIES = "lies"  # what it sent is not what the digest names; for good
    SILENT = "silent"  # it did not answer
    SLOW = "slow"  # others answered before it, though they were asked long after
    REFUSES = "refuses"  # it says that it does not have it


class Holder:
    """One peer that has the file, or says so."""

    __slots__ = ("asked", "chunks", "name", "strikes", "window")

    def __init__(self, name: str) -> None:
        self.name = name
        self.window = WINDOW_FIRST
        self.strikes = 0
        self.chunks = 0  # that it gave
        self.asked: dict[int, float] = {}  # chunk, and when it was asked for

    @property
    def room(self) -> int:
        """How many chunks more it may be asked for."""
        return self.window - len(self.asked)

    def answered(self) -> None:
        """It gave a chunk: it may be asked for one more at a time."""
        self.strikes = 0
        self.chunks += 1
        self.window = min(self.window + 1, WINDOW_MOST)

    def failed(self) -> bool:
        """It did not. Whether that was once too often."""
        self.strikes += 1
        self.window = max(self.window // 2, 1)
        return self.strikes >= STRIKES


class Holders:
    """All of them, those that were dropped, and how long an answer takes."""

    def __init__(self) -> None:
        self._asked: dict[str, Holder] = {}
        self._dropped: dict[str, float] = {}  # until when
        self.typical = 0.0  # seconds from a question to its answer, the mean of the latest

    def __len__(self) -> int:
        return len(self._asked)

    def __iter__(self) -> Iterator[Holder]:
        return iter(self._asked.values())

    def __contains__(self, name: str) -> bool:
        return name in self._asked

    def get(self, name: str) -> Holder | None:
        """The holder of that name, unless it was dropped or never found."""
        return self._asked.get(name)

    def found(self, name: str, now: float) -> bool:
        """Somebody has it. Whether he is a new holder."""
        if name in self._asked or len(self._asked) >= HOLDERS or now < self._dropped.get(name, -math.inf):
            return False
        self._asked[name] = Holder(name)
        return True

    def drop(self, name: str, fault: Fault, now: float) -> Holder | None:
        """Ask it no more: for a while, or when it lies never again. Returns what it was asked for."""
        holder = self._asked.pop(name, None)
        if holder is not None:
            self._dropped.pop(name, None)
            self._dropped[name] = math.inf if fault is Fault.LIES else now + PAUSE_S
            while len(self._dropped) > REMEMBERED:
                del self._dropped[next(iter(self._dropped))]
        return holder

    def took(self, seconds: float) -> None:
        """An answer came after so long."""
        self.typical += SMOOTHING * (seconds - self.typical) if self.typical else seconds

    def idlest(self, *, but: int | None = None) -> Holder | None:
        """Who has most room, if anybody has any and was not asked for chunk ``but``."""
        fit = [holder for holder in self if holder.room > 0 and but not in holder.asked]
        return max(fit, key=lambda holder: holder.room / holder.window, default=None)
