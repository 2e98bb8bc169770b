"""The status of a run, assembled from fresh observations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from statistics import fmean, median

from cicada.commands import MessageCounts, Status, WorkerStatus
from launcher.faults.control import Faults
from launcher.monitor import Monitor
from launcher.roster import ENDED, State
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
        faults: Faults,
    ) -> None:
        self._run = run
        self._name = name
        self._swarm = swarm
        self._monitor = monitor
        self._supervisor = supervisor
        self._faults = faults

    async def status(self) -> Status:
        """The swarm now, with fresh snapshots of every live peer."""
        seen = await self._monitor.observe()
        counters = await self._swarm.counters()
        verdict, roster = seen.verdict, self._swarm.roster
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
            workers=self._workers(),
            restarts=self._supervisor.total_restarts + counters.restarts,
            messages=MessageCounts(
                sent=counters.sent,
                delivered=counters.delivered,
                failed=counters.failed,
                dropped=counters.dropped,
            ),
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
            harmful=dict(Counter(str(m.planned.behaviour) for m in roster if m.planned.behaviour)),
        )

    def _workers(self) -> tuple[WorkerStatus, ...]:
        pool = self._swarm.pool
        hosted = Counter(member.worker for member in self._swarm.roster.live())
        return tuple(
            WorkerStatus(
                name=name,
                pid=pool.pid(name),
                peers=hosted[name],
                restarts=self._supervisor.restarts(name),
                rss_bytes=pool.rss_bytes(name),
                state="frozen" if pool.is_frozen(name) else "running" if pool.pid(name) else "ended",
            )
            for name in pool.names
        )

    def _problems(self, unlogged: int) -> tuple[str, ...]:
        peers = tuple(f"{member.name}: {member.problem}" for member in self._swarm.roster if member.problem)
        detail = self._monitor.detail if self._monitor.state.value in ("degraded", "failed") else ""
        logs = f"{unlogged} records are missing from logs: see launcher.log" if unlogged else ""
        return tuple(problem for problem in (detail, *peers, logs) if problem)


def _mean(values: Iterable[float]) -> float:
    return fmean([*values] or [0.0])


def _median(values: Iterable[float]) -> float:
    return median([*values] or [0.0])
