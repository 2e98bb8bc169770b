"""Rates and reasons in the account of a load."""

from __future__ import annotations

import pytest

from cicada.commands import Stage
from cicada.limits import LOAD
from tests.launcher.load_cases import Account, plan
from tests.launcher.test_load_account import added


@pytest.mark.parametrize("rate", [0.3, 1.0, 7.0, 100.0])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_load_that_began_on_time_has_the_rate_that_was_asked_for(rate: float, count: int) -> None:
    load = plan(rate=rate, count=count)
    account = Account(load)
    for shot in load.shots():
        account.started(shot, 0.0)
    total = added(load, [account])
    assert total.seconds == pytest.approx(count / rate)
    assert total.achieved_rate == pytest.approx(rate)


def test_the_time_of_a_load_that_was_stopped_ends_where_the_next_operation_would_have_begun() -> None:
    load = plan(stages=(Stage(1.0, 10.0, 10.0), Stage(10.0, 2.0, 2.0)))
    account = Account(load)
    for shot in list(load.shots())[:12]:
        account.started(shot, 0.0)
    assert added(load, [account]).seconds == pytest.approx(2.0)


def test_reasons_that_begin_alike_beyond_what_is_kept_of_them_are_one_in_both_lives_of_a_worker() -> None:
    load = plan()
    account = Account(load)
    long = "x" * LOAD.reason_bytes
    first, *others = list(load.shots())[:4]
    account.failed(first, long + "1")
    account.failed(others[0], long + "2")
    again = account.lives_on()
    again.failed(others[1], long + "1")
    assert again.ledger.main.ops["send"].failures() == {long: 3}
