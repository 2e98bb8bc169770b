"""A closed swarm of real processes: who gets in, and the change of its key while messages flow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicada import SwarmPeer
from cicada.commands import (
    AnyCommand,
    AnyReply,
    Done,
    Kill,
    LoadResult,
    Restart,
    RotateSwarmKey,
    RotationPhase,
    RunLoad,
)
from cicada.control import SyncRemoteRef
from cicada.errors import RingNotReady
from cicada.keys.keytext import swarm_key_text
from cicada.keys.psks import OPEN
from cicada.keys.store import ENTROPY, create_secret
from tests.launcher.swarms import PATIENCE, RunningSwarm, config, free_ports, running

PEERS = 20


def key_file(path: Path) -> Path:
    create_secret(path, swarm_key_text(ENTROPY.randbytes(32)))
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return key_file(tmp_path / "swarm.key")


@pytest.fixture
def closed(tmp_path: Path, key: Path) -> Iterator[RunningSwarm]:
    made = config(PEERS, first_port=free_ports(PEERS))
    swarm = made.swarm.model_copy(update={"key_file": str(key)})
    with running(made.model_copy(update={"swarm": swarm}), tmp_path / "run") as started:
        started.wait_for(lambda status: status.ring_proven)
        yield started


def enter(swarm: RunningSwarm, file: Path | None) -> str:
    """Why a peer of an application does not get in; empty: it does."""
    port = swarm.config.groups[0].address_of(0).rpartition(":")[2]
    try:
        with SwarmPeer("127.0.0.1", 0, swarm_keys=file or OPEN) as peer:
            peer.connect("127.0.0.1", int(port), timeout=1.5)
    except RingNotReady as error:
        return str(error)
    return ""


def ask_beside(swarm: RunningSwarm, command: AnyCommand) -> AnyReply:
    """Ask over a connection of its own, for another thread."""
    ref: SyncRemoteRef[AnyCommand, AnyReply] = SyncRemoteRef(
        swarm.progress.control, commands=AnyCommand, replies=AnyReply
    )
    try:
        return ref.ask(command, PATIENCE)
    finally:
        ref.close()


def test_only_peers_with_the_key_get_in(closed: RunningSwarm, key: Path, tmp_path: Path) -> None:
    assert enter(closed, key) == ""
    assert "lacks the key of its closed swarm" in enter(closed, None)
    assert "lacks the key of its closed swarm" in enter(closed, key_file(tmp_path / "wrong.key"))
    assert closed.wait_for(lambda status: status.ring_proven).joined == PEERS


@pytest.mark.prove
def test_the_key_changes_under_load_and_nothing_is_lost(
    closed: RunningSwarm, key: Path, tmp_path: Path
) -> None:
    new = key_file(tmp_path / "new.key")
    results: list[AnyReply] = []
    load = RunLoad(rate=100.0, duration=4.0)
    loading = threading.Thread(target=lambda: results.append(ask_beside(closed, load)))
    loading.start()
    for phase in (RotationPhase.ACCEPT, RotationPhase.DIAL, RotationPhase.FINISH):
        closed.ask(RotateSwarmKey(file=str(new), phase=phase), Done)
    loading.join()
    (result,) = results
    assert isinstance(result, LoadResult)
    assert (result.sent, result.lost, result.delivered) == (400, 0, 400)
    assert closed.wait_for(lambda status: status.ring_proven).joined == PEERS
    assert enter(closed, new) == ""
    assert "lacks the key" in enter(closed, key)


@pytest.mark.prove
def test_a_worker_that_died_comes_back_with_the_keys_of_now(
    closed: RunningSwarm, key: Path, tmp_path: Path
) -> None:
    new = key_file(tmp_path / "new.key")
    closed.ask(RotateSwarmKey(file=str(new), phase=RotationPhase.NOW), Done)
    closed.ask(Kill(select="worker-0", hard=True), Done)
    closed.wait_for(lambda status: status.ring_proven and status.joined == PEERS)
    closed.ask(Restart(select="core-3"), Done)
    closed.wait_for(lambda status: status.ring_proven and status.joined == PEERS)


def test_phases_come_in_their_order(closed: RunningSwarm, tmp_path: Path) -> None:
    new = key_file(tmp_path / "new.key")
    assert "comes after 'accept'" in closed.refusal(RotateSwarmKey(file=str(new), phase=RotationPhase.DIAL))
    assert "comes after 'dial'" in closed.refusal(RotateSwarmKey(file=str(new), phase=RotationPhase.FINISH))
    assert "nowhere.key" in closed.refusal(
        RotateSwarmKey(file=str(tmp_path / "nowhere.key"), phase=RotationPhase.NOW)
    )
