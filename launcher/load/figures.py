"""What a load came to, added up over all accounts: plain counts that thresholds, reports and summaries read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from cicada.commands import Latency, OpResult
from cicada.config.thresholds import PERCENTILES
from launcher.load.histogram import Counts, percentile
from launcher.load.ledger import Bank, OpBank, Tally

_PERCENTILES: Final = {name.replace(".", "_"): share for name, share in PERCENTILES.items()}


class OpFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of operation."""

    started: int = 0
    late: int = 0
    dropped: int = 0
    succeeded: int = 0
    failed: int = 0
    failures: Counter[str] = msgspec.field(default_factory=Counter)
    drops: Counter[str] = msgspec.field(default_factory=Counter)
    response: Counts = msgspec.field(default_factory=Counter)
    service: Counts = msgspec.field(default_factory=Counter)

    def since(self, before: OpFigures) -> OpFigures:
        """What came after ``before``."""
        return OpFigures(
            started=self.started - before.started,
            late=self.late - before.late,
            dropped=self.dropped - before.dropped,
            succeeded=self.succeeded - before.succeeded,
            failed=self.failed - before.failed,
            failures=self.failures - before.failures,
            drops=self.drops - before.drops,
            response=self.response - before.response,
            service=self.service - before.service,
        )


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The whole load but its warm-up, which takes no part in ``seconds`` either. The dictionaries are those of
    events.LoadEnded."""

    seconds: float = 0.0
    ops: dict[str, OpFigures] = {}
    messages: dict[str, int] = {}
    hops: Counter[int] = msgspec.field(default_factory=Counter)
    groups: dict[str, tuple[int, int]] = {}
    copies: dict[str, int] = {}
    broadcasts: dict[str, int] = {}
    lookups: dict[str, int] = {}


def sum_ops(banks: Sequence[Bank], *, with_times: bool = True) -> dict[str, OpFigures]:
    """Each kind of operation over several banks. Times are most of the work."""
    kinds = list(banks[0].ops) if banks else []
    return {kind: _sum_op([bank.ops[kind] for bank in banks], with_times) for kind in kinds}


def _sum_op(parts: Sequence[OpBank], with_times: bool) -> OpFigures:
    timed = parts if with_times else ()
    return OpFigures(
        started=sum(part[Tally.STARTED] for part in parts),
        late=sum(part[Tally.LATE] for part in parts),
        dropped=sum(part[Tally.DROPPED] for part in parts),
        succeeded=sum(part[Tally.SUCCEEDED] for part in parts),
        failed=sum(part[Tally.FAILED] for part in parts),
        failures=_added(part.failures() for part in parts),
        drops=_added(part.drops() for part in parts),
        response=added_counts(part.response() for part in timed),
        service=added_counts(part.service() for part in timed),
    )


def sum_groups(names: Sequence[str], banks: Sequence[Bank]) -> dict[str, tuple[int, int]]:
    """Sends by the group of their target over several banks: acknowledged, and failed."""
    parts = [bank.by_group() for bank in banks]
    return {
        name: (sum(part[index][0] for part in parts), sum(part[index][1] for part in parts))
        for index, name in enumerate(names)
    }


def added_counts(parts: Iterable[Counts]) -> Counts:
    """Several histograms as one."""
    total: Counts = Counter()
    for part in parts:
        total.update(part)
    return total


def _added(parts: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total


def latency(counts: Counts) -> Latency:
    """The usual percentiles of a histogram."""
    return Latency(**{name: percentile(counts, share) for name, share in _PERCENTILES.items()})


def op_result(op: str, figures: OpFigures, seconds: float) -> OpResult:
    """One kind of operation as the reply to RunLoad has it."""
    return OpResult(
        op=op,
        started=figures.started,
        late=figures.late,
        dropped=figures.dropped,
        succeeded=figures.succeeded,
        failed=figures.failed,
        rate=figures.succeeded / seconds if seconds else 0.0,
        failures=dict(figures.failures),
        drops=dict(figures.drops),
        response=latency(figures.response),
        service=latency(figures.service),
    )
