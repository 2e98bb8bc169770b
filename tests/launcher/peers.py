"""``cicada peer`` and ``cicada shell`` as processes, by pipes or at a terminal, ended by process id whatever happens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
PATIENCE: Final = 30.0
PORTS: Final = (49610, 49611)
_COMMAND: Final = (sys.executable, "-m", "cicada")
_CONTROL: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
_WHERE_IS_THE_CURSOR: Final = b"\x1b[6n"


def environment(state: Path) -> dict[str, str]:
    """Keys and histories in a folder of the test's own."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CICADA_STATE": str(state),
        "TERM": "xterm",
        "NO_COLOR": "1",
    }


@contextlib.contextmanager
def started(
    state: Path, *arguments: str, cwd: Path = ROOT, typed: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command with these arguments; ``typed`` is all of its standard input."""
    process = subprocess.Popen(
        [*_COMMAND, *arguments],
        stdin=subprocess.DEVNULL if typed is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(state),
    )
    try:
        if typed is not None and process.stdin is not None:
            process.stdin.write(typed)
            process.stdin.close()
            process.stdin = None
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code, standard output and standard error."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def run(state: Path, *arguments: str, cwd: Path = ROOT, typed: str | None = None) -> tuple[int, str, str]:
    """As ``ended``, of a command that ends by itself."""
    with started(state, *arguments, cwd=cwd, typed=typed) as process:
        return ended(process)


@contextlib.contextmanager
def the_original_ports() -> Iterator[None]:
    """The ports that the original's runtimes name, for one test process at a time. Skips where others listen there."""
    lock = Path(tempfile.gettempdir()) / f"cicada-tests-{os.getuid()}-{PORTS[0]}.lock"
    with lock.open("w") as file:
        give_up = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            assert time.monotonic() < give_up, f"another test process does not let go of port {PORTS[0]}"
            time.sleep(0.05)
        for port in PORTS:
            if not _is_free(port):
                pytest.skip(f"another process has port {port}, which the original's runtimes name")
        yield


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Terminal:
    """A program at a terminal of its own: what it shows is waited for, never slept for."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self._screen = screen
        self._shown = b""

    def type(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def type_until(self, keys: str, text: str) -> None:
        """Type it again and again, until this text is shown."""
        give_up = time.monotonic() + PATIENCE
        due = 0.0
        while text not in self._plain():
            assert time.monotonic() < give_up, self._plain()
            if time.monotonic() >= due:
                due = time.monotonic() + 1.0  # what is typed too often is for the next prompt
                self.type(keys)
            if select.select([self._screen], [], [], 0.2)[0]:
                self._read(text)
        self.shows(text)

    def shows(self, text: str) -> str:
        """What was shown until this text came, without what moves the cursor; what comes later is left for the next time."""
        give_up = time.monotonic() + PATIENCE
        while (found := self._plain().find(text)) < 0:
            left = give_up - time.monotonic()
            ready, _, _ = select.select([self._screen], [], [], max(0.0, left))
            assert ready, f"no {text!r} in {self._plain()!r}"
            self._read(text)
        plain = self._plain()
        self._shown = plain[found + len(text) :].encode()
        return plain[: found + len(text)]

    def ends(self, typing: str = "") -> int:
        """Its exit code. ``typing`` is typed again every second, as people do: what comes while a prompt is being drawn is
        lost."""
        give_up = time.monotonic() + PATIENCE
        due = 0.0
        while self.process.poll() is None:
            assert time.monotonic() < give_up, self._plain()
            if typing and time.monotonic() >= due:
                due = time.monotonic() + 1.0
                with contextlib.suppress(OSError):  # it has just ended
                    self.type(typing)
            if select.select([self._screen], [], [], 0.05)[0]:
                with contextlib.suppress(AssertionError):
                    self._read("its end")
        return self.process.returncode

    def _read(self, wanted: str) -> None:
        try:
            piece = os.read(self._screen, 65536)
        except OSError:  # Linux: the other side is closed
            piece = b""
        assert piece, f"it ended before {wanted!r} in {self._plain()!r}"
        if _WHERE_IS_THE_CURSOR in piece:
            os.write(self._screen, b"\x1b[30;1R")
        self._shown += piece

    def _plain(self) -> str:
        return _CONTROL.sub(b"", self._shown).decode(errors="replace")


@contextlib.contextmanager
def at_terminal(state: Path, *arguments: str, cwd: Path = ROOT) -> Iterator[Terminal]:
    """The command, as a person has it."""
    screen, inner = os.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    process = subprocess.Popen(
        [*_COMMAND, *arguments],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=cwd,
        env=environment(state),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(inner)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(screen)
