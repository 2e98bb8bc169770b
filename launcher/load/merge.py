"""Adds the accounts of all workers up. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from cicada.commands import LoadResult, ThresholdResult
from launcher.load.account import FATES
from launcher.load.figures import Figures, OpFigures, added_counts, op_result, sum_groups, sum_ops
from launcher.load.histogram import nearest_rank, percentile
from launcher.load.ledger import Count, Ledger, Mark, Tally
from launcher.load.membership import Membership
from launcher.load.payloads import place_sought
from launcher.load.plan import BROADCAST, LOOKUP, SEND, LoadPlan, Shot

_PLACE_BYTES = 8
_ROUNDING: Final = 1e-6  # of an operation; the time of a number is no binary fraction


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a load ended, besides what its accounts say."""

    load: int = 0
    outcome: str = "finished"
    verdict: str = ""
    died: tuple[str, ...] = ()
    thresholds: tuple[ThresholdResult, ...] = ()


class SoFar(msgspec.Struct, frozen=True, kw_only=True):
    """Of a load that goes on: the time in it, and the messages whose receipts had settled a while before, as bits: long enough
    for what arrived to be out of its mailbox."""

    now: float
    settled: int


def settled(ledgers: Iterable[Ledger]) -> int:
    """The messages whose receipts have settled, as bits."""
    union = 0
    for ledger in ledgers:
        union |= ledger.marks(Mark.ACKNOWLEDGED) | ledger.marks(Mark.FAILED)
    return union


def add_up(
    plan: LoadPlan,
    ledgers: Iterable[Ledger],
    membership: Membership,
    bereft: Mapping[str, float] | None = None,
    so_far: SoFar | None = None,
) -> Figures:
    """The account of the whole load. A message received at two workers counts as delivered once and duplicated once.

    ``bereft`` are the peers whose workers died, and when, in seconds from the start, that was over: what was for them until
    then, was acknowledged and was not read is reported apart. ``so_far``: the load goes on, and of what is in flight nothing is
    known, so it counts as neither sent nor unfinished. Takes some seconds for millions of messages that went astray.
    """
    every = tuple(ledgers)
    fates = _fates(plan, every, bereft or {}, so_far)
    banks = [ledger.main for ledger in every]
    ops = sum_ops(banks)
    sends = ops.get(SEND, OpFigures())
    astray = fates.sent & ~fates.received & ~fates.unfinished & ~fates.died
    messages = {
        "sent": fates.sent.bit_count(),
        "delivered": fates.received.bit_count(),
        "acknowledged": fates.acknowledged.bit_count(),
        "lost": fates.lost.bit_count(),
        "failed": sends.failed,
        "duplicated": fates.twice + _counted(every, Count.DUPLICATED),
        "altered": _counted(every, Count.ALTERED),
        "wrong_peer": _counted(every, Count.WRONG_PEER),
        "out_of_order": _counted(every, Count.OUT_OF_ORDER),
        "acknowledged_lost": (fates.lost & fates.acknowledged).bit_count(),
        "unfinished": fates.unfinished.bit_count(),
        "died_with_worker": fates.died.bit_count(),
        "to_absent": _to_absent(plan, astray, membership),
    }
    hops: Counter[int] = Counter()
    for bank in banks:
        hops.update(bank.hops())
    return Figures(
        seconds=max(0.0, _begun_until(plan, every) - plan.warmup),
        ops=ops,
        messages=messages,
        hops=hops,
        groups=sum_groups(plan.groups, banks) if SEND in ops else {},
        copies={fate.value: total for fate, count in FATES.items() if (total := _counted(every, count))},
        broadcasts=_broadcasts(plan, every, ops, membership, so_far),
        lookups=_lookups(plan, every, ops, membership),
    )


def result(plan: LoadPlan, figures: Figures, ending: Ending) -> LoadResult:
    """The figures as the reply to RunLoad."""
    messages, seconds = figures.messages, figures.seconds
    sends = figures.ops.get(SEND, OpFigures())
    hops = figures.hops
    started = sum(op.started for op in figures.ops.values())
    return LoadResult(
        **{name: count for name, count in messages.items() if name != "failed"},
        failed=sends.failed,
        planned=planned(plan),
        late_starts=sum(op.late for op in figures.ops.values()),
        rate=plan.target_rate(plan.warmup, plan.duration),
        achieved_rate=started / seconds if seconds else 0.0,
        seconds=seconds,
        latency_p50_s=percentile(sends.response, 0.50) or 0.0,
        latency_p99_s=percentile(sends.response, 0.99) or 0.0,
        latency_max_s=percentile(sends.response, 1.0) or 0.0,
        hops_mean=sum(step * times for step, times in hops.items()) / hops.total() if hops else 0.0,
        hops_p99=float(nearest_rank(hops, 0.99) or 0),
        hops_max=max(hops, default=0),
        failures=dict(sends.failures),
        copies=figures.copies,
        groups=figures.groups,
        load=ending.load,
        outcome=ending.outcome,
        verdict=ending.verdict,
        is_ordered=plan.ordered,
        ops=tuple(op_result(op, part, seconds) for op, part in figures.ops.items()),
        broadcasts=figures.broadcasts,
        lookups=figures.lookups,
        died=ending.died,
        thresholds=ending.thresholds,
    )


def planned(plan: LoadPlan) -> int:
    """How many operations were to begin after the warm-up; 0 in a closed load, which begins what it can."""
    if plan.users:
        return 0
    return plan.count - (plan.schedule.first_from(plan.warmup) if plan.warmup else 0)


def _begun_until(plan: LoadPlan, ledgers: Iterable[Ledger]) -> float:
    """When the next operation would have begun after the last that did: ten at ten a second take a second, and not nine tenths.
    In a closed load, when the last one did. 0 when none did."""
    last = max((ledger.seconds for ledger in ledgers if _has_begun(ledger)), default=None)
    if last is None:
        return 0.0
    if plan.users:
        return last
    following = plan.schedule.at(int(plan.schedule.begun(last) + _ROUNDING) + 1)
    return max(last, min(plan.duration, following))


def _has_begun(ledger: Ledger) -> bool:
    return any(op[Tally.STARTED] for bank in (ledger.main, ledger.warm) for op in bank.ops.values())


def _counted(ledgers: Iterable[Ledger], what: Count) -> int:
    return sum(ledger.main[what] for ledger in ledgers)


class _Fates(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages, each a set of numbers as bits; ``twice`` were received at two workers."""

    sent: int
    acknowledged: int
    unfinished: int
    received: int
    died: int
    lost: int
    twice: int


def _fates(
    plan: LoadPlan, ledgers: Sequence[Ledger], bereft: Mapping[str, float], so_far: SoFar | None
) -> _Fates:
    sent, _ = _union(ledger.marks(Mark.SENT) for ledger in ledgers)
    acknowledged, _ = _union(ledger.marks(Mark.ACKNOWLEDGED) for ledger in ledgers)
    failed, _ = _union(ledger.marks(Mark.FAILED) for ledger in ledgers)
    received, twice = _union(ledger.marks(Mark.RECEIVED) for ledger in ledgers)
    unfinished = sent & ~acknowledged & ~failed
    if so_far is not None:
        acknowledged &= so_far.settled
        sent = (sent & so_far.settled) | received
        unfinished = 0
    unread = acknowledged & ~received
    died = _bound_for(plan, unread, bereft) if unread and bereft else 0
    return _Fates(
        sent=sent,
        acknowledged=acknowledged,
        unfinished=unfinished,
        received=received,
        died=died,
        lost=sent & ~received & ~unfinished & ~died,
        twice=twice,
    )


def _bound_for(plan: LoadPlan, numbers: int, targets: Mapping[str, float]) -> int:
    """Those of the messages that were to leave for one of these peers until the time beside it, as bits."""
    found = 0
    for number in bits(numbers):
        shot = plan.shot(number, 0.0 if plan.users else None)
        if shot.at <= targets.get(plan.peers[shot.target].name, -1.0):
            found |= 1 << number
    return found


def _to_absent(plan: LoadPlan, astray: int, membership: Membership) -> int:
    """How many of the messages were for peers that were out of the ring when they were on their way, or, in a closed load, at
    any time."""
    if membership.is_constant or not astray:
        return 0
    absent = 0
    for number in bits(astray):
        shot = plan.shot(number, 0.0 if plan.users else None)
        end = plan.duration if plan.users else shot.at + plan.timeout
        absent += plan.peers[shot.target].address not in membership.stayed(shot.at, end)
    return absent


def bits(numbers: int) -> Iterator[int]:
    """Which bits are set, from the lowest on."""
    for index, byte in enumerate(numbers.to_bytes((numbers.bit_length() + 7) // 8, "little")):
        while byte:
            yield index * 8 + (byte & -byte).bit_length() - 1
            byte &= byte - 1


def _union(bitmaps: Iterable[int]) -> tuple[int, int]:
    """All bits of the bitmaps, and how many were set in one after another had set them."""
    union, twice = 0, 0
    for found in bitmaps:
        twice += (union & found).bit_count()
        union |= found
    return union, twice


def _broadcasts(
    plan: LoadPlan,
    ledgers: Sequence[Ledger],
    ops: Mapping[str, OpFigures],
    membership: Membership,
    so_far: SoFar | None,
) -> dict[str, int]:
    """Expected is everybody else who was in the ring from the start of a broadcast until its time was up. Of a load that goes
    on there are those whose time is up, and none of a closed one, where nobody knows when that is."""
    if BROADCAST not in ops or (so_far is not None and plan.users):
        return {}
    ranks = {rank for ledger in ledgers for rank in ledger.begun_broadcasts()}
    if so_far is not None:
        ranks = {rank for rank in ranks if _broadcast(plan, rank).at + plan.timeout <= so_far.now}
    reached = expected = twice = everybody = 0
    for rank in ranks:
        got, repeated = _union(ledger.reached(rank) for ledger in ledgers)
        due = _due(plan, rank, membership)
        here = (got & due).bit_count()
        reached, expected, twice = reached + here, expected + due.bit_count(), twice + repeated
        everybody += here == due.bit_count()
    spread = added_counts(ledger.main.spreads() for ledger in ledgers)
    return {
        "sent": ops[BROADCAST].started if so_far is None else len(ranks),
        "reached": reached,
        "expected": expected,
        "complete": everybody,
        "duplicated": twice + _counted(ledgers, Count.REPEATED),
        **{name: round(1e6 * (percentile(spread, share) or 0.0)) for name, share in _SPREAD.items()},
    }


_SPREAD: Final = {"spread_p50_us": 0.50, "spread_p99_us": 0.99, "spread_max_us": 1.0}


def _broadcast(plan: LoadPlan, rank: int) -> Shot:
    return plan.shot(plan.draws.number_of(BROADCAST, rank), 0.0 if plan.users else None)


def _due(plan: LoadPlan, rank: int, membership: Membership) -> int:
    """Whom a broadcast was to reach, as bits."""
    shot = _broadcast(plan, rank)
    end = plan.duration if plan.users else shot.at + plan.timeout
    stayed = membership.stayed(shot.at, end)
    return sum(
        1 << index for index, peer in enumerate(plan.peers) if peer.address in stayed and index != shot.source
    )


def _lookups(
    plan: LoadPlan, ledgers: Sequence[Ledger], ops: Mapping[str, OpFigures], membership: Membership
) -> dict[str, int]:
    """Unsure are those about whose time somebody came or went."""
    if LOOKUP not in ops:
        return {}
    found = Counter(
        _judged(plan, looked.rank, looked.owner, looked.began, looked.ended, membership)
        for ledger in ledgers
        for looked in ledger.lookups()
    )
    return {
        "right": found["right"],
        "wrong": found["wrong"],
        "unsure": found["unsure"],
        "failed": ops[LOOKUP].failed,
    }


def _judged(plan: LoadPlan, rank: int, owner: int, began: float, ended: float, membership: Membership) -> str:
    place = int.from_bytes(place_sought(plan, rank)[:_PLACE_BYTES], "big")
    truth = membership.owner(place, began, ended)
    return "unsure" if truth is None else "right" if truth == owner else "wrong"
