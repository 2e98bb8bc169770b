"""A window that stood still, or lost its connection, shows the exact state again within two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cicada.commands import Done, Kill, Restart
from launcher.runfolder import read_info
from tests.launcher.swarms import RunningSwarm, config, free_ports, running

from .cable import cable
from .shows import HandClock
from .test_live_window import HEAL, exact
from .watchers import watching

pytestmark = [pytest.mark.timeout(120), pytest.mark.prove]


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    with running(config(12, first_port=free_ports(20)), tmp_path_factory.mktemp("healing") / "run") as swarm:
        swarm.wait_for(lambda status: status.ring_proven)
        yield swarm


def change(swarm: RunningSwarm) -> None:
    """Somebody dies and another one starts anew."""
    swarm.ask(Kill(select="core-3", hard=True), Done)
    swarm.ask(Restart(select="core-7"), Done)
    swarm.wait_for(lambda status: status.ring_proven)


def back(swarm: RunningSwarm) -> None:
    swarm.ask(Restart(select="core-3"), Done)
    swarm.wait_for(lambda status: status.ring_proven)


def test_a_window_that_draws_nothing_for_a_minute_is_exact_again(swarm: RunningSwarm, tmp_path: Path) -> None:
    clock = HandClock()
    with watching(swarm, tmp_path, clock=clock) as watcher:
        exact(watcher, swarm, 10)
        change(swarm)
        clock.seconds += 60
        exact(watcher, swarm, HEAL)
        assert watcher.view.feed.lost == 0
    back(swarm)


def test_time_that_stood_still_for_a_minute_is_exact_when_it_is_live_again(
    swarm: RunningSwarm, tmp_path: Path
) -> None:
    clock = HandClock()
    with watching(swarm, tmp_path, clock=clock) as watcher:
        exact(watcher, swarm, 10)
        watcher.press(" ")
        before = watcher.neighbours()
        change(swarm)
        clock.seconds += 60
        watcher.frames(20)
        assert watcher.neighbours() == before
        watcher.window.view.playback.live = True
        exact(watcher, swarm, HEAL)
    back(swarm)


def test_a_window_whose_connection_was_cut_says_so_and_is_exact_once_it_is_mended(
    swarm: RunningSwarm, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sockets = tmp_path_factory.mktemp("c")
    info = read_info(swarm.folder)
    assert info is not None
    with cable(info.events, sockets / "e") as events, cable(info.snapshots, sockets / "s") as snapshots:
        there = msgspec.structs.replace(info, events=events.endpoint, snapshots=snapshots.endpoint)
        with watching(swarm, sockets, info=there) as watcher:
            exact(watcher, swarm, 10)
            events.cut()
            snapshots.cut()
            change(swarm)
            watcher.until(lambda: not watcher.view.feed.connected)
            events.mend()
            snapshots.mend()
            watcher.until(lambda: watcher.view.feed.connected, HEAL)
            exact(watcher, swarm, HEAL)
    back(swarm)
