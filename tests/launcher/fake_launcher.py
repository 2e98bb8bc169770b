"""A launcher that gives prepared replies through a real control socket, for tests of the command line."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from typer.testing import CliRunner, Result

from cicada.actors.loop import LoopDispatcher
from cicada.actors.remote import export
from cicada.commands import AnyCommand, AnyReply, Refused
from launcher.cli import app
from launcher.runfolder import RunFolder, RunInfo, open_run_folder
from launcher.serving import CommandActor

WAIT = 10.0
Answer = Callable[[AnyCommand], AnyReply | Awaitable[AnyReply]]


def info(control: str, *, ended: str = "") -> RunInfo:
    return RunInfo(
        run="run-1",
        name="fake",
        control=control,
        events="",
        launcher_pid=12345,
        started="",
        version="",
        git="",
        python="",
        host="",
        seed=0,
        argv=(),
        ended=ended,
    )


class FakeLauncher:
    """Answers from a thread of its own; ``asked`` lists the commands it got."""

    def __init__(self, folder: RunFolder, control: Path, answer: Answer) -> None:
        self.folder = folder.path
        self.asked: list[AnyCommand] = []
        self._run_folder = folder
        self._control = control
        self._answer = answer
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fake launcher")

    @property
    def control(self) -> str:
        return str(self._control)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(WAIT)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(WAIT)

    def end_run(self) -> None:
        """What the end of a launcher looks like from outside."""
        self._run_folder.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        actor = CommandActor.start(LoopDispatcher(), self._reply, lambda reason: Refused(reason=reason))
        with export(actor, self._control, commands=AnyCommand, replies=AnyReply):
            self._ready.set()
            await self._over.wait()
        actor.stop(block=False)
        await asyncio.sleep(0)

    async def _reply(self, command: AnyCommand) -> AnyReply:
        self.asked.append(command)
        answer = self._answer(command)
        return await answer if isinstance(answer, Awaitable) else answer


@contextmanager
def fake_launcher(run: Path, answer: Answer) -> Iterator[FakeLauncher]:
    """A swarm that seems to run in the folder ``run``, and answers as ``answer`` says."""
    with tempfile.TemporaryDirectory(prefix="cli-") as sockets, open_run_folder("fake", run) as folder:
        control = Path(sockets) / "launcher"
        folder.write_info(msgspec.structs.replace(info(str(control)), run=folder.run))
        folder.events.touch()
        launcher = FakeLauncher(folder, control, answer)
        launcher.start()
        try:
            yield launcher
        finally:
            launcher.stop()


def ask(run: Path, answer: Answer | AnyReply, *arguments: str) -> tuple[Result, list[AnyCommand]]:
    """Run one verb against a launcher that gives this answer; also returns what the launcher was asked."""
    reply: Answer = answer if callable(answer) else lambda _: answer
    with fake_launcher(run, reply) as launcher:
        result = CliRunner().invoke(app, [*arguments, "--run", str(launcher.folder)])
        return result, launcher.asked
