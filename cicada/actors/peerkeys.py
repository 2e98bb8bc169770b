"""Whose keys a peer has and whom it trusts: what applications say about it, as values."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from cicada.errors import CicadaError, Misuse
from cicada.ids import Address
from cicada.keys.identity import Identity
from cicada.keys.pins import Pin
from cicada.keys.psks import PreShared, Secrets, SwarmKeys
from cicada.keys.store import (
    ENTROPY,
    identity_for,
    identity_path,
    keep_pins,
    load_pins,
    read_hostkeys,
    read_identity,
    read_swarm_key,
    succession_of,
    trust_path,
)
from cicada.keys.trust import TrustStore

_logger = logging.getLogger("cicada.keys")
PERSISTENT = "persistent"
EPHEMERAL = "ephemeral"


Keep = Callable[[Iterable[Pin], Mapping[Address, bytes]], object]


class PeerKeys(msgspec.Struct, frozen=True):
    """The keys of one peer and its pins. ``keep`` writes pins down, with the signing keys that new ones follow, by address;
    None: they last as long as the peer. ``succession``: an older identity's word that this one follows it."""

    identity: Identity
    trust: TrustStore
    keep: Keep | None = None
    succession: bytes = b""


class PinKeeper:
    """Writes pins down off the loop: all that came while the last ones were being written go together."""

    def __init__(self, keep: Keep, run: Callable[[Callable[[], None]], None]) -> None:
        self._keep = keep
        self._run = run
        self._lock = threading.Lock()
        self._waiting: dict[Address, Pin] = {}
        self._succeeds: dict[Address, bytes] = {}
        self._written: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._written.set_result(None)

    def __call__(self, pin: Pin, succeeds: bytes) -> None:
        """Have it written. ``succeeds``: the signing key that it follows, or empty."""
        with self._lock:
            self._waiting[pin.address] = pin
            if succeeds:
                self._succeeds[pin.address] = succeeds
            if not self._written.done():
                return
            self._written = concurrent.futures.Future()
        self._run(self._write)

    def written(self) -> concurrent.futures.Future[None]:
        """Done when everything that came until now was written, or could not be."""
        with self._lock:
            return self._written

    def _write(self) -> None:
        try:
            while taken := self._take():
                try:
                    self._keep(*taken)
                except CicadaError as error:
                    _logger.warning("pins could not be kept: %s", error)
        except BaseException:  # after a defect too the next pin is to be written
            with self._lock:
                self._written.set_result(None)
            raise

    def _take(self) -> tuple[list[Pin], dict[Address, bytes]] | None:
        with self._lock:
            if not self._waiting:
                self._written.set_result(None)
                return None
            taken = list(self._waiting.values()), self._succeeds
            self._waiting, self._succeeds = {}, {}
            return taken


KeySource = Callable[[Address], PeerKeys]
"""The keys of the peer that is bound to an address."""


def key_source(
    asked: Identity | str | os.PathLike[str], trust: TrustStore | None, *, is_lasting: bool
) -> KeySource:
    """Where the keys come from. ``trust``: pins that were given, instead of those kept. ``is_lasting``: the address was
    chosen, so the peer may come back to it."""
    if isinstance(asked, Identity):
        return lambda address: PeerKeys(asked, _given(trust))
    if asked == EPHEMERAL or (asked == PERSISTENT and not is_lasting):
        return lambda address: PeerKeys(Identity.generate(ENTROPY), _given(trust))
    if asked == PERSISTENT:
        return lambda address: _kept(identity_for(address), trust, identity_path(address))
    path = Path(asked)
    return lambda address: _kept(_from_file(path, address), trust, path)


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


def _given(trust: TrustStore | None) -> TrustStore:
    return TrustStore() if trust is None else trust  # an empty one is false, and yet the one that was given


def _kept(identity: Identity, trust: TrustStore | None, path: Path) -> PeerKeys:
    """With the pins that stand beside the identity, unless others were given."""
    succession = succession_of(path, identity)
    if trust is not None:
        return PeerKeys(identity, trust, succession=succession)
    pins = trust_path(path)
    return PeerKeys(identity, TrustStore.load(load_pins(pins)), partial(keep_pins, pins), succession)


def _from_file(path: Path, address: Address) -> Identity:
    stored = read_identity(path)
    if stored.address and stored.address != address:
        raise Misuse(f"{path} is the identity of {stored.address}, not of {address}: give another file")
    return stored.identity
