"""The terminals themselves: a program has a real screen and real keys, and nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.nat.namespaces import has_ended
from tests.samples.screens import picture
from tests.samples.terminals import COLUMNS, LINES, ROOT, Server, terminals

ECHO = r"""
import os, sys
size = os.get_terminal_size()
print("\x1b[?1049h\x1b[2J\x1b[H\x1b[38;2;255;100;0mready\x1b[0m", size.columns, size.lines, flush=True)
while (line := sys.stdin.readline().rstrip("\n")) != "stop":
    print(f"<{line}>", flush=True)
sys.exit(7)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with terminals() as opened:
        yield opened


def test_a_program_has_a_screen_of_a_fixed_size_and_sees_the_keys(server: Server) -> None:
    terminal = server.open("keys", sys.executable, "-c", ECHO)
    terminal.shows(f"ready {COLUMNS} {LINES}")
    for line in ("plain", "-l --", "one; two;", ";", "'$HOME' \\", "grüß dich", "C-c"):
        terminal.enter(line)
        terminal.shows(f"<{line}>")
    terminal.enter("stop")
    assert terminal.exit_code() == 7


def test_what_does_not_come_is_an_error_with_the_screen(server: Server) -> None:
    terminal = server.open("waiting", sys.executable, "-c", ECHO)
    terminal.shows("ready")
    with pytest.raises(TimeoutError, match=r"waiting: not \('gone',\)[^$]*ready 100 30"):
        terminal.shows("gone", seconds=0.0)
    with pytest.raises(TimeoutError, match="not ended"):
        terminal.exit_code(seconds=0.0)


def test_a_killed_program_and_an_interrupted_one_ended_by_a_signal(server: Server) -> None:
    killed, interrupted = (
        server.open(name, sys.executable, "-c", ECHO) for name in ("killed", "interrupted")
    )
    killed.shows("ready")
    interrupted.shows("ready")
    killed.kill()
    assert killed.exit_code() == -signal.SIGKILL
    interrupted.press("C-c")
    assert interrupted.exit_code() == -signal.SIGINT


def test_a_picture_has_the_text_and_the_colours_and_refers_to_nothing_else(server: Server) -> None:
    terminal = server.open("picture", sys.executable, "-c", ECHO)
    terminal.shows("ready")
    drawn = picture(terminal.coloured(), "a title")
    words = "".join(ElementTree.fromstring(drawn).itertext()).replace("\xa0", " ")
    assert "ready" in words
    assert "a title" in words
    assert "#ff6400" in drawn
    assert "font-face" not in drawn
    assert set(re.findall(r"\w+://[^\"\s)]+", drawn)) == {"http://www.w3.org/2000/svg"}


def test_without_tmux_a_test_is_skipped_or_fails_where_it_must_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool: None)
    monkeypatch.setenv("CICADA_SCREEN", "")
    with pytest.raises(pytest.skip.Exception, match="need tmux and setpriv"), terminals():
        pass
    monkeypatch.setenv("CICADA_SCREEN", "required")
    with pytest.raises(AssertionError, match="need tmux and setpriv"), terminals():
        pass


def test_programs_that_do_not_want_to_end_end_with_their_terminals() -> None:
    deaf = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    with terminals() as own:
        terminal = own.open("deaf", sys.executable, "-c", f"{deaf}; print('deaf', flush=True); input()")
        terminal.shows("deaf")
    assert has_ended(terminal.pid, seconds=0.0)


OPEN_AND_WAIT = """
import sys
from tests.samples.terminals import terminals
with terminals() as own:
    print(own.open("waits", "sleep", "600").pid, own.pid, flush=True)
    input()
"""


def test_terminals_of_a_killed_test_run_are_dead_at_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as opener:
        assert opener.stdout is not None
        pids = [int(pid) for pid in opener.stdout.readline().split()]
        opener.kill()
    assert len(pids) == 2
    assert all(has_ended(pid) for pid in pids)
