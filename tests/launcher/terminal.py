"""A program on a terminal of its own, as a user has it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
CTRL_C = b"\x03"


class Terminal:
    """What the program wrote to its terminal, and keys typed at it."""

    def __init__(self, arguments: tuple[str, ...], folder: Path) -> None:
        self.shown = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Read until ``text`` was shown so often."""
        give_up = time.monotonic() + PATIENCE
        while self.shown.count(text) < times:
            assert time.monotonic() < give_up, self.shown
            assert self._read() or self.process.poll() is None, self.shown

    def look(self) -> None:
        """Read what there is."""
        self._read()

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def ended(self) -> int:
        """Wait for its end, and return the exit code."""
        give_up = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < give_up, self.shown
            self._read()
        while self._read():
            pass
        return self.process.wait()

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        os.close(self._master)

    def _read(self) -> bool:
        readable, _, _ = select.select([self._master], [], [], 0.05)
        try:
            data = os.read(self._master, 65536) if readable else b""
        except OSError:  # the program has closed its side
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


# The terminal becomes the controlling one, so that Ctrl-C is a signal.
_PROGRAM = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from launcher.cli import main; main()"
)


@contextmanager
def terminal(*arguments: object, folder: Path) -> Iterator[Terminal]:
    """``cicada`` with these arguments on a terminal."""
    opened = Terminal(tuple(str(argument) for argument in arguments), folder)
    try:
        yield opened
    finally:
        opened.close()
