"""Messages are taken exactly once, whatever the network repeats, loses or overtakes, and whoever is restarted meanwhile. `make
prove` sends a million (CICADA_MESSAGES)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import pytest

from cicada.config.source import read_text
from cicada.routing.dedupe import DedupeWindow
from cicada.sim.running import Run, RunResult
from cicada.sim.scenario import Scenario
from cicada.sim.scenariofile import parse_scenario

MESSAGES: Final = int(os.environ.get("CICADA_MESSAGES", "2500"))
FILE: Final = Path(__file__).parents[2] / "configs" / "sim" / "exactly-once.toml"
LAST_WORDS: Final = 10.0  # seconds for which receipts are awaited


def scenario(messages: int) -> Scenario:
    """That of the file for so many messages, its restarts as far apart in proportion."""
    whole = parse_scenario(read_text(FILE), file=str(FILE))
    load, sim = whole.load, whole.sim
    seconds = messages / load.messages
    shorter = seconds / (sim.duration - LAST_WORDS - load.at)
    until = load.at + seconds
    return whole.model_copy(
        update={
            "sim": sim.model_copy(update={"duration": until + LAST_WORDS}),
            "load": load.model_copy(update={"until": until}),
            "faults": tuple(
                fault.model_copy(update={"at": load.at + (fault.at - load.at) * shorter})
                for fault in whole.faults
            ),
        }
    )


def result(of: Scenario) -> RunResult:
    run = Run(of, seed=1)
    while run.advance():
        pass
    return run.result()


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_nothing_acknowledged_is_lost_nothing_comes_twice_and_nothing_is_forged() -> None:
    of = scenario(MESSAGES)
    assert sum(fault.select == "2%" and fault.do == "restart" for fault in of.faults) == 5
    began = time.monotonic()
    messages = result(of).messages
    print(f"{messages.settled} messages in {time.monotonic() - began:.0f} s: {messages}")
    assert messages.settled > 0.95 * MESSAGES
    assert messages.lost == 0
    assert messages.wrong == {}
    assert messages.delivered_share > 0.95


@pytest.mark.prove
def test_a_window_that_forgets_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = DedupeWindow.judge

    def forget(self: DedupeWindow, *arguments: Any, **options: Any) -> Any:
        return judge(DedupeWindow(), *arguments, **options)

    monkeypatch.setattr(DedupeWindow, "judge", forget)
    assert result(scenario(800)).messages.wrong["twice"] > 0


@pytest.mark.prove
def test_an_ack_for_what_the_mailbox_did_not_take_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from cicada.sim.letters import Letters

    arrived = Letters.arrived
    seen = []

    def swallow(self: Letters, *arguments: Any) -> None:
        seen.append(1)
        if len(seen) % 10:
            arrived(self, *arguments)

    monkeypatch.setattr(Letters, "arrived", swallow)
    assert result(scenario(800)).messages.lost > 40
