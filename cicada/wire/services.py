"""What services of peers say to each other, as the payload of messages that name the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum, unique
from typing import Annotated, Any, Final, TypeVar

import msgspec

from cicada.limits import WIRE
from cicada.wire.decoding import total
from cicada.wire.fields import Number


@unique
class Service(IntEnum):
    """Whom at its destination a message is for."""

    APPLICATION = 0  # what the application sends: to the mailbox
    REQUEST = 1  # the application too, which is to reply
    REPLY = 2
    CHANNEL = 3
    NAME = 4
    ACTOR = 5


MAILBOX: Final = frozenset({Service.APPLICATION, Service.REQUEST})
"""What goes into the application's mailbox, and waits for room there. All else is taken or refused at once."""

ENVELOPE: Final = 16
"""The bytes that a Request or a Reply has beside its data, at most."""

Data = Annotated[bytes, msgspec.Meta(max_length=WIRE.max_message - ENVELOPE)]


class Request(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Reply to this. ``number`` is what the reply names; it is unique per life of who asks."""

    number: Number
    data: Data


class Reply(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """The answer to the Request of that ``number``."""

    number: Number
    data: Data


encode_service = msgspec.msgpack.Encoder().encode
"""The MessagePack bytes of a service's message: an array of its tag, if it has one, and its fields in order."""

S = TypeVar("S", Request, Reply)

_DECODERS: Final[Mapping[type[msgspec.Struct], Callable[[bytes], Any]]] = {
    kind: total(msgspec.msgpack.Decoder(kind).decode, WIRE.max_message, kind.__name__.lower())
    for kind in (Request, Reply)
}


def decode_service(raw: bytes, kind: type[S]) -> S:
    """The message of a service that ``raw`` encodes. Raises MalformedMessage and nothing else."""
    message: S = _DECODERS[kind](raw)
    return message
