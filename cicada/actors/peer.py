"""The PeerSupervisor: one peer's root actor. It owns what must survive a crash of the actors below: the mailbox, the
window that keeps deliveries single, the sends and lookups nobody has answered yet.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from cicada.actors.crypto import AnyNegotiator, CryptoActor
from cicada.actors.family import (
    Announce,
    ChangeSwarmKeys,
    Crash,
    Enter,
    InjectCrash,
    Kind,
    Locate,
    Ref,
    Submit,
    TakeSnapshot,
    Wired,
    Withdraw,
)
from cicada.actors.loop import LoopActor
from cicada.actors.mailbox import HostPort, Mail, Mailbox
from cicada.actors.pump import Surroundings
from cicada.actors.receipt import Receipt, failed
from cicada.actors.ring import Incarnations, RingActor
from cicada.actors.router import RouterActor
from cicada.actors.supervision import ChildSpec, Strategy, SupervisorSpec
from cicada.actors.supervisor import ActorSupervisor, ChildExit
from cicada.actors.transport import Attachment, TransportActor
from cicada.chord.io import (
    CreateRing,
    FindOwner,
    Joined,
    JoinFailed,
    JoinRing,
    LeaveRing,
    Left,
    LookupFailure,
    OwnerFound,
    OwnerNotFound,
    TableChanged,
)
from cicada.events import ChildExited, ChildRestarted, Escalated
from cicada.ids import Peer, split_address
from cicada.keys.io import PinLearned
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.memory import Memory
from cicada.keys.negotiator import Negotiator
from cicada.keys.pins import Pin
from cicada.keys.plain import PlainNegotiator
from cicada.limits import DELIVERY, SUPERVISION
from cicada.routing.dedupe import DedupeWindow
from cicada.routing.io import (
    Deliver,
    Fate,
    Judged,
    Reason,
    SendBroadcast,
    SendMessage,
    Settled,
    Status,
    Traced,
)
from cicada.transport.linkio import Revoke
from cicada.wire.security import LinkSecurity

SPEC = SupervisorSpec(
    strategy=Strategy.ONE_FOR_ONE,
    max_restarts=SUPERVISION.max_restarts,
    within_s=SUPERVISION.within,
    children=tuple(ChildSpec(name=kind.value) for kind in Kind),
)


class Holdings(msgspec.Struct, kw_only=True):
    """What the application side and the supervisor of one peer share, on one event loop."""

    mailbox: Mailbox
    memory: Memory | None = None  # of its negotiator; None: sessions are not encrypted
    contacts: tuple[Peer, ...] = ()
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    restarts: int = 0
    failure: str = ""


class _Outstanding(msgspec.Struct, frozen=True):
    send: SendMessage
    receipt: Receipt


class _Search(msgspec.Struct, frozen=True):
    find: FindOwner
    reply: asyncio.Future[OwnerFound | OwnerNotFound]


class PeerSupervisor(LoopActor):
    """Starts, wires and restarts a peer's actors, and stands between them and the application.

    A peer whose actors fail more often than the specification allows ends: ``on_failed`` is told why. ``on_ended`` is
    called once, when nothing of the peer is left.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        attachment: Attachment,
        incarnations: Incarnations,
        boot: int,
        swarm: str,
        security: LinkSecurity,
        create: bool,
        holdings: Holdings,
        on_failed: Callable[[str], None],
        on_ended: Callable[[], None],
        on_new_peer: Callable[[Peer], None] | None,
        on_pin: Callable[[Pin, bytes], None] | None,
    ) -> None:
        super().__init__(around.dispatcher)
        self._around = around
        self._attachment = attachment
        self._incarnations = incarnations
        self._boot = boot
        self._swarm = swarm
        self._security = security
        self._create = create
        self._holdings = holdings
        self._on_failed = on_failed
        self._on_ended = on_ended
        self._on_new_peer = on_new_peer
        self._on_pin = on_pin
        self._met: set[Peer] = {around.own}
        self._window = DedupeWindow()
        self._announced = (
            DedupeWindow()
        )  # of broadcasts: whoever makes one up must not use up ids of messages
        self._ids = count(1)
        self._outstanding: dict[int, _Outstanding] = {}
        self._settled: WeakValueDictionary[int, Receipt] = WeakValueDictionary()  # whose copies are traced
        self._searches: dict[int, _Search] = {}
        self._entering: Enter | None = None
        self._withdrawing: Withdraw | None = None
        self._seeds: tuple[Peer, ...] = ()

    @property
    def around(self) -> Surroundings:
        """Who this is, and the services of its event loop."""
        return self._around

    def on_start(self) -> None:
        self._handlers: dict[type, Callable[[Any], object]] = {
            ChildExit: self._on_child_exit,
            Deliver: self._on_deliver,
            Settled: self._on_settled,
            Traced: self._on_traced,
            Submit: self._on_submit,
            Announce: self._on_announce,
            CreateRing: self._on_create,
            Enter: self._on_enter,
            Joined: self._on_joined,
            JoinFailed: self._on_join_failed,
            Withdraw: self._on_withdraw,
            Left: self._on_left,
            Locate: self._on_locate,
            OwnerFound: self._on_owner,
            OwnerNotFound: self._on_owner,
            TableChanged: self._on_table,
            PinLearned: self._on_pin_learned,
            TakeSnapshot: lambda request: self._tell(Kind.RING, request),
            ChangeSwarmKeys: self._on_swarm_keys,
            InjectCrash: lambda request: self._tell(request.kind, Crash()),
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
        self._stand_alone()

    def on_receive(self, message: Any) -> None:
        self._handlers[type(message)](message)

    def on_stop(self) -> None:
        self._end()

    def on_failure(self, *_: object) -> None:
        if not self._holdings.failure:
            self._holdings.failure = "its supervisor failed: see the log"
            self._on_failed(self._holdings.failure)
        self._end()

    # Children

    def _start_transport(self) -> Ref:
        self._attachment.reset()
        incarnation = next(self._incarnations)
        return TransportActor.start(self._around, self._attachment, incarnation, self._swarm, self._security)

    def _start_ring(self) -> Ref:
        return RingActor.start(self._around, self._incarnations)

    def _start_router(self) -> Ref:
        return RouterActor.start(self._around, self._boot)

    def _start_crypto(self) -> Ref:
        return CryptoActor.start(self._around, self._make_negotiator)

    def _make_negotiator(self) -> AnyNegotiator:
        memory, entropy = self._holdings.memory, self._around.entropy
        if memory is None:
            seed = int.from_bytes(entropy.randbytes(8), "big")
            return PlainNegotiator(self._around.own, self._boot, rng=random.Random(seed))
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
        if child == Kind.RING.value:
            self._bring_back_ring()
        elif child == Kind.ROUTER.value:
            self._give_up_traces()
            for outstanding in self._outstanding.values():
                self._tell(Kind.ROUTER, outstanding.send)

    def _bring_back_ring(self) -> None:
        entering = self._entering
        if self._withdrawing is not None:
            self._on_left(Left())
        elif entering is not None:
            self._tell(Kind.RING, JoinRing(entering.seeds, entering.deadline))
        elif self._holdings.contacts or self._seeds:
            self._tell(Kind.RING, JoinRing((*self._holdings.contacts, *self._seeds), math.inf))
        else:
            self._stand_alone()
        for search in self._searches.values():
            self._tell(Kind.RING, search.find)

    def _on_escalated(self, reason: str) -> None:
        self._holdings.failure = f"its actors kept failing: {reason}"
        self._publish(Escalated(child=self._around.name, reason=reason))
        self._on_failed(self._holdings.failure)

    # The ring

    def _on_enter(self, enter: Enter) -> None:
        if self._entering is not None:
            _answer(enter.reply, "it is joining already")
            return
        self._entering = enter
        self._tell(Kind.RING, JoinRing(enter.seeds, enter.deadline))

    def _on_joined(self, _: Joined) -> None:
        if self._entering is not None:
            self._seeds = self._entering.seeds
            _answer(self._entering.reply, "")
            self._entering = None

    def _on_join_failed(self, output: JoinFailed) -> None:
        if self._entering is not None:
            _answer(self._entering.reply, output.reason)
            self._entering = None
        self._stand_alone()

    def _on_withdraw(self, withdraw: Withdraw) -> None:
        if self._withdrawing is not None:
            _answer(self._withdrawing.reply, None)
        self._withdrawing = withdraw
        self._tell(Kind.RING, LeaveRing())

    def _on_left(self, _: Left) -> None:
        self._seeds = self._holdings.contacts = ()
        if self._withdrawing is not None:
            _answer(self._withdrawing.reply, None)
            self._withdrawing = None
        self._stand_alone()

    def _on_create(self, _: CreateRing) -> None:
        self._create = True
        self._stand_alone()

    def _stand_alone(self) -> None:
        """Outside any other ring the peer is a ring of one, unless it shall wait until it joins: a peer that came back
        and answered as a ring of one would tear the ring of those who still list it."""
        if self._create:
            self._tell(Kind.RING, CreateRing())

    def _on_locate(self, locate: Locate) -> None:
        search = _Search(FindOwner(next(self._ids), locate.place, locate.iterative), locate.reply)
        for id in [id for id, old in self._searches.items() if old.reply.done()]:
            del self._searches[id]  # given up by whoever asked
        self._searches[search.find.id] = search
        self._tell(Kind.RING, search.find)

    def _on_owner(self, output: OwnerFound | OwnerNotFound) -> None:
        search = self._searches.pop(output.id, None)
        if search is not None:
            _answer(search.reply, output)

    def _on_table(self, table: TableChanged) -> None:
        self._holdings.contacts = tuple(peer for peer in table.known if peer != self._around.own)
        if self._on_new_peer is not None:
            for peer in self._holdings.contacts:
                if peer not in self._met:
                    self._met.add(peer)
                    self._on_new_peer(peer)

    # Messages

    def _on_swarm_keys(self, change: ChangeSwarmKeys) -> None:
        if isinstance(self._security, LinkHandshakes):  # links that are not encrypted need no key
            self._tell(Kind.TRANSPORT, Revoke(self._security.change(change.keys)))

    def _on_pin_learned(self, output: PinLearned) -> None:
        if self._on_pin is not None:
            self._on_pin(output.pin, output.succeeds)

    def _on_submit(self, submit: Submit) -> None:
        self._holdings.sent += 1
        if len(self._outstanding) >= DELIVERY.pending_sends:
            self._settle(submit.receipt, failed(0, Reason.OVERLOADED))
            return
        send = SendMessage(
            id=next(self._ids),
            place=submit.place,
            payload=submit.payload,
            copies=submit.copies,
            deadline=submit.deadline,
            address=submit.address,
            require=submit.require,
            ordered=submit.ordered,
        )
        self._outstanding[send.id] = _Outstanding(send, submit.receipt)
        self._tell(Kind.ROUTER, send)

    def _on_settled(self, settled: Settled) -> None:
        outstanding = self._outstanding.pop(settled.id, None)
        if outstanding is not None:
            self._settle(outstanding.receipt, settled)
            if any(copy.fate is Fate.PENDING for copy in settled.copies):
                self._settled[settled.id] = outstanding.receipt

    def _on_traced(self, traced: Traced) -> None:
        receipt = self._settled.pop(traced.id, None)
        if receipt is not None:
            receipt.trace(traced)

    def _give_up_traces(self) -> None:
        for receipt in list(self._settled.values()):
            receipt.give_up()
        self._settled.clear()

    def _settle(self, receipt: Receipt, settled: Settled) -> None:
        if settled.status is Status.DELIVERED:
            self._holdings.delivered += 1
        else:
            self._holdings.failed += 1
        receipt.settle(settled)

    def _on_announce(self, announce: Announce) -> None:
        self._tell(Kind.ROUTER, SendBroadcast(next(self._ids), announce.payload))

    def _on_deliver(self, deliver: Deliver) -> None:
        mailbox = self._holdings.mailbox
        window = self._announced if deliver.broadcast else self._window
        judgement = window.judge(
            deliver.origin,
            deliver.origin_boot,
            deliver.message,
            peer_id=deliver.peer_id,
            has_room=not deliver.is_late and mailbox.has_room(len(deliver.payload)),
            now=self._around.clock.now(),
        )
        if judgement.fresh:
            mailbox.put(
                Mail(
                    source=HostPort(*split_address(deliver.origin.address)),
                    data=deliver.payload,
                    id=deliver.message,
                    broadcast=deliver.broadcast,
                    hops=deliver.hops,
                    trust=deliver.trust.word,
                )
            )
        if not deliver.broadcast:
            self._tell(Kind.ROUTER, Judged(deliver.ticket, judgement.verdict))

    # The end

    def _end(self) -> None:
        transport = self._children.ref(Kind.TRANSPORT.value)
        self._children.stop()
        if transport is None:
            self._detach()
        else:
            transport.watch(lambda _: self._detach())  # it says CLOSE on its links first
        self._holdings.mailbox.close()
        for outstanding in self._outstanding.values():
            self._settle(outstanding.receipt, failed(outstanding.send.id, Reason.CLOSED))
        self._outstanding.clear()
        self._give_up_traces()
        for search in self._searches.values():
            _answer(search.reply, OwnerNotFound(search.find.id, LookupFailure.NOT_MEMBER))
        if self._entering is not None:
            _answer(self._entering.reply, "this peer was closed")
        if self._withdrawing is not None:
            _answer(self._withdrawing.reply, None)

    def _detach(self) -> None:
        self._attachment.reset()
        self._on_ended()

    def _publish(self, event: ChildExited | ChildRestarted | Escalated) -> None:
        if self._around.publish is not None:
            self._around.publish(self._around.name, event)


def _answer(reply: asyncio.Future[Any], value: object) -> None:
    """Answer a request unless whoever asked has gone."""
    if not reply.done():
        reply.set_result(value)
