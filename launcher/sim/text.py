"""The report of a simulation for people: expectations first, then the table of a sweep, then every figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cicada.sim.expect import SHARES, Verdict, shown
from cicada.sim.report import DELIVERED, FAILED, PLAIN, Case, Report, Spread
from launcher import output
from launcher.sim.simulate import Missed, Outcome

_SHARE_FIGURES = (
    *SHARES,
    FAILED,
    *(f"{name}{of}" for name in (DELIVERED, "acknowledged") for of in ("", PLAIN)),
)
_SWEPT = {"peers": "PEERS", "churn": "RATE"}


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """All of it."""
    found = outcome.report
    count = len(found.seeds)
    seeds = f"seed {found.seeds[0]}" if count == 1 else f"seeds {found.seeds[0]} to {found.seeds[-1]}"
    yield f"{output.strong(found.name)}  {found.about}  {output.faint(seeds)}"
    for verdict in found.expectations:
        yield _verdict_line(verdict)
    if found.swept:
        yield ""
        yield from output.columns(list(_table(found)))
    else:
        for case in found.cases:
            yield ""
            yield from output.columns([_HEADER, *map(_row, case.figures)])
    for missed in outcome.missed:
        yield ""
        yield from missed_lines(missed)


def missed_lines(missed: Missed) -> Iterator[str]:
    """What was expected, what was seen, with which seed, and how to see it again."""
    case = "" if missed.case is None else f" at {missed.case:g}"
    yield output.bad(f"missed: {missed.check}{case}")
    yield f"  expected  {missed.expected}"
    yield f"  seen      {missed.seen}"
    yield f"  worst     seed {missed.seed}"
    yield f"  replay    {missed.replay}"


_HEADER = ("FIGURE", "MEDIAN", "LEAST", "MOST", "UNIT")


def _verdict_line(verdict: Verdict) -> str:
    mark = output.good("ok    ") if verdict.ok else output.bad("missed")
    case = "" if verdict.case is None else f" at {verdict.case:g}"
    seen = shown(verdict.seen, verdict.unit, verdict.check)
    return f"  {mark}  {verdict.check}{case}: {seen}  {output.faint(f'({verdict.expected})')}"


def _row(figure: Spread) -> tuple[str, ...]:
    values = figure.values
    unit = f"{figure.unit} (missing in {figure.missing})" if figure.missing else figure.unit
    if values is None:
        return (figure.name, "-", "-", "-", unit)
    return (
        figure.name,
        *(_number(figure.name, value) for value in (values.median, values.least, values.most)),
        unit,
    )


def _table(found: Report) -> Iterator[Sequence[str]]:
    """One row for each value of the sweep, medians over the seeds."""
    names = list(dict.fromkeys(figure.name for case in found.cases for figure in case.figures))
    source = [found.source.upper()] if found.cases[0].beside is not None else []
    yield [_SWEPT[found.swept], *source, *(name.upper() for name in names)]
    is_share = any(name in _SHARE_FIGURES for name in names) and found.swept == "churn"
    for case in found.cases:
        beside = [] if case.beside is None else [f"{case.beside:.1%}" if is_share else f"{case.beside:g}"]
        yield [f"{case.value:g}", *beside, *(_cell(case, name) for name in names)]


def _cell(case: Case, name: str) -> str:
    values = next((figure.values for figure in case.figures if figure.name == name), None)
    return "-" if values is None else _number(name, values.median)


def _number(name: str, value: float) -> str:
    if name in _SHARE_FIGURES:
        return f"{value:.4%}"
    return f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:.3g}"
