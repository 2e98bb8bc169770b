"""Records: a peer's signed word that it lives at an address with these keys.

Bytes on the wire: signature (64), then one MessagePack array, the body. The signature covers ``cicada-record-1`` and the
body as it was sent; nobody encodes a body again. Anybody can sign a record for any address, so a record alone proves
nothing about the address: dialling it does. A hidden address is the hash of the key that signs, so there it proves all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cicada.errors import PeerFault
from cicada.ids import Address, hidden_address, is_canonical, is_hidden
from cicada.keys.identity import SIGNATURE_BYTES, Identity, peer_id_of, verify
from cicada.limits import KEYS, LODGING
from cicada.wire.decoding import UNDECODABLE
from cicada.wire.fields import NameText, Number, PublicKey, Text, VoucherBytes

_DOMAIN: Final = b"cicada-record-1"
_Vouchers = Annotated[tuple[VoucherBytes, ...], Meta(max_length=LODGING.relays)]


class Record(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is signed. Times are wall-clock milliseconds. ``sequence`` rises with each record of one signing key; it
    compares with nothing else. ``vouchers`` of a hidden peer are those of its relays."""

    address: NameText
    signing_key: PublicKey
    static_key: PublicKey
    sequence: Number
    expires_ms: Number
    swarm: Text
    vouchers: _Vouchers = ()

    @property
    def peer_id(self) -> str:
        """Who signed it."""
        return peer_id_of(self.signing_key)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def sign_record(
    identity: Identity,
    address: Address,
    swarm: str,
    now_ms: int,
    sequence: int,
    vouchers: tuple[bytes, ...] = (),
) -> bytes:
    """The record of the peer at ``address``, good for ``KEYS.record_seconds`` from ``now_ms``."""
    body = _encoder.encode(
        Record(
            address=address,
            signing_key=identity.signing_public,
            static_key=identity.static.public,
            sequence=sequence,
            expires_ms=now_ms + int(KEYS.record_seconds * 1000),
            swarm=swarm,
            vouchers=vouchers,
        )
    )
    return identity.sign(_DOMAIN + body) + body


def read_record(raw: bytes, now_ms: int, swarm: str) -> Record:
    """The record in ``raw``. Raises PeerFault: ``record-malformed``, ``record-signature``, ``record-expired``,
    ``record-sequence`` (signed in the future, so somebody's clock is wrong), ``record-swarm``."""
    if len(raw) > KEYS.record_bytes:
        raise PeerFault("record-malformed")
    record = _verified(raw)
    if record.expires_ms <= now_ms:
        raise PeerFault("record-expired")
    if record.sequence > now_ms + int(KEYS.clock_skew * 1000):
        raise PeerFault("record-sequence")
    if record.swarm != swarm:
        raise PeerFault("record-swarm")
    return record


@lru_cache(KEYS.records_remembered)
def _verified(raw: bytes) -> Record:
    """The same few records are shown again and again to the peers of one process."""
    body = raw[SIGNATURE_BYTES:]
    try:
        record = _decoder.decode(body)
    except UNDECODABLE:
        raise PeerFault("record-malformed") from None
    if not _is_own_address(record):
        raise PeerFault("record-malformed")
    try:
        verify(record.signing_key, _DOMAIN + body, raw[:SIGNATURE_BYTES])
    except PeerFault:
        raise PeerFault("record-signature") from None
    return record


def _is_own_address(record: Record) -> bool:
    if is_hidden(record.address):
        return record.address == hidden_address(record.peer_id)
    return is_canonical(record.address) and not record.vouchers
