"""Whether an expectation holds, from what was seen. Pure."""

from __future__ import annotations

import msgspec

from cicada.commands import Status
from cicada.config.timeline import Bound, Expect, percent_of

_EVERYTHING = 1.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """``found``: what there was, in words."""

    held: bool
    found: str


def judge_status(expect: Expect, status: Status) -> Finding:
    """An expectation of the swarm's state."""
    match expect.check:
        case "ring_proven":
            return Finding(held=status.ring_proven, found=_ring(status))
        case "joined":
            return _judge(expect, status.joined, f"{status.joined} of {status.peers} joined", status.peers)
        case "dead":
            return _judge(expect, status.dead, f"{status.dead} of {status.peers} dead", status.peers)
        case "no_restarts":
            return Finding(held=status.restarts == 0, found=f"{status.restarts} restarts")
        case _:
            return _judge(expect, status.restarts, f"{status.restarts} restarts", 1)


def judge_share(expect: Expect, right: int, tried: int, what: str) -> Finding:
    """An expectation of a share; where nothing could be tried, nothing went right. All of it, unless bounds say otherwise."""
    share = right / tried if tried else 0.0
    found = f"{right} of {tried} {what}"
    if expect.at_least is None and expect.at_most is None:
        return Finding(held=share >= _EVERYTHING, found=found)
    return _judge(expect, share, found, _EVERYTHING)


def in_words(expect: Expect) -> str:
    """An expectation for people: ``joined at least 90% at 30 s``."""
    bounds = [
        f"{words} {_shown(bound)}"
        for words, bound in (("at least", expect.at_least), ("at most", expect.at_most))
        if bound is not None
    ]
    when = "at the end" if expect.at is None else f"at {expect.at:g} s"
    within = f" within {expect.within:g} s" if expect.within is not None else ""
    return " ".join([expect.check, *bounds, when]) + within


def _judge(expect: Expect, figure: float, found: str, whole: float) -> Finding:
    least, most = (_figure(bound, whole) for bound in (expect.at_least, expect.at_most))
    held = (least is None or figure >= least) and (most is None or figure <= most)
    return Finding(held=held, found=found)


def _figure(bound: Bound | None, whole: float) -> float | None:
    """A bound as a number; a share is one of ``whole``."""
    share = percent_of(bound)
    return share / 100 * whole if share is not None else bound if isinstance(bound, float) else None


def _shown(bound: Bound) -> str:
    return bound if isinstance(bound, str) else f"{bound:g}"


def _ring(status: Status) -> str:
    if status.ring_proven:
        return f"proven, {status.joined} of {status.peers} peers joined"
    return f"not proven: {status.unproven}"
