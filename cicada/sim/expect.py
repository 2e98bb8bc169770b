"""What was expected of a scenario, and what was seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from cicada.sim.measuring import begins
from cicada.sim.running import RunResult
from cicada.sim.scenario import Expect, Scenario, bound


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation in one case. ``seen`` is None when there was nothing to see: a timed check that never came true,
    a mean of no values. ``seed`` is that of the run that was worst."""

    case: float | None
    check: str
    expected: str
    bound: float
    seen: float | None
    unit: str
    seed: int
    ok: bool


_FIGURES: dict[str, Callable[[RunResult], float | None]] = {
    "splits": lambda run: float(run.is_split),
    "lookups": lambda run: float(run.lookups.ended),
    "failed": lambda run: run.lookups.failed_share if run.lookups.ended else None,
    "hops": lambda run: run.lookups.hops.mean if run.lookups.hops else None,
    "message-hops": lambda run: run.messages.hops.mean if run.messages.hops else None,
    "undelivered": lambda run: run.messages.failed_share if run.messages.settled else None,
    "delivered": lambda run: run.messages.delivered_share if run.messages.settled else None,
    "copies": lambda run: run.messages.copies if run.messages.settled else None,
    "wrong": lambda run: float(sum(run.messages.wrong.values())),
    "lost": lambda run: float(run.messages.lost),
}
_UNITS = {
    "messages": "messages a peer and second",
    "probes": "a peer and round",
    "splits": "runs",
    "lookups": "lookups",
    "hops": "hops",
    "message-hops": "hops",
    "copies": "copies a message",
    "wrong": "deliveries",
    "lost": "messages",
}
SHARES = ("failed", "undelivered", "delivered")
"""Checks whose figures are shares, and are shown in percent."""


def judge(scenario: Scenario, runs: Sequence[RunResult]) -> tuple[Verdict, ...]:
    """Every expectation, in the order of the file, case by case. ``runs`` are those of all cases and seeds."""
    return tuple(
        _verdict(scenario, expect, position, [run for run in runs if run.case == case])
        for position, case in enumerate(scenario.cases)
        for expect in scenario.expects
    )


def figure(scenario: Scenario, expect: Expect, run: RunResult) -> float | None:
    """What one run brought for an expectation: seconds, rounds, or the figure that it is about."""
    after = begins(expect, scenario.settles_from)
    if expect.is_timed:
        for reached in run.reached:
            if (reached.check, reached.after) == (expect.check, after) and reached.seconds is not None:
                rounds = reached.own_rounds if expect.counted == "own" else reached.rounds_mean
                return float(rounds) if expect.in_rounds else reached.seconds
        return None
    if expect.check in _FIGURES:
        return _FIGURES[expect.check](run)
    costs = next((costs for costs in run.costs if costs.after == after), None)
    if costs is None:
        return None
    return costs.messages if expect.check == "messages" else costs.probes


def shown(value: float | None, unit: str, check: str) -> str:
    """A figure for people."""
    if value is None:
        return "not reached" if unit in ("s", "rounds") else "nothing to measure"
    if check in SHARES:
        return f"{value:.4%}"
    digits = f"{value:.0f}" if value == int(value) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"
    return f"{digits} {unit}".rstrip()


def _verdict(scenario: Scenario, expect: Expect, position: int, runs: Sequence[RunResult]) -> Verdict:
    seen = [figure(scenario, expect, run) for run in runs]
    asked = bound(expect, position)
    is_floor = expect.at_least is not None
    none = -math.inf if is_floor else math.inf
    values = [none if value is None else value for value in seen]
    pick = min if is_floor else max
    worst = pick(range(len(values)), key=values.__getitem__)
    summary = {"worst": pick(values), "median": median(values), "total": sum(values)}[expect.of]
    unit = unit_of(expect)
    limit = "at least" if is_floor else "within" if expect.within is not None else "at most"
    return Verdict(
        case=scenario.cases[position],
        check=expect.check,
        expected=f"{limit} {shown(asked, unit, expect.check)}{_how(expect, len(runs))}",
        bound=asked,
        seen=None if math.isinf(summary) else summary,
        unit=unit,
        seed=runs[worst].seed,
        ok=summary >= asked if is_floor else summary <= asked,
    )


def unit_of(expect: Expect) -> str:
    """In what an expectation is measured."""
    if expect.is_timed:
        return "rounds" if expect.in_rounds else "s"
    return _UNITS.get(expect.check, "")


def _how(expect: Expect, runs: int) -> str:
    own = (
        " of its own for every peer"
        if expect.is_timed and expect.in_rounds and expect.counted == "own"
        else ""
    )
    if runs == 1:
        return own
    many = {"worst": "in each of", "median": "in the median of", "total": "in all of"}[expect.of]
    return f"{own}, {many} {runs} runs"
