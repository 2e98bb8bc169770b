"""Successions: an old key's signed word that a new one takes its place, so that pins may follow.

Bytes: signature (64), then one MessagePack array of the old and the new Ed25519 key. The signature covers
``cicada-succession-1`` and that array.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cicada.errors import PeerFault
from cicada.keys.identity import PUBLIC_BYTES, SIGNATURE_BYTES, Identity, verify
from cicada.limits import KEYS
from cicada.wire.decoding import UNDECODABLE

_DOMAIN: Final = b"cicada-succession-1"
_Key = Annotated[bytes, Meta(min_length=PUBLIC_BYTES, max_length=PUBLIC_BYTES)]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[_Key, _Key])


def sign_succession(old: Identity, new: bytes) -> bytes:
    """``old`` says that the signing key ``new`` takes its place."""
    body = _encoder.encode((old.signing_public, new))
    return old.sign(_DOMAIN + body) + body


def read_succession(raw: bytes) -> tuple[bytes, bytes]:
    """The old and the new signing key. Raises PeerFault ``succession``."""
    body = raw[SIGNATURE_BYTES:]
    try:
        if len(raw) > KEYS.succession_bytes:
            raise PeerFault("succession")
        old, new = _decoder.decode(body)
        verify(old, _DOMAIN + body, raw[:SIGNATURE_BYTES])
    except (*UNDECODABLE, PeerFault):
        raise PeerFault("succession") from None
    return old, new
