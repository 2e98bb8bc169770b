"""The PeerSupervisor: one peer's root actor. It owns what must survive a crash of the actors below: its correspondence, and
the lookups that nobody has answered yet.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from cicada.actors.acquaintances import Acquaintances
from cicada.actors.answers import answer, refuse
from cicada.actors.correspondence import Correspondence, Holdings
from cicada.actors.crypto import AnyNegotiator, CryptoActor
from cicada.actors.family import (
    ChangeSwarmKeys,
    Crash,
    InjectCrash,
    Kind,
    Locate,
    Move,
    Ref,
    TakeSnapshot,
    Unreached,
    Wired,
)
from cicada.actors.loop import LoopActor
from cicada.actors.membership import Membership
from cicada.actors.pump import Surroundings
from cicada.actors.ring import Incarnations, RingActor
from cicada.actors.router import RouterActor
from cicada.actors.supervision import ChildSpec, Strategy, SupervisorSpec
from cicada.actors.supervisor import ActorSupervisor, ChildExit
from cicada.actors.transport import Attachment, TransportActor
from cicada.chord.io import (
    FindOwner,
    LookupFailure,
    OwnerFound,
    OwnerNotFound,
    TableChanged,
)
from cicada.events import AnyEvent, ChildExited, ChildRestarted, Escalated, LookupStarted, RelaysChanged
from cicada.ids import Peer, is_hidden
from cicada.keys.io import PinLearned
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.negotiator import Negotiator
from cicada.keys.pins import Pin
from cicada.keys.plain import PlainNegotiator
from cicada.limits import SUPERVISION
from cicada.routing import io as routing
from cicada.routing.io import (
    Deliver,
    Reason,
)
from cicada.transport.linkio import Revoke
from cicada.wire.security import LinkSecurity

SPEC = SupervisorSpec(
    strategy=Strategy.ONE_FOR_ONE,
    max_restarts=SUPERVISION.max_restarts,
    within_s=SUPERVISION.within,
    children=tuple(ChildSpec(name=kind.value) for kind in Kind),
)


class _Search(msgspec.Struct, frozen=True):
    find: FindOwner
    reply: asyncio.Future[OwnerFound | OwnerNotFound]


class PeerSupervisor(LoopActor):
    """Starts, wires and restarts a peer's actors, and stands between them and the application.

    A peer whose actors fail more often than the specification allows ends: ``on_failed`` is told why. ``on_ended`` is
    called once, when nothing of it is left; after Move with the requests that whoever takes its place has to answer.
    """

    bulk = frozenset({Deliver})

    def __init__(
        self,
        around: Surroundings,
        *,
        attachment: Attachment,
        incarnations: Incarnations,
        boot: int,
        swarm: str,
        security: LinkSecurity,
        holdings: Holdings,
        correspondence: Correspondence,
        on_failed: Callable[[str], None],
        on_ended: Callable[[tuple[object, ...]], None],
        on_new_peer: Callable[[Peer], None] | None,
        on_pin: Callable[[Pin, bytes], None] | None,
        on_unreached: Callable[[Peer], None],
    ) -> None:
        super().__init__(around.dispatcher, around.tally)
        self._around = around
        self._attachment = attachment
        self._incarnations = incarnations
        self._boot = boot
        self._swarm = swarm
        self._security = security
        self._holdings = holdings
        self._on_failed = on_failed
        self._on_ended = on_ended
        self._on_new_peer = on_new_peer
        self._on_pin = on_pin
        self._on_unreached = on_unreached
        self._acquaintances = Acquaintances(around.own)
        self._correspondence = correspondence
        self._membership = Membership(around.own, holdings, self._tell, self._on_relays)
        self._ids = count(1)
        self._searches: dict[int, _Search] = {}
        self._finder = Kind.ROUTER if is_hidden(around.own.address) else Kind.RING
        self._is_moving = False
        self._left_over: tuple[object, ...] = ()

    @property
    def around(self) -> Surroundings:
        """Who this is, and the services of its event loop."""
        return self._around

    def on_start(self) -> None:
        self._handlers: dict[type, Callable[[Any], object]] = {
            ChildExit: self._on_child_exit,
            **self._correspondence.handlers(),
            **self._membership.handlers(),
            Locate: self._on_locate,
            routing.Locate: self._on_locate_for,
            OwnerFound: self._on_owner,
            OwnerNotFound: self._on_owner,
            TableChanged: self._on_table,
            PinLearned: self._on_pin_learned,
            TakeSnapshot: lambda request: self._tell(Kind.RING, request),
            ChangeSwarmKeys: self._on_swarm_keys,
            InjectCrash: lambda request: self._tell(request.kind, Crash()),
            Move: self._on_move,
            Unreached: lambda told: self._on_unreached(told.peer),
        }
        self._children = ActorSupervisor(
            SPEC,
            {
                Kind.TRANSPORT.value: self._start_transport,
                Kind.RING.value: self._start_ring,
                Kind.ROUTER.value: self._start_router,
                Kind.CRYPTO.value: self._start_crypto,
            },
            owner=self.actor_ref,
            clock=self._around.clock,
            on_restarted=self._on_restarted,
            on_escalated=self._on_escalated,
        )
        self._children.start()
        self._wire()
        self._correspondence.serve(self._around, lambda message: self._tell(Kind.ROUTER, message))
        self._membership.begin()

    def on_receive(self, message: Any) -> None:
        self._handlers[type(message)](message)

    def on_stop(self) -> None:
        self._end()

    def on_failure(self, *_: object) -> None:
        if not self._holdings.failure:
            self._holdings.failure = "its supervisor failed: see the log"
            self._on_failed(self._holdings.failure)
        self._end()

    def overflowed(self, item: object) -> None:
        super().overflowed(item)
        refuse(item, self._correspondence, Reason.OVERLOADED)

    def discard(self, item: object) -> None:
        super().discard(item)
        refuse(item, self._correspondence, Reason.CLOSED)

    # Children

    def _start_transport(self) -> Ref:
        self._attachment.reset()
        incarnation = next(self._incarnations)
        return TransportActor.start(self._around, self._attachment, incarnation, self._swarm, self._security)

    def _start_ring(self) -> Ref:
        return RingActor.start(self._around, self._incarnations)

    def _start_router(self) -> Ref:
        return RouterActor.start(self._around, self._boot, self._holdings.quota)

    def _start_crypto(self) -> Ref:
        return CryptoActor.start(self._around, self._make_negotiator)

    def _make_negotiator(self) -> AnyNegotiator:
        memory, entropy = self._holdings.memory, self._around.entropy
        if memory is None:
            seed = int.from_bytes(entropy.randbytes(8), "big")
            clock = self._around.clock
            rng = random.Random(seed)
            return PlainNegotiator(self._around.own, self._boot, wall_ms=clock.wall_ms, rng=rng)
        return Negotiator(memory, self._boot, entropy=entropy)

    def _tell(self, kind: Kind, message: object) -> None:
        ref = self._children.ref(kind.value)
        if ref is None:
            self._around.tally["actor-restarting"] += 1
        else:
            ref.tell(message)

    def _wire(self) -> None:
        refs = [self._children.ref(kind.value) for kind in Kind]
        running = [ref for ref in refs if ref is not None]
        if len(running) < len(refs):
            return  # the one that is missing is wired when it has been restarted
        wired = Wired(self.actor_ref, *running)
        for ref in running:
            ref.tell(wired)

    def _on_child_exit(self, exit: ChildExit) -> None:
        self._publish(ChildExited(child=exit.child, reason=exit.reason))
        self._children.exited(exit)

    def _on_restarted(self, child: str) -> None:
        self._holdings.restarts += 1
        self._publish(ChildRestarted(child=child, restarts=self._holdings.restarts))
        self._wire()
        self._membership.bring_back(child)
        if child == self._finder.value:
            for search in self._searches.values():
                self._tell(self._finder, search.find)
        if child == Kind.ROUTER.value:
            self._correspondence.go_on()

    def _on_escalated(self, reason: str) -> None:
        self._holdings.failure = f"its actors kept failing: {reason}"
        self._publish(Escalated(child=self._around.name, reason=reason))
        self._on_failed(self._holdings.failure)

    # The ring

    def _on_locate(self, locate: Locate) -> None:
        search = _Search(FindOwner(next(self._ids), locate.place, locate.iterative), locate.reply)
        for id in [id for id, old in self._searches.items() if old.reply.done()]:
            del self._searches[id]  # given up by whoever asked
        self._searches[search.find.id] = search
        find = search.find
        self._publish(LookupStarted(place=f"{find.place:064x}", lookup=find.id, iterative=find.iterative))
        self._tell(self._finder, find)

    def _on_locate_for(self, locate: routing.Locate) -> None:
        """The Router asks, for a hidden peer that it serves."""
        reply = self._around.dispatcher.loop.create_future()
        reply.add_done_callback(
            lambda answer: self._tell(Kind.ROUTER, routing.Located(locate.ticket, answer.result()))
        )
        self._on_locate(Locate(locate.place, False, reply))

    def _on_owner(self, output: OwnerFound | OwnerNotFound) -> None:
        search = self._searches.pop(output.id, None)
        if search is not None:
            answer(search.reply, output)

    def _on_table(self, table: TableChanged) -> None:
        self._note_neighbours(table)
        if self._finder is Kind.RING:  # the others belong where they lodge
            self._holdings.company.note(table.head not in (None, self._around.own))
        self._holdings.contacts = tuple(peer for peer in table.known if peer != self._around.own)
        if self._on_new_peer is not None:
            for peer in self._acquaintances.meet(self._holdings.contacts):
                self._on_new_peer(peer)

    def _note_neighbours(self, table: TableChanged) -> None:
        holdings = self._holdings
        before = holdings.head, holdings.predecessor
        holdings.head, holdings.predecessor = table.head, table.predecessor
        if before != (table.head, table.predecessor):
            for callback in holdings.on_neighbours:
                callback()

    def _on_relays(self, relays: tuple[Peer, ...]) -> None:
        self._publish(RelaysChanged(relays=tuple(relay.address for relay in relays)))

    # Keys

    def _on_swarm_keys(self, change: ChangeSwarmKeys) -> None:
        if isinstance(self._security, LinkHandshakes):  # links that are not encrypted need no key
            self._tell(Kind.TRANSPORT, Revoke(self._security.change(change.keys)))

    def _on_pin_learned(self, output: PinLearned) -> None:
        if self._on_pin is not None:
            self._on_pin(output.pin, output.succeeds)

    # The end

    def _end(self) -> None:
        transport = self._children.ref(Kind.TRANSPORT.value)
        self._children.stop()
        if transport is None:
            self._detach()
        else:
            transport.watch(lambda _: self._detach())  # it says CLOSE on its links first
        if self._is_moving:
            self._left_over = (*self._membership.hand_over(), *self._open_searches())
            return
        self._correspondence.close()
        self._membership.close()
        for search in self._searches.values():
            answer(search.reply, OwnerNotFound(search.find.id, LookupFailure.NOT_MEMBER))

    def _on_move(self, _: Move) -> None:
        """Its ring is told that it goes, as far as that takes no time."""
        self._is_moving = True
        if self._membership.say_farewell(self.stop):
            loop = self._around.dispatcher.loop
            loop.call_later(SUPERVISION.farewell, lambda: self.actor_ref.stop(block=False))
        else:
            self.stop()

    def _open_searches(self) -> tuple[Locate, ...]:
        return tuple(
            Locate(search.find.place, search.find.iterative, search.reply)
            for search in self._searches.values()
        )

    def _detach(self) -> None:
        self._attachment.reset()
        self._on_ended(self._left_over)

    def _publish(self, event: AnyEvent) -> None:
        if self._around.publish is not None:
            self._around.publish(self._around.name, event)
