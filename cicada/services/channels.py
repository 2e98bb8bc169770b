"""Channels: publish and subscribe over the ring. A pure machine for all channels of one peer.

Each channel is a tree of its members below the owner of the channel's place. Messages go along its links in both directions,
each once, and every peer checks the origin's signature before it delivers or passes on. ``docs/channels.md`` explains it.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import get_args

from cicada.hosts import HostOf, by_peer
from cicada.ids import Peer
from cicada.limits import CHANNEL, ChannelLimits
from cicada.services.channelsguard import Guard
from cicada.services.channelsio import (
    ChannelInput,
    ChannelOutput,
    Join,
    Leave,
    Publish,
)
from cicada.services.channelsnode import ChannelNode
from cicada.services.channelsoutbox import Outbox
from cicada.services.channelssigned import Signing
from cicada.services.io import FoundOwner, Received, Sent, TimerFired
from cicada.wire.channels import Attach, ChannelMessage, Post, check_channel

_KINDS = get_args(ChannelMessage)


class Channels:
    """All channels of the peer ``own``. ``handle`` takes one input and returns what is to be done, in order; ``now`` is in
    monotonic seconds. Every Send whose number is not 0 is answered by Sent, and every Find by FoundOwner, sooner or later.
    ``rng`` jitters and chooses."""

    def __init__(
        self,
        own: Peer,
        signing: Signing,
        rng: Random,
        limits: ChannelLimits = CHANNEL,
        host_of: HostOf = by_peer,
    ) -> None:
        self._own = own
        self._signing = signing
        self._rng = rng
        self._limits = limits
        self._host_of = host_of
        self._outbox = Outbox(limits)
        self._guard = Guard(limits, self._outbox)
        self._boot = 0
        self._nodes: dict[str, ChannelNode] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def counts(self) -> Counter[str]:
        """Messages sent, by class, lookups, and what was dropped, as ``dropped:`` and the reason."""
        return self._outbox.counts

    def node(self, channel: str) -> ChannelNode | None:
        """What this peer has of a channel; for questions only."""
        return self._nodes.get(channel)

    def go_on_from(self, before: Channels, now: float) -> None:
        """This is the same peer at another address, and a member where that one was: what was said and heard in its channels goes
        along, in the same memberships. Only where its key tells it from others; else each Join begins another one."""
        if not self._signing.peer_id:
            return
        self._boot = before._boot
        for channel, node in before._nodes.items():
            if node.is_joined:
                self._new(channel, "").go_on_from(node.posts, now)

    def handle(self, input: ChannelInput, now: float) -> list[ChannelOutput]:
        """What is to be done about ``input``. Raises ValueError for a Join whose name no channel can have, and nothing else."""
        match input:
            case Join(channel):
                self._join(channel, now)
            case Leave(channel):
                self._leave(channel, now)
            case Publish(channel, payload):
                self._publish(channel, payload, now)
            case Received(peer, _, message) if isinstance(message, _KINDS):
                self._receive(peer, message, now)
            case Sent(number, delivered):
                self._sent(number, delivered, now)
            case FoundOwner(number, owners):
                self._found(number, owners, now)
            case TimerFired():
                self._expire(now)
            case Received():
                pass  # of another service
        return self._outbox.drain()

    def next_deadline(self) -> float | None:
        """When TimerFired is due."""
        found = [node.next_deadline() for node in self._nodes.values()]
        found.append(self._outbox.next_deadline())
        return min((at for at in found if at is not None), default=None)

    # The application

    def _join(self, channel: str, now: float) -> None:
        check_channel(channel)
        node = self._nodes.get(channel)
        if node is not None and node.is_joined:
            return
        joined = sum(node.is_joined for node in self._nodes.values())
        if joined >= self._limits.joined:
            self._outbox.drop("channels-full", channel)
            return
        if node is None:
            node = self._new(channel, "")
        node.sponsor = ""
        self._boot = max(self._boot + 1, self._signing.wall_ms())
        node.join(self._boot, now)

    def _leave(self, channel: str, now: float) -> None:
        node = self._nodes.get(channel)
        if node is not None and node.is_joined:
            node.leave(now)
            self._tidy(channel)

    def _publish(self, channel: str, payload: bytes, now: float) -> None:
        node = self._nodes.get(channel)
        if node is None or not node.is_joined:
            self._outbox.drop("channel-not-joined", channel)
        elif len(payload) > self._limits.payload:
            self._outbox.drop("channel-too-large", channel)
        else:
            node.publish(payload, now)

    # Others

    def _receive(self, peer: Peer, message: ChannelMessage, now: float) -> None:
        if self._guard.is_banned(peer.address, now):
            self._outbox.drop("channel-banned", message.channel)
            return
        if not isinstance(message, Post) and not self._guard.asks.take(peer.address, now):
            self._outbox.drop("channel-asks", message.channel)
            return
        node = self._nodes.get(message.channel) or self._sponsored(peer, message)
        if node is not None:
            node.receive(peer, message, now)
            self._tidy(message.channel)

    def _sponsored(self, peer: Peer, message: ChannelMessage) -> ChannelNode | None:
        """Somebody takes this peer for the root of a channel that it does not have: the ring will say."""
        if not isinstance(message, Attach) or not message.is_root:
            self._outbox.drop("channel-unknown", message.channel)
            return None
        sponsored = sum(node.sponsor == peer.address for node in self._nodes.values())
        served = len(self._nodes) - sum(node.is_joined for node in self._nodes.values())
        most = self._limits.channels - self._limits.joined
        if sponsored >= self._limits.channels_of_peer or served >= most:
            self._outbox.drop("channels-full", message.channel)
            return None
        return self._new(message.channel, peer.address)

    def _sent(self, number: int, delivered: bool, now: float) -> None:
        sending = self._outbox.sent(number)
        node = None if sending is None else self._nodes.get(sending.channel)
        if sending is not None and not delivered:
            self._failed(sending.channel, sending.peer, now)
        elif sending is not None and node is not None:
            node.taken(sending.peer, sending.own)

    def _failed(self, channel: str, peer: Peer, now: float) -> None:
        node = self._nodes.get(channel)
        if node is not None:
            node.failed(peer, now)
            self._tidy(channel)

    def _found(self, number: int, owners: tuple[Peer, ...], now: float) -> None:
        channel = self._outbox.found(number)
        node = self._nodes.get(channel) if channel is not None else None
        if node is not None and channel is not None:
            node.found(owners, now)
            self._tidy(channel)

    def _expire(self, now: float) -> None:
        for sending in self._outbox.expire(now):
            self._failed(sending.channel, sending.peer, now)
        for channel, node in list(self._nodes.items()):
            deadline = node.next_deadline()
            if deadline is not None and deadline <= now:
                node.expire(now)
                self._tidy(channel)

    def _new(self, channel: str, sponsor: str) -> ChannelNode:
        rng = Random(self._rng.getrandbits(64))
        node = self._nodes[channel] = ChannelNode(
            channel,
            self._own,
            self._signing,
            self._limits,
            rng,
            self._outbox,
            self._guard,
            self._host_of,
            sponsor,
        )
        return node

    def _tidy(self, channel: str) -> None:
        node = self._nodes.get(channel)
        if node is not None and not node.is_needed:
            del self._nodes[channel]
