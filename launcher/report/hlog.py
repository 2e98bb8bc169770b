"""``latency.hlog``: response times by interval, in HdrHistogram's log format 1.3, which its viewers and analysers read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from launcher.report.fold import RecordedLoad, RunReport
from launcher.report.histograms import Histogram

_UNFIT: Final = re.compile(r"[^\w.-]", re.ASCII)
_MILLISECONDS: Final = 1000.0


def log_lines(report: RunReport, when: str) -> Iterator[str]:
    """The lines of the log, without line ends. ``when`` is the run's start for people.

    Tags are operations, with their load's number when the run had several. What began in a warm-up is left out, as in
    all totals.
    """
    start = report.start_ms / 1000
    yield "#[Histogram log format version 1.3]"
    yield "#[Cicada: response times in microseconds, from the intended start; maxima in milliseconds]"
    yield f"#[BaseTime: {start:.3f} (seconds since epoch)]"
    yield f"#[StartTime: {start:.3f} (seconds since epoch), {when}]"
    yield '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
    several = len(report.loads) > 1
    for load in report.loads:
        yield from _of_load(load, f"load{load.load}." if several else "")


def _of_load(load: RecordedLoad, prefix: str) -> Iterator[str]:
    for interval in sorted(load.intervals, key=lambda interval: interval.start_s):
        start, length = load.offset_s + interval.start_s, interval.end_s - interval.start_s
        for op in () if interval.warmup else interval.ops:
            histogram = Histogram() if op.response else None
            if histogram is not None and histogram.add(op.response):
                longest = histogram.max * _MILLISECONDS
                tag = prefix + _UNFIT.sub("_", op.op)
                yield f"Tag={tag},{start:.3f},{length:.3f},{longest:.3f},{op.response}"
