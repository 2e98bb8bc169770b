"""A swarm of simulated peers: what can be done to it, how it runs, what can be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from random import Random

import msgspec

from cicada.chord.io import (
    CreateRing,
    FindOwner,
    JoinRing,
    LeaveRing,
    OwnerFound,
    OwnerNotFound,
    RingInput,
    RingOutput,
    RingSnapshot,
)
from cicada.chord.node import RingNode
from cicada.errors import Misuse
from cicada.hosts import Host
from cicada.ids import Address, Peer, Place, peer_at
from cicada.limits import DELIVERY, RING, RING_TIMINGS, DeliveryLimits, RingLimits, RingTimings
from cicada.routing.io import SendBroadcast, SendMessage, SessionReady
from cicada.sim.conditions import Conditions, Cut, apart
from cicada.sim.invariants import Lists
from cicada.sim.network import Network
from cicada.sim.peer import SimPeer
from cicada.sim.sealing import session_between
from cicada.sim.seeds import split
from cicada.sim.truth import Truth
from cicada.sim.world import World

_LOOKUP_PATIENCE = 60.0


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """Rounds of stabilize that live peers have begun since some moment."""

    mean: float
    least: int
    most: int


class Swarm:
    """Peers, the network between them, and the virtual time, which begins at 0 seconds.

    The same seed and the same calls give the same history, bit for bit, in every process. Live means up and not frozen.
    ``seals``: sessions seal what they carry, which costs some microseconds a message; otherwise whoever alters it is believed.
    """

    def __init__(
        self,
        seed: int,
        *,
        limits: RingLimits = RING,
        timings: RingTimings = RING_TIMINGS,
        delivery: DeliveryLimits = DELIVERY,
        conditions: Conditions | None = None,
        seals: bool = False,
    ) -> None:
        self.world = World(seed, limits, timings, delivery, seals=seals)
        self.rng = split(seed, "swarm")
        """For whoever decides what is done to the swarm. Nothing in it draws from here."""
        self._peers: dict[Address, SimPeer] = {}
        self.network = Network(
            self.world.agenda, self._peers, self.peer, split(seed, "network"), conditions or Conditions()
        )
        self.truth = Truth(limits.successors, host_of=self.world.host_of)
        """All live peers. What they should look like as one ring."""
        self._truths = [self.truth]
        self._order = count(1)
        self._introductions = split(seed, "introductions")

    def rng_of(self, *part: object) -> Random:
        """A generator for a part of the run that is named like this."""
        return split(self.world.seed, *part)

    # Peers come and go

    def peer(self, peer: Peer) -> SimPeer:
        """The simulated peer at this address, whether it is up or not."""
        found = self._peers.get(peer.address)
        if found is None:
            found = self._peers[peer.address] = SimPeer(peer, self.world, self.network, self._changed)
        return found

    def start(self, peer: Peer, *, stands_alone: bool = False) -> SimPeer:
        """A new life of a peer that is down, in no ring yet."""
        started = self.peer(peer)
        started.stands_alone = stands_alone
        started.begin()
        return started

    def create(self, peer: Peer) -> None:
        """Start a peer as a ring of one."""
        self.start(peer).enter_ring(CreateRing())

    def join(self, peer: Peer, *seeds: Peer, patience: float = 30.0) -> None:
        """Have a peer join through ``seeds`` within ``patience`` seconds; it is started when it is down."""
        joiner = self._live(peer) if self.peer(peer).is_up else self.start(peer)
        joiner.enter_ring(JoinRing(seeds, joiner.local() + patience))

    def leave(self, peer: Peer) -> None:
        """Have a peer say farewell, and end it. What it said still arrives."""
        leaver = self._live(peer)
        leaver.give(LeaveRing())
        self._end(leaver, closes_links=True, says_so=True)

    def crash(self, peer: Peer, *, closes_links: bool = True) -> None:
        """End a peer without a farewell. Its host closes its links, or is gone as well and says nothing."""
        self._end(self.peer(peer), closes_links=closes_links, says_so=False)

    def restart(self, peer: Peer, *seeds: Peer, closes_links: bool = True, patience: float = 30.0) -> None:
        """Crash a peer and start it anew at once: another boot, another incarnation, the same address."""
        self.crash(peer, closes_links=closes_links)
        self.join(peer, *seeds, patience=patience)

    def restart_ring(self, peer: Peer, *seeds: Peer, patience: float = 30.0) -> None:
        """A fresh RingNode behind the same links, as when the RingActor crashed. Without ``seeds`` it joins through whom
        the peer's supervisor knows, for as long as it takes; when nobody is known it stays outside."""
        restarted = self._live(peer)
        known = dict.fromkeys((*restarted.contacts, *restarted.seeds))
        restarted.fresh_ring()
        if seeds:
            restarted.enter_ring(JoinRing(seeds, restarted.local() + patience))
        elif known:
            restarted.enter_ring(JoinRing(tuple(known), float("inf")))

    def restart_router(self, peer: Peer) -> None:
        """A fresh Router, as when the RouterActor crashed."""
        self._live(peer).fresh_router()

    def freeze(self, peer: Peer) -> None:
        """Have a peer not get to run, until it is thawed. Its links stay open until others give them up."""
        self.peer(peer).freeze()

    def thaw(self, peer: Peer) -> None:
        """Have it run again."""
        self.peer(peer).thaw()

    # The network

    def cut(self, *groups: Iterable[Peer]) -> int:
        """Cut groups off from each other, and those of no group from all. Returns a number to heal it by."""
        return self.network.cut(apart(*groups))

    def cut_where(self, cut: Cut) -> int:
        """Cut whatever the predicate says, by direction. Returns a number to heal it by."""
        return self.network.cut(cut)

    def heal(self, number: int | None = None) -> None:
        """Undo one cut, or all."""
        self.network.heal(number)

    # What applications do

    def give(self, peer: Peer, input: RingInput) -> list[RingOutput]:
        """Hand a ring input to a live peer's node, now; what the node asks for is carried out."""
        return self._live(peer).give(input)

    def lookup(self, peer: Peer, place: Place, *, iterative: bool = False) -> OwnerFound | OwnerNotFound:
        """Ask a live peer for an owner, and run until it answers."""
        asked = self._live(peer)
        id, before = asked.new_id(), len(asked.answers)
        asked.give(FindOwner(id, place, iterative))
        found: list[OwnerFound | OwnerNotFound] = []

        def is_answered() -> bool:
            news = asked.answers[before:]
            found.extend(
                item for item in news if isinstance(item, OwnerFound | OwnerNotFound) and item.id == id
            )
            return bool(found)

        self.run_until(is_answered, _LOOKUP_PATIENCE)
        return found[0]

    def send(
        self,
        origin: Peer,
        target: Peer | Place,
        payload: bytes = b"",
        *,
        copies: int = 0,
        timeout: float = 10.0,
        ordered: bool = False,
    ) -> int:
        """Have a live peer send a message. Returns the id under which ``settled`` of the origin will have its fate."""
        sender = self._live(origin)
        place = target.place if isinstance(target, Peer) else target
        message = SendMessage(
            id=sender.new_id(),
            place=place,
            payload=payload,
            copies=copies,
            deadline=sender.local() + timeout,
            ordered=ordered,
        )
        sender.unsettled[message.id] = message
        sender.route(message)
        return message.id

    def introduce(self, origin: Peer, target: Peer) -> None:
        """Two live peers have a session from now on that ``origin`` opened, without a message having been sent for it."""
        one, other = self._live(origin), self._live(target)
        keys = session_between(origin, one.boot, target, other.boot, self._introductions)
        other.route(SessionReady(keys[1]))
        one.route(SessionReady(keys[0]))

    def broadcast(self, origin: Peer, payload: bytes = b"") -> int:
        """Have a live peer send to all others. Returns the id that its deliveries bear."""
        sender = self._live(origin)
        id = sender.new_id()
        sender.route(SendBroadcast(id, payload))
        return id

    # Running

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.world.agenda.now

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Call at a virtual time, for what a plan has in store: faults, load."""
        self.world.agenda.enter(when, _call, call)

    def step(self) -> bool:
        """Let the next thing happen; False when nothing ever will."""
        return self.world.agenda.step()

    def run_for(self, seconds: float) -> None:
        """Run for a span of virtual time."""
        self.world.agenda.run_to(self.now + seconds)

    def run_until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Run until the condition holds, and return the virtual seconds that took.

        It is asked after everything that happens, so it should be cheap. Raises TimeoutError after ``seconds``.
        """
        agenda = self.world.agenda
        start = agenda.now
        while not condition():
            upcoming = agenda.next_at()
            if upcoming is None or upcoming > start + seconds:
                raise TimeoutError(f"not reached within {seconds} s of virtual time")
            agenda.step()
        return agenda.now - start

    # Questions

    def is_live(self, peer: Peer) -> bool:
        """Whether the peer is up and not frozen."""
        return peer in self.truth

    def live(self) -> tuple[Peer, ...]:
        """All live peers, clockwise."""
        return self.truth.peers()

    def node(self, peer: Peer) -> RingNode:
        """The ring node of a peer that is up."""
        return self.peer(peer).node

    def snapshot(self, peer: Peer) -> RingSnapshot:
        """The ring node of a peer that is up, at this instant. Costs some 10 us."""
        return self.peer(peer).node.snapshot()

    def snapshots(self) -> dict[Peer, RingSnapshot]:
        """All live peers, clockwise."""
        return {peer: self.snapshot(peer) for peer in self.live()}

    def members(self) -> tuple[Peer, ...]:
        """Live peers that are in a ring, clockwise."""
        return tuple(peer for peer in self.live() if self.peer(peer).phase in ("alone", "member"))

    def lists(self) -> Lists:
        """Members and their lists by place, as the invariants want them."""
        return {
            peer.place: tuple(peer_at(Address(address)).place for address in self.peer(peer).successors)
            for peer in self.members()
        }

    def hosts(self) -> dict[int, Host]:
        """The host at the place of each peer that there ever was."""
        return {peer.peer.place: self.world.host_of(address) for address, peer in self._peers.items()}

    def truth_of(self, peers: Iterable[Peer]) -> Truth:
        """What these peers should look like as one ring. Kept up to date; who ends or is frozen leaves it for good."""
        live = [self.peer(peer) for peer in peers if self.is_live(peer)]
        truth = Truth(self.world.limits.successors, live, self.world.host_of)
        self._truths.append(truth)
        return truth

    def is_ideal(self) -> bool:
        """Whether all live peers are one ring with every list and predecessor right, by sorting them."""
        return self.truth.is_ideal()

    def sent(self) -> Counter[str]:
        """Messages sent so far, by the name of their class."""
        return Counter({kind.__name__: number for kind, number in self.network.sent.items()})

    def round_counts(self) -> dict[Peer, int]:
        """A mark to count rounds from: rounds begun so far by all peers that were ever up."""
        return {peer.peer: peer.rounds for peer in self._peers.values()}

    def rounds_since(self, mark: dict[Peer, int]) -> Rounds:
        """How many rounds the peers that live now have begun since the mark was taken."""
        begun = [self.peer(peer).rounds - mark.get(peer, 0) for peer in self.live()]
        if not begun:
            return Rounds(mean=0.0, least=0, most=0)
        return Rounds(mean=sum(begun) / len(begun), least=min(begun), most=max(begun))

    # Parts

    def _live(self, peer: Peer) -> SimPeer:
        """The peer, which must get to run. Raises Misuse."""
        found = self.peer(peer)
        if not found.is_up or found.is_frozen:
            raise Misuse(f"{peer.address} is {'frozen' if found.is_frozen else 'down'}")
        return found

    def _end(self, peer: SimPeer, *, closes_links: bool, says_so: bool) -> None:
        if not peer.is_up:
            raise Misuse(f"{peer.peer.address} is down")
        peer.end(vanishes=not closes_links)
        self.network.end(peer, closes_links=closes_links, says_so=says_so)
        self._changed(peer)

    def _changed(self, peer: SimPeer) -> None:
        self.world.version += 1
        if not peer.is_up or peer.is_frozen:
            for truth in self._truths:
                truth.remove(peer)
        else:
            self.truth.add(peer)
            for truth in self._truths:
                truth.touch(peer)


def _call(call: Callable[[], object], _: None) -> None:
    call()
