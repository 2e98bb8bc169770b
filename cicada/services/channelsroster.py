"""Who is in a channel, as far as neighbours say: each tells each the members on its own side of the link between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cicada.ids import Address
from cicada.limits import ChannelLimits
from cicada.services.channelsio import Presence


class Report(NamedTuple):
    """Members of a part of the tree: how many, and some or all of their names."""

    total: int
    names: tuple[str, ...]


NOBODY = Report(0, ())


class Roster:
    """``own`` is a member while ``is_member``. Each neighbour has the same share of a list that is too long, so that who makes
    names up takes no place from those of others."""

    def __init__(self, channel: str, own: Address, limits: ChannelLimits) -> None:
        self._channel = channel
        self._own = own
        self._limits = limits
        self._reports: dict[str, Report] = {}
        self._seen: dict[str, float | None] = {}  # None: reported now; else since when it is not
        self._told: Presence | None = None
        self._is_member = False
        self._has_changed = True

    @property
    def is_member(self) -> bool:
        """Whether this peer is one itself."""
        return self._is_member

    @is_member.setter
    def is_member(self, value: bool) -> None:
        self._is_member = value
        self._has_changed = True

    @property
    def is_alone(self) -> bool:
        """Whether nobody else was reported lately."""
        return not self._reports and not set(self._seen) - {self._own}

    def report(self, neighbour: str, count: int, names: Sequence[str] | None) -> bool:
        """What a neighbour says of its side. No names: they are as it said last. Whether that is news."""
        known = tuple(name for name in names if name != self._own) if names is not None else None
        last = self._reports.get(neighbour, NOBODY)
        report = self._reports[neighbour] = Report(count, last.names if known is None else known)
        self._has_changed |= report != last
        return report != last

    def remove(self, neighbour: str) -> None:
        """It is none any more."""
        self._reports.pop(neighbour, None)
        self._has_changed = True

    def for_neighbour(self, neighbour: str) -> Report:
        """What is said to a neighbour: all members that are not on its side."""
        return self._merged(report for name, report in self._reports.items() if name != neighbour)

    def view(self) -> Report:
        """All members."""
        return self._merged(self._reports.values())

    def news(self, now: float) -> Presence | None:
        """What changed since the last time, for a member."""
        deadline = self.next_deadline()
        if not self._has_changed and (deadline is None or deadline > now):
            return None
        self._has_changed = False
        view = self.view()
        joined = self._note(view.names, now)
        left = [name for name, since in self._seen.items() if since is not None and self._is_over(since, now)]
        for name in left:
            del self._seen[name]
        if not self.is_member:
            return None
        members = tuple(Address(name) for name in sorted(self._seen)[: self._limits.names])
        news = Presence(
            self._channel, members, max(view.total, len(members)), _addresses(joined), _addresses(left)
        )
        if self._told is not None and (members, news.count) == (self._told.members, self._told.count):
            return None
        self._told = news
        return news

    def next_deadline(self) -> float | None:
        """When somebody who is reported no more has left."""
        gone = [since for since in self._seen.values() if since is not None]
        return min(gone) + self._limits.grace if gone else None

    def _merged(self, reports: Iterable[Report]) -> Report:
        reports = list(reports)
        own = int(self.is_member)
        count = min(own + sum(report.total for report in reports), self._limits.members)
        names = dict.fromkeys((self._own,) if own else ())
        for index in range(max((len(report.names) for report in reports), default=0)):
            for report in reports:
                if index < len(report.names) and len(names) < self._limits.names:
                    names[Address(report.names[index])] = None
        return Report(count, tuple(names))

    def _note(self, names: tuple[str, ...], now: float) -> list[str]:
        joined = [name for name in names if name not in self._seen]
        reported = set(names)
        for name, since in self._seen.items():
            if name in reported:
                self._seen[name] = None
            elif since is None:
                self._seen[name] = now
        self._seen.update(dict.fromkeys(joined))
        return joined

    def _is_over(self, since: float, now: float) -> bool:
        return since + self._limits.grace <= now or len(self._seen) > 2 * self._limits.names


def _addresses(names: Iterable[str]) -> tuple[Address, ...]:
    return tuple(Address(name) for name in sorted(names))
