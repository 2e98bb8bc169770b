"""The reply to an ask: Pykka's future, which can also be awaited, and which refuses to block an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pykka

from cicada.errors import Misuse

T = TypeVar("T")


class LoopFuture(pykka.ThreadingFuture[T]):
    """``get`` blocks a thread, ``await`` does not. Set once, from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._settled = False
        self._waiting: list[Callable[[], object]] = []

    def is_settled(self) -> bool:
        """Whether ``get`` returns or raises at once."""
        return self._settled

    def error(self) -> BaseException | None:
        """What ``get`` would raise, once the future is settled; None when it would return."""
        result = self._result
        return None if result is None or result.exc_info is None else result.exc_info[1]

    def get(self, *, timeout: float | None = None) -> T:
        """The value, or the exception it was settled with, raised.

        Raises pykka.Timeout after ``timeout`` seconds; Misuse instead of blocking a thread that runs an event loop,
        because nobody could settle the future then.
        """
        if not self._settled and _runs_a_loop():
            raise Misuse("get() would block this event loop and all actors on it: write `await future`")
        value: T = super().get(timeout=timeout)
        return value

    def set(self, value: Any | None = None) -> None:
        super().set(value)
        self._notify()

    def set_exception(self, exc_info: Any = None) -> None:
        super().set_exception(exc_info)
        self._notify()

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once, in the thread that settles the future; at once if it is settled."""
        self._waiting.append(callback)
        if self._settled:
            self._call_waiting()

    def __await__(self) -> Generator[Any, None, T]:
        loop = asyncio.get_running_loop()
        if self._get_hook is not None:  # map, filter and their like: the hook waits for another future
            return (yield from loop.run_in_executor(None, self.get).__await__())
        if not self._settled:
            waiter = loop.create_future()
            self.when_settled(lambda: _wake(loop, waiter))
            yield from waiter.__await__()
        return self.get()

    __iter__ = __await__

    def _notify(self) -> None:
        self._settled = True
        self._call_waiting()

    def _call_waiting(self) -> None:
        while self._waiting:
            try:
                callback = self._waiting.pop()
            except IndexError:  # another thread took it between the look and the pop
                return
            callback()


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _wake(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    try:
        loop.call_soon_threadsafe(_settle, waiter)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
