"""What a load came to, on one screen: thresholds first, then what went wrong, then how long things took."""

from __future__ import annotations

from collections.abc import Iterator

from cicada.commands import Latency, LoadResult, OpResult, ThresholdResult
from launcher.load.thresholds import value_in_words
from launcher.output import bad, failed_by_group, good

_COLUMNS = ("p50", "p75", "p90", "p95", "p99", "p99.9", "max")
_ERRORS = 8


def load_lines(result: LoadResult) -> Iterator[str]:
    """What became of a load."""
    for threshold in result.thresholds:
        yield _threshold(threshold)
    yield from _totals(result)
    yield from _latencies(result)
    if result.hops_max:
        yield f"  hops      mean {result.hops_mean:.2f}, p99 {result.hops_p99:.0f}, max {result.hops_max}"
    if set(result.copies) - {"intact"} or sum(result.copies.values()) > result.sent:
        yield f"  copies    {', '.join(f'{count} {fate}' for fate, count in result.copies.items())}"
    yield from _others(result)
    yield from _errors(result)
    yield from _ending(result)


def is_flawless(result: LoadResult) -> bool:
    """Whether every operation began and succeeded, every message arrived once, intact, at the right peer, and its sender knows."""
    begun = sum(op.started for op in result.ops) if result.ops else result.sent
    wrong = result.lost, result.failed, result.duplicated, result.altered, result.wrong_peer
    open_ends = result.unfinished, result.died_with_worker, result.out_of_order if result.is_ordered else 0
    ops = [count for op in result.ops for count in (op.failed, op.dropped)]
    spread = result.broadcasts.get("expected", 0) - result.broadcasts.get("reached", 0)
    others = spread, result.broadcasts.get("duplicated", 0), result.lookups.get("wrong", 0)
    return 0 < begun >= result.planned and not any((*wrong, *open_ends, *ops, *others))


def _threshold(found: ThresholdResult) -> str:
    mark = good("held  ") if found.held else bad("missed")
    return f"{mark}  {found.that}  ({value_in_words(found)})"


def _totals(result: LoadResult) -> Iterator[str]:
    paint = good if is_flawless(result) else bad
    if result.sent or not result.ops:
        once = "intact" if result.duplicated else "exactly once and intact"
        yield paint(f"{result.delivered} of {result.sent} messages delivered {once}")
    asked = f" of {result.rate:.0f}" if result.rate else ""
    yield f"  rate      {result.achieved_rate:.0f}{asked} operations a second, for {result.seconds:.1f} s"
    dropped = sum(op.dropped for op in result.ops)
    if result.late_starts or dropped:
        yield f"  starts    {result.late_starts} late, {dropped} never"
    yield (
        f"  wrong     {result.lost} lost, {result.duplicated} duplicated, {result.altered} altered, "
        f"{result.wrong_peer} at a wrong peer, {result.acknowledged_lost} acknowledged but lost, "
        f"{result.out_of_order} out of order"
    )
    if result.to_absent:
        yield f"            {result.to_absent} of those that did not arrive were for peers out of the ring"


def _latencies(result: LoadResult) -> Iterator[str]:
    if not result.ops:
        return
    yield f"  {'latency, ms':<20}{'started':>9}{'failed':>8}" + "".join(f"{name:>9}" for name in _COLUMNS)
    for op in result.ops:
        yield f"  {op.op:<10}{'response':<10}{op.started:>9}{op.failed:>8}{_row(op.response)}"
        yield f"  {'':<10}{'service':<10}{'':>17}{_row(op.service)}"


def _row(latency: Latency) -> str:
    values = (getattr(latency, name.replace(".", "_")) for name in _COLUMNS)
    return "".join(f"{'-' if value is None else _ms(value):>9}" for value in values)


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f}" if milliseconds < 10_000 else f"{milliseconds:.0f}"


def _others(result: LoadResult) -> Iterator[str]:
    spread = result.broadcasts
    if spread.get("expected"):
        times = (f"{spread[f'spread_{name}_us'] / 1000:.1f} ms" for name in ("p50", "p99", "max"))
        half, most, everybody = times
        yield (
            f"  broadcast {spread['reached']} of {spread['expected']} peers reached, {spread['complete']} of "
            f"{spread['sent']} reached all; half within {half}, 99% within {most}, the last within {everybody}"
        )
    if result.lookups:
        found = result.lookups
        yield (
            f"  lookup    {found['right']} right, {found['wrong']} wrong, {found['unsure']} while the ring changed, "
            f"{found['failed']} failed"
        )


def _errors(result: LoadResult) -> Iterator[str]:
    for op in result.ops or (_sends(result),):
        if op.failed:
            yield bad(f"  {op.op:<9} {op.failed} failed: {_grouped(op.failures)}")
        if op.op == "send" and (groups := failed_by_group(result.groups)):
            yield bad(f"            by the group of their targets: {groups}")
        if op.dropped:
            yield bad(f"  {op.op:<9} {op.dropped} never began: {_grouped(op.drops)}")


def _sends(result: LoadResult) -> OpResult:
    """Of a result without operations, as the demo's tests have."""
    return OpResult(
        op="send",
        started=result.sent,
        late=0,
        dropped=0,
        succeeded=result.acknowledged,
        failed=result.failed,
        rate=result.achieved_rate,
        failures=result.failures,
        drops={},
        response=Latency(),
        service=Latency(),
    )


def _grouped(reasons: dict[str, int]) -> str:
    """The most frequent reasons with their counts."""
    ordered = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    named = ", ".join(f"{count} {reason}" for reason, count in ordered[:_ERRORS])
    more = sum(count for _, count in ordered[_ERRORS:])
    return f"{named}, {more} for other reasons" if more else named


def _ending(result: LoadResult) -> Iterator[str]:
    if result.died:
        begun = sum(op.started + op.dropped for op in result.ops) if result.ops else result.sent
        yield bad(
            f"  died      {', '.join(result.died)}, so {max(0, result.planned - begun)} operations never began, "
            f"{result.unfinished} messages have no receipt, and {result.died_with_worker} were acknowledged and died unread"
        )
    elif result.unfinished:
        yield bad(f"  receipts  {result.unfinished} did not settle in time")
    if result.outcome != "finished":
        yield bad(f"  the load was {result.outcome} before its end")
    if result.verdict:
        yield bad(f"  {result.verdict}")
