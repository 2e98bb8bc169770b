"""The window's line to the swarm's launcher: a thread, so that no answer is ever waited for while a picture is due."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque

from cicada.commands import Add, AnyCommand, AnyReply, Join, Kill, Partition, Restart, Stop
from cicada.control import RemoteRef
from cicada.errors import CicadaError, Unavailable
from visualizer.controls.actions import Ask
from visualizer.limits import COMMANDER
from visualizer.outcomes import Outcome

_CHANGES = Join | Kill | Restart | Stop | Add | Partition


class Commander:
    """Asks the launcher at a control socket. With none (``control`` empty) nobody can be asked, and it has no thread.

    Commands are asked side by side and their outcomes come as they are answered. Used by the window's thread alone.
    """

    def __init__(self, control: str) -> None:
        self._control = control
        self._asked: queue.Queue[Ask | None] = queue.Queue(COMMANDER.waiting + 1)
        self._answered: deque[Outcome] = deque()  # no more than are waited for
        self._refused: list[Outcome] = []
        self._waiting = 0
        self._thread: threading.Thread | None = None
        if control:
            self._thread = threading.Thread(target=self._run, args=(control,), name="commander", daemon=True)
            self._thread.start()

    @property
    def can_ask(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._control)

    @property
    def waiting(self) -> int:
        """Commands that are not answered yet."""
        return self._waiting

    def ask(self, asked: Ask) -> None:
        """Have it asked; never waits. What cannot be asked has an outcome too."""
        if not self._control:
            self._refuse(asked, "there is no swarm to ask here: it is a recording, or it is only watched")
        elif self._waiting >= COMMANDER.waiting:
            self._refuse(asked, f"{self._waiting} commands are not answered yet: wait for those")
        else:
            self._waiting += 1
            self._asked.put_nowait(asked)

    def take(self) -> list[Outcome]:
        """What was answered since the last call; never waits."""
        taken, self._refused = self._refused, []
        while self._answered:
            taken.append(self._answered.popleft())
            self._waiting -= 1
        return taken

    def close(self) -> None:
        """End the thread; what is not answered yet is given up. Idempotent."""
        thread, self._thread = self._thread, None
        self._control = ""
        if thread is not None:
            self._asked.put_nowait(None)
            thread.join(COMMANDER.close)

    def _refuse(self, asked: Ask, why: str) -> None:
        if len(self._refused) < COMMANDER.outcomes:
            self._refused.append(Outcome(asked.command, asked.title, None, why))

    def _run(self, control: str) -> None:
        asyncio.run(self._serve(_Launcher(control)))

    async def _serve(self, launcher: _Launcher) -> None:
        asking: set[asyncio.Task[None]] = set()
        try:
            while (asked := await asyncio.to_thread(self._asked.get)) is not None:
                task = asyncio.create_task(self._ask_one(launcher, asked))
                asking.add(task)
                task.add_done_callback(asking.discard)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            await launcher.close()

    async def _ask_one(self, launcher: _Launcher, asked: Ask) -> None:
        reply: AnyReply | None = None
        problem = ""
        try:
            reply = await launcher.ask(asked.command)
        except CicadaError as error:
            problem = str(error)
        self._answered.append(Outcome(asked.command, asked.title, reply, problem))


class _Launcher:
    """Whoever answers at the control socket: a launcher that was started anew is found again."""

    def __init__(self, control: str) -> None:
        self._control = control
        self._ref: RemoteRef[AnyCommand, AnyReply] | None = None

    async def ask(self, command: AnyCommand) -> AnyReply:
        """The launcher's reply. Raises CicadaError when there is none."""
        if self._ref is None:
            self._ref = RemoteRef(self._control, commands=AnyCommand, replies=AnyReply, what="launcher")
        ref = self._ref
        try:
            return await ref.ask(command, _patience(command))
        except Unavailable:
            if ref is self._ref:
                self._ref = None
            await ref.close()
            raise

    async def close(self) -> None:
        """Let go of the connection."""
        if self._ref is not None:
            await self._ref.close()


def _patience(command: AnyCommand) -> float:
    return COMMANDER.change if isinstance(command, _CHANGES) else COMMANDER.read
