"""What a load consists of: each operation's kind, source, target and size, drawn from its number alone. Pure.

Everybody who has the plan can say what operation 4711 is without looking at the others, so a worker walks through its own
share only, and whoever adds the accounts up knows what each number meant.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from functools import cached_property
from itertools import accumulate
from math import gcd
from random import Random
from typing import Final

import msgspec

from cicada.commands import Stage
from cicada.config.loadrules import BROADCAST, CLOSED, LOOKUP, OPEN, SEND
from cicada.ids import Address
from cicada.limits import LOAD
from launcher.load.schedule import Schedule

__all__ = ["BROADCAST", "LOOKUP", "SEND", "LoadPeer", "LoadPlan", "LoadShare", "Shot"]

TOO_MANY: Final = "too many operations in flight"
NO_SOURCE: Final = "its source does not run"
"""Why an operation never begins."""

_WORD: Final = 2**64 - 1
_SMALL: Final = 2**32


class LoadPeer(msgspec.Struct, frozen=True):
    """A peer that sends and receives."""

    name: str
    address: Address


def group_of(peer: LoadPeer) -> str:
    """The group that a peer's name begins with."""
    return peer.name.rpartition("-")[0]


class Shot(msgspec.Struct, frozen=True):
    """One operation of a load. ``number`` counts from 0 over the whole load, ``at`` is in seconds from its start.

    ``source`` and ``target`` index the plan's peers; ``rank`` counts the operations of this kind. ``target`` and ``size`` mean
    something for sends only, ``size`` for broadcasts too.
    """

    number: int
    at: float
    op: str
    source: int
    target: int
    size: int
    rank: int


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The whole load. ``run`` tells its messages from those of other loads; ``timeout`` in seconds is each operation's.

    ``count`` bounds the operations, and is exact in the open model. ``skew`` 0: all targets are alike.
    """

    run: int
    count: int
    stages: tuple[Stage, ...]
    ops: dict[str, float]
    payload: tuple[int, int]
    seed: int
    timeout: float
    peers: tuple[LoadPeer, ...]
    duplicates: int | None = None
    ordered: bool = False
    users: int = 0
    think: float = 0.0
    warmup: float = 0.0
    skew: float = 0.0

    @property
    def model(self) -> str:
        """Open, or closed when there are users."""
        return CLOSED if self.users else OPEN

    @cached_property
    def duration(self) -> float:
        """Seconds in which operations begin."""
        return sum(stage.seconds for stage in self.stages)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups of the peers, in their order."""
        return tuple(dict.fromkeys(map(group_of, self.peers)))

    @cached_property
    def schedule(self) -> Schedule:
        """When the operations of an open load begin."""
        return Schedule(self.stages)

    @cached_property
    def draws(self) -> Draws:
        """What each number means."""
        return Draws(self)

    def target_rate(self, start: float, end: float) -> float:
        """Operations a second that were to begin between two instants, in the mean; 0 in a closed load."""
        if self.users or end <= start:
            return 0.0
        return (self.schedule.begun(end) - self.schedule.begun(start)) / (end - start)

    def shot(self, number: int, at: float | None = None) -> Shot:
        """The operation of this number; ``at`` when it begins, if that is not as the plan says."""
        return self.draws.shot(number, self.schedule.at(number) if at is None else at)

    def numbers(self, sources: Collection[str] | None = None, first: int = 0) -> Iterator[int]:
        """All numbers in order from ``first`` on, or those of the operations that the named ``sources`` begin, without a look at
        the others."""
        if sources is None:
            return iter(range(first, self.count))
        return self.draws.numbers([i for i, peer in enumerate(self.peers) if peer.name in sources], first)

    def shots(self, sources: Collection[str] | None = None, first: int = 0) -> Iterator[Shot]:
        """The same as operations, for an open load."""
        return (self.shot(number) for number in self.numbers(sources, first))


class LoadShare(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker begins: the operations whose source is among ``sources``."""

    plan: LoadPlan
    sources: tuple[str, ...]

    def shots(self, first: int = 0) -> Iterator[Shot]:
        """This worker's operations of an open load, in order of time, from number ``first`` on."""
        return self.plan.shots(frozenset(self.sources), first)


class Draws:
    """Random choices that depend on the seed and a number, and on nothing drawn before."""

    def __init__(self, plan: LoadPlan) -> None:
        chance = Random(plan.seed)
        self._seed = chance.getrandbits(64)
        self._size = size = len(plan.peers)
        self._count = plan.count
        self._strides = [stride for stride in range(1, size + 1) if gcd(stride, size) == 1]
        self._low, self._span = plan.payload[0], plan.payload[1] - plan.payload[0] + 1
        self._users = plan.users
        self._seats = chance.sample(range(size), size)
        self._kinds = _cycle(plan.ops, chance)
        self._ranks = _ranks(self._kinds)
        self._steps = {op: [step for step, kind in enumerate(self._kinds) if kind == op] for op in plan.ops}
        self._each = {op: len(steps) for op, steps in self._steps.items()}
        self._popularity = _Popularity(size, plan.skew, chance) if plan.skew else None

    def shot(self, number: int, at: float) -> Shot:
        """The operation of this number."""
        chance = _mixed(self._seed, number)
        source = self.source(number)
        cycle, step = divmod(number, LOAD.cycle)
        op = self._kinds[step]
        return Shot(
            number,
            at,
            op,
            source,
            self._target(source, chance >> 32),
            self._low + (chance & (_SMALL - 1)) * self._span // _SMALL,
            cycle * self._each[op] + self._ranks[step],
        )

    def of_kind(self, op: str) -> int:
        """How many operations of this kind there are."""
        cycles, rest = divmod(self._count, LOAD.cycle)
        return cycles * self._each.get(op, 0) + self._kinds[:rest].count(op)

    def number_of(self, op: str, rank: int) -> int:
        """The operation that is the ``rank``-th of its kind."""
        cycles, rest = divmod(rank, self._each[op])
        return cycles * LOAD.cycle + self._steps[op][rest]

    def source(self, number: int) -> int:
        """Who begins it. In an open load each peer begins one of as many in a row as there are peers, in an order that
        changes; in a closed one each user has a seat at one peer."""
        if self._users:
            return self._seats[number % self._users % self._size]
        turn, position = divmod(number, self._size)
        stride, shift = self._order(turn)
        return (position * stride + shift) % self._size

    def numbers(self, sources: list[int], first: int = 0) -> Iterator[int]:
        """In order, from ``first`` on, the numbers that these sources begin in an open load."""
        size = self._size
        for turn in range(first // size, (self._count + size - 1) // size if sources else 0):
            stride, shift = self._order(turn)
            back = pow(stride, -1, size) if size > 1 else 0
            for position in sorted((source - shift) * back % size for source in sources):
                if first <= turn * size + position < self._count:
                    yield turn * size + position

    def _order(self, turn: int) -> tuple[int, int]:
        chance = _mixed(~self._seed & _WORD, turn)
        return self._strides[(chance >> 32) % len(self._strides)], (chance & (_SMALL - 1)) % self._size

    def _target(self, source: int, chance: int) -> int:
        """Never the source itself. ``chance`` has 32 bits."""
        if self._popularity is None:
            return (source + 1 + chance * (self._size - 1) // _SMALL) % self._size
        return self._popularity.other_than(source, chance / _SMALL)


class _Popularity:
    """Zipf's law: the peer of rank k, from 1, is drawn with weight k to the power of minus the exponent."""

    def __init__(self, size: int, skew: float, chance: Random) -> None:
        self._ranked = chance.sample(range(size), size)
        self._rank = {peer: rank for rank, peer in enumerate(self._ranked)}
        self._ends = list(accumulate((rank + 1) ** -skew for rank in range(size)))

    def other_than(self, source: int, chance: float) -> int:
        """Whom ``chance``, from 0 to below 1, draws from all but the source."""
        rank = self._rank[source]
        before = self._ends[rank - 1] if rank else 0.0
        own = self._ends[rank] - before
        drawn = chance * (self._ends[-1] - own)
        found = bisect_right(self._ends, drawn if drawn < before else drawn + own)
        if found == rank:  # on the very edge of two, where floats are not exact
            found = rank + 1
        return self._ranked[found] if found < len(self._ranked) else self._ranked[rank - 1]


def _cycle(weights: dict[str, float], chance: Random) -> list[str]:
    """The kinds of so many operations in a row, in their shares to the nearest, and each at least once."""
    total = sum(weights.values())
    slots = {op: max(1, round(LOAD.cycle * weight / total)) for op, weight in weights.items() if weight > 0}
    largest = max(slots, key=lambda op: slots[op])
    slots[largest] += LOAD.cycle - sum(slots.values())
    kinds = [op for op, times in slots.items() for _ in range(times)]
    chance.shuffle(kinds)
    return kinds


def _ranks(kinds: list[str]) -> list[int]:
    """Of each operation of a cycle, how many of its kind came before it."""
    seen: dict[str, int] = {}
    ranks = []
    for kind in kinds:
        ranks.append(seen.get(kind, 0))
        seen[kind] = ranks[-1] + 1
    return ranks


def _mixed(seed: int, number: int) -> int:
    """64 bits that look random and depend on both (splitmix64: Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = (seed + (number + 1) * 0x9E3779B97F4A7C15) & _WORD
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
    return mixed ^ (mixed >> 31)
