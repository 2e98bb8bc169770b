"""A running swarm as the command line sees it: found by its run folder, asked through its launcher's control socket."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from cicada.commands import AnyCommand, AnyReply, Done, Down, GetStatus, Refused, Status
from cicada.control import RemoteRef, SyncRemoteRef
from cicada.errors import CicadaError, DeliveryTimeout, Misuse, Unavailable
from cicada.limits import CLI
from launcher.exits import SwarmLost
from launcher.runfolder import CONFIG_FILE, RunInfo, is_running, processes_at, read_info

R = TypeVar("R")
S = TypeVar("S")


def find_run(folder: Path) -> RunInfo:
    """What the run folder says about its running swarm.

    Raises Unavailable when there is no swarm, SwarmLost when its launcher died without taking it down.
    """
    info = read_info(folder)
    if info is None:
        raise Unavailable(
            f"no swarm in {folder}: start one with `cicada up configs/swarm-20.toml -d`, or name its folder with --run"
        )
    if is_running(folder):
        return info
    if not info.ended:
        raise SwarmLost(
            f"the swarm {info.name} in {folder} is lost: its launcher (pid {info.launcher_pid}) died; {_remains(info)}; "
            f"start it again with {_again(folder)}"
        )
    raise Unavailable(
        f"the swarm {info.name} in {folder} has ended{_how(info)}: start it again with {_again(folder)}"
    )


def _again(folder: Path) -> str:
    return f"`cicada up {folder}/{CONFIG_FILE} -d`"


def _how(info: RunInfo) -> str:
    if info.exit_code is None:
        return ""
    why = f" ({'; '.join(info.verdict)})" if info.verdict else ""
    return f" with exit code {info.exit_code}{why}"


def _remains(info: RunInfo) -> str:
    """What is left of a swarm whose launcher died, in words: the processes that hold its sockets, for as long as they do."""
    pids = processes_at(Path(info.control).parent)
    if not pids:
        return "nothing of it runs, and what it recorded is in its folder"
    named = ", ".join(map(str, pids))
    return f"{len(pids)} of its processes are still ending ({named})"


class SwarmClient:
    """Asks the launcher of the swarm in a run folder; a context manager. Use on one thread, without an event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.info = find_run(folder)
        self._ref: SyncRemoteRef[AnyCommand, AnyReply] = SyncRemoteRef(
            self.info.control, commands=AnyCommand, replies=AnyReply, what="launcher"
        )

    def ask(self, command: AnyCommand, reply: type[R], timeout: float) -> R:
        """The launcher's answer. Raises CicadaError with its words when it refuses, SwarmLost when it dies."""
        try:
            answer = self._ref.ask(command, timeout)
        except Unavailable as error:
            raise self._lost(error) from error
        return _expected(answer, reply)

    def ask_and_watch(
        self,
        command: AnyCommand,
        reply: type[R],
        timeout: float,
        *,
        look: AnyCommand,
        seen: type[S],
        show: Callable[[S], None],
        interrupt: AnyCommand,
    ) -> tuple[R, bool]:
        """As ``ask``; meanwhile the launcher is asked ``look`` again and again, and each answer of class ``seen`` is
        handed to ``show``. The first Ctrl-C asks ``interrupt`` and waits on; the second raises KeyboardInterrupt. Also returns
        whether there was one. On the main thread only.
        """
        try:
            answer, interrupted = asyncio.run(self._watched(command, timeout, look, seen, show, interrupt))
        except Unavailable as error:
            raise self._lost(error) from error
        return _expected(answer, reply), interrupted

    async def _watched(
        self,
        command: AnyCommand,
        timeout: float,
        look: AnyCommand,
        seen: type[S],
        show: Callable[[S], None],
        interrupt: AnyCommand,
    ) -> tuple[AnyReply, bool]:
        ref: RemoteRef[AnyCommand, AnyReply] = RemoteRef(
            self.info.control, commands=AnyCommand, replies=AnyReply, what="launcher"
        )
        async with ref:
            asked = asyncio.create_task(ref.ask(command, timeout))
            with _Interrupt(ref, interrupt, asked) as interrupted:
                try:
                    while not (await asyncio.wait([asked], timeout=CLI.progress))[0]:
                        with contextlib.suppress(
                            DeliveryTimeout, Unavailable
                        ):  # of which ``asked`` hears too
                            answer = await ref.ask(look, CLI.read)
                            if isinstance(answer, seen):
                                show(answer)
                    return await asked, interrupted.happened
                except asyncio.CancelledError:
                    if interrupted.happened:
                        raise KeyboardInterrupt from None
                    raise
                finally:
                    asked.cancel()
                    await asyncio.gather(asked, return_exceptions=True)

    def wait_proven(self, timeout: float) -> Status:
        """The first status whose ring is proven. Raises DeliveryTimeout, saying what is wrong with it."""
        give_up = time.monotonic() + timeout
        while True:
            status = self.ask(GetStatus(), Status, CLI.read)
            if status.ring_proven:
                return status
            if time.monotonic() >= give_up:
                raise DeliveryTimeout(f"the ring is not proven after {timeout:g} s: {status.unproven}")
            time.sleep(CLI.poll)

    def down(self, timeout: float) -> None:
        """End the swarm and wait until its launcher is gone. Raises DeliveryTimeout when it is not."""
        self.ask(Down(), Done, timeout)
        give_up = time.monotonic() + timeout
        while is_running(self._folder):
            if time.monotonic() >= give_up:
                raise DeliveryTimeout(
                    f"the launcher (pid {self.info.launcher_pid}) has not ended within {timeout:g} s: "
                    "kill it, its workers end with it"
                )
            time.sleep(CLI.poll)

    def close(self) -> None:
        """Let go of the connection; the swarm lives on."""
        self._ref.close()

    def _lost(self, error: Unavailable) -> SwarmLost:
        return SwarmLost(f"the swarm {self.info.name} is lost: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Interrupt:
    """While it is entered, the first Ctrl-C asks the launcher something, and the second gives the question up."""

    def __init__(
        self,
        ref: RemoteRef[AnyCommand, AnyReply],
        command: AnyCommand,
        question: asyncio.Task[AnyReply],
    ) -> None:
        self._ref = ref
        self._command = command
        self._question = question
        self._asking: asyncio.Task[AnyReply] | None = None

    @property
    def happened(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._asking is not None

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
        if self._asking is not None:
            self._asking.cancel()

    def _received(self) -> None:
        if self._asking is not None:
            self._question.cancel()
            return
        self._asking = asyncio.get_running_loop().create_task(self._ref.ask(self._command, CLI.read))


def _expected(answer: AnyReply, reply: type[R]) -> R:
    if isinstance(answer, Refused):
        raise Misuse(answer.reason) if answer.misuse else CicadaError(answer.reason)
    if not isinstance(answer, reply):
        raise CicadaError(f"the launcher answered with {type(answer).__name__}: is it another version?")
    return answer
