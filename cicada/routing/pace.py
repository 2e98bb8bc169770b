"""How many messages the peers of one process may have in flight, found by the delay that they cause.

What a process sends beyond what it can carry waits in the inboxes and queues of peers, and the longer these are, the later are
acks: links time out that are alive. So while round trips are longer than ``pace_stretch`` times the shortest, and longer than
``pace_delay``, the window shrinks; otherwise it grows when somebody waits for it. (Delay tells of a queue before loss does:
Brakmo and Peterson 1995, TCP Vegas; decrease by a factor, as Chiu and Jain 1989 show that fairness needs.) What does not fit
waits at its sender, where it costs nobody anything and is bounded.
"""

from __future__ import annotations

import math

from cicada.limits import DeliveryLimits


class Pace:
    """One for all peers of a process, each of which has an equal share of the window."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self.window = limits.pace_first
        self._active = 0
        self._was_short = False
        self._since = -math.inf
        self._total = 0.0
        self._count = 0
        self._shortest = math.inf
        self._shortest_before = math.inf
        self._renewed_at = -math.inf

    def share(self) -> int:
        """How many messages a peer that has any may have in flight; at least one."""
        return max(self.window // max(self._active, 1), 1)

    def begins(self) -> None:
        """A peer that had nothing in flight has."""
        self._active += 1

    def ends(self) -> None:
        """A peer has nothing in flight any more."""
        self._active -= 1

    def ran_short(self) -> None:
        """A message waits because the window is full."""
        self._was_short = True

    def measured(self, round_trip: float, now: float) -> None:
        """Seconds from a message's attempt to its ack, or until it was given up as lost."""
        self._shortest = min(self._shortest, round_trip)
        self._total += round_trip
        self._count += 1
        if now - self._since >= self._limits.pace_interval:
            self._judge(now)

    def _judge(self, now: float) -> None:
        limits = self._limits
        base = min(self._shortest, self._shortest_before)
        if self._total / self._count > max(limits.pace_delay, limits.pace_stretch * base):
            self.window = max(int(self.window * limits.pace_decrease), limits.pace_least)
        elif self._was_short:
            self.window = min(int(self.window * limits.pace_increase) + 1, limits.pace_most)
        self._since, self._total, self._count, self._was_short = now, 0.0, 0, False
        if now - self._renewed_at >= limits.pace_memory:
            self._shortest_before, self._shortest, self._renewed_at = self._shortest, math.inf, now


class Line:
    """One peer's messages: those in flight, and those that wait for the window, in order."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._flying: set[int] = set()
        self._waiting: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, id: int) -> bool:
        """Whether the message may leave. If not it waits, and is among those that ``next`` names later."""
        if id in self._flying:
            return True
        if id in self._waiting:
            return False
        if not self._waiting and len(self._flying) < self._pace.share():
            self._fly(id)
            return True
        self._waiting[id] = None
        self._pace.ran_short()
        return False

    def over(self, id: int) -> None:
        """The message is settled, or waits for something else."""
        self._waiting.pop(id, None)
        if id in self._flying:
            self._flying.remove(id)
            if not self._flying:
                self._pace.ends()

    def next(self) -> list[int]:
        """Those that may leave now."""
        going: list[int] = []
        while self._waiting and len(self._flying) < self._pace.share():
            id = next(iter(self._waiting))
            del self._waiting[id]
            self._fly(id)
            going.append(id)
        if self._waiting:
            self._pace.ran_short()
        return going

    def close(self) -> None:
        """Forget all messages."""
        if self._flying:
            self._pace.ends()
        self._flying.clear()
        self._waiting.clear()

    def waits(self, id: int) -> bool:
        """Whether the message waits for the window."""
        return id in self._waiting

    def _fly(self, id: int) -> None:
        if not self._flying:
            self._pace.begins()
        self._flying.add(id)
