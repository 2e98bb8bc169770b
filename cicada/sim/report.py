"""The result of a scenario as values: what was expected and seen, and the spread of every figure over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cicada.sim.expect import Verdict, figure, judge, unit_of
from cicada.sim.measuring import Reached
from cicada.sim.running import RunResult
from cicada.sim.scenario import Scenario
from cicada.sim.statistics import Summary, summarize
from cicada.sim.traffic import Hops, Messages


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
        for part, words, unit in _TIMES:
            values = [_part(run.reached[index], part) for run in runs]
            spreads.append(_spread(f"{label}: {words}", unit, values))
    for expect in scenario.expects:
        if expect.check in ("probes", "splits") or (expect.check == "messages" and expect.after is not None):
            name = expect.check if expect.after is None else f"{expect.check} after {expect.after:g} s"
            spreads.append(_spread(name, unit_of(expect), [figure(scenario, expect, run) for run in runs]))
    for name, (unit, read) in _ALWAYS.items():
        values = [read(run) for run in runs]
        if any(value is not None for value in values):
            spreads.append(_spread(name, unit, values))
    return tuple({spread.name: spread for spread in spreads}.values())


_TIMES = (
    ("seconds", "virtual time", "s"),
    ("rounds_mean", "rounds, mean of the peers", "rounds"),
    ("rounds_least", "rounds, least of any peer", "rounds"),
    ("rounds_most", "rounds, most of any peer", "rounds"),
    ("own_rounds", "own rounds until right", "rounds"),
)
FAILED = "failed lookups"
DELIVERED = "delivered"
PLAIN = ", plain Chord"
"""Behind the name of a figure: of the run for comparison."""

MEAN, LOW, HIGH = "hops", "hops, 1%", "hops, 99%"
"""Names of figures, those of hops behind ``lookup`` or ``message``. 1% and 99%: percentiles."""


def _part(reached: Reached, part: str) -> float | None:
    return None if reached.seconds is None else float(getattr(reached, part))


def _hop(hops: Hops | None, part: str) -> float | None:
    return None if hops is None else float(getattr(hops, part))


def _of_lookups(run: RunResult, value: float) -> float | None:
    return value if run.lookups.ended else None


def _hops_of(word: str, hops: Callable[[RunResult], Hops | None]) -> dict[str, tuple[str, Read]]:
    return {
        f"{word} {name}": ("hops", lambda run, part=part: _hop(hops(run), part))  # type: ignore[misc]
        for name, part in ((MEAN, "mean"), (LOW, "p1"), (HIGH, "p99"))
    }


def _messages_of(word: str, messages: Callable[[RunResult], Messages | None]) -> dict[str, tuple[str, Read]]:
    """What became of the messages of one of the two runs."""

    def read(value: Callable[[Messages], float]) -> Read:
        def of(run: RunResult) -> float | None:
            found = messages(run)
            return None if found is None or not found.settled else value(found)

        return of

    return {
        f"{DELIVERED}{word}": ("", read(lambda found: found.delivered_share)),
        f"acknowledged{word}": ("", read(lambda found: 1.0 - found.failed_share)),
        f"copies{word}": ("a message", read(lambda found: found.copies)),
    }


Read = Callable[[RunResult], float | None]
_ALWAYS: dict[str, tuple[str, Read]] = {
    "ring messages": ("a peer and second", lambda run: run.costs[0].messages),
    "dials": ("a peer and second", lambda run: run.costs[0].dials),
    "known peers": ("a peer", lambda run: run.known),
    "lookups": ("", lambda run: _of_lookups(run, float(run.lookups.ended))),
    FAILED: ("", lambda run: _of_lookups(run, run.lookups.failed_share)),
    **_hops_of("lookup", lambda run: run.lookups.hops),
    **_hops_of("message", lambda run: run.messages.hops),
    **_messages_of("", lambda run: run.messages),
    **_messages_of(PLAIN, lambda run: run.beside),
}


def _spread(name: str, unit: str, values: Sequence[float | None]) -> Spread:
    there = [value for value in values if value is not None]
    summary = summarize(there) if there else None
    return Spread(name=name, unit=unit, values=summary, missing=len(values) - len(there))
