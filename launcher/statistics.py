"""The status of a run, assembled from fresh observations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean, median

from cicada.commands import MessageCounts, Status, TimelineStatus, WorkerStatus
from cicada.limits import LAUNCHER
from launcher.faults.control import Faults
from launcher.keeper import PeerKeeper
from launcher.monitor import Monitor
from launcher.protocol import Counters, PeerView, sum_counters
from launcher.roster import ENDED, Member, State
from launcher.status.census import Sight, census, worst
from launcher.supervisor import WorkerSupervisor
from launcher.swarm import Swarm


class Statistics:
    """Answers "how is it going?". ``problems`` holds what somebody ought to look at, with what to do."""

    def __init__(
        self,
        run: str,
        name: str,
        swarm: Swarm,
        monitor: Monitor,
        supervisor: WorkerSupervisor,
        keeper: PeerKeeper,
        faults: Faults,
        timeline: Callable[[], TimelineStatus | None],
        recording_problem: Callable[[], str],
    ) -> None:
        self._run = run
        self._name = name
        self._swarm = swarm
        self._monitor = monitor
        self._supervisor = supervisor
        self._keeper = keeper
        self._faults = faults
        self._timeline = timeline
        self._recording_problem = recording_problem

    async def status(self, *, fresh: bool = True) -> Status:
        """The swarm now, with fresh snapshots of every live peer, or with the last that were taken."""
        last = None if fresh else self._monitor.last
        seen = await self._monitor.observe() if last is None else last
        by_worker = await self._swarm.counters()
        counters = sum_counters(by_worker.values())
        verdict, roster = seen.verdict, self._swarm.roster
        sights = self._sights(seen.views)
        return Status(
            run=self._run,
            name=self._name,
            state=self._monitor.state.value,
            launcher_pid=os.getpid(),
            peers=len(roster),
            joined=verdict.joined,
            dead=len(roster.having(*ENDED, State.IDLE, State.LOST)),
            ring_proven=verdict.proven,
            wrong_successors=verdict.wrong_successors,
            wrong_predecessors=verdict.wrong_predecessors,
            workers=self._workers(by_worker),
            restarts=self._supervisor.total_restarts + self._keeper.total_restarts + counters.restarts,
            messages=_messages(counters),
            traffic=counters.traffic,
            refused=counters.refused,
            rounds=_mean(view.rounds for view in seen.views.values() if view.joined),
            estimated_size=_median(view.estimated_size for view in seen.views.values() if view.joined),
            churn_per_s=_median(view.churn for view in seen.views.values() if view.joined),
            proven_after_s=self._monitor.proven_after_s,
            uptime_s=self._monitor.uptime_s,
            problems=self._problems(counters.unlogged),
            frozen=len(self._swarm.frozen()),
            faults=self._faults.rows(),
            timeline=self._timeline(),
            harmful=dict(Counter(str(m.planned.behaviour) for m in roster if m.planned.behaviour)),
            groups=census(sights),
            worst=worst(sights, LAUNCHER.worst_peers),
            unproven="" if verdict.proven else verdict.in_words(),
        )

    def _sights(self, views: Mapping[str, PeerView]) -> list[Sight]:
        frozen = self._swarm.frozen()
        alone = len(self._swarm.expected()) == 1  # then it is the ring, and joins nobody
        return [_sight(m, views.get(m.name), m.name in frozen, alone) for m in self._swarm.roster]

    def _workers(self, counters: Mapping[str, Counters]) -> tuple[WorkerStatus, ...]:
        pool = self._swarm.pool
        hosted = Counter(member.worker for member in self._swarm.roster.live())
        return tuple(self._worker(name, hosted[name], counters.get(name, Counters())) for name in pool.names)

    def _worker(self, name: str, peers: int, counters: Counters) -> WorkerStatus:
        pool = self._swarm.pool
        return WorkerStatus(
            name=name,
            pid=pool.pid(name),
            peers=peers,
            restarts=self._supervisor.restarts(name),
            rss_bytes=pool.rss_bytes(name),
            cpu_s=pool.cpu_s(name),
            messages=_messages(counters),
            traffic=counters.traffic,
            refused=counters.refused,
            state="frozen" if pool.is_frozen(name) else "running" if pool.pid(name) else "ended",
        )

    def _problems(self, unlogged: int) -> tuple[str, ...]:
        peers = tuple(f"{member.name}: {member.problem}" for member in self._swarm.roster if member.problem)
        detail = self._monitor.detail if self._monitor.state.value in ("degraded", "failed") else ""
        logs = f"{unlogged} records are missing from logs: see launcher.log" if unlogged else ""
        return tuple(problem for problem in (detail, *peers, logs, self._recording_problem()) if problem)


def _messages(counters: Counters) -> MessageCounts:
    return MessageCounts(
        sent=counters.sent,
        delivered=counters.delivered,
        failed=counters.failed,
        dropped=counters.dropped,
    )


def _sight(member: Member, view: PeerView | None, frozen: bool, alone: bool) -> Sight:
    return Sight(
        name=member.name,
        group=member.planned.group,
        state=member.state,
        problem=member.problem,
        frozen=frozen,
        seen=view is not None and not view.silent,
        joined=view is not None and (view.joined or alone),
        restarts=0 if view is None else view.restarts,
    )


def _mean(values: Iterable[float]) -> float:
    return fmean([*values] or [0.0])


def _median(values: Iterable[float]) -> float:
    return median([*values] or [0.0])
