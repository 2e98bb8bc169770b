"""What this peer knows of its destinations: their boot ids and round-trip times."""

from __future__ import annotations

from cicada.ids import Place
from cicada.limits import DeliveryLimits

# Jacobson and Karels 1988, as RFC 6298 section 2 states it.
_MEAN_GAIN = 1 / 8
_VARIANCE_GAIN = 1 / 4
_VARIANCES = 4


class _Known:
    __slots__ = ("boot", "learned_at", "mean", "variance")

    def __init__(self) -> None:
        self.boot: int | None = None
        self.learned_at = 0.0
        self.mean: float | None = None
        self.variance = 0.0


class Contacts:
    """Destinations, least recently used first out. Times are seconds."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self._known: dict[Place, _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def boot(self, place: Place, now: float) -> int | None:
        """The boot id of the peer at ``place``, unless it was heard too long ago or never."""
        known = self._known.get(place)
        if known is None or now - known.learned_at > self._limits.contact_seconds:
            return None
        return known.boot

    def learn(self, place: Place, boot: int, now: float) -> None:
        """The peer at ``place`` says that this is its boot id."""
        known = self._use(place)
        known.boot = boot
        known.learned_at = now

    def forget(self, place: Place) -> None:
        """The boot id is out of date. Round-trip times are kept: the way there is the same."""
        known = self._known.get(place)
        if known is not None:
            known.boot = None

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
