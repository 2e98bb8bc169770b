"""Random histories of joins, crashes, restarts, leaves and lost links, with the ring's invariant checked after each step."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from cicada.chord.ring import Ring
from cicada.sim.trace import Fingerprint
from tests.chord.histories import KINDS, STEPS, History, run

ALL_STEPS = int(os.environ.get("CICADA_STEPS", "50000"))
SEED = int(os.environ.get("CICADA_SEED", "1"))


@pytest.mark.sized
@pytest.mark.timeout(max(120, ALL_STEPS // 500))
def test_the_invariant_holds_after_every_step_of_random_histories() -> None:
    print(f"CICADA_SEED={SEED} CICADA_STEPS={ALL_STEPS}")
    done: Counter[str] = Counter()
    for number in range(max(1, ALL_STEPS // STEPS)):
        done += run(SEED + number, min(ALL_STEPS, STEPS))
    print(dict(done))
    if ALL_STEPS >= 10 * STEPS:
        assert min(done[kind] for kind in (*KINDS, "unverified tails")) >= 10


def test_a_history_is_the_same_every_time_it_is_run() -> None:
    fingerprints = []
    for _ in range(2):
        history, fingerprint = History(SEED), Fingerprint()
        history.swarm.world.recorders.append(fingerprint)
        for _ in range(300):
            if history.rng.random() < 0.05:
                history.disturb()
            history.swarm.step()
        fingerprints.append(fingerprint.hex())
    assert fingerprints[0] == fingerprints[1]


def test_a_failure_names_the_command_that_plays_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ring, "is_nearer_successor", lambda self, peer: peer != self.peer)
    told = []
    for _ in range(2):
        with pytest.raises(
            AssertionError, match=f"replay: CICADA_SEED=2 CICADA_STEPS={STEPS} make test"
        ) as caught:
            run(2)
        told.append(str(caught.value))
    assert told[0] == told[1]
