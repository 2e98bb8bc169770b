"""A feed from the bus of a swarm that runs, here or elsewhere: followed on a thread of its own, for as long as the window lives."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from cicada.bus.follower import Follower
from cicada.bus.snapshot import Snapshot
from cicada.bus.standing import HEEDED
from cicada.bus.tolerant import Unknown
from cicada.errors import DeliveryTimeout
from cicada.events import Envelope, PeerSuspected
from visualizer.feed.limits import CLOSE_S, POLL_S, QUEUE, RETRY_S, SPARE
from visualizer.view import Feed

Item = Snapshot | Envelope | Unknown
LASTS = HEEDED | {PeerSuspected}
"""Kinds of events without which the state is wrong. All others only pass by."""


class Following(Protocol):
    """What a feed needs of a Follower that was entered."""

    @property
    def connected(self) -> bool: ...
    @property
    def lag_ms(self) -> float: ...
    @property
    def lost(self) -> int: ...
    @property
    def healed(self) -> int: ...
    async def receive(self, timeout: float | None) -> Item: ...


Follow = Callable[[str, str], AbstractAsyncContextManager[Following]]


class LiveFeed:
    """What a bus tells, in a queue of bounded length.

    While the window takes too little, what only moves is dropped first. When there is no room for what lasts either, everything
    that waits is dropped, and a new snapshot is taken as soon as the window takes again. All of it is counted in
    ``status.lost``. A bus that ends or cannot be reached is tried again until ``close``.
    """

    def __init__(self, events: str, snapshots: str, *, follow: Follow = Follower, queue: int = QUEUE) -> None:
        self._events = events
        self._snapshots = snapshots
        self._follow = follow
        self._most = queue
        self._spare = min(SPARE, queue * 3 // 4)
        self._queue: deque[Item] = deque()
        self._dropped = 0
        self._before = Feed()  # what former followers lost and healed
        self._now = Feed()
        self._taken = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-feed", daemon=True)
        self._thread.start()

    def take(self, budget: int) -> list[Item]:
        """The next items, at most so many. Never waits."""
        items: list[Item] = []
        try:
            while len(items) < budget:
                items.append(self._queue.popleft())
        except IndexError:
            pass
        self._taken.set()
        return items

    @property
    def waiting(self) -> int:
        """Items that have not been taken."""
        return len(self._queue)

    @property
    def status(self) -> Feed:
        """How the feed does."""
        before, now = self._before, self._now
        return Feed(
            source=self._events,
            connected=now.connected,
            lag_ms=now.lag_ms,
            lost=before.lost + now.lost + self._dropped,
            healed=before.healed + now.healed,
            problem=now.problem,
        )

    def close(self) -> None:
        """Follow no more. Waits for the thread, CLOSE_S seconds at most. Safe to call twice."""
        self._closing.set()
        self._thread.join(CLOSE_S)

    # On the thread

    def _run(self) -> None:
        asyncio.run(self._go_on())

    async def _go_on(self) -> None:
        while not self._closing.is_set():
            try:
                async with self._follow(self._events, self._snapshots) as follower:
                    await self._listen(follower)
            except Exception as error:  # noqa: BLE001  # whatever it is: the window lives on, says so, and tries again
                self._settle(f"the bus cannot be followed: {error}")
                await self._pause(RETRY_S)
            else:
                self._settle("")

    async def _listen(self, follower: Following) -> None:
        """Until the feed closes, or something was dropped that lasts."""
        while not self._closing.is_set():
            try:
                item = await follower.receive(POLL_S)
            except DeliveryTimeout:
                self._note(follower)
                continue
            self._note(follower)
            if not self._put(item):
                await self._until_taken()
                return

    def _put(self, item: Item) -> bool:
        """Queue an item. False: there was no room, and the state is lost."""
        waiting = len(self._queue)
        if waiting >= self._spare and not _lasts(item):
            self._dropped += 1
            return True
        if waiting < self._most:
            self._queue.append(item)
            return True
        self._dropped += waiting + 1
        self._taken.clear()
        self._queue.clear()
        return False

    async def _until_taken(self) -> None:
        """While nobody looks, nothing need be kept up to date."""
        while not self._taken.is_set() and not self._closing.is_set():
            await asyncio.sleep(POLL_S / 4)

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._closing.is_set() and loop.time() < until:
            await asyncio.sleep(min(POLL_S, seconds))

    def _note(self, follower: Following) -> None:
        self._now = Feed(
            connected=follower.connected,
            lag_ms=follower.lag_ms,
            lost=follower.lost,
            healed=follower.healed,
            problem="" if follower.connected else "no word from the bus",
        )

    def _settle(self, problem: str) -> None:
        """This follower is done. Another one begins with a snapshot, which heals what was dropped."""
        before, now = self._before, self._now
        again = 0 if problem else 1
        self._before = Feed(lost=before.lost + now.lost, healed=before.healed + now.healed + again)
        self._now = Feed(problem=problem)


def _lasts(item: Item) -> bool:
    return isinstance(item, Snapshot) or (isinstance(item, Envelope) and type(item.event) in LASTS)
