"""A warm start: peers that begin as an ideal ring with full lists and finger tables, without a simulated join.

Every node is brought up alone, by its public inputs, in a ring of peers that all answer at once and rightly: an oracle
that has sorted them plays the others. Nothing crosses the network and no virtual time passes. Links stand between each
peer and its head, as rounds keep them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Protocol

from cicada.chord.io import (
    CreateRing,
    JoinRing,
    MessageReceived,
    PeerProven,
    Prove,
    RingInput,
    RingOutput,
    SendTo,
    TimerFired,
)
from cicada.chord.node import RingNode
from cicada.errors import Misuse
from cicada.hosts import Host, naming
from cicada.ids import RING_BITS, RING_SIZE, Peer, place_from_bytes
from cicada.limits import RingLimits
from cicada.sim.swarm import Swarm
from cicada.sim.truth import list_length
from cicada.wire.ring import FindSuccessor, Found, GetState, RingMessage, State

_TIMER = TimerFired()
_SPREAD = 8.0  # seconds over which the nodes enter their rings, so that their rounds do not fall together


def warm_start(swarm: Swarm, peers: Sequence[Peer], *, age: float = 60.0) -> None:
    """Start ``peers``, all of them down and nobody else up, as one ideal ring that has been calm for ``age`` seconds.

    Their clocks have run that long, so rounds come at the pace of a ring that old; with less than 40 s of age they are
    still frequent. Costs about 1 ms of work for each peer and 25 s of age.
    """
    if swarm.live():
        raise Misuse("a warm start needs a swarm in which nobody is up")
    started = [swarm.start(peer) for peer in peers]
    oracle = Oracle([(peer.peer, peer.node.snapshot().incarnation) for peer in started], swarm.world.limits)
    rng = swarm.rng_of("warm start")
    for peer in peers:
        grown = swarm.peer(peer)
        begins = max(grown.local() - age - rng.random() * _SPREAD, 0.0)
        grown.settle(oracle.bring_up(grown, begins))
    for peer in swarm.live() if len(peers) > 1 else ():
        swarm.network.link(swarm.peer(peer), swarm.peer(swarm.truth.owner(peer.place + 1)))


class Newborn(Protocol):
    """A peer that is up and in no ring yet."""

    peer: Peer

    @property
    def node(self) -> RingNode:
        """Its ring node."""
        ...

    def local(self) -> float:
        """Seconds on its own clock."""
        ...


class Oracle:
    """Knows the ideal ring of all ``lives``, peers and their incarnations, and answers in the name of each of them."""

    def __init__(self, lives: Iterable[tuple[Peer, int]], limits: RingLimits) -> None:
        ordered = sorted(lives, key=lambda life: life[0].place)
        self._peers = [peer for peer, _ in ordered]
        self._places = [peer.place for peer in self._peers]
        self._addresses = [peer.address for peer in self._peers]
        self._incarnations = [incarnation for _, incarnation in ordered]
        host_of = naming(limits.group_hosts)
        self._hosts = [host_of(address) for address in self._addresses]
        self._limits = limits

    def bring_up(self, grown: Newborn, begins: float) -> list[RingOutput]:
        """Make the peer a member at ``begins``, on its own clock, and age it until now. Returns all its outputs."""
        node, end = grown.node, grown.local()
        if len(self._peers) == 1:
            return node.handle(CreateRing(), begins)
        outputs: list[RingOutput] = []
        for known in reversed(self._acquaintances(grown.peer)):
            outputs += node.handle(PeerProven(known), begins)
        inputs: list[RingInput] = [JoinRing((self._at(grown.peer, -1),), math.inf)]
        now = begins
        while True:
            for input in inputs:
                outputs += (news := node.handle(input, now))
                inputs.extend(self._answers(grown.peer, news))
            deadline = node.next_deadline()
            if deadline is None or deadline > end:
                return outputs
            now, inputs = max(now, deadline), [_TIMER]

    def _answers(self, asker: Peer, outputs: list[RingOutput]) -> list[RingInput]:
        answers: list[RingInput] = []
        for output in outputs:
            if isinstance(output, Prove):
                answers.append(PeerProven(output.peer))
            elif isinstance(output, SendTo):
                answer = self._answer(asker, output.peer, output.message)
                if answer is not None:
                    answers.append(MessageReceived(output.peer, answer))
        return answers

    def _answer(self, asker: Peer, asked: Peer, message: RingMessage) -> RingMessage | None:
        """What ``asked`` answers in the ideal ring. A lookup is answered by the first hop, for its owner's predecessor."""
        index = self._index(asked)
        match message:
            case GetState():
                return State(
                    incarnation=self._incarnations[index],
                    request=message.request,
                    predecessor=self._addresses[index - 1],
                    successors=self._successors(index),
                )
            case FindSuccessor():
                last = bisect_left(self._places, place_from_bytes(message.target)) - 1
                but = asker.address if message.joining else ""
                listed = tuple(text for text in self._successors(last) if text != but)
                return Found(
                    incarnation=self._incarnations[index],
                    request=message.request,
                    predecessor=self._addresses[last],
                    successors=listed if listed else (self._addresses[last],),
                    path=(asker.address, asked.address),
                    position=0,
                )
            case _:
                return None

    def _acquaintances(self, own: Peer) -> list[Peer]:
        """Neighbours, and for each finger interval as many as its candidates, nearest to its beginning first, each of
        another host."""
        index, count = self._index(own), len(self._peers)
        near = range(index - 1, index + 1 + list_length(self._hosts, index, self._limits.successors))
        found = dict.fromkeys(self._peers[number % count] for number in near)
        head = self._at(own, 1)
        for interval in range(((head.place - own.place) % RING_SIZE).bit_length() - 1, RING_BITS):
            start = bisect_left(self._places, (own.place + (1 << interval)) % RING_SIZE)
            hosts: set[Host] = set()
            for number in range(start, start + count):
                peer = self._peers[number % count]
                if (peer.place - own.place) % RING_SIZE >> interval != 1:
                    break
                if len(hosts) == self._limits.candidates:
                    break
                if self._hosts[number % count] not in hosts:
                    hosts.add(self._hosts[number % count])
                    found[peer] = None
        found.pop(own, None)
        return list(found)

    def _successors(self, index: int) -> tuple[str, ...]:
        count = len(self._addresses)
        length = list_length(self._hosts, index, self._limits.successors)
        return tuple(self._addresses[(index + step) % count] for step in range(1, length + 1))

    def _at(self, peer: Peer, step: int) -> Peer:
        return self._peers[(self._index(peer) + step) % len(self._peers)]

    def _index(self, peer: Peer) -> int:
        return bisect_left(self._places, peer.place)
