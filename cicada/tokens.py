"""A token bucket: so many at once, so many a second in the long run; and one for each of many."""

from __future__ import annotations

from collections.abc import Hashable


class TokenBucket:
    """Holds up to ``burst`` tokens, full at first, and gains ``rate`` tokens a second."""

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._updated: float | None = None

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def give_back(self) -> None:
        """The token that was taken last was not needed."""
        self._tokens = min(float(self._burst), self._tokens + 1.0)

    def ready_at(self, now: float) -> float:
        """When there will be a token to take: ``now`` or later."""
        self._refill(now)
        # The margin outweighs rounding: whoever wakes at this time must find the token whole.
        return now if self._tokens >= 1.0 else now + (1.0 - self._tokens) / self._rate + 1e-6

    def _refill(self, now: float) -> None:
        elapsed = 0.0 if self._updated is None else max(0.0, now - self._updated)
        self._tokens = min(float(self._burst), self._tokens + elapsed * self._rate)
        self._updated = now


class Shares:
    """A token bucket for each of the ``number`` that were heard last: peers, keys, or the sources of their links."""

    def __init__(self, rate: float, burst: int, number: int) -> None:
        self._rate = rate
        self._burst = burst
        self._number = number
        self._buckets: dict[Hashable, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, who: Hashable, now: float) -> bool:
        """Whether this one may."""
        bucket = self._buckets.pop(who, None) or TokenBucket(self._rate, self._burst)
        self._buckets[who] = bucket
        if len(self._buckets) > self._number:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now)

    def give_back(self, who: Hashable) -> None:
        """What it did last was in order."""
        bucket = self._buckets.get(who)
        if bucket is not None:
            bucket.give_back()
