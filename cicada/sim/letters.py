"""Payloads that say which message they are, and the book of what became of each, in two bits of fate a message."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from typing import Final

import msgspec

from cicada.ids import Peer, place_to_bytes

_HEAD: Final = struct.Struct(">Q32s32s")
_DIGEST_BYTES: Final = 16
MIN_PAYLOAD: Final = _HEAD.size + _DIGEST_BYTES


class Letter(msgspec.Struct, frozen=True):
    """What an intact payload says: the how-many-th message it is, and the places it goes from and to."""

    number: int
    origin: bytes
    target: bytes


class Letters:
    """All messages of a run. Their payloads carry a digest with the run's ``seed``, so that what nobody sent is noticed."""

    def __init__(self, seed: int, size: int = MIN_PAYLOAD) -> None:
        self._seed = str(seed).encode()
        self._filler = bytes(max(0, size - MIN_PAYLOAD))
        self.written = 0
        self._delivered = bytearray()
        self._acknowledged = bytearray()
        self._settled = bytearray()
        self.wrong: Counter[str] = Counter()
        """Deliveries that should not have been: ``altered``, ``wrong-peer``, ``wrong-origin`` or ``twice``."""

    def write(self, origin: Peer, target: Peer) -> bytes:
        """The payload of the next message."""
        body = (
            _HEAD.pack(self.written, place_to_bytes(origin.place), place_to_bytes(target.place))
            + self._filler
        )
        self.written += 1
        if len(self._delivered) * 8 < self.written:
            for bits in (self._delivered, self._acknowledged, self._settled):
                bits.append(0)
        return body + self._digest(body)

    def arrived(self, peer: Peer, origin: Peer, payload: bytes) -> None:
        """``peer`` found it in its mailbox, as from ``origin``."""
        letter = self.read(payload)
        if letter is None:
            self.wrong["altered"] += 1
        elif letter.target != place_to_bytes(peer.place):
            self.wrong["wrong-peer"] += 1
        elif letter.origin != place_to_bytes(origin.place):
            self.wrong["wrong-origin"] += 1
        elif _mark(self._delivered, letter.number):
            self.wrong["twice"] += 1

    def settled(self, payload: bytes, *, acknowledged: bool) -> None:
        """The receipt of the message with this payload settled."""
        letter = self.read(payload)
        if letter is not None:
            _mark(self._settled, letter.number)
            if acknowledged:
                _mark(self._acknowledged, letter.number)

    def read(self, payload: bytes) -> Letter | None:
        """What it says; None when nobody wrote it like this."""
        body, digest = payload[:-_DIGEST_BYTES], payload[-_DIGEST_BYTES:]
        if len(payload) < MIN_PAYLOAD or digest != self._digest(body):
            return None
        letter = Letter(*_HEAD.unpack_from(body))
        return letter if letter.number < self.written else None

    @property
    def delivered(self) -> int:
        """Messages that arrived, of those that settled."""
        return _count(self._delivered, self._settled)

    @property
    def lost(self) -> int:
        """Messages that were acknowledged and never arrived."""
        return _count(self._acknowledged) - _count(self._acknowledged, self._delivered)

    def _digest(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, digest_size=_DIGEST_BYTES, key=self._seed).digest()


def _mark(bits: bytearray, number: int) -> bool:
    """Set a bit; whether it was set before."""
    at, bit = number >> 3, 1 << (number & 7)
    was = bool(bits[at] & bit)
    bits[at] |= bit
    return was


def _count(*sets: bytearray) -> int:
    """How many numbers are in all of the sets."""
    both = int.from_bytes(sets[0])
    for other in sets[1:]:
        both &= int.from_bytes(other)
    return both.bit_count()
