"""A real swarm of 20 peers in two worker processes: it comes up proven, delivers, heals, obeys, and goes."""

from __future__ import annotations

import os
import signal
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cicada.bus.recording import read_recording
from cicada.commands import (
    Add,
    BroadcastResult,
    Crash,
    Done,
    GetPeers,
    GetStatus,
    Join,
    Kill,
    LoadResult,
    Lookup,
    LookupResult,
    Peers,
    Restart,
    RunLoad,
    Scale,
    Send,
    SendResult,
    SendToAll,
    Status,
    Stop,
)
from cicada.errors import Misuse, RingNotReady, Unavailable
from cicada.events import ChildRestarted, PeerStarted, RunStateChanged, WorkerExited, WorkerStarted
from launcher.detach import spawn_detached
from launcher.run import Progress
from launcher.runfolder import is_running, read_info
from launcher.summary import summarize
from tests.launcher.swarms import PATIENCE, RunningSwarm, config, free_ports, running, still_running

PEERS = 20
SPARE_PORTS = 10
GONE_WITHIN = 5.0  # seconds after the launcher was killed


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    """A swarm that all tests of this module share. Each leaves it whole, with all its first peers."""
    first = free_ports(PEERS + SPARE_PORTS + 1)
    metrics = f'\n[metrics]\nlisten = "127.0.0.1:{first + PEERS + SPARE_PORTS}"\n'
    made = config(PEERS, first_port=first, extra=metrics)
    with running(made, tmp_path_factory.mktemp("runs") / "run") as made_swarm:
        yield made_swarm


def whole(status: Status) -> bool:
    return status.ring_proven and status.joined == PEERS


@pytest.fixture(autouse=True)
def swarm_is_whole_again(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "swarm" in request.fixturenames:
        shared: RunningSwarm = request.getfixturevalue("swarm")
        shared.wait_for(whole)


def test_status_proves_the_ring_of_all_peers(swarm: RunningSwarm) -> None:
    status = swarm.status()
    assert (status.peers, status.joined, status.dead) == (PEERS, PEERS, 0)
    assert status.ring_proven
    assert status.wrong_successors == status.wrong_predecessors == 0
    assert status.state == "proven"
    assert status.launcher_pid == swarm.progress.launcher_pid
    assert status.proven_after_s is not None
    assert 0 < status.proven_after_s < status.uptime_s
    assert sum(worker.peers for worker in status.workers) == PEERS
    assert all(psutil.pid_exists(worker.pid) and worker.rss_bytes > 0 for worker in status.workers)


def test_it_takes_of_the_machine_what_a_dry_run_says(swarm: RunningSwarm) -> None:
    needs = summarize(swarm.config, 2).needs
    processes = swarm.processes()
    assert len(processes) == needs.processes
    taken = sum(process.memory_full_info().pss for process in processes)
    assert 0.5 * needs.memory_bytes < taken < 1.5 * needs.memory_bytes
    workers = [psutil.Process(worker.pid) for worker in swarm.status().workers]
    assert max(worker.num_fds() for worker in workers) < needs.worker_descriptors
    assert swarm.launcher.num_fds() < 1.25 * needs.launcher_descriptors


def test_a_status_counts_the_peers_of_each_group(swarm: RunningSwarm) -> None:
    status = swarm.ask(GetStatus(fresh=False), Status)
    assert [(group.name, group.peers, group.joined) for group in status.groups] == [("core", PEERS, PEERS)]
    assert sum(worker.messages.sent for worker in status.workers) == status.messages.sent
    assert all(worker.cpu_s > 0 for worker in status.workers)
    swarm.ask(Kill(select="core-3", hard=True), Done)
    status = swarm.wait_for(lambda status: status.groups[0].dead == 1)
    assert (status.groups[0].joined, status.worst) == (PEERS - 1, ())
    swarm.ask(Restart(select="core-3"), Done)


def test_it_serves_metrics_where_its_configuration_says(swarm: RunningSwarm) -> None:
    url = f"http://{swarm.config.metrics.listen}/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        found = [
            sample
            for family in text_string_to_metric_families(answer.read().decode())
            for sample in family.samples
        ]
    peers = sum(sample.value for sample in found if sample.name == "cicada_peers")
    assert peers == PEERS
    labels = {label for sample in found for label in sample.labels}
    assert labels <= {"name", "run", "group", "state", "worker", "reason", "kind"}


def test_a_lookup_finds_the_owner_that_the_sorted_truth_names(swarm: RunningSwarm) -> None:
    found = swarm.ask(Lookup(value="core-5", via="core-9"), LookupResult)
    assert (found.owner_name, found.right, found.failure) == ("core-5", True, "")
    assert swarm.ask(Lookup(value="00" * 32, iterative=True), LookupResult).right


def test_a_message_sent_by_name_is_delivered(swarm: RunningSwarm) -> None:
    assert swarm.ask(Send(target="core-3", payload=b"hello", via="core-4"), SendResult).status == "delivered"


def test_a_message_to_an_address_nobody_owns_fails_with_that_reason(swarm: RunningSwarm) -> None:
    result = swarm.ask(Send(target="127.0.0.1:9", payload=b"hello"), SendResult)
    assert (result.status, result.reason) == ("failed", "no such peer")


def test_a_broadcast_reaches_every_other_peer(swarm: RunningSwarm) -> None:
    result = swarm.ask(SendToAll(payload=b"to all of you"), BroadcastResult)
    assert result.reached == result.expected == PEERS - 1


def test_a_load_arrives_whole_once_and_at_the_right_peers(swarm: RunningSwarm) -> None:
    result = swarm.ask(RunLoad(rate=500.0, count=500), LoadResult)
    assert (result.sent, result.delivered, result.acknowledged) == (500, 500, 500)
    assert (result.lost, result.failed, result.duplicated, result.altered, result.wrong_peer) == (
        0,
        0,
        0,
        0,
        0,
    )
    assert result.latency_p50_s <= result.latency_p99_s <= result.latency_max_s


def test_a_load_of_large_messages_arrives_whole_once_and_at_the_right_peers(swarm: RunningSwarm) -> None:
    result = swarm.ask(RunLoad(rate=20.0, count=20, payload=1_000_000), LoadResult)
    assert (result.sent, result.delivered, result.acknowledged) == (20, 20, 20)
    assert (result.lost, result.failed, result.duplicated, result.altered, result.wrong_peer) == (
        0,
        0,
        0,
        0,
        0,
    )


def test_a_killed_worker_comes_back_with_its_peers_at_their_addresses(swarm: RunningSwarm) -> None:
    before = {row.name: row.address for row in swarm.ask(GetPeers(), Peers).rows}
    victim = swarm.status().workers[0]
    os.kill(victim.pid, signal.SIGKILL)
    status = swarm.wait_for(lambda status: whole(status) and status.workers[0].restarts > victim.restarts)
    assert status.workers[0].pid != victim.pid
    assert {row.name: row.address for row in swarm.ask(GetPeers(), Peers).rows} == before
    again = Send(target="core-0", payload=b"back?", via="core-1")
    first = swarm.ask(again, SendResult)
    assert first.status == "delivered" or first.reason == "unknown: peer restarted"
    assert swarm.ask(again, SendResult).status == "delivered"
    recorded = [envelope.event for envelope in read_recording(swarm.folder / "events.jsonl")]
    assert any(isinstance(event, WorkerExited) and event.pid == victim.pid for event in recorded)
    assert any(isinstance(event, ChildRestarted) and event.child == "worker-0" for event in recorded)


@pytest.mark.parametrize("hard", [False, True])
def test_a_killed_peer_stays_dead_until_it_is_restarted(swarm: RunningSwarm, hard: bool) -> None:
    swarm.ask(Kill(select="core-7", hard=hard), Done)
    status = swarm.wait_for(lambda status: status.ring_proven and status.joined == PEERS - 1)
    assert status.dead == 1
    assert "core-7 is killed" in swarm.refusal(Kill(select="core-7"))
    assert "core-7 is killed" in swarm.refusal(Send(target="core-1", payload=b"", via="core-7"))
    swarm.ask(Restart(select="core-7"), Done)
    assert swarm.status().dead == 0


def test_peers_that_ended_join_again_through_members_of_choice(swarm: RunningSwarm) -> None:
    swarm.ask(Stop(select="core-2,core-4"), Done)
    assert "has ended" in swarm.refusal(Join(select="core-2"))
    assert "core-4 is stopped" in swarm.refusal(Join(select="core-2", through="core-4", again=True))
    assert swarm.ask(Join(select="core-2", through="core-0", again=True), Done).peers == ("core-2",)
    assert swarm.ask(Join(select="core-4", through="all", again=True), Done).peers == ("core-4",)
    swarm.wait_for(lambda status: status.ring_proven and status.joined == status.peers)


def test_a_share_of_the_swarm_can_be_killed_and_brought_back(swarm: RunningSwarm) -> None:
    killed = swarm.ask(Kill(select="core:20%", hard=True), Done).peers
    assert len(killed) == 4
    swarm.wait_for(lambda status: status.ring_proven and status.joined == PEERS - 4)
    swarm.ask(Restart(select="all"), Done)


def test_a_worker_that_dies_does_not_bring_back_stopped_peers(swarm: RunningSwarm) -> None:
    swarm.ask(Stop(select="core-0"), Done)
    restarts = swarm.status().workers[0].restarts
    swarm.ask(Kill(select="worker-0"), Done)
    status = swarm.wait_for(lambda s: s.workers[0].restarts > restarts and s.ring_proven)
    assert (status.joined, status.dead) == (PEERS - 1, 1)
    swarm.ask(Restart(select="core-0"), Done)


def test_a_group_grows_and_shrinks(swarm: RunningSwarm) -> None:
    assert swarm.ask(Add(group="core", count=2), Done).peers == ("core-20", "core-21")
    swarm.wait_for(lambda status: status.ring_proven and status.joined == PEERS + 2)
    assert set(swarm.ask(Scale(group="core", count=PEERS), Done).peers) == {"core-20", "core-21"}
    swarm.wait_for(whole)
    assert swarm.ask(Scale(group="core", count=PEERS + 1), Done).peers == ("core-20",)
    swarm.ask(Scale(group="core", count=PEERS), Done)


@pytest.mark.parametrize("actor", ["transport", "ring", "router", "crypto"])
def test_a_crashed_actor_is_restarted_and_the_peer_keeps_its_place(swarm: RunningSwarm, actor: str) -> None:
    (before,) = swarm.ask(GetPeers(select="core-2"), Peers).rows
    swarm.ask(Crash(select="core-2", actor=actor), Done)

    def is_back(_: Status) -> bool:
        return swarm.ask(GetPeers(select="core-2"), Peers).rows[0].restarts > before.restarts

    swarm.wait_for(is_back)
    swarm.wait_for(whole)
    (after,) = swarm.ask(GetPeers(select="core-2"), Peers).rows
    assert (after.address, after.phase) == (before.address, "member")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Kill(select="core-99"), "no peer to act on is called 'core-99'"),
        (Kill(select="150%"), "at most 100%"),
        (Lookup(value="nobody"), "no peer is called 'nobody'"),
        (Send(target="core-1", payload=bytes((16 << 20) + 1)), "too large"),
        (Add(group="edge"), "no group is called 'edge'"),
        (Add(group="core", count=0), "at least 1"),
        (Scale(group="core", count=-1), "0 or more"),
        (RunLoad(rate=0.0), "rate"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    swarm: RunningSwarm, command: Kill | Lookup | Send | Add | Scale | RunLoad, reason: str
) -> None:
    assert reason in swarm.refusal(command)


def test_a_second_swarm_in_the_same_folder_is_refused(swarm: RunningSwarm) -> None:
    with pytest.raises(Misuse, match="already running"):
        spawn_detached(config(2, first_port=free_ports(2)), swarm.folder)


def test_a_swarm_on_the_same_ports_is_refused_and_told_whose_they_are(
    swarm: RunningSwarm, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=f"{PEERS + 1} of the swarm's addresses") as refused:  # its metrics
        spawn_detached(swarm.config, swarm.folder.parent / "another")
    assert f"cicada down --run {swarm.folder}" in str(refused.value)
    assert "core-0" in str(refused.value)


def test_the_run_folder_says_how_to_find_and_repeat_the_run(swarm: RunningSwarm) -> None:
    info = read_info(swarm.folder)
    assert info is not None
    assert (info.launcher_pid, info.control, info.seed) == (
        swarm.progress.launcher_pid,
        swarm.progress.control,
        7,
    )
    assert is_running(swarm.folder)
    assert stat.S_IMODE(swarm.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(info.control).parent.stat().st_mode) == 0o700
    assert (swarm.folder.parent / "latest").resolve() == swarm.folder


def test_the_recording_tells_the_run_from_its_first_event(swarm: RunningSwarm) -> None:
    events = [envelope.event for envelope in read_recording(swarm.folder / "events.jsonl")]
    states = [event.state for event in events if isinstance(event, RunStateChanged)]
    assert states[:3] == ["starting", "joining", "proven"]
    assert sum(isinstance(event, PeerStarted) for event in events) >= PEERS
    assert sum(isinstance(event, WorkerStarted) for event in events) >= 2


def test_down_ends_every_process_and_leaves_no_socket(tmp_path: Path) -> None:
    with running(config(4, first_port=free_ports(4)), tmp_path / "run") as swarm:
        processes = swarm.processes()
        control = Path(swarm.progress.control).parent
        assert len(processes) == 5  # launcher, fork server, resource tracker, two workers
        swarm.end()
    assert not still_running(processes, GONE_WITHIN)
    assert not control.exists()
    assert not is_running(tmp_path / "run")
    info = read_info(tmp_path / "run")
    assert info is not None
    assert info.ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_swarm_gracefully(tmp_path: Path, number: signal.Signals) -> None:
    with running(config(4, first_port=free_ports(4)), tmp_path / "run") as swarm:
        processes = swarm.processes()
        swarm.launcher.send_signal(number)
        assert not still_running(processes, GONE_WITHIN)
        info = read_info(swarm.folder)
        assert info is not None
        assert info.ended


def test_nothing_survives_a_launcher_that_is_killed(tmp_path: Path) -> None:
    with running(config(4, first_port=free_ports(4)), tmp_path / "run") as swarm:
        processes = swarm.processes()
        control = Path(swarm.progress.control).parent
        names = [str(made.laddr) for process in processes for made in process.net_connections("unix")]
        listening = {Path(name).parent for name in names if name.startswith("/")}
        assert len(listening) == 2  # that, and the fork server's
        swarm.launcher.kill()
        assert not still_running(processes, GONE_WITHIN)
        assert not [folder for folder in (control, *listening) if folder.exists()]
        assert not is_running(swarm.folder)
        info = read_info(swarm.folder)
        assert info is not None
        assert not info.ended


def test_nothing_survives_a_killed_launcher_one_of_whose_workers_was_stopped(tmp_path: Path) -> None:
    with running(config(4, first_port=free_ports(4)), tmp_path / "run") as swarm:
        processes = swarm.processes()
        os.kill(swarm.status().workers[1].pid, signal.SIGSTOP)
        swarm.launcher.kill()
        assert not still_running(processes, GONE_WITHIN)


def test_a_detached_swarm_that_is_not_proven_in_time_says_so_and_goes_on(tmp_path: Path) -> None:
    made = config(4, first_port=free_ports(4))
    with pytest.raises(RingNotReady, match=r"not proven within 0\.01 s; the swarm goes on"):
        spawn_detached(made, tmp_path / "run", wait=0.01)
    info = read_info(tmp_path / "run")
    assert info is not None
    left = RunningSwarm(
        Progress(run_dir=str(tmp_path / "run"), control=info.control, launcher_pid=info.launcher_pid), made
    )
    try:
        left.wait_for(lambda status: status.ring_proven)
    finally:
        left.end()


def test_peers_also_get_in_unsorted_through_one_address(tmp_path: Path) -> None:
    made = config(12, first_port=free_ports(12), extra="[launch]\nwaves = false")
    with running(made, tmp_path / "run") as swarm:
        assert swarm.status().joined == 12


def test_workers_that_die_too_often_end_the_swarm_as_lost(tmp_path: Path) -> None:
    made = config(4, first_port=free_ports(4), extra="[supervision]\nmax_restarts = 1\nwithin_s = 60.0")
    with running(made, tmp_path / "run") as swarm:
        processes = swarm.processes()
        os.kill(swarm.status().workers[0].pid, signal.SIGKILL)
        swarm.wait_for(lambda status: status.ring_proven and status.workers[0].restarts == 1)
        os.kill(swarm.status().workers[1].pid, signal.SIGKILL)
        assert not still_running(processes, GONE_WITHIN)
    states = [
        envelope.event.state
        for envelope in read_recording(tmp_path / "run" / "events.jsonl")
        if isinstance(envelope.event, RunStateChanged)
    ]
    assert states[-3:] == ["failed", "stopping", "stopped"]
