"""Channels, as an application joins them, publishes and receives."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, cast

import msgspec

from cicada.actors.hosted import HostedPeer
from cicada.actors.mailbox import HostPort
from cicada.actors.pump import Core, Handlers
from cicada.embedding.sending import payload_of
from cicada.embedding.tenancy import Ask, Tenancy
from cicada.embedding.underway import Underway
from cicada.embedding.waiting import answered
from cicada.errors import DeliveryTimeout, MailboxFull, Misuse, NotBound, RingNotReady
from cicada.ids import Address
from cicada.limits import CHANNEL
from cicada.services.channels import Channels
from cicada.services.channelsio import (
    Blamed,
    Carried,
    Connected,
    Delivered,
    Dropped,
    Join,
    Leave,
    Missed,
    Presence,
    Publish,
    Published,
)
from cicada.services.channelssigned import KeySigning, PlainSigning
from cicada.wire.channels import check_channel, decode_channel, encode_channel
from cicada.wire.services import Service


class ChannelMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a member of a channel published. ``source``: by whom, a target of ``send``; ``peer_id``: whose key signed it, empty
    without encryption; ``trust``: how sure it is that this is the peer at ``source``. ``number`` counts that member's messages."""

    channel: str
    source: HostPort
    data: bytes
    peer_id: str
    trust: str
    number: int


class Channel:
    """One channel of a peer, a member from ``join`` to ``leave``; an async context manager, and an iterator of messages.

    ``missed`` counts messages of others that did not come in time, and those that this application was too slow for: the latest
    ``CHANNEL.waiting`` wait for it.
    """

    def __init__(self, hub: ChannelHub, name: str) -> None:
        self.name = name
        self.missed = 0
        self.members: tuple[HostPort, ...] = ()
        """Who is in the channel, by hearsay; of a large one some."""
        self._hub = hub
        self._messages: deque[ChannelMessage] = deque()
        self._news = asyncio.Event()
        self._connected = asyncio.Event()
        self._underway = Underway(CHANNEL.log_seconds)
        self._is_joined = False

    async def join(self, timeout: float = 10.0) -> None:
        """Be a member, and return when the channel's tree has a place for this peer. Raises RingNotReady when it has none within
        ``timeout`` seconds; the peer goes on looking until ``leave``. Raises NotBound when the peer has ended."""
        self._hub.join(self)
        self._is_joined = True
        try:
            async with asyncio.timeout(timeout):
                await self._connected.wait()
                self._hub.check()
        except TimeoutError:
            raise RingNotReady(f"no place in channel {self.name!r} within {timeout} s") from None

    def leave(self) -> None:
        """Be no member any more. Messages that came can still be taken. Idempotent."""
        if self._is_joined:
            self._hub.check_place()
            self._is_joined = False
            self._connected.clear()
            self._news.set()
            self._underway.clear()
            self._hub.leave(self)

    async def publish(self, data: bytes | str, timeout: float = 5.0) -> int:
        """Give ``data``, at most ``CHANNEL.payload`` bytes, to all other members, once each; returns its number when it is on its
        way. Raises PayloadTooLarge, NotBound before ``join``, and MailboxFull when too much is on its way."""
        payload = payload_of(data, CHANNEL.payload, "message of a channel")
        self._hub.check()
        self._check_joined()
        return await self._hub.publish(self, payload, timeout)

    async def carried(self, timeout: float = CHANNEL.carried) -> None:
        """Returns when a neighbour in the tree has all that was published here, and passes it on whatever becomes of this peer; at
        once where nobody else has been in the channel for a while. Raises DeliveryTimeout when that takes longer than ``timeout``
        seconds, and NotBound when the channel is left or the peer ends. What nobody took within a minute is lost, and not waited
        for; nor is what was on its way when this peer moved to another address."""
        self._hub.check_place()
        try:
            async with asyncio.timeout(timeout):
                await self._underway.over(asyncio.get_running_loop().time())
        except TimeoutError:
            raise DeliveryTimeout(
                f"nobody in channel {self.name!r} has the last message after {timeout} s"
            ) from None
        self._check_joined()

    async def recv(self, timeout: float | None = None) -> ChannelMessage:
        """The next message. Raises DeliveryTimeout when none came within ``timeout`` seconds (None: for ever), NotBound when the
        channel was left or the peer has ended, and nothing waits."""
        self._hub.check_place()
        try:
            async with asyncio.timeout(timeout):
                while not self._messages:
                    self._check_joined()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise DeliveryTimeout(f"no message in channel {self.name!r} within {timeout} s") from None
        return self._messages.popleft()

    def __aiter__(self) -> AsyncIterator[ChannelMessage]:
        return self._iterate()

    async def __aenter__(self) -> Self:
        try:
            await self.join()
        except BaseException:
            self.leave()  # nobody else would
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves, as soon as a neighbour has what was published, or ``CHANNEL.carried`` seconds later; at once when the block was
        cancelled or interrupted."""
        try:
            if kind is None or issubclass(kind, Exception):
                with contextlib.suppress(DeliveryTimeout, NotBound):
                    await self.carried()
        finally:
            self.leave()

    def __repr__(self) -> str:
        return f"<Channel {self.name}{'' if self._is_joined else ' left'}>"

    def end(self) -> None:
        """Its peer has ended. Messages that came can still be taken."""
        self._is_joined = False
        self._news.set()
        self._connected.set()
        self._underway.clear()

    def take(self, message: ChannelMessage) -> None:
        """It came."""
        if len(self._messages) >= CHANNEL.waiting:
            self._messages.popleft()
            self.missed += 1
        self._messages.append(message)
        self._news.set()

    def note(self, *, connected: bool) -> None:
        """Whether the tree has a place for this peer."""
        if connected:
            self._connected.set()
        else:
            self._connected.clear()

    @property
    def underway(self) -> Underway:
        """What it published that no neighbour has yet."""
        return self._underway

    def _check_joined(self) -> None:
        if not self._is_joined:
            self._hub.check()
            raise NotBound(f"this peer is not in channel {self.name!r}: join it first")

    async def _iterate(self) -> AsyncIterator[ChannelMessage]:
        while True:
            try:
                yield await self.recv()
            except NotBound:
                return


class ChannelHub:
    """All channels of one peer: those of its application, and those that it serves for others. On the peer's loop only."""

    service = Service.CHANNEL
    wants_all = False  # the owner is enough
    decode = staticmethod(decode_channel)
    encode = staticmethod(encode_channel)

    def __init__(self, hosted: HostedPeer) -> None:
        self._hosted = hosted
        self._joined: dict[str, Channel] = {}
        self._tenancy = Tenancy(hosted, self)
        hosted.when_ended(self._end)

    def check(self) -> None:
        """Raises NotBound when the peer has ended, and Misuse where it is not to be used."""
        self._hosted.check()

    def check_place(self) -> None:
        """Raises Misuse where the peer is not to be used; one that has ended may be."""
        self._hosted.ownership.check()

    def channel(self, name: str) -> Channel:
        """The channel of that name, not joined yet unless it was. Raises Misuse for what cannot be a name."""
        try:
            check_channel(name)
        except ValueError as error:
            raise Misuse(f"{name!r} cannot be the name of a channel: {error}") from None
        return self._joined.get(name) or Channel(self, name)

    def join(self, channel: Channel) -> None:
        """Raises Misuse when it is joined through another Channel, or the peer is in too many."""
        self.check()
        if self._joined.setdefault(channel.name, channel) is not channel:
            raise Misuse(f"channel {channel.name!r} is joined already: use the Channel that joined it")
        if len(self._joined) > CHANNEL.joined:
            del self._joined[channel.name]
            raise Misuse(f"a peer joins {CHANNEL.joined} channels at most: leave one first")
        self._tenancy.tell(Join(channel.name))

    def leave(self, channel: Channel) -> None:
        self._joined.pop(channel.name, None)
        if not self._hosted.ended:
            self._tenancy.tell(Leave(channel.name))

    async def publish(self, channel: Channel, payload: bytes, timeout: float) -> int:
        loop = asyncio.get_running_loop()
        published: asyncio.Future[int | str] = loop.create_future()
        said = channel.underway.begin(loop.time())

        def answer(outputs: list[Any]) -> None:
            outcome = _number_in(outputs)
            if isinstance(outcome, int):
                channel.underway.number(said, outcome)
            else:
                channel.underway.end(said)
            if not published.done():
                published.set_result(outcome)

        if not self._tenancy.tell(Ask(Publish(channel.name, payload), answer)):
            channel.underway.end(said)
            raise MailboxFull(f"channel {channel.name!r} has too much to do: publish later")
        outcome = await answered(published, timeout, f"publishing in {channel.name!r}")
        if isinstance(outcome, str):
            raise MailboxFull(f"channel {channel.name!r} did not take the message ({outcome}): publish later")
        return outcome

    # The tenant of the service

    def make(self, hosted: HostedPeer) -> Core:
        memory, around = hosted.memory, hosted.around
        signing = PlainSigning(around.clock.wall_ms) if memory is None else KeySigning(memory)
        return Channels(around.own, signing, around.entropy)

    def move(self, fresh: Core, before: Core, now: float) -> None:
        cast("Channels", fresh).go_on_from(cast("Channels", before), now)

    def carriers(self) -> Handlers:
        return {
            Published: lambda _: None,
            Carried: self._on_carried,
            Delivered: self._on_delivered,
            Missed: self._on_missed,
            Presence: self._on_presence,
            Connected: self._on_connected,
            Blamed: lambda _: None,  # what it brought was dropped, which is counted
            Dropped: lambda dropped: self._hosted.drop(dropped.reason),
        }

    async def farewell(self, timeout: float) -> None:
        """Wait until others have what was published, at most so long."""
        if self._joined:
            waits = (channel.carried(timeout) for channel in self._joined.values())
            await asyncio.gather(*waits, return_exceptions=True)

    def began(self) -> None:
        for name, channel in self._joined.items():
            channel.note(connected=False)
            channel.underway.clear()
            self._tenancy.tell(Join(name))

    def _end(self) -> None:
        joined, self._joined = self._joined, {}
        for channel in joined.values():
            channel.end()

    def _on_delivered(self, delivered: Delivered) -> None:
        channel = self._joined.get(delivered.channel)
        if channel is not None:
            message = ChannelMessage(
                channel=delivered.channel,
                source=HostPort.of(delivered.origin),
                data=delivered.payload,
                peer_id=delivered.peer_id,
                trust=delivered.trust.word,
                number=delivered.number,
            )
            channel.take(message)

    def _on_carried(self, carried: Carried) -> None:
        channel = self._joined.get(carried.channel)
        if channel is not None:
            channel.underway.carried(carried.number)

    def _on_missed(self, missed: Missed) -> None:
        channel = self._joined.get(missed.channel)
        if channel is not None:
            channel.missed += missed.count

    def _on_presence(self, presence: Presence) -> None:
        channel = self._joined.get(presence.channel)
        if channel is not None:
            channel.members = tuple(HostPort.of(Address(member)) for member in presence.members)

    def _on_connected(self, connected: Connected) -> None:
        channel = self._joined.get(connected.channel)
        if channel is not None:
            channel.note(connected=connected.depth is not None)


def _number_in(outputs: list[Any]) -> int | str:
    """The number under which it was published, or why it was not."""
    for output in outputs:
        if isinstance(output, Published):
            return output.number
        if isinstance(output, Dropped):
            return output.reason
    return "nothing happened"
