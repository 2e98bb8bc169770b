"""Which operation a generator begins next, and when: by the clock (open), or when an earlier one has ended (closed). Pure."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol

from cicada.limits import LOAD
from launcher.load.plan import LoadShare, Shot


class Pace(Protocol):
    """Seconds from the start of the load throughout."""

    def next_at(self) -> float | None:
        """When the next operation begins; None: not before another has ended, or never more."""
        ...

    def take(self, now: float) -> Shot | None:
        """The next operation, if it is due."""
        ...

    def ended(self, number: int, now: float, *, failed: bool = False) -> None:
        """An operation that was taken has ended; ``failed``: otherwise than it should, or it could not begin."""
        ...

    def skip(self, seconds: float) -> None:
        """Before anything has begun: leave out what was to begin in the first seconds."""
        ...

    def stop(self) -> None:
        """Nothing more begins."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing more begins, whatever ends."""
        ...


class OpenPace:
    """Each operation begins when the plan says, whatever became of the others."""

    def __init__(self, share: LoadShare) -> None:
        self._share = share
        self._shots = share.shots()
        self._next = next(self._shots, None)

    def next_at(self) -> float | None:
        return None if self._next is None else self._next.at

    def take(self, now: float) -> Shot | None:
        due = self._next
        if due is None or due.at > now:
            return None
        self._next = next(self._shots, None)
        return due

    def ended(self, number: int, now: float, *, failed: bool = False) -> None:
        """Changes nothing."""

    def skip(self, seconds: float) -> None:
        if seconds > 0:
            self._shots = self._share.shots(self._share.plan.schedule.first_from(seconds))
            self._next = next(self._shots, None)

    def stop(self) -> None:
        self._next = None

    @property
    def is_over(self) -> bool:
        return self._next is None


class ClosedPace:
    """Each user of these sources begins an operation when the one before has ended, and the user has thought.

    The first ones begin spread over one time to think. User u begins the operations u, u + users, u + 2 users, ... After one
    that failed a user pauses for ``LOAD.pause`` at least: where peers are gone, operations fail at once, thousands a second.
    """

    def __init__(self, share: LoadShare) -> None:
        self._plan = plan = share.plan
        sources = frozenset(share.sources)
        users = [user for user in range(plan.users) if plan.peers[plan.draws.source(user)].name in sources]
        self._waiting = [(plan.think * user / plan.users, user) for user in users if user < plan.count]
        self._in_flight = 0
        self._until = plan.duration

    def next_at(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def take(self, now: float) -> Shot | None:
        if not self._waiting or self._waiting[0][0] > now:
            return None
        _, number = heappop(self._waiting)
        if now >= self._until:
            return None
        self._in_flight += 1
        return self._plan.shot(number, now)

    def ended(self, number: int, now: float, *, failed: bool = False) -> None:
        self._in_flight -= 1
        pause = max(self._plan.think, LOAD.pause) if failed else self._plan.think
        due, following = now + pause, number + self._plan.users
        if due < self._until and following < self._plan.count:
            heappush(self._waiting, (due, following))

    def skip(self, seconds: float) -> None:
        """Which operations its users began before, nobody knows: nothing is left of this share."""
        if seconds > 0:
            self.stop()

    def stop(self) -> None:
        self._waiting.clear()
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        return not self._waiting and not self._in_flight


def pace_of(share: LoadShare) -> Pace:
    """As the plan's model asks."""
    return ClosedPace(share) if share.plan.users else OpenPace(share)
