"""Network namespaces for tests: named after the process that made them, so that whoever comes later can tell which are
left over; none has a link to the machine's own network."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

PREFIX: Final = "cicada"
FOLDER: Final = Path("/run/netns")
COMMAND_SECONDS: Final = 10.0
"""A command about an interface takes milliseconds; on a busy machine, tenths of a second."""

_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_labs: Final = itertools.count()


def new_lab_name() -> str:
    """A prefix that no other lab has: this process, when it started, and how many labs it made before."""
    me = psutil.Process()
    return f"{PREFIX}-{me.pid}-{_started(me)}-{next(_labs)}"


def _started(process: psutil.Process) -> int:
    """Tells a process from an earlier one with the same id, in hundredths of a second."""
    return int(process.create_time() * 100)


def command(*argv: str, stdin: str = "") -> str:
    """What a command prints. Raises RuntimeError with what it complained about."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(argv)}: {done.stderr.strip() or f'exit code {done.returncode}'}\n{stdin}"
        )
    return done.stdout


def remove_leftovers() -> None:
    """Remove the namespaces of labs whose process is gone, and what still runs in them."""
    for path in FOLDER.glob(f"{PREFIX}-*"):
        match path.name.split("-"):
            case [_, pid, started, _, _] if pid.isdigit() and not _is_alive(int(pid), int(started)):
                remove_all([path.name])
            case _:
                pass


def _is_alive(pid: int, started: int) -> bool:
    try:
        return abs(_started(psutil.Process(pid)) - started) <= 1
    except psutil.NoSuchProcess:
        return False


def remove_all(names: Sequence[str]) -> None:
    """End every process inside these namespaces, and remove them. Those that are gone already, or that another process of tests is
    just removing, are no error."""
    for name in names:
        try:
            _end_all_in(name)
            command("ip", "netns", "delete", name)
        except RuntimeError:
            if (FOLDER / name).exists():
                raise


def _end_all_in(name: str) -> None:
    give_up = time.monotonic() + COMMAND_SECONDS
    while pids := pids_in(name):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # one that is stopped dies of it as well
        if time.monotonic() > give_up:
            raise TimeoutError(f"still in {name}: {pids}")


def pids_in(name: str) -> list[int]:
    """The living processes inside a namespace, however they came there."""
    return [int(pid) for pid in command("ip", "netns", "pids", name).split()]


def has_ended(pid: int, seconds: float = COMMAND_SECONDS) -> bool:
    """Whether a process has ended, or does so within this time. Whoever is to wait for it may not have done so."""
    give_up = time.monotonic() + seconds
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.005)
    return True


class Namespace:
    """One network namespace, its loopback interface up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._started: list[subprocess.Popen[Any]] = []
        command("ip", "netns", "add", name)
        self.ip("link set lo up")

    def ip(self, *commands: str) -> None:
        """Carry out commands of ``ip``, in order."""
        command("ip", "-netns", self.name, "-batch", "-", stdin="\n".join(commands))

    def output(self, *argv: str, stdin: str = "") -> str:
        """What a short command prints that runs inside."""
        return command("ip", "netns", "exec", self.name, *argv, stdin=stdin)

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program inside, with options of ``Popen``. Its pid is the program's own, since both wrappers turn into it. It is
        killed when the thread that started it ends, so also when the tests are killed, and at the latest with the lab."""
        wrapped = ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.name, *argv]
        process = subprocess.Popen(wrapped, **options)
        self._started.append(process)
        return process

    def python(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Start this interpreter inside."""
        return self.run([sys.executable, *argv], **options)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is inside meanwhile. Sockets stay where they were made; threads and processes that it starts are
        inside as well."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(FOLDER / self.name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)

    def reap(self) -> None:
        """Kill what ``run`` started, and wait for it."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
        for process in self._started:
            process.wait(COMMAND_SECONDS)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None and not stream.closed:
                    stream.close()


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
