"""Messages for this peer: opened, handed to the owner of the mailbox, acknowledged when it has judged them.

What cannot be opened is never delivered. Its sender is told, sealed, so that no relay can make that up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from random import Random

from msgspec.structs import replace

from cicada.errors import PeerFault
from cicada.events import MessageDropped
from cicada.ids import Peer
from cicada.limits import DeliveryLimits
from cicada.routing.io import Deliver, Judged, RouterOutput, Tell, Verdict
from cicada.routing.paths import target_of
from cicada.routing.recalls import Recalls
from cicada.routing.sessions import ACK, DATA, Session, Sessions
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
        sessions: Sessions,
        route: Route,
        limits: DeliveryLimits,
        rng: Random,
    ) -> None:
        self._own = own
        self._boot = boot
        self._sessions = sessions
        self._route = route
        self._limits = limits
        self._tickets = Tickets(limits, rng)
        self.recalls = Recalls(own, boot, limits)
        self._said: dict[tuple[int, int], tuple[bytes, DataAck]] = {}  # by index and counter of the Data
        self._hints = TokenBucket(limits.hints_per_second, limits.hints_burst)
        self.counts: Counter[str] = Counter()
        """Messages delivered, acks said again, and what was dropped or ignored, by reason."""

    def __len__(self) -> int:
        return len(self._said)

    def take(self, data: Data, session: Session, now: float) -> list[RouterOutput]:
        """A Data of the session: deliver what is in it, once."""
        try:
            body = decode_sealed(session.open(DATA, data.attempt, data.counter, data.body), DataBody)
        except PeerFault as fault:
            return self._not_opened(data, session, fault.reason, now)
        if body.origin_boot != session.boot:
            return self.drop("malformed")  # one life speaks in a session; others would each cost memory
        ticket = Ticket(session, data, body.message, digest_of(body.payload))
        if body.boot != self._boot:
            return self._say(ticket, Verdict.RESTARTED, now)
        number = self._tickets.issue(ticket, now)
        if number is None:
            return [*self.drop("tickets-full"), *self._say(ticket, Verdict.BUSY, now)]
        self.counts["delivered"] += 1
        return [
            Deliver(
                ticket=number,
                origin=session.peer,
                origin_boot=body.origin_boot,
                message=body.message,
                payload=body.payload,
                hops=data.hops,
                trust=session.trust,
                peer_id=session.peer_id,
            )
        ]

    def judged(self, judged: Judged, now: float) -> list[RouterOutput]:
        """The owner of the mailbox decided."""
        ticket = self._tickets.redeem(judged.ticket)
        if ticket is None:
            self.counts["ignored:late-verdict"] += 1
            return []
        self.recalls.told(ticket.session, judged.credit)
        return self._say(ticket, judged.verdict, now, min(judged.credit, self._limits.credit_most))

    def unknown(self, data: Data, now: float) -> list[RouterOutput]:
        """A Data of no session: its sender should negotiate anew, if it believes that."""
        outputs = self.drop("no-such-session")
        if not self._hints.take(now):
            return outputs
        hint = NoSuchSession(
            target=target_of(data.origin),
            origin=self._own.address,
            hops=0,
            index=data.index,
            counter=data.counter,
        )
        return outputs + self._route(hint, now)

    def drop(self, reason: str) -> list[RouterOutput]:
        """Count what is not delivered, and tell."""
        self.counts[f"dropped:{reason}"] += 1
        return [Tell(MessageDropped(reason=reason))]

    def _not_opened(self, data: Data, session: Session, reason: str, now: float) -> list[RouterOutput]:
        if reason == "replayed":
            return self._say_again(data, session, now)
        if reason != "seal":
            return self.drop(reason if reason == "too-old" else "malformed")
        outputs = self.drop("altered")
        if session.reports.take(now):
            outputs += self._say(Ticket(session, data, 0, _NOTHING), Verdict.ALTERED, now)
        return outputs

    def _say_again(self, data: Data, session: Session, now: float) -> list[RouterOutput]:
        """Another copy of what was acknowledged already: the first ack may have been lost."""
        digest, ack = self._said.get((session.index, data.counter), (b"", None))
        if ack is None or digest != digest_of(data.body):
            self.counts["ignored:replayed"] += 1
            return []
        self.counts["acks-again"] += 1
        return self._route(replace(ack, copy=data.copy), now)

    def _say(self, ticket: Ticket, verdict: Verdict, now: float, credit: int = 0) -> list[RouterOutput]:
        session, data = ticket.session, ticket.data
        body = AckBody(
            message=ticket.message,
            counter=data.counter,
            status=verdict,
            boot=self._boot,
            digest=ticket.digest,
            data_hops=data.hops,
            credit=credit,
        )
        counter, sealed = session.seal(ACK, data.attempt, encode_body(body))
        ack = DataAck(
            target=target_of(session.peer.address),
            origin=self._own.address,
            hops=0,
            index=session.remote_index,
            counter=counter,
            attempt=data.attempt,
            copy=data.copy,
            body=sealed,
        )
        if verdict is not Verdict.ALTERED:
            self._remember((session.index, data.counter), (digest_of(data.body), ack))
        return self._route(ack, now)

    def _remember(self, key: tuple[int, int], said: tuple[bytes, DataAck]) -> None:
        self._said[key] = said
        if len(self._said) > self._limits.acks_remembered:
            del self._said[next(iter(self._said))]
