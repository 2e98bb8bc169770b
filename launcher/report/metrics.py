"""The figures of a summary by name, so that two can be compared."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from cicada.config.thresholds import MESSAGES
from launcher.report.model import Latency, Load, Op, Summary
from launcher.report.text import degraded


class Unit(enum.StrEnum):
    """What a figure counts."""

    COUNT = "count"
    RATE = "per second"
    SECONDS = "seconds"
    SHARE = "share"
    HOPS = "hops"


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A figure. None: there is none, for nothing succeeded."""

    unit: Unit
    value: float | None


def metrics(summary: Summary, several: bool) -> dict[str, Metric]:
    """Every figure. Those of an operation begin with its name, those of a whole load with none, or all with ``load2.``
    and so on when there are ``several``."""
    found = dict(_of_run(summary))
    for load in summary.loads:
        prefix = f"load{load.load}." if several else ""
        found |= {prefix + name: metric for name, metric in _of_load(load)}
    return found


def _of_run(summary: Summary) -> Iterator[tuple[str, Metric]]:
    yield "run.restarts", _count(sum(not one.gave_up for one in summary.restarts))
    yield "run.workers_died", _count(sum(not one.expected for one in summary.workers))
    yield "run.expectations_missed", _count(sum(not one.held for one in summary.expectations))
    missed = (one for load in summary.loads for one in load.thresholds if not one.held)
    yield "run.thresholds_missed", _count(sum(1 for _ in missed))
    spans = degraded(summary)
    yield "run.degraded", _seconds(round(sum(end - start for start, end in spans), 3))


def _of_load(load: Load) -> Iterator[tuple[str, Metric]]:
    yield from _of_op(load.overall, "")
    for op in load.ops:
        yield from _of_op(op, f"{op.op}.")
    for table, counts in (
        ("messages", dict.fromkeys(MESSAGES, 0) | load.messages),
        ("copies", load.copies),
        ("lookups", load.lookups),
    ):
        yield from (
            (f"{table}.{name}", _count(count, known=_has_account(load))) for name, count in counts.items()
        )
    yield from _of_messages(load.messages)
    yield from _of_broadcasts(load.broadcasts)
    right, wrong = load.lookups.get("right", 0), load.lookups.get("wrong", 0)
    if load.lookups:
        yield "lookup.right", _share(right, right + wrong)
        yield "lookup.wrong", _count(wrong)
    total = sum(load.hops.values())
    if total:
        mean = sum(links * count for links, count in load.hops.items()) / total
        yield "hops.mean", Metric(unit=Unit.HOPS, value=round(mean, 6))
        yield "hops.max", Metric(unit=Unit.HOPS, value=max(load.hops))


def _of_messages(messages: dict[str, int]) -> Iterator[tuple[str, Metric]]:
    """The shares that thresholds know, too."""
    if messages:
        sent, delivered = messages.get("sent", 0), messages.get("delivered", 0)
        yield "delivered.rate", _share(delivered, sent)
        yield "delivered.present", _share(delivered, sent - messages.get("to_absent", 0))


def _of_broadcasts(broadcasts: dict[str, int]) -> Iterator[tuple[str, Metric]]:
    for name, count in broadcasts.items():
        time = name.removesuffix("_us")
        yield f"broadcasts.{time}", _count(count) if time == name else _seconds(count / 1e6)
    if broadcasts:
        yield "broadcast.coverage", _share(broadcasts.get("reached", 0), broadcasts.get("expected", 0))
        yield "broadcast.complete", _share(broadcasts.get("complete", 0), broadcasts.get("sent", 0))


def _of_op(op: Op, prefix: str) -> Iterator[tuple[str, Metric]]:
    yield f"{prefix}rate", Metric(unit=Unit.RATE, value=op.rate)
    for name in ("started", "late", "dropped", "succeeded", "failed"):
        yield prefix + name, _count(getattr(op, name))
    yield f"{prefix}errors" if prefix else "errors.rate", _share(op.failed, op.failed + op.succeeded)
    for before, latency in ((prefix, op.response), (f"{prefix}service.", op.service)):
        yield from ((before + name, _seconds(value)) for name, value in _of_latency(latency))


def _of_latency(latency: Latency | None) -> Iterator[tuple[str, float | None]]:
    for field in msgspec.structs.fields(Latency):
        if field.name not in {"count", "histogram"}:
            yield field.encode_name, None if latency is None else getattr(latency, field.name)


def _has_account(load: Load) -> bool:
    """Whether the account was drawn up: before its end, and of a load that broke off, nobody knows what was lost."""
    return load.outcome not in {"unknown", "failed"} or bool(load.messages)


def _count(value: int, *, known: bool = True) -> Metric:
    return Metric(unit=Unit.COUNT, value=value if known else None)


def _seconds(value: float | None) -> Metric:
    return Metric(unit=Unit.SECONDS, value=value)


def _share(part: int, whole: int) -> Metric:
    return Metric(unit=Unit.SHARE, value=round(part / whole, 9) if whole > 0 else None)
