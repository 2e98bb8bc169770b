"""What settles once and may be waited for: on an event loop, in a thread, by many or by nobody."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from typing import ClassVar, Self

from cicada.errors import DeliveryTimeout, Misuse


class Awaited:
    """Subclasses name in ``about`` what is waited for, say in ``settled`` whether it came, and call ``tell_waiting`` when it does.

    Some thousands are in flight at once, so it holds little for those who might wait, and no reference to itself: cycles stay
    until the collector comes.
    """

    __slots__ = ("_waiting",)

    about: ClassVar[str]

    def __init__(self) -> None:
        self._waiting: list[Callable[[], object]] = []

    @property
    def settled(self) -> bool:
        """Whether the outcome is known."""
        raise NotImplementedError

    def result(self, timeout: float | None = 30.0) -> Self:
        """This receipt, settled. Raises DeliveryTimeout when that takes longer than ``timeout`` seconds (None: for ever).

        Raises Misuse on a thread that runs an event loop: there, ``await`` the receipt.
        """
        if not self.settled and _on_a_loop():
            raise Misuse("result() would stop the event loop it waits for: use 'await receipt'")
        if not self.settled:
            settled = threading.Event()
            self.when_settled(settled.set)
            if not settled.wait(timeout):
                raise DeliveryTimeout(f"no word about the {self.about} within {timeout} s")
        return self

    def __await__(self) -> Generator[object, None, Self]:
        if not self.settled:
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self.when_settled(lambda: _wake(loop, waiter))
            yield from waiter.__await__()
        return self

    def tell_waiting(self) -> None:
        """It has settled."""
        while self._waiting:
            try:
                callback = self._waiting.pop(0)
            except IndexError:  # another thread took it between the look and the pop
                return
            callback()

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Have it called once: in the thread that settles this, or here when that has happened meanwhile."""
        self._waiting.append(callback)
        if self.settled:
            self.tell_waiting()


def _wake(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    """Have whoever waits on that loop go on, unless it gave up."""

    def go_on() -> None:
        if not waiter.done():
            waiter.set_result(None)

    if asyncio._get_running_loop() is loop:
        go_on()
    else:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(go_on)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
