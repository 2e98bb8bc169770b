"""The application's mailbox: where a message is when it counts as delivered. It outlives crashes of the actors below."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from cicada.errors import DeliveryTimeout, NotBound
from cicada.limits import DELIVERY, DeliveryLimits


class HostPort(NamedTuple):
    """A numeric IP address and a port, in the shape sockets use. ``send`` and ``connect`` take it as a target."""

    host: str
    port: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One received message. Also unpacks as ``source, data, more``."""

    source: HostPort
    data: bytes
    more: bool  # another message was waiting when this one was taken
    id: int  # unique per source and life of it
    kind: str  # "message" or "broadcast"
    hops: int
    trust: str = "unverified"  # how sure its source is, or "first-contact", "pinned", "pre-shared"

    def __iter__(self) -> Iterator[HostPort | bytes | bool]:
        return iter((self.source, self.data, self.more))


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it lies in the mailbox."""

    source: HostPort
    data: bytes
    id: int
    broadcast: bool
    hops: int
    trust: str

    def taken(self, *, more: bool) -> Message:
        """What ``recv`` returns."""
        kind = "broadcast" if self.broadcast else "message"
        return Message(
            source=self.source,
            data=self.data,
            more=more,
            id=self.id,
            kind=kind,
            hops=self.hops,
            trust=self.trust,
        )


class Mailbox:
    """A queue bounded by messages and bytes. Used on one event loop only."""

    __slots__ = ("_bytes", "_closed", "_limits", "_mails", "_waiters", "refused")

    def __init__(self, limits: DeliveryLimits = DELIVERY) -> None:
        self._limits = limits
        self._mails: deque[Mail] = deque()
        self._bytes = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self.refused = 0

    def __len__(self) -> int:
        return len(self._mails)

    def has_room(self, size: int) -> bool:
        """Whether ``put`` may be called with ``size`` bytes of data. A no is counted in ``refused``."""
        full = len(self._mails) >= self._limits.mailbox or self._bytes + size > self._limits.mailbox_bytes
        if full or self._closed:
            self.refused += 1
        return not (full or self._closed)

    def put(self, mail: Mail) -> None:
        """Take the mail in and wake who waits for it."""
        self._mails.append(mail)
        self._bytes += len(mail.data)
        self._wake_one()

    def peek(self) -> Message | None:
        """The oldest message, left where it is."""
        return self._mails[0].taken(more=len(self._mails) > 1) if self._mails else None

    async def take(self, timeout: float | None) -> Message:
        """The oldest message, waiting for one up to ``timeout`` seconds (None: for ever).

        Raises DeliveryTimeout when none came, NotBound when the mailbox was closed and is empty.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._mails:
                    await self._wait()
        except TimeoutError:
            raise DeliveryTimeout(f"no message within {timeout} s") from None
        mail = self._mails.popleft()
        self._bytes -= len(mail.data)
        if self._mails:
            self._wake_one()
        return mail.taken(more=bool(self._mails))

    def close(self) -> None:
        """No more mail comes in; what is there can still be taken; whoever waits in vain is told."""
        self._closed = True
        while self._waiters:
            self._wake_one()

    async def _wait(self) -> None:
        if self._closed:
            raise NotBound("this peer is closed and its mailbox is empty")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif self._mails:  # woken and cancelled at once: the mail belongs to the next who waits
                self._wake_one()
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
