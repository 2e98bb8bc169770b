"""A swarm at many times the load it can carry: memory, what became of every message, and latency before, during and after.

    python -m benchmarks.overload [--peers N] [--seconds S] [--factor F] [--capacity R] [--warm S] [--run FOLDER] [--json]

Starts a swarm through the launcher, finds what it can carry (doubling the rate until less than 95% is acknowledged), offers
``factor`` times as much for S seconds, and watches it until it is calm again. Latency is that of a message every 20 ms from a
peer in this process to random peers of the swarm, so it does not depend on the load's own generator.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec
import psutil

from benchmarks.memory import proportional_set_size
from cicada.aio import SwarmPeer
from cicada.commands import (
    AnyCommand,
    AnyReply,
    Done,
    Down,
    GetPeers,
    GetStatus,
    LoadResult,
    Peers,
    RunLoad,
    Status,
)
from cicada.config import Config, parse_config
from cicada.control import SyncRemoteRef
from cicada.errors import MailboxFull
from cicada.ids import split_address
from cicada.sim.statistics import percentile
from launcher.detach import spawn_detached

MIB = 1024 * 1024
CARRIED = 0.95
"""Share of a load that must be acknowledged for it to count as carried."""
STEP_S = 5.0
"""Seconds of each step of the search for the capacity."""
LOOK_S = 1.0
PROBE_S = 0.02
PROBE_TIMEOUT_S = 10.0
CALM_S = 5.0
WARM_SHARE = 0.5
AFTER_S = 15.0
SETTLED_SHARE = 0.25
"""The plateau of memory is that after this share of the overload."""
ANSWER_S = 60.0

R = TypeVar("R")


class Probe(msgspec.Struct, frozen=True):
    """A message of the watcher: when it left, how long its receipt took, and why it failed (empty: it did not)."""

    at: float
    seconds: float
    failure: str


class Memory(msgspec.Struct, frozen=True):
    """Bytes that all workers held together."""

    at: float
    bytes: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an overload did. Times are on the clock of ``time.monotonic``; ``began`` and ``ended`` those of its first and last
    message. ``before`` and ``after`` are the swarm's counters around everything that was sent."""

    peers: int
    capacity: float
    began: float
    ended: float
    load: LoadResult
    memory: tuple[Memory, ...]
    probes: tuple[Probe, ...]
    dropped: dict[str, int]
    before: Status
    after: Status

    def memory_growth(self) -> float:
        """The most that memory rose above its plateau, as a share of it."""
        settled = self.began + SETTLED_SHARE * (self.ended - self.began)
        within = [look.bytes for look in self.memory if settled <= look.at <= self.ended]
        plateau = median(within[: max(len(within) // 4, 1)])
        return max(within) / plateau - 1.0

    def latencies(self, since: float, until: float) -> list[float]:
        """Of the probes that left in [since, until) and arrived, sorted."""
        return sorted(
            probe.seconds for probe in self.probes if since <= probe.at < until and not probe.failure
        )

    def recovered_after(self, worst: float) -> float | None:
        """Seconds from the end of the overload until every later second's median probe took at most ``worst`` seconds and
        none failed; None: never."""
        last = max((probe.at for probe in self.probes), default=self.ended)
        recovered = None
        for second in reversed(range(int(last - self.ended))):
            start = self.ended + second
            these = [probe for probe in self.probes if start <= probe.at < start + 1.0]
            slow = not these or median(probe.seconds for probe in these) > worst
            if slow or any(probe.failure for probe in these):
                break
            recovered = float(second)
        return recovered


class Launched:
    """A swarm that this process started and ends."""

    def __init__(self, peers: int, workers: int, first_port: int, folder: Path) -> None:
        self._config = _config(peers, workers, first_port)
        self._progress = spawn_detached(self._config, folder, wait=ANSWER_S)

    async def ask(self, command: AnyCommand, expected: type[R], patience: float = ANSWER_S) -> R:
        """The launcher's reply, which must be of this class."""
        reply = await asyncio.to_thread(self._ask, command, patience)
        if not isinstance(reply, expected):
            raise SystemExit(f"{command}: {reply}")
        return reply

    async def load(self, rate: float, seconds: float) -> LoadResult:
        """Run a load to its end."""
        return await self.ask(RunLoad(rate=rate, duration=seconds), LoadResult, 3 * seconds + ANSWER_S)

    async def end(self) -> None:
        """End the swarm and wait until its launcher has gone."""
        launcher = psutil.Process(self._progress.launcher_pid)
        await self.ask(Down(), Done)
        await asyncio.to_thread(psutil.wait_procs, [launcher], ANSWER_S)

    def _ask(self, command: AnyCommand, patience: float) -> object:
        reference: SyncRemoteRef[AnyCommand, AnyReply] = SyncRemoteRef(
            self._progress.control, commands=AnyCommand, replies=AnyReply, what="launcher"
        )
        with reference as launcher:
            return launcher.ask(command, patience)


def _config(peers: int, workers: int, first_port: int) -> Config:
    return parse_config(
        f'[swarm]\nname = "overload"\nseed = 7\nworkers = {workers}\n'
        f'[[group]]\nname = "core"\ncount = {peers}\naddress = "127.0.0.1:{first_port}"\n'
    )


class Watcher:
    """Sends probes and looks at the workers' memory until it is told to stop."""

    def __init__(self, peer: SwarmPeer, targets: list[tuple[str, int]], pids: list[int]) -> None:
        self.probes: list[Probe] = []
        self.memory: list[Memory] = []
        self._peer = peer
        self._targets = targets
        self._pids = pids
        self._random = random.Random(7)
        self._tasks = [
            asyncio.create_task(self._every(PROBE_S, self._send)),
            asyncio.create_task(self._every(LOOK_S, self._look)),
        ]
        self._receipts: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Send no more and wait for the receipts."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._receipts)

    async def _every(self, pause: float, act: Callable[[], Awaitable[None]]) -> None:
        due = time.monotonic()
        while True:
            await act()
            due = max(due + pause, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _look(self) -> None:
        held = await asyncio.to_thread(lambda: sum(map(proportional_set_size, self._pids)))
        self.memory.append(Memory(time.monotonic(), held))

    async def _send(self) -> None:
        task = asyncio.create_task(self._probe(self._random.choice(self._targets)))
        self._receipts.add(task)
        task.add_done_callback(self._receipts.discard)

    async def _probe(self, target: tuple[str, int]) -> None:
        at = time.monotonic()
        try:
            receipt = await self._peer.send(target, b"probe", timeout=PROBE_TIMEOUT_S)
        except MailboxFull as full:
            self.probes.append(Probe(at, 0.0, str(full)))
            return
        self.probes.append(Probe(at, time.monotonic() - at, receipt.reason or ""))


async def capacity_of(swarm: Launched, first: float) -> float:
    """Messages a second that the swarm acknowledges when it is offered as many as it can carry."""
    rate, best = first, 0.0
    while True:
        result = await swarm.load(rate, STEP_S)
        best = max(best, result.acknowledged / max(result.seconds, STEP_S))
        if result.acknowledged < CARRIED * result.planned or result.achieved_rate < CARRIED * rate:
            return best
        rate *= 2.0


async def overload(
    *,
    peers: int,
    workers: int,
    first_port: int,
    seconds: float,
    factor: float,
    capacity: float,
    warm: float,
    folder: Path,
) -> Outcome:
    """Start a swarm, overload it, watch it recover, and end it. ``capacity`` 0: find it. It is loaded for ``warm`` seconds
    before, so that pairs have their sessions."""
    swarm = Launched(peers, workers, first_port, folder)
    try:
        capacity = capacity or await capacity_of(swarm, 250.0)
        await swarm.load(WARM_SHARE * capacity, warm)
        return await _overloaded(swarm, peers, capacity, factor * capacity, seconds)
    finally:
        await swarm.end()


async def _overloaded(swarm: Launched, peers: int, capacity: float, rate: float, seconds: float) -> Outcome:
    before = await swarm.ask(GetStatus(), Status)
    rows = (await swarm.ask(GetPeers(), Peers)).rows
    targets = [split_address(row.address) for row in rows]
    async with SwarmPeer("127.0.0.1", 0, identity="ephemeral") as peer:
        await peer.connect(targets[0], timeout=ANSWER_S)
        watcher = Watcher(peer, targets, [worker.pid for worker in before.workers])
        await asyncio.sleep(CALM_S)
        began = time.monotonic()
        load = await swarm.load(rate, seconds)
        ended = began + load.seconds
        await asyncio.sleep(AFTER_S)
        await watcher.stop()
    after = await swarm.ask(GetStatus(), Status)
    dropped = Counter(after.messages.dropped)
    dropped.subtract(before.messages.dropped)
    return Outcome(
        peers=peers,
        capacity=capacity,
        began=began,
        ended=ended,
        load=load,
        memory=tuple(watcher.memory),
        probes=tuple(watcher.probes),
        dropped=dict(+dropped),
        before=before,
        after=after,
    )


def _unsettled(status: Status) -> int:
    """Messages whose receipts have not settled."""
    return status.messages.sent - status.messages.delivered - status.messages.failed


def _percentile(sorted_values: list[float], share: float) -> float:
    return percentile(sorted_values, share) if sorted_values else float("nan")


def report(outcome: Outcome) -> dict[str, object]:
    """The figures."""
    calm = outcome.latencies(0.0, outcome.began)
    busy = outcome.latencies(outcome.began, outcome.ended)
    later = outcome.latencies(outcome.ended + 5.0, float("inf"))
    worst = max(2.0 * _percentile(calm, 0.5), 0.05)
    load = outcome.load
    return {
        "peers": outcome.peers,
        "capacity_per_s": round(outcome.capacity),
        "offered_per_s": round(load.rate),
        "sent": load.sent,
        "acknowledged": load.acknowledged,
        "failed": load.failed,
        "unaccounted": load.sent - load.acknowledged - load.failed,
        "unsettled": _unsettled(outcome.after),
        "late_starts": load.late_starts,
        "load_seconds": round(load.seconds, 1),
        "acknowledged_lost": load.acknowledged_lost,
        "goodput_per_s": round(load.acknowledged / max(load.seconds, 1e-9)),
        "failures": load.failures,
        "dropped": outcome.dropped,
        "memory_mib": [round(look.bytes / MIB) for look in outcome.memory],
        "memory_growth": round(outcome.memory_growth(), 3),
        "calm_p50_p99_ms": [round(1e3 * _percentile(calm, share), 1) for share in (0.5, 0.99)],
        "busy_p50_p99_ms": [round(1e3 * _percentile(busy, share), 1) for share in (0.5, 0.99)],
        "later_p50_p99_ms": [round(1e3 * _percentile(later, share), 1) for share in (0.5, 0.99)],
        "probe_failures": dict(Counter(probe.failure for probe in outcome.probes if probe.failure)),
        "recovered_after_s": outcome.recovered_after(worst),
        "ring_proven": outcome.after.ring_proven,
        "restarts": outcome.after.restarts - outcome.before.restarts,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--factor", type=float, default=10.0)
    parser.add_argument("--capacity", type=float, default=0.0, help="messages a second; found out when 0")
    parser.add_argument("--warm", type=float, default=60.0, help="seconds of half that load before")
    parser.add_argument("--first-port", type=int, default=19000)
    parser.add_argument("--run", type=Path, help="a folder for the run, which is kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        outcome = asyncio.run(
            overload(
                peers=options.peers,
                workers=options.workers,
                first_port=options.first_port,
                seconds=options.seconds,
                factor=options.factor,
                capacity=options.capacity,
                warm=options.warm,
                folder=options.run or Path(folder) / "run",
            )
        )
    figures = report(outcome)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
