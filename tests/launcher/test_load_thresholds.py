"""Thresholds say what they mean, or what is wrong with them; the verdict says when the figures are not the swarm's."""

from __future__ import annotations

import operator
from collections import Counter

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import Threshold
from cicada.config.thresholds import METRICS, Unit, condition_in
from cicada.errors import Misuse
from cicada.limits import LOAD
from launcher.load.figures import Figures, OpFigures
from launcher.load.hdr import encode
from launcher.load.histogram import highest_in, lowest_in, mean, percentile, slot_for, slot_of
from launcher.load.plan import NO_SOURCE, TOO_MANY
from launcher.load.thresholds import check, figure
from launcher.load.verdict import Strain, verdict

TIMES = Counter(slot_for(milliseconds / 1000) for milliseconds in range(1, 101))
FIGURES = Figures(
    seconds=10.0,
    ops={
        "send": OpFigures(
            started=1000,
            succeeded=950,
            failed=50,
            late=3,
            dropped=2,
            response=TIMES,
            service=Counter([slot_of(500)]),
        ),
        "lookup": OpFigures(started=100, succeeded=100),
    },
    messages={"sent": 1000, "delivered": 980, "lost": 20, "duplicated": 0, "to_absent": 20},
    hops=Counter({1: 3, 3: 1}),
    broadcasts={"sent": 4, "reached": 90, "expected": 100, "complete": 3},
    lookups={"right": 99, "wrong": 1, "unsure": 5, "failed": 0},
)


@pytest.mark.parametrize(
    ("text", "value", "held"),
    [
        ("send.p99 < 50ms", 0.099, False),
        ("send.p50 <= 51ms", 0.05, True),
        ("send.max < 1s", 0.1, True),
        ("send.mean < 60ms", 0.0505, True),
        ("send.service.p99 < 1ms", 0.0005, True),
        ("send.rate >= 100/s", 95.0, False),
        ("send.rate >= 90", 95.0, True),
        ("send.errors < 1%", 0.05, False),
        ("send.late == 3", 3, True),
        ("lookup.p99 < 1s", None, False),
        ("broadcast.p99 < 1s", None, False),
        ("broadcast.coverage >= 0.99", 0.9, False),
        ("broadcast.complete >= 75%", 0.75, True),
        ("lookup.right >= 99%", 0.99, True),
        ("lookup.wrong == 0", 1, False),
        ("delivered.rate >= 0.999", 0.98, False),
        ("delivered.present >= 0.999", 1.0, True),
        ("errors.rate < 5%", 50 / 1100, True),
        ("lost == 0", 20, False),
        ("duplicated == 0", 0, True),
        ("altered == 0", None, False),
        ("dropped != 0", 2, True),
        ("late > 3", 3, False),
        ("hops.mean < 2", 1.5, True),
        ("hops.max <= 3", 3, True),
    ],
)
def test_a_threshold_is_compared_with_its_figure_and_without_one_it_does_not_hold(
    text: str, value: float | None, held: bool
) -> None:
    (found,) = check([Threshold(text)], FIGURES)
    assert found.value == (None if value is None else pytest.approx(value, rel=2e-3))
    assert found.held is held


@pytest.mark.parametrize("metric", METRICS)
def test_no_metric_has_a_figure_when_nothing_was_measured(metric: str) -> None:
    assert figure(metric, Figures()) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("send.p98 < 50ms", "did you mean 'send.p9"),
        ("sned.p99 < 50ms", "did you mean 'send.p99'"),
        ("lookup.wrog == 0", "did you mean 'lookup.wrong'"),
        ("send.zzzzzz == 0", "there is send.p50"),
        ("send.p99 < 50", "send.p99 is a time, as 50ms, not '50'"),
        ("send.p99 < fast", "a time"),
        ("delivered.rate > 2", "a share"),
        ("delivered.rate > 120%", "a share"),
        ("lost == -1", "a number"),
        ("lost == nan", "a number"),
        ("send.rate > 1..2", "a rate"),
        ("send.p99 50ms", "is not a threshold"),
        ("", "is not a threshold"),
        ("send.p99 < 50ms < 60ms", "a time"),
    ],
)
def test_a_threshold_that_means_nothing_says_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(Misuse, match=problem):
        condition_in(text)


VALUES = {Unit.TIME: "ms", Unit.SHARE: "%", Unit.RATE: "/s", Unit.COUNT: ""}
SIGNS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@given(
    st.sampled_from(sorted(METRICS)), st.sampled_from(sorted(SIGNS)), st.integers(0, 100), st.floats(0, 1e6)
)
def test_a_condition_holds_as_its_sign_says(metric: str, sign: str, number: int, value: float) -> None:
    unit = METRICS[metric]
    condition = condition_in(f" {metric}{sign}{number}{VALUES[unit]} ")
    scale = {Unit.TIME: 1000, Unit.SHARE: 100}.get(unit, 1)
    assert condition.value == pytest.approx(number / scale)
    assert condition.holds(value) is SIGNS[sign](value, condition.value)


def ops(started: int, late: int = 0, dropped: int = 0, reason: str = TOO_MANY) -> dict[str, OpFigures]:
    return {"send": OpFigures(started=started, late=late, dropped=dropped, drops=Counter({reason: dropped}))}


def test_the_verdict_is_silent_while_the_generator_keeps_up() -> None:
    strain = Strain().after(10.0, 0.99, 0.5)
    assert verdict(ops(1000, late=10), strain) == ""
    assert verdict(ops(1000, dropped=500, reason=NO_SOURCE), strain) == ""
    assert verdict({}, Strain()) == ""


def test_the_verdict_names_the_bottleneck_and_what_to_do() -> None:
    strain = Strain().after(1.0, 0.96, 0.0).after(1.0, 1.0, 0.02)
    assert verdict(ops(1000, late=120), strain) == (
        "results unreliable: the generator was late for 12% of the starts (processors 98% busy): "
        "offer less, or use more cores"
    )
    calm = Strain().after(4.0, 0.25, 2.5)
    assert verdict(ops(500, dropped=500), calm) == (
        "results unreliable: 50% of the operations never began (processors 25% busy, its loop stood still for up to 2.5 s): "
        "offer less, or see what else this machine does"
    )


def test_the_verdict_knows_a_generator_that_was_frozen_on_purpose() -> None:
    strain = Strain().after(1.0, 0.2, 3.0, frozen=True).after(1.0, 0.2, 0.0)
    assert verdict(ops(100, late=50), strain).endswith(
        "a worker was frozen meanwhile, and its generator with it"
    )


@given(st.integers(0, LOAD.histogram_max))
def test_a_slot_counts_values_that_differ_by_a_thousandth_at_most(value: int) -> None:
    slot = slot_of(value)
    assert lowest_in(slot) <= value <= highest_in(slot)
    assert highest_in(slot) - lowest_in(slot) <= value / 1000


@given(st.lists(st.integers(1, LOAD.histogram_max), min_size=1, max_size=60))
def test_histograms_are_those_of_the_package_that_others_read_them_with(values: list[int]) -> None:
    theirs = HdrHistogram(1, LOAD.histogram_max, 3)
    for value in values:
        theirs.record_value(value)
    ours = Counter(map(slot_of, values))
    read = HdrHistogram.decode(encode(ours))
    assert read.get_total_count() == len(values)
    assert list(read.counts) == list(theirs.counts)
    longest = percentile(ours, 1.0)
    assert longest is not None
    assert longest * 1e6 == pytest.approx(theirs.get_value_at_percentile(100), rel=1e-9)


def test_a_histogram_of_nothing_has_no_percentile_and_no_text() -> None:
    assert (percentile(Counter(), 0.5), mean(Counter()), encode(Counter())) == (None, None, "")
