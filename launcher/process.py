"""Worker processes: how they start, how their end is noticed, and why none is ever left behind.

They are forked from a server that has everything imported already, so one starts within tens of milliseconds. The
launcher holds the other end of a pipe of each; when the launcher is gone, by whatever signal, a thread in the worker
sees the end of file and ends the process. A parent-death signal would not do: the fork server is the parent.

A stopped process (SIGSTOP) sees no end of file. But the fork server does, once no worker holds the pipe it watches, and
then its end is a parent's death: the kernel continues its children, stopped by whomever, and they end as the others do.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import multiprocessing.util
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType

import msgspec
import psutil

from cicada.errors import Unavailable
from cicada.limits import DELIVERY, RING, DeliveryLimits, RingLimits

PRELOADED = ["cicada.aio", "cicada.actors.remote", "cicada.bus.publisher", "launcher.worker", "uvloop"]
"""What the fork server imports. A module that is not installed is left out."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

LAUNCHER_GONE = 70  # exit code: the launcher ended first; EX_SOFTWARE of sysexits.h

_context = multiprocessing.get_context("forkserver")


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is told at its start."""

    name: str
    control: str  # path of the socket it answers at
    events: str  # endpoint of the bus proxy it publishes to
    control_folder: str  # removed by the last one out when the launcher did not live to do so
    logs: str  # folder of its log and those of its peers
    log_level: str = "info"
    ring: RingLimits = RING
    delivery: DeliveryLimits = DELIVERY
    map_ports: bool = False


Ready = Callable[[], None]
"""A worker calls it once it answers."""


def start_fork_server() -> None:
    """Begin to start the fork server, and return without waiting for it. Raises Unavailable when the system refuses."""
    _context.set_forkserver_preload(PRELOADED)
    try:
        with _no_main_module():
            multiprocessing.forkserver.ensure_running()
    except OSError as error:
        raise Unavailable(
            f"cannot start the fork server: {error.strerror or error}; try `cicada doctor`"
        ) from None


class WorkerProcess:
    """One worker process, as the launcher sees it. Used on one event loop only."""

    def __init__(self, spec: WorkerSpec, main: Callable[[WorkerSpec, Ready], None]) -> None:
        """Start it. ``main`` runs in the new process. Raises Unavailable when the system refuses."""
        self.spec = spec
        self._signal, theirs = _context.Pipe(duplex=False)
        sockets = (
            spec.control_folder,
            multiprocessing.util.get_temp_dir(),
        )  # the fork server's is in the other
        self._process = _context.Process(target=_run, args=(spec, sockets, theirs, main), name=spec.name)
        self._closed = False
        try:
            with _no_main_module():
                self._process.start()
        except OSError as error:
            self._signal.close()
            raise Unavailable(f"cannot start {spec.name}: {error.strerror or error}") from None
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return not self._closed and self._process.is_alive()

    async def ready(self, timeout: float) -> None:
        """Wait until it answers. Raises Unavailable when it ended or is not ready within ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await _readable(self._signal.fileno())
            self._signal.recv_bytes()
        except TimeoutError:
            raise Unavailable(f"{self.spec.name} is not ready after {timeout} s") from None
        except (EOFError, OSError):
            raise Unavailable(f"{self.spec.name} ended before it was ready") from None

    async def ended(self) -> str:
        """Wait for its end, and say how it ended: ``exit 0``, ``SIGKILL``."""
        await _readable(self._process.sentinel)
        self._process.join()
        return exit_in_words(self._process.exitcode)

    def kill(self) -> None:
        """End it at once (SIGKILL), even when it is stopped."""
        self._process.kill()

    def stop(self) -> None:
        """Have it stand still (SIGSTOP)."""
        self._signal_it(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on (SIGCONT). One that was not stopped does not notice."""
        self._signal_it(signal.SIGCONT)

    @property
    def is_stopped(self) -> bool:
        """Whether the operating system has stopped it, whoever asked for that."""
        try:
            return self.alive and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:
            return False

    def _signal_it(self, number: signal.Signals) -> None:
        if self.alive:  # its process id is not another's yet
            os.kill(self.pid, number)

    def close(self) -> None:
        """Let go of its pipes, once it has ended."""
        self._closed = True
        self._signal.close()
        self._process.close()


def exit_in_words(code: int | None) -> str:
    """An exit code of multiprocessing for people: ``exit 1``, or the name of the signal."""
    if code is None:
        return "unknown"
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _run(
    spec: WorkerSpec,
    sockets: Iterable[str],
    ready: multiprocessing.connection.Connection,
    main: Callable[[WorkerSpec, Ready], None],
) -> None:
    """The new process: tied to the launcher's life first of all, then to its work."""
    _end_with_the_launcher(sockets)
    _go_on_when_the_fork_server_ends()
    # Ctrl-C reaches the whole process group; the launcher decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with ready:
        main(spec, lambda: ready.send_bytes(b"ready"))


def _end_with_the_launcher(folders: Iterable[str]) -> None:
    """When the launcher ends without a word, so does this process, and removes these in its place."""
    launcher = multiprocessing.parent_process()
    if launcher is None:
        raise Unavailable("a worker runs in a process of its own only")
    sentinel = launcher.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(LAUNCHER_GONE)

    threading.Thread(target=watch, name="launcher-watch", daemon=True).start()


def _go_on_when_the_fork_server_ends() -> None:
    """On Linux. Elsewhere a worker that is stopped when its launcher dies ends once somebody continues it."""
    alive = getattr(multiprocessing.forkserver._forkserver, "_forkserver_alive_fd", None)
    if alive is not None and sys.platform == "linux":
        os.close(alive)  # a worker forks nobody, so the fork server need not outlive the launcher for it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGCONT), 0, 0, 0)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Without this every worker would import the launching program again, in its own unshared memory."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
