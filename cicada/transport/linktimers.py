"""When links want to be woken."""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

NEVER = float("inf")
_SLACK = 8  # a superseded entry keeps a closed link or an ended handshake alive, some KiB each


class Timed(Protocol):
    """Something that wants to be woken. ``armed`` belongs to Alarms: when it will be."""

    armed: float


T = TypeVar("T", bound=Timed)


class Alarms(Generic[T]):
    """One alarm for each thing. It may come earlier than the thing needs by now, never later than was asked:
    whoever is woken looks what is due and arms again. That way nothing is cancelled on the way of a message.
    """

    __slots__ = ("_heap", "_limit", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._serial = 0
        self._limit = _SLACK

    def __len__(self) -> int:
        """Entries held, superseded ones included."""
        return len(self._heap)

    def arm(self, thing: T, due: float) -> None:
        """Wake ``thing`` at ``due`` or earlier."""
        if due >= thing.armed:
            return
        thing.armed = due
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, thing))
        if len(self._heap) > self._limit:
            self._sweep()

    def disarm(self, thing: T) -> None:
        """Do not wake ``thing`` any more."""
        thing.armed = NEVER

    def due(self, now: float) -> list[T]:
        """The things to wake, each disarmed, in order of time."""
        things: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            due, _, thing = heapq.heappop(self._heap)
            if thing.armed == due:
                thing.armed = NEVER
                things.append(thing)
        return things

    def next(self) -> float | None:
        """When something is due; None: nothing is armed."""
        while self._heap and self._heap[0][2].armed != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _sweep(self) -> None:
        """Entries that were superseded go when they outnumber the live ones, so memory follows the live ones."""
        self._heap = [entry for entry in self._heap if entry[2].armed == entry[0]]
        heapq.heapify(self._heap)
        self._limit = 2 * len(self._heap) + _SLACK
