"""Routers on a network in virtual time: latency, loss, duplicates, dead peers, and tables as an ideal ring has them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from random import Random

from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.events import KeyEvent, RoutingEvent
from cicada.ids import RING_BITS, RING_SIZE, Address, Peer, Place, canonical_address, peer_at
from cicada.keys.identity import Identity
from cicada.keys.io import Emit as KeysEmit
from cicada.keys.io import NegotiatorInput, NotTaken, PinLearned, Purpose, SignStatement
from cicada.keys.io import TimerFired as NegotiatorTimer
from cicada.keys.memory import Memory
from cicada.keys.negotiator import Negotiator
from cicada.keys.pins import USER, Pin
from cicada.keys.plain import PlainNegotiator
from cicada.keys.psks import PreShared, Secrets
from cicada.keys.statements import sign
from cicada.keys.trust import Trust, TrustStore
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.allowance import Allowance
from cicada.routing.dedupe import DedupeWindow
from cicada.routing.io import (
    Alarm,
    BroadcastSettled,
    Deliver,
    DialBack,
    Findable,
    Forward,
    Judged,
    Keep,
    LifeNamed,
    Locate,
    Lodged,
    NegotiatorChanged,
    NextHopLost,
    NotLodged,
    OwnerFound,
    OwnerNotFound,
    RoutedReceived,
    RouterInput,
    RouterOutput,
    SendBroadcast,
    SendMessage,
    Settled,
    Tell,
    Traced,
)
from cicada.routing.router import Router
from cicada.routing.stating import said
from cicada.wire.routed import Broadcast, LodgingBase, LodgingMessage, RouterMessage
from cicada.wire.security import Identified, Identify, Met, Unidentified

Sent = tuple[Peer, Peer, RouterMessage]
ForHidden = Keep | DialBack | Lodged | NotLodged | Findable | Locate | OwnerFound | OwnerNotFound
LINK_TIMEOUT = 0.3
UNKNOWN = Address("")
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
    assert max(intervals, default=0) <= RING_BITS
    return TableChanged(head=others[0], predecessor=others[-1], known=tuple(known))


class Node:
    """A peer: its Router, and what its supervisor would keep."""

    def __init__(
        self,
        peer: Peer,
        boot: int,
        limits: DeliveryLimits,
        seed: int,
        wall_ms: Callable[[], int],
        memory: Memory | None = None,
    ) -> None:
        self.peer = peer
        self.boot = boot
        self.limits = limits
        self.lives = count(seed)
        self.wall_ms = wall_ms
        self.memory = memory
        self.negotiator = self.fresh_negotiator(seed)
        self.learned: list[Pin] = []
        self.router = self.fresh_router()
        self.window = DedupeWindow(limits)
        self.mailbox: list[Deliver] = []
        self.broadcasts: list[Deliver] = []
        self.unsettled: dict[int, SendMessage] = {}
        self.announcements = count(1)
        self.unannounced: dict[int, SendBroadcast] = {}
        self.announced: dict[int, BroadcastSettled] = {}
        self.has_room = True
        self.judges = True
        self.is_alive = True

    def fresh_negotiator(self, seed: int) -> PlainNegotiator | Negotiator:
        if self.memory is None:
            return PlainNegotiator(self.peer, self.boot, wall_ms=self.wall_ms, rng=Random(seed))
        return Negotiator(self.memory, self.boot, entropy=Random(seed))

    def fresh_router(self) -> Router:
        self.allowance = Allowance()
        account = self.allowance.account()
        return Router(self.peer, self.boot, limits=self.limits, rng=Random(next(self.lives)), account=account)


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
        encrypted: bool = False,
        pins: Iterable[tuple[int, int]] = (),
        shared: Iterable[tuple[int, int]] = (),
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
        self.identities = {peer: Identity.derive(bytes(32), peer.address) for peer in self.peers}
        self.secrets: dict[Peer, list[PreShared]] = {peer: [] for peer in self.peers}
        for one, other in shared:
            self._share(self.peers[one], self.peers[other])
        self.stores = {peer: TrustStore() for peer in self.peers}
        for one, other in pins:
            self.stores[self.peers[one]].hold(self.pin_of(self.peers[other]))
        self.is_encrypted = encrypted
        self.key_events: list[tuple[Peer, KeyEvent]] = []
        self.undialable: set[Peer] = set()
        self.nodes = {peer: self._new_node(peer) for peer in self.peers}
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
            table = ideal_table(peer, alive, self.successors, self.candidates)
            self.feed(peer, table)
            for other in table.known if self.is_encrypted else ():
                self._negotiate(self.nodes[peer], Met(other, self.record_of(other)))

    def pin_of(self, peer: Peer, sequence: int = 0) -> Pin:
        """A pin of the key that the peer has now."""
        identity = self.identities[peer]
        return Pin(
            address=peer.address,
            signing_key=identity.signing_public,
            static_key=identity.static.public,
            sequence=sequence,
            by=USER,
        )

    def record_of(self, peer: Peer) -> bytes:
        """What a link with the living peer shows."""
        memory = self.nodes[peer].memory
        assert memory is not None
        return memory.own_record.raw()

    def _share(self, one: Peer, other: Peer) -> None:
        ours, theirs = self.random.randbytes(32), self.random.randbytes(32)
        self.secrets[one].append(PreShared(address=other.address, outbound=ours, inbound=theirs))
        self.secrets[other].append(PreShared(address=one.address, outbound=theirs, inbound=ours))

    def _new_node(self, peer: Peer, succession: bytes = b"") -> Node:
        memory = None
        if self.is_encrypted:
            memory = Memory(
                peer,
                self.identities[peer],
                swarm="",
                wall_ms=self.wall_ms,
                secrets=Secrets(shared=tuple(self.secrets[peer])),
                trust=self.stores[peer],
                succession=succession,
            )
        return Node(peer, next(self.boots), self.limits, self.random.getrandbits(32), self.wall_ms, memory)

    def send(
        self,
        origin: Peer,
        place: Place,
        payload: bytes = b"hello",
        copies: int = 0,
        timeout: float = 10.0,
        address: Address = UNKNOWN,
        require: Trust = Trust.UNVERIFIED,
        ordered: bool = False,
    ) -> int:
        """Begin a message, and say its id."""
        message = SendMessage(
            id=next(self.ids),
            place=place,
            payload=payload,
            copies=copies,
            deadline=self.now + timeout,
            address=address,
            require=require,
            ordered=ordered,
        )
        self.nodes[origin].unsettled[message.id] = message
        self.feed(origin, message)
        return message.id

    def broadcast(self, origin: Peer, payload: bytes = b"all", timeout: float = 15.0) -> int:
        """Begin a broadcast, and say its id."""
        node = self.nodes[origin]
        message = SendBroadcast(
            id=next(node.announcements),
            payload=payload,
            expires_ms=self.wall_ms() + int(self.limits.broadcast.seconds * 1000),
            deadline=self.now + timeout,
        )
        node.unannounced[message.id] = message
        self.feed(origin, message)
        return message.id

    def wall_ms(self) -> int:
        """What all wall clocks show."""
        return 1_800_000_000_000 + int(self.now * 1000)

    def kill(self, peer: Peer) -> None:
        """The peer is gone without a word."""
        self.nodes[peer].is_alive = False

    def restart(self, peer: Peer, identity: Identity | None = None, succession: bytes = b"") -> None:
        """The peer lives again, knowing nothing of its former life but its keys, or with others."""
        self.identities[peer] = identity or self.identities[peer]
        self.nodes[peer] = self._new_node(peer, succession)
        alive = [other for other in self.peers if self.nodes[other].is_alive]
        self.feed(peer, ideal_table(peer, alive, self.successors, self.candidates))

    def crash_router(self, peer: Peer) -> None:
        """The Router starts anew, and its supervisor gives it what it needs."""
        node = self.nodes[peer]
        node.router = node.fresh_router()
        alive = [other for other in self.peers if self.nodes[other].is_alive]
        self.feed(peer, ideal_table(peer, alive, self.successors, self.candidates))
        unsettled: list[RouterInput] = [*node.unsettled.values(), *node.unannounced.values()]
        for message in unsettled:
            self.feed(peer, message)

    def crash_negotiator(self, peer: Peer) -> None:
        """The negotiator starts anew."""
        node = self.nodes[peer]
        node.negotiator = node.fresh_negotiator(next(node.lives))
        self.feed(peer, NegotiatorChanged())

    def forge(self, peer: Peer) -> Callable[[Broadcast], Broadcast]:
        """Signs any body with the keys of that peer, whoever it names."""
        memory = self.nodes[peer].memory
        assert memory is not None

        def signed(body: Broadcast) -> Broadcast:
            answer = sign(memory, SignStatement(1, Purpose.BROADCAST, said(body)))
            return replace(body, record=answer.record, signature=answer.signature)

        return signed

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

    def say(self, sender: Peer, receiver: Peer, message: LodgingMessage) -> None:
        """What a hidden peer and a relay say to each other."""
        raise AssertionError("everybody here can be dialled")

    def shelter(self, node: Node, output: ForHidden) -> None:
        """What a Router wants because a peer is hidden."""
        raise AssertionError("everybody here can be dialled")

    def _wake(self, peer: Peer, router: Router) -> None:
        node = self.nodes[peer]
        deadline = router.next_deadline()
        if node.router is router and deadline is not None and deadline <= self.now:
            self.feed(peer, Alarm())

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), action))

    def _carry_out(self, node: Node, output: RouterOutput) -> None:
        match output:
            case Forward(peer, message):
                assert peer != node.peer, "nobody links with itself"
                if isinstance(message, LodgingBase):
                    self.say(node.peer, peer, message)
                else:
                    self._transmit(node.peer, peer, message)
            case (
                Keep()
                | DialBack()
                | Lodged()
                | NotLodged()
                | Findable()
                | Locate()
                | OwnerFound()
                | OwnerNotFound()
            ):
                self.shelter(node, output)
            case Deliver():
                self._at(self.now, lambda: self._judge(node, output))
            case LifeNamed(id, boot):
                asked = node.unsettled[id]
                node.unsettled[id] = replace(asked, boot=asked.boot or boot)
            case Settled():
                assert output.id not in self.settled, "a message settles once"
                self.settled[output.id] = output
                node.unsettled.pop(output.id, None)
            case Traced():
                known = self.settled[output.id]
                self.settled[output.id] = replace(
                    known, copies=output.copies, disjoint=output.disjoint, altered=output.altered
                )
            case BroadcastSettled():
                assert output.id not in node.announced, "a broadcast settles once"
                node.announced[output.id] = output
                node.unannounced.pop(output.id, None)
            case Tell():
                self.events.append((node.peer, output.event))
            case _:
                self._at(self.now, lambda: self._negotiate(node, output))

    def _negotiate(self, node: Node, input: NegotiatorInput) -> None:
        if self.nodes[node.peer] is not node or not node.is_alive:
            return
        negotiator = node.negotiator
        for output in negotiator.handle(input, self.now):
            match output:
                case Identify(peer):
                    self._at(self.now + 0.02, partial(self._identify, node, peer))
                case PinLearned(pin):
                    node.learned.append(pin)
                case KeysEmit(event):
                    self.key_events.append((node.peer, event))
                case NotTaken():
                    pass
                case _:
                    self.feed(node.peer, output)
        deadline = negotiator.next_deadline()
        if deadline is not None:
            self._at(max(deadline, self.now), partial(self._wake_negotiator, node, negotiator))

    def _wake_negotiator(self, node: Node, negotiator: PlainNegotiator | Negotiator) -> None:
        deadline = negotiator.next_deadline()
        if node.negotiator is negotiator and deadline is not None and deadline <= self.now:
            self._negotiate(node, NegotiatorTimer())

    def _identify(self, node: Node, peer: Peer) -> None:
        there = self.nodes.get(peer)
        if there is None or not there.is_alive or peer in self.undialable:
            self._negotiate(node, Unidentified(peer, "no answer"))
        else:
            self._negotiate(node, Identified(peer, self.record_of(peer)))

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
            deliver.origin,
            deliver.origin_boot,
            deliver.message,
            peer_id=deliver.peer_id,
            has_room=node.has_room and not deliver.is_late,
            now=self.now,
        )
        if judgement.fresh:
            node.mailbox.append(deliver)
        if self.nodes[node.peer] is node and node.judges:
            self.feed(node.peer, Judged(deliver.ticket, judgement.verdict))
