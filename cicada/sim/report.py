"""The result of a scenario as values: what was expected and seen, and the spread of every figure over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cicada.sim.expect import Verdict, figure, judge, unit_of
from cicada.sim.running import RunResult
from cicada.sim.scenario import Scenario
from cicada.sim.statistics import Summary, summarize


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over the seeds. ``values`` is None where no run had it; ``missing`` runs had none."""

    name: str
    unit: str
    values: Summary | None
    missing: int


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One value of the sweep, or the whole scenario. ``beside`` is what the sweep's source found."""

    value: float | None
    peers: int
    beside: float | None
    figures: tuple[Spread, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cicada sim`` found. ``ok``: no expectation was missed."""

    name: str
    about: str
    ok: bool
    seeds: tuple[int, ...]
    swept: str
    source: str
    expectations: tuple[Verdict, ...]
    cases: tuple[Case, ...]
    runs: tuple[RunResult, ...]


def report(scenario: Scenario, runs: Sequence[RunResult]) -> Report:
    """The report on these runs of all cases."""
    verdicts = judge(scenario, runs)
    sweep = scenario.sweep
    return Report(
        name=scenario.sim.name,
        about=scenario.sim.about,
        ok=all(verdict.ok for verdict in verdicts),
        seeds=tuple(dict.fromkeys(run.seed for run in runs)),
        swept=sweep.over if sweep is not None else "",
        source=sweep.source if sweep is not None else "",
        expectations=verdicts,
        cases=tuple(
            Case(
                value=case,
                peers=scenario.peers(case),
                beside=sweep.beside[position] if sweep is not None and sweep.beside else None,
                figures=_figures(scenario, [run for run in runs if run.case == case]),
            )
            for position, case in enumerate(scenario.cases)
        ),
        runs=tuple(runs),
    )


def _figures(scenario: Scenario, runs: Sequence[RunResult]) -> tuple[Spread, ...]:
    spreads = []
    for index, reached in enumerate(runs[0].reached):
        label = f"{reached.check} after {reached.after:g} s"
        for part, unit in _TIMES:
            values = [
                float(getattr(run.reached[index], part)) if run.reached[index].seconds is not None else None
                for run in runs
            ]
            spreads.append(_spread(f"{label}: {_NAMES.get(part, part)}", unit, values))
    for expect in scenario.expects:
        if not expect.is_timed:
            values = [figure(scenario, expect, run) for run in runs]
            spreads.append(_spread(expect.check, unit_of(expect), values))
    for name, unit, read in _ALWAYS:
        values = [read(run) for run in runs]
        if any(values):
            spreads.append(_spread(name, unit, values))
    return tuple({spread.name: spread for spread in spreads}.values())


_TIMES = (
    ("seconds", "s"),
    ("rounds_mean", "rounds"),
    ("rounds_least", "rounds"),
    ("rounds_most", "rounds"),
    ("own_rounds", "rounds"),
)
_NAMES = {
    "rounds_mean": "rounds, mean of the peers",
    "rounds_least": "rounds, least of any",
    "rounds_most": "rounds, most of any",
    "own_rounds": "own rounds until right",
}
_ALWAYS: tuple[tuple[str, str, Callable[[RunResult], float | None]], ...] = (
    ("ring messages", "a peer and second", lambda run: run.costs[0].messages),
    ("dials", "a peer and second", lambda run: run.costs[0].dials),
    ("known peers", "a peer", lambda run: run.known),
    ("lookups", "lookups", lambda run: float(run.lookups.ended)),
    ("lookups: failed", "", lambda run: run.lookups.failed_share),
    ("lookups: mean hops", "hops", lambda run: run.lookups.hops.mean if run.lookups.hops else None),
    ("lookups: 1st percentile", "hops", lambda run: _hop(run.lookups.hops, "p1")),
    ("lookups: 99th percentile", "hops", lambda run: _hop(run.lookups.hops, "p99")),
    ("messages: mean hops", "hops", lambda run: run.messages.hops.mean if run.messages.hops else None),
    ("messages: 1st percentile", "hops", lambda run: _hop(run.messages.hops, "p1")),
    ("messages: 99th percentile", "hops", lambda run: _hop(run.messages.hops, "p99")),
)


def _hop(hops: object, part: str) -> float | None:
    return None if hops is None else float(getattr(hops, part))


def _spread(name: str, unit: str, values: Sequence[float | None]) -> Spread:
    there = [value for value in values if value is not None]
    summary = summarize(there) if there else None
    return Spread(name=name, unit=unit, values=summary, missing=len(values) - len(there))
