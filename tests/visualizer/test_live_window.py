"""Every key and every gesture, on a window without a screen, against a swarm of 12 that lives: what is asked for happens there.

In the order of the file, since all of it happens to one swarm; what takes the ring seconds is a proof.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pygame
import pytest

from cicada.commands import FaultList, GetFaults, GetPeers, Peers
from tests.launcher.swarms import RunningSwarm, config, free_ports, running
from visualizer.limits import WINDOW
from visualizer.model.state import Kind, PeerState
from visualizer.view import Prompt, Theme

from .desks import notice_of
from .watchers import SIZE, Watcher, neighbours, phase, watching

HEAL = 2.0
"""Seconds after which the window must show the exact state again."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def swarm(folder: Path) -> Iterator[RunningSwarm]:
    with running(config(12, first_port=free_ports(20)), folder / "run") as swarm:
        swarm.wait_for(lambda status: status.ring_proven)
        yield swarm


@pytest.fixture
def watcher(swarm: RunningSwarm, folder: Path) -> Iterator[Watcher]:
    with watching(swarm, folder) as watcher:
        watcher.until(lambda: len(watcher.state.peers) >= 12)
        yield watcher


def exact(watcher: Watcher, swarm: RunningSwarm, seconds: float = HEAL) -> None:
    """The window shows what the peers themselves say, within so many seconds."""
    began = time.monotonic()
    while watcher.neighbours() != (truth := neighbours(swarm)):
        assert time.monotonic() - began < seconds, (watcher.neighbours(), truth)
        watcher.frames()


def whole(watcher: Watcher, swarm: RunningSwarm) -> None:
    """All is well again, in the swarm and in the window: with all peers, of whom one may be starting still."""
    count = len(swarm.ask(GetPeers(), Peers).rows)
    swarm.wait_for(lambda status: status.ring_proven and status.joined == count)
    watcher.until(lambda: members(watcher) == count and watcher.state.health.convergence == 1)


def members(watcher: Watcher) -> int:
    """How many peers belong to the ring, as the window has it."""
    return sum(peer.state is PeerState.MEMBER for peer in watcher.state.peers.values())


def is_live(watcher: Watcher) -> bool:
    return watcher.view.playback.live


def followed(watcher: Watcher, kind: Kind) -> str:
    """From whom the message goes whose way is shown, once it is."""
    watcher.until(lambda: watcher.view.followed)
    trip = watcher.state.trips[watcher.view.followed]
    assert trip.kind is kind
    assert trip.flights
    return trip.origin


def across(watcher: Watcher, name: str) -> str:
    """Whoever is on the other side of the ring: nobody whom it need not ask others about."""
    ring = sorted(watcher.state.peers.values(), key=lambda peer: peer.place)
    at = [peer.name for peer in ring].index(name)
    return ring[(at + len(ring) // 2) % len(ring)].name


def is_near(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] - other[0]) <= 2 and abs(one[1] - other[1]) <= 2


def test_whoever_comes_late_sees_the_exact_state(swarm: RunningSwarm, folder: Path) -> None:
    with watching(swarm, folder) as watcher:
        exact(watcher, swarm)
        assert watcher.state.health.convergence == 1
        assert watcher.state.health.members == 12
        assert watcher.view.feed.connected
        assert watcher.view.feed.lost == 0


def test_pointing_choosing_and_looking(watcher: Watcher) -> None:
    watcher.click("core-3")
    assert watcher.view.hovered == "core-3"
    assert watcher.view.pinned == "core-3"
    watcher.click("core-5", shift=True)
    assert watcher.view.selected == {"core-3", "core-5"}
    watcher.press("f")
    assert watcher.view.shows_fingers
    watcher.press("p")
    assert watcher.view.shows_known
    watcher.until(lambda: watcher.view.log_tail)
    watcher.press("/", "c", "o", "r", "e", "-", "7", pygame.K_RETURN)
    assert watcher.view.pinned == "core-7"
    watcher.press("s")
    assert not watcher.view.selected


def test_the_picture_is_moved_changed_and_kept(watcher: Watcher, folder: Path) -> None:
    view = watcher.view
    x, y = watcher.pixel("core-2")
    pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=(x, y)))
    pygame.event.post(pygame.event.Event(pygame.MOUSEWHEEL, y=5))
    watcher.frames()
    assert view.camera.zoom == pytest.approx(WINDOW.zoom_step**5)
    assert is_near(watcher.pixel("core-2"), (x, y)), "what is under the pointer stays there"
    watcher.drag((500, 300), (540, 320), button=3)
    assert is_near(watcher.pixel("core-2"), (x + 40, y + 20))
    watcher.press("0", "e", "t", "g", "o", "v", "1", "?")
    assert (view.camera.zoom, view.even_spacing, view.theme, view.only_group) == (
        1.0,
        True,
        Theme.LIGHT,
        "core",
    )
    assert (view.shows_log, view.shows_traffic, view.shows_keys) == (False, False, True)
    assert view.hidden_kinds == {Kind.RING}
    watcher.press(pygame.K_F12)
    picture = pygame.image.load(next(folder.glob("cicada-*.png")))
    assert picture.get_size() == SIZE
    colours = {tuple(picture.get_at((x, y))) for x in range(0, SIZE[0], 7) for y in range(0, SIZE[1], 7)}
    assert len(colours) > 10, "something is drawn"


def test_l_asks_the_ring_and_its_way_is_shown(watcher: Watcher) -> None:
    target = across(watcher, "core-1")
    watcher.click("core-1")
    watcher.press("l")
    watcher.click(target)
    answer = watcher.answered(f"core-1 looks up {target}")
    assert f"{target}, right" in answer
    assert " ms" in answer
    assert followed(watcher, Kind.LOOKUP) == "core-1"


def test_b_reaches_all(watcher: Watcher) -> None:
    watcher.click("core-1")
    watcher.press("b")
    assert "reached 11 of 11 peers" in watcher.answered("core-1 tells all others")
    assert followed(watcher, Kind.BROADCAST) == "core-1"


def test_m_sends_with_copies(watcher: Watcher) -> None:
    target = across(watcher, "core-1")
    watcher.click("core-1")
    watcher.press("m", "2")
    watcher.click(target)
    answer = watcher.answered(f"core-1 sends to {target} with 2 more copies")
    assert "delivered" in answer
    assert [f"copy {number}: " in answer for number in range(3)] == [True] * 3
    assert followed(watcher, Kind.DATA) == "core-1"


def test_k_kills_and_r_brings_back(watcher: Watcher, swarm: RunningSwarm) -> None:
    watcher.click("core-4")
    watcher.press("k")
    watcher.answered("kill core-4")
    watcher.until(lambda: watcher.peer("core-4").state is PeerState.DEAD)
    assert phase(swarm, "core-4") == "killed"
    watcher.press("r")
    assert "core-4" in watcher.answered("core-4 join at random")
    whole(watcher, swarm)


@pytest.mark.prove
def test_d_disconnects_and_j_joins_through_the_next_clicked(watcher: Watcher, swarm: RunningSwarm) -> None:
    watcher.click("core-6")
    watcher.press("d")
    watcher.answered("disconnect core-6")
    watcher.until(lambda: watcher.peer("core-6").state is PeerState.LEFT)
    assert phase(swarm, "core-6") == "stopped"
    watcher.press("j")
    watcher.click("core-0")
    watcher.answered("core-6 join through core-0")
    whole(watcher, swarm)


@pytest.mark.prove
def test_x_restarts(watcher: Watcher, swarm: RunningSwarm) -> None:
    watcher.click("core-2")
    watcher.press("x")
    assert "core-2" in watcher.answered("restart core-2")
    whole(watcher, swarm)


def test_a_rectangle_is_cut_off_by_n_and_healed_by_h(watcher: Watcher, swarm: RunningSwarm) -> None:
    x, y = watcher.pixel("core-9")
    watcher.drag((x - 15, y - 15), (x + 15, y + 15))
    assert "core-9" in watcher.view.selected
    assert len(watcher.view.selected) < 12
    watcher.press("n")
    assert watcher.view.prompt is Prompt.PARTITION
    watcher.press(pygame.K_RETURN)
    watcher.answered("cut off from everybody else")
    rows = swarm.ask(GetFaults(), FaultList).rows
    assert [set(row.peers) for row in rows] == [watcher.view.selected]
    watcher.until(lambda: watcher.state.faults)
    watcher.press("h")
    watcher.answered("heal")
    assert swarm.ask(GetFaults(), FaultList).rows == ()
    whole(watcher, swarm)


@pytest.mark.prove
def test_time_stands_still_and_goes_on(watcher: Watcher, swarm: RunningSwarm) -> None:
    watcher.press(" ")
    assert not is_live(watcher)
    watcher.click("core-1")
    watcher.press("x")
    watcher.answered("restart core-1")
    assert watcher.peer("core-1").state is PeerState.MEMBER, "the past is shown"
    watcher.press(".", ",", pygame.K_LEFT, pygame.K_RIGHT, "]", "[", pygame.K_HOME, pygame.K_TAB)
    assert watcher.view.playback.first_ms <= watcher.view.playback.at_ms <= watcher.view.playback.last_ms
    watcher.press(pygame.K_END)
    assert is_live(watcher)
    whole(watcher, swarm)
    exact(watcher, swarm)


def test_whoever_only_watches_asks_nothing(swarm: RunningSwarm, folder: Path) -> None:
    with watching(swarm, folder, read_only=True) as watcher:
        watcher.until(lambda: len(watcher.state.peers) >= 12)
        watcher.click("core-3")
        for key in "bakxdlmnjh":
            watcher.press(key)
            assert "not possible" in notice_of(watcher.view).text or key == "j"
        assert phase(swarm, "core-3") not in ("killed", "stopped")


def test_a_adds_a_peer_and_q_closes_the_window(watcher: Watcher, swarm: RunningSwarm) -> None:
    watcher.press("a")
    watcher.answered("one more peer of core")
    watcher.until(lambda: "core-12" in watcher.state.peers)
    whole(watcher, swarm)
    assert len(swarm.ask(GetPeers(), Peers).rows) == 13
    watcher.press("q")
    assert watcher.window.is_over
