"""The figures of one load, from what was told of it every second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cicada.events import LoadEnded, LoadInterval, LoadStarted, OpInterval, ThresholdChecked
from launcher.plaintext import plain, plain_counts
from launcher.report.fold import At, RecordedLoad
from launcher.report.histograms import Histogram, Spread
from launcher.report.model import Description, Latency, Load, Op, OpPoint, Point, Threshold

ALL: Final = "all"
_PERCENTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
_DIGITS: Final = 6  # of times in a summary, so microseconds


@dataclass(slots=True)
class Trouble:
    """What could not be read."""

    bad_histograms: int = 0


@dataclass(slots=True)
class _Interval:
    """What all lines about one stretch of time say together."""

    start_s: float
    end_s: float
    warmup: bool
    target: float
    cpu: float
    lag_s: float
    ops: dict[str, list[OpInterval]]

    @property
    def busy(self) -> bool:
        """Whether operations began in it, or should have."""
        return self.target > 0 or any(op.started for parts in self.ops.values() for op in parts)


def load_figures(load: RecordedLoad, trouble: Trouble) -> Load:
    """All figures of a load. Raises Unavailable when latencies cannot be read for want of the library."""
    intervals = _intervals(load.intervals)
    measured = _until_last_begun([interval for interval in intervals if not interval.warmup])
    measured_s = sum(interval.end_s - interval.start_s for interval in measured)
    target = sum(interval.target * (interval.end_s - interval.start_s) for interval in measured)
    names = _names(load.started, intervals)
    merged = _Merged(trouble)
    ops = tuple(_op(name, intervals, measured_s, merged) for name in names)
    ended = load.ended if load.ended is not None else _NO_END
    return Load(
        load=load.load,
        offset_s=load.offset_s,
        seconds=_rounded(ended.seconds if load.ended else max((one.end_s for one in intervals), default=0.0)),
        measured_s=_rounded(measured_s),
        complete=load.ended is not None and load.started is not None,
        outcome=plain(ended.outcome),
        verdict=plain(ended.verdict, 400),
        description=_description(load.started) if load.started is not None else None,
        target=_rounded(target / measured_s) if measured_s else 0.0,
        overall=_overall(ops, measured_s, merged),
        ops=ops,
        thresholds=tuple(map(_threshold, load.thresholds)),
        messages=_plain_keys(ended.messages),
        hops=dict(sorted(ended.hops.items())),
        copies=_plain_keys(ended.copies),
        broadcasts=_plain_keys(ended.broadcasts),
        lookups=_plain_keys(ended.lookups),
        died=tuple(map(plain, ended.died)),
        series=tuple(map(_point, intervals)),
    )


def _until_last_begun(intervals: list[_Interval]) -> list[_Interval]:
    """Without those at the end, in which the last operations settle. In one before, in which nothing began, the users of a
    closed load waited for a swarm that stood still: that is part of how much they got done."""
    busy = [index for index, interval in enumerate(intervals) if interval.busy]
    return intervals[: busy[-1] + 1] if busy else []


_NO_END: Final = LoadEnded(load=0, outcome="unknown", verdict="", seconds=0.0)


def _description(started: LoadStarted) -> Description:
    return Description(
        model=plain(started.model),
        shares={plain(op): share for op, share in started.ops.items()},
        stages=started.stages,
        warmup_s=started.warmup_s,
        payload=plain(started.payload),
        targets=plain(started.targets),
        duplicates=started.duplicates,
        timeout_s=started.timeout_s,
        seed=started.seed,
        peers=started.peers,
        generators=started.generators,
        users=started.users,
        think_s=started.think_s,
        planned=started.planned,
    )


def _threshold(at: At[ThresholdChecked]) -> Threshold:
    event = at.event
    return Threshold(
        threshold=plain(event.threshold), value=event.value, held=event.held, final=event.final, at_s=at.at_s
    )


def _intervals(told: Iterable[LoadInterval]) -> list[_Interval]:
    """By time; lines about the same stretch are put together, in whatever order they came."""
    found: dict[tuple[float, float, bool], _Interval] = {}
    for line in told:
        key = line.start_s, line.end_s, line.warmup
        interval = found.setdefault(key, _Interval(*key, line.target, line.cpu, line.lag_s, {}))
        interval.target = max(interval.target, line.target)
        interval.cpu = max(interval.cpu, line.cpu)
        interval.lag_s = max(interval.lag_s, line.lag_s)
        for op in line.ops:
            interval.ops.setdefault(op.op, []).append(op)
    return [found[key] for key in sorted(found)]


def _names(started: LoadStarted | None, intervals: Iterable[_Interval]) -> list[str]:
    """Operations in the order of the load's description, then others as they come."""
    first = {op for op, share in started.ops.items() if share > 0} if started else set()
    ordered = dict.fromkeys(op for op in (started.ops if started else ()) if op in first)
    ordered |= dict.fromkeys(sorted({op for interval in intervals for op in interval.ops} - first))
    return list(ordered)


class _Merged:
    """Adds histograms up, and keeps the sums of all operations."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self.response: list[Histogram] = []
        self.service: list[Histogram] = []

    def read(self, encoded: Iterable[str]) -> Histogram | None:
        """The sum of these, None when there is none: then no library is needed."""
        wanted = [one for one in encoded if one]
        if not wanted:
            return None
        histogram = Histogram()
        for one in wanted:
            self._trouble.bad_histograms += not histogram.add(one)
        return histogram


def _sum(histograms: Sequence[Histogram]) -> Histogram | None:
    """All in the first of them, None when there is none: a histogram takes 200 KB, so none is kept that need not be."""
    if not histograms:
        return None
    total, *others = histograms
    for one in others:
        total.merge(one)
    return total


def _op(name: str, intervals: Sequence[_Interval], measured_s: float, merged: _Merged) -> Op:
    series = []
    response: Histogram | None = None
    parts: list[OpInterval] = []
    for interval in intervals:
        here = interval.ops.get(name, [])
        histogram = merged.read(part.response for part in here)
        series.append(_op_point(interval, here, histogram.spread() if histogram else Spread()))
        if not interval.warmup:
            parts += here
            response = _sum([one for one in (response, histogram) if one is not None])
    service = merged.read(part.service for part in parts)
    merged.response += [response] if response else []
    merged.service += [service] if service else []
    succeeded = sum(part.succeeded for part in parts)
    return Op(
        op=plain(name),
        started=sum(part.started for part in parts),
        late=sum(part.late for part in parts),
        dropped=sum(part.dropped for part in parts),
        succeeded=succeeded,
        failed=sum(part.failed for part in parts),
        rate=_rounded(succeeded / measured_s) if measured_s else 0.0,
        failures=plain_counts(_summed(part.failures for part in parts)),
        response=_latency(response),
        service=_latency(service),
        series=tuple(series),
    )


def _overall(ops: Sequence[Op], measured_s: float, merged: _Merged) -> Op:
    succeeded = sum(op.succeeded for op in ops)
    return Op(
        op=ALL,
        started=sum(op.started for op in ops),
        late=sum(op.late for op in ops),
        dropped=sum(op.dropped for op in ops),
        succeeded=succeeded,
        failed=sum(op.failed for op in ops),
        rate=_rounded(succeeded / measured_s) if measured_s else 0.0,
        failures=plain_counts(_summed(op.failures for op in ops)),
        response=_latency(_sum(merged.response)),
        service=_latency(_sum(merged.service)),
    )


def _op_point(interval: _Interval, parts: Sequence[OpInterval], spread: Spread) -> OpPoint:
    p50, p90, p99 = spread.at((0.5, 0.9, 0.99)) if spread.values else (None, None, None)
    return OpPoint(
        start_s=_rounded(interval.start_s),
        end_s=_rounded(interval.end_s),
        warmup=interval.warmup,
        started=sum(part.started for part in parts),
        late=sum(part.late for part in parts),
        dropped=sum(part.dropped for part in parts),
        succeeded=sum(part.succeeded for part in parts),
        failed=sum(part.failed for part in parts),
        p50=_rounded(p50) if p50 is not None else None,
        p90=_rounded(p90) if p90 is not None else None,
        p99=_rounded(p99) if p99 is not None else None,
        max=_rounded(spread.max) if spread.values else None,
    )


def _point(interval: _Interval) -> Point:
    parts = [part for ops in interval.ops.values() for part in ops]
    return Point(
        start_s=_rounded(interval.start_s),
        end_s=_rounded(interval.end_s),
        warmup=interval.warmup,
        target=_rounded(interval.target),
        started=sum(part.started for part in parts),
        late=sum(part.late for part in parts),
        dropped=sum(part.dropped for part in parts),
        succeeded=sum(part.succeeded for part in parts),
        failed=sum(part.failed for part in parts),
        cpu=interval.cpu,
        lag_s=_rounded(interval.lag_s),
    )


def _latency(histogram: Histogram | None) -> Latency | None:
    spread = histogram.spread() if histogram else Spread()
    if histogram is None or not spread.values:
        return None
    p50, p75, p90, p95, p99, p99_9, p99_99 = map(_rounded, spread.at(_PERCENTILES))
    return Latency(
        count=spread.total,
        p50=p50,
        p75=p75,
        p90=p90,
        p95=p95,
        p99=p99,
        p99_9=p99_9,
        p99_99=p99_99,
        max=_rounded(spread.max),
        mean=_rounded(spread.mean),
        histogram=histogram.encoded(),
    )


def _plain_keys(counts: dict[str, int]) -> dict[str, int]:
    return {plain(name): count for name, count in counts.items()}


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for one in counts:
        for reason, count in one.items():
            summed[reason] = summed.get(reason, 0) + count
    return summed


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
