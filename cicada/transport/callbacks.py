"""Telling receivers what happened: from the loop, in order, and surviving their failures."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVarTuple, Unpack

_log = logging.getLogger("cicada.transport")
Args = TypeVarTuple("Args")


class Callbacks:
    """Calls of receivers. After ``close`` nobody is called any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: Counter[str]) -> None:
        self._loop = loop
        self._count = count
        self._waiting: deque[Callable[[], None]] = deque()
        self._closed = False

    def later(self, call: Callable[[Unpack[Args]], None], *args: *Args) -> None:
        """Call from the next turn of the loop, after all that were asked for before."""
        if self._closed:
            return
        if not self._waiting:
            self._loop.call_soon(self._run)
        self._waiting.append(lambda: self.now(call, *args))

    def now(self, call: Callable[[Unpack[Args]], None], *args: *Args) -> None:
        """Call at once; only for callers that the loop called."""
        if self._closed:
            return
        try:
            call(*args)
        except Exception:  # noqa: BLE001 - supervised boundary: a failing receiver must not cost the other peers
            self.failed()

    def failed(self) -> None:
        """A receiver raised; called while that is handled. Logged the first, second, fourth, eighth time, because
        strangers may be able to repeat it."""
        self._count["receiver-failed"] += 1
        times = self._count["receiver-failed"]
        if times & (times - 1) == 0:
            _log.exception("a receiver failed while it was told something (%d times so far)", times)

    def close(self) -> None:
        self._closed = True
        self._waiting.clear()

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            call()
