"""Commands of a document, run as a reader would: one page in one shell, in a folder with the project's configurations.

In a ```console block a line that begins with ``$ `` is a command, and lines that begin with ``> `` go on with it; all others show
what it printed once and are not compared. At the end of the first line may stand ``# exit 3``, when another exit code than 0 is
right, and ``# long``, when the command is run by `make prove` only.

Ports are moved: those of each configuration to free ones, and so are ports that commands and scripts name.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from launcher.runfolder import is_running, read_info
from tests.launcher.swarms import free_ports, still_running

ROOT = Path(__file__).parent.parent
SPARE = 50
"""Ports kept free behind each configuration's own: commands add peers."""

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MARKS = re.compile(r"\s+#\s*(?P<marks>(?:exit \d+|long)(?:,\s*(?:exit \d+|long))*)\s*$")
_PORT = re.compile(
    r"(?<=127\.0\.0\.1:)\d{4,5}\b|(?<=localhost:)\d{4,5}\b|(?<=-p )\d{4,5}\b|(?<=localhost )\d{4,5}\b"
    r"|(?<=http\.server )\d{4,5}\b"
)
_DONE = "\x1e"


class Command(NamedTuple):
    """One command: what the shell gets, the exit code that is right, and whether it takes long."""

    text: str
    exit: int = 0
    long: bool = False


class Ended(NamedTuple):
    """How a command ended."""

    exit: int
    output: str


def commands_of(page: str) -> list[Command]:
    """All commands of a page, from top to bottom."""
    found: list[Command] = []
    for block in _BLOCK.findall(page):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(_command(line[2:]))
            elif line.startswith("> ") and found:
                found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line[2:]}")
    return found


def _command(line: str) -> Command:
    match = _MARKS.search(line)
    marks = re.split(r",\s*", match["marks"]) if match else []
    codes = [int(mark.removeprefix("exit ")) for mark in marks if mark != "long"]
    return Command(line[: match.start()] if match else line, codes[0] if codes else 0, "long" in marks)


class Ports:
    """Where ports of documents and configurations are moved to; the same one always to the same."""

    def __init__(self, configurations: Mapping[str, str]) -> None:
        self._moved: dict[int, int] = {}
        for text in configurations.values():
            self._make_room(text)

    def moved(self, text: str) -> str:
        """The text with its ports moved."""
        return _PORT.sub(lambda match: str(self._move(int(match[0]))), text)

    def _make_room(self, text: str) -> None:
        groups = tomllib.loads(text).get("group", [])
        firsts = [(int(group["address"].rpartition(":")[2]), group["count"]) for group in groups]
        ports = {port for first, count in firsts for port in range(first, first + count + SPARE)}
        fresh = sorted(ports - self._moved.keys())
        start = free_ports(len(fresh)) if not self._moved else self._beyond(len(fresh))
        self._moved |= {port: start + index for index, port in enumerate(fresh)}

    def _beyond(self, count: int) -> int:
        """As free_ports, but none that is somebody's here already."""
        taken = set(self._moved.values())
        start = free_ports(count)
        while taken & set(range(start, start + count)):
            start = max(taken) + 1
        return start

    def _move(self, port: int) -> int:
        if port not in self._moved:
            self._moved[port] = self._beyond(1)
        return self._moved[port]


class Shell:
    """A shell in ``folder`` that finds ``cicada`` and its ``python``. Ends with everything that was started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, what in (("cicada", "-m cicada "), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {what}"$@"\n')
            (programs / name).chmod(0o755)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CICADA_STATE": str(folder / "state"),  # one page's identities are in no other's way
        }
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, text: str, timeout: float) -> Ended:
        """Run it and wait for its end. Raises AssertionError when it takes longer than ``timeout`` seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{{ {text}\n}} </dev/null; printf '{_DONE}%d\\n' $?\n".encode())
        self._process.stdin.flush()
        output = self._read_until_done(text, timeout)
        shown, _, code = output.rpartition(_DONE)
        return Ended(int(code), shown)

    def close(self) -> None:
        """End the swarms that run in folders below, then whatever else the shell started."""
        for run_file in self.folder.rglob("run.json"):
            _end_swarm(run_file.parent)
        left = psutil.Process(self._process.pid).children(recursive=True)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        for process in still_running(left, 5.0):
            process.kill()

    def _read_until_done(self, text: str, timeout: float) -> str:
        assert self._process.stdout is not None
        give_up = time.monotonic() + timeout
        output = b""
        while not re.search(rf"{_DONE}\d+\n".encode(), output):
            rest = give_up - time.monotonic()
            assert rest > 0, f"not done after {timeout:g} s: {text}\n{output.decode(errors='replace')}"
            readable, _, _ = select.select([self._process.stdout], [], [], rest)
            if readable:
                data = os.read(self._process.stdout.fileno(), 65536)
                assert data, f"the shell ended: {text}\n{output.decode(errors='replace')}"
                output += data
        return output.decode(errors="replace")


def _end_swarm(run: Path) -> None:
    info = read_info(run)
    if info is None or not is_running(run):
        return
    try:
        launcher = psutil.Process(info.launcher_pid)
        processes = [launcher, *launcher.children(recursive=True)]
        launcher.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return
    for process in still_running(processes, 10.0):
        process.kill()


@contextmanager
def shell(folder: Path, used: str) -> Iterator[tuple[Shell, Ports]]:
    """A shell in a folder with the configurations that the text ``used`` names, their ports moved."""
    paths = [path for path in sorted((ROOT / "configs").rglob("*.toml")) if path.name in used]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in paths}
    ports = Ports({name: text for name, text in texts.items() if "sim" not in Path(name).parts})
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(ports.moved(text))
    shutil.copytree(ROOT / "samples", folder / "samples")
    for script in (folder / "samples").rglob("*.txt"):
        script.write_text(ports.moved(script.read_text()))
    opened = Shell(folder)
    try:
        yield opened, ports
    finally:
        opened.close()
