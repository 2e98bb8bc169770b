"""Real terminals of 100 columns and 30 lines for programs that fill a screen: tmux, with nobody in front of it.

A tmux server of its own has them. It runs in the foreground and dies with whoever started it, and so do the programs in it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.nat.lab import Host

ROOT: Final = Path(__file__).parents[2]
COLUMNS, LINES = 100, 30
PATIENCE: Final = 30.0
"""Seconds after which a test gives up waiting for what ought to take a few."""
LOOK_AGAIN: Final = 0.05
WITH_THE_TESTS: Final = ("setpriv", "--pdeathsig", "KILL")
TOOLS: Final = ("tmux", "setpriv")
OPTIONS: Final = {"status": "off", "remain-on-exit": "on", "default-terminal": "screen-256color"}
UNWANTED: Final = ("TMUX", "TMUX_PANE", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")


class Terminal:
    """One program on a screen of its own."""

    def __init__(self, server: Server, name: str) -> None:
        self.name = name
        self._server = server
        self.pid = int(self._said("#{pane_pid}"))

    def type(self, text: str) -> None:
        """These characters, as from a keyboard."""
        self._server.do("send-keys", "-l", "-t", self.name, "--", text.removesuffix(";"))
        if text.endswith(";"):  # at the end of a word tmux takes it for the end of its command
            self._server.do("send-keys", "-l", "-t", self.name, "--", "\\;")

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: ``Enter``, ``C-c``, ``Tab``."""
        self._server.do("send-keys", "-t", self.name, *keys)

    def enter(self, line: str) -> None:
        """The line, and Enter."""
        self.type(line)
        self.press("Enter")

    def screen(self) -> str:
        """What is on the screen now: its lines, without colours."""
        return self._server.do("capture-pane", "-p", "-t", self.name)

    def coloured(self) -> str:
        """The screen with its colours, as escape sequences; lines are as long as they are on it."""
        return self._server.do("capture-pane", "-p", "-e", "-N", "-t", self.name)

    def shows(self, *texts: str, seconds: float = PATIENCE) -> str:
        """Wait until all of these are on the screen; the screen. Raises TimeoutError with the screen as it is instead."""
        return self.until(lambda screen: all(text in screen for text in texts), f"{texts}", seconds)

    def until(self, condition: Callable[[str], bool], what: str, seconds: float = PATIENCE) -> str:
        """Wait until the screen fulfils the condition; the screen. Raises as ``shows``."""
        give_up = time.monotonic() + seconds
        while not condition(screen := self.screen()):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{self.name}: not {what} within {seconds} s, but:\n{screen}")
            time.sleep(LOOK_AGAIN)
        return screen

    def kill(self) -> None:
        """kill -9, and wait until it has ended."""
        os.kill(self.pid, signal.SIGKILL)
        self.exit_code()

    def exit_code(self, seconds: float = PATIENCE) -> int:
        """Wait until the program has ended; its exit code, or the signal below zero. Raises as ``shows``."""
        self.until(lambda _: bool(self._ending()), "ended", seconds)
        return int(self._ending())

    def _ending(self) -> str:
        """How it ended; empty while it runs. While libutempter writes down that a terminal was closed, tmux misses that its program
        has ended, and must be told to look."""
        os.kill(self._server.pid, signal.SIGCHLD)
        return self._said("#{?pane_dead_signal,-#{pane_dead_signal},#{pane_dead_status}}")

    def _said(self, form: str) -> str:
        return self._server.do("display-message", "-p", "-t", self.name, form).strip()


class Server:
    """A tmux server of its own, with a terminal for each program that is opened."""

    def __init__(self, folder: Path) -> None:
        self._client = ("tmux", "-N", "-u", "-f", "/dev/null", "-S", str(folder / "socket"))
        self._process = subprocess.Popen(
            [*WITH_THE_TESTS, "tmux", "-D", "-u", "-f", "/dev/null", "-S", str(folder / "socket")],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        try:
            self._await_start(folder / "socket")
            for option, value in OPTIONS.items():
                self.do("set-option", "-g", option, value)
        except BaseException:
            self.close()
            raise

    def _await_start(self, socket: Path) -> None:
        give_up = time.monotonic() + PATIENCE
        while not socket.exists():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"tmux does not listen; its exit code: {self._process.returncode}")
            time.sleep(LOOK_AGAIN)

    def open(self, name: str, *argv: str, host: Host | None = None, folder: Path = ROOT) -> Terminal:
        """Start a program on a new screen; on a host of the lab, when one is named."""
        there = () if host is None else ("ip", "netns", "exec", host.namespace.name)
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        command = (*WITH_THE_TESTS, *there, *argv)
        self.do("new-session", "-d", "-s", name, *size, "-c", str(folder), "--", *command)
        return Terminal(self, name)

    def do(self, *words: str) -> str:
        """What a command of tmux prints. Raises RuntimeError with what it complained about."""
        done = subprocess.run(
            [*self._client, *words],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"tmux {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        """Kill the programs and the server, and wait for it."""
        if self._process.poll() is None:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in UNWANTED}
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    colours = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    return {**kept, **colours, "LC_ALL": "C.UTF-8", "PYTHONPATH": search}


def skip_without_terminals() -> None:
    """Skip the test with the reason; CICADA_SCREEN=required fails it instead, so that a gate which ought to have tmux notices."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        reason = f"real terminals need {' and '.join(missing)}: see .ci/screen-tools"
        assert os.environ.get("CICADA_SCREEN") != "required", reason
        pytest.skip(reason)


@contextmanager
def terminals() -> Iterator[Server]:
    """A place for terminals; nothing of them is left afterwards. Without tmux the test is skipped."""
    skip_without_terminals()
    with tempfile.TemporaryDirectory(prefix="cicada-tmux-") as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.close()
