"""What is said inside a session, and inside the two messages that open it. Relays see none of it."""

from __future__ import annotations

from typing import Final, TypeVar, cast

import msgspec

from cicada.errors import MalformedMessage
from cicada.limits import WIRE
from cicada.wire.fields import (
    Digest,
    Hops,
    Index,
    Number,
    Payload,
    RecordBytes,
    Small,
    Succession,
    Verdict,
)


class DataBody(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Inside Data. ``(origin's key, origin_boot, message)`` identifies the message for ever; ``boot`` names the
    destination's life: another life refuses it rather than risk a second delivery. ``copies`` left in this attempt."""

    origin_boot: Number
    message: Number
    boot: Number
    copies: Small = 1
    payload: Payload


class AckBody(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Inside DataAck. ``counter`` is that of the Data, ``digest`` hashes the payload it had, ``status`` says what became of
    it, ``data_hops`` is the number of links it crossed. Of a Data that could not be opened ``message`` is 0.

    The rest says what arrived of the attempt so far. ``intact``, ``altered`` and ``strayed`` have a bit for each copy, from
    copy 0 at 1; ``unattributed`` counts those that arrived, intact or not, without a tag that proves which they were."""

    message: Number
    counter: Number
    status: Verdict
    boot: Number
    digest: Digest
    data_hops: Hops
    intact: Small = 0
    altered: Small = 0
    unattributed: Small = 0
    strayed: Small = 0


class SessionOpening(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Inside message 1: who opens the session, when by its wall clock (milliseconds, rising with each opening), and by which
    index it will know the session."""

    record: RecordBytes
    succession: Succession
    time_ms: Number
    boot: Number
    index: Index


class SessionAnswer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Inside message 2: who answers, in which life, and by which index it will know the session."""

    record: RecordBytes
    succession: Succession
    boot: Number
    index: Index


SealedBody = DataBody | AckBody | SessionOpening | SessionAnswer
B = TypeVar("B", DataBody, AckBody, SessionOpening, SessionAnswer)

encode_body = msgspec.msgpack.Encoder().encode
"""The MessagePack bytes of a body: an array of its fields in order."""

_DECODERS: Final = {
    kind: msgspec.msgpack.Decoder(kind) for kind in (DataBody, AckBody, SessionOpening, SessionAnswer)
}


def decode_sealed(raw: bytes, kind: type[B]) -> B:
    """The body that ``raw``, once opened, encodes. Raises MalformedMessage and nothing else."""
    if len(raw) > WIRE.max_sealed:
        raise MalformedMessage("message-size")
    try:
        return cast(B, _DECODERS[kind].decode(raw))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"{kind.__name__}: {str(error)[:200]}") from None
