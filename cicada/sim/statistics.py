"""Figures of many values in a few numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from cicada.errors import Misuse


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What many values are like. ``deviation`` is the standard deviation of a sample, 0 for a single value."""

    count: int
    mean: float
    deviation: float
    least: float
    median: float
    p90: float
    p99: float
    most: float


def summarize(values: Iterable[float]) -> Summary:
    """Raises Misuse when there are no values: they have no mean, and a 0 would look like one."""
    ordered = sorted(values)
    if not ordered:
        raise Misuse("there is nothing to summarize")
    mean = math.fsum(ordered) / len(ordered)
    squares = math.fsum((value - mean) ** 2 for value in ordered)
    return Summary(
        count=len(ordered),
        mean=mean,
        deviation=math.sqrt(squares / (len(ordered) - 1)) if len(ordered) > 1 else 0.0,
        least=ordered[0],
        median=percentile(ordered, 0.5),
        p90=percentile(ordered, 0.9),
        p99=percentile(ordered, 0.99),
        most=ordered[-1],
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of the sorted values lie, linear between two neighbours."""
    if not ordered or not 0.0 <= share <= 1.0:
        raise Misuse(f"no percentile {share} of {len(ordered)} values")
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
