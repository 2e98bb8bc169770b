"""Queries that wait for an answer, and how long an answer of each peer may take."""

from __future__ import annotations

import enum

from cicada.ids import Peer
from cicada.limits import RingTimings
from cicada.wire.ring import GetNextHop, GetState


class Purpose(enum.Enum):
    """What an answer is wanted for."""

    ROUND = enum.auto()  # stabilize: from the head, or from the head's predecessor
    JOIN = enum.auto()  # from the head that a joiner was told of
    RECTIFY = enum.auto()  # is the old predecessor alive?
    STEP = enum.auto()  # one step of an iterative lookup
    LIFE = enum.auto()  # is it a member, and in which life? No answer is no reason for suspicion


class RoundTrips:
    """Smoothed round trip and its deviation for the ``size`` peers asked most recently (RFC 6298)."""

    __slots__ = ("_estimates", "_size", "_timings")

    def __init__(self, timings: RingTimings, size: int) -> None:
        self._timings = timings
        self._size = size
        self._estimates: dict[Peer, tuple[float, float]] = {}

    def measure(self, peer: Peer, seconds: float) -> None:
        """One round trip was timed."""
        known = self._estimates.pop(peer, None)
        if known is None:
            smoothed, deviation = seconds, seconds / 2
        else:
            smoothed, deviation = known
            deviation += (abs(seconds - smoothed) - deviation) / 4
            smoothed += (seconds - smoothed) / 8
        self._estimates[peer] = (smoothed, deviation)
        if len(self._estimates) > self._size:
            del self._estimates[next(iter(self._estimates))]

    def timeout(self, peer: Peer) -> float:
        """Seconds to wait for an answer of ``peer``."""
        known = self._estimates.get(peer)
        if known is None:
            return self._timings.timeout_first
        wait = known[0] + 4 * known[1]
        return min(self._timings.timeout_ceiling, max(self._timings.timeout_floor, wait))


class Pending:
    """One unanswered query."""

    __slots__ = ("asked_at", "attempts", "deadline", "message", "peer", "purpose")

    def __init__(
        self, peer: Peer, purpose: Purpose, message: GetState | GetNextHop, now: float, wait: float
    ) -> None:
        self.peer = peer
        self.purpose = purpose
        self.message = message
        self.asked_at = now
        self.deadline = now + wait
        self.attempts = 1


class Requests:
    """The unanswered queries by request id. Few: a round asks at most ``walk_width`` peers, a lookup one at a time."""

    __slots__ = ("_pending", "_round_trips", "_timings")

    def __init__(self, timings: RingTimings, remembered: int) -> None:
        self._timings = timings
        self._round_trips = RoundTrips(timings, remembered)
        self._pending: dict[int, Pending] = {}

    def add(self, peer: Peer, purpose: Purpose, message: GetState | GetNextHop, now: float) -> None:
        """A query was sent."""
        wait = self._round_trips.timeout(peer)
        self._pending[message.request] = Pending(peer, purpose, message, now, wait)

    def is_asking(self, peer: Peer, purpose: Purpose) -> bool:
        """Whether an answer of the peer is awaited for this purpose."""
        return any(row.peer == peer and row.purpose is purpose for row in self._pending.values())

    def is_asked(self, request: int, peer: Peer, purpose: Purpose) -> bool:
        """Whether the peer was asked this, for this purpose, and has not answered yet."""
        row = self._pending.get(request)
        return row is not None and row.peer == peer and row.purpose is purpose

    def neighbours(self) -> list[Peer]:
        """Whose answers the list or the predecessor wait for."""
        outside = (Purpose.STEP, Purpose.LIFE)
        return [row.peer for row in self._pending.values() if row.purpose not in outside]

    def answer(self, request: int, sender: Peer, now: float) -> Pending | None:
        """The query that ``sender`` answered; None when it was not asked or is too late."""
        row = self._pending.get(request)
        if row is None or row.peer != sender:
            return None
        del self._pending[request]
        if row.attempts == 1:  # Karn: an answer to a repeated query tells no round trip
            self._round_trips.measure(sender, now - row.asked_at)
        return row

    def take_back(self, request: int) -> None:
        """The query did not leave this peer: it is put again at its time, which is not counted."""
        row = self._pending.get(request)
        if row is not None and row.attempts > 0:
            row.attempts -= 1

    def give_up(self, row: Pending) -> None:
        """No answer is waited for any longer."""
        self._pending.pop(row.message.request, None)

    def drop_peer(self, peer: Peer) -> None:
        """The peer will not answer."""
        for request in [request for request, row in self._pending.items() if row.peer == peer]:
            del self._pending[request]

    def overdue(self, now: float) -> list[Pending]:
        """Queries whose time is over, each with its next deadline set as if it were repeated now."""
        late = [row for row in self._pending.values() if row.deadline <= now]
        for row in late:
            wait = self._round_trips.timeout(row.peer) * 2**row.attempts
            row.attempts += 1
            row.deadline = now + min(self._timings.timeout_ceiling, wait)
        return late

    def next_deadline(self) -> float | None:
        """When the first query is overdue."""
        if not self._pending:
            return None  # as mostly
        return min(row.deadline for row in self._pending.values())

    def clear(self) -> None:
        """Wait for no answer any more."""
        self._pending.clear()
