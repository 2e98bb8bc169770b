"""What peers say to each other about names: questions for a record, records to keep, and the answers to both.

Each message is the payload of a service message, MessagePack as all others. Decoding is total.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cicada.limits import NAMES
from cicada.wire.decoding import total
from cicada.wire.fields import Number

NameField = Annotated[str, Meta(min_length=1, max_length=NAMES.name_bytes)]
"""A name in normal form; whoever asks for another is told that there is none."""

SignedName = Annotated[bytes, Meta(max_length=NAMES.record_bytes)]
"""A signed record of a name, or empty."""


class Verdict(enum.IntEnum):
    """What a replica made of a record that it was told to keep."""

    KEPT = 0  # it is kept, or was already
    TAKEN = 1  # another key holds the name; its record comes with the answer
    STALE = 2  # the same key has signed a higher sequence; that record comes with the answer
    INVALID = 3  # not signed, expired, of another swarm, or from the future
    ELSEWHERE = 4  # the name's place is not this peer's to keep
    FULL = 5  # no room: here, for that key, or for what that sender brings
    BUSY = 6  # too many new names of that key or from that sender; later there is room


class GetName(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """To a replica: which record do you keep of this name?"""

    number: Number
    name: NameField


class NameHeld(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Answer to GetName: the record as its owner signed it, a release as well; empty when there is none."""

    number: Number
    record: SignedName


class PutName(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """To a replica, from the owner or from whoever found it without the record: keep this."""

    number: Number
    record: SignedName


class NameKept(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Answer to PutName. ``record`` is what the replica keeps instead, with TAKEN and STALE; else empty."""

    number: Number
    verdict: Verdict
    record: SignedName = b""


NameMessage = GetName | NameHeld | PutName | NameKept

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[NameMessage]] = msgspec.msgpack.Decoder(NameMessage)


def encode_name_message(message: NameMessage) -> bytes:
    """The bytes of a message."""
    return _encoder.encode(message)


decode_name_message: Final = total(_decoder.decode, NAMES.message_bytes, "name-message")
"""The message that its argument, bytes, encodes. Raises MalformedMessage and nothing else."""
