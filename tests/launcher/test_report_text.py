"""Figures as they are shown: on one screen, in order of what matters, and whatever strangers wrote harmless."""

from __future__ import annotations

import random
from math import ceil
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.events import RunStateChanged
from cicada.limits import REPORT
from launcher.plaintext import counted, duration, number, percent, plain, plain_counts, seconds
from launcher.report.fold import At, RunReport, fold
from launcher.report.histograms import Histogram, spread_of
from launcher.report.model import Summary, Threshold
from launcher.report.schema import schema_text
from launcher.report.summarize import About, summarize
from launcher.report.text import broadcast_account, degraded, lines, threshold_value
from tests.launcher.runevents import at, broken_run, encoded, ended, interval, op, started

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = Path(__file__).parent / "golden" / "report-summary.txt"
SCHEMA: Final = ROOT / "docs" / "summary.schema.json"
ABOUT: Final = About(run="chaos-20261126T101500Z-1a2b", seed=7, version="0.1.0", lines=300, bad_lines=2)


def the_summary() -> Summary:
    return summarize(fold(broken_run(12, peers=40, rate=60)), ABOUT)


def test_the_summary_of_a_broken_run_reads_as_expected(rewrite: bool) -> None:
    text = "\n".join(lines(the_summary())) + "\n"
    if rewrite:
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_it_fits_on_a_screen_and_says_first_whether_it_is_what_was_asked_for() -> None:
    text = lines(the_summary())
    assert len(text) <= 40
    assert max(map(len, text)) <= 130
    order = [text.index(title) for title in ("thresholds", "expectations", "run")]
    assert order == sorted(order)
    assert text[text.index("thresholds") + 1].startswith("  MISSED")


def test_the_published_schema_is_that_of_the_summary(rewrite: bool) -> None:
    if rewrite:
        SCHEMA.write_text(schema_text())
    assert SCHEMA.read_text() == schema_text()


def test_a_summary_is_read_back_as_it_was_written() -> None:
    summary = the_summary()
    written = msgspec.json.encode(summary)
    assert msgspec.json.decode(written, type=Summary) == summary
    response = msgspec.json.decode(written)["loads"][0]["overall"]["response"]
    assert {"p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max", "mean"} <= set(response)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 3_000_000_000), min_size=1, max_size=60))
def test_percentiles_are_those_of_the_sorted_values_as_coarse_as_a_histogram_is(values: list[int]) -> None:
    reference: Any = HdrHistogram(1, 3_600_000_000, 3)
    spread, shares = spread_of([encoded(values)]), (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
    ranked = sorted(values)
    expected = [ranked[max(0, ceil(share * len(values)) - 1)] for share in shares]
    found = spread.at(shares)
    assert found == pytest.approx([reference.get_highest_equivalent_value(one) / 1e6 for one in expected])
    assert found == pytest.approx([one / 1e6 for one in expected], rel=0.001)
    assert (spread.total, spread.max) == (len(values), found[-1])
    assert spread.mean == pytest.approx(sum(values) / len(values) / 1e6, rel=0.001, abs=1e-6)


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(1, 5_000_000), min_size=1, max_size=20), min_size=1, max_size=5))
def test_histograms_add_up_to_that_of_all_values(parts: list[list[int]]) -> None:
    merged = Histogram()
    for part in parts:
        assert merged.add(encoded(part))
    together = [value for part in parts for value in part]
    assert merged.encoded() == encoded(together)
    assert merged.spread() == spread_of([encoded(together)])


def test_what_a_stranger_wrote_moves_no_cursor_and_is_bounded() -> None:
    hostile = "\x1b[2J\r\n\u202egone\ud800" + "x" * 1000
    summary = summarize(
        fold(
            [
                at(0.0, started(warmup_s=0.0)),
                at(1.0, interval(0.0, [op("send", [1000], failed=7, failures={hostile: 7})])),
                at(2.0, ended()),
            ]
        )
    )
    text = "\n".join(lines(summary))
    assert not set("\x1b\r\u202e\ud800") & set(text)
    assert "gone" in text
    assert all(len(reason) <= REPORT.text for reason in summary.loads[0].overall.failures)


def test_many_reasons_are_the_most_frequent_ones_and_one_sum() -> None:
    counts = {f"reason {index}": index for index in range(1, 101)}
    shown = plain_counts(counts, 10)
    assert sum(shown.values()) == sum(counts.values())
    assert list(shown) == [f"reason {index}" for index in range(100, 90, -1)] + ["of other kinds"]


def test_rows_beyond_the_bound_are_counted() -> None:
    states = tuple(At(at_s=float(n), event=RunStateChanged(state="proven")) for n in range(REPORT.rows + 3))
    summary = summarize(RunReport(start_ms=1, states=states))
    assert (len(summary.ring), summary.recording.left_out) == (REPORT.rows, 3)


def test_the_ring_is_degraded_only_after_it_was_proven_and_until_it_is_again() -> None:
    assert [(round(start, 3), round(end, 3)) for start, end in degraded(the_summary())] == [
        (8.3, 8.6),
        (10.8, 12.6),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (0.0000123, "12.3 us"),
        (0.00456, "4.56 ms"),
        (0.999, "999 ms"),
        (1.5, "1.5 s"),
        (75.25, "75.2 s"),
        (125.0, "2 min 5 s"),
        (-0.25, "-250 ms"),
        (None, "-"),
    ],
)
def test_times_have_three_digits_and_a_unit(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (duration(0.4), "0.4 s"),
        (duration(59.94), "59.9 s"),
        (duration(59.96), "1 min"),
        (duration(3599.7), "1 h"),
        (duration(3600.0), "1 h"),
        (duration(3725.0), "1 h 2 min 5 s"),
        (counted(1200, "peer"), "1,200 peers"),
        (counted(1, "peer"), "1 peer"),
        (number(1234567), "1,234,567"),
        (number(999.7), "1,000"),
        (number(999.4), "999"),
        (number(0.12345), "0.123"),
        (number(-3.0), "-3"),
        (percent(0.99995), "> 99.99%"),
        (percent(1.0), "100%"),
        (percent(0.00001), "< 0.01%"),
        (percent(0.0), "0%"),
        (plain("a\tb"), "a b"),
        (plain("x" * 500, 10), "x" * 9 + "…"),
    ],
)
def test_numbers_read_well_and_never_better_than_they_are(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize(
    ("threshold", "value", "text"),
    [
        ("send.p99 < 50ms", 0.0312, "31.2 ms"),
        ("send.p99 < 1 s", 0.0312, "31.2 ms"),
        ("delivered.rate >= 99.9%", 0.99954, "99.95%"),
        ("delivered.rate >= 0.999", 0.99954, "0.99954"),
        ("rate > 100/s", 98.25, "98.25"),
        ("lost < 1", 3.0, "3"),
    ],
)
def test_a_threshold_is_answered_in_its_own_unit(threshold: str, value: float, text: str) -> None:
    one = Threshold(threshold=threshold, value=value, held=True, final=True, at_s=1.0)
    assert threshold_value(one) == text


def test_how_far_broadcasts_were_at_what_time_is_told() -> None:
    broadcasts = {"sent": 2, "reached": 40, "expected": 40, "complete": 2}
    times = {"spread_p50_us": 16_447, "spread_p99_us": 8_486_911, "spread_max_us": 10_379_263}
    assert broadcast_account(broadcasts) == "2 of 2 reached everybody; 40 of 40 peers (100%)"
    text = broadcast_account(broadcasts | times)
    assert text.endswith("; half of them after 16.4 ms, 99% after 8.49 s, the last after 10.4 s")


def test_a_closed_load_and_one_that_the_generator_held_up_say_so() -> None:
    chance = random.Random(1)
    told = [
        at(0.0, started(model="closed", users=50, think_s=0.1, warmup_s=0.0, ops={"send": 1.0})),
        at(
            1.0,
            interval(0.0, [op("send", [chance.randrange(1000, 9000) for _ in range(50)], late=9, dropped=4)]),
        ),
        at(
            2.0,
            ended(
                verdict="the processors were busy all the time",
                copies={"intact": 40, "lost": 3},
                died=("worker-1",),
            ),
        ),
    ]
    text = "\n".join(lines(summarize(fold(told))))
    assert "closed model, 50 users, 100 ms between two operations" in text
    assert "VERDICT     the processors were busy all the time" in text
    assert "9 of 50 operations began late, 4 never" in text
    assert "copies      40 intact, 3 lost" in text
    assert "died        worker-1" in text


@given(st.floats(1e-6, 99.0))
def test_a_short_time_has_no_power_of_ten(value: float) -> None:
    assert "e" not in seconds(value)
    assert "e" not in number(value * 1000)


def test_a_time_that_rounds_up_to_a_unit_is_one_of_it() -> None:
    assert (seconds(0.9996), seconds(0.9994)) == ("1 s", "999 ms")
    assert (seconds(0.0009996), seconds(0.0009994)) == ("1 ms", "999 us")
