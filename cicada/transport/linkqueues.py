"""What waits until a link can carry it: control first within its share, data fairly by source.

Control is what keeps the ring and deliveries going (ring messages, contacts, acks, denials); data is what applications
send. While data waits, control gets at most ``control_share`` of the bytes. Sources take turns by deficit round robin
(Shreedhar and Varghese 1995), so bytes count, not messages.
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
    """The data of one source. ``credit`` is the number of bytes it may send in this turn."""

    __slots__ = ("bytes", "credit", "items")

    def __init__(self, credit: int) -> None:
        self.items: deque[Waiting] = deque()
        self.bytes = 0
        self.credit = credit


class FairQueue:
    """Messages that wait for one link, ``max_queued`` bytes of encodings at most.

    When it is full the newest message of the source that holds most makes room for a source that holds less, and for
    control; otherwise the newcomer is refused. So a flood costs only whom it came from.
    """

    __slots__ = ("_balance", "_control", "_control_bytes", "_lanes", "_limits", "_turns", "bytes")

    def __init__(self, limits: LinkLimits) -> None:
        self._limits = limits
        self._control: deque[Waiting] = deque()
        self._control_bytes = 0
        self._lanes: dict[Address | None, _Lane] = {}
        self._turns: deque[Address | None] = deque()
        self._balance = 0.0  # below zero: control is ahead of its share by so many bytes
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._control) + sum(len(lane.items) for lane in self._lanes.values())

    def __iter__(self) -> Iterator[Waiting]:
        """Everything that waits: control, then source by source, each in order."""
        yield from self._control
        for source in self._turns:
            yield from self._lanes[source].items

    def push(self, item: Waiting) -> int:
        """Take ``item``, or refuse it. Returns how many messages were dropped: it, or others that made room."""
        if type(item.message) in _DATA_CLASSES:
            return self._push_data(item)
        size = len(item.raw)
        if self._control_bytes + size > self._limits.control_share * self._limits.max_queued:
            return 1
        dropped = self._make_room(size, above=0)  # succeeds: control holds less than its share of the queue
        self._control.append(item)
        self._control_bytes += size
        self.bytes += size
        return dropped

    def pop(self, room: int) -> Waiting | None:
        """The next message in turn; None when there is none, or its encoding is longer than ``room`` bytes."""
        if self._control and (self._balance >= 0.0 or not self._lanes):
            return self._pop_control(room)
        return self._pop_data(room) if self._turns else None

    def _push_data(self, item: Waiting) -> int:
        size = len(item.raw)
        lane = self._lanes.get(item.source)
        held = lane.bytes if lane is not None else 0
        dropped = 0
        if self.bytes + size > self._limits.max_queued:
            if self._lanes and held * len(self._lanes) >= self.bytes - self._control_bytes:
                return 1  # it holds its fair share or more: no search for somebody who holds most
            dropped = self._make_room(size, above=held + size)
            if self.bytes + size > self._limits.max_queued:
                return dropped + 1
            lane = self._lanes.get(item.source)
        if lane is None:
            lane = self._lanes[item.source] = _Lane(self._limits.fair_quantum)
            self._turns.append(item.source)
        lane.items.append(item)
        lane.bytes += size
        self.bytes += size
        return dropped

    def _make_room(self, size: int, *, above: int) -> int:
        """Drop newest messages of sources that hold more than ``above`` bytes until ``size`` fits. Returns how many."""
        dropped = 0
        while self._lanes and self.bytes + size > self._limits.max_queued:
            source, lane = max(self._lanes.items(), key=lambda entry: entry[1].bytes)
            if lane.bytes <= above:
                break
            self._charge(source, lane, lane.items.pop())
            dropped += 1
        return dropped

    def _pop_control(self, room: int) -> Waiting | None:
        size = len(self._control[0].raw)
        if size > room:
            return None
        self._balance = self._balance - size * (1.0 - self._limits.control_share) if self._lanes else 0.0
        self._control_bytes -= size
        self.bytes -= size
        return self._control.popleft()

    def _pop_data(self, room: int) -> Waiting | None:
        source, lane = self._lane_in_turn()
        size = len(lane.items[0].raw)
        if size > room:
            return None
        self._balance = min(0.0, self._balance + size * self._limits.control_share)
        lane.credit -= size
        item = lane.items.popleft()
        self._charge(source, lane, item)
        return item

    def _lane_in_turn(self) -> tuple[Address | None, _Lane]:
        """The lane whose credit covers its oldest message. Each round adds a quantum, so this ends."""
        while True:
            source = self._turns[0]
            lane = self._lanes[source]
            if lane.credit >= len(lane.items[0].raw):
                return source, lane
            lane.credit += self._limits.fair_quantum
            self._turns.rotate(-1)

    def _charge(self, source: Address | None, lane: _Lane, item: Waiting) -> None:
        """Account for an item that left its lane; an empty lane goes, and its credit with it."""
        lane.bytes -= len(item.raw)
        self.bytes -= len(item.raw)
        if not lane.items:
            del self._lanes[source]
            self._turns.remove(source)
