"""The application's mailbox: where a message is when it counts as delivered. It outlives crashes of the actors below."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from cicada.actors.receipt import Receipt
from cicada.errors import DeliveryTimeout, Misuse, NotBound
from cicada.ids import Address, is_hidden, split_address
from cicada.limits import DELIVERY
from cicada.routing.mailstore import ERROR, MailboxPolicy, MailStore

BLOCKING: Final = MailboxPolicy()

Lane = tuple[str, Address]
"""A sender: its proven peer id (empty between peers that do not encrypt) and its address."""

BROADCASTS: Final[Lane] = ("", Address(""))
"""All broadcasts have one lane."""


class HostPort(NamedTuple):
    """A numeric IP address and a port, in the shape sockets use; of a peer that nobody can dial ``@`` with its peer id, and 0.
    ``send`` takes it as a target."""

    host: str
    port: int

    @classmethod
    def of(cls, address: Address) -> HostPort:
        """An address in that shape."""
        return cls(address, 0) if is_hidden(address) else cls(*split_address(address))


class Message(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One received message. Also unpacks as ``source, data, more``. How to reply to it is no part of its value: a copy, or one
    that was pickled, has lost that."""

    source: HostPort
    data: bytes
    more: bool  # another message was waiting when this one was taken
    id: int  # unique per source and life of it
    kind: str  # "message", "broadcast", "request", or "reply" from ``request``
    hops: int
    trust: str = "unverified"  # how sure its source is, or "first-contact", "pinned", "pre-shared"
    peer_id: str = ""  # whose key its sender proved to have; empty between peers that do not encrypt

    def __iter__(self) -> Iterator[Any]:  # what each of the three is, no type of an iterator can say
        return iter((self.source, self.data, self.more))

    def reply(self, data: bytes | str, timeout: float = DELIVERY.timeout) -> Receipt:
        """Reply to a request; to any other message, send ``data`` to its source. Returns at once, in any thread, and the receipt
        settles within ``timeout`` seconds.

        Raises PayloadTooLarge, NotBound when the peer that received the message has ended, MailboxFull as ``send`` does, and
        Misuse when no peer received it here.
        """
        way_back: WayBack | None = self.__dict__.get("way_back")
        if way_back is None:
            raise Misuse("this message was not received here, or is a copy: send to its source instead")
        return way_back(data, timeout)


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it lies in the mailbox."""

    source: HostPort
    data: bytes
    id: int
    kind: str
    hops: int
    trust: str
    peer_id: str = ""
    request: int | None = None  # the number of a request

    def taken(self, reply: Replying | None, *, more: bool) -> Message:
        """What ``recv`` returns."""
        message = Message(
            source=self.source,
            data=self.data,
            more=more,
            id=self.id,
            kind=self.kind,
            hops=self.hops,
            trust=self.trust,
            peer_id=self.peer_id,
        )
        if reply is not None:
            message.__dict__["way_back"] = partial(reply, self.source, self.request)
        return message


WayBack = Callable[[bytes | str, float], Receipt]
"""Sends a reply, which settles within so many seconds."""

Replying = Callable[[HostPort, int | None, bytes | str, float], Receipt]
"""Sends a reply to a source: to its request of that number, or just as a message."""


class Loan(NamedTuple):
    """A message that was taken out, to be given back if nobody handles it."""

    lane: Lane
    mail: Mail
    message: Message


class Mailbox:
    """A mailbox that can be waited for. Used on one event loop only."""

    __slots__ = ("_closed", "_on_room", "_reply", "_store", "_waiters")

    def __init__(self, policy: MailboxPolicy = BLOCKING) -> None:
        self._store: MailStore[Lane, Mail] = MailStore(policy)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._on_room: Callable[[Lane, int], object] | None = None
        self._reply: Replying | None = None

    def __len__(self) -> int:
        return len(self._store)

    @property
    def bytes(self) -> int:
        """Of all payloads in it."""
        return self._store.bytes

    @property
    def refuses(self) -> bool:
        """Whether senders are not to wait for room."""
        return self._store.policy.on_full == ERROR

    def has_room(self, lane: Lane, size: int) -> bool:
        """Whether ``put`` may be called with ``size`` bytes of data from that sender."""
        return not self._closed and self._store.admits(lane, size)

    def put(self, lane: Lane, mail: Mail) -> int:
        """Take the mail in and wake who waits for it. Returns how many unread ones were dropped for it."""
        dropped = self._store.put(lane, len(mail.data), mail)
        self._wake_one()
        return dropped

    def credit(self, lane: Lane, size: int) -> int:
        """How many messages more of ``size`` bytes that sender may send. Who may send none is called back."""
        return 0 if self._closed else self._store.credit(lane, size)

    def when_room(self, on_room: Callable[[Lane, int], object]) -> None:
        """Have this called with a sender who had no credit, and what he has again."""
        self._on_room = on_room

    def reply_by(self, reply: Replying) -> None:
        """Have this called to reply to messages that are taken from now on."""
        self._reply = reply

    def peek(self) -> Message | None:
        """The message that ``take`` would return, left where it is."""
        mail = self._store.peek()
        return None if mail is None else mail.taken(self._reply, more=len(self._store) > 1)

    async def take(self, timeout: float | None) -> Message:
        """The oldest message of the sender whose turn it is, waiting for one up to ``timeout`` seconds (None: for ever).

        Raises DeliveryTimeout when none came, NotBound when the mailbox was closed and is empty.
        """
        return (await self.borrow(timeout)).message

    async def borrow(self, timeout: float | None) -> Loan:
        """The same, for who may ``give_back`` what it took."""
        try:
            async with asyncio.timeout(timeout):
                while not len(self._store):
                    await self._wait()
        except TimeoutError:
            raise DeliveryTimeout(f"no message within {timeout} s") from None
        lane = self._store.next_lane()
        mail = self._store.pop()
        if len(self._store):
            self._wake_one()
        if self._on_room is not None:
            for recalled, credit in self._store.recalls():
                self._on_room(recalled, credit)
        return Loan(lane, mail, mail.taken(self._reply, more=len(self._store) > 0))

    def give_back(self, loans: Sequence[Loan]) -> None:
        """Nobody handled these, in the order in which they were borrowed: they are the next that are taken, though the mailbox
        may hold more than its bound for a while."""
        for loan in reversed(loans):
            self._store.put_back(loan.lane, len(loan.mail.data), loan.mail)
        if loans:
            self._wake_one()

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
            elif len(self._store):  # woken and cancelled at once: the mail belongs to the next who waits
                self._wake_one()
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
