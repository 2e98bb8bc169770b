"""Routers on a network in virtual time: latency, loss, duplicates, dead peers, and tables as an ideal ring has them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from random import Random
from typing import Protocol

from cicada.chord.io import TableChanged
from cicada.events import RoutingEvent
from cicada.ids import RING_BITS, RING_SIZE, Peer, Place, canonical_address, peer_at
from cicada.keys.io import NegotiatorInput, RouterBound
from cicada.keys.plain import PlainNegotiator
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.dedupe import DedupeWindow
from cicada.routing.io import (
    Alarm,
    Deliver,
    Forward,
    Judged,
    NextHopLost,
    RoutedReceived,
    RouterInput,
    RouterOutput,
    SendBroadcast,
    SendMessage,
    Settled,
    Tell,
)
from cicada.routing.router import Router
from cicada.wire.routed import RouterMessage


class Negotiator(Protocol):
    """Who agrees on sessions."""

    def handle(self, input: NegotiatorInput, now: float) -> list[RouterBound]: ...


Sent = tuple[Peer, Peer, RouterMessage]
LINK_TIMEOUT = 0.3
MAX_STEPS = 400_000


def peers_at(first_port: int, number: int) -> tuple[Peer, ...]:
    """That many peers in clockwise order of their places."""
    addresses = [canonical_address("127.0.0.1", first_port + offset) for offset in range(number)]
    return tuple(sorted((peer_at(address) for address in addresses), key=lambda peer: peer.place))


def clockwise(own: Peer, peers: Iterable[Peer]) -> list[Peer]:
    """The others, nearest clockwise first."""
    others = [peer for peer in peers if peer != own]
    return sorted(others, key=lambda peer: (peer.place - own.place) % RING_SIZE)


def ideal_table(own: Peer, peers: Sequence[Peer], successors: int = 16, candidates: int = 16) -> TableChanged:
    """What the ring would tell ``own`` in an ideal ring of ``peers``."""
    others = clockwise(own, peers)
    if not others:
        return TableChanged(head=own, predecessor=own, known=())
    known = dict.fromkeys(others[:successors])
    intervals: Counter[int] = Counter()
    for peer in others:
        interval = ((peer.place - own.place) % RING_SIZE).bit_length()
        if intervals[interval] < candidates:
            intervals[interval] += 1
            known[peer] = None
    assert max(intervals) <= RING_BITS
    return TableChanged(head=others[0], predecessor=others[-1], known=tuple(known))


class Node:
    """A peer: its Router, and what its supervisor would keep."""

    def __init__(self, peer: Peer, boot: int, limits: DeliveryLimits, seed: int) -> None:
        self.peer = peer
        self.boot = boot
        self.limits = limits
        self.lives = count(seed)
        self.negotiator: Negotiator = PlainNegotiator(peer, boot, rng=Random(seed))
        self.router = self.fresh_router()
        self.window = DedupeWindow(limits)
        self.mailbox: list[Deliver] = []
        self.broadcasts: list[Deliver] = []
        self.unsettled: dict[int, SendMessage] = {}
        self.has_room = True
        self.judges = True
        self.is_alive = True

    def fresh_router(self) -> Router:
        return Router(self.peer, self.boot, limits=self.limits, rng=Random(next(self.lives)))


class Swarm:
    """Everything happens in ``run``. The same seed and calls give the same history."""

    def __init__(
        self,
        number: int,
        *,
        seed: int = 1,
        limits: DeliveryLimits = DELIVERY,
        loss: float = 0.0,
        duplication: float = 0.0,
        successors: int = 16,
        candidates: int = 16,
        joined: bool = True,
    ) -> None:
        self.random = Random(seed)
        self.limits = limits
        self.loss = loss
        self.duplication = duplication
        self.successors = successors
        self.candidates = candidates
        self.now = 0.0
        self.peers = peers_at(20000, number)
        self.boots = count(1000)
        self.nodes = {
            peer: Node(peer, next(self.boots), limits, self.random.getrandbits(32)) for peer in self.peers
        }
        self.ids = count(1)
        self.settled: dict[int, Settled] = {}
        self.events: list[tuple[Peer, RoutingEvent]] = []
        self.wire: list[Sent] = []
        self.swallows: Callable[[Peer, Peer, RouterMessage], bool] = lambda sender, receiver, message: False
        self.tampers: Callable[[Peer, Peer, RouterMessage], RouterMessage] = lambda a, b, message: message
        self._order = count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        if joined:
            self.settle_ring()

    def settle_ring(self) -> None:
        """The ring becomes ideal for the peers that are alive."""
        alive = [peer for peer in self.peers if self.nodes[peer].is_alive]
        for peer in alive:
            self.feed(peer, ideal_table(peer, alive, self.successors, self.candidates))

    def send(
        self, origin: Peer, place: Place, payload: bytes = b"hello", copies: int = 1, timeout: float = 10.0
    ) -> int:
        """Begin a message, and say its id."""
        message = SendMessage(
            id=next(self.ids), place=place, payload=payload, copies=copies, deadline=self.now + timeout
        )
        self.nodes[origin].unsettled[message.id] = message
        self.feed(origin, message)
        return message.id

    def broadcast(self, origin: Peer, payload: bytes = b"all") -> int:
        """Begin a broadcast, and say its id."""
        number = next(self.ids)
        self.feed(origin, SendBroadcast(number, payload))
        return number

    def kill(self, peer: Peer) -> None:
        """The peer is gone without a word."""
        self.nodes[peer].is_alive = False

    def restart(self, peer: Peer) -> None:
        """The peer lives again, knowing nothing of its former life."""
        self.nodes[peer] = Node(peer, next(self.boots), self.limits, self.random.getrandbits(32))
        alive = [other for other in self.peers if self.nodes[other].is_alive]
        self.feed(peer, ideal_table(peer, alive, self.successors, self.candidates))

    def crash_router(self, peer: Peer) -> None:
        """The Router starts anew, and its supervisor gives it what it needs."""
        node = self.nodes[peer]
        node.router = node.fresh_router()
        alive = [other for other in self.peers if self.nodes[other].is_alive]
        self.feed(peer, ideal_table(peer, alive, self.successors, self.candidates))
        for message in tuple(node.unsettled.values()):
            self.feed(peer, message)

    def feed(self, peer: Peer, input: RouterInput) -> list[RouterOutput]:
        """One input now."""
        node = self.nodes[peer]
        if not node.is_alive:
            return []
        outputs = node.router.handle(input, self.now)
        for output in outputs:
            self._carry_out(node, output)
        deadline = node.router.next_deadline()
        if deadline is not None:
            self._at(max(deadline, self.now), partial(self._wake, peer, node.router))
        return outputs

    def run(self, until: Callable[[], bool] = lambda: False, seconds: float = 60.0) -> None:
        """Let things happen until ``until`` holds, nothing is left to happen, or ``seconds`` passed."""
        end = self.now + seconds
        for _ in range(MAX_STEPS):
            if until() or not self._agenda or self._agenda[0][0] > end:
                return
            self.now, _, action = heapq.heappop(self._agenda)
            action()
        raise AssertionError(f"{MAX_STEPS} steps and no end")

    def run_until_settled(self, ids: Iterable[int], seconds: float = 60.0) -> None:
        """Let things happen until these messages have settled."""
        wanted = list(ids)
        self.run(lambda: all(id in self.settled for id in wanted), seconds)

    def sent(self, kind: type[RouterMessage]) -> list[Sent]:
        """What crossed links of that class, in order."""
        return [
            (sender, receiver, message) for sender, receiver, message in self.wire if type(message) is kind
        ]

    def deliveries(self) -> Counter[tuple[Peer, Peer, int]]:
        """How often each (receiver, origin, id) is in a mailbox of a living peer."""
        return Counter(
            (peer, deliver.origin, deliver.message)
            for peer, node in self.nodes.items()
            for deliver in node.mailbox
        )

    def _wake(self, peer: Peer, router: Router) -> None:
        node = self.nodes[peer]
        deadline = router.next_deadline()
        if node.router is router and deadline is not None and deadline <= self.now:
            self.feed(peer, Alarm())

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), action))

    def _carry_out(self, node: Node, output: RouterOutput) -> None:
        match output:
            case Forward():
                assert output.peer != node.peer, "nobody links with itself"
                self._transmit(node.peer, output.peer, output.message)
            case Deliver():
                self._at(self.now, lambda: self._judge(node, output))
            case Settled():
                assert output.id not in self.settled, "a message settles once"
                self.settled[output.id] = output
                node.unsettled.pop(output.id, None)
            case Tell():
                self.events.append((node.peer, output.event))
            case _:
                self._at(self.now, lambda: self._negotiate(node, output))

    def _negotiate(self, node: Node, input: NegotiatorInput) -> None:
        for answer in node.negotiator.handle(input, self.now):
            if self.nodes[node.peer] is node:
                self.feed(node.peer, answer)

    def _transmit(self, sender: Peer, receiver: Peer, message: RouterMessage) -> None:
        self.wire.append((sender, receiver, message))
        if self.swallows(sender, receiver, message) or self.random.random() < self.loss:
            return
        arriving = self.tampers(sender, receiver, message)
        for _ in range(2 if self.random.random() < self.duplication else 1):
            delay = self.random.uniform(0.002, 0.05)
            self._at(self.now + delay, lambda: self._arrive(sender, receiver, arriving))

    def _arrive(self, sender: Peer, receiver: Peer, message: RouterMessage) -> None:
        if self.nodes[receiver].is_alive:
            self.feed(receiver, RoutedReceived(sender, message))
        else:
            self._at(self.now + LINK_TIMEOUT, lambda: self._give_back(sender, receiver, message))

    def _give_back(self, sender: Peer, receiver: Peer, message: RouterMessage) -> None:
        self.feed(sender, NextHopLost(receiver, (message,)))

    def _judge(self, node: Node, deliver: Deliver) -> None:
        if deliver.broadcast:
            node.broadcasts.append(deliver)
            return
        judgement = node.window.judge(
            deliver.origin, deliver.origin_boot, deliver.message, has_room=node.has_room, now=self.now
        )
        if judgement.fresh:
            node.mailbox.append(deliver)
        if self.nodes[node.peer] is node and node.judges:
            self.feed(node.peer, Judged(deliver.ticket, judgement.verdict))
