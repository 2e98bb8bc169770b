"""A report holds what the events say, however they came, and nothing else."""

from __future__ import annotations

import io
import random
from functools import cache
from itertools import pairwise
from typing import Final, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.events import (
    AnyEvent,
    Envelope,
    EventsLost,
    FaultEnded,
    LoadEnded,
    LoadInterval,
    LoadStarted,
    OpInterval,
    PeerStarted,
    PeerStopped,
    PinMade,
    RunStateChanged,
    ThresholdChecked,
)
from launcher.report.eventlines import LineCounts, envelopes
from launcher.report.fold import FOLDED, RunReport, fold
from launcher.report.model import Load, Op, Summary
from launcher.report.summarize import About, summarize
from tests.launcher.runevents import at, broken_run, ended, fault, fault_end, interval, lines, op, started

CUTS: Final = 40


@cache
def short_run() -> tuple[Envelope, ...]:
    return tuple(broken_run(6, peers=20, rate=40))


@cache
def recording() -> bytes:
    return lines(short_run())


def read(content: bytes) -> tuple[RunReport, LineCounts]:
    counts = LineCounts()
    return fold(envelopes(io.BytesIO(content), counts)), counts


def summary_of(*told: Envelope) -> Summary:
    return summarize(fold(told))


def the_load(*told: Envelope) -> Load:
    (load,) = summary_of(*told).loads
    return load


def test_events_that_a_report_does_not_need_change_nothing() -> None:
    needed = [envelope for envelope in short_run() if not isinstance(envelope.event, PinMade)]
    assert len(needed) < len(short_run())
    assert read(recording())[0] == fold(needed) == fold(short_run())


def test_every_kind_that_a_report_lists_is_decoded_and_no_other_kind() -> None:
    listed = set(RunReport.__struct_fields__) - {"start_ms", "seconds", "loads", "peers"}
    of_loads = {LoadStarted, LoadInterval, LoadEnded, ThresholdChecked}
    assert len(FOLDED - of_loads - {PeerStarted, PeerStopped}) == len(listed)
    assert {*of_loads, PeerStarted, PeerStopped, EventsLost} < FOLDED
    for kind in get_args(AnyEvent):
        broken = (
            b'{"source":"worker-0","event":{"event":"%s","of":"a later version"}}\n' % kind.__name__.encode()
        )
        assert read(broken + recording())[1].bad == (kind in FOLDED)


def test_lines_of_other_kinds_are_not_decoded_but_for_the_last_which_ends_the_axis() -> None:
    odd = b'{"source":"worker-0","event":{"event":"PinMade","of":"a later version"}}\n'
    first, *rest = recording().splitlines(keepends=True)
    assert read(first + odd + b"".join(rest)) == (fold(short_run()), LineCounts(read=len(rest) + 2))
    last = at(99.0, PinMade(address="127.0.0.1:2000", key="0"), peer="core-1")
    assert read(recording() + lines([last]))[0].seconds == 99.0
    assert read(recording() + odd)[1].bad == 1


def test_the_axis_begins_with_the_first_event_and_a_load_has_its_place_on_it() -> None:
    report = fold(
        [at(0.0, RunStateChanged(state="starting")), at(6.5, started()), at(7.5, interval(0.0, []))]
    )
    assert report.seconds == 7.5
    (load,) = report.loads
    assert load.offset_s == 6.5


def test_a_load_whose_beginning_is_lost_is_placed_by_what_is_left_of_it() -> None:
    (load,) = fold([at(0.0, RunStateChanged(state="starting")), at(20.0, interval(11.0, []))]).loads
    assert load.offset_s == 8.0
    summary = summary_of(at(20.0, interval(11.0, [op("send", [1000])])))
    assert "the beginning of load 1 is not in the recording" in summary.missing
    assert summary.loads[0].ops[0].succeeded == 1


def test_totals_and_latencies_are_without_the_warm_up_and_the_series_has_it() -> None:
    load = the_load(
        at(0.0, started()),
        at(1.0, interval(0.0, [op("send", [9_000_000], failed=1, failures={"slow": 1})], warmup=True)),
        at(2.0, interval(1.0, [op("send", [1000, 2000, 3000], failed=2, failures={"gone": 2})])),
        at(3.0, ended()),
    )
    (send,) = (one for one in load.ops if one.op == "send")
    assert (send.started, send.succeeded, send.failed, send.failures) == (5, 3, 2, {"gone": 2})
    assert send.response is not None
    assert send.response.count == 3
    assert send.response.max == pytest.approx(0.003, rel=0.001)
    assert send.rate == 3.0
    assert [(point.warmup, point.succeeded) for point in send.series] == [(True, 1), (False, 3)]
    assert [point.max for point in send.series] == [
        pytest.approx(9.0, rel=0.001),
        pytest.approx(0.003, rel=0.001),
    ]


def test_the_time_in_which_the_last_operations_settle_is_no_part_of_the_rate() -> None:
    load = the_load(
        at(0.0, started(warmup_s=0.0)),
        at(1.0, interval(0.0, [op("send", [1000] * 9)])),
        at(2.0, interval(1.0, [op("send", [1000], started=0)], target=0.0)),
    )
    assert (load.measured_s, load.overall.rate, load.target) == (1.0, 10.0, 200.0)


def test_the_time_in_which_a_swarm_stood_still_before_its_users_lowers_the_rate() -> None:
    load = the_load(
        at(0.0, started(model="closed", users=1, warmup_s=0.0)),
        at(1.0, interval(0.0, [op("send", [1000] * 9)], target=0.0)),
        at(2.0, interval(1.0, [op("send", [], started=0)], target=0.0)),
        at(3.0, interval(2.0, [op("send", [1000] * 9)], target=0.0)),
        at(4.0, interval(3.0, [op("send", [], started=0)], target=0.0)),
    )
    assert (load.measured_s, load.overall.rate) == (3.0, 6.0)


def test_of_a_threshold_the_last_word_counts() -> None:
    def checked(value: float, held: bool, final: bool) -> ThresholdChecked:
        return ThresholdChecked(load=1, threshold="send.p99 < 50ms", value=value, held=held, final=final)

    held_at_last = the_load(at(1.0, checked(0.09, False, False)), at(2.0, checked(0.04, True, True)))
    assert [(one.value, one.held, one.final) for one in held_at_last.thresholds] == [(0.04, True, True)]
    aborted = summary_of(at(1.0, checked(0.04, True, False)), at(2.0, checked(0.09, False, False)))
    assert not aborted.ok
    assert not aborted.loads[0].thresholds[0].final


def test_peers_that_end_together_are_one_mark_and_later_ones_another() -> None:
    told = [at(index / 10, PeerStopped(how="killed"), peer=f"core-{index}") for index in range(30)]
    told.append(at(10.0, PeerStopped(how="killed"), peer="core-99"))
    told.insert(3, at(0.25, PeerStarted(address="127.0.0.1:1", place="0"), peer="core-7"))
    changes = {(one.what, one.count): one for one in summary_of(*told).peers}
    assert set(changes) == {("killed", 30), ("started", 1), ("killed", 1)}
    assert (changes["killed", 30].at_s, changes["killed", 30].until_s) == (0.0, 2.9)
    assert changes["killed", 30].named == tuple(f"core-{index}" for index in range(5))


def test_peers_that_the_launcher_takes_down_were_not_killed() -> None:
    told = [
        at(1.0, PeerStopped(how="killed"), peer="core-1"),
        at(1.1, RunStateChanged(state="stopping")),
        at(1.2, PeerStopped(how="killed"), peer="core-2"),
        at(1.3, PeerStopped(how="left"), peer="core-3"),
    ]
    assert [(one.what, one.count) for one in summary_of(*told).peers] == [
        ("killed", 1),
        ("ended with the run", 2),
    ]


@pytest.mark.parametrize(
    ("ends", "until", "reason"),
    [
        ([], None, ""),
        ([fault_end(1, "freeze", 3, "thawed")], None, ""),
        ([fault_end(1, "freeze", 3, "thawed"), fault_end(1, "freeze", 5, "expired")], 2.0, "expired"),
        ([fault_end(2, "freeze", 5, "healed")], None, ""),
    ],
)
def test_a_fault_lasts_until_the_last_of_its_peers_is_freed(
    ends: list[FaultEnded], until: float | None, reason: str
) -> None:
    told = [at(0.0, fault(1, "freeze", "core", 5)), *(at(1.0 + n, end) for n, end in enumerate(ends))]
    (found,) = summary_of(*told).faults
    assert (found.until_s, found.ended, found.peers) == (until, reason, 5)


def test_a_run_without_a_load_has_a_report_too() -> None:
    told = [envelope for envelope in short_run() if not hasattr(envelope.event, "load")]
    summary = summary_of(*told)
    assert summary.loads == ()
    assert summary.complete
    assert [one.kind for one in summary.faults] == ["partition", "freeze"]
    assert [(one.peer, one.child, one.reason) for one in summary.restarts] == [
        ("", "worker-1", ""),
        ("core-44", "ring", "ValueError: wrong"),
    ]
    assert not summary.ok, "an expectation was missed"


def test_nothing_at_all_is_a_report_of_nothing() -> None:
    summary = summary_of()
    assert (summary.seconds, summary.loads, summary.complete) == (0.0, (), False)
    assert summary.missing == ("nothing was recorded",)


def test_a_load_without_its_end_is_told_as_far_as_it_went() -> None:
    told = [envelope for envelope in short_run() if not isinstance(envelope.event, type(ended()))]
    whole, cut = summary_of(*short_run()), summary_of(*told)
    assert (cut.loads[0].outcome, cut.loads[0].complete, cut.complete) == ("unknown", False, False)
    assert cut.loads[0].ops == whole.loads[0].ops
    assert cut.missing == ("load 1 has no end in the recording",)
    running = summarize(fold(told), About(running=True))
    assert running.missing == ("load 1 is not over yet",)


def test_a_run_that_goes_on_is_no_gap_and_a_dead_launcher_is_one() -> None:
    told = fold(short_run()[:-1])
    assert summarize(told, About(running=True)).complete
    assert "not with the end of the run" in summarize(told, About(running=False)).missing[0]


def test_what_the_recorder_lost_is_said_with_its_reason() -> None:
    summary = summary_of(
        *short_run()[:-1], at(50.0, EventsLost(count=3, reason="queue full")), short_run()[-1]
    )
    assert summary.recording.lost == 3
    assert summary.missing == ("3 events lost on the way to the recording: queue full",)


@pytest.mark.parametrize("wrong", ["HISTxx", "AAAA", "é", "HISTFAAAAPh4nC2PMUrEQBSGM18m"])
def test_a_histogram_that_cannot_be_read_is_counted_and_the_others_stand(wrong: str) -> None:
    told = [
        at(0.0, started(warmup_s=0.0)),
        at(1.0, interval(0.0, [op("send", [1000, 2000])])),
        at(2.0, interval(1.0, [op("send", [5000], response=wrong)])),
        at(3.0, ended()),
        at(3.0, RunStateChanged(state="stopped")),
    ]
    summary = summary_of(*told)
    assert summary.recording.bad_histograms == 1
    assert summary.missing == ("1 histogram of latencies cannot be read",)
    (send,) = (one for one in summary.loads[0].ops if one.op == "send")
    assert send.succeeded == 3
    assert send.response is not None
    assert send.response.count == 2


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\x00" * 40 + b"\n",
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b'{"event":{"event":"LoadInterval","load":"one"}}\n',
        b'{"source":"launcher","event":{"event":"PinMade","addr\n',
    ],
)
def test_a_line_that_is_no_event_is_counted_and_the_rest_stands(line: bytes) -> None:
    content = recording().splitlines(keepends=True)
    report, counts = read(b"".join([*content[:30], line, *content[30:]]))
    assert (counts.bad, counts.torn) == (1, False)
    assert report == fold(short_run())


@settings(max_examples=CUTS)
@given(st.data())
def test_cut_anywhere_a_recording_gives_a_report_that_invents_nothing(data: st.DataObject) -> None:
    whole = fold(short_run())
    end = data.draw(st.integers(0, len(recording()) - 1))
    cut, counts = read(recording()[:end])
    assert counts.bad == 0
    assert counts.torn == (end > 0 and recording()[end - 1 : end] != b"\n")
    for name in ("states", "faults", "fault_ends", "scheduled", "expectations", "workers", "restarts"):
        told, all_told = getattr(cut, name), getattr(whole, name)
        assert told == all_told[: len(told)]
    assert sum(one.count for one in cut.peers) <= sum(one.count for one in whole.peers)
    for load in cut.loads:
        assert load.intervals == whole.loads[0].intervals[: len(load.intervals)]
    summary = summarize(cut)
    assert not summary.complete
    assert summary.seconds <= whole.seconds


@settings(max_examples=CUTS)
@given(st.integers(0, 2**32))
def test_bytes_that_changed_cost_their_lines_and_raise_nothing(seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(recording())
    for _ in range(20):
        content[chance.randrange(len(content))] = chance.randrange(256)
    report, counts = read(bytes(content))
    summarize(report)
    assert counts.read >= recording().count(b"\n") - 20


TIMES: Final = st.lists(st.integers(1, 3_000_000), max_size=6)
OPS: Final = st.builds(
    lambda name, times, failures: op(
        name, times, failed=sum(failures.values()), failures=failures, late=len(times) // 2
    ),
    st.sampled_from(("send", "lookup", "other")),
    TIMES,
    st.dictionaries(st.sampled_from(("gone", "slow")), st.integers(1, 5)),
)
SECONDS: Final = st.lists(st.lists(OPS, max_size=5), min_size=1, max_size=4)


def told_in(groups: list[list[LoadInterval]]) -> Load:
    told: list[tuple[float, AnyEvent]] = [(one.end_s, one) for group in groups for one in group]
    return the_load(at(0.0, started()), *(at(when, event) for when, event in told), at(99.0, ended()))


@settings(max_examples=25)
@given(SECONDS, st.randoms(use_true_random=False))
def test_it_does_not_matter_over_how_many_lines_an_interval_is_told(
    seconds: list[list[OpInterval]], chance: random.Random
) -> None:
    whole = [[interval(float(second), ops)] for second, ops in enumerate(seconds)]
    split = []
    for second, ops in enumerate(seconds):
        places = sorted(chance.randrange(len(ops) + 1) for _ in range(2))
        shuffled = chance.sample(ops, len(ops))
        split.append([interval(float(second), shuffled[a:b]) for a, b in pairwise([0, *places, len(ops)])])
    assert told_in(split) == told_in(whole)


@settings(max_examples=25)
@given(SECONDS)
def test_it_does_not_matter_into_how_many_intervals_a_second_is_cut(seconds: list[list[OpInterval]]) -> None:
    whole = told_in([[interval(float(second), ops)] for second, ops in enumerate(seconds)])
    cut = []
    for second, ops in enumerate(seconds):
        half = len(ops) // 2
        cut.append([interval(float(second), ops[:half], end_s=second + 0.5)])
        cut.append([interval(second + 0.5, ops[half:], end_s=second + 1.0)])
    assert without_series(told_in(cut)) == without_series(whole)


def without_series(load: Load) -> tuple[list[Op], float, float]:
    ops = [msgspec.structs.replace(one, series=()) for one in (load.overall, *load.ops)]
    return ops, load.measured_s, load.seconds
