"""A swarm whose peers keep a directory of names, over a ring that is told and not run: lookups ask the sorted truth, as late as a
real ring would notice what changed. Messages go through the wire's bytes, with delay and loss; partitions make a ring of each side.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import msgspec

from cicada.ids import Address, Peer
from cicada.keys.identity import Identity
from cicada.limits import NAMES, RING, NameLimits
from cicada.services.io import Find, FoundOwner, Received, Send, Sent, TimerFired
from cicada.services.nameio import (
    Lost,
    NameInput,
    NameOutput,
    Refused,
    Register,
    Registered,
    Release,
    Released,
    Resolve,
    Resolved,
    RingChanged,
)
from cicada.services.namerecords import NameRecord, normal_name, place_of_name
from cicada.services.names import Names
from cicada.sim.agenda import Agenda
from cicada.sim.clocks import EPOCH_MS
from cicada.sim.names import peer_number
from cicada.sim.seeds import split
from cicada.sim.truth import Truth
from cicada.wire.names import (
    GetName,
    NameHeld,
    NameKept,
    NameMessage,
    PutName,
    decode_name_message,
    encode_name_message,
)

SWARM: Final = "sim"
Answer = Registered | Refused | Resolved
Question = GetName | PutName
Lie = Callable[["Keeping", Question], NameMessage | None]
"""What a replica answers instead of the truth; None: nothing."""


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """What the network and the machines are like. Seconds, but for ``loss``, the share of messages that never arrive."""

    delay: tuple[float, float] = (0.01, 0.1)
    loss: float = 0.0
    noticed: float = 3.0  # after which the ring knows who died, came, or was cut off
    undelivered: float = 1.0  # after which a sender knows that a message did not arrive
    skew: float = 0.0  # by which a wall clock is wrong at most, either way


class _View(msgspec.Struct):
    """A peer, as the truth wants it."""

    peer: Peer
    phase: str = "member"
    successors: tuple[str, ...] = ()
    predecessor: str = ""


class Keeping:
    """One simulated peer."""

    def __init__(self, swarm: DirectorySwarm, number: int, rng: Random) -> None:
        self.peer = peer_number(number)
        self.identity = Identity.generate(rng)
        self.side = 0
        self.is_up = True
        self.lie: Lie | None = None
        self.skew_ms = int(rng.uniform(-1, 1) * swarm.weather.skew * 1000)
        self.view = _View(self.peer)
        self._agenda = swarm.agenda
        self.names = Names(self.peer, self.identity, SWARM, self.wall_ms, swarm.limits)
        self.alarm = math.inf

    def wall_ms(self) -> int:
        """Its wall clock."""
        return EPOCH_MS + int(self._agenda.now * 1000) + self.skew_ms


class DirectorySwarm:
    """``count`` peers in one ring. ``answers`` has what came of each request, with the virtual time; ``lost`` what owners were
    told of names that they had."""

    def __init__(
        self, seed: int, count: int, weather: Weather | None = None, limits: NameLimits = NAMES
    ) -> None:
        self.weather = weather or Weather()
        self.limits = limits
        self.agenda = Agenda()
        self.nodes: dict[Address, Keeping] = {}
        self.answers: dict[int, tuple[Answer, float]] = {}
        self.lost: list[tuple[Keeping, Lost]] = []
        self.released: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._seed = seed
        self._rng = split(seed, "directory")
        self._rings: dict[int, Truth] = {0: Truth(RING.successors)}
        self._requests = 0
        for number in range(count):
            self._ring(0).add(self._make(number).view)

    # What tests and faults do

    def start(self, number: int) -> Keeping:
        """One more peer, which the ring knows after a while. A number that was there before comes back with its key, and
        nothing that it kept."""
        node = self._make(number)
        self._enter(self.weather.noticed, self._join, node)
        return node

    def kill(self, node: Keeping) -> None:
        """The peer is gone at once; the ring notices later."""
        node.is_up = False
        self._enter(self.weather.noticed, self._leave, node)

    def cut(self, sides: Iterable[Iterable[Keeping]]) -> None:
        """Peers of different sides hear nothing of each other from now on; later each side is a ring."""
        for side, nodes in enumerate(sides):
            for node in nodes:
                node.side = side
        self._enter(self.weather.noticed, self._ring_anew)

    def heal(self) -> None:
        """All hear each other, and later are one ring again."""
        for node in self.nodes.values():
            node.side = 0
        self._enter(self.weather.noticed, self._ring_anew)

    def register(self, node: Keeping, name: str, lease: float = NAMES.lease) -> int:
        """Begin to register. Returns the request that ``answers`` will have."""
        self._requests += 1
        self.feed(node, Register(self._requests, name, lease))
        return self._requests

    def resolve(self, node: Keeping, name: str) -> int:
        """Begin to resolve, likewise."""
        self._requests += 1
        self.feed(node, Resolve(self._requests, name))
        return self._requests

    def release(self, node: Keeping, name: str) -> None:
        """Give a name back."""
        self.feed(node, Release(name))

    def run(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        self.agenda.run_to(self.agenda.now + seconds)

    def registered(self, node: Keeping, name: str, lease: float = NAMES.lease) -> Registered | Refused:
        """Register and wait for the answer."""
        answer = self._wait(self.register(node, name, lease))
        if isinstance(answer, Resolved):
            raise TypeError("a registration was answered as a question")
        return answer

    def resolved(self, node: Keeping, name: str) -> Resolved:
        """Resolve and wait for the answer."""
        answer = self._wait(self.resolve(node, name))
        if not isinstance(answer, Resolved):
            raise TypeError("a question was answered as a registration")
        return answer

    # Questions

    @property
    def up(self) -> list[Keeping]:
        """Peers that are up, by number of their start."""
        return [node for node in self.nodes.values() if node.is_up]

    def replicas(self, name: str, side: int = 0) -> list[Keeping]:
        """Who should keep a name, as the ring knows it, the owner of its place first."""
        return [self.nodes[peer.address] for peer in self._owners(name, side)]

    def keepers(self, name: str) -> dict[Address, NameRecord]:
        """Who has a record of a name that counts, releases left out."""
        found = {}
        for node in self.up:
            held = node.names.shown(normal_name(name))
            if held is not None and not held.is_release:
                found[node.peer.address] = held
        return found

    # Parts

    def feed(self, node: Keeping, input: NameInput) -> None:
        """Give a peer an input, and carry out what it says."""
        if not node.is_up or self.nodes.get(node.peer.address) is not node:
            return
        for output in node.names.handle(input, self.agenda.now):
            self._carry_out(node, output)
        deadline = node.names.next_deadline()
        if deadline is not None and deadline < node.alarm:
            node.alarm = deadline
            self.agenda.enter(deadline, self._ring_alarm, node, deadline)

    def _ring_alarm(self, node: Keeping, at: float) -> None:
        if node.alarm == at:
            node.alarm = math.inf
            self.feed(node, TimerFired())

    def _carry_out(self, node: Keeping, output: NameOutput) -> None:
        match output:
            case Send(number, peer, message):
                self._send(node, number, peer, message)
            case Find(number, place, count):
                self.sent["lookup"] += 1
                self._enter(3 * self._trip(), self._found, node, (number, place, count))
            case Lost():
                self.lost.append((node, output))
            case Released():
                self.released[output.name] += 1
            case _:
                if output.request in self.answers:
                    raise RuntimeError(f"request {output.request} was answered twice")
                self.answers[output.request] = (output, self.agenda.now)

    def _send(self, node: Keeping, number: int, peer: Peer, message: msgspec.Struct) -> None:
        self.sent[type(message).__name__] += 1
        if not isinstance(message, GetName | NameHeld | PutName | NameKept):
            raise TypeError(f"{message} is no message of the directory")
        raw = encode_name_message(message)
        if self._rng.random() < self.weather.loss:
            self._enter(self.weather.undelivered, self._undelivered, node, number)
        else:
            self._enter(self._trip(), self._arrive, node, (number, peer, raw))

    def _arrive(self, sender: Keeping, carried: tuple[int, Peer, bytes]) -> None:
        number, peer, raw = carried
        receiver = self.nodes.get(peer.address)
        if receiver is None or not receiver.is_up or receiver.side != sender.side:
            self._enter(self.weather.undelivered, self._undelivered, sender, number)
            return
        message = decode_name_message(raw)
        if receiver.lie is not None and isinstance(message, GetName | PutName):
            answer = receiver.lie(receiver, message)
            if answer is not None:
                self._send(receiver, 0, sender.peer, answer)
            return
        self.feed(receiver, Received(sender.peer, sender.identity.peer_id, message))

    def _undelivered(self, node: Keeping, number: int) -> None:
        if number:
            self.feed(node, Sent(number, False))

    def _found(self, node: Keeping, asked: tuple[int, int, int]) -> None:
        number, place, count = asked
        ring = self._rings.get(node.side) or self._ring(0)
        self.feed(node, FoundOwner(number, self._following(ring, place)[:count]))

    def _owners(self, name: str, side: int) -> tuple[Peer, ...]:
        return self._following(self._ring(side), place_of_name(normal_name(name)))[: self.limits.replicas]

    def _following(self, ring: Truth, place: int) -> tuple[Peer, ...]:
        if not len(ring):
            return ()
        owner = ring.owner(place)
        return (owner, *(self.nodes[Address(address)].peer for address in ring.successors_of(owner)))

    def _make(self, number: int) -> Keeping:
        node = Keeping(self, number, split(self._seed, "peer", number))
        self.nodes[node.peer.address] = node
        return node

    def _join(self, node: Keeping, _: object) -> None:
        if node.is_up:
            self._ring(node.side).add(node.view)
            self._tell_around(node)

    def _leave(self, node: Keeping, _: object) -> None:
        if self.nodes.get(node.peer.address) is not node:
            return  # it is back already
        for ring in self._rings.values():
            ring.remove(node.view)
        self._tell_around(node)

    def _tell_around(self, changed: Keeping) -> None:
        """Those whose neighbours are others now: as many on each side as keep a name together."""
        ring = self._rings.get(changed.side) or self._ring(0)
        if not len(ring):
            return
        peers = self._following(ring, changed.peer.place)[: self.limits.replicas + 1]
        before = peers[0]
        near = list(peers)
        for _ in range(self.limits.replicas):
            address = ring.predecessor_of(before)
            if not address:
                break
            before = self.nodes[Address(address)].peer
            near.append(before)
        for peer in dict.fromkeys(near):
            self.feed(self.nodes[peer.address], RingChanged())

    def _ring_anew(self, _: object, __: object) -> None:
        self._rings = {}
        for node in self.up:
            self._ring(node.side).add(node.view)
        for node in self.up:
            self.feed(node, RingChanged())

    def _ring(self, side: int) -> Truth:
        return self._rings.setdefault(side, Truth(RING.successors))

    def _trip(self) -> float:
        return self._rng.uniform(*self.weather.delay)

    def _enter(
        self, after: float, action: Callable[..., None], one: object = None, other: object = None
    ) -> None:
        self.agenda.enter(self.agenda.now + after, action, one, other)

    def _wait(self, request: int) -> Answer:
        while request not in self.answers:
            if not self.agenda.step():
                raise RuntimeError(f"request {request} is never answered")
        return self.answers[request][0]
