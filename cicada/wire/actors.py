"""What peers say to each other about actors that one of them exports to the swarm: the payload of messages for Service.ACTOR.

Commands and replies of the application travel inside as ``body``, encoded by their own closed families. Nothing here stops an
actor.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from cicada.limits import ACTORS, WIRE
from cicada.wire.decoding import total
from cicada.wire.fields import Number

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=ACTORS.max_name)]
"""What an actor is exported as."""

ENVELOPE: Final = 4 * ACTORS.max_name + 64
"""The bytes that a message has beside its body, at most: four for each character of a name, and some."""

Body = Annotated[bytes, msgspec.Meta(max_length=WIRE.max_message - ENVELOPE)]

Why = Annotated[str, msgspec.Meta(max_length=ACTORS.max_reason)]
"""A reason, for people."""

Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=ACTORS.longest_ask_ms)]

FailureKind = Literal["refused", "malformed", "full", "ended", "failed"]


class TellActor(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Put the command in the actor's inbox; ActorTook says that it is there."""

    id: Number
    name: Name
    body: Body


class AskActor(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Put the command in the actor's inbox and send its reply; after ``timeout`` nobody waits any more."""

    id: Number
    name: Name
    body: Body
    timeout: Milliseconds


class WatchActor(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Say ActorTook, and ActorEnded when it has; again from time to time, since who says nothing is forgotten."""

    id: Number
    name: Name


class ActorTook(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The tell or watch was carried out, by this ``life`` of what is exported by that name."""

    id: Number
    life: Number


class ActorReplied(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The reply to an ask."""

    id: Number
    body: Body


class ActorFailed(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The request was not carried out: nothing of that name is exported to this peer; malformed; full; ended; failed at it."""

    id: Number
    kind: FailureKind
    reason: Why


class ActorEnded(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """To who watches: the actor has ended, or is exported no more."""

    id: Number
    failed: bool
    reason: Why


ActorRequest = TellActor | AskActor | WatchActor
ActorResponse = ActorTook | ActorReplied | ActorFailed | ActorEnded

_decoder: msgspec.msgpack.Decoder[ActorRequest | ActorResponse] = msgspec.msgpack.Decoder(
    ActorRequest | ActorResponse
)
encode_actor = msgspec.msgpack.Encoder().encode
"""The MessagePack bytes of one of these."""
decode_actor: Final = total(_decoder.decode, WIRE.max_message, "actor message")
"""The message that its argument, bytes, encodes. Raises MalformedMessage and nothing else."""
