"""Two programs that talk with each other, and what a test needs to kill and restart them: a peer whose actor is exported, and a
Pykka application that uses it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pykka

from cicada.actors import Child, LastingRef, LoopActor, RemoteCall, Supervisor, SyncLastingRef, export
from cicada.aio import SwarmPeer
from cicada.errors import CicadaError

ROOT: Final = Path(__file__).parent.parent.parent


class Count(msgspec.Struct, frozen=True, tag=True):
    """Answer with Counted, at once."""


class Hold(msgspec.Struct, frozen=True, tag=True):
    """Never answer."""


class Counted(msgspec.Struct, frozen=True, tag=True):
    """How often this life was asked, and what its process holds."""

    pid: int
    times: int
    descriptors: int
    held: int


Command = Count | Hold


class Counter(LoopActor):
    """The actor beside the peer."""

    def __init__(self, peer: SwarmPeer) -> None:
        super().__init__(peer.dispatcher)
        self.times = 0
        self.held = 0

    def on_receive(self, call: RemoteCall) -> None:
        command: Command = call.command
        match command:
            case Count():
                self.times += 1
                call.reply(Counted(os.getpid(), self.times, open_files(), self.held))
            case Hold():
                self.held += 1


class Clerk(pykka.ThreadingActor):
    """One of Pykka's own: asks from its thread, again and again, and says what came of it."""

    use_daemon_thread = True

    def __init__(self, path: str) -> None:
        super().__init__()
        self.ref: SyncLastingRef[Command, Counted] = SyncLastingRef(path, commands=Command, replies=Counted)

    def on_receive(self, message: Literal["go on"]) -> None:
        try:
            say("clerk", self.ref.ask(Count(), timeout=5.0).pid)
        except CicadaError as error:
            say("clerk-failed", f"{type(error).__name__}: {error}")
        self.actor_ref.tell(message)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def say(*words: Any) -> None:
    """In one piece: threads say things at the same time."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def serve(path: str) -> None:
    """A peer with an exported, supervised actor; until it is killed."""
    async with SwarmPeer("127.0.0.1", 0, identity="ephemeral", map_ports=False) as peer:
        family = await peer.supervise(Supervisor(Child("counter", lambda: Counter.start(peer))))
        with export(family.ref("counter"), path, commands=Command, replies=Counted):
            say("ready", os.getpid())
            await asyncio.Event().wait()


async def use(path: str) -> None:
    """Asks without end, several at a time, one of them never answered, and from a thread too."""
    clerk = Clerk.start(path)
    clerk.tell("go on")
    async with LastingRef[Command, Counted](path, commands=Command, replies=Counted) as ref:
        await asyncio.gather(_ask(ref), _ask(ref), _ask(ref), _hold(ref))


async def _ask(ref: LastingRef[Command, Counted]) -> None:
    while True:
        try:
            counted = await ref.ask(Count(), timeout=5.0)
        except CicadaError as error:
            say("failed", f"{type(error).__name__}: {error}")
        else:
            say(
                "counted",
                counted.pid,
                counted.descriptors,
                counted.held,
                open_files(),
                threading.active_count(),
            )


async def _hold(ref: LastingRef[Command, Counted]) -> None:
    while True:
        try:
            await ref.ask(Hold(), timeout=60.0)
        except CicadaError as error:
            say("held", f"{type(error).__name__}: {error}")


class Program:
    """One of them, in a process of its own, and what it says."""

    def __init__(self, role: str, path: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.actors.restarts", role, path],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        self.pid = self._process.pid

    def until(self, *words: str) -> list[str]:
        """The words of the first line from now on that begins with these."""
        for line in self._out:
            said = line.split()
            if tuple(said[: len(words)]) == words:
                return said
        raise AssertionError(f"it ended and never said {words}")

    def kill(self) -> None:
        """As kill -9 does."""
        self._process.kill()
        self._process.wait()
        self._out.close()


if __name__ == "__main__":
    asyncio.run({"serve": serve, "use": use}[sys.argv[1]](sys.argv[2]))
