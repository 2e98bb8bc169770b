"""Real swarms for tests: on free ports, in a temporary folder, ended by process id whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from cicada.commands import AnyCommand, AnyReply, Down, GetStatus, Refused, Status
from cicada.config import Config, parse_config
from cicada.control import SyncRemoteRef
from cicada.errors import CicadaError
from launcher.detach import lifeline, spawn_detached
from launcher.run import Progress

PATIENCE = 30.0
"""Seconds after which a test gives up waiting for what ought to take a few."""

LOWEST_PORT, HIGHEST_PORT = 25000, 32000  # below the ephemeral range

R = TypeVar("R")


def free_ports(count: int) -> int:
    """The first of ``count`` consecutive ports that nobody listens at. Test processes look in different places."""
    span = HIGHEST_PORT - LOWEST_PORT - count
    for step in range(0, span, count):
        first = LOWEST_PORT + (os.getpid() * 61 + step) % span
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise AssertionError(f"no {count} consecutive free ports")


def config(count: int, *, first_port: int, extra: str = "") -> Config:
    """A swarm of one group called core; ``extra`` is more TOML."""
    return parse_config(
        f"""
        [swarm]
        name = "test"
        seed = 7
        workers = 2

        [[group]]
        name = "core"
        count = {count}
        address = "127.0.0.1:{first_port}"
        {extra}
        """
    )


class RunningSwarm:
    """A detached swarm under test."""

    def __init__(self, progress: Progress, config: Config) -> None:
        self.progress = progress
        self.config = config
        self.launcher = psutil.Process(progress.launcher_pid)
        self._ended = False
        self._ref: SyncRemoteRef[AnyCommand, AnyReply] = SyncRemoteRef(
            progress.control, commands=AnyCommand, replies=AnyReply
        )

    @property
    def folder(self) -> Path:
        return Path(self.progress.run_dir)

    def ask(self, command: AnyCommand, expected: type[R], timeout: float = PATIENCE) -> R:
        """The launcher's reply, which must be of this class."""
        reply = self._ref.ask(command, timeout)
        assert isinstance(reply, expected), reply
        return reply

    def reply(self, command: AnyCommand) -> AnyReply:
        """Whatever the launcher replies."""
        return self._ref.ask(command, PATIENCE)

    def refusal(self, command: AnyCommand) -> str:
        return self.ask(command, Refused).reason

    def status(self) -> Status:
        return self.ask(GetStatus(), Status)

    def wait_for(self, condition: Callable[[Status], bool]) -> Status:
        """The first status that fulfils the condition."""
        give_up = time.monotonic() + PATIENCE
        while not condition(status := self.status()):
            assert time.monotonic() < give_up, status
            time.sleep(0.05)
        return status

    def processes(self) -> list[psutil.Process]:
        """The launcher and everything it started, directly or not."""
        return [self.launcher, *self.launcher.children(recursive=True)]

    def end(self) -> None:
        """End it, gracefully if that is possible. Idempotent."""
        if self._ended:
            return
        self._ended = True
        processes = self.processes() if self.launcher.is_running() else []
        try:
            self._ref.ask(Down(), PATIENCE)
        except CicadaError:
            pass  # it is gone already, or will be
        finally:
            self._ref.close()
        for process in still_running(processes, PATIENCE / 3):
            process.send_signal(signal.SIGKILL)


def still_running(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended within this time."""
    give_up = time.monotonic() + seconds
    left = [process for process in processes if _runs(process)]
    while left and time.monotonic() < give_up:
        time.sleep(0.01)
        left = [process for process in left if _runs(process)]
    return left


@contextmanager
def running(config: Config, folder: Path) -> Iterator[RunningSwarm]:
    """A swarm whose ring is proven. It ends with this process, too, however that ends."""
    with lifeline() as life:
        swarm = RunningSwarm(spawn_detached(config, folder, wait=PATIENCE, lifeline=life), config)
        try:
            yield swarm
        finally:
            swarm.end()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True
