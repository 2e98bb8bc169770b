"""A summary on one screen: whether it is what was asked for comes first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cicada.limits import REPORT
from launcher.load.histogram import nearest_rank
from launcher.plaintext import counted, duration, fault_words, number, percent, seconds
from launcher.report.fold import WITH_THE_RUN
from launcher.report.model import Expectation, Fault, Load, Op, Restart, Summary, Threshold

_A_TIME: Final = re.compile(r"\d\s*(?:us|ms|s|m|min|h)\s*$")
_NAMES: Final = {"to_absent": "to peers out of the ring"}
_OP_HEADER: Final = ("", "ops/s", "started", "ok", "failed", "p50", "p90", "p99", "p99.9", "max")


def lines(summary: Summary) -> list[str]:
    """The whole summary for people, without colours."""
    return [
        *_head(summary),
        *_promises(summary),
        *(line for load in summary.loads for line in load_lines(load)),
        *_timeline(summary),
    ]


def _head(summary: Summary) -> Iterator[str]:
    known = [duration(summary.seconds), summary.state]
    known += [f"seed {summary.seed}"] if summary.seed is not None else []
    known += [f"version {summary.version}"] if summary.version else []
    yield f"{summary.run or summary.name or 'run'}  {', '.join(known)}"
    for problem in summary.missing:
        yield f"  INCOMPLETE  {problem}"


def _promises(summary: Summary) -> Iterator[str]:
    thresholds = [(load, threshold) for load in summary.loads for threshold in load.thresholds]
    if thresholds:
        several = len({load.load for load, _ in thresholds}) > 1
        yield from _verdicts(
            "thresholds",
            [
                (
                    threshold.held,
                    f"{f'load {load.load}: ' if several else ''}{threshold.threshold}",
                    _found(threshold),
                )
                for load, threshold in thresholds
            ],
        )
    if summary.expectations:
        yield from _verdicts(
            "expectations", [(one.held, _looked_at(one), one.found) for one in summary.expectations]
        )


def _verdicts(title: str, rows: Sequence[tuple[bool, str, str]]) -> Iterator[str]:
    """What was missed comes first; of what held only so many lines are shown."""
    yield title
    ordered = sorted(rows, key=lambda row: row[0])
    missed = sum(not held for held, _, _ in rows)
    shown = ordered[: max(missed, REPORT.screen_rows)]
    width = max(len(what) for _, what, _ in shown)
    for held, what, found in shown:
        yield f"  {'ok' if held else 'MISSED':<8}  {what:<{width}}  {found}".rstrip()
    if len(ordered) > len(shown):
        yield f"  ok        {len(ordered) - len(shown)} more"


def _found(threshold: Threshold) -> str:
    value = "no figure" if threshold.value is None else threshold_value(threshold)
    return value if threshold.final else f"{value}, {threshold.at_s:.1f} s after the start, not at its end"


def threshold_value(threshold: Threshold) -> str:
    """Its figure in the unit that it is compared in: a time when it names one."""
    value = threshold.value
    if value is None:
        return "-"
    if threshold.threshold.rstrip().endswith("%"):
        return percent(value)
    return seconds(value) if _A_TIME.search(threshold.threshold) else f"{value:.6g}"


def _looked_at(one: Expectation) -> str:
    return f"{one.check} {one.after_s:.1f} s after the first proof"


def load_lines(load: Load) -> Iterator[str]:
    """What a load was, what became of it, and its figures."""
    yield f"load {load.load}  {load_kind(load)}: {load_outcome(load)}"
    if load.verdict:
        yield f"  VERDICT     {load.verdict}"
    yield from op_table(load)
    if load.messages:
        yield f"  messages    {message_account(load.messages)}"
    if load.broadcasts:
        yield f"  broadcasts  {broadcast_account(load.broadcasts)}"
    if load.lookups:
        yield f"  lookups     {_in_order(load.lookups)}"
    if load.hops:
        yield f"  hops        {hop_account(load.hops)}"
    if set(load.copies) - {"intact"}:
        yield f"  copies      {_in_order(load.copies)}"
    if load.died:
        yield f"  died        {', '.join(load.died)}, with what they had counted since they last told"
    yield from _failures(load.ops)
    late, dropped = load.overall.late, load.overall.dropped
    if late or dropped:
        yield f"  generator   {late:,} of {load.overall.started:,} operations began late, {dropped:,} never"


def load_kind(load: Load) -> str:
    asked = load.description
    if asked is None:
        return "whose beginning is not in the recording"
    if asked.users:
        pace = f"{counted(asked.users, 'user')}, {seconds(asked.think_s)} between two operations"
    else:
        pace = f"{number(load.target)}/s in the mean"
    about = [f"{asked.model} model", pace, counted(asked.peers, "peer")]
    about += [f"payload {asked.payload}"] if asked.payload else []
    about += [f"{duration(asked.warmup_s)} warm-up"] if asked.warmup_s else []
    return ", ".join(about)


def load_outcome(load: Load) -> str:
    if load.outcome == "unknown":
        return f"NOT OVER after {duration(load.seconds)}"
    return f"{load.outcome} after {duration(load.seconds)}"


def op_table(load: Load) -> Iterator[str]:
    """A line for each operation, and one for all when there are several."""
    several = len(load.ops) > 1
    rows = [_OP_HEADER, *(_op_cells(op) for op in (*load.ops, *([load.overall] if several else [])))]
    if len(rows) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[0] = max(widths[0], len("expectation"))
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield f"  {row[0]:<{widths[0]}} {'  '.join(cells)}"


def _op_cells(op: Op) -> tuple[str, ...]:
    latency = op.response
    times = (latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max) if latency else (None,) * 5
    return (
        op.op,
        number(op.rate),
        f"{op.started:,}",
        f"{op.succeeded:,}",
        f"{op.failed:,}",
        *map(seconds, times),
    )


def message_account(messages: dict[str, int]) -> str:
    """Sent and delivered, then everything that is not nothing."""
    sent, delivered = messages.get("sent", 0), messages.get("delivered", 0)
    share = f" ({percent(delivered / sent)})" if sent else ""
    rest = {name: count for name, count in messages.items() if name not in {"sent", "delivered"} and count}
    more = "".join(f", {count:,} {_NAMES.get(name, name.replace('_', ' '))}" for name, count in rest.items())
    return f"{sent:,} sent, {delivered:,} delivered{share}{more}"


def broadcast_account(broadcasts: dict[str, int]) -> str:
    """How many peers they reached of those they should."""
    reached, expected = broadcasts.get("reached", 0), broadcasts.get("expected", 0)
    share = f" ({percent(reached / expected)})" if expected else ""
    whole = f"{broadcasts.get('complete', 0):,} of {broadcasts.get('sent', 0):,} reached everybody"
    spread = ""
    if broadcasts.get("spread_max_us"):
        half, nearly, last = (
            seconds(broadcasts.get(f"spread_{which}_us", 0) / 1e6) for which in ("p50", "p99", "max")
        )
        spread = f"; half of them after {half}, 99% after {nearly}, the last after {last}"
    return f"{whole}; {reached:,} of {expected:,} peers{share}{spread}"


def hop_account(hops: dict[int, int]) -> str:
    """Mean, 99th percentile and most."""
    total = sum(hops.values())
    if not total:
        return "none"
    mean = sum(links * count for links, count in hops.items()) / total
    return f"mean {mean:.2f}, p99 {nearest_rank(Counter(hops), 0.99)}, max {max(hops)}"


def _failures(ops: Iterable[Op]) -> Iterator[str]:
    rows = [(count, op.op, reason) for op in ops for reason, count in op.failures.items()]
    rows.sort(key=lambda row: (-row[0], row[1], row[2]))
    for index, (count, op, reason) in enumerate(rows[: REPORT.screen_rows]):
        yield f"  {'' if index else 'failures':<10}  {count:,} {op}: {reason}"
    if len(rows) > REPORT.screen_rows:
        rest = sum(count for count, _, _ in rows[REPORT.screen_rows :])
        yield f"  {'':<10}  {rest:,} for {len(rows) - REPORT.screen_rows} other reasons"


def _in_order(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())


def _timeline(summary: Summary) -> Iterator[str]:
    rows = {
        "ring": ring_account(summary),
        "faults": _by(fault.kind for fault in summary.faults),
        "timeline": _scheduled(summary),
        "peers": _peers(summary),
        "workers": _workers(summary),
        "restarts": _restarts(summary.restarts),
    }
    told = {title: text for title, text in rows.items() if text}
    if told:
        yield "run"
    for title, text in told.items():
        yield f"  {title:<10}  {text}"
    for fault in [fault for fault in summary.faults if fault.until_s is None][: REPORT.screen_rows]:
        yield f"  {'open fault':<10}  {fault_text(fault)}"


def ring_account(summary: Summary) -> str:
    """When it was proven first, and how long it was not afterwards."""
    first = next((state.at_s for state in summary.ring if state.state == "proven"), None)
    if first is None:
        return "never proven" if summary.ring else ""
    spans = degraded(summary)
    proven = f"proven after {duration(first)}"
    if not spans:
        return proven
    lasted = [end - start for start, end in spans]
    return (
        f"{proven}, degraded {counted(len(spans), 'time')} for {duration(sum(lasted))} in all, "
        f"{duration(max(lasted))} at most"
    )


def degraded(summary: Summary) -> list[tuple[float, float]]:
    """From when to when the ring was not proven, after it had been."""
    spans: list[tuple[float, float]] = []
    since: float | None = None
    for state in summary.ring:
        if state.state == "degraded" and since is None:
            since = state.at_s
        elif state.state != "degraded" and since is not None:
            spans.append((since, state.at_s))
            since = None
    return [*spans, (since, max(since, summary.seconds))] if since is not None else spans


def _by(kinds: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for kind in kinds:
        counts[kind] = counts.get(kind, 0) + 1
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))


def _scheduled(summary: Summary) -> str:
    done = _by(one.do for one in summary.scheduled if not one.problem)
    problems = [one for one in summary.scheduled if one.problem]
    failed = (
        f"{counted(len(problems), 'time')} not as it says, first: {problems[0].problem}" if problems else ""
    )
    return "; ".join(part for part in (done, failed) if part)


def _peers(summary: Summary) -> str:
    counts: dict[str, int] = {}
    for change in summary.peers:
        if change.what != WITH_THE_RUN:
            counts[change.what] = counts.get(change.what, 0) + change.count
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def _workers(summary: Summary) -> str:
    died = [f"{one.worker} ({one.exit})" for one in summary.workers if not one.expected]
    shown = ", ".join(died[: REPORT.named]) + (", ..." if len(died) > REPORT.named else "")
    return f"{len(died)} died: {shown}" if died else ""


def _restarts(restarts: Sequence[Restart]) -> str:
    gave_up = sum(restart.gave_up for restart in restarts)
    done = _by(restart.child for restart in restarts if not restart.gave_up)
    return "; ".join(
        part for part in (done, f"gave up {counted(gave_up, 'time')}" if gave_up else "") if part
    )


def fault_text(fault: Fault) -> str:
    """What it did to whom, and from when to when."""
    what = fault_words(fault, peers=fault.peers, others=fault.others)
    until = f" to {fault.until_s:.1f} s ({fault.ended})" if fault.until_s is not None else " s, not ended"
    return f"{what}, {fault.at_s:.1f}{until}"
