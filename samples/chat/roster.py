"""Who is in a channel, and when this peer says that it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import msgspec

from samples.chat.limits import ChatLimits


class Member(msgspec.Struct):
    """Somebody else in a channel, under the name that it claims."""

    peer_id: str
    name: str
    heard: float


class Roster:
    """The members of one channel, by what they say themselves. Who is forgotten for others is counted in ``dropped``."""

    def __init__(self, limits: ChatLimits, rng: Random, dropped: Counter[str]) -> None:
        self._dropped = dropped
        self._limits = limits
        self._rng = rng
        self._members: dict[str, Member] = {}
        self._due = float("inf")
        self._last = float("-inf")
        self._fresh = 0

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def heard(self, peer_id: str, name: str, now: float) -> str | None:
        """It said something; returns the name that it had before: None when it was not there."""
        member = self._members.pop(peer_id, None)
        self._members[peer_id] = Member(peer_id, name, now)
        while len(self._members) > self._limits.members:
            del self._members[next(iter(self._members))]
            self._dropped["member-crowded-out"] += 1
        return None if member is None else member.name

    def left(self, peer_id: str) -> bool:
        """It said farewell; whether it was there."""
        return self._members.pop(peer_id, None) is not None

    def gone(self, now: float) -> list[Member]:
        """Those that were not heard for too long. They are forgotten."""
        gone = [member for member in self._members.values() if now - member.heard > self._limits.gone]
        for member in gone:
            del self._members[member.peer_id]
        return gone

    # Announcements

    def enter(self, now: float) -> None:
        """This peer is new to others here: it announces itself at once, and once more."""
        self._fresh = 2
        self._due = now

    def rename(self, now: float) -> None:
        """Others are to hear soon what this peer is called."""
        self._due = min(self._due, now)

    def answer(self, now: float) -> None:
        """Somebody is new. All answer at different times, each once for all newcomers of those seconds."""
        soon = now + self._rng.uniform(0.1, 1.0) * self._limits.answer
        self._due = min(self._due, max(soon, self._last + self._limits.answer))

    def announces(self, now: float) -> bool | None:
        """Whether an announcement is due, and then whether it is a newcomer's: True, False, or None."""
        if now < self._due:
            return None
        is_fresh = self._fresh > 0
        self._fresh = max(0, self._fresh - 1)
        self._last = now
        pause = self._limits.again if self._fresh else self._limits.announce
        self._due = now + min(pause, self._limits.announce) * self._rng.uniform(0.8, 1.0)
        return is_fresh
