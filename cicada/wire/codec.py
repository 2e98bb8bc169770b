"""Bytes to messages and back. Decoding is total: a message or MalformedMessage, and no side effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from cicada.limits import WIRE
from cicada.wire.decoding import total
from cicada.wire.frames import Hello, Refusal, Welcome
from cicada.wire.ring import RingMessage
from cicada.wire.routed import LodgingMessage, RouterMessage
from cicada.wire.sealed import SealedBody

Message = RingMessage | RouterMessage | LodgingMessage
HandshakeBody = Hello | Welcome | Refusal
H = TypeVar("H", bound=HandshakeBody)

_encoder = msgspec.msgpack.Encoder()


def encode(message: Message | HandshakeBody | SealedBody) -> bytes:
    """The MessagePack bytes of a message: an array of its tag and its fields in order."""
    return _encoder.encode(message)


_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
decode: Final = total(_decoder.decode, WIRE.max_frame, "message")
"""The message that its argument, bytes, encodes. Raises MalformedMessage and nothing else."""

_BODIES: Final[Mapping[type[msgspec.Struct], Callable[[bytes], Any]]] = {
    kind: total(msgspec.msgpack.Decoder(kind).decode, WIRE.max_frame, kind.__name__.lower())
    for kind in (Hello, Welcome, Refusal)
}


def decode_body(raw: bytes, kind: type[H]) -> H:
    """A handshake body. Raises MalformedMessage and nothing else."""
    body: H = _BODIES[kind](raw)
    return body
