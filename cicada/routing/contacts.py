"""How long a destination takes to answer, from the round trips that were measured."""

from __future__ import annotations

from cicada.ids import Place
from cicada.limits import DeliveryLimits

# Jacobson and Karels 1988, as RFC 6298 section 2 states it.
_MEAN_GAIN = 1 / 8
_VARIANCE_GAIN = 1 / 4
_VARIANCES = 4


class _Known:
    __slots__ = ("mean", "variance")

    def __init__(self) -> None:
        self.mean: float | None = None
        self.variance = 0.0


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
            known.mean = seconds
            known.variance = seconds / 2
        else:
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

    def _use(self, place: Place) -> _Known:
        known = self._known.pop(place, None) or _Known()
        self._known[place] = known
        if len(self._known) > self._limits.contacts:
            del self._known[next(iter(self._known))]
        return known
