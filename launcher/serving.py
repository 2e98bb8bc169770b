"""What a process of the swarm needs to be commanded and recorded: its actor, and a recorder that listens."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TextIO

from cicada.actors.loop import LoopActor, LoopDispatcher
from cicada.actors.remote import RemoteCall
from cicada.bus.publisher import Publisher
from cicada.errors import without_bytes
from cicada.events import PeerStarted, RunStateChanged
from cicada.limits import LAUNCHER

_FORMAT = "%(asctime)s {who} %(levelname)s %(name)s: %(message)s"

_logger = logging.getLogger("cicada.launcher")


class CommandActor(LoopActor):
    """Carries out commands with ``carry_out``, several at a time, and replies to each when it is done.

    Commands take time, and the loop must go on meanwhile; hence a task for each. ``failure`` makes the reply to a
    command that met a defect, or that is one too many.
    """

    def __init__(
        self,
        dispatcher: LoopDispatcher,
        carry_out: Callable[[Any], Awaitable[Any]],
        failure: Callable[[str], Any],
    ) -> None:
        super().__init__(dispatcher)
        self._carry_out = carry_out
        self._failure = failure
        self._tasks: set[asyncio.Task[None]] = set()

    def on_receive(self, message: Any) -> None:
        if not isinstance(message, RemoteCall):
            return
        if len(self._tasks) >= LAUNCHER.commands:
            message.reply(self._failure(f"busy with {len(self._tasks)} commands: try again later"))
            return
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _answer(self, call: RemoteCall) -> None:
        try:
            reply = await self._carry_out(call.command)
        except Exception as error:  # the boundary of the control plane: a defect costs this command only
            _logger.exception("%s met a defect", type(call.command).__name__)
            reply = self._failure(f"defect: {type(error).__name__}: {error}")
        call.reply(reply)


def log_to_stderr(who: str) -> None:
    """Have this process, called ``who``, say on standard error what somebody ought to look at."""
    log_to(sys.stderr, who, logging.WARNING)  # what peers tell in detail goes to their own logs


def log_to(stream: TextIO, who: str, level: int) -> None:
    """Have this process, called ``who``, write records of this level and above to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setLevel(level)
    handler.setFormatter(_Discreet(_FORMAT.format(who=who)))
    logging.basicConfig(handlers=[handler])


class _Discreet(logging.Formatter):
    """Leaves out bytes, which may be what somebody sent."""

    def format(self, record: logging.LogRecord) -> str:
        return without_bytes(super().format(record))


async def recorded(publisher: Publisher) -> None:
    """Wait a moment for the recorder's subscription, so that the very first events are recorded too."""
    for _ in range(round(LAUNCHER.subscription / LAUNCHER.subscription_poll)):
        if publisher.wants(RunStateChanged) and publisher.wants(PeerStarted):
            return
        await asyncio.sleep(LAUNCHER.subscription_poll)
