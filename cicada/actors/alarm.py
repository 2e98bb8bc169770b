"""Deadlines of the actors of one event loop, and the clock they are measured on.

A loop that was stalled (a long handler, a frozen process, a suspended machine) finds its deadlines passed while the
answers that would have met them lie unread in its sockets. So the clock leaves stalls out, and after one the sockets
are read first.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pykka

from cicada.actors.base import Urgent
from cicada.limits import ACTOR, ActorLimits

Monotonic = Callable[[], float]


class Wake(Urgent, frozen=True):
    """The deadline an actor had itself armed for has passed. A late or second one is harmless: cores look at their
    timer tables.
    """

    deadline: float  # LoopClock seconds


class LoopClock:
    """A Clock whose ``now`` leaves out the stalls of one event loop.

    It looks at the time every ``clock_tick`` seconds. Between two looks ``now`` advances by at most ``clock_tick +
    stall``: what lies beyond is a stall and never happened, also for callbacks that run before the late look. Use on
    the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ActorLimits = ACTOR,
        monotonic: Monotonic = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._wall_ns = wall_ns
        self._interval = limits.clock_tick
        self._longest = limits.clock_tick + limits.stall
        self._monotonic = monotonic
        self._looked = self._now = monotonic()
        self._stalled = 0.0
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(self._interval, self._look)

    def now(self) -> float:
        """Monotonic seconds without stalls."""
        return self._now + min(self._monotonic() - self._looked, self._longest)

    def wall_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._wall_ns() // 1_000_000

    @property
    def stalled_seconds(self) -> float:
        """How much time was left out since the start."""
        return self._stalled + max(0.0, self._monotonic() - self._looked - self._longest)

    def close(self) -> None:
        """Stop looking. Idempotent; ``now`` soon stands still."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        looked = self._monotonic()
        step = looked - self._looked
        self._stalled += max(0.0, step - self._longest)
        self._now += min(step, self._longest)
        self._looked = looked
        self._timer = self._loop.call_later(self._interval, self._look)


class Alarms:
    """Tells actors Wake at their deadlines: one deadline per actor, one timer for all. Use on the loop's thread."""

    def __init__(
        self, clock: LoopClock, loop: asyncio.AbstractEventLoop | None = None, limits: ActorLimits = ACTOR
    ) -> None:
        self._clock = clock
        self._loop = loop or asyncio.get_running_loop()
        self._limits = limits
        self._armed: dict[pykka.ActorRef[Any], _Armed] = {}
        self._heap: list[tuple[float, int, _Armed]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._timer_at = math.inf
        self._closed = False

    def arm(self, ref: pykka.ActorRef[Any], at: float) -> None:
        """Wake ``ref`` once ``at`` (LoopClock seconds) has come, instead of at the deadline it had; never from inside
        this call. Nearly free when the deadline moves to a later one, as deadlines mostly do. Without effect after
        ``close``.
        """
        if self._closed:
            return
        armed = self._armed.get(ref)
        if armed is None:
            armed = self._armed[ref] = _Armed(ref)
        armed.at = at
        if at < armed.queued:
            self._push(armed)
            if at < self._timer_at:
                self._set_timer(at)

    def cancel(self, ref: pykka.ActorRef[Any]) -> None:
        """Forget the actor's deadline. A Wake that is in its inbox already stays there."""
        armed = self._armed.pop(ref, None)
        if armed is not None:
            armed.queued = math.inf

    def close(self) -> None:
        """Forget all deadlines. Idempotent."""
        self._closed = True
        self._armed.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _push(self, armed: _Armed) -> None:
        armed.queued = armed.at
        heapq.heappush(self._heap, (armed.at, next(self._order), armed))
        if len(self._heap) > 64 + 2 * len(self._armed):
            self._heap = [entry for entry in self._heap if entry[0] == entry[2].queued]
            heapq.heapify(self._heap)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0.001, at - self._clock.now())  # uvloop counts in milliseconds
        self._timer_at = at
        self._timer = self._loop.call_later(delay, self._due, self._clock.stalled_seconds)

    def _due(self, stalled_before: float) -> None:
        if self._clock.stalled_seconds > stalled_before:
            self._drain_first(self._limits.drain_polls)
        else:
            self._fire()

    def _drain_first(self, polls: int) -> None:
        if polls:
            self._timer = self._loop.call_soon(self._drain_first, polls - 1)
        else:
            self._fire()

    def _fire(self) -> None:
        self._timer = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            at, _, armed = heapq.heappop(self._heap)
            if at == armed.queued:
                self._ring(armed, now)
        self._timer_at = math.inf
        if self._heap:
            self._set_timer(self._heap[0][0])

    def _ring(self, armed: _Armed, now: float) -> None:
        if armed.at > now:  # it was armed again, for later, after this entry was made
            self._push(armed)
            return
        del self._armed[armed.ref]
        armed.queued = math.inf
        armed.ref.tell(Wake(armed.at))


class _Armed:
    """One actor's deadline, and the earliest entry of the heap that stands for it."""

    __slots__ = ("at", "queued", "ref")

    def __init__(self, ref: pykka.ActorRef[Any]) -> None:
        self.ref = ref
        self.at = math.inf
        self.queued = math.inf
