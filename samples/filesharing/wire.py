"""What peers that share files say to each other. Decoding is total: a message or MalformedMessage."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cicada.errors import MalformedMessage
from samples.filesharing.chunks import HASH_BYTES, ChunkList

OFFERS: Final = 256  # files in one answer; with the longest names 90 KiB
NAME_BYTES: Final = 255  # of a file's name, as most file systems have it

Digest = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class Wanted(msgspec.Struct, frozen=True, array_like=True, tag="share.wanted"):
    """To everybody: who has the file, or with None, which files are there? Whoever has any sends Offers to the asker."""

    digest: Digest | None


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """A file that somebody says to have. Only the digest can be checked, and only by fetching it."""

    digest: Digest
    size: Count
    name: Annotated[str, Meta(max_length=NAME_BYTES)]


class Offers(msgspec.Struct, frozen=True, array_like=True, tag="share.offers"):
    """To who asked: what of it the sender has."""

    files: Annotated[tuple[Offer, ...], Meta(max_length=OFFERS)]


class AskList(msgspec.Struct, frozen=True, array_like=True, tag="share.ask-list"):
    """A request for the list of chunks of a file."""

    digest: Digest


class AskChunk(msgspec.Struct, frozen=True, array_like=True, tag="share.ask-chunk"):
    """A request for one chunk of a file."""

    digest: Digest
    index: Count


class ListReply(msgspec.Struct, frozen=True, array_like=True, tag="share.list"):
    """The list that was asked for, with the name that the file has there."""

    chunks: ChunkList
    name: Annotated[str, Meta(max_length=NAME_BYTES)]


class ChunkReply(msgspec.Struct, frozen=True, array_like=True, tag="share.chunk"):
    """The chunk that was asked for."""

    data: bytes


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="share.refused"):
    """What was asked for is not there."""

    reason: Annotated[str, Meta(max_length=64)]


ShareMessage = Wanted | Offers | AskList | AskChunk | ListReply | ChunkReply | Refused

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ShareMessage)


def encode(message: ShareMessage) -> bytes:
    """The MessagePack bytes of a message."""
    return _encoder.encode(message)


def decode(raw: bytes) -> ShareMessage:
    """The message that ``raw`` encodes. Raises MalformedMessage and nothing else."""
    try:
        message: ShareMessage = _decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"file sharing: {str(error)[:200]}") from None
    return message
