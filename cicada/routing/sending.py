"""Messages of this peer on their way: attempts, copies, retries, and what settles them.

A message leaves once there is a session with its destination, and names that life of it in every attempt, so that no two
lives take it; whoever gave it is told which, so that this holds beyond the life of a Router. Each attempt is sealed anew, and
goes on other ways than the one before, where there are. What this peer has to do itself leaves as a Forward to itself.
"""

from __future__ import annotations

from collections import Counter, deque
from random import Random

from cicada.ids import Peer, Place, place_from_bytes
from cicada.keys.io import Opening, Refused
from cicada.limits import TRANSFER, DeliveryLimits
from cicada.routing.arrivals import digest_of
from cicada.routing.attempts import Attempts
from cicada.routing.contacts import Contacts
from cicada.routing.copies import Attempt, departing
from cicada.routing.credit import Moment, Turn
from cicada.routing.departures import Departures
from cicada.routing.introductions import Introductions
from cicada.routing.io import Frame, LifeNamed, Reason, RouterOutput, SendMessage, Settled, Verdict
from cicada.routing.ordering import Order
from cicada.routing.pace import Pace
from cicada.routing.paths import Leg, Ways, peer_named
from cicada.routing.sessions import DATA, Session, Sessions
from cicada.routing.table import Routes, RoutingTable
from cicada.routing.timers import Timers, earlier
from cicada.routing.traces import Traces
from cicada.routing.unsettled import Ended, Unsettled, settled
from cicada.wire.routed import ContactReply, NoSuchPeer, NoSuchSession
from cicada.wire.sealed import AckBody, DataBody, encode_body

_FINAL = {"key-changed": Reason.KEY_CHANGED, "conflict": Reason.CONFLICT}


class Sends:
    """The messages of this peer that have not settled, at most ``pending_sends``."""

    def __init__(
        self,
        own: Peer,
        boot: int,
        routes: Routes,
        sessions: Sessions,
        ways: Ways,
        limits: DeliveryLimits,
        rng: Random,
        pace: Pace | None = None,
    ) -> None:
        self._own = own
        self._boot = boot
        self._routes = routes
        self._sessions = sessions
        self._limits = limits
        self._contacts = Contacts(limits)
        self._attempts = Attempts(ways, self._contacts, limits)
        self._departures = Departures(limits, pace or Pace(limits))
        self.introductions = Introductions(own, routes, self._contacts, ways, limits, rng)
        self._homes = ways.homes
        self._open: dict[int, Unsettled] = {}
        self._frames: dict[Frame, int] = {}  # of messages that have not settled
        self._bytes = 0
        self._timers = Timers()
        self.order = Order()
        self.ended: deque[Ended] = deque()
        """What settled and others hang on: for Transfers to take."""
        self.counts: Counter[str] = Counter()
        """Copies sent, retries, receipts by outcome, and answers that were ignored, by reason."""
        self._traces = Traces(self._frames, self._contacts, self.counts, limits)

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """Nothing of this will be used any more."""
        self._departures.close()

    @property
    def held_back(self) -> int:
        """How many wait for room in the mailboxes of their destinations."""
        return self._departures.held_back

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
        self._departures.unpark(now)

    # What others hang on

    def hasten(self, id: int, at: float) -> None:
        """The answer to its only attempt so far is overdue then already."""
        sending = self._open.get(id)
        if sending is not None and len(sending.sent_at) == 1:
            self._arm(sending, at)

    def go_on(self, id: int, now: float, *, only_if_waiting: bool) -> None:
        """The ordered message before it has settled: say so at once, if it left with another word. ``only_if_waiting``: or
        only if its destination holds it back."""
        sending = self._open.get(id)
        if sending is not None and sending.sent_at and (sending.is_waiting or not only_if_waiting):
            self._departures.wake((id,), now)

    def cancel(self, id: int) -> None:
        """Nobody waits for it any more."""
        sending = self._open.get(id)
        if sending is not None:
            self._close(sending)
            self._traces.forget(sending)

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
        agreed = self.introductions.agreed(session.peer.place, is_own=session.initiated)
        self._departures.wake(agreed, now)

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

    def on_ack(
        self, ack: AckBody, counter: int, session: Session, way: bytes, now: float
    ) -> list[RouterOutput]:
        """A destination's word on a message, opened in ``session`` as its ``counter``-th, which came by ``way``; what does not
        fit is ignored and counted."""
        moment = (session.born, counter)
        self._homes.told(session.peer, ack.homes)
        if ack.status == Verdict.ROOM:
            self._departures.heard(session.peer.place, moment, ack.credit, now)
            return []
        frame = (session.peer.place, session.remote_index, ack.counter)
        id = self._frames.get(frame, 0)
        sending = self._open.get(id)
        if sending is None:
            return self._traces.on_ack(id, frame, ack, session)
        attempt = sending.attempt_of(frame, session)
        if attempt and ack.status == Verdict.ALTERED:
            return self._altered(sending, ack, attempt, now)
        if not attempt or ack.message != sending.message:
            self.counts["ignored:foreign-ack"] += 1
            return []
        if ack.status == Verdict.DELIVERED:
            self._departures.heard(session.peer.place, moment, ack.credit, now)
        if ack.status == Verdict.DELIVERED or (ack.status == Verdict.HELD and sending.asked.fragment):
            sending.answered = (session, counter)
            return self._acknowledged(sending, ack, attempt, way, now)
        return self._refused(sending, ack.status, attempt, moment, now)

    # Time

    def advance(self, now: float) -> list[RouterOutput]:
        """Let messages go on that may, at most ``batch`` of them, and say what nobody waits for any more."""
        outputs: list[RouterOutput] = []
        for id in self._departures.next(now):
            sending = self._open.get(id)
            if sending is not None:
                outputs += self._attempt(sending, now)
        return outputs + self.introductions.take_abandoned()

    def fire(self, now: float) -> list[RouterOutput]:
        """Do what is overdue, for at most ``batch`` messages and as many introductions."""
        outputs = self.introductions.fire(now) + self._traces.fire(now)
        self._departures.fire(now)
        for due in self._timers.pop_due(now, self._limits.batch):
            sending = self._open[due]
            if now >= sending.asked.deadline:
                outputs += self._expire(sending, now)
            elif sending.tries >= self._most(sending, is_busy=sending.is_busy) and not sending.is_denied:
                self._arm(sending, sending.asked.deadline)  # an ack may still come
            else:
                outputs += self._retry(sending, now)
        return outputs

    def next_deadline(self) -> float | None:
        """When ``advance`` or ``fire`` has something to do."""
        first = earlier(self._timers.next_deadline(), self._traces.next_deadline())
        return earlier(earlier(first, self._departures.next_deadline()), self.introductions.next_deadline())

    # Attempts

    def _retry(self, sending: Unsettled, now: float) -> list[RouterOutput]:
        """An answer is overdue, or asked for another attempt. Beyond the budget it waits; denials have a limit of their own."""
        if sending.sent_at and not sending.is_denied:
            budget = self._attempts.budget
            if sending.asked.fragment is None and not budget.take(now):  # a window limits fragments
                self.counts["retries-put-off"] += 1
                self._arm(sending, max(budget.ready_at(now), now + self._limits.denied_retry))
                return []
            if not sending.is_busy and not sending.is_waiting:
                self._departures.pace.look(now)
                self._attempts.lost(sending)
        return self._attempt(sending, now)

    def _most(self, sending: Unsettled, *, is_busy: bool) -> int:
        """How many attempts it may have. Fragments wait for other messages there to make room for them."""
        is_crowded = is_busy and sending.asked.fragment is not None
        return TRANSFER.busy_attempts if is_crowded else self._limits.attempts

    def _attempt(self, sending: Unsettled, now: float) -> list[RouterOutput]:
        asked = sending.asked
        self._arm(sending, asked.deadline)
        turn = self._departures.ask(asked, now)
        if turn is not Turn.GO:
            return self._hold(sending, turn)
        if asked.place == self._own.place:
            return self._send_copies(sending, self._sessions.own, (Leg(self._own, b""),), now)
        table = self._routes.table()
        if table is None:
            self._departures.park(asked.id)
            return []
        sending.was_in_ring = True
        session = self._sessions.to(asked.place, now)
        if session is None:
            return self.introductions.ask(asked.place, asked.address, asked.id, now)
        if not self._departures.has_slot(asked):  # what waits for a session takes none
            return []
        outputs: list[RouterOutput] = []
        if self._sessions.must_renew(session, now):
            outputs += self.introductions.renew(asked.place, session.peer.address, now)
        return outputs + self._send(sending, session, table, now)

    def _hold(self, sending: Unsettled, turn: Turn) -> list[RouterOutput]:
        """Its destination has no room. Most wait for it."""
        if not sending.asked.patient:
            return self._fail(sending, Reason.BUSY)
        return self._fail(sending, Reason.BACKLOG) if turn is Turn.FULL else []

    def _send(
        self, sending: Unsettled, session: Session, table: RoutingTable, now: float
    ) -> list[RouterOutput]:
        asked = sending.asked
        if sending.boot is not None and session.boot != sending.boot:
            return self._fail(sending, Reason.RESTARTED)
        if session.trust < asked.require:
            sending.session = session
            return self._fail(sending, Reason.UNTRUSTED)
        legs = self._attempts.legs(sending, table, now)
        if legs:
            return self._send_copies(sending, session, legs, now)
        if not table.nobody_at(asked.place):  # the ring is in repair: nothing leaves, so it is no attempt
            self._arm(sending, now + self._limits.retry_floor)
            return []
        self._begin_attempt(sending, session, (asked.place, 0, 0), (), now)
        return self._denied(sending, now)

    def _send_copies(
        self, sending: Unsettled, session: Session, legs: tuple[Leg, ...], now: float
    ) -> list[RouterOutput]:
        asked, fragment = sending.asked, sending.asked.fragment
        attempt = len(sending.sent_at) + 1
        body = DataBody(
            origin_boot=self._boot,
            message=sending.message,
            boot=session.boot,
            copies=len(legs),
            payload=asked.payload,
            part=0 if fragment is None else fragment.part,
            parts=1 if fragment is None else fragment.parts,
            after=self.order.before(sending.message) if asked.ordered else None,
            homes=self._homes.own,
            service=asked.service,
        )
        counter, sealed = session.seal(DATA, attempt, encode_body(body))
        named: list[RouterOutput] = []
        if sending.boot is None:
            named.append(LifeNamed(sending.message, session.boot))
        self._begin_attempt(sending, session, (asked.place, session.remote_index, counter), legs, now)
        self.counts["copies"] += len(legs)
        return named + departing(self._own, asked.place, session, legs, counter, attempt, sealed)

    def _begin_attempt(
        self, sending: Unsettled, session: Session, frame: Frame, legs: tuple[Leg, ...], now: float
    ) -> None:
        if legs:  # else nothing leaves that names it
            sending.boot = session.boot
        sending.session = session
        sending.sent_at.append(now)
        sending.frames.append(frame)
        sending.sessions.append(session)
        sending.attempts.append(Attempt(legs))
        sending.is_denied = sending.is_busy = sending.is_waiting = False
        self._frames[frame] = sending.asked.id
        attempts = len(sending.sent_at)
        if attempts > 1:
            self.counts["retries"] += 1
        elif sending.asked.fragment is None:
            self._attempts.budget.sent(now)
        self._arm(sending, now + self._contacts.patience(sending.asked.place, attempts))

    # What becomes of them

    def _acknowledged(
        self, sending: Unsettled, ack: AckBody, attempt: int, way: bytes, now: float
    ) -> list[RouterOutput]:
        asked = sending.asked
        if ack.boot != sending.boot:
            self.counts["ignored:foreign-ack"] += 1
            return []
        if ack.digest != digest_of(asked.payload):
            self.counts["ignored:altered"] += 1
            return []
        sending.is_whole = ack.status == Verdict.DELIVERED
        heard = sending.attempts[attempt - 1]
        self._traces.hear(sending, heard, ack)
        round_trip = now - sending.sent_at[attempt - 1]
        self._contacts.measured(asked.place, round_trip)
        self._departures.pace.measured(round_trip, now)
        self._learn(asked.place, heard, way, now)
        return self._settle(sending, None, len(sending.sent_at), ack.data_hops, round_trip, now)

    def _learn(self, place: Place, attempt: Attempt, way: bytes, now: float) -> None:
        """From an ack: a way is proven when a copy arrived by it and the ack came back by it."""
        if self._contacts.is_rising(place):
            self._attempts.budget.press(now)
        for number, leg in enumerate(attempt.legs):
            if leg.way == way and way and attempt.intact >> number & 1 and not leg.strayed:
                self._contacts.prove(place, way, now)

    def _refused(
        self, sending: Unsettled, status: int, attempt: int, moment: Moment, now: float
    ) -> list[RouterOutput]:
        if status == Verdict.RESTARTED:
            return self._fail(sending, Reason.RESTARTED)
        if status == Verdict.STALE:
            return self._fail(sending, Reason.STALE)
        if status == Verdict.FULL:
            return self._fail(sending, Reason.BUSY)
        if status == Verdict.NO_SERVICE:
            return self._fail(sending, Reason.NO_SERVICE)
        if status == Verdict.WAITING:
            sending.is_waiting = True
            self._arm(sending, now + self._limits.retry_ceiling)
        elif status != Verdict.BUSY:
            self.counts["ignored:foreign-ack"] += 1
        elif attempt == len(sending.sent_at) and not sending.is_busy:
            if not self._departures.needs_credit(sending.asked):
                return self._repeat_later(sending, attempt, now)
            self._attempts.budget.press(now)
            return self._wait_for_room(sending, moment, now)
        return []

    def _repeat_later(self, sending: Unsettled, attempt: int, now: float) -> list[RouterOutput]:
        """It has no credit to wait for. A fragment's window paces it, and its place is freed by other messages; mail for a service
        was refused because who it is from, or what it is, cannot be remembered now."""
        if attempt >= self._most(sending, is_busy=True):
            return self._fail(sending, Reason.BUSY)
        sending.is_busy = True
        self._attempts.budget.press(now)
        self._arm(sending, now + self._contacts.patience(sending.asked.place, attempt))
        return []

    def _wait_for_room(self, sending: Unsettled, moment: Moment, now: float) -> list[RouterOutput]:
        asked = sending.asked
        sending.is_busy = True
        sending.refusals += 1
        self._departures.heard(asked.place, moment, 0, now)
        if not asked.patient or sending.refusals >= self._limits.refusals:
            return self._fail(sending, Reason.BUSY)
        self._departures.refused(asked, now)
        self._arm(sending, asked.deadline)
        return []

    def _altered(self, sending: Unsettled, ack: AckBody, attempt: int, now: float) -> list[RouterOutput]:
        """Copies arrived changed. When all of an attempt did, the next does not wait for its time."""
        heard = sending.attempts[attempt - 1]
        self._traces.hear(sending, heard, ack)
        is_last = attempt == len(sending.sent_at) and attempt < self._limits.attempts
        if is_last and heard.changed == len(heard.legs):
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

    def _expire(self, sending: Unsettled, now: float) -> list[RouterOutput]:
        asked = sending.asked
        tries = self.introductions.tries(asked.place)
        was_outside = not sending.was_in_ring and asked.place != self._own.place
        reason = Reason.BUSY if sending.is_busy else self._departures.obstacle(asked)
        if reason is None and was_outside:
            reason = Reason.NOT_IN_RING
        elif reason is None and self.introductions.is_denied(asked.place, now):
            reason = Reason.NO_SUCH_PEER
        return self._fail(sending, reason or Reason.TIMED_OUT, tries)

    def _fail(self, sending: Unsettled, reason: Reason, tries: int = 0) -> list[RouterOutput]:
        return self._settle(sending, reason, len(sending.sent_at) or tries)

    def _settle(
        self,
        sending: Unsettled,
        reason: Reason | None,
        attempts: int,
        hops: int = 0,
        round_trip: float = 0.0,
        now: float = 0.0,
    ) -> list[RouterOutput]:
        self._close(sending)
        outputs = self._tell(sending, sending.fate(reason, attempts, hops, round_trip))
        if reason is None and sending.asked.fragment is None:
            return outputs + self._traces.follow(sending, now)
        self._traces.forget(sending)
        return outputs

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
        self._departures.over(asked)
        self._bytes -= len(asked.payload)
        self._timers.clear(asked.id)
        self.introductions.drop(asked.place, asked.id)

    def _arm(self, sending: Unsettled, deadline: float) -> None:
        self._timers.set(sending.asked.id, min(deadline, sending.asked.deadline))
