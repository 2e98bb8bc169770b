"""Keys for tests: real ones, the same in every run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from cicada.ids import Address, peer_at
from cicada.keys.identity import Identity
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.memory import Memory
from cicada.keys.psks import Secrets

SECRET = bytes(range(32))


def identity_of(name: str) -> Identity:
    """The identity that ``name`` has in all tests."""
    return Identity.derive(SECRET, name)


H = TypeVar("H", bound=LinkHandshakes)


def secured(
    address: Address,
    *,
    identity: Identity | None = None,
    secrets: Secrets | None = None,
    swarm: str = "",
    wall_ms: Callable[[], int] | None = None,
) -> LinkHandshakes:
    """The handshakes of the peer at ``address``, whose identity is the one of that name unless another is given."""
    return secured_as(LinkHandshakes, address, identity, secrets, swarm, wall_ms)


def secured_as(
    kind: type[H],
    address: Address,
    identity: Identity | None = None,
    secrets: Secrets | None = None,
    swarm: str = "",
    wall_ms: Callable[[], int] | None = None,
) -> H:
    """The same of another kind: one that lies."""
    memory = Memory(
        peer_at(address),
        identity or identity_of(address),
        swarm=swarm,
        wall_ms=wall_ms or (lambda: time.time_ns() // 1_000_000),
        secrets=secrets,
    )
    return kind(memory, entropy=random.SystemRandom())
