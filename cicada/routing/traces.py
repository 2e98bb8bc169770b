"""Messages that have settled, and whose other copies may still be heard of."""

from __future__ import annotations

from cicada.limits import DeliveryLimits
from cicada.routing.unsettled import Unsettled


class Traces:
    """At most ``traces`` of them, each for ``trace_seconds``."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self._open: dict[int, tuple[float, Unsettled]] = {}  # oldest first: all wait equally long

    def __len__(self) -> int:
        return len(self._open)

    def add(self, settled: Unsettled, now: float) -> int | None:
        """Follow a message. Returns the id of one that has to be ended for it."""
        self._open[settled.asked.id] = (now + self._limits.trace_seconds, settled)
        return next(iter(self._open)) if len(self._open) > self._limits.traces else None

    def get(self, id: int) -> Unsettled | None:
        """The message, while it is followed."""
        _, settled = self._open.get(id, (0.0, None))
        return settled

    def pop(self, id: int) -> Unsettled:
        """It is followed no longer."""
        return self._open.pop(id)[1]

    def pop_due(self, now: float) -> list[int]:
        """Those whose time is over, at most ``batch``. They are still to be popped."""
        due: list[int] = []
        for id, (until, _) in self._open.items():
            if until > now or len(due) >= self._limits.batch:
                break
            due.append(id)
        return due

    def next_deadline(self) -> float | None:
        """When the first one's time is over."""
        for until, _ in self._open.values():
            return until
        return None
