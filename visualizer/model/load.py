"""The load that runs, as its events tell it second by second."""

from __future__ import annotations

from dataclasses import replace

from cicada.events import LoadEnded, LoadInterval, LoadStarted
from visualizer.model.bounds import NAME, amount, count
from visualizer.model.state import LoadView


def begun(event: LoadStarted) -> LoadView:
    """A load that begins. Until its first second is told, its highest intended rate is its target."""
    rates = (amount(rate) for stage in event.stages for rate in stage[1:])
    return LoadView(number=event.load, target=max(rates, default=0.0))


def gone_on(before: LoadView | None, event: LoadInterval) -> LoadView:
    """The load after one more interval. One whose beginning nobody saw begins with it."""
    load = before if before is not None and before.number == event.load else LoadView(number=event.load)
    seconds = amount(event.end_s - event.start_s)
    started = sum(count(op.started) for op in event.ops)
    return replace(
        load,
        target=amount(event.target),
        rate=started / seconds if seconds else 0.0,
        succeeded=load.succeeded + sum(count(op.succeeded) for op in event.ops),
        failed=load.failed + sum(count(op.failed) for op in event.ops),
        dropped=load.dropped + sum(count(op.dropped) for op in event.ops),
    )


def ended(before: LoadView | None, event: LoadEnded) -> LoadView:
    """The load is over."""
    load = before if before is not None and before.number == event.load else LoadView(number=event.load)
    return replace(load, running=False, rate=0.0, outcome=event.outcome[:NAME])


def joined(before: LoadView, snapshot: LoadView) -> LoadView:
    """What a snapshot says of a load, and what was counted of the same one before: snapshots only know its last interval."""
    if before.number != snapshot.number:
        return snapshot
    return replace(
        snapshot,
        succeeded=max(before.succeeded, snapshot.succeeded),
        failed=max(before.failed, snapshot.failed),
        dropped=max(before.dropped, snapshot.dropped),
    )
