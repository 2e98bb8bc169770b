"""Messages of this peer on their way: attempts, copies, retries, and what settles them.

A message leaves once there is a session with its destination, and names that life of it in every attempt, so that no two
lives take it. Each attempt is sealed anew, and goes over other next hops than the one before, where there are. What this peer
has to do itself leaves as a Forward to itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from random import Random

from cicada.ids import Peer, place_from_bytes, place_to_bytes
from cicada.keys.io import Opening, Refused
from cicada.limits import DeliveryLimits
from cicada.routing.arrivals import digest_of
from cicada.routing.contacts import Contacts
from cicada.routing.introductions import Introductions
from cicada.routing.io import Forward, Reason, RouterOutput, SendMessage, Settled, Verdict
from cicada.routing.ordering import Order
from cicada.routing.paths import choose_paths, peer_named
from cicada.routing.sessions import DATA, Session, Sessions
from cicada.routing.table import Routes, RoutingTable
from cicada.routing.timers import Timers, earlier
from cicada.routing.unsettled import Ended, Frame, Unsettled, settled
from cicada.wire.routed import ContactReply, Data, NoSuchPeer, NoSuchSession
from cicada.wire.sealed import AckBody, DataBody, encode_body

_FINAL = {"key-changed": Reason.KEY_CHANGED, "conflict": Reason.CONFLICT}


class Sends:
    """The messages of this peer that have not settled, at most ``pending_sends``."""

    def __init__(
        self, own: Peer, boot: int, routes: Routes, sessions: Sessions, limits: DeliveryLimits, rng: Random
    ) -> None:
        self._own = own
        self._boot = boot
        self._routes = routes
        self._sessions = sessions
        self._limits = limits
        self._contacts = Contacts(limits)
        self.introductions = Introductions(own, routes, self._contacts, limits, rng)
        self._open: dict[int, Unsettled] = {}
        self._frames: dict[Frame, int] = {}  # of messages that have not settled
        self._bytes = 0
        self._timers = Timers()
        self._parked: dict[int, None] = {}  # until this peer is in a ring
        self._ready: deque[int] = deque()  # may go on at once
        self._ready_since = 0.0
        self.order = Order()
        self.ended: deque[Ended] = deque()
        """What settled and others hang on: for Transfers to take."""
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
            refused = Unsettled(asked)
            return self._tell(refused, refused.fate(Reason.OVERLOADED, 0))
        sending = self._open[asked.id] = Unsettled(asked)
        self._bytes += size
        return self._attempt(sending, now)

    def on_table(self, now: float) -> None:
        """This peer is in a ring: what waited for that may go on."""
        if self._parked:
            self._wake(self._parked, now)
            self._parked = {}

    def hasten(self, id: int, now: float, *, only_if_waiting: bool = False) -> None:
        """Repeat a message that left already, whatever its time is. ``only_if_waiting``: unless that is of no use."""
        sending = self._open.get(id)
        if sending is not None and sending.sent_at and (sending.is_waiting or not only_if_waiting):
            self._wake((id,), now)

    def cancel(self, id: int) -> None:
        """Nobody waits for it any more."""
        sending = self._open.get(id)
        if sending is not None:
            self._close(sending)

    # Sessions

    def on_opening(self, opening: Opening, now: float) -> list[RouterOutput]:
        """The negotiator made message 1 for a destination."""
        return self.introductions.opened(opening, now)

    def on_contact_reply(self, reply: ContactReply, now: float) -> list[RouterOutput]:
        """Message 2 came."""
        outputs = self.introductions.answered(reply, now)
        if not outputs:
            self.counts["ignored:late-reply"] += 1
        return outputs

    def on_session(self, session: Session, now: float) -> None:
        """There is a session for messages of this peer."""
        self._wake(self.introductions.agreed(session.peer.place, is_own=session.initiated), now)

    def on_refused(self, refused: Refused, now: float) -> list[RouterOutput]:
        """The negotiator could not agree on a session."""
        self.counts[f"refused:{refused.reason}"] += 1
        reason = _FINAL.get(refused.reason)
        tries = self.introductions.tries(refused.place)
        outputs: list[RouterOutput] = []
        for id in self.introductions.refused(refused.place, is_final=reason is not None, now=now):
            sending = self._open.get(id)
            if sending is not None and reason is not None:
                outputs += self._fail(sending, reason, tries)
        return outputs

    def on_no_such_session(self, hint: NoSuchSession, now: float) -> list[RouterOutput]:
        """Somebody says that the destination does not know the session of a message: agree on a new one beside it."""
        frame = (peer_named(hint.origin).place, hint.index, hint.counter)
        sending = self._open.get(self._frames.get(frame, 0))
        if sending is None:
            self.counts["ignored:late-hint"] += 1
            return []
        asked = sending.asked
        if sending.frames[-1] != frame or sending.session is not self._sessions.to(asked.place, now):
            return []
        outputs = self.introductions.renew(asked.place, asked.address, now)
        if self.introductions.is_open(asked.place):
            self.introductions.ask(asked.place, asked.address, asked.id, now)
        return outputs

    # Answers

    def on_no_such_peer(self, denied: NoSuchPeer, now: float) -> list[RouterOutput]:
        """A peer says that nobody lives at a destination. Believed when it is still said after a while."""
        place = place_from_bytes(denied.place)
        if not denied.request:
            frame = (place, denied.index, denied.counter)
            sending = self._open.get(self._frames.get(frame, 0))
            is_last = (
                sending is not None and sending.frames[-1] == frame
            )  # who saw an earlier one has no say any more
            return self._denied(sending, now) if sending is not None and is_last else []
        tries = self.introductions.tries(place)
        outputs: list[RouterOutput] = []
        for failed in self.introductions.denied(place, denied.request, now):
            sending = self._open.get(failed)
            if sending is not None:
                outputs += self._fail(sending, Reason.NO_SUCH_PEER, tries)
        return outputs

    def on_ack(self, ack: AckBody, session: Session, now: float) -> list[RouterOutput]:
        """A destination's word on a message, opened in ``session``; what does not fit is ignored and counted."""
        frame = (session.peer.place, session.remote_index, ack.counter)
        sending = self._open.get(self._frames.get(frame, 0))
        if sending is None:
            self.counts["ignored:late-ack"] += 1
            return []
        attempt = sending.attempt_of(frame, session)
        if attempt and ack.status == Verdict.ALTERED:
            return self._altered(sending, attempt, now)
        if not attempt or ack.message != sending.message:
            self.counts["ignored:foreign-ack"] += 1
            return []
        if ack.status == Verdict.DELIVERED or (ack.status == Verdict.HELD and sending.asked.fragment):
            return self._acknowledged(sending, ack, attempt, now)
        return self._refused(sending, ack.status, attempt, now)

    # Time

    def advance(self, now: float) -> list[RouterOutput]:
        """Let messages go on that may, at most ``batch`` of them, and say what nobody waits for any more."""
        outputs: list[RouterOutput] = []
        for _ in range(min(len(self._ready), self._limits.batch)):
            sending = self._open.get(self._ready.popleft())
            if sending is not None:
                outputs += self._attempt(sending, now)
        return outputs + self.introductions.take_abandoned()

    def fire(self, now: float) -> list[RouterOutput]:
        """Do what is overdue, for at most ``batch`` messages and as many introductions."""
        outputs = self.introductions.fire(now)
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
        return earlier(self._timers.next_deadline(), self.introductions.next_deadline())

    # Attempts

    def _attempt(self, sending: Unsettled, now: float) -> list[RouterOutput]:
        asked = sending.asked
        self._arm(sending, asked.deadline)
        if asked.place == self._own.place:
            return self._send_copies(sending, self._sessions.own, (self._own,), now)
        table = self._routes.table()
        if table is None:
            self._parked[asked.id] = None
            return []
        sending.was_in_ring = True
        session = self._sessions.to(asked.place, now)
        if session is None:
            return self.introductions.ask(asked.place, asked.address, asked.id, now)
        outputs: list[RouterOutput] = []
        if self._sessions.must_renew(session, now):
            outputs += self.introductions.renew(asked.place, session.peer.address, now)
        return outputs + self._send(sending, session, table, now)

    def _send(
        self, sending: Unsettled, session: Session, table: RoutingTable, now: float
    ) -> list[RouterOutput]:
        asked = sending.asked
        if sending.boot is not None and session.boot != sending.boot:
            return self._fail(sending, Reason.RESTARTED)
        if session.trust < asked.require:
            sending.session = session
            return self._fail(sending, Reason.UNTRUSTED)
        if not sending.is_busy:
            sending.avoid = sending.hops
        hops = choose_paths(table, asked.place, max(asked.copies, 1), sending.avoid)
        if hops:
            return self._send_copies(sending, session, hops, now)
        if not table.nobody_at(asked.place):  # the ring is in repair: nothing leaves, so it is no attempt
            self._arm(sending, now + self._limits.retry_floor)
            return []
        self._begin_attempt(sending, session, (asked.place, 0, 0), (), now)
        return self._denied(sending, now)

    def _send_copies(
        self, sending: Unsettled, session: Session, hops: tuple[Peer, ...], now: float
    ) -> list[RouterOutput]:
        asked = sending.asked
        attempt = len(sending.sent_at) + 1
        message, part = sending.message, asked.fragment
        body = DataBody(
            origin_boot=self._boot,
            message=message,
            boot=session.boot,
            payload=asked.payload,
            part=0 if part is None else part.part,
            parts=1 if part is None else part.parts,
            after=self.order.before(message) if asked.ordered else None,
        )
        counter, sealed = session.seal(DATA, attempt, encode_body(body))
        self._begin_attempt(sending, session, (asked.place, session.remote_index, counter), hops, now)
        self.counts["copies"] += len(hops)
        target = place_to_bytes(asked.place)
        return [
            Forward(
                hop,
                Data(
                    target=target,
                    origin=self._own.address,
                    hops=0 if hop is self._own else 1,
                    index=session.remote_index,
                    counter=counter,
                    attempt=attempt,
                    copy=number,
                    body=sealed,
                ),
                None,
            )
            for number, hop in enumerate(hops)
        ]

    def _begin_attempt(
        self, sending: Unsettled, session: Session, frame: Frame, hops: tuple[Peer, ...], now: float
    ) -> None:
        sending.boot = session.boot
        sending.session = session
        sending.sent_at.append(now)
        sending.frames.append(frame)
        sending.sessions.append(session)
        sending.hops = hops
        sending.is_denied = sending.is_busy = sending.is_waiting = False
        sending.reported = 0
        self._frames[frame] = sending.asked.id
        attempts = len(sending.sent_at)
        self.counts["retries"] += attempts > 1
        self._arm(sending, now + self._contacts.patience(sending.asked.place, attempts))

    # What becomes of them

    def _acknowledged(self, sending: Unsettled, ack: AckBody, attempt: int, now: float) -> list[RouterOutput]:
        asked = sending.asked
        if ack.boot != sending.boot:
            self.counts["ignored:foreign-ack"] += 1
            return []
        if ack.digest != digest_of(asked.payload):
            self.counts["ignored:altered"] += 1
            return []
        sending.is_whole = ack.status == Verdict.DELIVERED
        round_trip = now - sending.sent_at[attempt - 1]
        self._contacts.measured(asked.place, round_trip)
        return self._settle(sending, None, len(sending.sent_at), ack.data_hops, round_trip)

    def _refused(self, sending: Unsettled, status: int, attempt: int, now: float) -> list[RouterOutput]:
        if status == Verdict.RESTARTED:
            return self._fail(sending, Reason.RESTARTED)
        if status == Verdict.STALE:
            return self._fail(sending, Reason.STALE)
        if status == Verdict.WAITING:
            sending.is_waiting = True
            self._arm(sending, now + self._limits.retry_ceiling)
        elif status != Verdict.BUSY:
            self.counts["ignored:foreign-ack"] += 1
        elif attempt == len(sending.sent_at) and not sending.is_busy:
            if attempt >= self._limits.attempts:
                return self._fail(sending, Reason.BUSY)
            sending.is_busy = True
            self._arm(sending, now + self._contacts.patience(sending.asked.place, attempt))
        return []

    def _altered(self, sending: Unsettled, attempt: int, now: float) -> list[RouterOutput]:
        """A copy arrived changed. When all of an attempt did, the next does not wait for its time."""
        sending.altered += 1
        self.counts["altered"] += 1
        if attempt == len(sending.sent_at):
            sending.reported += 1
            if sending.reported == len(sending.hops) and attempt < self._limits.attempts:
                self._arm(sending, now + self._limits.denied_retry)
        return []

    def _denied(self, sending: Unsettled, now: float) -> list[RouterOutput]:
        if sending.is_denied or not sending.sent_at:
            return []
        if sending.denied_since is None:
            sending.denied_since = now
        elif now - sending.denied_since >= self._limits.no_such_peer_after:
            return self._fail(sending, Reason.NO_SUCH_PEER)
        sending.is_denied = True
        self._arm(sending, now + self._limits.retry_floor)
        return []

    def _expire(self, sending: Unsettled) -> list[RouterOutput]:
        asked = sending.asked
        tries = self.introductions.tries(asked.place)
        if not sending.was_in_ring and asked.place != self._own.place:
            reason = Reason.NOT_IN_RING
        else:
            reason = Reason.BUSY if sending.is_busy else Reason.TIMED_OUT
        return self._fail(sending, reason, tries)

    def _fail(self, sending: Unsettled, reason: Reason, tries: int = 0) -> list[RouterOutput]:
        return self._settle(sending, reason, len(sending.sent_at) or tries)

    def _settle(
        self,
        sending: Unsettled,
        reason: Reason | None,
        attempts: int,
        hops: int = 0,
        round_trip: float = 0.0,
    ) -> list[RouterOutput]:
        self._close(sending)
        return self._tell(sending, sending.fate(reason, attempts, hops, round_trip))

    def _tell(self, sending: Unsettled, fate: Settled) -> list[RouterOutput]:
        asked = sending.asked
        if asked.ordered or asked.fragment is not None:
            self.ended.append(Ended(asked, fate, sending.boot, sending.is_whole))
        if asked.fragment is not None:
            return []
        self.counts[f"receipts:{fate.status.value}"] += 1
        return settled(fate)

    def _close(self, sending: Unsettled) -> None:
        asked = sending.asked
        del self._open[asked.id]
        for frame in sending.frames:
            self._frames.pop(frame, None)
        self._bytes -= len(asked.payload)
        self._timers.clear(asked.id)
        self._parked.pop(asked.id, None)
        self.introductions.drop(asked.place, asked.id)

    def _arm(self, sending: Unsettled, deadline: float) -> None:
        self._timers.set(sending.asked.id, min(deadline, sending.asked.deadline))

    def _wake(self, ids: Iterable[int], now: float) -> None:
        if not self._ready:
            self._ready_since = now
        self._ready.extend(ids)
