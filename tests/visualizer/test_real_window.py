"""Once on a real screen, which nobody sees: Xvfb shows the window, xdotool moves the mouse and types."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pygame
import pytest

from cicada.commands import GetPeers, Peers
from tests.launcher.swarms import RunningSwarm, config, free_ports, running
from visualizer.model.state import PeerState, PeerView, SwarmState
from visualizer.view import View

from .watchers import phase, spot

ROOT: Final = Path(__file__).parents[2]
SIZE: Final = (1100, 760)
SCREEN: Final = "1280x900x24"
PATIENCE: Final = 30.0
MISSING: Final = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]

pytestmark = [pytest.mark.prove, pytest.mark.timeout(120)]


class Screen:
    """A screen and somebody in front of it."""

    def __init__(self, display: str) -> None:
        self.display = display

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in ("SDL_VIDEODRIVER", "WAYLAND_DISPLAY")
        }
        return {**kept, "DISPLAY": self.display, "PYTHONPATH": str(ROOT)}

    def do(self, *words: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, words)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout.strip()

    def click(self, window: str, pixel: tuple[int, int]) -> None:
        self.do("mousemove", "--sync", "--window", window, *pixel)
        self.do("click", 1)


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    if MISSING:
        reason = f"a real window needs {' and '.join(MISSING)}: see .ci/screen-tools"
        assert os.environ.get("CICADA_SCREEN") != "required", reason
        pytest.skip(reason)
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            yield Screen(f":{told.readline().strip()}")
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    with running(config(12, first_port=free_ports(20)), tmp_path_factory.mktemp("screen") / "run") as swarm:
        swarm.wait_for(lambda status: status.ring_proven)
        yield swarm


@contextmanager
def watch(screen: Screen, folder: Path, *words: object) -> Iterator[subprocess.Popen[str]]:
    """``cicada watch`` on the screen."""
    shown = subprocess.Popen(
        [sys.executable, "-m", "cicada", "watch", *map(str, words)],
        env=screen.environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield shown
    finally:
        if shown.poll() is None:
            shown.kill()
        shown.communicate(timeout=PATIENCE)


def until(condition: Callable[[], str | bool | list[Path]]) -> str | bool | list[Path]:
    """What the condition is once it holds."""
    give_up = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < give_up, "it did not come to that"
        time.sleep(0.05)
    return found


def pixel_of(swarm: RunningSwarm, name: str) -> tuple[int, int]:
    """Where the window draws a peer."""
    rows = swarm.ask(GetPeers(), Peers).rows
    peers = {
        row.name: PeerView(row.name, row.address, int(row.place, 16), "core", "", PeerState.MEMBER)
        for row in rows
    }
    return spot(SwarmState(peers=peers), View(), SIZE, name)


def test_a_hand_selects_and_kills_a_peer_keeps_a_picture_and_closes_the_window(
    screen: Screen, swarm: RunningSwarm, tmp_path: Path
) -> None:
    with watch(screen, tmp_path, swarm.folder, "--size", f"{SIZE[0]}x{SIZE[1]}") as shown:
        window = str(until(lambda: screen.do("search", "--onlyvisible", "--pid", shown.pid)))
        screen.do("windowfocus", "--sync", window)
        until(lambda: picture(screen, tmp_path, colours=20))
        screen.click(window, pixel_of(swarm, "core-5"))
        screen.do("key", "--window", window, "f", "k")
        until(lambda: phase(swarm, "core-5") == "killed")
        screen.do("mousemove", "--window", window, 500, 300, "click", 4, "click", 5)
        screen.do("key", "question")
        assert picture(screen, tmp_path, colours=20)
        screen.do("key", "question", "q")
        output, _ = shown.communicate(timeout=PATIENCE)
        assert shown.returncode == 0, output
        assert "Traceback" not in output
    assert swarm.status().peers == 12, "the swarm lives on"


def picture(screen: Screen, folder: Path, colours: int) -> list[Path]:
    """The picture that F12 keeps, once it has so many colours: a ring and panels, not an empty window."""
    before = set(folder.glob("cicada-*.png"))
    screen.do("key", "F12")
    fresh = until(lambda: sorted(set(folder.glob("cicada-*.png")) - before))
    assert isinstance(fresh, list)
    image = pygame.image.load(fresh[0])
    assert image.get_size() == SIZE
    seen = {tuple(image.get_at((x, y))) for x in range(0, SIZE[0], 5) for y in range(0, SIZE[1], 5)}
    return fresh if len(seen) >= colours else []
