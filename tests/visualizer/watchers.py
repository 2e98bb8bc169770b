"""Windows on real swarms, and hands that use them by events of pygame."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pygame
import pytest

from cicada.clock import Clock, SystemClock
from cicada.commands import GetPeers, Peers
from launcher.runfolder import LOGS, RunInfo, read_info
from tests.launcher.swarms import RunningSwarm
from visualizer.app import Show, Window
from visualizer.commands import Commander
from visualizer.model.state import PeerView, SwarmState
from visualizer.scene.layout import Layout
from visualizer.stage import make_stage
from visualizer.view import View
from visualizer.wiring import live_feed, make_player, new_story

SIZE = (1200, 800)
PATIENCE = 20.0
_FRAME = 0.01

Neighbours = dict[str, tuple[str, tuple[str, ...]]]
"""Predecessor and successors of every member, by name."""


class Watcher:
    """Somebody at a window on a swarm."""

    def __init__(self, window: Window) -> None:
        self.window = window

    @property
    def state(self) -> SwarmState:
        return self.window.state

    @property
    def view(self) -> View:
        return self.window.view

    @property
    def results(self) -> str:
        return "\n".join(self.view.results)

    def peer(self, name: str) -> PeerView:
        return self.state.peers[name]

    def frames(self, count: int = 2) -> None:
        for _ in range(count):
            self.window.frame()

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> float:
        """Draw pictures until it holds; how many seconds that took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, (self.view.results, self.view.notice, self.view.feed)
            self.window.frame()
            time.sleep(_FRAME)
        return time.monotonic() - began

    def pixel(self, name: str) -> tuple[int, int]:
        x, y = Layout().pixels(self.state, self.view, pygame.display.get_window_size())[name]
        return round(x), round(y)

    def spot(self, name: str) -> tuple[int, int]:
        """A pixel that only this peer answers to: another one may be so near that the middles of both are one pixel."""
        return spot(self.state, self.view, pygame.display.get_window_size(), name)

    def press(self, *keys: int | str) -> None:
        """Characters, or keys of pygame that type none."""
        for key in keys:
            code = pygame.key.key_code(key) if isinstance(key, str) else key
            text = key if isinstance(key, str) else ""
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=code, unicode=text, mod=0))
            self.frames(1)

    def click(self, where: str | tuple[int, int], *, shift: bool = False) -> None:
        """A peer, or a pixel."""
        pixel = self.spot(where) if isinstance(where, str) else where
        self.drag(pixel, pixel, shift=shift)

    def drag(
        self, start: tuple[int, int], end: tuple[int, int], *, button: int = 1, shift: bool = False
    ) -> None:
        post, event = pygame.event.post, pygame.event.Event
        pygame.key.set_mods(pygame.KMOD_SHIFT if shift else 0)
        post(event(pygame.MOUSEMOTION, pos=start))
        post(event(pygame.MOUSEBUTTONDOWN, pos=start, button=button))
        post(event(pygame.MOUSEMOTION, pos=end))
        post(event(pygame.MOUSEBUTTONUP, pos=end, button=button))
        self.frames(1)
        pygame.key.set_mods(0)

    def answered(self, title: str) -> str:
        """Wait for the answer to what was asked under this title."""
        self.until(lambda: self.view.results and title in self.view.results[0])
        return self.results

    def neighbours(self) -> Neighbours:
        """Of the members, as the window has them."""
        live = [peer for peer in self.state.peers.values() if peer.state.is_live]
        return {peer.name: (peer.predecessor, peer.successors) for peer in live}


def spot(state: SwarmState, view: View, size: tuple[int, int], name: str) -> tuple[int, int]:
    """A pixel that only this peer answers to."""
    layout = Layout()
    x, y = layout.pixels(state, view, size)[name]
    around = [(round(x) + right, round(y) + down) for right in (0, -6, 6) for down in (0, -6, 6)]
    return next(pixel for pixel in around if layout.peer_at(pixel, state, view, size) == name)


def neighbours(swarm: RunningSwarm) -> Neighbours:
    """Of the members, as they say themselves when they are asked."""
    rows = swarm.ask(GetPeers(), Peers).rows
    return {row.name: (row.predecessor, row.successors) for row in rows if row.successors}


def phase(swarm: RunningSwarm, name: str) -> str:
    return swarm.ask(GetPeers(select=name), Peers).rows[0].phase


@contextlib.contextmanager
def watching(
    swarm: RunningSwarm,
    pictures: Path,
    *,
    read_only: bool = False,
    info: RunInfo | None = None,
    clock: Clock | None = None,
) -> Iterator[Watcher]:
    """A window on no screen. ``info``: where the swarm's endpoints are, if not where it says."""
    found = info or read_info(swarm.folder)
    assert found is not None
    show = Show(
        title="test",
        feed=live_feed(found.events, found.snapshots),
        story=new_story(),
        commander=Commander("" if read_only else found.control),
        make_player=partial(make_player, is_live=True),
        make_stage=make_stage,
        logs=swarm.folder / LOGS,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        window = Window(show, View(), size=SIZE, pictures=pictures, clock=clock or SystemClock())
        try:
            window.open()
            yield Watcher(window)
        finally:
            window.close()
