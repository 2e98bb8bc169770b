"""The programs of the README run as they stand there, and print what they should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from launcher.cli import app

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text()
PROGRAMS: Final = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PRINTED: Final = ["delivered\nb'hello!'\n", "delivered b'hello!'\n"]


def test_the_readme_has_the_programs_that_are_run_here() -> None:
    assert len(PROGRAMS) == len(PRINTED)


@pytest.mark.parametrize(
    ("program", "printed"), list(zip(PROGRAMS, PRINTED, strict=False)), ids=["sync", "asyncio"]
)
def test_a_program_of_the_readme_runs_quietly_and_prints_what_it_should(program: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


def test_the_first_program_fits_on_ten_lines() -> None:
    lines = [line for line in PROGRAMS[0].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_the_table_of_verbs_has_every_verb_of_the_command_and_no_other() -> None:
    table = README.partition("| verb | does |\n")[2].partition("\n\n")[0]
    named = {
        verb
        for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
        for verb in re.findall(r"`([a-z]+)", row)
    }
    verbs = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert named == verbs | {group.name for group in app.registered_groups}


def test_python_dash_m_cicada_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cicada", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "Usage: cicada" in done.stdout
