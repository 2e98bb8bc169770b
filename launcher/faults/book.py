"""The faults in force in a swarm: set, ended in whole or in part, and what they add up to. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from itertools import count

import msgspec

from cicada.commands import AnyFault, Delay, Drop, Duplicate, FaultRow, Freeze, PairFault, Partition
from cicada.errors import Misuse
from cicada.ids import Address
from cicada.limits import FAULT
from cicada.transport.faults import FaultRule, FaultTable


class ActiveFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault, and whom its selectors named when it was set. Times are the launcher's loop's.

    ``workers``: a frozen process; ``peers`` are then those it hosts.
    """

    number: int
    fault: AnyFault
    peers: tuple[str, ...]
    others: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    since: float
    until: float

    @property
    def kind(self) -> str:
        """The command's name in small letters."""
        return type(self.fault).__name__.lower()

    def row(self, now: float) -> FaultRow:
        """The fault for whoever asks."""
        fault = self.fault
        sides = (fault.one, fault.other) if isinstance(fault, PairFault) else (fault.select, "")
        return FaultRow(
            fault=self.number,
            kind=self.kind,
            one=sides[0],
            other=sides[1],
            peers=self.peers,
            others=self.others,
            seconds=fault.seconds if isinstance(fault, Delay) else 0.0,
            jitter=fault.jitter if isinstance(fault, Delay) else 0.0,
            percent=fault.percent if isinstance(fault, Drop | Duplicate) else 0.0,
            age_s=now - self.since,
            left_s=None if math.isinf(self.until) else max(0.0, self.until - now),
        )


class FaultBook:
    """All faults by number, oldest first."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._active: dict[int, ActiveFault] = {}

    def enter(
        self,
        fault: AnyFault,
        *,
        peers: tuple[str, ...],
        others: tuple[str, ...] = (),
        workers: tuple[str, ...] = (),
        now: float,
    ) -> ActiveFault:
        """A fault is set. ``check`` it before."""
        active = ActiveFault(
            number=next(self._numbers),
            fault=fault,
            peers=peers,
            others=others,
            workers=workers,
            since=now,
            until=math.inf if fault.lasts is None else now + fault.lasts,
        )
        self._active[active.number] = active
        return active

    def rows(self, now: float) -> tuple[FaultRow, ...]:
        """Every fault in force."""
        return tuple(active.row(now) for active in self._active.values())

    # Ends

    def end_between(self, one: str, other: str) -> list[ActiveFault]:
        """End the faults between these two sides, either way round; with ``one`` alone those in which it is a side, with
        none all. Freezes are no such faults."""
        named = {one, other} - {""}

        def is_meant(fault: AnyFault) -> bool:
            return isinstance(fault, PairFault) and (
                {fault.one, fault.other} >= named if not other else {fault.one, fault.other} == named
            )

        return self._end(active for active in self._active.values() if is_meant(active.fault))

    def end_due(self, now: float) -> list[ActiveFault]:
        """End those whose time is over."""
        return self._end(active for active in self._active.values() if active.until <= now)

    def next_end(self) -> float:
        """When the next one's time is over; infinity: of none."""
        return min((active.until for active in self._active.values()), default=math.inf)

    def end_freezes(self, peers: Collection[str], workers: Collection[str]) -> list[ActiveFault]:
        """Whatever freezes these peers alone, or these workers, does so no more. Returns the parts that ended."""
        ended: list[ActiveFault] = []
        for active in list(self._active.values()):
            if not isinstance(active.fault, Freeze):
                continue
            thawed = tuple(name for name in active.workers if name in workers)
            if active.workers and not thawed:
                continue  # a process goes on as a whole
            is_over = bool(thawed) and thawed == active.workers
            leaving = active.peers if is_over else tuple(name for name in active.peers if name in peers)
            if leaving or thawed:
                ended.append(msgspec.structs.replace(active, peers=leaving, workers=thawed))
                self._keep_without(active, leaving, thawed)
        return ended

    def _keep_without(self, active: ActiveFault, peers: Collection[str], workers: Collection[str]) -> None:
        left = msgspec.structs.replace(
            active,
            peers=tuple(name for name in active.peers if name not in peers),
            workers=tuple(name for name in active.workers if name not in workers),
        )
        if left.peers or left.workers:
            self._active[active.number] = left
        else:
            del self._active[active.number]

    def _end(self, chosen: Iterable[ActiveFault]) -> list[ActiveFault]:
        ended = list(chosen)
        for active in ended:
            del self._active[active.number]
        return ended

    # What they add up to

    @property
    def frozen_peers(self) -> frozenset[str]:
        """The peers that stand still by themselves."""
        return frozenset(
            name
            for active in self._active.values()
            if isinstance(active.fault, Freeze) and not active.workers
            for name in active.peers
        )

    @property
    def frozen_workers(self) -> frozenset[str]:
        """The workers whose processes are stopped."""
        return frozenset(name for active in self._active.values() for name in active.workers)

    def table(self, address_of: Callable[[str], Address]) -> FaultTable:
        """The faults between peers, for the workers."""
        return FaultTable(
            tuple(
                _rule(
                    active.fault,
                    frozenset(map(address_of, active.peers)),
                    frozenset(map(address_of, active.others)),
                )
                for active in self._active.values()
                if isinstance(active.fault, PairFault)
            )
        )


def check(fault: AnyFault) -> None:
    """Raises Misuse when the numbers of a fault cannot be meant."""
    if fault.lasts is not None and not 0 < fault.lasts < math.inf:
        raise Misuse(f"a fault cannot last {fault.lasts:g} s: give more than 0, or nothing")
    if isinstance(fault, Drop | Duplicate) and not 0 < fault.percent <= 100:
        raise Misuse(f"{fault.percent:g}%: a share of the messages is more than 0% and at most 100%")
    if isinstance(fault, Delay):
        longest = fault.seconds + fault.jitter
        if fault.seconds < 0 or fault.jitter < 0 or not 0 < longest <= FAULT.max_delay:
            raise Misuse(
                f"a delay of {fault.seconds:g} s and {fault.jitter:g} s of jitter: use more than 0 and together at most "
                f"{FAULT.max_delay:g} s; a partition is for ever"
            )


def _rule(fault: PairFault, one: frozenset[Address], other: frozenset[Address]) -> FaultRule:
    return FaultRule(
        one=one,
        other=other,
        cut=isinstance(fault, Partition),
        delay=fault.seconds if isinstance(fault, Delay) else 0.0,
        jitter=fault.jitter if isinstance(fault, Delay) else 0.0,
        drop=fault.percent / 100 if isinstance(fault, Drop) else 0.0,
        duplicate=fault.percent / 100 if isinstance(fault, Duplicate) else 0.0,
    )
