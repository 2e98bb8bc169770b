"""Vouchers: a peer's signed word that it passes messages on to a hidden one, over the link that the hidden one keeps with it.

They stand in the hidden peer's record, which it signs: so both sides agreed, and nobody can make himself a relay of another.
Signed bytes: ``cicada-voucher-1`` and one MessagePack array of the swarm's name, the relay's address, the hidden peer's, and
the expiry. Whether the relay lives at its address is not shown: dialling it does.
"""

from __future__ import annotations

from typing import Final

import msgspec

from cicada.errors import PeerFault
from cicada.ids import Address
from cicada.keys.identity import Identity, verify
from cicada.limits import LODGING
from cicada.wire.decoding import UNDECODABLE
from cicada.wire.fields import AddressText, Number, PublicKey, Signature, check_addresses

_DOMAIN: Final = b"cicada-voucher-1"


class Voucher(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The word of the peer at ``relay``, good until ``expires_ms`` (wall clock)."""

    relay: AddressText
    signing_key: PublicKey
    expires_ms: Number
    signature: Signature

    def __post_init__(self) -> None:
        check_addresses(self.relay)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Voucher).decode


def sign_voucher(identity: Identity, relay: Address, swarm: str, lodger: Address, now_ms: int) -> bytes:
    """A voucher of the peer at ``relay`` for ``lodger``, for ``LODGING.voucher_seconds`` from ``now_ms``."""
    expires_ms = now_ms + int(LODGING.voucher_seconds * 1000)
    signature = identity.sign(_signed(swarm, relay, lodger, expires_ms))
    voucher = Voucher(
        relay=relay, signing_key=identity.signing_public, expires_ms=expires_ms, signature=signature
    )
    return _encode(voucher)


def read_voucher(raw: bytes, lodger: Address, swarm: str, now_ms: int) -> Voucher:
    """The voucher in ``raw``. Raises PeerFault: ``voucher-malformed``, ``voucher-expired``, ``voucher-signature``."""
    if len(raw) > LODGING.voucher_bytes:
        raise PeerFault("voucher-malformed")
    try:
        voucher = _decode(raw)
    except UNDECODABLE:
        raise PeerFault("voucher-malformed") from None
    if not now_ms < voucher.expires_ms <= now_ms + int(LODGING.voucher_longest * 1000):
        raise PeerFault("voucher-expired")
    try:
        message = _signed(swarm, Address(voucher.relay), lodger, voucher.expires_ms)
        verify(voucher.signing_key, message, voucher.signature)
    except PeerFault:
        raise PeerFault("voucher-signature") from None
    return voucher


def _signed(swarm: str, relay: Address, lodger: Address, expires_ms: int) -> bytes:
    return _DOMAIN + _encode((swarm, relay, lodger, expires_ms))
