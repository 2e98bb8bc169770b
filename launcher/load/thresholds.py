"""Whether the figures of a load are what somebody asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cicada.commands import Threshold, ThresholdResult
from cicada.config.thresholds import MESSAGES, PERCENTILES, Unit, condition_in
from launcher.load.figures import Figures, OpFigures
from launcher.load.histogram import Counts, mean, percentile

_SERVICE: Final = "service."


def check(thresholds: Iterable[Threshold], figures: Figures) -> tuple[ThresholdResult, ...]:
    """Each threshold beside the figure it is about. Raises Misuse for one that means nothing."""
    return tuple(_checked(threshold, figures) for threshold in thresholds)


def broken(thresholds: Iterable[Threshold], figures: Figures) -> tuple[ThresholdResult, ...]:
    """Those that do not hold of a load that goes on. One without a figure may have one yet, unless all that its figure would be
    of has failed."""
    return tuple(
        found
        for found in check(thresholds, figures)
        if not found.held and (found.value is not None or _all_failed(found.that, figures))
    )


def value_in_words(found: ThresholdResult) -> str:
    """The figure in the unit that it is compared in."""
    if found.value is None:
        return "no figure"
    match condition_in(found.that).unit:
        case Unit.TIME:
            return f"{found.value * 1000:.1f} ms"
        case Unit.SHARE:
            return f"{found.value:.5g}"
        case Unit.RATE:
            return f"{found.value:.1f}/s"
        case Unit.COUNT:
            return f"{found.value:g}"


def _checked(threshold: Threshold, figures: Figures) -> ThresholdResult:
    condition = condition_in(threshold.that)
    value = figure(condition.metric, figures)
    return ThresholdResult(that=threshold.that, value=value, held=condition.holds(value))


def _all_failed(threshold: str, figures: Figures) -> bool:
    op = figures.ops.get(condition_in(threshold).metric.partition(".")[0])
    return op is not None and op.failed > 0 and not op.succeeded


def figure(metric: str, figures: Figures) -> float | None:
    """The figure of this name; None when there is nothing that it could be of."""
    head, _, rest = metric.partition(".")
    if not rest:
        return _total(metric, figures)
    match metric:
        case "delivered.rate":
            return _ratio(figures.messages, "delivered", "sent")
        case "delivered.present":
            return _of_present(figures.messages)
        case "errors.rate":
            return _error_share(figures.ops.values())
        case "broadcast.coverage":
            return _ratio(figures.broadcasts, "reached", "expected")
        case "broadcast.complete":
            return _ratio(figures.broadcasts, "complete", "sent")
        case "lookup.right":
            return _right(figures.lookups)
        case "lookup.wrong":
            return figures.lookups.get("wrong")
        case "hops.mean":
            hops = figures.hops
            return sum(step * times for step, times in hops.items()) / hops.total() if hops else None
        case "hops.max":
            return max(figures.hops, default=None)
        case _:
            op = figures.ops.get(head)
            return None if op is None else _of_op(rest, op, figures.seconds)


def _total(metric: str, figures: Figures) -> float | None:
    if not figures.ops:
        return None
    if metric == "late":
        return sum(op.late for op in figures.ops.values())
    if metric == "dropped":
        return sum(op.dropped for op in figures.ops.values())
    return figures.messages.get(metric) if metric in MESSAGES and "send" in figures.ops else None


def _of_op(metric: str, op: OpFigures, seconds: float) -> float | None:
    match metric:
        case "rate":
            return op.succeeded / seconds if seconds else None
        case "errors":
            return _error_share([op])
        case "started" | "succeeded" | "failed" | "late" | "dropped":
            count: int = getattr(op, metric)
            return count
        case _:
            pass
    is_service = metric.startswith(_SERVICE)
    return _time(metric.removeprefix(_SERVICE), op.service if is_service else op.response)


def _time(name: str, counts: Counts) -> float | None:
    return mean(counts) if name == "mean" else percentile(counts, PERCENTILES[name])


def _error_share(ops: Iterable[OpFigures]) -> float | None:
    every = list(ops)
    failed = sum(op.failed for op in every)
    ended = failed + sum(op.succeeded for op in every)
    return failed / ended if ended else None


def _ratio(counts: dict[str, int], part: str, whole: str) -> float | None:
    return counts[part] / counts[whole] if counts.get(whole) else None


def _of_present(messages: dict[str, int]) -> float | None:
    """Delivered of those whose target was in the ring all the time."""
    sent = messages.get("sent", 0) - messages.get("to_absent", 0)
    return messages["delivered"] / sent if sent > 0 else None


def _right(lookups: dict[str, int]) -> float | None:
    judged = lookups.get("right", 0) + lookups.get("wrong", 0)
    return lookups["right"] / judged if judged else None
