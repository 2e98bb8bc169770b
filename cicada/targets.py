"""Whom an application means: addresses, names of hosts, places, hidden peers and other SwarmPeers."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Protocol, runtime_checkable

from cicada.actors.mailbox import HostPort
from cicada.errors import Misuse
from cicada.ids import (
    MAX_PORT,
    RING_SIZE,
    Address,
    Peer,
    Place,
    canonical_address,
    is_address,
    is_hidden,
    peer_at,
    split_address,
)


@runtime_checkable
class Addressed(Protocol):
    """Something that has an address of its own: a SwarmPeer."""

    @property
    def address(self) -> Address:
        """By which others reach it."""
        ...


Target = tuple[str, int] | str | Place | int | Addressed
"""``(host, port)``, ``"host:port"``, ``"@peer id"`` of a hidden peer, a place, or a SwarmPeer. What arrives as ``source`` of a
message is one too."""


def place_within(place: int) -> Place:
    """The number as a place. Raises Misuse when it lies outside the ring."""
    if not 0 <= place < RING_SIZE:
        raise Misuse(f"place {place} is outside the ring")
    return Place(place)


def peer_meant(target: tuple[str, int] | str | Addressed) -> Peer | None:
    """The peer, when no name of a host has to be resolved for it. Raises Misuse for what cannot be a target."""
    if isinstance(target, Addressed) and not isinstance(target, tuple):
        return peer_at(target.address)
    host, port = _parts(target)
    if is_hidden(host):
        if not is_address(host):
            raise Misuse(f"{host!r} is no hidden peer: write @ and the 64 digits of its peer id")
        return peer_at(Address(host))
    try:
        return peer_at(canonical_address(host, port))
    except Misuse:
        if not 1 <= port <= MAX_PORT:
            raise
        return None


async def resolved(target: tuple[str, int] | str | Addressed) -> Peer:
    """The peer at an address whose host may be a name. Raises Misuse when there is no such host."""
    peer = peer_meant(target)
    if peer is not None:
        return peer
    host, port = _parts(target)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except UnicodeError:  # of the codec for names: it has no words for people
        raise Misuse(
            f"host {host!r} cannot be resolved: a part of its name is empty or longer than 63 characters"
        ) from None
    except OSError as error:
        raise Misuse(f"host {host!r} cannot be resolved: {error.strerror or error}") from None
    numeric = min(found, key=lambda info: info[0])[4]
    return peer_at(canonical_address(str(numeric[0]), port))


async def place_looked_up(value: Target | bytes) -> Place:
    """The place of an address, of a peer, or of any other text or bytes, which are hashed with SHA-256."""
    if isinstance(value, str) and is_address(value):
        return peer_at(Address(value)).place
    if isinstance(value, bytes | str):
        raw = value.encode() if isinstance(value, str) else value
        return Place(int.from_bytes(hashlib.sha256(raw).digest(), "big"))
    if isinstance(value, int):
        return place_within(value)
    return (await resolved(value)).place


def _parts(target: object) -> tuple[str, int]:
    if isinstance(target, HostPort | tuple) and len(target) == 2:
        host, port = target
        if isinstance(host, str) and isinstance(port, int):
            return host, port
    elif isinstance(target, str):
        return (target, 0) if is_hidden(target) else split_address(target)
    raise Misuse(
        f'{target!r} is no address: use (host, port), "host:port", "@peer id", a place or a SwarmPeer'
    )
