"""What waits until a link can carry it: control first within its share, and fairly by source.

Control is what keeps the ring and deliveries going (ring messages, contacts, acks, denials); data is what applications
send. While data waits, control gets at most ``control_share`` of the bytes. Sources take turns by deficit round robin
(Shreedhar and Varghese 1995), so bytes count, not messages. A source is the peer at the other end of the link a message came
by, as its handshake proved it, whatever the message says of its origin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from cicada.ids import Address
from cicada.limits import LinkLimits
from cicada.wire.codec import Message
from cicada.wire.routed import Broadcast, Data

_DATA_CLASSES = frozenset[type]({Data, Broadcast})


class Waiting(msgspec.Struct, frozen=True):
    """A message, its encoding, and the peer it came from (None: this one)."""

    message: Message
    raw: bytes
    source: Address | None


class _Lane:
    """What one source has waiting. ``credit`` is the number of bytes it may send in this turn."""

    __slots__ = ("bytes", "credit", "items")

    def __init__(self, credit: int) -> None:
        self.items: deque[Waiting] = deque()
        self.bytes = 0
        self.credit = credit


class _Lanes:
    """Messages of one kind by source. Sources take turns, ``quantum`` bytes each."""

    __slots__ = ("_lanes", "_quantum", "_turns", "bytes")

    def __init__(self, quantum: int) -> None:
        self._lanes: dict[Address | None, _Lane] = {}
        self._turns: deque[Address | None] = deque()
        self._quantum = quantum
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._turns)

    def __len__(self) -> int:
        return sum(len(lane.items) for lane in self._lanes.values())

    def __iter__(self) -> Iterator[Waiting]:
        for source in self._turns:
            yield from self._lanes[source].items

    def push(self, item: Waiting) -> None:
        lane = self._lanes.get(item.source)
        if lane is None:
            lane = self._lanes[item.source] = _Lane(self._quantum)
            self._turns.append(item.source)
        lane.items.append(item)
        lane.bytes += len(item.raw)
        self.bytes += len(item.raw)

    def pop(self, room: int) -> Waiting | None:
        """The next message in turn; None when its encoding is longer than ``room`` bytes. Each round adds a quantum, so the
        search for a lane whose credit covers its oldest message ends."""
        while True:
            source = self._turns[0]
            lane = self._lanes[source]
            size = len(lane.items[0].raw)
            if lane.credit >= size:
                break
            lane.credit += self._quantum
            self._turns.rotate(-1)
        if size > room:
            return None
        lane.credit -= size
        item = lane.items.popleft()
        self._charge(source, lane, item)
        return item

    def make_room(self, excess: int, *, above: int) -> int:
        """Drop the newest messages of whoever holds most, and more than ``above`` bytes, until ``excess`` bytes are gone or
        nobody holds so much. Returns how many."""
        dropped, goal = 0, self.bytes - excess
        while self._lanes and self.bytes > goal:
            source, lane = max(self._lanes.items(), key=lambda entry: entry[1].bytes)
            if lane.bytes <= above:
                break
            self._charge(source, lane, lane.items.pop())
            dropped += 1
        return dropped

    def held(self, source: Address | None) -> int:
        """Bytes of one source."""
        lane = self._lanes.get(source)
        return 0 if lane is None else lane.bytes

    def has_share(self, held: int) -> bool:
        """Whether somebody who holds so many bytes holds as much as the others in the mean."""
        return bool(self._lanes) and held * len(self._lanes) >= self.bytes

    def _charge(self, source: Address | None, lane: _Lane, item: Waiting) -> None:
        """Account for an item that left its lane; an empty lane goes, and its credit with it."""
        lane.bytes -= len(item.raw)
        self.bytes -= len(item.raw)
        if not lane.items:
            del self._lanes[source]
            self._turns.remove(source)


class FairQueue:
    """Messages that wait for one link, ``max_queued`` bytes of encodings at most, control ``control_share`` of that.

    When it is full the newest message of the source that holds most makes room for a source that holds less, and data for
    control; otherwise the newcomer is refused. So a flood costs only whom it came from.
    """

    __slots__ = ("_balance", "_control", "_data", "_most", "_most_control", "_share")

    def __init__(self, limits: LinkLimits) -> None:
        self._control = _Lanes(limits.fair_quantum)
        self._data = _Lanes(limits.fair_quantum)
        self._share = limits.control_share
        self._most = limits.max_queued
        self._most_control = int(limits.control_share * limits.max_queued)
        self._balance = 0.0  # below zero: control is ahead of its share by so many bytes

    @property
    def bytes(self) -> int:
        """Of all encodings in it."""
        return self._control.bytes + self._data.bytes

    def __len__(self) -> int:
        return len(self._control) + len(self._data)

    def __iter__(self) -> Iterator[Waiting]:
        """Everything that waits: control, then data, each source by source and in order."""
        yield from self._control
        yield from self._data

    def push(self, item: Waiting) -> int:
        """Take ``item``, or refuse it. Returns how many messages were dropped: it, or others that made room."""
        if type(item.message) in _DATA_CLASSES:
            return self._push(self._data, item, self._most - self._control.bytes)
        dropped = self._push(self._control, item, self._most_control)
        excess = self.bytes - self._most
        return dropped + (self._data.make_room(excess, above=0) if excess > 0 else 0)

    def pop(self, room: int) -> Waiting | None:
        """The next message in turn; None when there is none, or its encoding is longer than ``room`` bytes."""
        if self._control and (self._balance >= 0.0 or not self._data):
            item = self._control.pop(room)
            if item is not None:
                self._balance = self._balance - len(item.raw) * (1.0 - self._share) if self._data else 0.0
            return item
        item = self._data.pop(room) if self._data else None
        if item is not None:
            self._balance = min(0.0, self._balance + len(item.raw) * self._share)
        return item

    @staticmethod
    def _push(lanes: _Lanes, item: Waiting, most: int) -> int:
        excess = lanes.bytes + len(item.raw) - most
        dropped = 0
        if excess > 0:
            held = lanes.held(item.source)
            if lanes.has_share(held):
                return 1  # no search for somebody who holds more
            dropped = lanes.make_room(excess, above=held + len(item.raw))
            if lanes.bytes + len(item.raw) > most:
                return dropped + 1
        lanes.push(item)
        return dropped
