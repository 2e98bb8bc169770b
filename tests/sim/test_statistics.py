"""The statistics are right, since reports are only as good as they are."""

from __future__ import annotations

import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse
from cicada.sim.statistics import percentile, summarize

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(VALUES)
def test_a_summary_says_what_the_standard_library_says(values: list[float]) -> None:
    summary = summarize(values)
    assert summary.count == len(values)
    assert summary.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert summary.median == pytest.approx(statistics.median(values), abs=1e-6)
    assert (summary.least, summary.most) == (min(values), max(values))
    if len(values) > 1:
        assert summary.deviation == pytest.approx(statistics.stdev(values), abs=1e-4)
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        assert summary.p90 == pytest.approx(cuts[89], abs=1e-6)
        assert summary.p99 == pytest.approx(cuts[98], abs=1e-6)


@given(VALUES, st.randoms())
def test_the_order_of_the_values_means_nothing(values: list[float], random: Random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert summarize(shuffled) == summarize(values)


def test_one_value_is_all_there_is() -> None:
    summary = summarize([3.0])
    assert (summary.mean, summary.deviation, summary.median, summary.p99) == (3.0, 0.0, 3.0, 3.0)


def test_percentiles_lie_between_neighbours() -> None:
    assert percentile([0.0, 10.0], 0.25) == 2.5
    assert percentile([1.0, 2.0, 4.0], 1.0) == 4.0
    assert percentile([1.0, 2.0, 4.0], 0.0) == 1.0


def test_nothing_has_no_summary() -> None:
    with pytest.raises(Misuse):
        summarize([])
    with pytest.raises(Misuse):
        percentile([], 0.5)
    with pytest.raises(Misuse):
        percentile([1.0], 1.5)
