"""The messenger as a program: how it is called, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from samples.messenger import default_bind
from tests.peer.swarm import PATIENCE_S

ROOT: Final = Path(__file__).parent.parent.parent
MESSENGER: Final = ROOT / "samples" / "messenger.py"


def run(*arguments: str, prelude: str = "pass") -> subprocess.CompletedProcess[str]:
    program = (
        f"import runpy, sys; {prelude}; sys.argv = {['messenger.py', *arguments]!r}; "
        f"runpy.run_path({str(MESSENGER)!r}, run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(),
        check=False,
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}


def test_without_textual_it_says_what_to_install_and_nothing_else() -> None:
    ended = run(prelude="sys.modules['textual'] = None")
    assert ended.stderr == "the messenger needs textual: pip install 'cicada-swarm[chat]'\n"
    assert (ended.returncode, ended.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--name"),
        (["--name", "two words"], "'two words' cannot be a name"),
        (["--name", "alice", "--bind", "nowhere"], "--bind"),
        (["--name", "alice", "--join", "127.0.0.1:0"], "--join"),
        (["--name", "alice", "--channel", "#a b"], "'#a b' cannot be a channel"),
        (["--name", "alice", "--nothing"], "--nothing"),
        (["--name", "alice"], "this is no terminal"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(arguments: list[str], named: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("messenger: ")
    assert ended.stderr.count("\n") == 1
    assert named in ended.stderr


def test_it_listens_on_loopback_only_when_its_swarm_is_there() -> None:
    assert default_bind([("127.0.0.1", 5000), ("localhost", 5001)]) == ("127.0.0.1", 0)
    assert default_bind([("127.0.0.1", 5000), ("10.0.0.1", 5000)]) == ("0.0.0.0", 0)
    assert default_bind([]) == ("0.0.0.0", 0)


class Terminal:
    """A messenger in a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self._fd = fd
        self.drawn = b""

    def read(self) -> bool:
        """Take what was drawn within a tenth of a second; whether the terminal is still there."""
        poll = select.poll()  # select() takes no descriptor past 1023
        poll.register(self._fd, select.POLLIN)
        if poll.poll(100):
            try:
                self.drawn += os.read(self._fd, 65536)
            except OSError:
                return False
        return True

    def sees(self, text: bytes) -> None:
        """Returns once that was drawn."""
        ends = time.monotonic() + PATIENCE_S
        while text not in self.drawn:
            assert self.read(), self.drawn
            assert time.monotonic() < ends, self.drawn

    def types(self, text: bytes) -> None:
        os.write(self._fd, text)

    def close(self) -> None:
        """As the user closes its window."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def ended(self) -> int:
        """Its exit code, within some seconds."""
        ends = time.monotonic() + 10.0
        while self.process.poll() is None and time.monotonic() < ends:
            self.read()
        return self.process.wait(0.1)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, str(MESSENGER), *arguments]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
    )
    os.close(theirs)
    shown = Terminal(process, ours)
    try:
        yield shown
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(10)
        shown.close()


@pytest.mark.parametrize("end", ["/quit", "ctrl+q", "SIGTERM"])
def test_the_program_ends_with_exit_code_0_within_seconds(end: str) -> None:
    with terminal("--name", "alice", "--bind", "127.0.0.1:0", "--channel", "#one", "#two") as shown:
        shown.sees(b"#two")
        shown.sees(b"here: 1")
        if end == "SIGTERM":
            shown.process.send_signal(signal.SIGTERM)
        else:
            shown.types(b"/quit\r" if end == "/quit" else b"\x11")
        assert shown.ended() == 0, shown.drawn
        assert b"Traceback" not in shown.drawn


def test_a_program_whose_terminal_is_gone_ends() -> None:
    with terminal("--name", "alice", "--bind", "127.0.0.1:0") as shown:
        shown.sees(b"here: 1")
        shown.close()
        shown.process.send_signal(signal.SIGHUP)
        assert shown.process.wait(20) == 0


def test_an_address_that_is_taken_is_told_without_a_window() -> None:
    with terminal("--name", "alice", "--bind", "127.0.0.1:0") as first:
        first.sees(b"127.0.0.1:")
        port = first.drawn.rpartition(b"127.0.0.1:")[2][:6].split()[0].decode()
        with terminal("--name", "bob", "--bind", f"127.0.0.1:{port}") as second:
            assert second.ended() == 1
            assert second.drawn.startswith(b"messenger: ")
            assert b"Traceback" not in second.drawn
