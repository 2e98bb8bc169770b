"""An event loop in which time passes only while nobody has anything to do: ten seconds are over at once."""

from __future__ import annotations

import asyncio
import selectors


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0


class _Selector(selectors.SelectSelector):
    """Does not wait for what is to come: it makes it be now."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is not None:
            self._clock.now += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its ``time`` begins at 0."""

    def __init__(self) -> None:
        self._virtual = _Clock()
        super().__init__(_Selector(self._virtual))

    def time(self) -> float:
        return self._virtual.now
