"""``cicada logs`` shows what is asked for, of a swarm that runs or has ended, and ends as it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cicada.commands import AnyCommand, AnyReply, Done, SetLogLevel
from cicada.config import to_toml
from launcher.cli import app
from launcher.logs.files import LogFiles
from launcher.logs.records import Record
from launcher.runfolder import RunFolder, open_run_folder
from tests.launcher.fake_launcher import FakeLauncher, fake_launcher
from tests.launcher.swarms import PATIENCE, config

ROOT = Path(__file__).parents[2]


def write(run: Path, *records: Record) -> None:
    for record in records:
        LogFiles(run / "logs").append(record.name, [msgspec.json.encode(record) + b"\n"])


def record(second: int, text: str, peer: str = "core-1", level: str = "info", actor: str = "ring") -> Record:
    time = f"2026-11-25T00:00:{second:02d}.000Z"
    return Record(time=time, level=level, source="worker-0", event="E", text=text, peer=peer, actor=actor)


@pytest.fixture
def open_run(tmp_path: Path) -> Iterator[RunFolder]:
    """The locked folder of what looks like a running swarm, with some records."""
    with open_run_folder("fake", tmp_path / "run") as folder:
        folder.write_config(to_toml(config(4, first_port=20000)))
        write(
            folder.path,
            record(1, "first"),
            record(2, "second", "core-2", "warning", "router"),
            record(3, "third", level="debug"),
        )
        yield folder


@pytest.fixture
def run(open_run: RunFolder) -> Path:
    """The folder of a swarm that has ended."""
    open_run.close()
    return open_run.path


def logs(run: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["logs", *arguments, "--run", str(run)])


def texts(result: Result) -> list[str]:
    assert (result.exit_code, result.stderr) == (0, "")
    return [line.split()[-1] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["first", "second", "third"]),
        (("core-1",), ["first", "third"]),
        (("core-3",), []),
        (("worker-0",), ["first", "second", "third"]),
        (("all", "-n", "1"), ["third"]),
        (("all", "--lines", "0"), []),
        (("all", "--level", "warning"), ["second"]),
        (("all", "--level", "info", "-n", "1"), ["second"]),
        (("all", "--grep", "ird"), ["third"]),
        (("all", "--grep", "core-2"), ["second"]),
        (("all", "--since", "2026-11-25 00:00:02"), ["second", "third"]),
        (("all", "--since", "2026-11-25T00:00:02.001Z"), ["third"]),
        (("all", "--since", "2026-11-25"), ["first", "second", "third"]),
        (("all", "--since", "2026-11-26"), []),
        (("all", "--since", "100000h"), ["first", "second", "third"]),
        (("all", "--actor", "router"), ["second"]),
    ],
)
def test_logs_shows_what_was_asked_for_of_a_swarm_that_has_ended(
    run: Path, arguments: tuple[str, ...], expected: list[str]
) -> None:
    assert texts(logs(run, *arguments)) == expected


def test_a_line_for_people_has_time_level_peer_actor_and_text(run: Path) -> None:
    (line,) = logs(run, "core-2").stdout.splitlines()
    assert line.split() == ["2026-11-25", "00:00:02.000", "warning", "core-2", "router", "second"]


def test_as_json_records_are_lines_as_they_were_written(run: Path) -> None:
    lines = logs(run, "core-1", "--json").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["first", "third"]
    assert lines[0].encode() == msgspec.json.encode(record(1, "first"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("core-9",), 2, "did you mean"),
        (("core-1", "--level", "loud"), 2, "'debug'"),
        (("core-1", "--since", "noon"), 2, "is not a time: write 30s"),
        (("core-1", "-n", "-1"), 2, "greater than or equal to 0"),
        (("launcher", "--set-level", "debug"), 2, "not of the launcher alone"),
        (("core-1", "--set-level", "debug"), 1, "no swarm in"),
    ],
)
def test_what_cannot_be_shown_is_one_message(
    run: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = logs(run, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())


def test_a_folder_without_logs_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    result = logs(tmp_path / "none")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "start a swarm with `cicada up`" in result.stderr


def test_following_a_swarm_that_has_ended_shows_its_records_and_ends(run: Path) -> None:
    result = logs(run, "core-1", "-f")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 2
    assert result.stderr == "the swarm has ended\n"


def test_a_level_is_set_through_the_launcher_and_nothing_else_is_shown(tmp_path: Path) -> None:
    with fake_launcher(tmp_path / "run", lambda _: Done(peers=("core-1",))) as launcher:
        result = logs(launcher.folder, "core-1", "--set-level", "debug", "--actor", "ring")
        assert launcher.asked == [SetLogLevel(select="core-1", level="debug", actor="ring")]
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "logging from debug on: the ring actor of 1 peer: core-1\n"


def test_a_level_may_be_set_and_the_log_followed_at_once(tmp_path: Path) -> None:
    launchers: list[FakeLauncher] = []

    def answer(_: AnyCommand) -> AnyReply:
        launchers[0].end_run()
        return Done(peers=("core-1",))

    with fake_launcher(tmp_path / "run", answer) as launcher:
        launchers.append(launcher)
        write(launcher.folder, record(1, "first"))
        result = logs(launcher.folder, "core-1", "--set-level", "debug", "-f")
        assert launcher.asked == [SetLogLevel(select="core-1", level="debug")]
    assert result.stdout.split()[-1] == "first"
    assert result.stderr == "logging from debug on: 1 peer: core-1\nthe swarm has ended\n"


class Follower:
    """``cicada logs -f`` in a process of its own."""

    def __init__(self, run: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "launcher", "logs", *arguments, "-f", "--run", str(run)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self._timer = threading.Timer(PATIENCE, self.process.kill)
        self._timer.start()

    def line(self) -> str:
        """The last word of the next line."""
        return _stream(self.process.stdout).readline().split()[-1]

    def end(self) -> tuple[int, str]:
        """Exit code and standard error, once it has ended."""
        self.rest, errors = self.process.communicate()
        self._timer.cancel()
        return self.process.returncode, errors


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_following_shows_what_comes_and_control_c_ends_it_cleanly(open_run: RunFolder) -> None:
    follower = Follower(open_run.path, "core-1", "-n", "1")
    assert follower.line() == "third"
    write(open_run.path, record(4, "fourth"))
    assert follower.line() == "fourth"
    follower.process.send_signal(signal.SIGINT)
    code, errors = follower.end()
    assert code == 130
    assert "Traceback" not in errors


def test_following_ends_when_the_swarm_does_and_misses_nothing(open_run: RunFolder) -> None:
    follower = Follower(open_run.path, "all", "-n", "1")
    assert follower.line() == "third"
    write(open_run.path, record(4, "late", "core-2"), record(5, "last"))
    open_run.close()
    code, errors = follower.end()
    assert (code, errors) == (0, "the swarm has ended\n")
    assert [line.split()[-1] for line in follower.rest.splitlines()] == ["late", "last"]
