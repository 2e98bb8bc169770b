"""Being woken in time: event loops count milliseconds, and a load at 500 a second has two of them between two starts."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Protocol

_CLOCK_MONOTONIC = 1
_NONBLOCK = os.O_NONBLOCK
_EXPIRATIONS = 8  # bytes that a timer's descriptor holds once it has expired


class Timer(Protocol):
    """One alarm that calls back on the loop's thread."""

    def set(self, seconds: float) -> None:
        """Call back after so long, and not when it was set before."""
        ...

    def close(self) -> None:
        """Never call back again."""
        ...


class LoopTimer:
    """The loop's own, to the millisecond."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        self.close()
        self._handle = self._loop.call_later(seconds, self._callback)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class _Span(ctypes.Structure):
    """timespec."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    """itimerspec."""

    _fields_ = (("interval", _Span), ("value", _Span))


class KernelTimer:
    """Linux's timerfd, to some ten microseconds. Raises OSError where there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._loop = loop
        self._callback = callback
        self._descriptor = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._is_open = True
        loop.add_reader(self._descriptor, self._expired)

    def set(self, seconds: float) -> None:
        nanoseconds = max(1, round(seconds * 1e9))  # 0 would disarm it
        setting = _Setting(_Span(0, 0), _Span(*divmod(nanoseconds, 1_000_000_000)))
        self._libc.timerfd_settime(self._descriptor, 0, ctypes.byref(setting), None)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)

    def _expired(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it was set anew meanwhile
            os.read(self._descriptor, _EXPIRATIONS)
            self._callback()


def precise_timer(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> Timer:
    """The most exact one that this system has."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without it
            return KernelTimer(loop, callback)
    return LoopTimer(loop, callback)
