"""What a load did between one look at its accounts and the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cicada.events import LoadInterval, OpInterval
from launcher.load.figures import OpFigures, added_counts, sum_ops
from launcher.load.histogram import Counts, percentile
from launcher.load.ledger import Ledger
from launcher.load.plan import LoadPlan
from launcher.load.verdict import Strain

Encode = Callable[[Counts], str]


class LoadWatch:
    """Turns looks at growing accounts into intervals. Times are in seconds from the start of the load."""

    def __init__(self, load: int, plan: LoadPlan, ledgers: Sequence[Ledger], encode: Encode) -> None:
        self._load = load
        self._plan = plan
        self._ledgers = ledgers
        self._encode = encode
        self._seen = 0.0
        self._before: dict[str, OpFigures] = {}
        self._was_warm = plan.warmup > 0
        self.strain = Strain()
        self.latest: dict[str, OpFigures] = {}
        self.latest_s = 0.0
        self.target = 0.0

    def look(self, now: float, cpu: float, lag: float, *, frozen: bool = False) -> LoadInterval:
        """The interval that ends now. One that began in the warm-up is all of the warm-up: look when that ends."""
        is_warm = self._was_warm
        sums = sum_ops([ledger.warm if is_warm else ledger.main for ledger in self._ledgers])
        none = OpFigures()
        self.latest = {op: figures.since(self._before.get(op, none)) for op, figures in sums.items()}
        start, self._seen = self._seen, now
        self.latest_s = now - start
        self._before = sums
        self.target = self._plan.target_rate(start, min(now, self._plan.duration))
        if not is_warm:
            self.strain = self.strain.after(now - start, cpu, lag, frozen=frozen)
        elif now >= self._plan.warmup:
            self._was_warm, self._before = False, {}
        return LoadInterval(
            load=self._load,
            start_s=start,
            end_s=now,
            warmup=is_warm,
            target=self._plan.target_rate(start, now),
            ops=tuple(self._interval(op, figures) for op, figures in self.latest.items()),
            cpu=cpu,
            lag_s=lag,
        )

    def _interval(self, op: str, figures: OpFigures) -> OpInterval:
        return OpInterval(
            op=op,
            started=figures.started,
            late=figures.late,
            dropped=figures.dropped,
            succeeded=figures.succeeded,
            failed=figures.failed,
            failures=dict(figures.failures),
            response=self._encode(figures.response),
            service=self._encode(figures.service),
        )

    @property
    def rate(self) -> float:
        """Operations that began a second in the last interval."""
        started = sum(op.started for op in self.latest.values())
        return started / self.latest_s if self.latest_s else 0.0

    def response(self, share: float) -> float | None:
        """A percentile of the response times in the last interval, over all operations."""
        return percentile(added_counts(op.response for op in self.latest.values()), share)
