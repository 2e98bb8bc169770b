"""What is remembered of destinations: how long they take to answer, and by which way they were reached."""

from __future__ import annotations

from cicada.ids import Place
from cicada.limits import DeliveryLimits

# Jacobson and Karels 1988, as RFC 6298 section 2 states it.
_MEAN_GAIN = 1 / 8
_VARIANCE_GAIN = 1 / 4
_VARIANCES = 4
_RISEN = 2.0  # times the least round trip of late
_RISEN_SECONDS = 0.05  # and so much longer: less is the jitter of a loaded machine
_AGING = 1.01  # the least round trip is forgotten within some 70 measurements


class _Known:
    __slots__ = ("least", "mean", "proven_at", "variance", "way")

    def __init__(self) -> None:
        self.mean: float | None = None
        self.variance = 0.0
        self.least = 0.0
        self.way = b""
        self.proven_at = 0.0


class Contacts:
    """Destinations, least recently used first out. Times are seconds."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self._known: dict[Place, _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def measured(self, place: Place, seconds: float) -> None:
        """A message to ``place`` was answered after ``seconds``, unambiguously (Karn's rule)."""
        known = self._use(place)
        if known.mean is None:
            known.mean = known.least = seconds
            known.variance = seconds / 2
        else:
            known.least = min(known.least * _AGING, seconds)
            known.variance += _VARIANCE_GAIN * (abs(seconds - known.mean) - known.variance)
            known.mean += _MEAN_GAIN * (seconds - known.mean)

    def patience(self, place: Place, attempt: int) -> float:
        """Seconds to wait for an answer to the ``attempt``-th try (from 1): doubled with each, within bounds."""
        known = self._known.get(place)
        limits = self._limits
        if known is None or known.mean is None:
            first = limits.retry_first
        else:
            first = max(known.mean + _VARIANCES * known.variance, limits.retry_floor)
        return float(min(first * 2 ** (attempt - 1), limits.retry_ceiling))

    def is_rising(self, place: Place) -> bool:
        """Whether round trips to ``place`` have become long: what is slow is not lost."""
        known = self._known.get(place)
        if known is None or known.mean is None:
            return False
        return known.mean > _RISEN * known.least and known.mean - known.least > _RISEN_SECONDS

    def prove(self, place: Place, way: bytes, now: float) -> None:
        """A message went to ``place`` by ``way`` and its ack came back. Only the first proof of a way sets its age."""
        known = self._use(place)
        if known.way != way:
            known.way = way
            known.proven_at = now

    def doubt(self, place: Place, way: bytes) -> None:
        """What went by ``way`` did not arrive as it left: that way is not taken again to ``place``."""
        known = self._known.get(place)
        if known is not None and known.way == way:
            known.way = b""

    def proven_way(self, place: Place, now: float) -> bytes:
        """One that has proven good lately; empty: none."""
        known = self._known.get(place)
        if known is None or now - known.proven_at >= self._limits.way_seconds:
            return b""
        return known.way

    def _use(self, place: Place) -> _Known:
        known = self._known.pop(place, None) or _Known()
        self._known[place] = known
        if len(self._known) > self._limits.contacts:
            del self._known[next(iter(self._known))]
        return known
