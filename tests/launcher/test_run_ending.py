"""How a run ended: its exit code, and what is said."""

from __future__ import annotations

import pytest

from launcher.exits import Exit
from launcher.run import Ending, ending_lines


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending(), Exit.OK),
        (Ending(missed=("send.p99 < 50ms: 70 ms",)), Exit.THRESHOLD),
        (Ending(missed=("ring_proven",), problems=("the load could not be run: no room",)), Exit.FAILURE),
        (Ending(missed=("ring_proven",), died=("core-1 (SIGKILL)",)), Exit.FAILURE),
        (Ending(complete=False), Exit.FAILURE),
        (Ending(lost="worker-0 died too often", died=("core-1",)), Exit.SWARM_LOST),
        (Ending(interrupted=True, complete=False), Exit.INTERRUPTED),
        (Ending(interrupted=True, problems=("events are missing",)), Exit.FAILURE),
    ],
)
def test_what_went_most_wrong_decides_the_exit_code(ending: Ending, code: Exit) -> None:
    assert ending.code is code


def test_whatever_the_exit_code_all_that_went_wrong_is_said() -> None:
    ending = Ending(
        died=("core-1 (SIGKILL)",),
        missed=("ring_proven at the end",),
        failed=2,
        problems=("the load could not be run: no room", "the swarm has ended; 9 events are missing"),
        complete=False,
    )
    assert list(ending_lines(ending)) == [
        "died and was not brought back: core-1 (SIGKILL)",
        "missed: ring_proven at the end",
        "2 occurrences of the timeline could not be done",
        "ended before the timeline of the configuration was over",
        "the load could not be run: no room",
        "the swarm has ended; 9 events are missing",
    ]
