"""The layout of HDR histograms: which slot counts a value, and which values a slot stands for. Pure.

Microseconds from 1 to an hour with three significant digits, as the package hdrhistogram lays them out, so that counts kept in
a worker's account can be handed to it as they are. G. Tene, HdrHistogram: buckets double in width, each has 1,024 slots.
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import Final

from cicada.limits import LOAD

_HALF_BITS: Final = (
    10  # 2 * 10^3 values need to be told apart, that is 2^11; half of them are new in each bucket
)
_HALF: Final = 1 << _HALF_BITS
_MASK: Final = 2 * _HALF - 1

Counts = Counter[int]
"""How many values fell in each slot."""


def slot_of(microseconds: int) -> int:
    """The slot that counts a value. Values beyond the range count as its end."""
    value = min(max(microseconds, 0), LOAD.histogram_max)
    bucket = (value | _MASK).bit_length() - _HALF_BITS - 1
    return (bucket << _HALF_BITS) + (value >> bucket)


def slot_for(seconds: float) -> int:
    """The same for a time in seconds."""
    return slot_of(round(seconds * 1e6))


def lowest_in(slot: int) -> int:
    """The smallest value that the slot counts, in microseconds."""
    bucket = max(0, (slot >> _HALF_BITS) - 1)
    return (slot - (bucket << _HALF_BITS)) << bucket


def highest_in(slot: int) -> int:
    """The largest value that the slot counts, in microseconds."""
    return lowest_in(slot + 1) - 1


SLOTS: Final = slot_of(LOAD.histogram_max) | (_HALF - 1)
"""The last slot there is."""


def percentile(counts: Counts, share: float) -> float | None:
    """Nearest rank, in seconds: what at least this share of all values do not exceed; None when there are none."""
    slot = nearest_rank(counts, share)
    return None if slot is None else highest_in(slot) / 1e6


def nearest_rank(counts: Counts, share: float) -> int | None:
    """The smallest key that at least this share of all do not exceed; None when there are none."""
    rank = max(1, ceil(share * counts.total()))
    for key in sorted(counts):
        rank -= counts[key]
        if rank <= 0:
            return key
    return None


def mean(counts: Counts) -> float | None:
    """In seconds; None when there are no values."""
    total = counts.total()
    if not total:
        return None
    return (
        sum((lowest_in(slot) + highest_in(slot)) / 2 * times for slot, times in counts.items()) / total / 1e6
    )
