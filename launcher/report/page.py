"""``report.html``: the summary as one page that needs nothing else, by day and by night."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from cicada.limits import REPORT
from launcher.plaintext import counted, duration, number, percent, seconds
from launcher.report.marks import MEANINGS, Lane, Mark
from launcher.report.model import Latency, Load, Op, Summary
from launcher.report.style import CHIPS, STYLE
from launcher.report.text import (
    broadcast_account,
    hop_account,
    load_kind,
    load_outcome,
    message_account,
    ring_account,
    threshold_value,
)

Cell = str | tuple[str, str]  # text, or text and its class
_LATENCY_HEADER: Final = ("", "count", "p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max", "mean")


def page(
    summary: Summary, pictures: Mapping[int, Sequence[str]], whole: str, marks: Sequence[Mark]
) -> Iterator[str]:
    """The parts of the page. ``pictures`` are SVG elements by the load that they show, ``whole`` one of the whole run."""
    title = escape(summary.run or summary.name or "run")
    yield f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    yield from _head(summary)
    yield from _promises(summary)
    for load in summary.loads:
        yield from _load(load, pictures.get(load.load, ()))
    yield from _run(summary, whole, marks)
    yield "</main>\n</body>\n</html>\n"


def _head(summary: Summary) -> Iterator[str]:
    verdict, look = ("as asked for", "good") if summary.ok else ("missed", "bad")
    asked = any(load.thresholds for load in summary.loads) or summary.expectations
    yield f"<header><h1>{escape(summary.run or summary.name or 'run')}</h1>\n"
    yield f'<span class="badge {look}">{verdict}</span>\n' if asked else ""
    yield '<span class="badge bad">incomplete</span>\n' if not summary.complete else ""
    facts = {
        "started": summary.started,
        "took": duration(summary.seconds),
        "state": summary.state,
        "seed": "" if summary.seed is None else str(summary.seed),
        "version": " ".join(part for part in (summary.version, summary.git) if part),
        "host": summary.host,
    }
    yield "</header>\n" + _facts({name: value for name, value in facts.items() if value})
    if summary.missing:
        yield (
            '<ul class="missing">' + "".join(f"<li>{escape(one)}</li>" for one in summary.missing) + "</ul>\n"
        )


def _promises(summary: Summary) -> Iterator[str]:
    thresholds = [
        (
            _held(one.held),
            f"load {load.load}",
            one.threshold,
            threshold_value(one),
            "" if one.final else "not at its end",
        )
        for load in summary.loads
        for one in sorted(load.thresholds, key=lambda threshold: threshold.held)
    ]
    yield from _table("Thresholds", ("", "load", "threshold", "found", ""), thresholds)
    expectations = [
        (_held(one.held), one.check, f"{one.after_s:.1f} s", one.found)
        for one in sorted(summary.expectations, key=lambda expectation: expectation.held)
    ]
    yield from _table("Expectations", ("", "check", "after the first proof", "found"), expectations)


def _held(held: bool) -> Cell:
    return ("ok", "good") if held else ("missed", "bad")


def _load(load: Load, pictures: Sequence[str]) -> Iterator[str]:
    yield f"<section>\n<h2>Load {load.load}: {escape(load_outcome(load))}</h2>\n"
    yield f"<p>{escape(load_kind(load))}; it began at second {load.offset_s:.1f} of the run.</p>\n"
    if load.verdict:
        yield f'<p class="warning">{escape(load.verdict)}</p>\n'
    ops = [*load.ops, *([load.overall] if len(load.ops) > 1 else [])]
    yield from _table("Totals, without the warm-up", _TOTALS, [_totals(op) for op in ops])
    yield from _table(
        "Response times, from the intended start", _LATENCY_HEADER, _latencies(ops, service=False)
    )
    if load.series and not pictures:
        yield f"<p>The last {counted(REPORT.drawn_loads, 'load')} of a run are drawn, and this is an earlier one.</p>\n"
    if pictures:
        yield _legend()
        yield from (f"<figure>{picture}</figure>\n" for picture in pictures)
    yield from _table("Times from the actual start", _LATENCY_HEADER, _latencies(ops, service=True))
    yield _facts(_accounts(load))
    failures = [(op.op, reason, f"{count:,}") for op in load.ops for reason, count in op.failures.items()]
    yield from _table("Errors", ("operation", "reason", "count"), failures)
    yield "</section>\n"


_TOTALS: Final = (
    "",
    "succeeded a second",
    "started",
    "succeeded",
    "failed",
    "failed, share",
    "began late",
    "never begun",
)


def _totals(op: Op) -> tuple[Cell, ...]:
    done = op.succeeded + op.failed
    share = percent(op.failed / done) if done else "-"
    failed: Cell = (f"{op.failed:,}", "bad") if op.failed else "0"
    return (
        op.op,
        number(op.rate),
        f"{op.started:,}",
        f"{op.succeeded:,}",
        failed,
        share,
        f"{op.late:,}",
        f"{op.dropped:,}",
    )


def _latencies(ops: Iterable[Op], *, service: bool) -> Iterator[tuple[Cell, ...]]:
    for op in ops:
        latency = op.service if service else op.response
        if latency is not None:
            yield op.op, f"{latency.count:,}", *map(seconds, _times(latency))


def _times(latency: Latency) -> tuple[float, ...]:
    return (
        latency.p50,
        latency.p75,
        latency.p90,
        latency.p95,
        latency.p99,
        latency.p99_9,
        latency.p99_99,
        latency.max,
        latency.mean,
    )


def _accounts(load: Load) -> dict[str, str]:
    busiest = max((point.cpu for point in load.series), default=0.0)
    longest = max((point.lag_s for point in load.series), default=0.0)
    rows = {
        "messages": message_account(load.messages) if load.messages else "",
        "broadcasts": broadcast_account(load.broadcasts) if load.broadcasts else "",
        "lookups": ", ".join(f"{count:,} {what}" for what, count in load.lookups.items()),
        "hops": hop_account(load.hops) if load.hops else "",
        "copies": ", ".join(f"{count:,} {fate}" for fate, count in load.copies.items()),
        "workers that died": ", ".join(load.died),
        "processors": f"{percent(busiest)} of all cores at most" if busiest else "",
        "generator": f"stood still for {seconds(longest)} at most" if longest else "",
    }
    return {name: text for name, text in rows.items() if text}


def _legend() -> str:
    meanings = {lane.value: MEANINGS[lane] for lane in Lane} | {"warm-up": "no part of any figure"}
    items = "".join(
        f'<li><svg class="chip" viewBox="0 0 16 16" aria-hidden="true">{CHIPS[name]}</svg>'
        f"<b>{escape(name)}</b> {escape(meaning)}</li>"
        for name, meaning in meanings.items()
    )
    return f'<ul class="legend">{items}</ul>\n'


def _run(summary: Summary, whole: str, marks: Sequence[Mark]) -> Iterator[str]:
    yield "<section>\n<h2>The run</h2>\n"
    yield _facts({"ring": ring_account(summary)} if summary.ring else {})
    yield f"{_legend()}<figure>{whole}</figure>\n" if whole else ""
    rows = [(f"{mark.at_s:.1f}", _until(mark), mark.lane.value, mark.text) for mark in marks]
    yield from _table("Faults, deaths and restarts", ("from, s", "to, s", "", "what"), rows)
    scheduled = [
        (f"{one.at_s:.1f}", f"{one.late_s:.2f}", one.do, one.select, f"{one.peers:,}", (one.problem, "bad"))
        for one in summary.scheduled
    ]
    yield from _table("Timeline", ("at, s", "late, s", "do", "select", "peers", "problem"), scheduled)
    states = [(f"{one.at_s:.1f}", one.state, one.detail) for one in summary.ring]
    yield from _table("States", ("from, s", "state", ""), states)
    left = summary.recording.left_out
    yield f"<p>{counted(left, 'mark')} more are only in the recording.</p>\n" if left else ""
    yield "</section>\n"


def _until(mark: Mark) -> str:
    return "" if mark.until_s is None else f"{mark.until_s:.1f}"


def _facts(facts: dict[str, str]) -> str:
    if not facts:
        return ""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items()
    )
    return f"<dl>{rows}</dl>\n"


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Nothing when there are no rows. Every text is escaped here, and nowhere else."""
    all_rows = list(rows)
    if not all_rows:
        return
    shown = all_rows[: REPORT.page_rows]
    right = [all(map(_is_number, column)) for column in zip(*all_rows, strict=True)]
    yield f'<h3>{escape(title)}</h3>\n<div class="wide"><table>\n<thead><tr>'
    yield "".join(_cell(name, "th", number) for name, number in zip(header, right, strict=True))
    yield "</tr></thead>\n<tbody>\n"
    for row in shown:
        cells = (_cell(cell, "td", number) for cell, number in zip(row, right, strict=True))
        yield f"<tr>{''.join(cells)}</tr>\n"
    yield "</tbody>\n</table></div>\n"
    if len(all_rows) > len(shown):
        yield f"<p>{len(all_rows) - len(shown):,} more are in summary.json.</p>\n"


def _is_number(cell: Cell) -> bool:
    text = cell if isinstance(cell, str) else cell[0]
    return text[:1].isdigit() or text in {"", "-"} or text[:2] in {"> ", "< "}


def _cell(cell: Cell, tag: str, number: bool) -> str:
    text, look = (cell, "") if isinstance(cell, str) else cell
    classes = " ".join(part for part in (look, "number" if number else "") if part)
    attribute = f' class="{classes}"' if classes else ""
    return f"<{tag}{attribute}>{escape(text)}</{tag}>"
