"""A real swarm that is offered many times what it can carry: everything is accounted for, and it comes back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from benchmarks.overload import Outcome, overload, report
from cicada.events import WHY_DROPPED
from tests.launcher.swarms import free_ports

SECONDS = float(os.environ.get("CICADA_OVERLOAD", "2"))
IS_FULL = SECONDS >= 60.0
PEERS = 200 if IS_FULL else 20
SENT_A_SECOND = 60_000.0
REFUSED = "more messages are on their way than can be carried: await receipts, or send later"


@pytest.mark.prove
@pytest.mark.timeout(6 * SECONDS + 400)
def test_a_swarm_that_is_offered_too_much_accounts_for_everything_and_recovers(tmp_path: Path) -> None:
    outcome = asyncio.run(
        overload(
            peers=PEERS,
            workers=2,
            first_port=free_ports(PEERS),
            seconds=SECONDS,
            factor=10.0,
            capacity=0.0 if IS_FULL else SENT_A_SECOND / 10.0,
            warm=60.0 if IS_FULL else 1.0,
            folder=tmp_path / "run",
        )
    )
    assert_accounted_for(outcome)
    assert outcome.recovered_after(worst=1.0) is not None
    if IS_FULL:
        assert outcome.memory_growth() <= 0.10
        recovered = report(outcome)["recovered_after_s"]
        assert isinstance(recovered, float)
        assert recovered <= 5.0


def assert_accounted_for(outcome: Outcome) -> None:
    """Every message was delivered or failed with a reason, every drop has one that is explained, and nothing restarted."""
    load, messages = outcome.load, outcome.after.messages
    assert load.acknowledged > 0
    assert load.acknowledged_lost == load.duplicated == load.wrong_peer == load.altered == 0
    assert load.failed == sum(load.failures.values())
    assert all(load.failures)
    assert load.failures.get(REFUSED, 0) > 0, "the swarm carried ten times what it can carry"
    assert messages.sent == messages.delivered + messages.failed
    assert set(outcome.dropped) <= set(WHY_DROPPED)
    assert outcome.dropped["sends-refused"] >= load.failures[REFUSED]
    assert outcome.after.restarts == outcome.before.restarts
