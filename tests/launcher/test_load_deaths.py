"""A worker that is killed during a load takes nothing of the account with it."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from cicada.commands import Done, GetLoad, Kill, LoadProgress, LoadResult, RunLoad, StopLoad
from launcher.client import SwarmClient
from launcher.load.plan import NO_SOURCE
from tests.launcher.swarms import PATIENCE, RunningSwarm, config, free_ports, running

PEERS = 8
RATE = 300.0
KILL_AFTER = 150  # acknowledged messages


def kill(folder: Path, name: str) -> Done:
    with SwarmClient(folder) as client:
        return client.ask(Kill(select=name, hard=True), Done, PATIENCE)


def load(swarm: RunningSwarm, count: int, then: str) -> LoadResult:
    """A load during which, once ``KILL_AFTER`` messages are acknowledged, worker-1 or a peer is killed."""
    victim = next(worker.pid for worker in swarm.status().workers if worker.name == "worker-1")
    done: list[str] = []
    strikes: list[Future[Done]] = []

    def strike(progress: LoadProgress) -> None:
        if progress.acknowledged < KILL_AFTER or done:
            return
        done.append(then)
        if then == "worker":
            os.kill(victim, signal.SIGKILL)
        else:
            strikes.append(pool.submit(kill, swarm.folder, then))

    with ThreadPoolExecutor(1) as pool, SwarmClient(swarm.folder) as client:
        command = RunLoad(rate=RATE, count=count, timeout=5.0)
        result, _ = client.ask_and_watch(
            command,
            LoadResult,
            count / RATE + PATIENCE,
            look=GetLoad(),
            seen=LoadProgress,
            show=strike,
            interrupt=StopLoad(),
        )
    assert all(strike.result(PATIENCE) for strike in strikes)
    assert done, "the load was over before it was struck"
    return result


def test_nothing_acknowledged_is_lost_when_a_worker_is_killed_during_a_load(tmp_path: Path) -> None:
    with running(config(PEERS, first_port=free_ports(PEERS)), tmp_path / "run") as swarm:
        result = load(swarm, 1500, "worker")
        assert result.died == ("worker-1",)
        assert result.acknowledged_lost == 0
        assert result.acknowledged > KILL_AFTER
        assert result.acknowledged + result.failed + result.unfinished == result.sent < result.planned
        assert result.acknowledged <= result.delivered + result.died_with_worker
        assert result.lost <= result.failed
        (sends,) = result.ops
        assert sends.succeeded == result.acknowledged
        assert sends.started == result.sent
        # Its half of the 1350 that were left is missing only while it was away
        assert result.planned - result.sent - sends.dropped < 500
        assert result.died_with_worker < KILL_AFTER  # mailboxes of some milliseconds
        assert (result.duplicated, result.altered, result.wrong_peer) == (0, 0, 0)
        assert not list(swarm.folder.glob("*.ledger"))
        swarm.wait_for(lambda status: status.ring_proven and status.joined == PEERS)
        calm = swarm.ask(RunLoad(rate=RATE, count=100), LoadResult)
        assert (calm.delivered, calm.died) == (100, ())


@pytest.mark.prove
def test_nothing_acknowledged_is_lost_when_a_peer_is_killed_during_a_load(tmp_path: Path) -> None:
    with running(config(PEERS, first_port=free_ports(PEERS)), tmp_path / "run") as swarm:
        result = load(swarm, 600, "core-3")
        assert (result.acknowledged_lost, result.died, result.died_with_worker) == (0, (), 0)
        (sends,) = result.ops
        assert result.acknowledged + result.failed == result.sent == result.planned - sends.dropped
        assert set(sends.drops) <= {NO_SOURCE}
