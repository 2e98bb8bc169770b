"""What is going to happen, and the virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any

Action = Callable[[Any, Any], None]
"""Called with the two arguments it was entered with. A function that already exists, not one made for the entry: a
swarm of ten thousand makes millions of entries."""

_AT_ONCE = 50_000
_AT_ONCE_EACH = (
    64  # per entry that waits: ten thousand peers may each have something to say to all their neighbours
)

Entry = tuple[float, int, Action, Any, Any]
"""When (virtual seconds), which in the order of entering, and what."""


class Agenda:
    """Entries happen by time, and those of one instant in the order in which they were entered.

    ``now`` is the virtual time in seconds. It never falls: what is entered for the past happens now.
    """

    __slots__ = ("_budget", "_heap", "_sequence", "happened", "now")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._sequence = 0
        self._budget = _AT_ONCE
        self.now = 0.0
        self.happened = 0
        """How many entries have happened."""

    def __len__(self) -> int:
        return len(self._heap)

    def enter(self, at: float, action: Action, one: object, other: object = None) -> None:
        """Have ``action(one, other)`` called at ``at``."""
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, action, one, other))

    def step(self) -> bool:
        """Let the next entry happen; False when there is none.

        Raises RuntimeError when more happens at one instant than can be meant: something goes round in circles.
        """
        if not self._heap:
            return False
        self._happen()
        return True

    def run_to(self, end: float) -> None:
        """Let everything happen that is entered for ``end`` or before; then it is ``end``."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            self._happen()
        self.now = max(self.now, end)

    def next_at(self) -> float | None:
        """When the next entry happens."""
        return self._heap[0][0] if self._heap else None

    def _happen(self) -> None:
        at, _, action, one, other = heapq.heappop(self._heap)
        if at > self.now:
            self.now = at
            self._budget = _AT_ONCE + _AT_ONCE_EACH * len(self._heap)
        self.happened += 1
        self._budget -= 1
        if self._budget < 0:
            raise RuntimeError(f"too much happens at {self.now} s: something goes round in circles")
        action(one, other)

    def entries(self) -> Iterator[Entry]:
        """All that is entered, in no order that means anything: for questions, never for deciding what happens."""
        return iter(self._heap)
