"""A live feed keeps what it can, counts what it cannot, and never gives the bus up."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from types import TracebackType

import pytest

from cicada.bus.snapshot import Snapshot
from cicada.bus.tolerant import Unknown
from cicada.errors import DeliveryTimeout, Unavailable
from cicada.events import Envelope, MessageSettled, WorkerStarted
from visualizer.feed import live
from visualizer.feed.live import Item, LiveFeed

from .tellings import told

WAIT_S = 5.0
NEVER = 10**6
SNAPSHOT = Snapshot(time_ms=1, name="swarm", run="run", sequences={}, events=())


def lasting(pid: int) -> Envelope:
    return told(WorkerStarted(worker="w", pid=pid))


def passing(message: int) -> Envelope:
    return told(
        MessageSettled(message=message, status="delivered", reason="", attempts=1, hops=1, round_trip_s=0.1)
    )


class Bus:
    """What a follower would tell: a snapshot to whoever enters, then what is said. Counts how often it was followed."""

    def __init__(self, *, refusals: int = 0) -> None:
        self._said: deque[Item] = deque()
        self._changed = threading.Condition()
        self._idles = 0
        self.refusals = refusals
        self.followers = 0

    def say(self, *items: Item) -> None:
        """Tell these, and wait until the feed has all of them."""
        with self._changed:
            self._said.extend(items)
            seen = self._idles
            assert self._changed.wait_for(lambda: self._idles > seen and not self._said, WAIT_S)

    def hurry(self, *items: Item) -> None:
        """Tell these, and wait until the feed has been given all of them."""
        with self._changed:
            self._said.extend(items)
            assert self._changed.wait_for(lambda: not self._said, WAIT_S)

    def followed(self, times: int) -> None:
        """Wait until it was followed so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.followers >= times, WAIT_S)

    def next(self) -> Item | None:
        with self._changed:
            item = self._said.popleft() if self._said else None
            self._idles += item is None
            self._changed.notify_all()
            return item

    def enter(self) -> None:
        with self._changed:
            self.followers += 1
            self._changed.notify_all()
            if self.followers <= self.refusals:
                raise Unavailable("nobody there")
            self._said.appendleft(SNAPSHOT)


class FakeFollower:
    """As a Follower, of a Bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.connected = False
        self.lag_ms = 3.0
        self.lost = 1
        self.healed = 0

    async def __aenter__(self) -> FakeFollower:
        self._bus.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connected = False

    async def receive(self, timeout: float | None) -> Item:
        item = self._bus.next()
        if item is None:
            await asyncio.sleep(0.001)
            raise DeliveryTimeout("nothing was said")
        self.connected = True
        return item


@pytest.fixture
def feeding(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LiveFeed]]:
    """Starts feeds from a Bus, and closes them after the test."""
    monkeypatch.setattr(live, "RETRY_S", 0.001)
    monkeypatch.setattr(live, "POLL_S", 0.004)
    with ExitStack() as feeds:

        def start(bus: Bus, queue: int = 100) -> LiveFeed:
            feed = LiveFeed("ipc://events", "ipc://snap", follow=lambda *_: FakeFollower(bus), queue=queue)
            return feeds.enter_context(closing(feed))

        yield start


Feeding = Callable[..., LiveFeed]


def test_what_is_told_is_taken_in_order_and_in_pieces(feeding: Feeding) -> None:
    bus = Bus()
    feed = feeding(bus)
    strange = Unknown("Strange", 9, "worker-0")
    bus.say(lasting(1), strange, passing(2))
    assert feed.take(2) == [SNAPSHOT, lasting(1)]
    assert feed.waiting == 2
    assert feed.take(9) == [strange, passing(2)]
    assert feed.take(9) == []
    status = feed.status
    assert (status.source, status.connected, status.lag_ms) == ("ipc://events", True, 3.0)
    assert (status.lost, status.healed, status.problem) == (1, 0, "")


def test_what_only_passes_by_is_dropped_first(feeding: Feeding) -> None:
    bus = Bus()
    feed = feeding(bus, queue=8)  # of which two are spared for what lasts
    bus.say(*(passing(n) for n in range(20)), lasting(1), lasting(2))
    items = feed.take(99)
    assert items == [SNAPSHOT, *(passing(n) for n in range(5)), lasting(1), lasting(2)]
    assert feed.status.lost == 1 + 15
    assert bus.followers == 1, "the state is whole"


def test_when_something_lasting_is_dropped_a_new_snapshot_comes_once_the_window_takes_again(
    feeding: Feeding,
) -> None:
    bus = Bus()
    feed = feeding(bus, queue=4)
    bus.say()  # the first snapshot is there
    bus.hurry(*(lasting(n) for n in range(4)))
    while feed.waiting:  # the feed has the last one, and is about to find no room for it
        threading.Event().wait(0.001)
    assert bus.followers == 1, "nobody looks"
    assert feed.take(99) == []
    bus.followed(2)
    bus.say(lasting(7))
    assert feed.take(99) == [SNAPSHOT, lasting(7)]
    assert feed.status.lost == 2 + 5, "one by each follower, and what waited"
    assert feed.status.healed == 1


def test_a_bus_that_cannot_be_followed_is_tried_again(feeding: Feeding) -> None:
    bus = Bus(refusals=NEVER)
    feed = feeding(bus)
    bus.followed(2)
    assert feed.status.problem == "the bus cannot be followed: nobody there"
    assert not feed.status.connected
    bus.refusals = 0
    bus.say(lasting(1))
    assert feed.take(9) == [SNAPSHOT, lasting(1)]
    assert (feed.status.problem, feed.status.healed) == ("", 0)


def test_a_closed_feed_has_no_thread_left(feeding: Feeding) -> None:
    for bus in (Bus(), Bus(refusals=NEVER)):
        feed = feeding(bus)
        bus.followed(1)
        feed.close()
        feed.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "live-feed"]
