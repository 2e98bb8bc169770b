"""Programs that tests start inside the lab's hosts, and whose lines of standard output they wait for."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tests.nat.lab import Host

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 30.0
"""Seconds after which a test gives up waiting for what ought to take a few."""


class Program:
    """This interpreter at work inside a host. Whoever leaves the context kills it, at the latest the lab does. Its standard
    error is ours, unless ``errors`` says as for ``Popen`` what else."""

    def __init__(self, host: Host, *argv: str, errors: int | None = None) -> None:
        search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": search, "PYTHONUNBUFFERED": "1"}
        self.process = host.python(
            *argv, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        self._unread = b""

    def line(self, seconds: float = PATIENCE) -> str:
        """The next line that it prints. Raises TimeoutError, and EOFError when it ends without one."""
        give_up = time.monotonic() + seconds
        while b"\n" not in self._unread:
            if not select.select([self._output], [], [], max(0.0, give_up - time.monotonic()))[0]:
                raise TimeoutError(f"nothing said for {seconds} s; unread: {self._unread!r}")
            if not (said := os.read(self._output.fileno(), 65536)):
                raise EOFError(f"it ended; unread: {self._unread!r}")
            self._unread += said
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    @property
    def _output(self) -> IO[bytes]:
        if self.process.stdout is None:
            raise RuntimeError("its output is read")
        return self.process.stdout

    def said(self, condition: Callable[[Any], bool] = lambda said: True, seconds: float = PATIENCE) -> Any:
        """The next line that is JSON and fulfils the condition; those before are passed over. Raises as ``line``."""
        give_up = time.monotonic() + seconds
        while True:
            said = json.loads(self.line(max(0.0, give_up - time.monotonic())))
            if condition(said):
                return said

    def answer(self) -> None:
        """The line for which it waits on its standard input."""
        if self.process.stdin is None:
            raise RuntimeError("it has no input")
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Send it a signal and wait until it has ended; its exit code."""
        self.process.send_signal(number)
        return int(self.process.wait(seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
