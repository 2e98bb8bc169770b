"""HDR histograms of latencies in microseconds: read, added up, and asked for percentiles. The library is loaded here only."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, Final

import msgspec

from cicada.errors import Unavailable
from cicada.limits import LOAD
from launcher.load.histogram import highest_in, mean

MISSING: Final = "latencies need hdrhistogram: pip install 'cicada-swarm[load]'"
_MICROSECOND: Final = 1e-6


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Values in seconds, ascending and each the highest that its bucket stands for, with how often each was seen."""

    values: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    mean: float = 0.0

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @property
    def max(self) -> float:
        """The longest; 0 when there is none."""
        return self.values[-1] if self.values else 0.0

    def at(self, shares: Sequence[float]) -> list[float]:
        """The value that at least each of these ascending shares of all do not exceed (nearest rank). There must be values."""
        total, seen, index = self.total, self.counts[0], 0
        found = []
        for share in shares:
            rank = ceil(share * total)
            while seen < rank and index + 1 < len(self.counts):
                index += 1
                seen += self.counts[index]
            found.append(self.values[index])
        return found


class Histogram:
    """A histogram that others are added to. Raises Unavailable when the library is not installed."""

    def __init__(self) -> None:
        self._histogram = _library().HdrHistogram(1, LOAD.histogram_max, LOAD.histogram_digits)

    def add(self, encoded: str) -> bool:
        """Add one in the V2 encoding, base64; empty: nothing. False when it is none, and then nothing is added."""
        if not encoded:
            return True
        other = _decoded(encoded)
        if other is None:
            return False
        try:
            self._histogram.add(other)
        except (ValueError, LookupError, ArithmeticError):
            return False
        return True

    def merge(self, other: Histogram) -> None:
        """Add all that is in another."""
        self._histogram.add(other._histogram)

    @property
    def max(self) -> float:
        """The longest, in seconds; 0 when there is none."""
        return float(self._histogram.get_max_value()) * _MICROSECOND

    def encoded(self) -> str:
        """V2, base64; empty when there is nothing in it."""
        return str(self._histogram.encode().decode()) if self._histogram.get_total_count() else ""

    def spread(self) -> Spread:
        """What is in it, as values and counts."""
        histogram = self._histogram
        total = histogram.get_total_count()
        if not total:
            return Spread()
        end = histogram.get_counts_array_index(histogram.get_max_value()) + 1
        counts = histogram.encoder.get_counts()[:end]
        seen = Counter({slot: count for slot, count in enumerate(counts) if count})
        return Spread(
            values=tuple(highest_in(slot) * _MICROSECOND for slot in seen),
            counts=tuple(seen.values()),
            mean=mean(seen) or 0.0,
        )


def spread_of(encoded: Iterable[str]) -> Spread:
    """The sum of encoded histograms; those that are none are left out."""
    merged = Histogram()
    for one in encoded:
        merged.add(one)
    return merged.spread()


def _decoded(encoded: str) -> Any:
    """None when it is not a histogram: the library has an exception for each way of being wrong."""
    library = _library()
    from hdrh.codec import HdrCookieException, HdrLengthException

    wrong = (ValueError, TypeError, LookupError, ArithmeticError, zlib.error)
    try:
        return library.HdrHistogram.decode(encoded)
    except (*wrong, HdrCookieException, HdrLengthException):
        return None


def _library() -> Any:
    try:
        import hdrh.histogram
    except ImportError:
        raise Unavailable(MISSING) from None
    return hdrh.histogram
