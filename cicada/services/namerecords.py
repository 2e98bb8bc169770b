"""Records of names: an owner's signed word that a name is its own for a while, and under which address it is reached.

Bytes on the wire are as those of ``cicada.keys.record``: signature (64), then one MessagePack array, the body; the signature
covers ``cicada-name-record-1`` and the body as it was sent. A record proves that one key signed it; that no other key has
a better right to the name is for the replicas to say.

Names are compared in normal form: NFKC, case folded (Unicode's toNFKC_Casefold but for ignorable characters, which are
refused). Letters that look alike stay different names.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cicada.errors import Misuse, PeerFault
from cicada.ids import (
    Address,
    Peer,
    Place,
    hidden_address,
    is_canonical,
    is_hidden,
    peer_at,
    place_from_bytes,
)
from cicada.keys.identity import SIGNATURE_BYTES, Identity, peer_id_of, verify
from cicada.limits import KEYS, NAMES
from cicada.wire.decoding import UNDECODABLE
from cicada.wire.fields import NameText, Number, PublicKey, Text

_DOMAIN: Final = b"cicada-name-record-1"
_PLACE_DOMAIN: Final = b"cicada-name-1"
_REFUSED_CATEGORIES: Final = frozenset("CZ")  # control, format, unassigned, private, surrogates; separators
_ROUNDS: Final = 3
SKEW_MS: Final = int(KEYS.clock_skew * 1000)


class NameRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is signed. Times are wall-clock milliseconds of the owner. ``sequence`` rises with each record that a key signs
    of the name. ``address`` is where the owner is reached by ``send``; empty: it gives the name back."""

    name: Annotated[str, Meta(min_length=1, max_length=NAMES.name_bytes)]
    address: NameText
    signing_key: PublicKey
    sequence: Number
    issued_ms: Number
    expires_ms: Number
    swarm: Text

    @property
    def peer_id(self) -> str:
        """Who signed it, so whose the name is."""
        return peer_id_of(self.signing_key)

    @property
    def peer(self) -> Peer:
        """The owner as the ring names it; its place is a target of ``send``. Only of a record that is no release."""
        return peer_at(Address(self.address))

    @property
    def is_release(self) -> bool:
        """Whether it says that the name is given back."""
        return not self.address


class SignedRecord(msgspec.Struct, frozen=True):
    """A record as it came, and what it says."""

    raw: bytes
    record: NameRecord

    @property
    def age(self) -> tuple[int, bytes]:
        """Of two records of one key and name the greater is the one that counts. The bytes decide between two of one
        sequence, which only a key that contradicts itself signs."""
        return self.record.sequence, self.raw


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(NameRecord)


def normal_name(name: str) -> str:
    """The form of a name under which it is registered and looked up. Raises Misuse when it cannot be a name."""
    try:
        normal = _folded(name) if len(name) <= NAMES.name_bytes else name
        size = len(normal.encode())
    except (UnicodeEncodeError, TypeError):
        raise Misuse(f"{name!r} cannot be a name: use text without lone surrogates") from None
    if not 1 <= size <= NAMES.name_bytes:
        raise Misuse(f"a name has 1 to {NAMES.name_bytes} bytes of UTF-8, this one {size}: choose another")
    for character in normal:
        if unicodedata.category(character)[0] in _REFUSED_CATEGORIES:
            raise Misuse(f"a name has no spaces, control or invisible characters: leave {character!r} out")
    return normal


def place_of_name(name: str) -> Place:
    """The place on the ring of a name in normal form: SHA-256 of ``cicada-name-1`` and its UTF-8."""
    return place_from_bytes(sha256(_PLACE_DOMAIN + name.encode()).digest())


def rank_of(record: NameRecord) -> bytes:
    """Of two keys that claimed a name at the same time, the one with the smaller rank has it. Nothing but name and key goes
    into it, so that all agree who never spoke with each other, and neither clocks nor order of arrival matter."""
    return sha256(_PLACE_DOMAIN + record.signing_key + record.name.encode()).digest()


def sign_name(
    identity: Identity, name: str, address: str, swarm: str, *, sequence: int, now_ms: int, expires_ms: int
) -> SignedRecord:
    """A record of the name in normal form. An empty address makes it a release."""
    record = NameRecord(
        name=name,
        address=address,
        signing_key=identity.signing_public,
        sequence=sequence,
        issued_ms=now_ms,
        expires_ms=expires_ms,
        swarm=swarm,
    )
    body = _encoder.encode(record)
    return SignedRecord(identity.sign(_DOMAIN + body) + body, record)


def read_name(raw: bytes, now_ms: int, swarm: str) -> SignedRecord:
    """The record in ``raw``. Raises PeerFault: ``name-malformed``, ``name-signature``, ``name-expired``, ``name-future``
    (signed by a clock that is wrong), ``name-lease`` (longer than anybody's), ``name-swarm``."""
    if len(raw) > NAMES.record_bytes:
        raise PeerFault("name-malformed")
    record = _verified(raw)
    if record.expires_ms <= now_ms:
        raise PeerFault("name-expired")
    if record.issued_ms > now_ms + SKEW_MS or record.sequence > now_ms + SKEW_MS:
        raise PeerFault("name-future")
    if record.expires_ms - record.issued_ms > NAMES.lease_max * 1000:
        raise PeerFault("name-lease")
    if record.swarm != swarm:
        raise PeerFault("name-swarm")
    return SignedRecord(raw, record)


@lru_cache(KEYS.records_remembered)
def _verified(raw: bytes) -> NameRecord:
    body = raw[SIGNATURE_BYTES:]
    try:
        record = _decoder.decode(body)
    except UNDECODABLE:
        raise PeerFault("name-malformed") from None
    if not (_is_normal(record.name) and _is_own_address(record)):
        raise PeerFault("name-malformed")
    try:
        verify(record.signing_key, _DOMAIN + body, raw[:SIGNATURE_BYTES])
    except PeerFault:
        raise PeerFault("name-signature") from None
    return record


def _is_normal(name: str) -> bool:
    try:
        return normal_name(name) == name
    except Misuse:
        return False


def _is_own_address(record: NameRecord) -> bool:
    if is_hidden(record.address):
        return record.address == hidden_address(record.peer_id)
    return record.is_release or is_canonical(record.address)


def _folded(name: str) -> str:
    """Folding may undo the normal form and the other way round; after two rounds nothing changes for assigned characters."""
    for _ in range(_ROUNDS):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        if folded == name:
            break
        name = folded
    return name
