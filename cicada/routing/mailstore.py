"""What lies in a mailbox: bounded, shared fairly among its senders, and read from each in turn.

Each sender has a lane. Lanes take turns, a message each, so a flood delays its own sender and nobody else; the messages of one
sender keep their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from itertools import islice
from typing import Final, Generic, TypeVar

import msgspec

from cicada.errors import Misuse
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.shares import may_hold, still_free

BLOCK: Final = "block"
ERROR: Final = "error"
DROP_OLDEST: Final = "drop-oldest"
_RECALLS_AT_ONCE: Final = 4

L = TypeVar("L", bound=Hashable)
T = TypeVar("T")


class MailboxPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much a mailbox holds, and what it does with one message more.

    ``on_full``: "block" has the sender wait until there is room; "error" fails the sender's receipt at once; "drop-oldest"
    takes the new message and drops the oldest unread one of whoever has most in the mailbox. That one had been acknowledged:
    it is lost because the application chose so, and counted as ``mailbox-overwritten``. ``messages`` and ``bytes`` (of
    payloads) bound the mailbox; an empty one takes any message. One sender alone may hold 8/9 of it. Raises Misuse.
    """

    on_full: str = BLOCK
    messages: int = DELIVERY.mailbox
    bytes: int = DELIVERY.mailbox_bytes

    def __post_init__(self) -> None:
        if self.on_full not in (BLOCK, ERROR, DROP_OLDEST):
            raise Misuse(
                f"on_full={self.on_full!r} means nothing: use {BLOCK!r}, {ERROR!r} or {DROP_OLDEST!r}"
            )
        if not 1 <= self.messages <= DELIVERY.mailbox_most:
            raise Misuse(f"a mailbox of {self.messages} messages: use 1 to {DELIVERY.mailbox_most}")
        if not 1 <= self.bytes <= DELIVERY.mailbox_most_bytes:
            raise Misuse(f"a mailbox of {self.bytes} bytes: use 1 to {DELIVERY.mailbox_most_bytes}")


class _Lane(Generic[T]):
    __slots__ = ("bytes", "items")

    def __init__(self) -> None:
        self.items: deque[tuple[int, int, T]] = deque()  # number in order of arrival, bytes, what it is
        self.bytes = 0


class MailStore(Generic[L, T]):
    """Messages by lane. A lane is whatever tells senders apart, where they cannot make more of themselves at will."""

    def __init__(self, policy: MailboxPolicy, limits: DeliveryLimits = DELIVERY) -> None:
        self.policy = policy
        self._limits = limits
        self._lanes: dict[L, _Lane[T]] = {}
        self._turns: deque[L] = deque()
        self._count = 0
        self._bytes = 0
        self._arrived = 0
        self._short: dict[L, int] = {}  # who was told that there is no room, and for how many bytes

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        """Of all messages."""
        return self._bytes

    def admits(self, lane: L, size: int) -> bool:
        """Whether a message of ``size`` bytes of that sender may be put in now."""
        if self.policy.on_full == DROP_OLDEST or not self._count:
            return True
        policy, share, held = self.policy, self._limits.mailbox_share, self._lanes.get(lane)
        if not may_hold(len(held.items) if held else 0, 1, self._count, policy.messages, share):
            return False
        return not self._bytes or may_hold(held.bytes if held else 0, size, self._bytes, policy.bytes, share)

    def put(self, lane: L, size: int, item: T) -> int:
        """Take the message in. Returns how many were dropped for it, which only DROP_OLDEST does."""
        policy, dropped = self.policy, 0
        while self._count and (self._count >= policy.messages or self._bytes + size > policy.bytes):
            if policy.on_full != DROP_OLDEST:
                break  # the caller did not ask, or one that does not fit was let into an empty mailbox
            self._drop_oldest(lane)
            dropped += 1
        held = self._lanes.get(lane)
        if held is None:
            held = self._lanes[lane] = _Lane()
            self._turns.append(lane)
        self._arrived += 1
        held.items.append((self._arrived, size, item))
        self._charge(held, size, 1)
        return dropped

    def peek(self) -> T | None:
        """What ``pop`` would return; None when there is nothing."""
        return self._lanes[self._turns[0]].items[0][2] if self._turns else None

    def next_lane(self) -> L:
        """Whose message ``pop`` would return. Raises IndexError when there is none."""
        return self._turns[0]

    def pop(self) -> T:
        """The oldest message of the sender whose turn it is. Raises IndexError when there is none."""
        lane = self._turns.popleft()
        item = self._take(lane)
        if lane in self._lanes:
            self._turns.append(lane)
        return item

    def put_back(self, lane: L, size: int, item: T) -> None:
        """Undo a ``pop``: the message is the next to be popped. There is always room for what had its place already; after
        several pops, put back what was popped last first."""
        held = self._lanes.get(lane)
        if held is None:
            held = self._lanes[lane] = _Lane()
        else:
            self._turns.remove(lane)
        self._turns.appendleft(lane)
        held.items.appendleft((0, size, item))
        self._charge(held, size, 1)

    def credit(self, lane: L, size: int) -> int:
        """How many messages more of ``size`` bytes that sender may put in now. With none it is called back by ``recalls``; only
        who is to wait for room has none."""
        most = self._room(lane, size)
        if self.policy.on_full != BLOCK:
            return max(most, self._limits.credit_quantum)
        if not most:
            self._short[lane] = size
            if len(self._short) > self._limits.recalls:
                del self._short[next(iter(self._short))]
        return most

    def recalls(self) -> list[tuple[L, int]]:
        """After ``pop``: who had no credit and has again, and how much. Each is named once, and few at a time, until nothing
        is left to be popped. Room for a message or two is not worth a word (RFC 9293, 3.8.6.2.2) while more is read."""
        recalled: list[tuple[L, int]] = []
        for lane in list(islice(self._short, _RECALLS_AT_ONCE if self._count else None)):
            size = self._short.pop(lane)
            credit = self._room(lane, size)
            if credit >= self._limits.credit_quantum or (credit and self._is_half_empty()):
                recalled.append((lane, credit))
            else:
                self._short[lane] = size  # behind the others
        return recalled

    def _room(self, lane: L, size: int) -> int:
        policy, share, held = self.policy, self._limits.mailbox_share, self._lanes.get(lane)
        messages = still_free(len(held.items) if held else 0, 1, self._count, policy.messages, share)
        if not size:
            return messages
        return min(messages, still_free(held.bytes if held else 0, size, self._bytes, policy.bytes, share))

    def _is_half_empty(self) -> bool:
        return 2 * self._count <= self.policy.messages and 2 * self._bytes <= self.policy.bytes

    def _drop_oldest(self, newcomer: L) -> None:
        """Of whoever holds most; of the newcomer when it holds its fair share or more, which saves the search."""
        held = self._lanes.get(newcomer)
        if held is not None and len(held.items) * len(self._lanes) >= self._count:
            lane = newcomer
        else:
            lane = max(self._lanes, key=self._weight)
        self._take(lane)
        if lane not in self._lanes:
            self._turns.remove(lane)

    def _weight(self, lane: L) -> tuple[int, int]:
        items = self._lanes[lane].items
        return len(items), -items[0][0]

    def _take(self, lane: L) -> T:
        held = self._lanes[lane]
        _, size, item = held.items.popleft()
        self._charge(held, -size, -1)
        if not held.items:
            del self._lanes[lane]
        return item

    def _charge(self, held: _Lane[T], size: int, count: int) -> None:
        held.bytes += size
        self._bytes += size
        self._count += count
