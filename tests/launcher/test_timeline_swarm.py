"""Timelines on real swarms: what is planned happens, what is expected is looked at, and the exit code says how it went."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cicada.bus.recording import read_recording
from cicada.commands import Crash, Done, Restart, Status
from cicada.config import Config, load_config, to_toml
from cicada.errors import Unavailable
from cicada.events import ChildRestarted, ExpectationChecked, ScheduledFaultDone
from launcher.client import SwarmClient, find_run
from launcher.detach import spawn_detached
from launcher.exits import Exit
from launcher.faults.schedule import schedule
from launcher.runfolder import is_running, read_info
from tests.launcher.swarms import PATIENCE, RunningSwarm, config, free_ports, running
from tests.launcher.timelines import timeline

ROOT = Path(__file__).parents[2]
LONGEST = 60.0  # seconds for a run, however busy the machine is

TROUBLE = """
[[fault]]
at = "200ms"
do = "kill"
select = "core:20%"
for = "1500ms"

[[fault]]
at = "300ms"
do = "freeze"
select = "edge-1"

[[expect]]
at = "300ms"
check = "joined"
at_most = 9
within = "20s"

[[fault]]
at = "500ms"
do = "kill"
select = "nobody-1,edge-1"

[[fault]]
at = "1s"
do = "thaw"

[[fault]]
at = "2s"
do = "partition"
between = ["core:50%", "edge"]
for = "700ms"

[[fault]]
at = "2500ms"
do = "restart"
select = "core-1"

[[fault]]
at = "3s"
do = "churn"
model = "poisson"
select = "edge"
failures = 4
until = "4s"
for = "500ms"

[[expect]]
check = "ring_proven"
within = "30s"

[[expect]]
check = "joined"
at_least = 12

[[expect]]
check = "delivered"

[[expect]]
check = "lookups"

[[expect]]
check = "broadcast"
"""
MISSED = '[[expect]]\ncheck = "dead"\nat_least = 1\n'


@contextmanager
def foreground(toml: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``cicada up`` with this configuration; killed by its id if it does not end."""
    file = folder.with_suffix(".toml")
    file.write_text(toml)
    arguments = [sys.executable, "-m", "cicada", "up", str(file), "--run", str(folder), *options]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it said."""
    said = process.communicate(timeout=LONGEST)[1]
    return process.returncode, said


def recorded(folder: Path) -> list[object]:
    return [envelope.event for envelope in read_recording(folder / "events.jsonl")]


def test_a_timeline_happens_as_scheduled_and_one_missed_expectation_is_exit_code_3(tmp_path: Path) -> None:
    text = TROUBLE.replace("nobody-1,", "")
    made = timeline(text + MISSED, core=8, edge=4, port=free_ports(12))
    folder = tmp_path / "run"
    with foreground(to_toml(made), folder) as process:
        code, said = ended(process)
    assert code == Exit.THRESHOLD, said
    assert "missed: dead at least 1 at the end: 0 of 12 dead" in said
    assert said.count("missed: ") == 1
    assert (
        "1 occurrences of the timeline could not be done" in said
    )  # edge-1 was frozen when it was to be killed
    done = [event for event in recorded(folder) if isinstance(event, ScheduledFaultDone)]
    planned = schedule(made, made.swarm.seed)
    assert sorted((e.entry, e.occurrence, e.do, e.due_s) for e in done) == sorted(
        (one.entry, one.number, one.do, one.due_s) for one in planned
    )
    assert all(event.at_s >= event.due_s for event in done)
    assert [event.problem != "" for event in done if event.entry == 2] == [True]
    peers = {(one.entry, one.number, one.do): one.peers for one in planned}
    kills = [event for event in done if event.do == "kill" and not event.problem]
    assert [event.peers for event in kills] == [
        peers[event.entry, event.occurrence, "kill"] for event in kills
    ]
    assert len(kills) >= 2
    checked = [event for event in recorded(folder) if isinstance(event, ExpectationChecked)]
    assert [event.held for event in checked] == [True] * 6 + [False]
    info = read_info(folder)
    assert info is not None
    assert (info.exit_code, len(info.verdict)) == (Exit.THRESHOLD, 2)


def test_a_worker_that_an_outsider_kills_stays_dead_and_the_run_ends_with_exit_code_1(tmp_path: Path) -> None:
    text = '[supervision]\nrestart = "no"\n[[expect]]\ncheck = "dead"\nat_least = 3\nwithin = "30s"\n'
    made = timeline(text, core=4, edge=2, port=free_ports(6))
    folder = tmp_path / "run"
    with foreground(to_toml(made), folder) as process:
        status = status_of(folder)
        os.kill(status.workers[1].pid, signal.SIGKILL)
        code, said = ended(process)
    assert code == Exit.FAILURE, said
    assert "died and was not brought back: worker-1 (SIGKILL)" in said
    assert "missed" not in said


def status_of(folder: Path) -> Status:
    """Of a swarm that comes up in this folder, once its ring is proven."""
    give_up = time.monotonic() + PATIENCE
    while not (is_running(folder) and read_info(folder) is not None):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    with SwarmClient(folder) as swarm:
        return swarm.wait_proven(PATIENCE)


@pytest.mark.prove
def test_a_worker_that_the_timeline_kills_is_no_failure_and_can_be_brought_back(tmp_path: Path) -> None:
    text = """
    [supervision]
    restart = "no"
    [[fault]]
    do = "kill"
    select = "worker-1"
    [[expect]]
    check = "dead"
    at_least = 3
    within = "30s"
    """
    made = timeline(text, core=4, edge=2, port=free_ports(6))
    with running_for_good(made, tmp_path / "run") as swarm:
        swarm.wait_for(lambda status: status.timeline is not None and status.timeline.state == "over")
        status = swarm.status()
        assert status.timeline is not None
        assert (status.timeline.held, status.timeline.missed, status.timeline.done) == (1, (), 1)
        assert (status.dead, status.workers[1].state) == (3, "ended")
        assert set(swarm.ask(Restart(select="worker-1"), Done).peers) == {"core-1", "core-3", "edge-1"}
        swarm.wait_for(lambda status: status.ring_proven and status.joined == 6)
        swarm.end()
    info = read_info(tmp_path / "run")
    assert info is not None
    assert (info.exit_code, info.verdict) == (Exit.OK, ())


@contextmanager
def running_for_good(made: Config, folder: Path) -> Iterator[RunningSwarm]:
    """A detached swarm that stays after its timeline."""
    swarm = RunningSwarm(spawn_detached(made, folder, wait=PATIENCE, stay=True), made)
    try:
        yield swarm
    finally:
        swarm.end()


@pytest.mark.prove
def test_a_run_that_is_taken_down_before_its_timeline_is_over_says_so_to_whoever_asks(tmp_path: Path) -> None:
    text = '[[fault]]\nat = "10m"\ndo = "kill"\nselect = "core-1"\n'
    made = timeline(text, core=2, edge=2, port=free_ports(4))
    with running(made, tmp_path / "run") as swarm:
        status = swarm.wait_for(
            lambda status: status.timeline is not None and status.timeline.state == "running"
        )
        assert status.timeline is not None
        assert (status.timeline.next_s, status.timeline.upcoming, status.timeline.planned) == (
            600.0,
            "kill core-1",
            1,
        )
        swarm.end()
    with pytest.raises(Unavailable, match=r"exit code 1 .*before the timeline"):
        find_run(tmp_path / "run")


@pytest.mark.prove
@pytest.mark.parametrize("policy", ["on-failure", "no"])
def test_a_peer_that_gives_up_comes_back_as_the_policy_says(tmp_path: Path, policy: str) -> None:
    extra = f'[supervision]\nrestart = "{policy}"\n'
    with running(config(4, first_port=free_ports(4), extra=extra), tmp_path / "run") as swarm:
        give_up(swarm, "core-2")
        if policy == "no":
            status = swarm.wait_for(lambda status: status.dead == 1 and status.ring_proven)
            assert any("core-2: gave up" in problem for problem in status.problems)
        else:
            swarm.wait_for(lambda _: "core-2" in brought_back(swarm))
            swarm.wait_for(lambda status: status.ring_proven and status.joined == 4)
        swarm.end()
    info = read_info(tmp_path / "run")
    assert info is not None
    assert info.exit_code == (Exit.FAILURE if policy == "no" else Exit.OK)
    assert any("core-2 (gave up" in line for line in info.verdict) == (policy == "no")


def give_up(swarm: RunningSwarm, peer: str) -> None:
    """Have an actor of the peer fail until its supervisor has had enough, and the launcher has seen it."""
    give_up = time.monotonic() + PATIENCE
    while swarm.reply(Crash(select=peer, actor="ring")) == Done(peers=(peer,)):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def brought_back(swarm: RunningSwarm) -> list[str]:
    return [event.child for event in recorded(swarm.folder) if isinstance(event, ChildRestarted)]


@pytest.mark.prove
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [7, 11])
def test_the_shipped_chaos_ends_with_everything_held(tmp_path: Path, seed: int) -> None:
    """Of 20 or of 200 peers, which takes ten minutes for each seed."""
    file = ROOT / "configs" / f"chaos-{os.environ.get('CICADA_CHAOS', '20')}.toml"
    arguments = [sys.executable, "-m", "cicada", "up", str(file), "--run", str(tmp_path / "run")]
    done = subprocess.run(
        [*arguments, "--set", f"swarm.seed={seed}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=880,
    )
    assert done.returncode == Exit.OK, done.stderr
    planned = load_config(file, [("swarm.seed", str(seed))])
    events = [event for event in recorded(tmp_path / "run") if isinstance(event, ScheduledFaultDone)]
    assert len(events) == len(schedule(planned, seed))
    assert [event.problem for event in events if event.problem] == []
