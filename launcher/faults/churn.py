"""Churn: who fails and who comes back when, by a model, all drawn beforehand. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from random import Random

import msgspec

from cicada.config.timeline import Fault
from cicada.limits import FAULT
from launcher.faults.traces import Trace, peer_of


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A peer fails, or comes back (``up``)."""

    at: float
    peer: str
    up: bool


def churn(fault: Fault, pool: Sequence[str], rng: Random, *, keep: int, trace: Trace = ()) -> list[Turn]:
    """All turns of a churn of the peers in ``pool``, by time; never are fewer than ``keep`` of them up.

    Nobody fails who is down, nobody comes back who is up. Who fails before the end may come back after it.
    """
    match fault.model:
        case "poisson":
            turns = _poisson(fault, pool, rng, keep)
        case "pareto":
            turns = _pareto(fault, pool, rng)
        case _:
            turns = _traced(fault, pool, trace)
    return list(_sane(turns, max(0, len(pool) - keep)))


def _sane(turns: Iterable[Turn], most_down: int) -> Iterator[Turn]:
    """Without turns that change nothing, and without failures beyond ``most_down`` peers at the same time."""
    down: set[str] = set()
    for turn in sorted(turns, key=lambda turn: turn.at):
        if turn.up and turn.peer in down:
            down.remove(turn.peer)
            yield turn
        elif not turn.up and turn.peer not in down and len(down) < most_down:
            down.add(turn.peer)
            yield turn


def _traced(fault: Fault, pool: Sequence[str], trace: Trace) -> Iterator[Turn]:
    for step in trace:
        at = fault.at + step.at
        if fault.until is None or at < fault.until:
            yield Turn(at=at, peer=peer_of(step, pool), up=step.up)


def _poisson(fault: Fault, pool: Sequence[str], rng: Random, keep: int) -> Iterator[Turn]:
    """Failures of random living peers; joins of whom is down the longest, or the return of each after ``for``."""
    up, down = list(pool), deque[str]()
    end = fault.until or 0.0
    sources = {"fail": fault.failures, "join": fault.joins}
    times = {kind: _arrivals(fault.at, rate, Random(rng.getrandbits(64))) for kind, rate in sources.items()}
    agenda = [(next(arrivals), kind, "") for kind, arrivals in times.items()]
    heapify(agenda)
    while agenda:
        at, kind, peer = heappop(agenda)
        if kind != "return":
            if at >= end:
                continue
            heappush(agenda, (next(times[kind]), kind, ""))
        if kind == "fail":
            if len(up) <= keep:
                continue
            victim = rng.randrange(len(up))
            up[victim], up[-1] = up[-1], up[victim]
            down.append(up.pop())
            yield Turn(at=at, peer=down[-1], up=False)
            if fault.for_:
                heappush(agenda, (at + fault.for_, "return", down[-1]))
        elif down:
            peer = down.popleft()  # who returns is down the longest too
            up.append(peer)
            yield Turn(at=at, peer=peer, up=True)


def _arrivals(at: float, rate: float | None, rng: Random) -> Iterator[float]:
    """The times of a Poisson process from ``at`` on; without a rate only one that never comes."""
    while rate:
        at += rng.expovariate(rate)
        yield at
    yield math.inf


def _pareto(fault: Fault, pool: Sequence[str], rng: Random) -> Iterator[Turn]:
    """Lives of a shifted Pareto distribution, F(x) = 1 - (1 + x / scale) ^ -shape, whose mean is scale / (shape - 1).

    The peers lived before: what is left of their first lives is the residual of a renewal process, which is of the same
    scale and of shape - 1.
    """
    shape, lifetime = fault.shape or FAULT.pareto_shape, fault.lifetime or 0.0
    scale = lifetime * (shape - 1)
    end = fault.until or 0.0
    coming = [(fault.at + _life(scale, shape - 1, rng), index) for index in range(len(pool))]
    heapify(coming)
    while coming and coming[0][0] < end:
        at, index = heappop(coming)
        yield Turn(at=at, peer=pool[index], up=False)
        if fault.for_:
            back = at + fault.for_
            yield Turn(at=back, peer=pool[index], up=True)
            heappush(coming, (back + _life(scale, shape, rng), index))


def _life(scale: float, shape: float, rng: Random) -> float:
    try:
        return float(scale * ((1.0 - rng.random()) ** (-1.0 / shape) - 1.0))
    except OverflowError:  # a shape near 0 has tails beyond all numbers
        return math.inf
