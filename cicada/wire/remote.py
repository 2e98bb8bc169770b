"""What a RemoteRef and an exported actor say to each other over a local socket: a MessagePack value per ZeroMQ
message.

Commands and replies of the application travel inside as ``body``, encoded by their own closed families.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cicada.errors import Misuse
from cicada.limits import REMOTE

RequestId = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]

FailureKind = Literal["malformed", "full", "ended", "failed"]


class Watch(msgspec.Struct, frozen=True, array_like=True, tag="watch"):
    """Say Taken when you are there. Whoever sent any request hears Ended when the actor ends."""

    id: RequestId


class Tell(msgspec.Struct, frozen=True, array_like=True, tag="tell"):
    """Put the command in the actor's inbox; Taken says that it is there."""

    id: RequestId
    body: msgspec.Raw


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """Put the command in the actor's inbox and answer with its reply; after ``timeout`` nobody waits any more."""

    id: RequestId
    timeout: Seconds
    body: msgspec.Raw


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """Ask the actor to stop; Taken says that it has ended."""

    id: RequestId


Request = Watch | Tell | Ask | Stop


class Taken(msgspec.Struct, frozen=True, array_like=True, tag="taken"):
    """Watch, Tell or Stop was carried out."""

    id: RequestId


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """The actor's reply to an Ask."""

    id: RequestId
    body: msgspec.Raw


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failure"):
    """The request was not carried out: malformed; inbox full; actor ended; actor failed while it worked on it."""

    id: RequestId
    kind: FailureKind
    reason: str


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """To every client: the exported actor has ended, or is exported no more."""

    failed: bool
    reason: str


Response = Taken | Answer | Failure | Ended


def socket_url(path: str) -> str:
    """The ZeroMQ endpoint of a local socket. Raises Misuse when the path does not fit into a socket address."""
    size = len(path.encode(errors="surrogateescape"))
    if not 0 < size <= REMOTE.max_path:
        raise Misuse(
            f"socket path {path!r} has {size} bytes: choose a folder so that it has 1 to {REMOTE.max_path}"
        )
    return f"ipc://{path}"
