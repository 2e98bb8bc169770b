"""When a member looks for another way to the root, because others bring what its parent should have brought.

Nobody can tell a parent that withholds messages from one that does not get them. So nobody is blamed: the member moves,
seldom, and where all ways are good nobody has a reason to.
"""

from __future__ import annotations

from cicada.limits import ChannelLimits


class Suspicion:
    """Counts messages that came too late in windows of time."""

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        self._strikes = 0
        self._window_from = float("-inf")
        self._windows = 0
        self._moved = False

    @property
    def is_lasting(self) -> bool:
        """Whether there was cause in several windows, one after another."""
        return self._windows >= self._limits.windows

    def strike(self, now: float) -> bool:
        """One more. Whether that is cause to move: once in a window."""
        if now >= self._window_from + self._limits.window_seconds:
            is_next = now < self._window_from + 3 * self._limits.window_seconds
            self._windows = self._windows if is_next and self._moved else 0
            self._window_from, self._strikes, self._moved = now, 0, False
        self._strikes += 1
        if self._strikes < self._limits.strikes or self._moved:
            return False
        self._moved = True
        self._windows += 1
        return True
