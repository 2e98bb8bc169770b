"""Which operation a generator begins next, and when: by the clock (open), or when an earlier one has ended (closed). Pure."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from launcher.load.plan import LoadShare, Shot


class Pace(Protocol):
    """Seconds from the start of the load throughout."""

    def next_at(self) -> float | None:
        """When the next operation begins; None: not before another has ended, or never more."""
        ...

    def take(self, now: float) -> Shot | None:
        """The next operation, if it is due."""
        ...

    def ended(self, number: int, now: float) -> None:
        """An operation that began has ended, or could not begin."""
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

    def ended(self, number: int, now: float) -> None:
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

    The first ones begin spread over one time to think. User u begins the operations u, u + users, u + 2 users, ...
    """

    def __init__(self, share: LoadShare) -> None:
        self._plan = plan = share.plan
        sources = frozenset(share.sources)
        users = [user for user in range(plan.users) if plan.peers[plan.draws.source(user)].name in sources]
        self._waiting = deque((plan.think * user / plan.users, user) for user in users if user < plan.count)
        self._in_flight = 0
        self._until = plan.duration

    def next_at(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def take(self, now: float) -> Shot | None:
        if not self._waiting or self._waiting[0][0] > now:
            return None
        _, number = self._waiting.popleft()
        if now >= self._until:
            return None
        self._in_flight += 1
        return self._plan.shot(number, now)

    def ended(self, number: int, now: float) -> None:
        self._in_flight -= 1
        due, following = now + self._plan.think, number + self._plan.users
        if due < self._until and following < self._plan.count:
            self._waiting.append((due, following))

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
