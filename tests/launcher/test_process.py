"""Worker processes: what they are like, and how their start and end is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from launcher.process import exit_in_words

ROOT = Path(__file__).resolve().parents[2]


def outcome_of(case: str) -> dict[str, Any]:
    program = [sys.executable, "-m", "tests.launcher.process_cases", case]
    ran = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=50, check=True)
    outcome: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return outcome


def test_a_worker_that_answers_is_ready_and_a_killed_one_says_so() -> None:
    outcome = outcome_of("answers")
    assert (outcome["ready"], outcome["alive"], outcome["ended"]) == (True, True, "SIGKILL")
    assert not psutil.pid_exists(outcome["pid"])


def test_a_worker_that_ends_before_it_is_ready_is_unavailable() -> None:
    outcome = outcome_of("dies")
    assert not outcome["ready"]
    assert outcome["problem"] == "worker-0 ended before it was ready"
    assert outcome["ended"] == "exit 3"


def test_a_worker_that_is_never_ready_is_given_up_after_the_time_out() -> None:
    outcome = outcome_of("is_silent")
    assert "not ready after" in outcome["problem"]
    assert outcome["alive"]


def test_a_worker_that_finishes_exits_with_zero() -> None:
    assert outcome_of("finishes")["ended"] == "exit 0"


def test_a_worker_dumps_no_core_ignores_interrupts_and_shares_what_was_preloaded() -> None:
    outcome = outcome_of("looks_around")
    assert outcome["name"] == "worker-0"
    assert outcome["core_limit"] == 0
    assert outcome["ignores_interrupts"]
    assert outcome["preloaded"]
    assert not outcome["has_the_program"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit 0"), (70, "exit 70"), (-9, "SIGKILL"), (-250, "signal 250"), (None, "unknown")],
)
def test_an_exit_code_reads_as_words(code: int | None, words: str) -> None:
    assert exit_in_words(code) == words
