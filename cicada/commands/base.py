"""What all commands and replies have in common."""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all commands."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all replies."""


class Refused(Reply, frozen=True, kw_only=True, tag=True):
    """The command could not be carried out: what is wrong and what to do. ``misuse``: whoever asked must ask otherwise.
    ``peers``: for whom it was carried out, or may have been, when it failed for some only."""

    reason: str
    misuse: bool = False
    peers: tuple[str, ...] = ()


class Done(Reply, frozen=True, kw_only=True, tag=True):
    """Carried out; ``peers`` names those concerned."""

    peers: tuple[str, ...] = ()
