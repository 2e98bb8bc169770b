"""The programs of docs/testing.md and of the package's docstring run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final

import pytest

import cicada.peer  # noqa: F401  # pytester forgets what its runs load, and libzmq bears no second loading
from cicada import testing

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parent.parent.parent
PLUGIN: Final = ("-p", "cicada.testing.plugin", "-p", "no:cicada", "-p", "no:cacheprovider")
PAGE: Final = (ROOT / "docs" / "testing.md").read_text()
BLOCKS: Final = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PROGRAMS: Final = [block for block in BLOCKS if "cicada_swarm" not in block]
TESTS: Final = [
    *(block for block in BLOCKS if "cicada_swarm" in block),
    *(textwrap.dedent(block) for block in re.findall(r"::\n\n((?:    .*\n|\n)+)", f"{testing.__doc__}\n")),
]


def test_there_are_blocks_of_both_kinds() -> None:
    assert (len(PROGRAMS), len(TESTS)) == (4, 3)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_of_the_page_runs_quietly(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize("block", TESTS, ids=range(len(TESTS)))
def test_the_tests_of_a_block_pass(pytester: pytest.Pytester, block: str) -> None:
    pytester.syspathinsert(ROOT)
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    pytester.makepyfile(block)
    expected = len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE))
    assert expected > 0
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=expected)


def test_what_a_failing_report_says_is_shown_as_it_is() -> None:
    assert "\nthe seed of cicada_swarm was 7: --cicada-seed=7 uses it again\n" in PAGE
