"""Whose peers are: of the process, the thread and the event loop that bound them. Others are told what to do instead."""

from __future__ import annotations

import asyncio
import os
import sys

from cicada.errors import Misuse

_SPAWNED = (
    "this module is imported again by a process that multiprocessing starts, which would bind the same peer twice: "
    "put what binds it under 'if __name__ == \"__main__\":'"
)


def refuse_when_imported_again() -> None:
    """Raises Misuse while a process that was spawned (or a fork server) imports the main module of its parent."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and getattr(process.current_process(), "_inheriting", False):
        raise Misuse(_SPAWNED)


class Ownership:
    """Of the peers of a loop, in the process that made this."""

    __slots__ = ("_pid", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._pid = os.getpid()

    @property
    def is_foreign(self) -> bool:
        """Whether this is a forked child of the process that has the peers."""
        return os.getpid() != self._pid

    @property
    def is_here(self) -> bool:
        """Whether their loop is the one that runs here."""
        return running_loop() is self.loop

    def check_process(self) -> None:
        """Raises Misuse in a forked child."""
        if self.is_foreign:
            raise Misuse(
                "this peer belongs to the process that forked this one: make a peer of this process's own"
            )

    def check(self) -> None:
        """Raises Misuse in a forked child, and anywhere but on the loop."""
        self.check_process()
        if not self.is_here:
            raise Misuse(
                "this peer belongs to the event loop that bound it, and is used on another loop or thread: "
                "use the sync cicada.SwarmPeer, which any thread may use"
            )


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread; None when there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
