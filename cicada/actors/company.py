"""Whether a peer belongs to a swarm with others, for whoever waits until it does."""

from __future__ import annotations

import asyncio


class Company:
    """Used on one event loop only."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()  # there is company, or never will be
        self._is_over = False

    def note(self, is_there: bool) -> None:
        """The peer is in a ring with others, or lodges with some; or it is alone."""
        if is_there:
            self._changed.set()
        elif not self._is_over:
            self._changed.clear()

    def close(self) -> None:
        """The peer has ended: nobody waits any more."""
        self._is_over = True
        self._changed.set()

    async def wait(self) -> bool:
        """Returns once there is company; False when the peer ended."""
        await self._changed.wait()
        return not self._is_over
