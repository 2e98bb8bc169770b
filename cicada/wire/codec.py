"""Bytes to messages and back. Decoding is total: a message or MalformedMessage, and no side effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from cicada.errors import MalformedMessage
from cicada.limits import WIRE
from cicada.wire.frames import Hello, Refusal, Welcome
from cicada.wire.ring import RingMessage
from cicada.wire.routed import LodgingMessage, RouterMessage
from cicada.wire.sealed import SealedBody

Message = RingMessage | RouterMessage | LodgingMessage
HandshakeBody = Hello | Welcome | Refusal
H = TypeVar("H", bound=HandshakeBody | SealedBody)

_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes], Message] = msgspec.msgpack.Decoder(Message).decode
_LONGEST = WIRE.max_frame


def encode(message: Message | HandshakeBody | SealedBody) -> bytes:
    """The MessagePack bytes of a message: an array of its tag and its fields in order."""
    return _encoder.encode(message)


def decode(raw: bytes) -> Message:
    """The message that ``raw`` encodes. Raises MalformedMessage and nothing else."""
    if len(raw) > _LONGEST:
        raise MalformedMessage("message-size")
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"message: {str(error)[:200]}") from None


def decode_body(raw: bytes, kind: type[H]) -> H:
    """A handshake body. Raises MalformedMessage and nothing else."""
    if len(raw) > WIRE.max_frame:
        raise MalformedMessage("message-size")
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"{kind.__name__.lower()}: {str(error)[:200]}") from None
