"""What the machines of services and whoever pumps them say to each other: requests of a service out, what became of them in."""

from __future__ import annotations

import msgspec

from cicada.ids import Peer, Place


class Send(msgspec.Struct, frozen=True):
    """Output: send a service message to a peer. Answered by Sent, unless ``number`` is 0: then nobody waits."""

    number: int
    peer: Peer
    message: msgspec.Struct


class Sent(msgspec.Struct, frozen=True):
    """Input: what became of a Send."""

    number: int
    delivered: bool


class Received(msgspec.Struct, frozen=True):
    """Input: a service message from a peer. ``peer_id`` is proven by its session, empty without encryption."""

    peer: Peer
    peer_id: str
    message: msgspec.Struct


class Find(msgspec.Struct, frozen=True):
    """Output: who owns a place, and who follows him, ``count`` peers together? Answered by FoundOwner."""

    number: int
    place: Place
    count: int


class FoundOwner(msgspec.Struct, frozen=True):
    """Input: the owner of a place and the peers after him, clockwise; none when the lookup failed."""

    number: int
    owners: tuple[Peer, ...]


class TimerFired(msgspec.Struct, frozen=True):
    """Input: the deadline that ``next_deadline`` named has come. One that comes early does no harm."""
