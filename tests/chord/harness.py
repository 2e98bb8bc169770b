"""A swarm of RingNodes in one thread under virtual time: messages, proofs and deaths, in an order that a seed decides."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from cicada.chord.io import (
    CreateRing,
    Emit,
    FindOwner,
    JoinRing,
    LeaveRing,
    Left,
    MessageReceived,
    OwnerFound,
    OwnerNotFound,
    PeerProven,
    PeerUnreachable,
    Prove,
    RingInput,
    RingOutput,
    RingSnapshot,
    SendTo,
    TableChanged,
    TimerFired,
)
from cicada.chord.node import RingNode
from cicada.ids import Peer, Place, canonical_address, peer_at
from cicada.limits import RING, RING_TIMINGS, RingLimits, RingTimings
from cicada.wire.ring import Leaving, NotMember, RingMessage, State

FIRST_PORT = 20000


def peer_number(number: int) -> Peer:
    """The peer of a test swarm with this number."""
    return peer_at(canonical_address("127.0.0.1", FIRST_PORT + number))


class Swarm:
    """Live nodes and everything that is under way between them.

    Messages between two peers keep their order, as links do. What is sent to a dead peer comes back as undelivered
    after ``dial`` seconds, the longest a dial into the void takes.
    """

    def __init__(
        self,
        seed: int,
        *,
        limits: RingLimits = RING,
        timings: RingTimings = RING_TIMINGS,
        latency: tuple[float, float] = (0.001, 0.01),
        dial: tuple[float, float] = (0.02, 2.0),
    ) -> None:
        self.rng = Random(seed)
        self.limits = limits
        self.timings = timings
        self.latency = latency
        self.dial = dial
        self.now = 0.0
        self.nodes: dict[Peer, RingNode] = {}
        self.answers: dict[Peer, list[RingOutput]] = {}
        self.tables: dict[Peer, TableChanged] = {}
        self.sent: Counter[str] = Counter()
        self.proofs = 0
        self.cut: Callable[[Peer, Peer], bool] = lambda one, other: False
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Peer, int, RingInput, Peer | None]] = []
        self._lives: Counter[Peer] = Counter()
        self._incarnations = itertools.count(1000)
        self._last_arrival: dict[tuple[Peer, Peer], float] = {}
        self._linked: dict[Peer, set[Peer]] = {}
        self._woken_at: dict[Peer, float] = {}

    # What tests do

    def start(self, peer: Peer) -> RingNode:
        """A new life of a peer, in no ring yet."""
        node = RingNode(
            peer,
            next(self._incarnations) * 1000,
            limits=self.limits,
            timings=self.timings,
            rng=Random(self.rng.getrandbits(32)),
        )
        self._lives[peer] += 1
        self.nodes[peer] = node
        self.answers.setdefault(peer, [])
        self.tables[peer] = TableChanged(None, None, ())
        return node

    def create(self, peer: Peer) -> None:
        """Start a peer as a ring of one."""
        self.start(peer)
        self.give(peer, CreateRing())

    def join(self, peer: Peer, *seeds: Peer, patience: float = 30.0) -> None:
        """Start a peer and have it join."""
        self.start(peer)
        self.give(peer, JoinRing(seeds, self.now + patience))

    def crash(self, peer: Peer, *, closes_links: bool = True) -> None:
        """End a peer without a farewell. Its neighbours hear of closed links, or of nothing."""
        self._end(peer)
        for other in sorted(self._linked.pop(peer, set()), key=lambda other: other.address):
            if closes_links and other in self.nodes:
                self._schedule(self._delay(), other, PeerUnreachable(peer))

    def restart_node(self, peer: Peer, *seeds: Peer) -> None:
        """A fresh RingNode in place of the old one, behind the same links."""
        self._end(peer)
        self.join(peer, *seeds)

    def leave(self, peer: Peer) -> None:
        """Have a peer leave, and end it."""
        self.give(peer, LeaveRing())
        self._end(peer)

    def give(self, peer: Peer, input: RingInput) -> None:
        """Hand an input to a node at once and carry out what it asks for."""
        node = self.nodes[peer]
        for output in node.handle(input, self.now):
            self._carry_out(peer, output)
        self._arm(peer, node)

    def lookup(self, peer: Peer, place: Place, *, iterative: bool = False) -> OwnerFound | OwnerNotFound:
        """Ask a node for an owner and run until it answers."""
        id = next(self._order)
        before = len(self.answers[peer])
        self.give(peer, FindOwner(id, place, iterative))
        found: list[OwnerFound | OwnerNotFound] = []

        def answered() -> bool:
            news = self.answers[peer][before:]
            found[:] = [
                item for item in news if isinstance(item, OwnerFound | OwnerNotFound) and item.id == id
            ]
            return bool(found)

        self.run_until(answered, 60.0)
        return found[0]

    # Running

    def step(self) -> bool:
        """Let the next thing happen; False when nothing ever will. Things for the dead happen to nobody."""
        while self._agenda:
            at, _, peer, life, input, sender = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            if isinstance(input, TimerFired):
                if life != self._lives[peer] or self._woken_at.get(peer) != at:
                    continue  # an earlier wake has been agreed on since
                del self._woken_at[peer]
            if life == self._lives[peer] and peer in self.nodes:
                self.give(peer, input)
                return True
            if sender is not None and isinstance(input, MessageReceived):
                if peer in self.nodes:  # the same links lead to the next life
                    self.give(peer, input)
                else:
                    self._schedule(self._void(), sender, PeerUnreachable(peer, (input.message,)))
                return True
        return False

    def run_until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Run until the condition holds; returns the virtual seconds it took. Fails when it takes longer."""
        start = self.now
        checked = self.now - 1.0
        while True:
            if self.now - checked >= 0.005:
                checked = self.now
                if condition():
                    return self.now - start
            if self.now - start > seconds or not self.step():
                if condition():
                    return self.now - start
                raise AssertionError(f"not reached within {seconds} s of virtual time")

    def run_for(self, seconds: float) -> None:
        """Run for a span of virtual time."""
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.step()
        self.now = end

    # What tests ask

    def snapshots(self) -> dict[Peer, RingSnapshot]:
        """All live nodes."""
        return {peer: node.snapshot() for peer, node in self.nodes.items()}

    def members(self) -> dict[Peer, RingSnapshot]:
        """Live nodes that are in a ring."""
        return {
            peer: snapshot
            for peer, snapshot in self.snapshots().items()
            if snapshot.phase in ("alone", "member")
        }

    def is_ideal(self, peers: Iterable[Peer] | None = None) -> bool:
        """Whether the live nodes are one ring with every list and predecessor right, by sorting them."""
        return not self.wrong(peers)

    def wrong(self, peers: Iterable[Peer] | None = None) -> list[Peer]:
        """Live nodes (or ``peers``) whose list or predecessor is not what sorting says."""
        order = sorted(self.nodes if peers is None else peers, key=lambda peer: peer.place)
        wrong = []
        for index, peer in enumerate(order):
            snapshot = self.nodes[peer].snapshot()
            rotated = order[index + 1 :] + order[:index]
            right = tuple(rotated[: self.limits.successors])
            before = rotated[-1] if rotated else None
            phase = "member" if rotated else "alone"
            if (snapshot.successors, snapshot.predecessor, snapshot.phase) != (right, before, phase):
                wrong.append(peer)
        return wrong

    def wrong_heads(self) -> list[Peer]:
        """Live nodes whose head is not the next live node."""
        order = sorted(self.nodes, key=lambda peer: peer.place)
        following = order[1:] + order[:1]
        return [
            peer
            for peer, next_peer in zip(order, following, strict=True)
            if self.nodes[peer].snapshot().successors[:1] != (next_peer,)
        ]

    def owner(self, place: Place) -> Peer:
        """The live peer that owns a place, by sorting."""
        return min(self.nodes, key=lambda peer: (peer.place - place) % (1 << 256))

    def states_under_way(self) -> list[tuple[Peer, Peer, State]]:
        """Answers to stabilize that have not arrived yet: receiver, sender, answer."""
        return [
            (peer, input.sender, input.message)
            for _, _, peer, _, input, _ in self._agenda
            if isinstance(input, MessageReceived) and isinstance(input.message, State)
        ]

    def losses_under_way(self) -> list[tuple[Peer, Peer]]:
        """Bad news that has not arrived yet: who will hear it, and of whom. It may be outdated by then."""
        news = []
        for _, _, peer, _, input, _ in self._agenda:
            if isinstance(input, PeerUnreachable):
                news.append((peer, input.peer))
            elif isinstance(input, MessageReceived) and isinstance(input.message, NotMember | Leaving):
                news.append((peer, input.sender))
        return news

    # How things are carried out

    def _carry_out(self, peer: Peer, output: RingOutput) -> None:
        match output:
            case SendTo(to, message):
                self._send(peer, to, message)
            case Prove(other):
                self.proofs += 1
                reachable = other in self.nodes and not self.cut(peer, other)
                if reachable:
                    self._linked.setdefault(other, set()).add(peer)
                input: RingInput = PeerProven(other) if reachable else PeerUnreachable(other)
                self._schedule(3 * self._delay() if reachable else self._void(), peer, input)
            case TableChanged():
                self.tables[peer] = output
            case Emit() | Left():
                pass
            case _:
                self.answers[peer].append(output)

    def _send(self, sender: Peer, to: Peer, message: RingMessage) -> None:
        self.sent[type(message).__name__] += 1
        if to not in self.nodes or self.cut(sender, to):
            self._schedule(self._void(), sender, PeerUnreachable(to, (message,)))
            return
        self._linked.setdefault(to, set()).add(sender)
        self._linked.setdefault(sender, set()).add(to)
        arrival = max(self.now + self._delay(), self._last_arrival.get((sender, to), 0.0))
        self._last_arrival[sender, to] = arrival
        self._schedule_at(arrival, to, MessageReceived(sender, message), sender)

    def _schedule(self, delay: float, peer: Peer, input: RingInput, sender: Peer | None = None) -> None:
        self._schedule_at(self.now + delay, peer, input, sender)

    def _schedule_at(self, at: float, peer: Peer, input: RingInput, sender: Peer | None = None) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), peer, self._lives[peer], input, sender))

    def _arm(self, peer: Peer, node: RingNode) -> None:
        deadline = node.next_deadline()
        if deadline is not None and deadline < self._woken_at.get(peer, deadline + 1.0):
            self._woken_at[peer] = deadline
            self._schedule_at(max(self.now, deadline), peer, TimerFired())

    def _end(self, peer: Peer) -> None:
        del self.nodes[peer]
        self._lives[peer] += 1
        self._woken_at.pop(peer, None)

    def _delay(self) -> float:
        return self.rng.uniform(*self.latency)

    def _void(self) -> float:
        return self.rng.uniform(*self.dial)


def grown(swarm: Swarm, count: int) -> list[Peer]:
    """Have ``count`` peers join one after the other, and wait until the ring is ideal."""
    peers = [peer_number(number) for number in range(count)]
    swarm.create(peers[0])
    for peer in peers[1:]:
        swarm.join(peer, peers[0])
        swarm.run_until(lambda peer=peer: swarm.nodes[peer].snapshot().phase == "member", 30.0)  # type: ignore[misc]
    swarm.run_until(swarm.is_ideal, 60.0)
    return peers
