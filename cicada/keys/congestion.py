"""How many first contacts a peer has under way at once, and which of those that wait is next.

A first contact costs every relay on its way, and whoever is contacted; what they can bear shows in how long it takes. So their
number follows a congestion window, as that of TCP does (additive increase and multiplicative decrease: Chiu and Jain 1989; RFC
5681 section 3.1): overload makes first contacts wait here, where waiting costs nobody anything.
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


class FirstContacts:
    """Those that wait, first come first served, and those under way. Times are monotonic seconds."""

    def __init__(self, limits: KeyLimits) -> None:
        self._limits = limits
        self._window = float(limits.window_initial)
        self._halved = -math.inf
        self._waiting: dict[Place, _Wait] = {}
        self._begun: dict[Place, float] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __contains__(self, place: Place) -> bool:
        """Whether that one waits."""
        return place in self._waiting

    @property
    def window(self) -> float:
        """How many may be under way; what is less than one counts towards the next."""
        return self._window

    @property
    def under_way(self) -> int:
        """How many are."""
        return len(self._begun)

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
        while self._waiting and len(self._begun) < int(self._window):
            place = next(iter(self._waiting))
            wait = self._waiting.pop(place)
            if now - wait.asked < self._limits.handshake_seconds:
                self._begun[place] = now
                return Candidate(place, wait.address)
        return None

    def withdraw(self, place: Place) -> None:
        """It needs no turn any more."""
        self._waiting.pop(place, None)

    def end(self, place: Place, now: float) -> None:
        """It came to an end, good or bad. Others are none of ours, and change nothing."""
        begun = self._begun.pop(place, None)
        if begun is None:
            return
        if now - begun <= self._limits.window_fast:
            self._window = min(self._window + 1 / self._window, float(self._limits.window_max))
        else:
            self._judge(now - begun, now)

    def abandon(self, place: Place, now: float, *, is_denied: bool) -> None:
        """Nobody waits for it any more: ``is_denied`` when the ring says that nobody lives there, which is no sign of load.
        What was given up before it was slow says nothing."""
        self.withdraw(place)
        begun = self._begun.pop(place, None)
        if begun is not None and not is_denied:
            self._judge(now - begun, now)

    def _judge(self, took: float, now: float) -> None:
        """Those that are slow were begun under one load, so that all of them halve the window once."""
        limits = self._limits
        if took > limits.window_slow and now - self._halved >= limits.window_pause:
            self._window = max(self._window / 2, float(limits.window_min))
            self._halved = now
