"""A swarm watched: what changed between two looks, and how that fits on one screen or one line. Pure.

What is shown is of groups and workers, and of a few peers: it stays as long for a thousand peers as for ten.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cicada.commands import FaultRow, GroupStatus, MessageCounts, Status, WorkerStatus
from cicada.limits import CLI


class WorkerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A worker, and what share of a core it used since the look before."""

    worker: WorkerStatus
    cpu: float


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Application messages a second since the look before."""

    sent: float
    delivered: float
    failed: float


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """A swarm between two looks. At the first there are no ``rates`` yet, and ``cpu`` is that of the whole life."""

    name: str
    state: str
    ring: str
    proven: bool
    uptime_s: float
    total: GroupStatus
    groups: tuple[GroupStatus, ...]
    hidden_groups: int
    messages: MessageCounts
    rates: Rates | None
    restarts: int
    fresh_restarts: int
    workers: tuple[WorkerLoad, ...]
    hidden_workers: int
    running_workers: int
    rss_bytes: int
    cpu: float
    faults: tuple[FaultRow, ...]
    worst: tuple[str, ...]


def overview(now: Status, before: Status | None = None) -> Overview:
    """What ``now`` says, compared with the look ``before``. Counts that went back (their worker ended) make no rate."""
    seconds = now.uptime_s - before.uptime_s if before else now.uptime_s
    groups = sorted(now.groups, key=lambda group: (group.joined - group.peers, group.name))
    loads = _loads(now, before, seconds)
    return Overview(
        name=now.name,
        state=now.state,
        ring=ring_in_words(now),
        proven=now.ring_proven,
        uptime_s=now.uptime_s,
        total=_sum(now.groups),
        groups=tuple(groups[: CLI.watch_groups]),
        hidden_groups=max(0, len(groups) - CLI.watch_groups),
        messages=now.messages,
        rates=_rates(now.messages, before.messages, seconds) if before else None,
        restarts=now.restarts,
        fresh_restarts=max(0, now.restarts - before.restarts) if before else 0,
        workers=tuple(loads[: CLI.watch_workers]),
        hidden_workers=max(0, len(loads) - CLI.watch_workers),
        running_workers=sum(worker.state == "running" for worker in now.workers),
        rss_bytes=sum(worker.rss_bytes for worker in now.workers),
        cpu=sum(load.cpu for load in loads),
        faults=now.faults,
        worst=now.worst,
    )


def _rates(now: MessageCounts, before: MessageCounts, seconds: float) -> Rates:
    return Rates(
        sent=_rate(now.sent, before.sent, seconds),
        delivered=_rate(now.delivered, before.delivered, seconds),
        failed=_rate(now.failed, before.failed, seconds),
    )


def _rate(now: int, before: int, seconds: float) -> float:
    return max(0, now - before) / seconds if seconds > 0 else 0.0


def ring_in_words(status: Status) -> str:
    """Whether the ring is proven, and if not why."""
    if not status.ring_proven:
        return f"not proven: {status.unproven}"
    return (
        "proven" if status.proven_after_s is None else f"proven {status.proven_after_s:.1f} s after the start"
    )


def _sum(groups: Iterable[GroupStatus]) -> GroupStatus:
    every = tuple(groups)
    return GroupStatus(
        name="all",
        peers=sum(group.peers for group in every),
        joined=sum(group.joined for group in every),
        joining=sum(group.joining for group in every),
        suspect=sum(group.suspect for group in every),
        dead=sum(group.dead for group in every),
        restarts=sum(group.restarts for group in every),
    )


def _loads(now: Status, before: Status | None, seconds: float) -> list[WorkerLoad]:
    """All workers, those first that do not run, then those that were restarted most or work hardest."""
    earlier = {worker.pid: worker.cpu_s for worker in before.workers} if before else {}
    loads = [
        WorkerLoad(worker=worker, cpu=_cpu(worker.cpu_s - earlier.get(worker.pid, 0.0), seconds))
        for worker in now.workers
    ]
    return sorted(
        loads,
        key=lambda load: (load.worker.state == "running", -load.worker.restarts, -load.cpu, load.worker.name),
    )


def _cpu(used: float, seconds: float) -> float:
    return max(0.0, used) / seconds if seconds > 0 else 0.0
