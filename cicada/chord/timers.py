"""The timer table: named deadlines, and the one that comes next."""

from __future__ import annotations

import enum


class Timer(enum.IntEnum):  # whose hash, unlike that of a plain Enum, costs no Python call
    """Everything a RingNode ever waits for. Due timers fire in this order."""

    REQUESTS = enum.auto()  # the next unanswered query
    PROOFS = enum.auto()  # the next unanswered Prove
    LOOKUPS = enum.auto()  # the next lookup that is to be repeated or given up
    JOIN = enum.auto()  # the next seed, or the end of the join
    ADMISSION = enum.auto()  # the next parked joiner
    STABILIZE = enum.auto()  # the next round
    FIX_FINGERS = enum.auto()  # the next finger interval to look into
    DIAL_FINGERS = enum.auto()  # the next token for a finger dial


_IN_ORDER = tuple(Timer)


class Timers:
    """Deadlines in absolute seconds, at most one for each name."""

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: dict[Timer, float] = {}

    def start(self, timer: Timer, deadline: float | None) -> None:
        """Set the deadline, replacing any earlier one; None stops the timer."""
        if deadline is None:
            self._deadlines.pop(timer, None)
        else:
            self._deadlines[timer] = deadline

    def hasten(self, timer: Timer, deadline: float) -> None:
        """Let the timer fire at ``deadline`` or sooner."""
        self._deadlines[timer] = min(deadline, self._deadlines.get(timer, deadline))

    def stop_all(self) -> None:
        """Wait for nothing."""
        self._deadlines.clear()

    def is_running(self, timer: Timer) -> bool:
        """Whether the timer has a deadline."""
        return timer in self._deadlines

    def next_deadline(self) -> float | None:
        """The earliest deadline."""
        return min(self._deadlines.values(), default=None)

    def take_due(self, now: float) -> list[Timer]:
        """Stop and return the timers whose deadline has come."""
        due = [timer for timer in _IN_ORDER if self._deadlines.get(timer, now + 1) <= now]
        for timer in due:
            del self._deadlines[timer]
        return due
