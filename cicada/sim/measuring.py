"""What is measured while a scenario runs: when timed checks come true, in seconds and rounds, and what it costs."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import msgspec

from cicada.ids import Address, Peer, peer_at
from cicada.sim.scenario import Expect
from cicada.sim.swarm import Swarm
from cicada.wire.ring import RingMessage

_RING = frozenset(kind.__name__ for kind in get_args(RingMessage))
_MOST_POINTS = 2000


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """When a timed check came true for good: ``seconds`` after ``after``, None when it was not true in the end. Rounds
    begun since then: mean, least and most of all live peers, and the most that a peer which had been wrong needed
    (``own_rounds``; not for noticed)."""

    check: str
    after: float
    seconds: float | None
    rounds_mean: float
    rounds_least: int
    rounds_most: int
    own_rounds: int


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """From ``after`` to the end of the run. ``messages``: ring messages a peer and second. ``probes``: of remembered
    strangers, a peer and round."""

    after: float
    seconds: float
    messages: float
    by_kind: dict[str, float]
    dials: float
    probes: float
    rounds: float


class Point(msgspec.Struct, frozen=True, array_like=True):
    """How many live peers had a wrong head, and anything wrong, at a time (virtual seconds)."""

    at: float
    wrong_heads: int
    wrong: int


class Gauge:
    """Follows one timed check from the moment it counts from."""

    def __init__(self, swarm: Swarm, check: str, after: float) -> None:
        self._swarm = swarm
        self._check = check
        self._after = after
        self._mark = swarm.round_counts()
        self._wrong: set[Peer] = set()
        self._own = 0
        self._waiting = _stale_heads(swarm) if check == "noticed" else {}
        self.reached: Reached | None = None

    def look(self) -> None:
        """Note how it stands now."""
        if self._check == "noticed":
            self._waiting = {
                peer: head for peer, head in self._waiting.items() if self._still_has(peer, head)
            }
            is_true = not self._waiting
        else:
            is_true = self._look_at_ring()
        if not is_true:
            self.reached = None
        elif self.reached is None:
            self.reached = self._result(self._swarm.now - self._after)

    def result(self) -> Reached:
        """When it came true, or how far it got."""
        return self.reached or self._result(None)

    def _look_at_ring(self) -> bool:
        truth = self._swarm.truth
        if truth.are_heads_right() if self._check == "heads" else truth.is_ideal():
            wrong: set[Peer] = set()
        else:
            wrong = set(truth.wrong_heads() if self._check == "heads" else truth.wrong())
        for peer in self._wrong - wrong:
            self._own = max(self._own, self._swarm.peer(peer).rounds - self._mark.get(peer, 0))
        self._wrong = wrong
        return not wrong

    def _still_has(self, peer: Peer, head: Address) -> bool:
        holder = self._swarm.peer(peer)
        return self._swarm.is_live(peer) and holder.successors[:1] == (head,)

    def _result(self, seconds: float | None) -> Reached:
        rounds = self._swarm.rounds_since(self._mark)
        return Reached(
            check=self._check,
            after=self._after,
            seconds=None if seconds is None else round(seconds, 6),
            rounds_mean=rounds.mean,
            rounds_least=rounds.least,
            rounds_most=rounds.most,
            own_rounds=self._own,
        )


class Meter:
    """Counts what is sent and done from a moment on."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._after = self._looked = swarm.now
        self._sent = swarm.sent()
        self._dials = swarm.network.dials
        self._rounds = swarm.round_counts()
        self._visits = _visits(swarm)
        self._peer_seconds = 0.0

    def look(self) -> None:
        """Take the time that has passed into account."""
        self._peer_seconds += (self._swarm.now - self._looked) * len(self._swarm.live())
        self._looked = self._swarm.now

    def result(self) -> Costs:
        """What it was until the last look."""
        sent = self._swarm.sent()
        sent.subtract(self._sent)
        ring = Counter({kind: number for kind, number in sent.items() if kind in _RING and number})
        rounds = self._swarm.rounds_since(self._rounds).mean * len(self._swarm.live())
        visits = sum((_visits(self._swarm) - self._visits).values())
        each = self._peer_seconds or 1.0
        return Costs(
            after=self._after,
            seconds=self._looked - self._after,
            messages=ring.total() / each,
            by_kind={kind: number / each for kind, number in sorted(ring.items())},
            dials=(self._swarm.network.dials - self._dials) / each,
            probes=visits / rounds if rounds else 0.0,
            rounds=rounds / each,
        )


class Chart:
    """How the ring converges, point by point."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self.points: list[Point] = []

    def look(self) -> None:
        """Note how it stands now, if that is news."""
        truth = self._swarm.truth
        point = Point(round(self._swarm.now, 6), len(truth.wrong_heads()), len(truth.wrong()))
        last = self.points[-1] if self.points else None
        is_news = last is None or (last.wrong_heads, last.wrong) != (point.wrong_heads, point.wrong)
        if is_news and len(self.points) < _MOST_POINTS:
            self.points.append(point)


def begins(expect: Expect, settles_from: float) -> float:
    """The moment from which an expectation counts."""
    if expect.after is not None:
        return expect.after
    return settles_from if expect.is_timed else 0.0


def _stale_heads(swarm: Swarm) -> dict[Peer, Address]:
    """Live peers whose head does not run, with that head."""
    found = {}
    for peer in swarm.live():
        head = swarm.peer(peer).successors[:1]
        if head and not _runs(swarm, Address(head[0])):
            found[peer] = Address(head[0])
    return found


def _runs(swarm: Swarm, address: Address) -> bool:
    return swarm.is_live(peer_at(address))


def _visits(swarm: Swarm) -> Counter[Address]:
    """By incarnation of a ring node, as far as it lives."""
    return Counter({peer.address: swarm.node(peer).visits for peer in swarm.live()})
