"""Messages for this peer: opened, handed to the owner of the mailbox, acknowledged when it has judged them.

What cannot be opened is never delivered. Its sender is told, sealed, so that no relay can make that up. Every copy that comes
is acknowledged on a way of its own colour, and the first word on an attempt goes back on as many ways as copies left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from random import Random

from msgspec.structs import replace

from cicada.errors import PeerFault
from cicada.events import MessageDropped
from cicada.ids import Peer, place_from_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.allowance import Account
from cicada.routing.colours import ways_back
from cicada.routing.copies import Roll
from cicada.routing.homes import Homes
from cicada.routing.intake import Drop, HandOver, Intake, Say, Step
from cicada.routing.io import Deliver, Judged, RouterOutput, Tell, Verdict
from cicada.routing.paths import target_of
from cicada.routing.recalls import Recalls
from cicada.routing.sessions import ACK, DATA, Session, Sessions
from cicada.routing.table import Routes
from cicada.routing.tickets import Ticket, Tickets
from cicada.tokens import TokenBucket
from cicada.wire.fields import DIGEST_BYTES
from cicada.wire.routed import Data, DataAck, NoSuchSession, RoutedMessage
from cicada.wire.sealed import AckBody, DataBody, decode_sealed, encode_body

Route = Callable[[RoutedMessage, float], list[RouterOutput]]
"""Sends a message of this peer on its way."""

_NOTHING = bytes(DIGEST_BYTES)


def digest_of(payload: bytes) -> bytes:
    """The hash by which an ack says what was received."""
    return blake2b(payload, digest_size=DIGEST_BYTES).digest()


class Arrivals:
    """Application messages that end at ``own``, whose mailbox's life is ``boot``."""

    def __init__(
        self,
        own: Peer,
        boot: int,
        routes: Routes,
        sessions: Sessions,
        route: Route,
        limits: DeliveryLimits,
        rng: Random,
        account: Account,
        homes: Homes,
    ) -> None:
        self._own = own
        self._boot = boot
        self._routes = routes
        self._sessions = sessions
        self._route = route
        self._limits = limits
        self._homes = homes
        self._tickets = Tickets(limits, rng)
        self._intake = Intake(account)
        self.recalls = Recalls(own, boot, limits)
        self._rolls: dict[tuple[int, int], Roll] = {}  # by index and counter of the Data
        self._hints = TokenBucket(limits.hints_per_second, limits.hints_burst)
        self.counts: Counter[str] = Counter()
        """Messages delivered, acks said again, and what was dropped or ignored, by reason."""

    def __len__(self) -> int:
        return len(self._rolls)

    def take(self, data: Data, session: Session, now: float) -> list[RouterOutput]:
        """A Data of the session: deliver what is in it, once."""
        try:
            body = decode_sealed(session.open(DATA, data.attempt, data.counter, data.body), DataBody)
        except PeerFault as fault:
            return self._not_opened(data, session, fault.reason, now)
        self._homes.told(session.peer, body.homes)
        if body.origin_boot != session.boot:
            return self.drop("malformed")  # one life speaks in a session; others would each cost memory
        roll = self._begin(data, session, body)
        ticket = Ticket(session, data, roll, service=body.service)
        if body.boot != self._boot:
            return self._answer(ticket, Verdict.RESTARTED, now)
        if body.parts == 1 and body.after is None:
            return self._hand_over(ticket, body.payload, now)
        return self._follow(self._intake.take(ticket, body, now), now)

    def judged(self, judged: Judged, now: float) -> list[RouterOutput]:
        """The owner of the mailbox decided."""
        ticket = self._tickets.redeem(judged.ticket)
        if ticket is None:
            self.counts["ignored:late-verdict"] += 1
            return []
        taken = judged.verdict is Verdict.DELIVERED
        credit = min(judged.credit, self._limits.credit_most) if taken else 0
        self.recalls.told(ticket.session, credit)
        ticket.roll.credit = credit
        if ticket.after is None and not ticket.in_parts:
            return self._answer(ticket, judged.verdict, now)
        return self._follow(self._intake.judged(ticket, judged.verdict, now), now)

    def expire(self, now: float) -> list[RouterOutput]:
        """Give up what waits for others and makes no progress."""
        return self._follow(self._intake.expire(now), now)

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        return self._intake.next_deadline()

    def unknown(self, data: Data, now: float) -> list[RouterOutput]:
        """A Data of no session: its sender should negotiate anew, if it believes that."""
        outputs = self.drop("no-such-session")
        if not self._hints.take(now):
            return outputs
        hint = NoSuchSession(
            target=target_of(data.origin),
            origin=self._own.address,
            hops=0,
            way=data.way,
            index=data.index,
            counter=data.counter,
        )
        return outputs + self._route(hint, now)

    def drop(self, reason: str) -> list[RouterOutput]:
        """Count what is not delivered, and tell."""
        self.counts[f"dropped:{reason}"] += 1
        return [Tell(MessageDropped(reason=reason))]

    # The mailbox

    def _follow(self, steps: list[Step], now: float) -> list[RouterOutput]:
        outputs: list[RouterOutput] = []
        for step in steps:
            match step:
                case HandOver(ticket, payload):
                    outputs += self._hand_over(ticket, payload, now)
                case Say(ticket, verdict):
                    outputs += self._answer(ticket, verdict, now)
                case Drop(reason):
                    outputs += self.drop(reason)
        return outputs

    def _hand_over(self, ticket: Ticket, payload: bytes, now: float) -> list[RouterOutput]:
        """Let the owner of the mailbox decide."""
        number = self._tickets.issue(ticket, now)
        if number is None:
            self._intake.judged(ticket, Verdict.BUSY, now)
            return [*self.drop("tickets-full"), *self._answer(ticket, Verdict.BUSY, now)]
        self.counts["delivered"] += 1
        session = ticket.session
        return [
            Deliver(
                ticket=number,
                origin=session.peer,
                origin_boot=session.boot,
                message=ticket.roll.message,
                payload=payload,
                hops=ticket.data.hops,
                trust=session.trust,
                peer_id=session.peer_id,
                is_late=ticket.is_late,
                service=ticket.service,
            )
        ]

    # Copies

    def _begin(self, data: Data, session: Session, body: DataBody) -> Roll:
        """The first copy of an attempt that could be opened."""
        roll = self._roll(session, data)
        roll.body = digest_of(data.body)
        roll.message = body.message
        roll.digest = digest_of(body.payload)
        roll.copies = body.copies
        roll.hops = data.hops
        roll.note(data, is_intact=True, is_proven=session.fits(data))
        return roll

    def _roll(self, session: Session, data: Data) -> Roll:
        key = (session.index, data.counter)
        roll = self._rolls.get(key)
        if roll is None:
            roll = self._rolls[key] = Roll()
            if len(self._rolls) > self._limits.acks_remembered:
                del self._rolls[next(iter(self._rolls))]
        return roll

    def _not_opened(self, data: Data, session: Session, reason: str, now: float) -> list[RouterOutput]:
        if reason == "seal":
            return self._altered(data, session, now)
        if reason != "replayed":
            return self.drop(reason if reason == "too-old" else "malformed")
        roll = self._rolls.get((session.index, data.counter))
        if roll is None or not roll.body:
            self.counts["ignored:replayed"] += 1
            return []
        if roll.body != digest_of(data.body):
            return self._altered(data, session, now)
        is_proven = session.fits(data)
        roll.note(data, is_intact=True, is_proven=is_proven)
        if roll.verdict is None:
            return []  # its ack will say so
        if not is_proven and not session.reports.take(now):
            return []  # anybody who saw one copy can make up such ones
        self.counts["acks-again"] += 1
        return self._send(self._word(session, data, roll), data, 1, now)

    def _altered(self, data: Data, session: Session, now: float) -> list[RouterOutput]:
        """A copy that is not what left. Memory is spent on those alone that prove which they were."""
        outputs = self.drop("altered")
        is_proven = session.fits(data)
        known = self._rolls.get((session.index, data.counter))
        roll = known or (self._roll(session, data) if is_proven else Roll())
        roll.note(data, is_intact=False, is_proven=is_proven)
        if session.reports.take(now):
            # A proven way had bad peers on it, which may be on the way back too, and nobody else will say so again.
            ways = data.way[-2] * self._limits.acks_per_copy if is_proven and data.way else 1
            outputs += self._send(self._word(session, data, roll), data, ways, now)
        return outputs

    # Acks

    def _answer(self, ticket: Ticket, verdict: Verdict, now: float) -> list[RouterOutput]:
        """The first word on an attempt."""
        roll = ticket.roll
        roll.verdict, roll.ack = verdict, None
        ways = roll.copies * self._limits.acks_per_copy if roll.copies > 1 else 1
        return self._send(self._word(ticket.session, ticket.data, roll), ticket.data, ways, now)

    def _word(self, session: Session, data: Data, roll: Roll) -> DataAck:
        """What there is to say of an attempt: the same bytes as long as that is the same."""
        if roll.ack is not None and roll.said == roll.state:
            return roll.ack
        body = AckBody(
            message=roll.message if roll.verdict is not None else 0,
            counter=data.counter,
            status=Verdict.ALTERED if roll.verdict is None else roll.verdict,
            boot=self._boot,
            digest=roll.digest if roll.verdict is not None else _NOTHING,
            data_hops=roll.hops,
            intact=roll.intact,
            altered=roll.altered,
            unattributed=roll.unattributed,
            strayed=roll.strayed,
            credit=roll.credit,
            homes=self._homes.own,
        )
        counter, sealed = session.seal(ACK, data.attempt, encode_body(body))
        ack = DataAck(
            target=target_of(session.peer.address),
            origin=self._own.address,
            hops=0,
            way=data.way,
            index=session.remote_index,
            counter=counter,
            attempt=data.attempt,
            copy=data.copy,
            body=sealed,
        )
        if roll.verdict is not None:
            roll.ack, roll.said = ack, roll.state
        return ack

    def _send(self, ack: DataAck, data: Data, ways: int, now: float) -> list[RouterOutput]:
        """Send an ack on the way of the copy that it answers, and on others beside it; once when its target is known."""
        if ack.copy != data.copy or ack.way != data.way:
            ack = replace(ack, copy=data.copy, way=data.way)
        if ways == 1 or not data.way or self._is_near(ack):
            return self._route(ack, now)
        outputs: list[RouterOutput] = []
        for back in ways_back(data.way, ways):
            outputs += self._route(replace(ack, way=back), now)
        return outputs

    def _is_near(self, ack: DataAck) -> bool:
        """Whether an ack goes straight to whom it is for."""
        table = self._routes.table()
        is_known = table is not None and table.knows(place_from_bytes(ack.target)) is not None
        return is_known and self._limits.direct
