"""One simulated peer: RingNode, Router, negotiator and dedupe window, wired as the product's actors wire them.

What the actors pass on through their inboxes is passed on at once here, in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import get_args

from msgspec.structs import replace

from cicada.chord.io import (
    CreateRing,
    Emit,
    ExtraReceived,
    Joined,
    JoinFailed,
    JoinRing,
    Left,
    MessageReceived,
    OwnerFound,
    OwnerNotFound,
    PeerProven,
    PeerUnreachable,
    Prove,
    Refused,
    RingInput,
    RingOutput,
    SendTo,
    TableChanged,
    TimerFired,
)
from cicada.chord.node import RingNode
from cicada.errors import Misuse
from cicada.events import PhaseChanged, PredecessorChanged, RingEvent, SuccessorsChanged
from cicada.ids import Address, Peer
from cicada.keys.plain import PlainNegotiator
from cicada.routing.behaviour import Behaviour, ring_for, router_for
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
    NextHopLost,
    NotLodged,
    RoutedReceived,
    RouterInput,
    RouterOutput,
    SendBroadcast,
    SendMessage,
    Settled,
    Tell,
    ToNegotiator,
    Traced,
)
from cicada.routing.router import Router
from cicada.sim.adversary import Adversary
from cicada.sim.agenda import Action
from cicada.sim.clocks import PeerAlarm, PeerClock
from cicada.sim.lanes import Lane
from cicada.sim.network import Network
from cicada.sim.sealing import SealingNegotiator
from cicada.sim.seeds import split
from cicada.sim.world import World
from cicada.wire.codec import Message
from cicada.wire.ring import RingMessage
from cicada.wire.routed import RouterMessage

_RING = frozenset(get_args(RingMessage))
_ROUTER = frozenset(get_args(RouterMessage))
_NO_TABLE = TableChanged(None, None, ())
_TIMER = TimerFired()
_ALARM = Alarm()


class SimPeer:
    """A peer at one address through all its lives, with a clock of its own.

    ``phase``, ``successors`` and ``predecessor`` (addresses) are the node's, folded from its events: asking for them
    costs nothing, a snapshot does. Only the Swarm and the Network call methods that change anything.
    """

    def __init__(
        self, peer: Peer, world: World, network: Network, on_change: Callable[[SimPeer], None]
    ) -> None:
        self.peer = peer
        self._world = world
        self._network = network
        self._on_change = on_change
        self._clock = PeerClock(world.agenda, split(world.seed, "clock", peer.address))
        self._starts = 0
        self._past_rounds = 0
        self._ring_alarm = PeerAlarm(world.agenda, self._clock, self._on_ring_due)
        self._router_alarm = PeerAlarm(world.agenda, self._clock, self._on_router_due)
        self._ring: RingNode | None = None
        self._router: Router | None = None
        self._negotiator: PlainNegotiator | None = None
        self.life = 0
        self.is_up = self.is_frozen = False
        self.has_vanished = False
        self.lanes: dict[Address, Lane] = {}
        self.adversary: Adversary | None = None
        self.behaviour: Behaviour | None = None
        """What harm its next life does on purpose; None: none."""
        self.stands_alone = False
        """Whether it is a ring of one whenever it is in no other, as the supervisor of an application's peer has it."""
        self._forget()

    def _forget(self) -> None:
        """All that ends with the process."""
        self.boot = 0
        self.seeds: tuple[Peer, ...] = ()
        self.contacts: tuple[Peer, ...] = ()
        self.answers: list[RingOutput] = []
        """What the ring told the application: Joined, JoinFailed, Left, owners found or not, extras."""
        self.refused: Counter[str] = Counter()
        """Peers that its ring did not let into its tables, by reason."""
        self.mailbox: list[Deliver] = []
        self.has_room = True
        self.unsettled: dict[int, SendMessage] = {}
        self.settled: dict[int, Settled] = {}
        self.unannounced: dict[int, SendBroadcast] = {}
        self.announced: dict[int, BroadcastSettled] = {}
        self._ids = count(1)
        self._broadcasts = count(1)
        self._window = DedupeWindow(self._world.delivery, self._world.host_of)
        self._heard = DedupeWindow(self._world.delivery, self._world.host_of)
        self._pending: list[tuple[Action, object, object]] = []
        self._see_nothing()

    def _see_nothing(self) -> None:
        self.phase = "idle"
        self.successors: tuple[str, ...] = ()
        self.predecessor = ""
        self.table = _NO_TABLE
        self._ring_alarm.cancel()

    # Lives

    def begin(self) -> None:
        """A new process at the address: its peer is in no ring yet."""
        if self.is_up:
            raise Misuse(f"{self.peer.address} is up already")
        self._forget()
        self.life += 1
        self.is_up = True
        self.has_vanished = False
        self.boot = split(self._world.seed, "boot", self.peer.address, self.life).getrandbits(63) | 1
        rng = split(self._world.seed, "negotiator", self.peer.address, self.life)
        kind = SealingNegotiator if self._world.seals else PlainNegotiator
        self._negotiator = kind(self.peer, self.boot, wall_ms=self._world.wall_ms, rng=rng)
        self.fresh_ring()
        self.fresh_router()

    def end(self, *, vanishes: bool) -> None:
        """The process is no more. ``vanishes``: nor is its host."""
        self._past_rounds = self.rounds
        self.life += 1
        self.is_up = self.is_frozen = False
        self._clock.go_on()
        self.has_vanished = vanishes
        self._ring = self._router = self._negotiator = None
        self._router_alarm.cancel()
        self._forget()

    def fresh_ring(self) -> RingNode:
        """A new RingNode in place of the old one; the Router keeps what it was told last."""
        self._past_rounds = self.rounds
        self._starts += 1
        self._ring = ring_for(
            self.peer,
            self._clock.new_incarnation(),
            behaviour=self.behaviour,
            limits=self._world.limits,
            timings=self._world.timings,
            rng=split(self._world.seed, "ring", self.peer.address, self._starts),
        )
        self._see_nothing()
        self._on_change(self)
        return self._ring

    def fresh_router(self) -> None:
        """A new Router, which is told what the old one needs to go on."""
        self._starts += 1
        rng = split(self._world.seed, "router", self.peer.address, self._starts)
        self._router = router_for(
            self.peer,
            self.boot,
            behaviour=self.behaviour,
            limits=self._world.delivery,
            rng=rng,
            entropy=split(self._world.seed, "ways", self.peer.address, self._starts),
            host_of=self._world.host_of,
        )
        self._router_alarm.cancel()
        if self.table.head is not None:
            self.route(self.table)
        unsettled: list[RouterInput] = [*self.unsettled.values(), *self.unannounced.values()]
        for message in unsettled:
            self.route(message)

    # Time

    def local(self) -> float:
        """Seconds on its own clock, which stands still while it is frozen."""
        return self._clock.now()

    def freeze(self) -> None:
        """It does not get to run, and its clock stands still; what arrives waits."""
        if not self.is_up or self.is_frozen:
            raise Misuse(f"{self.peer.address} does not run already")
        self._clock.stop()
        self.is_frozen = True
        self._ring_alarm.cancel()
        self._router_alarm.cancel()
        self._on_change(self)

    def thaw(self) -> None:
        """It runs again: first what waited, then what is due."""
        if not self.is_frozen:
            raise Misuse(f"{self.peer.address} is not frozen")
        self._clock.go_on()
        self.is_frozen = False
        pending, self._pending = self._pending, []
        for action, one, other in pending:
            self._world.agenda.enter(self._world.agenda.now, action, one, other)
        self._ring_alarm.set(self.node.next_deadline())
        self._router_alarm.set(self.router.next_deadline())
        self._on_change(self)

    def postpone(self, action: Action, one: object, other: object) -> None:
        """Have this happen when the peer gets to run again."""
        self._pending.append((action, one, other))

    # Questions

    @property
    def node(self) -> RingNode:
        """The ring node. Raises Misuse while the peer is down."""
        if self._ring is None:
            raise Misuse(f"{self.peer.address} is down")
        return self._ring

    def _check_runs(self) -> None:
        """Nothing may reach the cores of a peer that does not get to run."""
        if self.is_frozen:
            raise Misuse(f"{self.peer.address} is frozen")

    @property
    def router(self) -> Router:
        """The Router. Raises Misuse while the peer is down."""
        if self._router is None:
            raise Misuse(f"{self.peer.address} is down")
        return self._router

    @property
    def rounds(self) -> int:
        """Rounds of stabilize that it has begun in all its lives."""
        return self._past_rounds + (self._ring.rounds if self._ring is not None else 0)

    def new_id(self) -> int:
        """A number for a message or a question of this life."""
        return next(self._ids)

    def new_broadcast(self) -> int:
        """A number for a broadcast of this life."""
        return next(self._broadcasts)

    # Inputs

    def enter_ring(self, input: JoinRing | CreateRing) -> None:
        """As the RingActor has it: a node lives once, so whatever ring it was in, another one is another life."""
        if self.phase != "idle":
            self.fresh_ring()
        if isinstance(input, JoinRing):
            self.seeds = input.seeds
        self.give(input)

    def give(self, input: RingInput) -> list[RingOutput]:
        """Hand the ring node an input at once, and carry out what it asks for."""
        self._check_runs()
        now = self.local()
        outputs = self.node.handle(input, now)
        if self.adversary is not None:
            outputs = self.adversary.ring(input, outputs, now)
        for recorder in self._world.recorders:
            recorder(self._world.agenda.now, self.peer, input, outputs)
        for output in outputs:
            self._carry_out(output)
        self._ring_alarm.set(self.node.next_deadline())
        return outputs

    def route(self, input: RouterInput) -> list[RouterOutput]:
        """Hand the Router an input at once, and carry out what it asks for."""
        self._check_runs()
        now = self.local()
        outputs = self.router.handle(input, now)
        if self.adversary is not None:
            outputs = self.adversary.router(input, outputs, now)
        for recorder in self._world.recorders:
            recorder(self._world.agenda.now, self.peer, input, outputs)
        for output in outputs:
            self._carry_out_routed(output)
        self._router_alarm.set(self.router.next_deadline())
        return outputs

    def settle(self, outputs: list[RingOutput]) -> None:
        """The node was brought up apart from the swarm and these were its outputs: take over what they say."""
        for output in outputs:
            if isinstance(output, Emit):
                self._see(output.event)
            elif isinstance(output, TableChanged):
                self.table = output
        self.contacts = self.table.known
        self.route(self.table)
        self._ring_alarm.set(self.node.next_deadline())

    def receive(self, sender: Peer, message: Message) -> None:
        """A message arrived over a link."""
        if type(message) in _RING:
            self.give(MessageReceived(sender, message))  # type: ignore[arg-type]
        else:
            self.route(RoutedReceived(sender, message))  # type: ignore[arg-type]

    def on_proven(self, peer: Peer) -> None:
        """A dial succeeded."""
        self.give(PeerProven(peer))

    def on_unreachable(self, peer: Peer, undelivered: tuple[Message, ...]) -> None:
        """A link broke or a dial failed: both cores learn of it, each with what was its own."""
        ring = tuple(message for message in undelivered if type(message) in _RING)
        routed = tuple(message for message in undelivered if type(message) in _ROUTER)
        self.give(PeerUnreachable(peer, ring))  # type: ignore[arg-type]
        self.route(NextHopLost(peer, routed))  # type: ignore[arg-type]

    # Outputs

    def _carry_out(self, output: RingOutput) -> None:
        match output:
            case SendTo():
                self._network.send(self, output.peer, output.message)
                return
            case Prove():
                self._network.prove(self, output.peer)
                return
            case Emit():
                self._see(output.event)
            case Refused():
                self.refused[output.reason] += output.count
            case TableChanged():
                self.table = output
                self.contacts = output.known
                self.route(output)
            case OwnerFound() | OwnerNotFound() | Joined() | ExtraReceived():
                self.answers.append(output)
            case JoinFailed() | Left():
                self.answers.append(output)
                self._stand_alone(output)
        for observer in self._world.observers:
            observer(self._world.agenda.now, self.peer, output)

    def _stand_alone(self, output: JoinFailed | Left) -> None:
        if isinstance(output, Left):
            self.seeds = self.contacts = ()
        if self.stands_alone:
            self._world.agenda.enter(self._world.agenda.now, _create, self, self.life)

    def _see(self, event: RingEvent) -> None:
        match event:
            case SuccessorsChanged():
                self.successors = event.successors
            case PredecessorChanged():
                self.predecessor = event.predecessor
            case PhaseChanged():
                self.phase = event.phase
            case _:
                return
        self._on_change(self)

    def _carry_out_routed(self, output: RouterOutput) -> None:
        match output:
            case Forward(peer, message, _):
                self._network.send(self, peer, message)
                return
            case Deliver():
                if not self._judge(output):
                    return
            case LifeNamed(id, boot):
                known_send = self.unsettled.get(id)
                if known_send is not None and known_send.boot is None:
                    self.unsettled[id] = replace(known_send, boot=boot)
                return
            case Settled():
                self.unsettled.pop(output.id, None)
                self.settled[output.id] = output
            case Traced():
                known = self.settled.get(output.id)
                if known is not None:
                    self.settled[output.id] = replace(
                        known, copies=output.copies, disjoint=output.disjoint, altered=output.altered
                    )
            case BroadcastSettled():
                self.unannounced.pop(output.id, None)
                self.announced[output.id] = output
            case (
                Tell()
                | Keep()
                | DialBack()
                | Lodged()
                | NotLodged()
                | Findable()
                | Locate()
                | OwnerFound()
                | OwnerNotFound()
            ):  # here all can be dialled
                pass
            case _:
                self._negotiate(output)
                return
        for observer in self._world.observers:
            observer(self._world.agenda.now, self.peer, output)

    def _negotiate(self, asked: ToNegotiator) -> None:
        """What the peer's CryptoActor does, without keys."""
        if self._negotiator is None:
            return
        for answer in self._negotiator.handle(asked, self.local()):
            self.route(answer)

    def _judge(self, deliver: Deliver) -> bool:
        """What the peer's supervisor does: take a message once. Returns whether it was taken now."""
        window = self._heard if deliver.broadcast else self._window
        judgement = window.judge(
            deliver.origin,
            deliver.origin_boot,
            deliver.message,
            peer_id=deliver.peer_id,
            trust=deliver.trust,
            has_room=self.has_room and not deliver.is_late,
            now=self.local(),
        )
        if judgement.fresh:
            self.mailbox.append(deliver)
        if not deliver.broadcast:
            self.route(Judged(deliver.ticket, judgement.verdict))
        return judgement.fresh

    # Alarms

    def _on_ring_due(self) -> None:
        deadline = self.node.next_deadline()
        if deadline is not None and deadline <= self.local():
            self.give(_TIMER)
        else:
            self._ring_alarm.set(deadline)

    def _on_router_due(self) -> None:
        deadline = self.router.next_deadline()
        if deadline is not None and deadline <= self.local():
            self.route(_ALARM)
        else:
            self._router_alarm.set(deadline)


def _create(peer: SimPeer, life: int) -> None:
    if peer.life == life:
        peer.enter_ring(CreateRing())
