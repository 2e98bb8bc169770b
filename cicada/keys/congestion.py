"""How many first contacts are under way at once, and which of those that wait is next.

A first contact costs every relay on its way, and whoever is contacted; what they can bear shows in how long it takes. So their
number follows a congestion window, as that of TCP does (additive increase and multiplicative decrease: Chiu and Jain 1989; RFC
5681 section 3.1): overload makes first contacts wait here, where waiting costs nobody anything. All peers of one event loop
share a window, because it is their loop that is late.
"""

from __future__ import annotations

import math

import msgspec

from cicada.ids import Address, Place
from cicada.limits import KeyLimits


class Candidate(msgspec.Struct, frozen=True):
    """A first contact that may begin, and the ``address`` of its place where that is known."""

    place: Place
    address: Address


class _Wait(msgspec.Struct):
    address: Address
    asked: float


class Window:
    """How many may be under way: ``size``, where what is less than one counts towards the next. Times are monotonic seconds."""

    def __init__(self, limits: KeyLimits) -> None:
        self._limits = limits
        self._halved = -math.inf
        self._fast = -math.inf  # when one last came to an end in good time
        self.size = float(limits.window_initial)
        self.under_way = 0

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        return self.under_way < int(self.size)

    def finished(self, took: float, now: float) -> None:
        """One that took so long has come to an end, good or bad. One that bad relays held up, while others were fast, is no
        sign of load, and makes room as they do."""
        limits = self._limits
        if took <= limits.window_fast:
            self._fast = now
        if now - self._fast <= limits.window_fast and took <= limits.window_slow:
            self.size = min(self.size + 1 / self.size, float(limits.window_max))
        else:
            self.judge(took, now)

    def judge(self, took: float, now: float) -> None:
        """Those that are slow were begun under one load, so that all of them halve the window once. Load makes all of them
        slow: while others come to an end in good time, those that do not were lost on their way, by relays that do harm."""
        limits = self._limits
        is_load = now - self._fast >= limits.window_slow
        if took > limits.window_slow and is_load and now - self._halved >= limits.window_pause:
            self.size = max(self.size / 2, float(limits.window_min))
            self._halved = now


class FirstContacts:
    """Those of one peer that wait, first come first served, and those under way."""

    def __init__(self, limits: KeyLimits, window: Window) -> None:
        self._limits = limits
        self._window = window
        self._waiting: dict[Place, _Wait] = {}
        self._begun: dict[Place, float] = {}
        self._retry_at = math.inf

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __contains__(self, place: Place) -> bool:
        """Whether that one waits."""
        return place in self._waiting

    @property
    def window(self) -> float:
        """How many may be under way, of all peers that share the window."""
        return self._window.size

    @property
    def under_way(self) -> int:
        """How many of this peer are."""
        return len(self._begun)

    def next_deadline(self) -> float:
        """When to look again whether the window has room, which nobody tells this peer."""
        return self._retry_at if self._waiting else math.inf

    def ask(self, place: Place, address: Address, now: float) -> None:
        """Have it wait for its turn. Asked again meanwhile, it keeps its turn."""
        wait = self._waiting.get(place)
        if wait is None:
            self._waiting[place] = _Wait(address, now)
        else:
            wait.asked = now

    def begin(self, now: float) -> Candidate | None:
        """Whose turn it is, which is under way from now on; None when the window is full or nobody waits.

        A Router asks again while it waits. What it has not asked for within ``handshake_seconds`` was asked by one that
        crashed, and is left out.
        """
        if self._begun:
            self._window.judge(now - next(iter(self._begun.values())), now)  # it may never end
        while self._waiting and self._window.has_room:
            place = next(iter(self._waiting))
            wait = self._waiting.pop(place)
            if now - wait.asked < self._limits.handshake_seconds:
                self._begun[place] = now
                self._window.under_way += 1
                return Candidate(place, wait.address)
        self._retry_at = now + self._limits.window_retry
        return None

    def withdraw(self, place: Place) -> None:
        """It needs no turn any more."""
        self._waiting.pop(place, None)

    def end(self, place: Place, now: float) -> None:
        """It came to an end, good or bad. Others are none of ours, and change nothing."""
        begun = self._leave(place)
        if begun is not None:
            self._window.finished(now - begun, now)

    def abandon(self, place: Place, now: float, *, is_denied: bool) -> None:
        """Nobody waits for it any more: ``is_denied`` when the ring says that nobody lives there, which is no sign of load.
        What was given up before it was slow says nothing."""
        self.withdraw(place)
        begun = self._leave(place)
        if begun is not None and not is_denied:
            self._window.judge(now - begun, now)

    def close(self) -> None:
        """Whoever had asked is gone: room for others."""
        self._waiting.clear()
        for place in list(self._begun):
            self._leave(place)

    def _leave(self, place: Place) -> float | None:
        begun = self._begun.pop(place, None)
        self._window.under_way -= begun is not None
        return begun
