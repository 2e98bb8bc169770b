"""Deadlines by key, for tables of thousands."""

from __future__ import annotations

import heapq

_SLACK = 64


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two deadlines, either of which may not be set."""
    if one is None or (other is not None and other < one):
        return other
    return one


class Timers:
    """At most one deadline for each key. Setting a key again replaces its deadline.

    Replaced deadlines stay in the heap until they surface or outnumber the live ones, so memory stays within twice
    what is set.
    """

    def __init__(self) -> None:
        self._deadlines: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, key: int, deadline: float) -> None:
        """Have ``key`` fall due at ``deadline``."""
        self._deadlines[key] = deadline
        heapq.heappush(self._heap, (deadline, key))
        if len(self._heap) > 2 * len(self._deadlines) + _SLACK:
            self._heap = [(deadline, key) for key, deadline in self._deadlines.items()]
            heapq.heapify(self._heap)

    def is_set(self, key: int) -> bool:
        """Whether ``key`` has a deadline."""
        return key in self._deadlines

    def clear(self, key: int) -> None:
        """Forget ``key``, if it is set."""
        self._deadlines.pop(key, None)

    def next_deadline(self) -> float | None:
        """The earliest deadline that is set."""
        while self._heap:
            deadline, key = self._heap[0]
            if self._deadlines.get(key) == deadline:
                return deadline
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float, count: int) -> list[int]:
        """Up to ``count`` keys whose deadlines are not after ``now``, earliest first. They are no longer set."""
        due: list[int] = []
        while len(due) < count:
            deadline = self.next_deadline()
            if deadline is None or deadline > now:
                break
            _, key = heapq.heappop(self._heap)
            del self._deadlines[key]
            due.append(key)
        return due
