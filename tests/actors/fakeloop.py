"""An event loop that moves only when a test says so, and a clock that can jump."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class FakeTime:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class FakeLoop(asyncio.BaseEventLoop):
    """call_soon and call_later on a FakeTime. ``poll`` is one turn: due timers, then what was scheduled before it."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__()
        self._time = time
        self._soon: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()

    def is_closed(self) -> bool:
        return True  # there is nothing to close, and asyncio need not warn of it

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise AssertionError(context)

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        at = self._time.seconds + delay
        handle = asyncio.TimerHandle(at, callback, args, self, context)
        heapq.heappush(self._timers, (at, next(self._order), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked by asyncio's own handles."""

    def poll(self) -> None:
        """One turn of the loop at the present time."""
        turn, self._soon = self._soon, []
        while self._timers and self._timers[0][0] <= self._time.seconds:
            turn.append(heapq.heappop(self._timers)[2])
        for handle in turn:
            if not handle.cancelled():
                handle._run()

    def run_for(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass without a stall."""
        for _ in range(round(seconds / step)):
            self._time.seconds += step
            self.poll()
            self.poll()

    @property
    def timers(self) -> int:
        """Timers that would still fire."""
        return sum(not handle.cancelled() for _, _, handle in self._timers)
