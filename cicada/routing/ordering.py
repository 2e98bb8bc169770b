"""Ordered messages: from one life of a sender to one life of a destination they enter the mailbox in the order of ``send``.

Each names the one before it whose fate is open, as its sender knows it when that attempt leaves, and its destination holds it
back until that one is in the mailbox. One that failed is left out: those behind it are repeated at once, naming an earlier one
or none, and from then on it would come too late. So a gap lasts as long as its sender tries, and no timer here decides.
"""

from __future__ import annotations

import enum
import heapq
from bisect import bisect_left, insort
from collections import OrderedDict
from typing import Generic, TypeVar

from cicada.ids import Place
from cicada.keys.trust import Trust
from cicada.routing.allowance import Account, Origin

T = TypeVar("T")


class Order:
    """The ordered messages of this peer whose fate is open, by destination."""

    def __init__(self) -> None:
        self._open: dict[Place, list[int]] = {}  # ids in rising order, which is that of ``send``
        self._places: dict[int, Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: Place, message: int) -> None:
        """One more."""
        if message not in self._places:
            insort(self._open.setdefault(place, []), message)
            self._places[message] = place

    def before(self, message: int) -> int | None:
        """The one before it, 0 when there is none; None when ``message`` is not ordered."""
        place = self._places.get(message)
        if place is None:
            return None
        line = self._open[place]
        index = bisect_left(line, message)
        return line[index - 1] if index else 0

    def remove(self, message: int) -> int | None:
        """Its fate is known. Returns the one that came next."""
        place = self._places.pop(message, None)
        if place is None:
            return None
        line = self._open[place]
        index = bisect_left(line, message)
        del line[index]
        if not line:
            del self._open[place]
        return line[index] if index < len(line) else None


class Turn(enum.Enum):
    """Whether an ordered message that came may enter the mailbox."""

    NEXT = "next"
    EARLY = "early"  # held back
    AGAIN = "again"  # held back already
    LATE = "late"  # a later one is in the mailbox: only if it is in the mailbox too may it be acknowledged
    FULL = "full"  # to be held back, but there is no room: not kept


class _Line:
    __slots__ = ("last", "number", "ready", "size")

    def __init__(self) -> None:
        self.last = 0  # the last message in the mailbox
        self.number = 0  # of those held back
        self.size = 0  # their bytes
        self.ready: list[tuple[int, int]] = []  # a heap of after and message; some are not held any more


class _Held(Generic[T]):
    __slots__ = ("after", "arrival", "heard_at", "size", "trust")

    def __init__(self, arrival: T, after: int, size: int, trust: Trust, now: float) -> None:
        self.arrival = arrival
        self.after = after
        self.size = size
        self.trust = trust
        self.heard_at = now


class Lines(Generic[T]):
    """Others' ordered messages at one peer: what came last of each sender, and what is held back, as ``account`` bears."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._limits = account.limits
        self._lines: OrderedDict[Origin, _Line] = OrderedDict()  # least recently used first
        self._held: OrderedDict[tuple[Origin, int], _Held[T]] = OrderedDict()  # longest unheard of first

    def __len__(self) -> int:
        """How many are held back."""
        return len(self._held)

    def take(
        self, origin: Origin, trust: Trust, message: int, after: int, arrival: T, size: int, now: float
    ) -> Turn:
        """A message came. When it is EARLY, ``arrival`` is kept, and ``size`` bytes are charged for it; when it is there
        AGAIN, the new ``arrival`` takes the place of the old one."""
        line = self._line(origin)
        if line is None:
            return Turn.FULL
        held = self._held.get((origin, message))
        if message <= line.last:
            return Turn.LATE
        if after <= line.last:
            self._drop((origin, message))
            return Turn.NEXT
        if held is None:
            return self._hold(line, origin, message, _Held(arrival, after, size, trust, now))
        held.arrival = arrival
        held.heard_at = now
        self._held.move_to_end((origin, message))
        if after < held.after:
            held.after = after
            self._push(line, origin, after, message)
        return Turn.AGAIN

    def entered(self, origin: Origin, message: int) -> tuple[T | None, int]:
        """It is in the mailbox. Returns the one whose turn it is now, which is held back no more, and how many were given up
        because their turn is over."""
        line = self._lines.get(origin)
        overtaken = 0
        if line is None:  # forgotten meanwhile
            return None, overtaken
        line.last = max(line.last, message)
        while line.ready and line.ready[0][0] <= line.last:
            after, held_back = heapq.heappop(line.ready)
            held = self._held.get((origin, held_back))
            if held is None or held.after != after:
                continue
            self._drop((origin, held_back))
            if held_back > line.last:
                return held.arrival, overtaken
            overtaken += 1
        return None, overtaken

    def expire(self, now: float) -> int:
        """Give up what its sender has not repeated for ``idle`` seconds. Returns how many messages that were."""
        given_up = 0
        while self._held:
            key, held = next(iter(self._held.items()))
            if now - held.heard_at < self._limits.idle:
                break
            self._drop(key)
            given_up += 1
        return given_up

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        for held in self._held.values():
            return held.heard_at + self._limits.idle
        return None

    def _line(self, origin: Origin) -> _Line | None:
        line = self._lines.get(origin)
        if line is None:
            if not self._make_room():
                return None
            line = self._lines[origin] = _Line()
        self._lines.move_to_end(origin)
        return line

    def _make_room(self) -> bool:
        """Forgotten, a line begins anew: of what is under way then, an earlier message could come late."""
        if len(self._lines) < self._limits.lines:
            return True
        idle = next((origin for origin, line in self._lines.items() if not line.number), None)
        if idle is not None:
            del self._lines[idle]
        return idle is not None

    def _hold(self, line: _Line, origin: Origin, message: int, held: _Held[T]) -> Turn:
        limits = self._limits
        size = held.size + limits.held_overhead
        is_full = line.number >= limits.line_messages or line.size + size > limits.line_bytes
        if is_full or not self._account.charge(origin, held.trust, held.size, held.heard_at):
            return Turn.FULL
        self._held[(origin, message)] = held
        line.number += 1
        line.size += size
        self._push(line, origin, held.after, message)
        return Turn.EARLY

    def _push(self, line: _Line, origin: Origin, after: int, message: int) -> None:
        heapq.heappush(line.ready, (after, message))
        if len(line.ready) > 2 * self._limits.line_messages:
            line.ready = [(held.after, id) for (of, id), held in self._held.items() if of == origin]
            heapq.heapify(line.ready)

    def _drop(self, key: tuple[Origin, int]) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._account.release(key[0], held.trust, held.size)
            line = self._lines[key[0]]
            line.number -= 1
            line.size -= held.size + self._limits.held_overhead
            if not line.number:
                line.ready.clear()
