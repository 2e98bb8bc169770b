"""Who said what in a channel: the statement that an origin signs, and whoever signs and checks for the machine."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from cicada.ids import Address, Place
from cicada.keys import statements
from cicada.keys.io import CheckStatement, Purpose, SignStatement, StatementChecked
from cicada.keys.memory import Memory, WallClock, digest_of
from cicada.wire.channels import Post
from cicada.wire.fields import DIGEST_BYTES

_PLACE_DOMAIN: Final = b"cicada-channel-place-1\0"


def place_of_channel(name: str) -> Place:
    """Whoever owns this place is the root of the channel's tree: SHA-256 of the name, behind a prefix of its own so that no
    peer's address has the same place."""
    return Place(int.from_bytes(hashlib.sha256(_PLACE_DOMAIN + name.encode()).digest(), "big"))


def said(post: Post) -> bytes:
    """The hash that the origin signs: all of a Post but ``age_ms``. The record is covered by every signature."""
    numbers = b"%d %d %d %d" % (post.boot, post.number, post.expires_ms, post.quiet_ms)
    return digest_of(post.channel.encode(), post.origin.encode(), numbers, post.payload)


def life_of(post: Post, peer_id: str) -> bytes:
    """Names one membership of one key; where nobody signs, of one address."""
    text = f"{peer_id or post.origin} {post.boot}"
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


class Signing(Protocol):
    """Signs and checks, at once: some 25 and 45 us. Checking pins nobody. ``peer_id``: whose key signs; empty: nobody's."""

    peer_id: str

    def sign(self, digest: bytes) -> tuple[bytes, bytes]:
        """This peer's record, and its signature."""
        ...

    def check(self, digest: bytes, origin: Address, record: bytes, signature: bytes) -> StatementChecked:
        """Whether the peer at ``origin`` signed it; ``reason`` as in ``cicada.keys.statements``."""
        ...

    def wall_ms(self) -> int:
        """This peer's wall clock, in milliseconds since 1970."""
        ...


class KeySigning:
    """Signs with the keys of one peer's memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.peer_id = memory.identity.peer_id

    def sign(self, digest: bytes) -> tuple[bytes, bytes]:
        signed = statements.sign(self._memory, SignStatement(0, Purpose.CHANNEL, digest))
        return signed.record, signed.signature

    def check(self, digest: bytes, origin: Address, record: bytes, signature: bytes) -> StatementChecked:
        question = CheckStatement(
            ticket=0,
            purpose=Purpose.CHANNEL,
            digest=digest,
            origin=origin,
            record=record,
            signature=signature,
        )
        return statements.check(self._memory, question)

    def wall_ms(self) -> int:
        return self._memory.wall_ms()


class PlainSigning:
    """Between peers that do not encrypt: everybody is believed who does not sign."""

    def __init__(self, wall_ms: WallClock) -> None:
        self.wall_ms = wall_ms
        self.peer_id = ""

    def sign(self, digest: bytes) -> tuple[bytes, bytes]:
        return b"", b""

    def check(self, digest: bytes, origin: Address, record: bytes, signature: bytes) -> StatementChecked:
        reason = "signature" if signature or record else ""
        return StatementChecked(ticket=0, reason=reason, wall_ms=self.wall_ms())
