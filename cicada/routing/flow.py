"""How many bytes may be under way to a destination: a congestion window by delay.

LEDBAT (RFC 6817) on round trips: it fills a way until what it adds to its delay reaches a target, and makes room for others from
there. Loss reduces the window at most once a round trip, and by less where no delay says that a queue is full (TCP Veno: Fu and
Liew 2003): relays that drop are not relays that are busy.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque

from cicada.ids import Place
from cicada.limits import WIRE, TransferLimits

# Jacobson and Karels 1988, as RFC 6298 section 2 states it.
_MEAN_GAIN = 1 / 8
_VARIANCE_GAIN = 1 / 4
_VARIANCES = 4
_REORDERING = 9 / 8  # of a round trip: RFC 9002 section 6.1.2
_RECENT = 4  # round trips of which the least counts: RFC 6817 section 2.4.2, CURRENT_FILTER
_CONGESTED = 1 / 2  # what loss leaves of the window when a queue is filling
_RANDOM = 4 / 5  # and when none is: TCP Veno


class Flow:
    """One destination's window. Sizes are bytes, times seconds."""

    def __init__(self, limits: TransferLimits) -> None:
        self._limits = limits
        self.window = float(limits.window_initial)
        self.in_flight = 0
        self.round_trip: float | None = None
        self._variance = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._base = self._older_base = math.inf  # the least round trip of this span and the one before
        self._base_until = -math.inf
        self._threshold = math.inf  # where slow start ends
        self._reduced_at = -math.inf

    def has_room(self, size: int) -> bool:
        """Whether as many more may be under way. One fragment always may."""
        return not self.in_flight or self.in_flight + size <= self.window

    @property
    def overdue(self) -> float:
        """How old an unacknowledged fragment is that must be lost, when one sent later was acknowledged."""
        if self.round_trip is None:
            return math.inf
        return self.round_trip * _REORDERING + _VARIANCES * self._variance

    @property
    def queueing(self) -> float:
        """Seconds that this way takes longer now than when it is empty."""
        return min(self._recent) - min(self._base, self._older_base) if self._recent else 0.0

    def left(self, size: int) -> None:
        """As many are under way more."""
        self.in_flight += size

    def arrived(self, size: int, round_trip: float, now: float) -> None:
        """As many are under way no more: they were acknowledged after ``round_trip``."""
        was_full = self.in_flight + WIRE.max_payload > self.window
        self.in_flight -= size
        self._measure(round_trip, now)
        if self.queueing > self._limits.delay_target or was_full:
            self._adjust(size)  # a window that is not used up says nothing about a larger one (RFC 7661)

    def given_up(self, size: int) -> None:
        """As many are under way no more: nobody waits for them."""
        self.in_flight -= size

    def lost(self, sent_at: float, now: float) -> None:
        """A fragment was lost. All that left before the window was last reduced were lost under one load."""
        if sent_at <= self._reduced_at:
            return
        self._reduced_at = now
        is_filling = self.queueing > self._limits.delay_target / 2
        self._set(self.window * (_CONGESTED if is_filling else _RANDOM))
        self._threshold = self.window

    def _measure(self, round_trip: float, now: float) -> None:
        if now >= self._base_until:
            self._older_base, self._base = self._base, math.inf
            self._base_until = now + self._limits.base_seconds
        self._base = min(self._base, round_trip)
        self._recent.append(round_trip)
        if self.round_trip is None:
            self.round_trip = round_trip
            self._variance = round_trip / 2
        else:
            self._variance += _VARIANCE_GAIN * (abs(round_trip - self.round_trip) - self._variance)
            self.round_trip += _MEAN_GAIN * (round_trip - self.round_trip)

    def _adjust(self, acknowledged: int) -> None:
        """By the distance from the target, at most one fragment a round trip upwards (RFC 6817 section 2.4.2); before that,
        slow start until half of the target."""
        off_target = 1 - self.queueing / self._limits.delay_target
        if off_target < 1 / 2:
            self._threshold = min(self._threshold, self.window)
        if self.window < self._threshold:
            self._set(self.window + acknowledged)
        else:
            self._set(self.window + off_target * acknowledged * WIRE.max_payload / self.window)

    def _set(self, window: float) -> None:
        limits = self._limits
        self.window = min(max(window, float(limits.window_min)), float(limits.window_max))


class Flows:
    """Destinations' windows, least recently used first out unless something is under way."""

    def __init__(self, limits: TransferLimits) -> None:
        self._limits = limits
        self._flows: OrderedDict[Place, Flow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._flows)

    def to(self, place: Place) -> Flow:
        """The window of that destination."""
        if place not in self._flows:
            self._make_room()
            self._flows[place] = Flow(self._limits)
        self._flows.move_to_end(place)
        return self._flows[place]

    def _make_room(self) -> None:
        """Those in use may be more than the limit: each stands for a message that needs far more memory."""
        if len(self._flows) >= self._limits.flows:
            idle = next((place for place, flow in self._flows.items() if not flow.in_flight), None)
            if idle is not None:
                del self._flows[idle]
