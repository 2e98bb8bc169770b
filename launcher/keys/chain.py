"""The secrets of a running swarm: whose keys its peers have, the swarm's key and its rotation, keys shared with hosts.

They live in the launcher's memory and are told to workers over their sockets, which only this user can reach; nothing of
them is in a process's arguments, its environment, an event or the run folder.
"""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from cicada.bus.remote import WatchKeys
from cicada.commands import RotationPhase
from cicada.config import Config
from cicada.errors import Misuse
from cicada.keys.identity import SEED_BYTES
from cicada.keys.keytext import SwarmSecret
from cicada.keys.psks import OPEN, PreShared, SwarmKeys
from cicada.keys.store import read_hostkeys, read_swarm_key
from launcher.protocol import SetKeys

_ENTROPY = random.SystemRandom()


class KeyFiles(msgspec.Struct, frozen=True):
    """What the key files of a configuration hold. A passphrase is not stretched yet."""

    swarm: SwarmSecret | None
    shared: tuple[PreShared, ...]
    watch: SwarmSecret | None = None


def read_key_files(config: Config) -> KeyFiles:
    """Read them. Raises ConfigErrors, Misuse or Unavailable, each naming the file."""
    key_file, hosts, watch = config.swarm.key_file, config.peer.keys, config.watch.key_file
    return KeyFiles(
        swarm=None if key_file is None else read_swarm_key(Path(key_file)),
        shared=() if hosts is None else read_hostkeys(Path(hosts)),
        watch=None if watch is None else read_swarm_key(Path(watch)),
    )


class Keychain:
    """What workers are told about keys, now and in their next lives."""

    def __init__(self, config: Config, files: KeyFiles) -> None:
        """May take a second, to stretch a passphrase."""
        key = b"" if files.swarm is None else files.swarm.key_for("")
        self._swarm = SwarmKeys(key, (key,)) if key else OPEN
        self._shared = files.shared
        self.watch = None if files.watch is None else WatchKeys(files.watch.key_for("watch"))
        """Of those who watch from elsewhere."""
        self._encrypt = config.links.encrypt
        self._persistent = config.peer.identity == "persistent"
        self._secret = _ENTROPY.randbytes(SEED_BYTES)
        self._next = b""

    @property
    def is_encrypted(self) -> bool:
        """Whether links are encrypted."""
        return self._encrypt

    def command(self) -> SetKeys:
        """What every worker is to be told."""
        return SetKeys(
            identities=b"" if self._persistent else self._secret,
            dial=self._swarm.dial,
            accept=self._swarm.accept,
            shared=self._shared,
            encrypt=self._encrypt,
        )

    def rotate(self, phase: RotationPhase, key: bytes) -> SetKeys:
        """Enter a phase of the change to ``key``. Raises Misuse when it is not its turn.

        A leaked key gets no window: ``now`` is the last phase at once.
        """
        if not self._encrypt:
            raise Misuse("links are not encrypted: there is no key to rotate")
        current = self._swarm
        if phase is RotationPhase.ACCEPT:
            self._swarm = SwarmKeys(current.dial, tuple(dict.fromkeys((*current.accept, key))))
        elif phase is RotationPhase.DIAL and key in current.accept:
            self._swarm = SwarmKeys(key, current.accept)
        elif phase is RotationPhase.NOW or (phase is RotationPhase.FINISH and key == current.dial):
            self._swarm = SwarmKeys(key, (key,))
        else:
            before = "accept" if phase is RotationPhase.DIAL else "dial"
            raise Misuse(f"phase {phase.value!r} of this key comes after {before!r}")
        return self.command()
