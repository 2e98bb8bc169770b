"""Every command on the pages that tell how to do something is run, from top to bottom, and ends as the page says."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from launcher.exits import Exit
from tests.pages import Command, Ports, commands_of, shell

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = ["launch", "scripts", "breaking", "load", "report", "watch", "trust", "samples", "fileshare"]
FULL: Final = os.environ.get("CICADA_DOCS") == "full"
SECONDS: Final = 60.0
LONG_SECONDS: Final = 1500.0
PAGE_SECONDS: Final = 3000 if FULL else 400

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@needs_bash
@pytest.mark.prove
@pytest.mark.timeout(PAGE_SECONDS)
@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_ends_as_the_page_says(page: str, tmp_path: Path) -> None:
    run_page(commands_of((ROOT / "docs" / f"{page}.md").read_text()), tmp_path)


@needs_bash
@pytest.mark.prove
@pytest.mark.timeout(PAGE_SECONDS)
def test_every_command_of_the_readme_succeeds(tmp_path: Path) -> None:
    """But for a load, which a busy machine may not carry: that is exit code 3, and no mistake of the page."""
    lines = re.findall(r"^    (\.venv/bin/cicada .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert lines
    run_page([_once(line) for line in lines], tmp_path, full=True, may_miss=True)


def _once(line: str) -> Command:
    """A line of the README; what shows something until somebody ends it is ended after a while."""
    if " watch " not in line:
        return Command(line, long=True)
    return Command(f"timeout --signal=INT --preserve-status 15 {line}", Exit.INTERRUPTED, long=True)


def run_page(commands: list[Command], folder: Path, *, full: bool = FULL, may_miss: bool = False) -> None:
    assert commands, "no console blocks"
    with shell(folder, "\n".join(command.text for command in commands)) as (opened, ports):
        for command in commands:
            if command.long and not full:
                continue
            ended = opened.run(ports.moved(command.text), LONG_SECONDS if command.long else SECONDS)
            right = (
                {command.exit, Exit.THRESHOLD} if may_miss and " load " in command.text else {command.exit}
            )
            assert ended.exit in right, f"$ {command.text}\n{ended.output}"
            assert "Traceback" not in ended.output, f"$ {command.text}\n{ended.output}"


def test_commands_are_found_with_their_exit_codes() -> None:
    page = (
        "text\n```console\n$ one --a 'b # c'\nshown\n$ two   # exit 3\n$ three # long, exit 4\n```\n"
        "```\n$ not this\n```\n```console\n$ cat > f <<'END'\n> line\n> END\n```\n"
    )
    assert commands_of(page) == [
        Command("one --a 'b # c'"),
        Command("two", 3),
        Command("three", 4, long=True),
        Command("cat > f <<'END'\nline\nEND"),
    ]


def test_ports_are_moved_and_keep_their_distance() -> None:
    toml = '[[group]]\nname = "a"\ncount = 3\naddress = "127.0.0.1:20000"\n'
    ports = Ports({"a.toml": toml})
    moved = [
        int(text.rpartition(":")[2]) for text in map(ports.moved, ("127.0.0.1:20000", "127.0.0.1:20002"))
    ]
    assert moved[1] - moved[0] == 2
    assert moved[0] != 20000
    assert ports.moved("localhost:49610") == ports.moved("127.0.0.1:49610").replace("127.0.0.1", "localhost")
    assert ports.moved("at 20000 of 127.0.0.1") == "at 20000 of 127.0.0.1"


@needs_bash
def test_a_page_that_is_wrong_is_found_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"\$ false"):
        run_page([Command("true"), Command("sleep 600 &"), Command("false")], tmp_path)
    assert run_in(tmp_path / "two", "x=4; cd ..", "exit_code() { return $x; }; exit_code") == 4
    with (
        pytest.raises(AssertionError, match=r"not done after 0.2 s: sleep 600"),
        shell(new(tmp_path), "") as (opened, _),
    ):
        opened.run("sleep 600", 0.2)


def new(folder: Path) -> Path:
    (folder / "three").mkdir()
    return folder / "three"


def run_in(folder: Path, *lines: str) -> int:
    """The exit code of the last line, all in one shell."""
    folder.mkdir()
    with shell(folder, "") as (opened, _):
        return [opened.run(line, SECONDS).exit for line in lines][-1]
