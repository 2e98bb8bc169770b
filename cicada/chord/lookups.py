"""Lookups this node has begun and whose answer it awaits."""

from __future__ import annotations

import enum

from cicada.ids import Peer, Place


class Wanted(enum.Enum):
    """Who wants the answer."""

    OWNER = enum.auto()  # the application
    FINGERS = enum.auto()  # the finger table
    MERGE = enum.auto()  # whether a quarantined peer is in another ring


class Lookup:
    """One lookup. ``deadline`` is when it is tried again, or given up after its last attempt."""

    __slots__ = (
        "asked_at",
        "attempts",
        "deadline",
        "id",
        "place",
        "queue",
        "request",
        "route",
        "seconds",
        "started",
        "tried",
        "wanted",
    )

    def __init__(self, wanted: Wanted, place: Place, request: int, id: int, started: float) -> None:
        self.wanted = wanted
        self.place = place
        self.request = request
        self.id = id
        self.started = started
        self.deadline = started
        self.attempts = 0
        self.tried: list[Peer] = []
        self.queue: list[Peer] | None = None  # iterative: whom to ask next, best first
        self.route: list[Peer] = []  # iterative: who answered
        self.seconds: list[float] = []  # and how long each took
        self.asked_at = started

    @property
    def is_iterative(self) -> bool:
        """Whether this node asks every hop itself."""
        return self.queue is not None


class Lookups:
    """At most ``size`` lookups, by request id."""

    __slots__ = ("_rows", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: dict[int, Lookup] = {}

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another lookup."""
        return len(self._rows) >= self._size

    def add(self, row: Lookup) -> None:
        """Await the answer of a lookup."""
        self._rows[row.request] = row

    def get(self, request: int) -> Lookup | None:
        """The lookup with this request id."""
        return self._rows.get(request)

    def remove(self, row: Lookup) -> None:
        """The lookup ended."""
        self._rows.pop(row.request, None)

    def overdue(self, now: float) -> list[Lookup]:
        """Lookups whose deadline has come."""
        return [row for row in self._rows.values() if row.deadline <= now]

    def iterative(self) -> list[Lookup]:
        """Iterative lookups."""
        return [row for row in self._rows.values() if row.is_iterative]

    def next_deadline(self) -> float | None:
        """When the first lookup is overdue."""
        if not self._rows:
            return None  # as mostly
        return min(row.deadline for row in self._rows.values())

    def take_all(self) -> list[Lookup]:
        """Forget all lookups and return them."""
        rows, self._rows = list(self._rows.values()), {}
        return rows
