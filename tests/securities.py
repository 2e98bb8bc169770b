"""Keys for tests: real ones, the same in every run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from cicada.ids import Address
from cicada.keys.identity import Identity
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.psks import Secrets

SECRET = bytes(range(32))


def identity_of(name: str) -> Identity:
    """The identity that ``name`` has in all tests."""
    return Identity.derive(SECRET, name)


def secured(
    address: Address,
    *,
    identity: Identity | None = None,
    secrets: Secrets | None = None,
    swarm: str = "",
    wall_ms: Callable[[], int] | None = None,
) -> LinkHandshakes:
    """The handshakes of the peer at ``address``, whose identity is the one of that name unless another is given."""
    return LinkHandshakes(
        address,
        identity or identity_of(address),
        secrets or Secrets(),
        swarm=swarm,
        entropy=random.SystemRandom(),
        wall_ms=wall_ms or (lambda: time.time_ns() // 1_000_000),
    )
