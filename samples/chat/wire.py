"""What messengers say to each other. Decoding is total: a message or MalformedMessage."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from cicada.errors import MalformedMessage
from samples.chat.limits import TEXT
from samples.chat.text import NAME_PATTERN

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT)]

_LONGEST: Final = 4 * TEXT + 256  # bytes


class Announce(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="chat.here"):
    """In a channel: I am here. ``fresh``: since a moment ago, so others are to say that they are."""

    name: Name
    fresh: bool


class Farewell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="chat.gone"):
    """In a channel: I leave it."""

    name: Name


class Said(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="chat.said"):
    """In a channel: to all in it."""

    name: Name
    text: Text


class Knock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="chat.knock"):
    """To one peer: nothing. Its receipt says whose key is there, before anything private is sent."""


class Whispered(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="chat.private"):
    """To one peer: to it alone."""

    name: Name
    text: Text


InChannel = Announce | Farewell | Said
Direct = Knock | Whispered

_encoder: Final = msgspec.msgpack.Encoder()
_in_channel: Final = msgspec.msgpack.Decoder(InChannel)
_direct: Final = msgspec.msgpack.Decoder(Direct)


def encode(message: InChannel | Direct) -> bytes:
    """The MessagePack bytes of a message."""
    return _encoder.encode(message)


def decode_in_channel(raw: bytes) -> InChannel:
    """What was published in a channel. Raises MalformedMessage and nothing else."""
    message: InChannel = _decoded(_in_channel, raw)
    return message


def decode_direct(raw: bytes) -> Direct:
    """What was sent to this peer. Raises MalformedMessage and nothing else."""
    message: Direct = _decoded(_direct, raw)
    return message


def _decoded(decoder: msgspec.msgpack.Decoder[Any], raw: bytes) -> Any:
    if len(raw) > _LONGEST:
        raise MalformedMessage("messenger: too long")
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"messenger: {str(error)[:200]}") from None
