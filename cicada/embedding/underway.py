"""What an application published that no neighbour has yet."""

from __future__ import annotations

import asyncio


class Said:
    """One message, from the call that publishes it on."""

    __slots__ = ("number", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.number = 0  # not known yet


class Underway:
    """Of one channel, the oldest first. What nobody took within ``seconds`` is lost, and no more among them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._all: dict[Said, None] = {}
        self._numbered: dict[int, Said] = {}
        self._fewer = asyncio.Event()

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, now: float) -> Said:
        """One more."""
        self._forget_lost(now)
        said = Said(now)
        self._all[said] = None
        return said

    def number(self, said: Said, number: int) -> None:
        """It is on its way, under that number. Without effect when it is not waited for any more."""
        if said in self._all:
            said.number = number
            self._numbered[number] = said

    def end(self, said: Said) -> None:
        """It was not published."""
        self._remove(said)

    def carried(self, number: int) -> None:
        """A neighbour has it."""
        said = self._numbered.get(number)
        if said is not None:
            self._remove(said)

    def clear(self) -> None:
        """Nothing more will be heard of any."""
        for said in list(self._all):
            self._remove(said)

    async def over(self, now: float) -> None:
        """Returns when none of those that are under way now still is."""
        self._forget_lost(now)
        waiting = list(self._all)
        while any(said in self._all for said in waiting):
            self._fewer.clear()
            await self._fewer.wait()

    def _forget_lost(self, now: float) -> None:
        for said in list(self._all):
            if now - said.since < self._seconds:
                break
            self._remove(said)

    def _remove(self, said: Said) -> None:
        self._all.pop(said, None)
        self._numbered.pop(said.number, None)
        self._fewer.set()
