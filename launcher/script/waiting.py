"""What statements wait for: messages, and peers that join."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Set
from typing import Protocol

from cicada.aio import HostPort, Message
from cicada.errors import DeliveryTimeout
from cicada.limits import SCRIPT


class Inbox(Protocol):
    """Where RECV takes messages from."""

    async def recv(self, timeout: float | None = None) -> Message:
        """The next one. Raises DeliveryTimeout when none came in time."""
        ...


class ShownInbox:
    """Messages that were shown when they came, for RECV to count. Of more than ``unread`` the oldest are forgotten."""

    def __init__(self, unread: int = SCRIPT.unread) -> None:
        self._messages: deque[Message] = deque(maxlen=unread)
        self._came = asyncio.Event()

    def put(self, message: Message) -> None:
        """It came, and was shown."""
        self._messages.append(message)
        self._came.set()

    async def recv(self, timeout: float | None = None) -> Message:
        """The oldest that was not counted yet."""
        try:
            async with asyncio.timeout(timeout):
                while not self._messages:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise DeliveryTimeout(f"no message within {timeout:g} s") from None
        return self._messages.popleft()


class Arrivals:
    """Counts peers that this one had not known before; each of them ends one WAIT, also one that begins later. Of more than
    ``unawaited`` that no WAIT was for the others are not counted."""

    def __init__(self, unawaited: int = SCRIPT.unawaited) -> None:
        self._most = unawaited
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._known: Set[HostPort] = frozenset()
        self._new: set[HostPort] = set()

    def tell(self, address: HostPort) -> None:
        """The peer's hook, on its own thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever waited on it
            self._loop.call_soon_threadsafe(self._note, address)

    def forget(self, known: Set[HostPort]) -> None:
        """Those were there before, whether they were told already or will be."""
        self._known = known
        self._new -= known

    async def wait(self, timeout: float | None) -> bool:
        """Whether a peer joined in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self._new:
                    self._came.clear()
                    await self._came.wait()
        if not self._new:
            return False
        self._new.pop()
        return True

    def _note(self, address: HostPort) -> None:
        if address not in self._known and len(self._new) < self._most:
            self._new.add(address)
            self._came.set()
