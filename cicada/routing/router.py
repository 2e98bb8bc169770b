"""The Router of one peer: its own messages, those it relays, those that are for it, and broadcasts.

Pure: ``handle(input, now)`` returns what is to be done. Nothing is authenticated end to end yet: a relay could alter a
payload together with the digest in its ack, or answer in the destination's name. Sessions will end that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from random import Random
from typing import assert_never

from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.events import MessageDropped
from cicada.ids import Peer, place_from_bytes, place_to_bytes
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.broadcasting import Broadcasts
from cicada.routing.detours import Detours
from cicada.routing.io import (
    Alarm,
    Forward,
    Judged,
    NextHopLost,
    RoutedReceived,
    RouterInput,
    RouterOutput,
    SendBroadcast,
    SendMessage,
    Tell,
    Verdict,
)
from cicada.routing.paths import denial, target_of
from cicada.routing.sending import Sends
from cicada.routing.table import Routes
from cicada.routing.tickets import Tickets
from cicada.routing.timers import earlier
from cicada.wire.routed import (
    Broadcast,
    Contact,
    ContactReply,
    Data,
    DataAck,
    NoSuchPeer,
    RoutedMessage,
    RouterMessage,
)


class Router:
    """Routes for ``own``, whose mailbox's life is ``boot`` (1 to 2**63 - 1).

    It does not remember what the mailbox took. A new Router that is given the unsettled messages and the ring's last
    TableChanged takes over from one that crashed; its ``rng`` must differ.
    """

    def __init__(self, own: Peer, boot: int, *, limits: DeliveryLimits = DELIVERY, rng: Random) -> None:
        self._own = own
        self._target = place_to_bytes(own.place)
        self._boot = boot
        self._limits = limits
        self._hop_limit = limits.hop_limit
        self._routes = Routes(own, limits)
        self._sends = Sends(own, boot, self._routes, limits, rng)
        self._tickets = Tickets(own, boot, limits, rng)
        self._broadcasts = Broadcasts(own, boot, self._routes, limits)
        self._detours = Detours(limits)
        self._forwarded = 0
        self._counts: Counter[str] = Counter()

    def handle(self, input: RouterInput, now: float) -> list[RouterOutput]:
        """What is to be done about ``input`` at ``now`` (monotonic seconds), in order.

        No remote input makes it raise. Only an Alarm lets deadlines fire: whoever stalled drains its sockets first.
        """
        if isinstance(input, RoutedReceived):
            forward = self._relay(input.message, input.sender)
            if forward is not None:
                return [forward]
        outputs = self._dispatch(input, now)
        outputs += self._sends.advance(now)
        return self._do_own(outputs, now)

    def next_deadline(self) -> float | None:
        """When an Alarm is due. In the past: one call did not get through all that was due."""
        return earlier(self._sends.next_deadline(), self._routes.next_deadline())

    def counters(self) -> dict[str, int]:
        """How often each named thing happened since this Router began.

        Messages ``forwarded`` for others, ``rerouted`` around lost hops and ``delivered`` to the mailbox's owner;
        ``copies`` and ``retries`` of own messages and ``receipts:*`` by outcome; ``broadcasts``, their ``bodies`` and
        ``hand-overs``; ``ignored:*`` answers and ``dropped:*`` messages by reason.
        """
        total = Counter(forwarded=self._forwarded)
        for counts in (self._counts, self._sends.counts, self._broadcasts.counts):
            total.update(counts)
        return dict(total)

    def _relay(self, message: RouterMessage, sender: Peer) -> Forward | None:
        """A message for somebody else on its way; None when anything but that is to be done about it."""
        if isinstance(message, Broadcast) or message.target == self._target:
            return None
        table = self._routes.table()
        if table is None or message.hops >= self._hop_limit:
            return None
        hop = table.next_hop(int.from_bytes(message.target, "big"))
        if hop is None:
            return None
        self._forwarded += 1
        return Forward(hop, replace(message, hops=message.hops + 1), sender)

    def _dispatch(self, input: RouterInput, now: float) -> list[RouterOutput]:
        match input:
            case RoutedReceived():
                return self._receive(input.message, input.sender, now)
            case Judged():
                return self._judged(input, now)
            case SendMessage():
                return self._sends.submit(input, now)
            case SendBroadcast():
                return self._broadcasts.start(input, now)
            case NextHopLost():
                return self._lose(input, now)
            case TableChanged():
                self._routes.update(input)
                if input.head is not None:
                    self._sends.on_table(now)
                return []
            case Alarm():
                self._routes.restore(now)
                return self._sends.fire(now)
            case _:
                assert_never(input)

    def _receive(self, message: RouterMessage, sender: Peer, now: float) -> list[RouterOutput]:
        if isinstance(message, Broadcast):
            return self._broadcasts.on_broadcast(message, sender, now)
        return self._route(message, now)

    def _do_own(self, outputs: list[RouterOutput], now: float) -> list[RouterOutput]:
        """Consume what is forwarded to this peer itself."""
        done: list[RouterOutput] = []
        for output in outputs:
            if isinstance(output, Forward) and output.peer is self._own:
                if not isinstance(output.message, Broadcast):
                    done += self._consume(output.message, now)
            else:
                done.append(output)
        return done

    def _route(
        self, message: RoutedMessage, now: float, exclude: Collection[Peer] = frozenset()
    ) -> list[RouterOutput]:
        """Consume the message, send it on, answer that its place is nobody's, or drop it."""
        if message.target == self._target:
            return self._consume(message, now)
        table = self._routes.table()
        if table is None:
            return self._drop("not-in-ring")
        if message.hops >= self._limits.hop_limit:
            return self._drop("hop-limit")
        place = place_from_bytes(message.target)
        for hop in table.next_hops(place, 1, exclude):
            return [Forward(hop, replace(message, hops=message.hops + 1), None)]
        if not table.nobody_at(place):
            return self._drop("no-route")
        if isinstance(message, Contact | Data):
            return self._route(denial(self._own, message), now)
        return self._drop("answer-to-nobody")

    def _consume(self, message: RoutedMessage, now: float) -> list[RouterOutput]:
        match message:
            case Data():
                return self._take(message, now)
            case DataAck():
                return self._sends.on_ack(message, now)
            case Contact():
                return self._route(self._introduce(message), now)
            case ContactReply():
                self._sends.on_contact_reply(message, now)
                return []
            case NoSuchPeer():
                return self._sends.on_no_such_peer(message, now)

    def _take(self, data: Data, now: float) -> list[RouterOutput]:
        """Hand a message to the mailbox's owner, unless it is for an earlier life (a boot of 0 names any life)."""
        if data.boot not in (0, self._boot):
            return self._route(self._tickets.ack(data, Verdict.RESTARTED), now)
        deliver = self._tickets.issue(data, now)
        if deliver is None:
            busy = self._tickets.ack(data, Verdict.BUSY)
            return [*self._drop("tickets-full"), *self._route(busy, now)]
        self._counts["delivered"] += 1
        return [deliver]

    def _judged(self, judged: Judged, now: float) -> list[RouterOutput]:
        ack = self._tickets.redeem(judged.ticket, judged.verdict)
        if ack is None:
            self._counts["ignored:late-verdict"] += 1
            return []
        return self._route(ack, now)

    def _introduce(self, contact: Contact) -> ContactReply:
        return ContactReply(
            target=target_of(contact.origin),
            origin=self._own.address,
            hops=0,
            request=contact.request,
            boot=self._boot,
        )

    def _lose(self, lost: NextHopLost, now: float) -> list[RouterOutput]:
        """Do without the peer for a while, and find other ways for what it did not take."""
        self._routes.lose(lost.peer, now)
        outputs: list[RouterOutput] = []
        for message in lost.undelivered:
            if isinstance(message, Broadcast):
                outputs += self._broadcasts.hand_over(message, lost.peer)
            else:
                self._counts["rerouted"] += 1
                outputs += self._route(message, now, self._detours.failed(message, lost.peer))
        return outputs

    def _drop(self, reason: str) -> list[RouterOutput]:
        self._counts[f"dropped:{reason}"] += 1
        return [Tell(MessageDropped(reason=reason))]
