"""Whose keys a peer has: what applications say about it, as values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from cicada.errors import Misuse
from cicada.ids import Address
from cicada.keys.identity import Identity
from cicada.keys.psks import PreShared, Secrets, SwarmKeys
from cicada.keys.store import ENTROPY, identity_for, read_hostkeys, read_identity, read_swarm_key

PERSISTENT = "persistent"
EPHEMERAL = "ephemeral"

IdentitySource = Callable[[Address], Identity]
"""The identity of the peer that is bound to an address."""


def identity_source(asked: Identity | str | os.PathLike[str], *, is_lasting: bool) -> IdentitySource:
    """Where the identity comes from. ``is_lasting``: the address was chosen, so the peer may come back to it."""
    if isinstance(asked, Identity):
        return lambda address: asked
    if asked == EPHEMERAL or (asked == PERSISTENT and not is_lasting):
        return lambda address: Identity.generate(ENTROPY)
    if asked == PERSISTENT:
        return identity_for
    return lambda address: _from_file(Path(asked), address)


def secrets_of(
    keys: str | os.PathLike[str] | Iterable[PreShared],
    swarm_keys: str | os.PathLike[str] | SwarmKeys,
    swarm: str,
) -> Secrets:
    """The secrets in these files, or these. Raises ConfigErrors, Misuse or Unavailable; may take a second."""
    shared = read_hostkeys(Path(keys)) if isinstance(keys, str | os.PathLike) else tuple(keys)
    if isinstance(swarm_keys, SwarmKeys):
        return Secrets(swarm_keys, shared)
    key = read_swarm_key(Path(swarm_keys)).key_for(swarm)
    return Secrets(SwarmKeys(key, (key,)), shared)


def _from_file(path: Path, address: Address) -> Identity:
    stored = read_identity(path)
    if stored.address and stored.address != address:
        raise Misuse(f"{path} is the identity of {stored.address}, not of {address}: give another file")
    return stored.identity
