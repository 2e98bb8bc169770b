"""Peers with keys, and a negotiator of each, talking to each other without any network."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from cicada.events import KeyEvent
from cicada.ids import Address, Peer, canonical_address, peer_at, place_to_bytes
from cicada.keys.identity import Identity
from cicada.keys.io import (
    Answer,
    Answered,
    Complete,
    Emit,
    NegotiatorInput,
    NegotiatorOutput,
    Opening,
    Prepare,
    Refused,
    SessionKeys,
    SessionReady,
)
from cicada.keys.memory import Memory
from cicada.keys.negotiator import Negotiator
from cicada.keys.pins import FIRST_USE, USER, Pin
from cicada.keys.psks import PreShared, Secrets
from cicada.keys.record import Record, read_record, sign_record
from cicada.keys.trust import TrustStore
from cicada.limits import KEYS, KeyLimits
from cicada.wire.routed import Contact, ContactReply

WALL = 1_800_000_000_000


def peers(number: int) -> tuple[Peer, ...]:
    """That many, in order of their places."""
    found = [peer_at(canonical_address("127.0.0.1", 21000 + port)) for port in range(number)]
    return tuple(sorted(found, key=lambda peer: peer.place))


LOW, HIGH, THIRD = peers(3)
ALICE, BOB, EVE = (Identity.derive(bytes(32), name) for name in ("alice", "bob", "eve"))


def pin(peer: Peer, identity: Identity, sequence: int = 0) -> Pin:
    return Pin(
        address=peer.address,
        signing_key=identity.signing_public,
        static_key=identity.static.public,
        sequence=sequence,
        by=USER,
    )


def first_used(peer: Peer, identity: Identity, sequence: int = WALL, since: int = WALL) -> Pin:
    """The pin that first use makes."""
    return replace(pin(peer, identity, sequence), by=FIRST_USE, since=since)


def raw_record(identity: Identity, peer: Peer, sequence: int = WALL, swarm: str = "") -> bytes:
    return sign_record(identity, peer.address, swarm, WALL, sequence)


def record(identity: Identity, peer: Peer, sequence: int = WALL) -> Record:
    return read_record(raw_record(identity, peer, sequence), WALL, "")


class Person:
    """A peer with its negotiator, whose time is ``now``."""

    def __init__(
        self,
        peer: Peer,
        identity: Identity,
        *,
        pins: tuple[Pin, ...] = (),
        shared: tuple[PreShared, ...] = (),
        succession: bytes = b"",
        swarm: str = "",
        limits: KeyLimits = KEYS,
    ) -> None:
        self.peer = peer
        self.identity = identity
        self.now = 0.0
        self.wall_ahead = 0
        self.events: list[KeyEvent] = []
        self.memory = Memory(
            peer,
            identity,
            swarm=swarm,
            wall_ms=lambda: WALL + int(self.now * 1000) + self.wall_ahead,
            secrets=Secrets(shared=shared),
            trust=TrustStore.load(pins, limits),
            succession=succession,
            limits=limits,
        )
        self.lives = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """A new negotiator with the memory of the last one."""
        self.lives += 1
        self.negotiator = Negotiator(self.memory, 7, entropy=Random(f"{self.peer} {self.lives}"))

    def do(self, input: NegotiatorInput) -> list[NegotiatorOutput]:
        """What it asks for, but for events, which are kept."""
        outputs = self.negotiator.handle(input, self.now)
        self.events += [output.event for output in outputs if isinstance(output, Emit)]
        return [output for output in outputs if not isinstance(output, Emit)]

    def opening(self, other: Peer) -> Contact:
        """Its message 1 to the other, whose key it has pinned."""
        (opening,) = self.do(Prepare(other.place, other.address))
        assert isinstance(opening, Opening)
        return self.contact(opening, other)

    def contact(self, opening: Opening, other: Peer) -> Contact:
        return Contact(
            target=place_to_bytes(other.place),
            origin=self.peer.address,
            hops=1,
            request=1,
            selector=opening.selector,
            handshake=opening.handshake,
        )

    def answer(self, contact: Contact) -> Answered | None:
        """Its answer to a message 1, if it gives one."""
        for output in self.do(Answer(contact)):
            if isinstance(output, Answered):
                return output
        return None

    def complete(self, reply: ContactReply) -> SessionKeys | Refused | None:
        """What it makes of a message 2."""
        origin = Address(reply.origin)
        for output in self.do(Complete(peer_at(origin).place, origin, reply.handshake)):
            if isinstance(output, SessionReady):
                return output.keys
            if isinstance(output, Refused):
                return output
        return None

    @property
    def refusals(self) -> dict[str, int]:
        """What it refused, by reason."""
        return {key.removeprefix("refused:"): count for key, count in self.negotiator.counts.items()}


def flipped(raw: bytes, bit: int) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(raw)
    changed[bit // 8 % len(raw)] ^= 1 << bit % 8
    return bytes(changed)


def altered(contact: Contact, bit: int) -> Contact:
    return replace(contact, handshake=flipped(contact.handshake, bit))
