"""Sessions of simulated peers that nobody can alter unnoticed, without the price of Noise.

The two messages of the plain negotiator get a digest over everything that Noise's prologue and transcript would cover, and
the session's keys follow from what both sides agreed on. Anybody could compute either: an adversary of the simulator alters
bytes and does not forge. What is sealed is sealed by the product's own cipher.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random
from typing import Final

from msgspec.structs import replace

from cicada.ids import Peer
from cicada.keys.io import (
    Answer,
    Answered,
    Complete,
    NegotiatorInput,
    Opening,
    RouterBound,
    SessionKeys,
)
from cicada.keys.plain import PlainNegotiator
from cicada.keys.trust import Trust
from cicada.wire.fields import MAX_INDEX

_DIGEST_BYTES: Final = 16


class SealingNegotiator(PlainNegotiator):
    """Refuses what was altered on its way, as Noise does, and agrees on keys."""

    def __init__(self, own: Peer, boot: int, *, wall_ms: Callable[[], int], rng: Random) -> None:
        super().__init__(own, boot, wall_ms=wall_ms, rng=rng)
        self._own_address = own.address

    def handle(self, input: NegotiatorInput, now: float) -> list[RouterBound]:
        match input:
            case Answer(contact, link):
                intact = self._checked(contact.origin, contact.handshake)
                plain: NegotiatorInput = Answer(replace(contact, handshake=intact or b""), link)
            case Complete():
                intact = self._checked(input.origin, input.handshake)
                plain = replace(input, handshake=intact or b"")
            case _:
                intact, plain = b"", input
        return [] if intact is None else [self._marked(output) for output in super().handle(plain, now)]

    def _keys(self, peer: Peer, boot: int, index: int, remote: int, *, initiated: bool) -> SessionKeys:
        own, other = (self._own_address, index, self._boot), (peer.address, remote, boot)
        return _keyed(super()._keys(peer, boot, index, remote, initiated=initiated), own, other)

    def _marked(self, output: RouterBound) -> RouterBound:
        match output:
            case Opening():
                return replace(output, handshake=self._signed(output.handshake))
            case Answered(reply, keys):
                return Answered(replace(reply, handshake=self._signed(reply.handshake)), keys)
            case _:
                return output

    def _signed(self, handshake: bytes) -> bytes:
        return handshake + _digest(self._own_address, handshake)

    def _checked(self, origin: str, handshake: bytes) -> bytes | None:
        body, digest = handshake[:-_DIGEST_BYTES], handshake[-_DIGEST_BYTES:]
        return body if digest == _digest(origin, body) else None


Side = tuple[str, int, int]
"""Address, index and boot of one end of a session."""


def session_between(
    one: Peer, boot: int, other: Peer, its_boot: int, rng: Random
) -> tuple[SessionKeys, SessionKeys]:
    """A session that ``one`` opened, as both ends have it, without a message having been sent."""
    own, its = (
        (one.address, rng.randint(1, MAX_INDEX), boot),
        (other.address, rng.randint(1, MAX_INDEX), its_boot),
    )
    return _ready(other, own, its, initiated=True), _ready(one, its, own, initiated=False)


def _ready(peer: Peer, own: Side, other: Side, *, initiated: bool) -> SessionKeys:
    keys = SessionKeys(
        peer=peer,
        boot=other[2],
        index=own[1],
        remote_index=other[1],
        initiated=initiated,
        verified=True,
        trust=Trust.PINNED,
    )
    return _keyed(keys, own, other)


def _keyed(keys: SessionKeys, own: Side, other: Side) -> SessionKeys:
    return replace(keys, seal_key=_key(own, other), open_key=_key(other, own))


def _key(sender: Side, receiver: Side) -> bytes:
    return hashlib.blake2b(repr((sender, receiver)).encode(), digest_size=32).digest()


def _digest(origin: str, handshake: bytes) -> bytes:
    return hashlib.blake2b(origin.encode() + b"\0" + handshake, digest_size=_DIGEST_BYTES).digest()
