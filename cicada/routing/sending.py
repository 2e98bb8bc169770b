"""Messages of this peer on their way: attempts, copies, retries, and what settles them.

A message leaves once the boot id of its destination is known, and names that life in every attempt, so that no two
lives take it. Each attempt goes over other next hops than the one before, where there are. What this peer has to do
itself leaves as a Forward to itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from hashlib import blake2b
from random import Random

from cicada.events import MessageSettled
from cicada.ids import Peer, place_from_bytes, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.contacts import Contacts
from cicada.routing.introductions import Introductions
from cicada.routing.io import Forward, Reason, RouterOutput, SendMessage, Settled, Status, Tell, Verdict
from cicada.routing.paths import choose_paths, denial, peer_named
from cicada.routing.table import Routes, RoutingTable
from cicada.routing.timers import Timers, earlier
from cicada.wire.fields import DIGEST_BYTES
from cicada.wire.routed import ContactReply, Data, DataAck, NoSuchPeer


def digest_of(payload: bytes) -> bytes:
    """The hash by which an ack says what was received."""
    return blake2b(payload, digest_size=DIGEST_BYTES).digest()


class _Sending:
    """One message that has not settled. ``boot`` never changes once an attempt has named it."""

    __slots__ = (
        "asked",
        "avoid",
        "boot",
        "denied_since",
        "hops",
        "is_busy",
        "is_denied",
        "sent_at",
        "was_in_ring",
    )

    def __init__(self, asked: SendMessage) -> None:
        self.asked = asked
        self.boot: int | None = None
        self.sent_at: list[float] = []  # when each attempt left
        self.hops: tuple[Peer, ...] = ()  # of the last attempt
        self.avoid: tuple[Peer, ...] = ()  # what the last attempt avoided
        self.denied_since: float | None = None
        self.is_denied = False  # the last attempt was answered NoSuchPeer
        self.is_busy = False  # the last attempt was answered BUSY
        self.was_in_ring = False


class Sends:
    """The messages of this peer that have not settled, at most ``pending_sends``."""

    def __init__(self, own: Peer, boot: int, routes: Routes, limits: DeliveryLimits, rng: Random) -> None:
        self._own = own
        self._boot = boot
        self._routes = routes
        self._limits = limits
        self._contacts = Contacts(limits)
        self._introductions = Introductions(own, routes, self._contacts, limits, rng)
        self._open: dict[int, _Sending] = {}
        self._bytes = 0
        self._timers = Timers()
        self._parked: dict[int, None] = {}  # until this peer is in a ring
        self._ready: deque[int] = deque()  # may go on at once
        self._ready_since = 0.0
        self.counts: Counter[str] = Counter()
        """Copies sent, retries, receipts by outcome, and answers that were ignored, by reason."""

    def __len__(self) -> int:
        return len(self._open)

    def submit(self, asked: SendMessage, now: float) -> list[RouterOutput]:
        """Begin a message, unless it is on its way already."""
        if asked.id in self._open:
            return []
        size = len(asked.payload)
        if len(self._open) >= self._limits.pending_sends or self._bytes + size > self._limits.pending_bytes:
            return self._settled(asked.id, Reason.OVERLOADED, 0)
        sending = self._open[asked.id] = _Sending(asked)
        self._bytes += size
        return self._attempt(sending, now)

    def on_table(self, now: float) -> None:
        """This peer is in a ring: what waited for that may go on."""
        if self._parked:
            self._wake(self._parked, now)
            self._parked = {}

    def on_contact_reply(self, reply: ContactReply, now: float) -> None:
        """A destination named its boot id."""
        waiting = self._introductions.answered(reply, now)
        if not waiting:
            self.counts["ignored:late-reply"] += 1
        self._wake(waiting, now)

    def on_no_such_peer(self, denied: NoSuchPeer, now: float) -> list[RouterOutput]:
        """A peer says that nobody lives at a destination. Believed when it is still said after a while."""
        place = place_from_bytes(denied.place)
        sending = self._open.get(denied.message)
        if sending is not None and sending.asked.place == place and not denied.request:
            return self._denied(sending, now)
        tries = self._introductions.tries(place)
        outputs: list[RouterOutput] = []
        for failed in self._introductions.denied(place, denied.request, now):
            outputs += self._fail(self._open[failed], Reason.NO_SUCH_PEER, tries)
        return outputs

    def on_ack(self, ack: DataAck, now: float) -> list[RouterOutput]:
        """A destination's word on a message of this boot; anything else is ignored and counted."""
        sending = self._open.get(ack.message) if ack.origin_boot == self._boot else None
        if sending is None:
            self.counts["ignored:late-ack"] += 1
            return []
        is_known = 1 <= ack.attempt <= len(sending.sent_at)
        if not is_known or peer_named(ack.origin).place != sending.asked.place:
            self.counts["ignored:foreign-ack"] += 1
            return []
        if ack.status == Verdict.DELIVERED:
            return self._acknowledged(sending, ack, now)
        return self._refused(sending, ack, now)

    def advance(self, now: float) -> list[RouterOutput]:
        """Let messages go on that may, at most ``batch`` of them."""
        outputs: list[RouterOutput] = []
        for _ in range(min(len(self._ready), self._limits.batch)):
            sending = self._open.get(self._ready.popleft())
            if sending is not None:
                outputs += self._attempt(sending, now)
        return outputs

    def fire(self, now: float) -> list[RouterOutput]:
        """Do what is overdue, for at most ``batch`` messages and as many introductions."""
        outputs: list[RouterOutput] = list(self._introductions.fire(now))
        for due in self._timers.pop_due(now, self._limits.batch):
            sending = self._open[due]
            if now >= sending.asked.deadline:
                outputs += self._expire(sending)
            elif len(sending.sent_at) >= self._limits.attempts and not sending.is_denied:
                self._arm(sending, sending.asked.deadline)  # an ack may still come
            else:
                outputs += self._attempt(sending, now)
        return outputs

    def next_deadline(self) -> float | None:
        """When ``advance`` or ``fire`` has something to do."""
        if self._ready:
            return self._ready_since
        return earlier(self._timers.next_deadline(), self._introductions.next_deadline())

    def _attempt(self, sending: _Sending, now: float) -> list[RouterOutput]:
        asked = sending.asked
        self._arm(sending, asked.deadline)
        if asked.place == self._own.place:
            sending.boot = self._boot
            return self._send_copies(sending, (self._own,), now)
        table = self._routes.table()
        if table is None:
            self._parked[asked.id] = None
            return []
        sending.was_in_ring = True
        if sending.boot is None:
            sending.boot = self._contacts.boot(asked.place, now)
        if sending.boot is None:
            return list(self._introductions.ask(asked.place, asked.id, now))
        return self._send(sending, table, now)

    def _send(self, sending: _Sending, table: RoutingTable, now: float) -> list[RouterOutput]:
        asked = sending.asked
        if not sending.is_busy:
            sending.avoid = sending.hops
        hops = choose_paths(table, asked.place, max(asked.copies, 1), sending.avoid)
        if hops:
            return self._send_copies(sending, hops, now)
        if not table.nobody_at(asked.place):  # the ring is in repair: nothing leaves, so it is no attempt
            self._arm(sending, now + self._limits.retry_floor)
            return []
        self._begin_attempt(sending, (), now)
        return [Forward(self._own, denial(self._own, self._copy(sending, 0, 0)), None)]

    def _send_copies(self, sending: _Sending, hops: tuple[Peer, ...], now: float) -> list[RouterOutput]:
        self._begin_attempt(sending, hops, now)
        self.counts["copies"] += len(hops)
        return [
            Forward(hop, self._copy(sending, number, 0 if hop is self._own else 1), None)
            for number, hop in enumerate(hops)
        ]

    def _begin_attempt(self, sending: _Sending, hops: tuple[Peer, ...], now: float) -> None:
        sending.sent_at.append(now)
        sending.hops = hops
        sending.is_denied = sending.is_busy = False
        attempts = len(sending.sent_at)
        self.counts["retries"] += attempts > 1
        self._arm(sending, now + self._contacts.patience(sending.asked.place, attempts))

    def _copy(self, sending: _Sending, number: int, hops: int) -> Data:
        asked = sending.asked
        return Data(
            target=place_to_bytes(asked.place),
            origin=self._own.address,
            hops=hops,
            origin_boot=self._boot,
            message=asked.id,
            boot=sending.boot or 0,
            attempt=len(sending.sent_at),
            copy=number,
            payload=asked.payload,
        )

    def _acknowledged(self, sending: _Sending, ack: DataAck, now: float) -> list[RouterOutput]:
        asked = sending.asked
        if ack.boot != sending.boot:
            self.counts["ignored:foreign-ack"] += 1
            return []
        if ack.digest != digest_of(asked.payload):
            self.counts["ignored:altered"] += 1
            return []
        round_trip = now - sending.sent_at[ack.attempt - 1]
        self._contacts.learn(asked.place, ack.boot, now)
        self._contacts.measured(asked.place, round_trip)
        self._close(sending)
        return self._settled(asked.id, None, len(sending.sent_at), ack.data_hops, round_trip)

    def _refused(self, sending: _Sending, ack: DataAck, now: float) -> list[RouterOutput]:
        if ack.status == Verdict.RESTARTED:
            self._contacts.forget(sending.asked.place)
            return self._fail(sending, Reason.RESTARTED)
        if ack.status == Verdict.STALE:
            return self._fail(sending, Reason.STALE)
        if ack.status != Verdict.BUSY:
            self.counts["ignored:foreign-ack"] += 1
        elif ack.attempt == len(sending.sent_at) and not sending.is_busy:
            if ack.attempt >= self._limits.attempts:
                return self._fail(sending, Reason.BUSY)
            sending.is_busy = True
            self._arm(sending, now + self._contacts.patience(sending.asked.place, ack.attempt))
        return []

    def _denied(self, sending: _Sending, now: float) -> list[RouterOutput]:
        if sending.is_denied or not sending.sent_at:
            return []
        if sending.denied_since is None:
            sending.denied_since = now
        elif now - sending.denied_since >= self._limits.no_such_peer_after:
            return self._fail(sending, Reason.NO_SUCH_PEER)
        sending.is_denied = True
        self._arm(sending, now + self._limits.retry_floor)
        return []

    def _expire(self, sending: _Sending) -> list[RouterOutput]:
        asked = sending.asked
        tries = self._introductions.tries(asked.place)
        if not sending.was_in_ring and asked.place != self._own.place:
            reason = Reason.NOT_IN_RING
        else:
            reason = Reason.BUSY if sending.is_busy else Reason.TIMED_OUT
        return self._fail(sending, reason, tries)

    def _fail(self, sending: _Sending, reason: Reason, tries: int = 0) -> list[RouterOutput]:
        self._close(sending)
        return self._settled(sending.asked.id, reason, len(sending.sent_at) or tries)

    def _settled(
        self, id: int, reason: Reason | None, attempts: int, hops: int = 0, round_trip: float = 0.0
    ) -> list[RouterOutput]:
        status = Status.DELIVERED if reason is None else Status.FAILED
        self.counts[f"receipts:{status.value}"] += 1
        return [
            Settled(
                id=id, status=status, reason=reason, attempts=attempts, hops=hops, round_trip_s=round_trip
            ),
            Tell(
                MessageSettled(
                    message=id,
                    status=status.value,
                    reason="" if reason is None else reason.value,
                    attempts=attempts,
                    hops=hops,
                    round_trip_s=round_trip,
                )
            ),
        ]

    def _close(self, sending: _Sending) -> None:
        asked = sending.asked
        del self._open[asked.id]
        self._bytes -= len(asked.payload)
        self._timers.clear(asked.id)
        self._parked.pop(asked.id, None)
        if not sending.sent_at:
            self._introductions.drop(asked.place, asked.id)

    def _arm(self, sending: _Sending, deadline: float) -> None:
        self._timers.set(sending.asked.id, min(deadline, sending.asked.deadline))

    def _wake(self, ids: Iterable[int], now: float) -> None:
        if not self._ready:
            self._ready_since = now
        self._ready.extend(ids)
