"""What a sender remembers of a message until it settles."""

from __future__ import annotations

from typing import NamedTuple

from cicada.events import MessageSettled
from cicada.ids import Address, Peer
from cicada.routing.copies import Attempt, copies_of
from cicada.routing.io import Frame, Reason, RouterOutput, SendMessage, Settled, Status, Tell, Traced
from cicada.routing.paths import Leg
from cicada.routing.sessions import Session


class Unsettled:
    """One message. ``boot`` never changes once an attempt has named it, also one of an earlier Router."""

    __slots__ = (
        "answered", "asked", "attempts", "avoid", "boot", "denied_since", "frames", "is_busy", "is_denied", "is_excused",
        "is_waiting", "is_whole", "losses", "refusals", "sent_at", "session", "sessions", "was_in_ring",
    )  # fmt: skip

    def __init__(self, asked: SendMessage) -> None:
        self.asked = asked
        self.boot = asked.boot
        self.session: Session | None = None  # of the last attempt
        self.sent_at: list[float] = []  # when each attempt left
        self.frames: list[Frame] = []  # and as what
        self.sessions: list[Session] = []  # and in which session
        self.attempts: list[Attempt] = []  # and how
        self.avoid: tuple[Peer, ...] = ()  # what the last attempt avoided
        self.denied_since: float | None = None
        self.is_denied = False  # the last attempt was answered NoSuchPeer
        self.is_busy = False  # the last attempt was answered BUSY
        self.is_waiting = False  # the last attempt was answered WAITING
        self.is_whole = False  # acknowledged as DELIVERED
        self.was_in_ring = False
        self.losses = 0  # attempts of which nothing arrived
        self.is_excused = False  # an attempt was not counted among them: it may have been slow
        self.refusals = 0  # attempts that were answered BUSY
        self.answered: tuple[Session, int] | None = None  # by which ack, in which session

    @property
    def tries(self) -> int:
        """Attempts that were not answered BUSY."""
        return len(self.sent_at) - self.refusals

    @property
    def message(self) -> int:
        """The id by which its destination knows it."""
        fragment = self.asked.fragment
        return self.asked.id if fragment is None else fragment.message

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Of the last attempt."""
        return self.attempts[-1].legs if self.attempts else ()

    @property
    def is_traced(self) -> bool:
        """Whether the fate of every copy is known."""
        return all(attempt.is_known for attempt in self.attempts)

    @property
    def is_disjoint(self) -> bool:
        """Whether no two copies of one attempt are known to have shared a relay."""
        return all(attempt.is_disjoint for attempt in self.attempts)

    @property
    def altered(self) -> int:
        """How many copies arrived changed."""
        return sum(attempt.changed for attempt in self.attempts)

    def traced(self) -> Traced:
        """All that will ever be known of the copies."""
        copies = copies_of(self.attempts, is_final=True)
        return Traced(
            id=self.asked.id,
            copies=copies,
            disjoint=self.is_disjoint,
            altered=self.altered,
            frames=self.frames,
            answer=self.answer,
        )

    @property
    def answer(self) -> tuple[Address, int, int] | None:
        """The ack that it settled by, as it is named on the wire."""
        if self.answered is None:
            return None
        session, counter = self.answered
        return session.peer.address, session.index, counter

    def attempt_of(self, frame: Frame, session: Session) -> int:
        """Which attempt that was, from 1; 0: none, or not in this session."""
        attempt = self.frames.index(frame) + 1 if frame in self.frames else 0
        return attempt if attempt and self.sessions[attempt - 1] is session else 0

    def fate(self, reason: Reason | None, attempts: int, hops: int = 0, round_trip: float = 0.0) -> Settled:
        """How it ended."""
        session = self.session
        return Settled(
            id=self.asked.id,
            status=Status.DELIVERED if reason is None else Status.FAILED,
            reason=reason,
            attempts=attempts,
            hops=hops,
            round_trip_s=round_trip,
            trust=None if session is None else session.trust,
            peer_id="" if session is None else session.peer_id,
            altered=self.altered,
            conflict=reason is Reason.CONFLICT or (session is not None and session.conflict),
            copies=copies_of(self.attempts, is_final=reason is not None),
            disjoint=self.is_disjoint,
            frames=self.frames,
            answer=self.answer,
        )


class Ended(NamedTuple):
    """A message that others of its sender hang on has settled: a fragment, or an ordered one. ``boot`` is that of the life of
    ``asked.place`` that it went to; ``is_whole``: all of it is in the mailbox there."""

    asked: SendMessage
    fate: Settled
    boot: int | None
    is_whole: bool


def failure(id: int, reason: Reason) -> Settled:
    """One that never left."""
    return Settled(id=id, status=Status.FAILED, reason=reason, attempts=0, hops=0, round_trip_s=0.0)


def settled(fate: Settled) -> list[RouterOutput]:
    """The fate of a message, for its sender and for whoever watches."""
    event = MessageSettled(
        message=fate.id,
        status=fate.status.value,
        reason="" if fate.reason is None else fate.reason.value,
        attempts=fate.attempts,
        hops=fate.hops,
        round_trip_s=fate.round_trip_s,
        trust="" if fate.trust is None else fate.trust.word,
        altered=fate.altered,
        conflict=fate.conflict,
        copies=len(fate.copies),
        disjoint=fate.disjoint,
    )
    return [fate, Tell(event)]
