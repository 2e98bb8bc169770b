"""What is signed about broadcasts, as hashes: the same bytes for whoever signs and whoever checks."""

from __future__ import annotations

from cicada.keys.memory import digest_of
from cicada.wire.routed import Broadcast


def said(body: Broadcast) -> bytes:
    """The origin's statement: all of the body but ``limit`` and ``hops``. The record is covered by every signature."""
    numbers = b"%d %d %d" % (body.origin_boot, body.message, body.expires_ms)
    return digest_of(body.origin.encode(), numbers, body.payload)


def took(id: bytes, statement: bytes) -> bytes:
    """A receiver's statement: the broadcast that it took, and what its origin stated in it."""
    return digest_of(id, statement)
