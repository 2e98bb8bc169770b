"""Churn models: their rates are those that were asked for, and nobody dies twice."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.config.timeline import Fault
from launcher.faults.churn import Turn, churn
from launcher.faults.traces import Step

POOL = tuple(f"core-{number}" for number in range(100))
LONG = 10_000.0


def poisson(until: float = LONG, failures: float = 0.5, **more: float) -> Fault:
    return Fault.model_validate(
        {"do": "churn", "model": "poisson", "failures": failures, "until": until, **more}
    )


def pareto(until: float = LONG, lifetime: float = 200.0, **more: float) -> Fault:
    return Fault.model_validate(
        {"do": "churn", "model": "pareto", "lifetime": lifetime, "until": until, **more}
    )


def turns(fault: Fault, seed: int = 1, keep: int = 0, pool: tuple[str, ...] = POOL) -> list[Turn]:
    return churn(fault, pool, Random(seed), keep=keep)


def failures(found: list[Turn]) -> list[Turn]:
    return [turn for turn in found if not turn.up]


@pytest.mark.parametrize("rate", [0.1, 1.0, 5.0])
def test_poisson_failures_come_at_their_rate_with_gaps_as_spread_as_they_are_long(rate: float) -> None:
    found = failures(turns(poisson(failures=rate, **{"for": 1.0})))
    expected = rate * LONG
    assert len(found) == pytest.approx(expected, abs=4 * expected**0.5)
    gaps = [later.at - turn.at for turn, later in pairwise(found)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert spread / mean == pytest.approx(1.0, abs=0.1)


def test_poisson_joins_bring_back_who_is_down_the_longest() -> None:
    found = turns(poisson(failures=0.5, joins=0.5), keep=10)
    down: list[str] = []
    for turn in found:
        if turn.up:
            assert down.pop(0) == turn.peer
        else:
            down.append(turn.peer)
    joins = len(found) - len(failures(found))
    assert joins == pytest.approx(0.5 * LONG, rel=0.1)


def test_who_failed_is_back_after_the_time_that_was_said_and_not_at_all_when_none_was() -> None:
    found = turns(poisson(until=100.0, **{"for": 7.0}))
    for turn in failures(found):
        back = next(other for other in found if other.up and other.peer == turn.peer and other.at > turn.at)
        assert back.at == pytest.approx(turn.at + 7.0)
    alone = turns(poisson(until=100.0))
    assert alone
    assert not [turn for turn in alone if turn.up]


@pytest.mark.parametrize("shape", [2.0, 3.0, 5.0])
def test_pareto_lives_are_as_long_as_asked_for_in_the_mean_from_the_beginning_on(shape: float) -> None:
    away = 20.0
    found = failures(turns(pareto(shape=shape, **{"for": away})))
    expected = len(POOL) * LONG / (200.0 + away)
    assert len(found) == pytest.approx(expected, rel=0.1)
    early = failures(turns(pareto(until=100.0, lifetime=200.0, shape=shape, **{"for": 1.0})))
    assert len(early) == pytest.approx(100 * 100 / 200, abs=25)  # no burst and no lull at first


@pytest.mark.parametrize("shape", [1.001, 1.0 + 2**-52])
def test_who_lives_longer_than_any_number_says_never_fails(shape: float) -> None:
    found = failures(turns(pareto(until=600.0, shape=shape)))
    assert len({turn.peer for turn in found}) == len(found) < len(POOL)


def test_pareto_lives_are_of_heavy_tail() -> None:
    found = turns(pareto(shape=2.0, lifetime=10.0, **{"for": 1.0}))
    ups = {}
    lives = []
    for turn in found:
        if turn.up:
            ups[turn.peer] = turn.at
        elif turn.peer in ups:
            lives.append(turn.at - ups[turn.peer])
    over = sum(life > 90.0 for life in lives) / len(lives)
    assert over == pytest.approx((1 + 90.0 / 10.0) ** -2.0, rel=0.3)  # an exponential one: 0.0001


@given(
    st.integers(0, 2**32),
    st.integers(0, 5),
    st.sampled_from(
        [
            poisson(until=60.0, failures=2.0, joins=1.0),
            poisson(until=60.0, failures=2.0, **{"for": 3.0}),
            poisson(until=60.0, failures=2.0),
            pareto(until=60.0, lifetime=5.0, **{"for": 3.0}),
            pareto(until=60.0, lifetime=5.0),
        ]
    ),
)
def test_nobody_fails_who_is_down_or_comes_back_who_is_up_and_some_stay(
    seed: int, keep: int, fault: Fault
) -> None:
    pool = POOL[:8]
    found = turns(fault, seed, keep, pool)
    assert found == turns(fault, seed, keep, pool)
    down: set[str] = set()
    for turn in found:
        assert turn.up == (turn.peer in down)
        (down.remove if turn.up else down.add)(turn.peer)
        assert len(pool) - len(down) >= keep
    assert [turn.at for turn in found] == sorted(turn.at for turn in found)


def test_a_trace_says_nothing_twice_and_ends_when_it_is_told_to() -> None:
    fault = Fault.model_validate({"at": 5.0, "do": "churn", "model": "trace", "file": "t", "until": 20.0})
    steps = [(1.0, "core-1", False), (2.0, "core-1", False), (3.0, "core-2", True), (15.0, "core-1", True)]
    trace = tuple(Step(at=at, peer=peer, up=up) for at, peer, up in steps)
    assert churn(fault, POOL, Random(1), keep=0, trace=trace) == [Turn(at=6.0, peer="core-1", up=False)]
