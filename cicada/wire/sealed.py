"""What is said inside a session, and inside the two messages that open it. Relays see none of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from cicada.limits import WIRE
from cicada.wire.decoding import total
from cicada.wire.fields import (
    Digest,
    Homes,
    Hops,
    Index,
    Number,
    Parts,
    Payload,
    RecordBytes,
    ServiceNumber,
    Small,
    Succession,
    Verdict,
    check_addresses,
)


class DataBody(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Inside Data. ``(origin's key, origin_boot, message)`` identifies the message for ever; ``boot`` names the
    destination's life: another life refuses it rather than risk a second delivery. ``copies`` left in this attempt.

    A message in ``parts`` fragments comes in as many of these, each with ``part``, from 0, of the payload: all but the last
    are of the greatest size. Ordered messages name in ``after`` the one before them whose fate is open, 0 when there is none;
    others have no ``after``. ``homes``: where the sender lodges, if nobody can dial it. ``service``: for whom at the destination
    it is; 0 is the application.
    """

    origin_boot: Number
    message: Number
    boot: Number
    copies: Small = 1
    payload: Payload
    part: Small = 0
    parts: Parts = 1
    after: Number | None = None
    homes: Homes = ()
    service: ServiceNumber = 0

    def __post_init__(self) -> None:
        if self.homes:
            check_addresses(*self.homes)
        if self.parts == 1 and not self.part and self.after is None:
            return
        if self.part >= self.parts:
            raise ValueError(f"part {self.part} of {self.parts}")
        if self.part < self.parts - 1 and len(self.payload) != WIRE.max_payload:
            raise ValueError("a fragment is too small")
        if self.parts > 1 and not self.payload:
            raise ValueError("a fragment is empty")
        if self.after is not None and self.after >= self.message:
            raise ValueError("a message is after itself or a later one")


class AckBody(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Inside DataAck. ``counter`` is that of the Data, ``digest`` hashes the payload it had, ``status`` says what became of
    it, ``data_hops`` is the number of links it crossed. Of a Data that could not be opened ``message`` is 0.

    The next say what arrived of the attempt so far. ``intact``, ``altered`` and ``strayed`` have a bit for each copy, from
    copy 0 at 1; ``unattributed`` counts those that arrived, intact or not, without a tag that proves which they were.

    ``credit``: so many messages more of that size the mailbox would take from the sender, beyond all that had reached it. It
    counts where the message was taken; with 0 the sender holds back until it is told otherwise. The word that there is room
    again is about no Data: ``message`` and ``counter`` are 0.

    ``homes``: where who says it lodges, if nobody can dial it."""

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
    credit: Small = 0
    homes: Homes = ()

    def __post_init__(self) -> None:
        if self.homes:
            check_addresses(*self.homes)


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

_DECODERS: Final[Mapping[type[msgspec.Struct], Callable[[bytes], Any]]] = {
    kind: total(msgspec.msgpack.Decoder(kind).decode, WIRE.max_sealed, kind.__name__)
    for kind in (DataBody, AckBody, SessionOpening, SessionAnswer)
}


def decode_sealed(raw: bytes, kind: type[B]) -> B:
    """The body that ``raw``, once opened, encodes. Raises MalformedMessage and nothing else."""
    body: B = _DECODERS[kind](raw)
    return body
