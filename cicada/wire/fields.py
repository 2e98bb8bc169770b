"""Types of message fields. The decoder checks what a type says; ``check_*`` what a type cannot say.

Integers end at 63 bits: every language has them, and no honest value comes near.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from cicada.ids import LONGEST_ADDRESS, LONGEST_NAME, PLACE_BYTES, is_address, is_canonical
from cicada.limits import KEYS, LODGING, WIRE

MAX_INDEX: Final = (1 << 32) - 1
MAX_NUMBER: Final = (1 << 63) - 1
DIGEST_BYTES: Final = 16

Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
"""An id, a counter or a time; 0 is allowed and often means none."""

Small = Annotated[int, Meta(ge=0, le=(1 << 16) - 1)]
"""A version, an attempt, the number of a copy."""

Verdict = Annotated[int, Meta(ge=0, le=255)]
"""What became of a message; the meaning of each value is routing's."""

ServiceNumber = Annotated[int, Meta(ge=0, le=255)]
"""Whom at its destination a message is for: a value of Service, or one that this version does not know."""

MAX_PARTS: Final = WIRE.max_message // WIRE.max_payload

Parts = Annotated[int, Meta(ge=1, le=MAX_PARTS)]
"""How many fragments a message has; 1: it is whole."""

Hops = Annotated[int, Meta(ge=0, le=WIRE.max_path)]
"""How many links were crossed."""

WAY_BYTES: Final = 19
_MAX_COLOURS: Final = WIRE.max_colours
TAG_BYTES: Final = 8

Way = Annotated[bytes, Meta(max_length=WAY_BYTES)]
"""How a copy travels: ``seed(16) attempt(1) k(1) colour(1)`` for a coloured path; empty for the shortest one."""

Tag = Annotated[bytes, Meta(min_length=TAG_BYTES, max_length=TAG_BYTES)]
"""What binds one copy to its counter, attempt and way."""

Index = Annotated[int, Meta(ge=1, le=MAX_INDEX)]
"""The receiver's random 32-bit number for a link; 0 belongs to HELLO."""

Text = Annotated[str, Meta(max_length=WIRE.max_text)]
"""A word for machines or people: a reason, the name of a swarm."""

AddressText = Annotated[str, Meta(max_length=LONGEST_ADDRESS)]
"""A canonical address, which ``check_addresses`` must confirm; empty where the class says so."""

NameText = Annotated[str, Meta(max_length=LONGEST_NAME)]
"""An address or a hidden one, which ``check_names`` must confirm."""

Addresses = Annotated[tuple[AddressText, ...], Meta(max_length=WIRE.max_list)]
"""A list of peers in ring order."""

Homes = Annotated[tuple[AddressText, ...], Meta(max_length=LODGING.relays)]
"""The relays of a hidden peer."""

Path = Annotated[tuple[AddressText, ...], Meta(min_length=1, max_length=WIRE.max_path)]
"""The peers a message passed, the asking peer first."""

PlaceBytes = Annotated[bytes, Meta(min_length=PLACE_BYTES, max_length=PLACE_BYTES)]
"""A place, big-endian."""

HiddenPlace = Annotated[bytes, Meta(max_length=PLACE_BYTES)]
"""The place of a hidden peer, big-endian, or empty."""

Digest = Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
"""A hash: of a payload, or of what names a broadcast."""

Payload = Annotated[bytes, Meta(max_length=WIRE.max_payload)]
"""An application's bytes, or one fragment of them."""

Sealed = Annotated[bytes, Meta(max_length=WIRE.max_sealed)]
"""What a session sealed: only its two ends can open it. Between peers that do not encrypt, the body in clear."""

Selector = Annotated[bytes, Meta(max_length=8)]
"""Names the pre-shared keys that a handshake uses; empty when it uses none."""

RecordBytes = Annotated[bytes, Meta(max_length=KEYS.record_bytes)]
"""A signed record, or empty."""

PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""An Ed25519 or X25519 key."""

VoucherBytes = Annotated[bytes, Meta(max_length=LODGING.voucher_bytes)]
"""A relay's signed word that it passes messages on to a hidden peer, or empty."""

Signature = Annotated[bytes, Meta(max_length=64)]
"""An Ed25519 signature; empty between peers that do not encrypt."""

BroadcastIds = Annotated[tuple[Digest, ...], Meta(max_length=WIRE.max_digest)]
"""Which broadcasts are meant: a hash of each one's origin, boot and number."""

Succession = Annotated[bytes, Meta(max_length=KEYS.succession_bytes)]
"""An old key's signed word that a new one takes its place, or empty."""

Extra = Annotated[bytes, Meta(max_length=WIRE.max_extra)]
"""What upper layers put on a ring message."""


Handshake = Annotated[bytes, Meta(max_length=WIRE.max_handshake)]
"""A message of a Noise handshake, or part of one."""


def check_addresses(*addresses: str) -> None:
    """All must be canonical, so that they can be dialled. Raises ValueError, which the codec turns into MalformedMessage."""
    for address in addresses:
        if not is_canonical(address):
            raise ValueError(f"not a canonical address: {address!r}")


def check_names(*names: str) -> None:
    """All must be addresses, of peers that can be dialled or hidden ones. Raises ValueError."""
    for name in names:
        if not is_address(name):
            raise ValueError(f"not an address: {name!r}")


def check_way(way: bytes) -> None:
    """Must be empty, or name one of ``k`` colours, 16 at most. Raises ValueError."""
    if way and (len(way) != WAY_BYTES or not way[-1] < way[-2] <= _MAX_COLOURS):
        raise ValueError(f"not a way: {way.hex()}")


def check_position(position: int, path: tuple[str, ...]) -> None:
    """Must index an entry of ``path``. Raises ValueError."""
    if position >= len(path):
        raise ValueError(f"position {position} in a path of {len(path)}")
