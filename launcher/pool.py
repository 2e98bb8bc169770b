"""The worker processes of a swarm: started, asked, watched and ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import psutil

from cicada.control import RemoteRef
from cicada.errors import CicadaError, Unavailable
from cicada.limits import LAUNCHER
from launcher.process import WorkerProcess, WorkerSpec
from launcher.protocol import AnyWorkerCommand, AnyWorkerReply, Report, Shutdown
from launcher.worker import worker_main

R = TypeVar("R")

WorkerRef = RemoteRef[AnyWorkerCommand, AnyWorkerReply]
_logger = logging.getLogger("cicada.launcher")

OnExit = Callable[[str, int, str], None]
"""Called with a worker's name, process id, and how it ended."""


class Worker:
    """One life of one worker: its process and the way to ask it."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.process = WorkerProcess(spec, worker_main)
        self.pid = self.process.pid
        self.ref: WorkerRef = RemoteRef(
            spec.control, commands=AnyWorkerCommand, replies=AnyWorkerReply, what=spec.name
        )
        self.answers = False
        self.is_held = False
        self.is_told = False
        self._is_stopping = False
        self._asking: set[asyncio.Future[AnyWorkerReply]] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def connect(self) -> None:
        """Wait until it answers. Raises Unavailable when it does not."""
        await self.process.ready(LAUNCHER.worker_ready)
        await self.ref.connect(LAUNCHER.worker_ready)
        self.answers = True

    async def ask(self, command: AnyWorkerCommand, timeout: float) -> AnyWorkerReply:
        """Its reply. Raises as RemoteRef.ask does, and Unavailable while it starts, and when it is frozen, also when that
        comes meanwhile."""
        # A question before there is a socket would fail the connection over which its start is awaited
        if not self.answers:
            raise Unavailable(f"{self.process.spec.name} is starting: try again in a moment")
        if self.is_frozen:
            raise self._frozen()
        question = asyncio.ensure_future(self.ref.ask(command, timeout))
        self._asking.add(question)
        self._quiet.clear()
        try:
            while not (await asyncio.wait([question], timeout=LAUNCHER.frozen_look))[0]:
                if self.process.is_stopped:
                    raise self._frozen()
            return question.result()
        finally:
            question.cancel()
            self._asking.discard(question)
            if not self._asking:
                self._quiet.set()

    def _frozen(self) -> Unavailable:
        name = self.process.spec.name
        return Unavailable(f"{name} is frozen: `cicada fault thaw {name}` has it go on")

    @property
    def is_frozen(self) -> bool:
        """It stands still, or is about to."""
        return self._is_stopping or self.process.is_stopped

    async def freeze(self) -> None:
        """Ask no more, let it answer for a moment, and stop its process."""
        self.is_held = self._is_stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAUNCHER.freeze_quiet):
                await self._quiet.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAUNCHER.freeze_quiet):
                await self._stop()
        self._is_stopping = False

    async def _stop(self) -> None:
        """Until the operating system says that every thread stands still."""
        if self.is_held:
            self.process.stop()
        while self.is_held and self.process.alive and not self.process.is_stopped:
            await asyncio.sleep(LAUNCHER.freeze_poll)

    def thaw(self) -> None:
        """Have its process go on."""
        self.is_held = self._is_stopping = False
        self.process.go_on()


class WorkerPool:
    """All workers by name. Used on one event loop only."""

    def __init__(self, specs: Mapping[str, WorkerSpec], on_exit: OnExit) -> None:
        self._specs = dict(specs)
        self._on_exit = on_exit
        self._workers: dict[str, Worker] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._greetings: dict[str, dict[str, AnyWorkerCommand]] = {}
        self._ended_as_told: set[str] = set()
        self.before_freeze: Callable[[str], Awaitable[None]] | None = None
        """Told, with its name, that a worker is about to stand still."""

    @property
    def names(self) -> tuple[str, ...]:
        """All workers, whether they run or not."""
        return tuple(self._specs)

    def pid(self, name: str) -> int:
        """The process id, 0 when the worker does not run."""
        worker = self._workers.get(name)
        return worker.pid if worker is not None else 0

    def rss_bytes(self, name: str) -> int:
        """Resident memory of the worker, 0 when it does not run."""
        try:
            return int(psutil.Process(self.pid(name)).memory_info().rss) if self.pid(name) else 0
        except psutil.Error:
            return 0

    def cpu_s(self, name: str) -> float:
        """Seconds of processor time that the worker has used, 0 when it does not run."""
        try:
            used = psutil.Process(self.pid(name)).cpu_times() if self.pid(name) else None
        except psutil.Error:
            return 0.0
        return used.user + used.system if used else 0.0

    async def start(self, name: str) -> int:
        """Start the worker and wait until it answers; returns its process id. Raises Unavailable when it does not.

        ``on_exit`` is called once when it ends, for whatever reason, a start that failed included.
        """
        try:
            worker = Worker(self._specs[name])
        except Unavailable as error:
            asyncio.get_running_loop().call_soon(self._on_exit, name, 0, str(error))
            raise
        self._workers[name] = worker
        self._watchers[name] = asyncio.create_task(self._watch(name, worker), name=f"watch {name}")
        try:
            await worker.connect()
        except CicadaError:
            worker.process.kill()
            raise
        await self._say_greetings(name)
        return worker.pid

    def greet(self, name: str, about: str, command: AnyWorkerCommand | None) -> None:
        """From now on every new life of the worker is asked this first, before it hosts a peer (None: no more).

        One greeting for each thing that it is ``about``. The command is one that Report answers.
        """
        greetings = self._greetings.setdefault(name, {})
        greetings.pop(about, None)
        if command is not None:
            greetings[about] = command

    async def ask(self, name: str, command: AnyWorkerCommand, expected: type[R], timeout: float) -> R:
        """The worker's reply. Raises Unavailable when it is gone or frozen, DeliveryTimeout when it is silent."""
        reply = await self._running(name).ask(command, timeout)
        if not isinstance(reply, expected):
            raise Unavailable(f"{name} answered {reply!r}, which is not a {expected.__name__}")
        return reply

    async def ask_each(
        self, commands: Mapping[str, AnyWorkerCommand], expected: type[R], timeout: float
    ) -> dict[str, R | CicadaError]:
        """Ask several workers at the same time; what failed stands in the place of its reply."""
        replies = await asyncio.gather(
            *(self._attempt(name, command, expected, timeout) for name, command in commands.items())
        )
        return dict(zip(commands, replies, strict=True))

    def kill(self, name: str) -> None:
        """Kill the worker's process (SIGKILL), as a fault would. Raises Unavailable when it does not run."""
        worker = self._running(name)
        worker.is_told = True
        worker.process.kill()

    def ended_as_told(self, name: str) -> bool:
        """Whether the worker's last end was by ``kill``. It is so from before ``on_exit`` on."""
        return name in self._ended_as_told

    def answers(self, name: str) -> bool:
        """Whether the worker is up and does not stand still."""
        worker = self._workers.get(name)
        return worker is not None and worker.answers and not worker.is_frozen

    def is_frozen(self, name: str) -> bool:
        """Whether the worker's process stands still, whoever stopped it. Its silence is then no reason for anything."""
        worker = self._workers.get(name)
        return worker is not None and worker.is_frozen

    def is_held(self, name: str) -> bool:
        """Whether ``freeze`` stopped the worker, and nobody thawed it."""
        worker = self._workers.get(name)
        return worker is not None and worker.is_held

    async def freeze(self, name: str) -> None:
        """Stop the worker's process (SIGSTOP), after a moment in which it may finish answering. Raises Unavailable when
        it does not run."""
        if self.before_freeze is not None:
            await self.before_freeze(name)
        await self._running(name).freeze()

    def thaw(self, name: str) -> None:
        """Have the worker's process go on (SIGCONT). Raises Unavailable when it does not run."""
        self._running(name).thaw()

    async def shut_down(self, timeout: float) -> None:
        """End all workers, gracefully within ``timeout`` seconds, then by force. Nothing is left afterwards."""
        running = [name for name in self._workers if name in self._watchers]
        for name in running:
            self.thaw(name)
        if timeout > 0:
            await asyncio.gather(*(self._ask_to_end(name, timeout) for name in running))
        for name in running:
            if name in self._workers:
                self._workers[name].process.kill()
        watchers = list(self._watchers.values())
        if watchers:
            await asyncio.wait(watchers, timeout=LAUNCHER.kill_wait)

    async def _say_greetings(self, name: str) -> None:
        for about, command in list(self._greetings.get(name, {}).items()):
            reply = await self._attempt(name, command, Report, LAUNCHER.report_grace)
            problem = "; ".join(reply.failed.values()) if isinstance(reply, Report) else str(reply)
            if problem:
                _logger.warning("%s came back and could not be told about %s: %s", name, about, problem)

    def _running(self, name: str) -> Worker:
        worker = self._workers.get(name)
        if worker is None:
            raise Unavailable(f"{name} is not running: it is being restarted, or was given up")
        return worker

    async def _ask_to_end(self, name: str, timeout: float) -> None:
        watcher = self._watchers[name]
        await self._attempt(name, Shutdown(), object, timeout)
        await asyncio.wait([watcher], timeout=timeout)

    async def _attempt(
        self, name: str, command: AnyWorkerCommand, expected: type[R], timeout: float
    ) -> R | CicadaError:
        try:
            return await self.ask(name, command, expected, timeout)
        except CicadaError as error:
            return error

    async def _watch(self, name: str, worker: Worker) -> None:
        how = await worker.process.ended()
        if self._workers.get(name) is worker:
            del self._workers[name], self._watchers[name]
        await worker.ref.close()
        worker.process.close()
        (self._ended_as_told.add if worker.is_told else self._ended_as_told.discard)(name)
        self._on_exit(name, worker.pid, how)
