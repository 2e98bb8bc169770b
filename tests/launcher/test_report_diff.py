"""Two runs compared: what changed, and whether it changed more than it may."""

from __future__ import annotations

import contextlib
import random
from functools import cache
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.errors import Misuse
from cicada.events import LoadInterval, RunStateChanged
from launcher.report.conditions import parse_condition, percent_change
from launcher.report.diff import Diff, diff, diff_lines
from launcher.report.fold import fold
from launcher.report.model import Summary
from launcher.report.summarize import About, summarize
from tests.launcher.runevents import at, broken_run, ended, interval, op, started


@cache
def small(seed: int, name: str = "") -> Summary:
    """A load of two seconds that depends on the seed."""
    chance = random.Random(seed)

    def times() -> list[int]:
        return [chance.randrange(1, 900_000) for _ in range(chance.randrange(0, 9))]

    def second(start: float) -> LoadInterval:
        return interval(start, [op("send", times(), failed=chance.randrange(3)), op("lookup", times())])

    messages = {"sent": 100, "lost": chance.randrange(3), "delivered": 100}
    told = [
        at(0.0, started(warmup_s=0.0)),
        at(1.0, second(0.0)),
        at(2.0, second(1.0)),
        at(3.0, ended(messages=messages)),
        at(3.0, RunStateChanged(state="stopped")),
    ]
    return summarize(fold(told), About(run=name))


def exactly(p99_ms: float, rate: int, lost: int = 0) -> Summary:
    told = [
        at(0.0, started(warmup_s=0.0, ops={"send": 1.0})),
        at(1.0, interval(0.0, [op("send", [round(p99_ms * 1000)] * rate)])),
        at(2.0, ended(messages={"sent": rate, "delivered": rate - lost, "lost": lost})),
    ]
    return summarize(fold(told))


SEEDS: Final = st.integers(0, 30)


@settings(max_examples=30)
@given(SEEDS)
def test_a_run_does_not_differ_from_itself(seed: int) -> None:
    summary = small(seed)
    found = diff(summary, summary)
    assert len(found.rows) > 50
    for row in found.rows:
        assert row.a == row.b
        assert (row.delta, row.delta_percent) == ((None, None) if row.a is None else (0.0, 0.0))


@settings(max_examples=30)
@given(SEEDS, SEEDS)
def test_the_way_back_has_the_other_sign(one: int, other: int) -> None:
    forth = {row.metric: row for row in diff(small(one), small(other)).rows}
    back = {row.metric: row for row in diff(small(other), small(one)).rows}
    assert set(forth) == set(back)
    for name, row in forth.items():
        assert (row.a, row.b) == (back[name].b, back[name].a)
        if row.delta is not None:
            assert back[name].delta == pytest.approx(-row.delta)


@settings(max_examples=30)
@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_change_in_per_cent_has_the_sign_of_the_change(before: float, after: float) -> None:
    change = percent_change(before, after)
    assert (change > 0, change < 0) == (after > before, after < before)


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("p99 > +10%", True),
        ("p99 > +60%", False),
        ("send.p99>+10%", True),
        ("send.p99 > 50ms", False),
        ("send.p99 > 14 ms", True),
        ("send.p99 >= 0.014s", True),
        ("p99 > +4ms", True),
        ("p99 > +6ms", False),
        ("p99.9 > +10%", True),
        ("service.p50 > 1ms", True),
        ("rate < -5%", True),
        ("rate < -20%", False),
        ("rate < 95", True),
        ("rate < -5", True),
        ("lost > 0", True),
        ("messages.lost > 2", False),
        ("lost > +10%", True),  # from none to two
        ("duplicated > 0", False),
        ("failed > 0", False),
        ("delivered.rate < 0.999", True),
        ("delivered.present < 0.999", True),
        ("errors.rate > 0", False),
        ("send.errors > +0%", False),
        ("broadcast.coverage < 0.999", True),
        ("lookup.wrong > 0", False),
        ("run.restarts > 0", False),
        ("thresholds_missed > 0", False),
    ],
)
def test_conditions_are_about_the_change_or_the_second_runs_own_value(condition: str, met: bool) -> None:
    found = diff(exactly(10, 100), exactly(15, 90, lost=2), [parse_condition(condition)])
    assert found.failed is met
    (checked,) = found.conditions
    assert checked.condition == condition


def test_a_load_that_broke_off_without_an_account_is_not_known_to_have_lost_nothing() -> None:
    before = exactly(10, 100)
    told = [at(0.0, started()), at(1.0, interval(0.0, [op("send", [1000] * 9)]))]
    broken_off = ended(outcome="failed", messages={}, hops={}, copies={}, broadcasts={}, lookups={})
    found = diff(before, summarize(fold([*told, at(2.0, broken_off)])), [parse_condition("lost > 0")])
    assert (found.failed, found.conditions[0].b) == (True, None)


def test_a_condition_without_a_figure_is_met_as_nobody_knows_that_it_is_not() -> None:
    conditions = [parse_condition("send.p99 > +10%"), parse_condition("lost > 0")]
    silent = summarize(fold([at(0.0, started()), at(1.0, interval(0.0, [op("send", [], failed=3)]))]))
    found = diff(exactly(10, 100), silent, conditions)
    assert [checked.met for checked in found.conditions] == [True, True]
    assert [checked.b for checked in found.conditions] == [None, None]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("p99", "write a figure, a comparison and a bound"),
        ("", "write a figure, a comparison and a bound"),
        ("p99 > 10%", "write 'p99 > +10%'"),
        ("rate < 5%", "write 'rate < -5%'"),
        ("delivered.rate < 99.9%", "for a share itself 'delivered.rate < 0.999'"),
        ("p99 == +10%", "as 'p99 > +10%'"),
        ("p99 = 10%", "as 'p99 > +10%'"),
        ("lost != 0", "as 'lost > 0'"),
        ("p99 > fast", "'fast' is no bound"),
        ("p99 > 10 parsecs", "'parsecs' is no unit"),
        ("p99 > 10", "p99 is a time: write 10ms or 10s"),
        ("lost > 10ms", "lost is no time (count)"),
        ("sned.p99 > +10%", "did you mean 'send.p99'?"),
        ("losst > 0", "did you mean 'lost'?"),
        ("zzzzzz > 0", "there are"),
    ],
)
def test_a_wrong_condition_is_answered_with_a_right_one(condition: str, words: str) -> None:
    with pytest.raises(Misuse) as caught:
        diff(exactly(10, 100), exactly(10, 100), [parse_condition(condition)])
    assert str(caught.value).startswith(f"--fail-if {condition!r}: ")
    assert words in str(caught.value)


@settings(max_examples=30)
@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_a_misuse(text: str) -> None:
    with contextlib.suppress(Misuse):
        assert parse_condition(text).text == text.strip()


def test_several_loads_have_numbers_and_a_condition_is_about_each() -> None:
    told = [
        at(0.0, started(1, warmup_s=0.0)),
        at(1.0, interval(0.0, [op("send", [1000])], load=1)),
        at(2.0, ended(1)),
        at(3.0, started(2, warmup_s=0.0)),
        at(4.0, interval(0.0, [op("send", [90_000])], load=2)),
        at(5.0, ended(2)),
    ]
    summary = summarize(fold(told))
    found = diff(summary, summary, [parse_condition("send.p99 > 50ms")])
    assert [(one.metric, one.met) for one in found.conditions] == [
        ("load1.send.p99", False),
        ("load2.send.p99", True),
    ]
    assert found.failed


def test_what_makes_a_comparison_doubtful_is_said() -> None:
    cut = summarize(fold(broken_run(6, peers=20, rate=40)[:-3]))
    notes = " / ".join(diff(exactly(10, 100), cut).notes)
    assert "B is incomplete" in notes
    assert "load 1 is another load in A than in B" in notes
    assert "200 peers in A and 20 in B" in notes
    assert diff(summarize(fold([])), exactly(1, 1)).notes[0] == "A has no load"


def test_people_see_conditions_first_and_programs_get_all_figures() -> None:
    found = diff(small(1, "one"), small(2, "two"), [parse_condition("p99 > +0.1%")])
    text = diff_lines(found)
    assert text[:2] == ["A  one", "B  two"]
    assert text[2].split()[0] in {"ok", "FAILED"}
    assert any(line.startswith("send.p99.9 ") for line in text)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Diff) == found
