"""How many messages the peers of one process may have on their way: what more is sent is refused at once.

A process that takes in more than it can carry delivers everything too late. So what it holds is bounded in time: by Little's
law no more than it delivers in ``pending_seconds``, but always ``pending_least``. Its peers share that by dynamic thresholds.
What waits for room in its destination's mailbox is no work for the process, and counts in the whole only.
"""

from __future__ import annotations

from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.pace import Pace
from cicada.routing.shares import may_hold

_BUSY_SHARE = 0.5


class Admission:
    """Messages that have not settled, of all peers of a process."""

    def __init__(self, limits: DeliveryLimits = DELIVERY) -> None:
        self.limits = limits
        self.pace = Pace(limits)
        self.held = 0
        self.waiting = 0  # of those held: until their destinations have room
        self.bytes = 0
        self.most = limits.pending_here
        self._delivered = 0
        self._since: float | None = (
            None  # when the measuring of the rate began; None: too little is on its way
        )

    @property
    def under_way(self) -> int:
        """Those held that do not wait for their destinations."""
        return self.held - self.waiting

    def took(self, size: int, now: float) -> None:
        """A message of ``size`` bytes was let in."""
        self.held += 1
        self.bytes += size
        if self._since is None and self.under_way >= _BUSY_SHARE * self.limits.pending_least:
            self._since, self._delivered = now, 0

    def gave_back(self, size: int, delivered: bool, now: float) -> None:
        """It settled."""
        self.held -= 1
        self.bytes -= size
        self._delivered += delivered
        self.look(now)

    def look(self, now: float) -> None:
        """See whether it is time to measure."""
        limits = self.limits
        if self._since is None:
            return
        if self.under_way < _BUSY_SHARE * limits.pending_least:
            self._since, self.most = None, limits.pending_here
        elif now - self._since >= limits.pending_interval:
            carried = limits.pending_seconds * self._delivered / (now - self._since)
            self.most = int(min(max(carried, limits.pending_least), limits.pending_here))
            self._since, self._delivered = now, 0


class Quota:
    """One peer's part."""

    def __init__(self, admission: Admission) -> None:
        self._all = admission
        self._held = 0
        self._waiting = 0
        self._bytes = 0

    @property
    def pace(self) -> Pace:
        """That of the process."""
        return self._all.pace

    @property
    def held(self) -> int:
        """This peer's messages that have not settled."""
        return self._held

    def waits(self, count: int) -> None:
        """So many of them wait until their destinations have room."""
        self._all.waiting += count - self._waiting
        self._waiting = count

    def take(self, size: int, now: float) -> bool:
        """Let a message of ``size`` bytes in, or refuse it."""
        everyone = self._all
        limits = everyone.limits
        everyone.look(now)
        share = limits.pending_share
        if not may_hold(self._held, 1, everyone.held, limits.pending_here, share):
            return False
        if not may_hold(self._held - self._waiting, 1, everyone.under_way, everyone.most, share):
            return False
        if size and not may_hold(self._bytes, size, everyone.bytes, limits.pending_here_bytes, share):
            return False
        self._held += 1
        self._bytes += size
        everyone.took(size, now)
        return True

    def give_back(self, size: int, delivered: bool, now: float) -> None:
        """A message that was let in settled."""
        self._held -= 1
        self._bytes -= size
        self._all.gave_back(size, delivered, now)
