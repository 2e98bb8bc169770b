"""How many messages the peers of one process may have in flight, found by the delay that they cause.

What a process sends beyond what it can carry waits in the inboxes and queues of peers, and the longer these are, the later are
acks: links time out that are alive. So while messages are on their way for longer than ``pace_delay``, and than
``pace_stretch`` times the shortest round trip, the window shrinks; otherwise it grows when somebody waits for it. (Delay tells
of a queue before loss does: Brakmo and Peterson 1995, TCP Vegas; decrease by a factor, as Chiu and Jain 1989 show that fairness
needs.) What does not fit waits at its sender, where it costs nobody anything and is bounded.
"""

from __future__ import annotations

import math

from cicada.limits import DeliveryLimits


class Pace:
    """One for all peers of a process, each of which has an equal share of the window."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self.window = limits.pace_first
        self.flying = 0
        self._active = 0
        self._was_short = False
        self._since: float | None = None
        self._ended = 0  # since then
        self._shortest = math.inf
        self._shortest_before = math.inf
        self._renewed_at = -math.inf

    def share(self) -> int:
        """How many messages a peer that has any may have in flight; at least one."""
        return max(self.window // max(self._active, 1), 1)

    def begins(self, is_first: bool) -> None:
        """A message takes off, of a peer that had none in flight or some."""
        self.flying += 1
        self._active += is_first

    def ends(self, count: int, is_last: bool) -> None:
        """Messages are in flight no more, and their peer has no others or some."""
        self.flying -= count
        self._active -= is_last

    def ran_short(self) -> None:
        """A message waits because the window is full."""
        self._was_short = True

    def measured(self, round_trip: float, now: float) -> None:
        """A message was acknowledged so many seconds after its last attempt."""
        self._shortest = min(self._shortest, round_trip)
        self._ended += 1
        self.look(now)

    def look(self, now: float) -> None:
        """See whether it is time to judge."""
        if self._since is None:
            self._since = now
        elif now - self._since >= self._limits.pace_interval:
            self._judge(now, now - self._since)
            self._since, self._ended, self._was_short = now, 0, False

    def _judge(self, now: float, seconds: float) -> None:
        """By Little's law, not by the round trips of those that came back: the slow ones are still out."""
        limits = self._limits
        on_their_way = self.flying * seconds / max(self._ended, 1)
        base = min(self._shortest, self._shortest_before)
        bearable = max(limits.pace_delay, limits.pace_stretch * base if base < math.inf else 0.0)
        if on_their_way > bearable and self.flying > limits.pace_least:
            self.window = max(int(self.window * limits.pace_decrease), limits.pace_least)
        elif self._was_short and on_their_way <= bearable:
            self.window = min(int(self.window * limits.pace_increase) + 1, limits.pace_most)
        # Round trips of messages in a queue do not tell of the path.
        if not self._was_short and now - self._renewed_at >= limits.pace_memory:
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
            self._pace.ends(1, not self._flying)

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
            self._pace.ends(len(self._flying), True)
        self._flying.clear()
        self._waiting.clear()

    def waits(self, id: int) -> bool:
        """Whether the message waits for the window."""
        return id in self._waiting

    def _fly(self, id: int) -> None:
        self._pace.begins(not self._flying)
        self._flying.add(id)
