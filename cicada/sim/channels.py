"""Channels of a whole swarm in virtual time: the product's machines, a network with delays and losses, and a ring that notices
late.

The ring is an oracle here: it names the owner that it would name ``ring_lag`` seconds after a change. Sessions are not
modelled: a message arrives whole, or its sender hears that it did not.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from cicada.ids import Address, Peer, Place
from cicada.keys.io import StatementChecked
from cicada.keys.trust import Trust
from cicada.limits import CHANNEL, ChannelLimits
from cicada.services.channels import Channels
from cicada.services.channelsio import (
    ChannelInput,
    ChannelOutput,
    Delivered,
    Join,
    Leave,
    Missed,
    Presence,
    Publish,
)
from cicada.services.channelssigned import place_of_channel
from cicada.services.channelstree import Role
from cicada.services.io import Find, FoundOwner, Received, Send, Sent, TimerFired
from cicada.sim.agenda import Agenda
from cicada.sim.seeds import split
from cicada.wire.channels import ChannelMessage, Post, decode_channel, encode_channel

_EPOCH_MS: Final = 1_700_000_000_000

Harm = Callable[[Peer, ChannelMessage], ChannelMessage | None]
"""What a bad peer makes of a message that it sends, to whom; None: nothing is sent, and it is believed to have arrived."""


def swallow(_: Peer, message: ChannelMessage) -> ChannelMessage | None:
    """Pass on no message of a channel, and do all else as it should be."""
    return None if isinstance(message, Post) else message


def alter(_: Peer, message: ChannelMessage) -> ChannelMessage | None:
    """Put words into the mouths of others."""
    return replace(message, payload=message.payload + b"!") if isinstance(message, Post) else message


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """The network: one-way ``latency`` in seconds, from and to; the share of messages that are ``lost``, of which a sender
    hears after ``loss_told`` seconds, as it does of those to the dead."""

    latency: tuple[float, float] = (0.01, 0.08)
    lost: float = 0.0
    loss_told: float = 3.0
    ring_lag: float = 3.0


class OpenSigning:
    """Signatures that only a function of this file makes: who alters bytes is found out, and nobody forges."""

    def __init__(self, own: Peer, wall_ms: Callable[[], int]) -> None:
        self._own = own
        self.wall_ms = wall_ms
        self.peer_id = f"key of {own.address}"

    def sign(self, digest: bytes) -> tuple[bytes, bytes]:
        record = self._own.address.encode()
        return record, _mark(record, digest)

    def check(self, digest: bytes, origin: Address, record: bytes, signature: bytes) -> StatementChecked:
        is_right = record == origin.encode() and signature == _mark(record, digest)
        return StatementChecked(
            ticket=0,
            reason="" if is_right else "signature",
            wall_ms=self.wall_ms(),
            trust=Trust.FIRST_CONTACT,
            peer_id=f"key of {origin}",
            origin=origin,
        )


class ChannelPeer:
    """One life of a peer, and what its application saw."""

    def __init__(self, peer: Peer, machine: Channels) -> None:
        self.peer = peer
        self.machine = machine
        self.is_up = True
        self.harm: Harm | None = None
        self.wakes_at: float | None = None
        self.delivered: list[Delivered] = []
        self.delivered_at: list[float] = []
        self.missed: list[Missed] = []
        self.presence: dict[str, Presence] = {}
        self.joined: dict[str, float] = {}


class Said(msgspec.Struct, frozen=True):
    """A message that was published, when, and by whom."""

    channel: str
    origin: Address
    payload: bytes
    at: float


class ChannelSwarm:
    """Peers in one ring, from the start. The same seed and the same calls give the same history, bit for bit."""

    def __init__(
        self,
        seed: int,
        peers: Iterable[Peer],
        *,
        weather: Weather | None = None,
        limits: ChannelLimits = CHANNEL,
    ) -> None:
        self.agenda = Agenda()
        self.weather = weather or Weather()
        self.limits = limits
        self.rng = split(seed, "channels")
        """For whoever decides what is done to the swarm. Nothing in it draws from here."""
        self.peers: dict[Peer, ChannelPeer] = {}
        self.sent: Counter[str] = Counter()
        """Messages that peers sent, by class."""
        self.bytes: Counter[str] = Counter()
        """Their bytes, as they are encoded."""
        self.published: list[Said] = []
        self._seed = seed
        self._network = split(seed, "channels network")
        self._ring: list[Peer] = []
        self._cut: Callable[[Peer, Peer], bool] | None = None
        for peer in peers:
            self._start(peer)
            self._ring.append(peer)
        self._ring.sort(key=lambda peer: peer.place)

    # What is done to it

    def join(self, peer: Peer, channel: str) -> None:
        """Have its application join."""
        self.peers[peer].joined[channel] = self.agenda.now
        self._give(self.peers[peer], Join(channel))

    def leave(self, peer: Peer, channel: str) -> None:
        """Have it leave."""
        del self.peers[peer].joined[channel]
        self._give(self.peers[peer], Leave(channel))

    def publish(self, peer: Peer, channel: str, payload: bytes) -> None:
        """Have it publish. Payloads should differ: that is how ``missing`` tells them apart."""
        self.published.append(Said(channel, peer.address, payload, self.agenda.now))
        self._give(self.peers[peer], Publish(channel, payload))

    def kill(self, peer: Peer) -> None:
        """End it without a word."""
        self.peers[peer].is_up = False
        self.agenda.enter(self.agenda.now + self.weather.ring_lag, self._leave_ring, peer)

    def start(self, peer: Peer) -> None:
        """A new life, in the ring after a while."""
        self._start(peer)
        self.agenda.enter(self.agenda.now + self.weather.ring_lag, self._enter_ring, peer)

    def cut(self, between: Callable[[Peer, Peer], bool] | None) -> None:
        """From now on nothing passes between those of which this is true. The ring is not touched."""
        self._cut = between

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.agenda.run_to(self.agenda.now + seconds)

    # Questions

    def live(self) -> list[ChannelPeer]:
        """Who is up."""
        return [peer for peer in self.peers.values() if peer.is_up]

    def members(self, channel: str) -> list[ChannelPeer]:
        """Live ones."""
        return [peer for peer in self.live() if channel in peer.joined]

    def owner(self, channel: str) -> Peer:
        """Who owns a channel's place, as the ring says."""
        return self._owners(place_of_channel(channel))[0]

    def faults(self, channel: str) -> list[str]:
        """What is wrong with a channel's tree now: members without a way to the one root, circles, and links that only one end
        knows."""
        found = []
        for member in self.members(channel):
            node = member.machine.node(channel)
            if node is None or node.tree.role not in (Role.CHILD, Role.ROOT):
                found.append(f"{member.peer} is not attached")
            elif self._climb(member, channel) != self.owner(channel):
                found.append(f"{member.peer} has no way to the root")
        for peer in self.live():
            node = peer.machine.node(channel)
            if (
                node is not None
                and len(node.tree.children) > self.limits.children + self.limits.spare_children
            ):
                found.append(f"{peer.peer} has {len(node.tree.children)} children")
        return found

    def depths(self, channel: str) -> list[int]:
        """How many links members are from the root, by the links."""
        return [len(self._way(member, channel)) - 1 for member in self.members(channel)]

    def repeated(self) -> list[str]:
        """Messages that an application got twice, or after a later one of the same origin."""
        found = []
        for peer in self.peers.values():
            last: dict[tuple[str, str, int], int] = {}
            for message in peer.delivered:
                key = (message.channel, message.origin, message.boot)
                if message.number <= last.get(key, 0):
                    found.append(f"{peer.peer} got {message.number} of {message.origin} late or twice")
                last[key] = message.number
        return found

    def missing(self, channel: str, *, since: float = 0.0) -> list[str]:
        """Messages that a live member, which was one when they were published, did not get. One whose origin is no member any
        more and that no live peer ever got went with it."""
        found = []
        joined = {member.peer.address: member.joined[channel] for member in self.members(channel)}
        known = {message.payload for peer in self.live() for message in peer.delivered}
        for member in self.members(channel):
            got = {message.payload for message in member.delivered if message.channel == channel}
            for said in self.published:
                was_member = member.joined[channel] <= said.at >= since and said.channel == channel
                is_left = joined.get(said.origin, self.agenda.now) <= said.at or said.payload in known
                is_due = was_member and is_left and said.origin != member.peer.address
                if is_due and said.payload not in got:
                    found.append(f"{member.peer} did not get {said.payload!r} of {said.origin}")
        return found

    def history(self) -> str:
        """A digest of all that applications saw: equal when two runs are."""
        hasher = hashlib.sha256()
        for peer in self.peers.values():
            hasher.update(repr((peer.peer, peer.delivered, peer.delivered_at)).encode())
        return hasher.hexdigest()

    # Time

    def _start(self, peer: Peer) -> None:
        signing = OpenSigning(peer, lambda: _EPOCH_MS + int(self.agenda.now * 1000))
        rng = split(self._seed, "channels", peer.address, self.agenda.now)
        self.peers[peer] = ChannelPeer(peer, Channels(peer, signing, rng, self.limits))

    def _give(self, peer: ChannelPeer, input: ChannelInput) -> None:
        for output in peer.machine.handle(input, self.agenda.now):
            self._carry_out(peer, output)
        deadline = peer.machine.next_deadline()
        if deadline is not None and (peer.wakes_at is None or deadline < peer.wakes_at):
            peer.wakes_at = deadline
            self.agenda.enter(deadline, self._wake, peer, deadline)

    def _wake(self, peer: ChannelPeer, at: float) -> None:
        if peer.is_up and peer.wakes_at == at:
            peer.wakes_at = None
            self._give(peer, TimerFired())

    def _carry_out(self, peer: ChannelPeer, output: ChannelOutput) -> None:
        match output:
            case Send():
                self._send(peer, output)
            case Find(number, place, count):
                answer = FoundOwner(number, self._owners(place)[:count])
                self.agenda.enter(self.agenda.now + self._delay(), self._answer, peer, answer)
            case Delivered():
                peer.delivered.append(output)
                peer.delivered_at.append(self.agenda.now)
            case Missed():
                peer.missed.append(output)
            case Presence(channel):
                peer.presence[channel] = output
            case _:
                pass

    # The network

    def _send(self, sender: ChannelPeer, send: Send) -> None:
        message = decode_channel(encode_channel(send.message))  # type: ignore[arg-type]
        harmed = sender.harm(send.peer, message) if sender.harm is not None else message
        self.sent[type(message).__name__] += 1
        now, weather = self.agenda.now, self.weather
        if harmed is None:
            self.agenda.enter(now + self._delay(), self._answer, sender, Sent(send.number, delivered=True))
            return
        self.bytes[type(message).__name__] += len(encode_channel(harmed))
        receiver = self.peers[send.peer]
        is_cut = self._cut is not None and self._cut(sender.peer, send.peer)
        if is_cut or not receiver.is_up or self._network.random() < weather.lost:
            self.agenda.enter(
                now + weather.loss_told, self._answer, sender, Sent(send.number, delivered=False)
            )
            return
        self.agenda.enter(now + self._delay(), self._arrive, (sender, receiver), (send.number, harmed))

    def _arrive(self, ends: tuple[ChannelPeer, ChannelPeer], carried: tuple[int, ChannelMessage]) -> None:
        (sender, receiver), (number, message) = ends, carried
        delivered = receiver.is_up
        wait = self._delay() if delivered else self.weather.loss_told
        if number:
            self.agenda.enter(self.agenda.now + wait, self._answer, sender, Sent(number, delivered))
        if delivered:
            self._give(receiver, Received(sender.peer, f"key of {sender.peer.address}", message))

    def _answer(self, peer: ChannelPeer, input: ChannelInput) -> None:
        if peer.is_up:
            self._give(peer, input)

    def _delay(self) -> float:
        return self._network.uniform(*self.weather.latency)

    # The ring

    def _owners(self, place: Place) -> tuple[Peer, ...]:
        index = bisect_left([peer.place for peer in self._ring], place)
        return tuple(
            self._ring[(index + step) % len(self._ring)]
            for step in range(min(CHANNEL.heirs, len(self._ring)))
        )

    def _leave_ring(self, peer: Peer, _: None) -> None:
        if not self.peers[peer].is_up and peer in self._ring:
            self._ring.remove(peer)

    def _enter_ring(self, peer: Peer, _: None) -> None:
        if peer not in self._ring and self.peers[peer].is_up:
            self._ring.append(peer)
            self._ring.sort(key=lambda peer: peer.place)

    # Trees

    def _climb(self, member: ChannelPeer, channel: str) -> Peer | None:
        """Where the links up from a member end; None: at somebody who is no root, or nowhere."""
        top = self.peers[self._way(member, channel)[-1]]
        node = top.machine.node(channel)
        return top.peer if node is not None and node.tree.role is Role.ROOT else None

    def _way(self, member: ChannelPeer, channel: str) -> list[Peer]:
        """A member and those above it, up to the last one who is up and knows the one below as its child."""
        way = [member.peer]
        while True:
            node = self.peers[way[-1]].machine.node(channel)
            parent = node.tree.parent.peer if node is not None and node.tree.parent is not None else None
            above = self.peers[parent].machine.node(channel) if parent is not None else None
            is_linked = above is not None and way[-1].address in above.tree.children
            if parent is None or not self.peers[parent].is_up or not is_linked or parent in way:
                return way
            way.append(parent)


def _mark(record: bytes, digest: bytes) -> bytes:
    return hashlib.blake2b(record + digest, digest_size=32).digest()
