"""The keys of a running swarm told to its workers, and the change of its key in phases."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cicada.commands import Done, RotateSwarmKey
from cicada.errors import Unavailable
from cicada.keys.store import read_swarm_key
from cicada.limits import LAUNCHER
from launcher.keys.chain import Keychain
from launcher.pool import WorkerPool
from launcher.protocol import Report, SetKeys

_GREETING = "keys"


class Rotation:
    """Tells workers, and their next lives when they die."""

    def __init__(self, pool: WorkerPool, keychain: Keychain) -> None:
        self._pool = pool
        self._keychain = keychain

    def greet(self) -> None:
        """Every worker that starts from now on hears of the keys before it hosts a peer."""
        self._greet(self._keychain.command())

    async def enter(self, command: RotateSwarmKey) -> Done:
        """Have every worker enter a phase. Raises Unavailable when one could not be told: the phase can be asked for
        again; and what reading the file raises, or Misuse when it is not the phase's turn."""
        key = await asyncio.to_thread(lambda: read_swarm_key(Path(command.file)).key_for(""))
        keys = self._keychain.rotate(command.phase, key)
        self._greet(keys)
        running = {name: keys for name in self._pool.names if self._pool.pid(name)}
        replies = await self._pool.ask_each(running, Report, LAUNCHER.report_grace)
        for worker, reply in replies.items():
            if not isinstance(reply, Report):
                raise Unavailable(f"{worker} was not told: {reply}; ask for this phase again")
        return Done(peers=())

    def _greet(self, keys: SetKeys) -> None:
        for name in self._pool.names:
            self._pool.greet(name, _GREETING, keys)
