"""Reading events of whom one does not know: other versions, damaged files, anything. Nothing that is read raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from cicada.bus.topics import kinds
from cicada.events import EVENT_VERSION, Envelope
from cicada.wire.decoding import UNDECODABLE

_KNOWN: Final = frozenset(kinds())
_Bytes = bytes | memoryview | msgspec.Raw


class Unknown(msgspec.Struct, frozen=True):
    """An event of a kind, or of a version, that this version does not know. It says no more than that something happened."""

    kind: str
    version: int
    source: str
    sequence: int = 0
    time_ms: int = 0
    life: int = 0


class Malformed(msgspec.Struct, frozen=True):
    """Something that is no event."""

    reason: str


class _Named(msgspec.Struct):
    event: str


class _Header(msgspec.Struct):
    """What every version of an envelope has."""

    source: str
    event: _Named
    sequence: int = 0
    time_ms: int = 0
    version: int = EVENT_VERSION
    life: int = 0

    def unknown(self, kind: str) -> Unknown:
        """What there is to say of it."""
        return Unknown(kind, self.version, self.source, self.sequence, self.time_ms, self.life)


class EventReader:
    """Reads envelopes in MessagePack, as they travel, or in JSON, as they are recorded."""

    def __init__(self, *, json: bool = False) -> None:
        codec = msgspec.json if json else msgspec.msgpack
        self._decode: Callable[[_Bytes], Envelope] = codec.Decoder(Envelope).decode
        self._header: Callable[[_Bytes], _Header] = codec.Decoder(_Header).decode

    def read(self, raw: _Bytes) -> Envelope | Unknown | Malformed:
        """Whatever it is. Never raises."""
        try:
            envelope = self._decode(raw)
        except UNDECODABLE as error:
            return self._otherwise(raw, error)
        return envelope if envelope.version <= EVENT_VERSION else self._otherwise(raw, ValueError())

    def _otherwise(self, raw: _Bytes, why: Exception) -> Envelope | Unknown | Malformed:
        try:
            header = self._header(raw)
        except UNDECODABLE:
            return Malformed(_in_words(why))
        kind = header.event.event
        if kind in _KNOWN and header.version <= EVENT_VERSION:
            return Malformed(_in_words(why))
        return header.unknown(kind)


def _in_words(error: Exception) -> str:
    return f"not an event: {error}" if str(error) else f"not an event: {type(error).__name__}"
