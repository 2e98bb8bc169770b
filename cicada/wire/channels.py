"""What peers say to each other about channels: one closed family, sent to the service CHANNEL of a peer.

Each channel is a tree of its members, whose root owns the channel's place. Neighbours refresh what they are to each other, and
with it say which messages they have, so that what one lacks is filled in.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cicada.limits import CHANNEL, WIRE
from cicada.wire.decoding import total
from cicada.wire.fields import Digest, NameText, Number, RecordBytes, Signature, Small, check_names

ChannelName = Annotated[str, Meta(min_length=1, max_length=CHANNEL.name)]
"""The name of a channel: printable, in Unicode's form NFC, without blanks."""

Names = Annotated[tuple[NameText, ...], Meta(max_length=CHANNEL.names)]
"""Members, as far as the sender knows. Hearsay: nobody signs it."""

Route = Annotated[tuple[NameText, ...], Meta(max_length=CHANNEL.depth)]
"""Peers from the root of a tree to the sender, both included."""

Referrals = Annotated[tuple[NameText, ...], Meta(max_length=CHANNEL.redirects)]
"""Peers that may be asked instead."""

Published = Annotated[bytes, Meta(max_length=CHANNEL.payload)]
"""What an application published."""

Ordinal = Annotated[int, Meta(ge=1, le=(1 << 53) - 1)]
"""The number of a message in one membership of its origin, from 1."""

Members = Annotated[int, Meta(ge=0, le=CHANNEL.members)]
"""How many members there are in a part of a tree, as far as the sender knows."""


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The messages ``first`` to ``last`` of one membership, which ``life`` names: a hash of the origin's key and ``boot``."""

    life: Digest
    first: Ordinal
    last: Ordinal

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"from {self.first} to {self.last}")


Spans = Annotated[tuple[Span, ...], Meta(max_length=CHANNEL.spans)]
"""Which messages the sender keeps, or wants."""


class ChannelBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What all have: the channel."""

    channel: ChannelName

    def __post_init__(self) -> None:
        check_channel(self.channel)


class Attach(ChannelBase, frozen=True, array_like=True, kw_only=True, tag=1):
    """To who might be the parent, and again and again to the parent: let me be your child. ``is_root``: you own the channel's
    place, as far as I know. ``attempt``: how often the sender was refused all over the tree. ``members``: those of its part of
    the tree, None when they are as it said last; ``count``: how many there are. ``spans``: what it keeps."""

    is_root: bool
    attempt: Small
    count: Members
    members: Names | None
    spans: Spans

    def __post_init__(self) -> None:
        check_channel(self.channel)
        check_names(*(self.members or ()))


class Attached(ChannelBase, frozen=True, array_like=True, kw_only=True, tag=2):
    """To a child: you are. ``path`` leads from the root to the sender, and is empty while it looks for a parent itself.
    ``members`` and ``count``: those of the rest of the tree, as in Attach. ``is_new``: it was none before. ``is_more``: it
    lacks more than was sent now."""

    path: Route
    count: Members
    members: Names | None
    is_new: bool
    is_more: bool

    def __post_init__(self) -> None:
        check_channel(self.channel)
        check_names(*self.path, *(self.members or ()))


class Redirected(ChannelBase, frozen=True, array_like=True, kw_only=True, tag=3):
    """Instead of Attached: I am not, or no longer, your parent; ask these. None: ask the ring again."""

    to: Referrals

    def __post_init__(self) -> None:
        check_channel(self.channel)
        check_names(*self.to)


class Detach(ChannelBase, frozen=True, array_like=True, kw_only=True, tag=4):
    """To a neighbour: we are none any more."""


class Post(ChannelBase, frozen=True, array_like=True, kw_only=True, tag=5):
    """A message of a channel, from neighbour to neighbour. All but ``age_ms`` is signed by the origin, with the swarm's name.
    ``boot`` tells its memberships apart and is the wall-clock millisecond of the joining; ``expires_ms`` is by its wall clock
    too. ``quiet_ms``: how long before this it published the last one, 0 for the first. ``age_ms``: how long peers kept it on its
    way; a hint."""

    origin: NameText
    boot: Number
    number: Ordinal
    expires_ms: Number
    quiet_ms: Number
    payload: Published
    record: RecordBytes
    signature: Signature
    age_ms: Number

    def __post_init__(self) -> None:
        check_channel(self.channel)
        check_names(self.origin)


class Compare(ChannelBase, frozen=True, array_like=True, kw_only=True, tag=6):
    """To a member that is no neighbour: this is what I keep. It sends what is missing there, and wants what it lacks."""

    spans: Spans


class Want(ChannelBase, frozen=True, array_like=True, kw_only=True, tag=7):
    """Asks for the messages in ``spans``, of which the receiver said that it keeps them."""

    spans: Spans


ChannelMessage = Attach | Attached | Redirected | Detach | Post | Compare | Want

_encoder = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[ChannelMessage]] = msgspec.msgpack.Decoder(ChannelMessage)
LONGEST_CHANNEL_MESSAGE: Final = WIRE.max_payload


def encode_channel(message: ChannelMessage) -> bytes:
    """The MessagePack bytes of a message: an array of its tag and its fields in order. At most ``WIRE.max_payload``."""
    return _encoder.encode(message)


decode_channel: Final = total(_decoder.decode, LONGEST_CHANNEL_MESSAGE, "channel")
"""The message that its argument, bytes, encodes. Raises MalformedMessage and nothing else."""


def check_channel(name: str) -> None:
    """Must be printable, normal and without blanks, so that what looks the same mostly is. Raises ValueError."""
    if not name or not name.isprintable() or " " in name or not unicodedata.is_normalized("NFC", name):
        raise ValueError(f"not the name of a channel: {name!r}")
