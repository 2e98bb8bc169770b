"""What of messages must survive a crash of the actors below: the receipts that nobody has settled yet, and the windows that
keep deliveries single."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from cicada.actors.broadcastreceipt import BroadcastReceipt
from cicada.actors.company import Company
from cicada.actors.family import Announce, Submit
from cicada.actors.mailbox import BROADCASTS, HostPort, Lane, Mail, Mailbox
from cicada.actors.pump import Surroundings
from cicada.actors.receipt import Receipt, failed
from cicada.actors.services import ServiceMail, Services
from cicada.errors import MalformedMessage
from cicada.events import AnyEvent, BroadcastFinished, BroadcastStarted, MessageDropped
from cicada.hosts import naming
from cicada.ids import Address, Peer
from cicada.keys.memory import Memory
from cicada.limits import BROADCAST, DELIVERY, KEYS
from cicada.routing.admission import Quota
from cicada.routing.dedupe import DedupeWindow, Judgement
from cicada.routing.io import (
    BroadcastSettled,
    Deliver,
    Fate,
    Judged,
    LifeNamed,
    Reason,
    RoomMade,
    SendBroadcast,
    SendMessage,
    Settled,
    Status,
    Traced,
    Verdict,
)
from cicada.wire.services import MAILBOX, Request, Service, decode_service
from cicada.wire.trips import broadcast_trip

# An origin may be forgotten once nothing that it signed is good any more by anybody's clock.
HEARD: Final = replace(
    DELIVERY, dedupe_seconds=BROADCAST.seconds + 2 * KEYS.clock_skew, dedupe_origins=BROADCAST.origins
)


class Holdings(msgspec.Struct, kw_only=True):
    """What the application side and the supervisor of one peer share, on one event loop."""

    mailbox: Mailbox
    services: Services = msgspec.field(default_factory=Services)
    company: Company = msgspec.field(default_factory=Company)
    quota: Quota  # of what its process lets in
    now: Callable[[], float]  # of the process: the peer's own clock may stand still
    create: bool = True  # outside any other ring it is a ring of one
    memory: Memory | None = None  # of its negotiator; None: sessions are not encrypted
    contacts: tuple[Peer, ...] = ()
    head: Peer | None = None  # of its successors
    predecessor: Peer | None = None
    on_neighbours: list[Callable[[], object]] = msgspec.field(
        default_factory=list
    )  # told when one of these two is another
    seeds: tuple[Peer, ...] = ()  # by whom it came, or comes, to those that it belongs with
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    refused: int = 0  # sends, because the process had enough
    restarts: int = 0
    failure: str = ""


class _Outstanding(msgspec.Struct):
    """``boot``: the life of its destination that alone may take it, once an attempt has named one."""

    send: SendMessage
    receipt: Receipt
    boot: int | None = None


class _Announced(msgspec.Struct, frozen=True):
    send: SendBroadcast
    receipt: BroadcastReceipt
    told_at: float
    origin: Address


class Correspondence:
    """The application's side of one peer's messages, wherever the peer is: ``serve`` says who does the work. ``boot`` is the one
    under which it sends."""

    def __init__(self, around: Surroundings, holdings: Holdings, boot: int) -> None:
        self._around = around
        self._holdings = holdings
        self._boot = boot
        self._tell: Callable[[object], None] = lambda message: None
        self._ids = count(1)
        self._outstanding: dict[int, _Outstanding] = {}
        self._settled: WeakValueDictionary[int, Receipt] = WeakValueDictionary()  # whose copies are traced
        host_of = naming(around.ring.group_hosts)
        self._window = DedupeWindow(host_of=host_of)
        self._announcements = count(1)
        self._announced: dict[int, _Announced] = {}
        # of broadcasts, whose origins count them apart from messages
        self._heard = DedupeWindow(HEARD, host_of)
        holdings.mailbox.when_room(self._on_room)

    @property
    def in_flight(self) -> int:
        """Messages that have not settled."""
        return len(self._outstanding)

    def serve(self, around: Surroundings, tell_router: Callable[[object], None]) -> None:
        """``tell_router`` hands something to whichever RouterActor is at work from now on."""
        has_moved = around.own != self._around.own
        self._around = around
        self._tell = tell_router
        if has_moved:
            self._leave_to_others()
        self.go_on()

    def handlers(self) -> dict[type, Callable[[Any], object]]:
        """What takes each class of message that is about messages."""
        return {
            Deliver: self._on_deliver,
            LifeNamed: self.note_life,
            Settled: self._on_settled,
            Traced: self._on_traced,
            BroadcastSettled: self._on_broadcast_settled,
            Submit: self._on_submit,
            Announce: self._on_announce,
        }

    def go_on(self) -> None:
        """Another RouterActor is at work, which knows nothing of what the last one was told."""
        self._give_up_traces()
        for outstanding in self._outstanding.values():
            self._tell(replace(outstanding.send, boot=outstanding.boot))
        for announced in self._announced.values():
            self._tell(announced.send)

    def note_life(self, named: LifeNamed) -> None:
        """An attempt of a message is about to leave for that life of its destination. The first one counts: all other attempts
        have to name it too."""
        outstanding = self._outstanding.get(named.id)
        if outstanding is not None and outstanding.boot is None:
            outstanding.boot = named.boot

    def give_up(self, submit: Submit, reason: Reason) -> None:
        """It will never be sent."""
        self._settle(submit.receipt, failed(0, reason), len(submit.payload))

    def close(self) -> None:
        """The peer ends: every receipt learns of it, and no mail comes in any more."""
        self._holdings.mailbox.close()
        for outstanding in self._outstanding.values():
            size = len(outstanding.send.payload)
            self._settle(outstanding.receipt, failed(outstanding.send.id, Reason.CLOSED), size)
        self._outstanding.clear()
        self._give_up_traces()
        for announced in self._announced.values():
            announced.receipt.settle(BroadcastSettled(id=announced.send.id, reason=Reason.CLOSED))
        self._announced.clear()

    def _on_submit(self, submit: Submit) -> None:
        self._holdings.sent += 1
        if len(self._outstanding) >= DELIVERY.pending_sends:
            self.give_up(submit, Reason.OVERLOADED)
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
            patient=submit.patient,
            service=submit.service,
        )
        self._outstanding[send.id] = _Outstanding(send, submit.receipt)
        self._tell(send)

    def _on_settled(self, settled: Settled) -> None:
        outstanding = self._outstanding.pop(settled.id, None)
        if outstanding is not None:
            self._settle(outstanding.receipt, settled, len(outstanding.send.payload))
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

    def _settle(self, receipt: Receipt, settled: Settled, size: int) -> None:
        holdings = self._holdings
        holdings.quota.give_back(size, settled.status is Status.DELIVERED, holdings.now())
        if settled.status is Status.DELIVERED:
            self._holdings.delivered += 1
        else:
            self._holdings.failed += 1
        receipt.settle(settled)

    def _on_announce(self, announce: Announce) -> None:
        if len(self._announced) >= BROADCAST.own:
            announce.receipt.settle(BroadcastSettled(id=0, reason=Reason.OVERLOADED))
            return
        send = SendBroadcast(
            id=next(self._announcements),
            payload=announce.payload,
            expires_ms=self._around.clock.wall_ms() + int(BROADCAST.seconds * 1000),
            deadline=announce.deadline,
        )
        self._announced[send.id] = _Announced(
            send, announce.receipt, self._around.clock.now(), self._around.own.address
        )
        self._publish(BroadcastStarted(message=send.id, bytes=len(send.payload)))
        self._tell(send)

    def _on_broadcast_settled(self, settled: BroadcastSettled) -> None:
        announced = self._announced.pop(settled.id, None)
        if announced is not None:
            announced.receipt.settle(settled)
            reason = "" if settled.reason is None else settled.reason.value
            self._publish(
                BroadcastFinished(
                    message=settled.id,
                    reached=settled.reached,
                    complete=settled.is_complete,
                    reason=reason,
                    trip=broadcast_trip(announced.origin, settled.id),
                )
            )

    def _leave_to_others(self) -> None:
        """Under the address that this peer had, others spread its broadcasts on; under the new one they would be others.
        Only what was told so late that it may not have left is."""
        latest = self._around.clock.now() - BROADCAST.leaving
        for number in [number for number, each in self._announced.items() if each.told_at <= latest]:
            self._on_broadcast_settled(BroadcastSettled(id=number, reason=None))

    def _is_own(self, deliver: Deliver) -> bool:
        """Whether it is a broadcast that this peer sent under an address that it had."""
        memory = self._holdings.memory
        is_own_key = memory is not None and deliver.peer_id == memory.identity.peer_id
        return is_own_key and deliver.broadcast and deliver.origin_boot == self._boot

    def _on_deliver(self, deliver: Deliver) -> None:
        if self._is_own(deliver):
            self._count_dropped("broadcast-came-back", 1)
        elif deliver.service in MAILBOX:
            self._put_into_mailbox(deliver)
        else:
            self._give_to_service(deliver)

    def _judge(self, deliver: Deliver, has_room: bool, take: Callable[[], bool] = lambda: True) -> Judgement:
        window = self._heard if deliver.broadcast else self._window
        return window.judge(
            deliver.origin,
            deliver.origin_boot,
            deliver.message,
            peer_id=deliver.peer_id,
            trust=deliver.trust,
            has_room=has_room and not deliver.is_late,
            now=self._around.clock.now(),
            take=take,
        )

    def _put_into_mailbox(self, deliver: Deliver) -> None:
        mailbox, size, lane = self._holdings.mailbox, len(deliver.payload), _lane(deliver)
        try:
            mail = _mail(deliver)
        except MalformedMessage:
            self._count_dropped("malformed", 1)
            self._tell(Judged(deliver.ticket, Verdict.NO_SERVICE, mailbox.credit(lane, size)))
            return
        has_room = not deliver.is_late and mailbox.has_room(lane, size)
        judgement = self._judge(deliver, has_room)
        verdict = judgement.verdict
        if judgement.fresh:
            self._count_dropped("mailbox-overwritten", mailbox.put(lane, mail))
        elif verdict is Verdict.BUSY and not deliver.is_late:
            self._count_dropped("origins-full" if has_room else "mailbox-full", 1)
            verdict = Verdict.FULL if mailbox.refuses and not has_room else verdict
        if not deliver.broadcast:
            credit = 0 if verdict is Verdict.BUSY and has_room else mailbox.credit(lane, size)
            self._tell(Judged(deliver.ticket, verdict, credit))

    def _give_to_service(self, deliver: Deliver) -> None:
        """Its credit is that of the mailbox, as always: mail of services needs none."""
        services, mail = self._holdings.services, _service_mail(deliver)
        is_offered = services.offers(deliver.service)
        verdict = self._judge(deliver, is_offered, lambda: services.give(deliver.service, mail)).verdict
        if verdict is Verdict.FULL:
            self._count_dropped("service-full", 1)
        elif verdict is Verdict.BUSY and not deliver.is_late:
            self._count_dropped("origins-full" if is_offered else "no-service", 1)
            verdict = verdict if is_offered else Verdict.NO_SERVICE
        credit = self._holdings.mailbox.credit(_lane(deliver), len(deliver.payload))
        self._tell(Judged(deliver.ticket, verdict, credit))

    def _on_room(self, lane: Lane, credit: int) -> None:
        self._tell(RoomMade(*lane, credit))

    def _count_dropped(self, reason: str, count: int) -> None:
        if count:
            self._around.tally[reason] += count
            self._publish(MessageDropped(reason=reason, count=count))

    def _publish(self, event: AnyEvent) -> None:
        if self._around.publish is not None:
            self._around.publish(self._around.name, event)


def _lane(deliver: Deliver) -> Lane:
    return BROADCASTS if deliver.broadcast else (deliver.peer_id, deliver.origin.address)


def _service_mail(deliver: Deliver) -> ServiceMail:
    return ServiceMail(
        source=deliver.origin,
        peer_id=deliver.peer_id,
        trust=deliver.trust.word,
        id=deliver.message,
        payload=deliver.payload,
        hops=deliver.hops,
    )


def _mail(deliver: Deliver) -> Mail:
    """Raises MalformedMessage for a request that is none."""
    is_request = deliver.service == Service.REQUEST
    request = decode_service(deliver.payload, Request) if is_request else None
    return Mail(
        source=HostPort.of(deliver.origin.address),
        data=deliver.payload if request is None else request.data,
        id=deliver.message,
        kind="broadcast" if deliver.broadcast else "message" if request is None else "request",
        request=None if request is None else request.number,
        hops=deliver.hops,
        trust=deliver.trust.word,
        peer_id=deliver.peer_id,
    )
