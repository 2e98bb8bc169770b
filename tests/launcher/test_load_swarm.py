"""Loads of all kinds on a real swarm: what they ask for is what happens, and all of it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hdrh.histogram import HdrHistogram

from cicada.commands import (
    Done,
    GetLoad,
    LoadProgress,
    LoadResult,
    Refused,
    RunLoad,
    Stage,
    StopLoad,
    Threshold,
)
from cicada.events import LoadEnded, LoadEvent, LoadInterval, LoadStarted
from launcher.exits import Exit
from tests.launcher.swarms import PATIENCE, RunningSwarm, config, free_ports, running

PEERS = 12
MIXED = {"send": 80.0, "lookup": 15.0, "broadcast": 5.0}


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    folder = tmp_path_factory.mktemp("load") / "run"
    with running(config(PEERS, first_port=free_ports(PEERS)), folder) as started:
        yield started


def told(swarm: RunningSwarm, load: int) -> list[LoadEvent]:
    """The events of a load that has ended, once its end is in the record."""
    give_up = time.monotonic() + PATIENCE
    while True:
        events = [event for event in recorded(swarm.folder) if event.load == load]
        if events and isinstance(events[-1], LoadEnded):
            return events
        assert time.monotonic() < give_up, events
        time.sleep(0.02)


def recorded(folder: Path) -> Iterator[LoadEvent]:
    for line in (folder / "events.jsonl").read_text().splitlines():
        event: dict[str, Any] = json.loads(line)["event"]
        if event["event"].startswith(("Load", "Threshold")):
            yield msgspec.convert(event, LoadEvent, strict=False)


def test_a_mixed_load_is_carried_out_accounted_for_and_told_second_by_second(swarm: RunningSwarm) -> None:
    thresholds = (
        Threshold("delivered.rate >= 1"),
        Threshold("lookup.wrong == 0"),
        Threshold("broadcast.coverage >= 1"),
        Threshold("send.p99 < 20s", abort_on_fail=True),
        Threshold("send.rate >= 100000/s"),
    )
    command = RunLoad(
        stages=(Stage(1.0, 20.0, 180.0), Stage(1.5, 100.0, 100.0)),
        ops=MIXED,
        payload=64,
        payload_max=2048,
        targets="zipf",
        warmup=0.5,
        seed=5,
        thresholds=thresholds,
    )
    result = swarm.ask(command, LoadResult)
    ops = {op.op: op for op in result.ops}
    assert result.outcome == "finished"
    # 20/s rising by 160/s each second: 30 of the 250 begin in the warm-up
    assert sum(op.started for op in ops.values()) == result.planned == 220
    assert all(op.succeeded == op.started > 0 for op in ops.values())
    assert result.delivered == result.sent == ops["send"].started
    assert (result.lost, result.duplicated, result.altered, result.wrong_peer, result.unfinished) == (0,) * 5
    assert result.lookups == {"right": ops["lookup"].started, "wrong": 0, "unsure": 0, "failed": 0}
    spread = result.broadcasts
    assert spread["reached"] == spread["expected"] == (PEERS - 1) * spread["sent"]
    assert [found.held for found in result.thresholds] == [True, True, True, True, False]
    for op in ops.values():
        assert op.response.p50 is not None
        assert op.service.p50 is not None
        assert 0 < op.service.p50 <= op.response.p50 <= (op.response.max or 0.0)
    check_events(told(swarm, result.load), result)


def check_events(events: list[LoadEvent], result: LoadResult) -> None:
    """The record says the same as the reply."""
    assert isinstance(events[0], LoadStarted)
    intervals = [event for event in events if isinstance(event, LoadInterval)]
    assert [interval.warmup for interval in intervals[:2]] == [True, False]
    assert intervals[0].end_s >= 0.5
    assert all(a.end_s == b.start_s for a, b in pairwise(intervals))
    assert all(0 <= interval.cpu <= 1 for interval in intervals)
    measured = [op for interval in intervals if not interval.warmup for op in interval.ops]
    for op in result.ops:
        parts = [part for part in measured if part.op == op.op]
        assert sum(part.started for part in parts) == op.started
        assert sum(part.succeeded for part in parts) == op.succeeded
        histogram = HdrHistogram(1, 3_600_000_000, 3)
        for part in parts:
            if part.response:
                histogram.decode_and_add(part.response)
        assert histogram.get_total_count() == op.succeeded
        assert histogram.get_max_value() / 1e6 == pytest.approx(op.response.max, rel=2e-3)
    ended = events[-1]
    assert isinstance(ended, LoadEnded)
    assert ended.messages["sent"] == result.sent
    assert ended.hops
    assert (ended.broadcasts, ended.lookups) == (result.broadcasts, result.lookups)


def test_the_users_of_a_closed_load_wait_for_each_answer(swarm: RunningSwarm) -> None:
    command = RunLoad(model="closed", users=6, think=0.05, duration=1.5, ops={"send": 1.0, "lookup": 1.0})
    result = swarm.ask(command, LoadResult)
    started = sum(op.started for op in result.ops)
    # Each user begins at most once in the time to think, and once a second at the very least
    assert 6 <= started <= 6 * (1.5 / 0.05 + 1)
    assert (result.planned, result.lost, result.failed) == (0, 0, 0)
    assert result.delivered == result.sent > 0
    counted = swarm.ask(RunLoad(model="closed", users=4, count=100), LoadResult)
    assert (counted.sent, counted.delivered) == (100, 100)


@pytest.mark.prove
def test_ordered_messages_arrive_in_order(swarm: RunningSwarm) -> None:
    result = swarm.ask(RunLoad(rate=300.0, count=200, ordered=True, targets="zipf", skew=3.0), LoadResult)
    assert (result.delivered, result.out_of_order, result.is_ordered) == (200, 0, True)


def wait_for_load(swarm: RunningSwarm) -> LoadProgress:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        reply = swarm.ask(GetLoad(), object)
        if isinstance(reply, LoadProgress) and reply.acknowledged > 0:
            return reply
        time.sleep(0.02)
    raise AssertionError("no load runs")


def load_command(swarm: RunningSwarm, *arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "cicada", "load", *arguments, "--run", str(swarm.folder)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_ends_a_load_with_its_figures_so_far(swarm: RunningSwarm) -> None:
    process = load_command(swarm, "--rate", "50", "--duration", "10m")
    wait_for_load(swarm)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.INTERRUPTED, err
    assert "the load was stopped before its end" in out
    assert "Traceback" not in err


def test_a_load_goes_on_when_its_command_is_killed_and_another_is_refused_until_it_is_stopped(
    swarm: RunningSwarm,
) -> None:
    process = load_command(swarm, "--rate", "50", "--duration", "10m")
    wait_for_load(swarm)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert isinstance(swarm.ask(GetLoad(), object), LoadProgress)
    assert "a load runs already: wait for its end, or end it with `cicada load --stop`" in swarm.refusal(
        RunLoad(rate=1.0, count=1)
    )
    swarm.ask(StopLoad(), Done)
    give_up = time.monotonic() + PATIENCE
    while not isinstance(swarm.ask(GetLoad(), object), Refused):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    ended = [event for event in recorded(swarm.folder) if isinstance(event, LoadEnded)][-1]
    assert ended.outcome == "stopped"
    assert not list(swarm.folder.glob("*.ledger"))


@pytest.mark.prove
def test_a_swarm_that_is_taken_down_during_a_load_tells_its_end_and_leaves_no_account(tmp_path: Path) -> None:
    with running(config(2, first_port=free_ports(2)), tmp_path / "run") as swarm:
        process = load_command(swarm, "--rate", "50", "--duration", "10m", "--quiet")
        wait_for_load(swarm)
        swarm.end()
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == Exit.FAILURE
        assert "the swarm ended during the load" in err
        ended = [event for event in recorded(swarm.folder) if isinstance(event, LoadEnded)]
        assert [event.outcome for event in ended] == ["failed"]
        assert not list(swarm.folder.glob("*.ledger"))
