"""The two messages of a session's handshake: Noise IK with the key that was found, and with the secrets of both if they share
any. Nothing here decides whom to trust; it makes, reads and checks messages.
"""

from __future__ import annotations

from typing import Final

import msgspec

from cicada.errors import MalformedMessage, PeerFault
from cicada.ids import Address, Peer, place_to_bytes
from cicada.keys.aead import KEY_BYTES
from cicada.keys.identity import Entropy
from cicada.keys.io import SessionKeys
from cicada.keys.memory import Memory
from cicada.keys.noise import Handshake, KeyPair
from cicada.keys.psks import Terms, Use
from cicada.keys.record import Record
from cicada.keys.trust import Trust
from cicada.wire.fields import MAX_INDEX
from cicada.wire.routed import Contact
from cicada.wire.sealed import SessionAnswer, SessionOpening, decode_sealed, encode_body

_PROLOGUE: Final = "cicada session 1"
_encode = msgspec.msgpack.Encoder().encode


class Opened:
    """A handshake that this side began with ``peer``, whose static key it took to be ``static_key``."""

    __slots__ = ("began", "conflict", "handshake", "index", "is_doubted", "is_pinned", "message", "peer", "selector",
                 "static_key", "terms")  # fmt: skip

    def __init__(
        self,
        memory: Memory,
        entropy: Entropy,
        boot: int,
        peer: Peer,
        static_key: bytes,
        *,
        peer_id: str,
        conflict: bool,
        is_pinned: bool,
        now: float,
    ) -> None:
        self.peer = peer
        self.static_key = static_key
        self.conflict = conflict
        self.is_pinned = is_pinned
        self.is_doubted = False
        self.began = now
        self.index = new_index(entropy)
        self.terms = memory.secrets.offer(Use.SESSION, peer.address, peer_id)
        ephemeral = KeyPair.of(entropy.randbytes(KEY_BYTES))
        self.selector = self.terms.selector(ephemeral.public)
        self.handshake = Handshake(
            self.terms.pattern("IK"),
            initiator=True,
            prologue=prologue(memory.swarm, memory.own, peer, self.selector),
            ephemeral=ephemeral,
            static=memory.identity.static,
            remote_static=static_key,
            psks=self.terms.psks,
        )
        payload = SessionOpening(
            record=memory.own_record.raw(),
            succession=memory.succession,
            time_ms=memory.next_ms(),
            boot=boot,
            index=self.index,
        )
        self.message = self.handshake.write(encode_body(payload))

    def complete(self, memory: Memory, message: bytes) -> tuple[SessionAnswer, Record]:
        """Read message 2: what the other side says, and its record, whose keys it proved. Raises PeerFault; ``seal`` when it is
        not authentic, and then the right one may still come."""
        answer = decode_sealed(self.handshake.read(message), SessionAnswer)
        record = memory.read(answer.record, self.peer.address)
        if record.static_key != self.static_key:
            raise PeerFault("record-key")
        memory.secrets.check(self.terms, self.peer.address, record.peer_id)
        return answer, record

    def keys(self, answer: SessionAnswer, peer_id: str, trust: Trust) -> SessionKeys:
        """The session with the peer whose record ``complete`` returned."""
        seal_key, open_key = self.handshake.split()
        return SessionKeys(
            peer=self.peer,
            boot=answer.boot,
            index=self.index,
            remote_index=answer.index,
            initiated=True,
            verified=True,
            trust=Trust.PRE_SHARED if self.terms.shared else trust,
            conflict=self.conflict,
            peer_id=peer_id,
            seal_key=seal_key,
            open_key=open_key,
        )


class Heard:
    """A handshake that another peer began: message 1, read and checked. Raises PeerFault when it cannot be."""

    __slots__ = ("_handshake", "opening", "peer", "record", "terms")

    def __init__(self, memory: Memory, entropy: Entropy, contact: Contact, peer: Peer) -> None:
        self.peer = peer
        ephemeral = contact.handshake[:KEY_BYTES]
        self.terms: Terms = memory.secrets.find(Use.SESSION, contact.selector, ephemeral, peer.address)
        self._handshake = Handshake(
            self.terms.pattern("IK"),
            initiator=False,
            prologue=prologue(memory.swarm, peer, memory.own, contact.selector),
            ephemeral=KeyPair.of(entropy.randbytes(KEY_BYTES)),
            static=memory.identity.static,
            psks=self.terms.psks,
        )
        self.opening = decode_sealed(self._handshake.read(contact.handshake), SessionOpening)
        self.record = memory.read(self.opening.record, peer.address)
        if self.record.static_key != self._handshake.remote_static:
            raise PeerFault("record-key")
        memory.secrets.check(self.terms, peer.address, self.record.peer_id)

    def answer(self, memory: Memory, boot: int, index: int) -> bytes:
        """Message 2."""
        payload = SessionAnswer(
            record=memory.own_record.raw(), succession=memory.succession, boot=boot, index=index
        )
        return self._handshake.write(encode_body(payload))

    def keys(self, index: int, trust: Trust, *, verified: bool) -> SessionKeys:
        """The session, once it was answered."""
        seal_key, open_key = self._handshake.split()
        is_shared = self.terms.shared is not None
        return SessionKeys(
            peer=self.peer,
            boot=self.opening.boot,
            index=index,
            remote_index=self.opening.index,
            initiated=False,
            verified=verified or is_shared,
            trust=Trust.PRE_SHARED if is_shared else trust,
            peer_id=self.record.peer_id,
            seal_key=seal_key,
            open_key=open_key,
        )


def prologue(swarm: str, initiator: Peer, responder: Peer, selector: bytes) -> bytes:
    """What both sides must agree on without saying it: between whom this handshake is, and on which secrets."""
    return _encode((_PROLOGUE, swarm, initiator.address, responder.address, selector))


def new_index(entropy: Entropy) -> int:
    """A random number for a session, never 0."""
    return 1 + int.from_bytes(entropy.randbytes(8), "big") % MAX_INDEX


def reason_of(fault: PeerFault) -> str:
    """One of few words, whatever a stranger sent."""
    return "malformed" if isinstance(fault, MalformedMessage) else fault.reason


def is_for(contact: Contact, own: Peer) -> bool:
    """Whether a Contact is for this peer, and from another."""
    return contact.target == place_to_bytes(own.place) and Address(contact.origin) != own.address
