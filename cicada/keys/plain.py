"""Sessions without keys, for simulations and measurements: the same two messages, a cipher that changes nothing, and statements
with nobody's signature."""

from __future__ import annotations

from random import Random

from cicada.errors import PeerFault
from cicada.ids import Address, Peer, Place, peer_at, place_to_bytes
from cicada.keys.io import (
    Answer,
    Answered,
    AnswerRecord,
    CheckStatement,
    Complete,
    NegotiatorInput,
    Opening,
    Prepare,
    Refused,
    Reply,
    RouterBound,
    SessionKeys,
    SessionReady,
    SignStatement,
    StatementChecked,
    StatementSigned,
    Vouch,
    Vouched,
)
from cicada.keys.memory import WallClock
from cicada.keys.trust import Trust
from cicada.limits import KEYS, KeyLimits
from cicada.wire.fields import MAX_INDEX
from cicada.wire.routed import Contact, ContactReply, GetRecord, RecordIs
from cicada.wire.sealed import SessionAnswer, SessionOpening, decode_sealed, encode_body


class PlainNegotiator:
    """Agrees on sessions of trust ``unverified``: nobody proves anything, and relays could read and alter all of it.

    ``rng`` gives the indexes. Statements are believed unless they are signed: then this peer is in the wrong swarm.
    """

    def __init__(
        self, own: Peer, boot: int, *, wall_ms: WallClock, rng: Random, limits: KeyLimits = KEYS
    ) -> None:
        self._own = own
        self._boot = boot
        self._wall_ms = wall_ms
        self._rng = rng
        self._limits = limits
        self._indexes: dict[Place, int] = {}
        self._answers: dict[tuple[str, bytes], bytes] = {}

    def handle(self, input: NegotiatorInput, now: float) -> list[RouterBound]:
        """What is to be done about ``input``. It keeps no time."""
        match input:
            case Prepare(place):
                return [self._open(place)]
            case Complete():
                return self._complete(input)
            case Answer(contact):
                return self._answer(contact)
            case AnswerRecord(question):
                return [Reply(self._no_record(question))]
            case SignStatement(ticket):
                return [StatementSigned(ticket, b"", b"")]
            case CheckStatement():
                reason = "signature" if input.signature or input.record else ""
                return [StatementChecked(ticket=input.ticket, reason=reason, wall_ms=self._wall_ms())]
            case Vouch(ticket):
                return [Vouched(ticket, b"")]
            case _:
                return []

    def next_deadline(self) -> float | None:
        """Never: nothing here falls due."""
        return None

    def _open(self, place: Place) -> Opening:
        index = self._indexes.setdefault(place, self._new_index())
        if len(self._indexes) > self._limits.handshakes:
            del self._indexes[next(iter(self._indexes))]
        hello = SessionOpening(record=b"", succession=b"", time_ms=0, boot=self._boot, index=index)
        return Opening(place, b"", encode_body(hello))

    def _complete(self, complete: Complete) -> list[RouterBound]:
        place = complete.place
        index = self._indexes.pop(place, None)
        if index is None:
            return [Refused(place, "unknown-handshake")]
        try:
            answer = decode_sealed(complete.handshake, SessionAnswer)
        except PeerFault as fault:
            return [Refused(place, fault.reason)]
        peer = peer_at(complete.origin)
        return [SessionReady(self._keys(peer, answer.boot, index, answer.index, initiated=True))]

    def _answer(self, contact: Contact) -> list[RouterBound]:
        origin, handshake = contact.origin, contact.handshake
        try:
            hello = decode_sealed(handshake, SessionOpening)
        except PeerFault:
            return []
        peer = peer_at(Address(origin))
        known = self._answers.get((origin, handshake))
        if known is not None:
            return [Answered(self._reply(peer, contact, known), None)]
        index = self._new_index()
        answer = encode_body(SessionAnswer(record=b"", succession=b"", boot=self._boot, index=index))
        self._answers[origin, handshake] = answer
        if len(self._answers) > self._limits.answers:
            del self._answers[next(iter(self._answers))]
        keys = self._keys(peer, hello.boot, index, hello.index, initiated=False)
        return [Answered(self._reply(peer, contact, answer), keys)]

    def _reply(self, peer: Peer, contact: Contact, handshake: bytes) -> ContactReply:
        return ContactReply(
            target=place_to_bytes(peer.place),
            origin=self._own.address,
            hops=0,
            way=contact.way,
            request=contact.request,
            handshake=handshake,
        )

    def _no_record(self, question: GetRecord) -> RecordIs:
        return RecordIs(
            target=place_to_bytes(peer_at(Address(question.origin)).place),
            origin=self._own.address,
            hops=0,
            way=question.way,
            request=question.request,
            about=question.about,
            record=b"",
            succession=b"",
        )

    def _keys(self, peer: Peer, boot: int, index: int, remote: int, *, initiated: bool) -> SessionKeys:
        return SessionKeys(
            peer=peer,
            boot=boot,
            index=index,
            remote_index=remote,
            initiated=initiated,
            verified=initiated,
            trust=Trust.UNVERIFIED,
        )

    def _new_index(self) -> int:
        return self._rng.randint(1, MAX_INDEX)
