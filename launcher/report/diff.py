"""Two runs side by side: each figure of both, what changed, and whether it changed more than it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from launcher.plaintext import number, percent, seconds
from launcher.report.conditions import Condition, percent_change, resolved
from launcher.report.metrics import Metric, Unit, metrics
from launcher.report.model import SCHEMA, Description, Summary


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of both runs; None where a run has none. ``delta_percent`` is None too where it grew from nothing."""

    metric: str
    unit: Unit
    a: float | None
    b: float | None
    delta: float | None
    delta_percent: float | None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A condition and one of the figures that it is about; ``met``: that is why the comparison fails."""

    condition: str
    metric: str
    met: bool
    a: float | None
    b: float | None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from run ``a`` to run ``b``. ``notes`` say what makes the comparison doubtful."""

    schema: int = SCHEMA
    a: str
    b: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    conditions: tuple[Checked, ...]

    @property
    def failed(self) -> bool:
        """Whether a condition is met."""
        return any(checked.met for checked in self.conditions)


def diff(a: Summary, b: Summary, conditions: Iterable[Condition] = ()) -> Diff:
    """Compare two runs. Raises Misuse for a condition about a figure that neither has."""
    before, after = _paired(a, b)
    units = {name: metric.unit for name, metric in (before | after).items()}
    rows = {name: _row(name, unit, before.get(name), after.get(name)) for name, unit in units.items()}
    checked = [
        Checked(
            condition=condition.text,
            metric=name,
            met=condition.met(rows[name].a, rows[name].b),
            a=rows[name].a,
            b=rows[name].b,
        )
        for condition in conditions
        for name in resolved(condition, units.items())
    ]
    return Diff(
        a=a.run,
        b=b.run,
        notes=tuple(_notes(a, b)),
        rows=tuple(rows.values()),
        conditions=tuple(checked),
    )


def _paired(a: Summary, b: Summary) -> tuple[dict[str, Metric], dict[str, Metric]]:
    """Figures under the same names: loads are numbered in both when either run has several."""
    several = len(a.loads) > 1 or len(b.loads) > 1
    return metrics(a, several), metrics(b, several)


def _row(name: str, unit: Unit, before: Metric | None, after: Metric | None) -> Row:
    a = before.value if before is not None else None
    b = after.value if after is not None else None
    delta = share = None
    if a is not None and b is not None:
        delta = round(b - a, 9)
        change = percent_change(a, b)
        share = round(change, 6) if abs(change) != float("inf") else None
    return Row(metric=name, unit=unit, a=a, b=b, delta=delta, delta_percent=share)


def _notes(a: Summary, b: Summary) -> Iterator[str]:
    for run, summary in (("A", a), ("B", b)):
        if not summary.loads:
            yield f"{run} has no load"
        if not summary.complete:
            yield f"{run} is incomplete: {'; '.join(summary.missing)}"
        for load in summary.loads:
            if load.verdict:
                yield f"{run}, load {load.load}: {load.verdict}"
    for one, other in zip(a.loads, b.loads, strict=False):
        before, after = one.description, other.description
        if before is not None and after is not None:
            yield from _other_load(one.load, before, after)


def _other_load(load: int, before: Description, after: Description) -> Iterator[str]:
    """What was asked of a load in A and not in B."""
    ignored = {"seed", "peers", "generators"}
    names = [field.name for field in msgspec.structs.fields(Description) if field.name not in ignored]
    other = [name for name in names if getattr(before, name) != getattr(after, name)]
    if other:
        yield f"load {load} is another load in A than in B: {', '.join(other)}"
    if before.peers != after.peers:
        yield f"load {load} ran on {before.peers} peers in A and {after.peers} in B"


def diff_lines(found: Diff) -> list[str]:
    """For people: conditions first, then every figure that either run has."""
    told = [f"A  {found.a}", f"B  {found.b}", *(f"note  {note}" for note in found.notes)]
    for checked in found.conditions:
        unit = next(row.unit for row in found.rows if row.metric == checked.metric)
        values = f"{shown(checked.a, unit)} -> {shown(checked.b, unit)}"
        told.append(
            f"{'FAILED' if checked.met else 'ok':<6}  {checked.condition}  ({checked.metric}: {values})"
        )
    rows = [("metric", "A", "B", "change", ""), *(_cells(row) for row in found.rows if row.a or row.b)]
    return [*told, *_columns(rows)]


def _cells(row: Row) -> tuple[str, ...]:
    change = "-" if row.delta is None else ("+" if row.delta > 0 else "") + shown(row.delta, row.unit)
    share = "" if row.delta_percent is None else f"{row.delta_percent:+.1f}%"
    return row.metric, shown(row.a, row.unit), shown(row.b, row.unit), change, share


def shown(value: float | None, unit: Unit) -> str:
    """A figure in its unit."""
    if value is None:
        return "-"
    if unit is Unit.SECONDS:
        return seconds(value)
    return percent(value) if unit is Unit.SHARE else number(value)


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield f"{name:<{widths[0]}}  {'  '.join(right)}".rstrip()
