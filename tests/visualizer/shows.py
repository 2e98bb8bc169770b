"""Windows for tests, fed by hand: what comes, what is drawn and what is asked is all in the test's hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pygame
import pytest

from cicada.clock import Clock
from visualizer.app import Show, Window
from visualizer.commands import Commander
from visualizer.controls.actions import Ask
from visualizer.controls.desk import Sight
from visualizer.model.state import Mark, SwarmState
from visualizer.outcomes import Outcome
from visualizer.parts import Story
from visualizer.view import Feed, Theme, View

from .desks import FakeSight, swarm


class HandClock:
    """Goes on when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> float:
        return self.seconds

    def wall_ms(self) -> int:
        return 1_764_000_000_000 + round(self.seconds * 1000)


class FakeFeed:
    """Brings instants (ms), at which something happened."""

    def __init__(self) -> None:
        self.status = Feed(source="test", connected=True)
        self.coming: list[int] = []
        self.closed = False

    def take(self, budget: int) -> Sequence[object]:
        taken, self.coming = self.coming[:budget], self.coming[budget:]
        self.status.ended = not self.coming
        return taken

    def close(self) -> None:
        self.closed = True


class FakeStory:
    """The state never changes but for its time."""

    def __init__(self, state: SwarmState) -> None:
        self.state = state
        self.times: list[int] = []
        self.faults: list[int] = []
        self.asked_at: list[float] = []
        self.marks: Sequence[Mark] = ()

    @property
    def first_ms(self) -> int:
        return self.times[0] if self.times else 0

    @property
    def last_ms(self) -> int:
        return self.times[-1] if self.times else 0

    def take_in(self, item: object) -> None:
        self.times.append(cast(int, item))
        self.state.now_ms = self.times[-1]

    def state_at(self, ms: float) -> SwarmState:
        self.asked_at.append(ms)
        then = SwarmState(name=self.state.name, peers=self.state.peers)
        then.now_ms = max((time for time in self.times if time <= ms), default=0)
        return then

    def next_fault(self, after_ms: float) -> int | None:
        return next((ms for ms in self.faults if ms > after_ms), None)

    def histogram(self, buckets: int) -> list[int]:
        return [len(self.times)] * buckets


class FakeStage:
    """Paints the whole surface in one colour; a click goes where FakeSight says."""

    def __init__(self, state: SwarmState, keys: Sequence[tuple[str, str]]) -> None:
        self.fake_sight = FakeSight(state)
        self.keys = keys
        self.sizes: list[tuple[int, int]] = []
        self.drawn: list[int] = []

    def draw(self, surface: pygame.Surface, state: SwarmState, view: View, now: float) -> None:
        surface.fill((state.now_ms % 256, 20, 30))
        self.sizes.append(surface.get_size())
        self.drawn.append(state.now_ms)

    def sight(self, state: SwarmState, view: View, story: Story) -> Sight:
        return self.fake_sight


class FakeCommander:
    """Keeps what is asked; the test answers."""

    def __init__(self) -> None:
        self.can_ask = True
        self.asked: list[Ask] = []
        self.outcomes: list[Outcome] = []
        self.closed = False

    def ask(self, asked: Ask) -> None:
        self.asked.append(asked)

    def take(self) -> list[Outcome]:
        taken, self.outcomes = self.outcomes, []
        return taken

    def close(self) -> None:
        self.closed = True


class Opened:
    """An open window and everything behind it."""

    def __init__(self, pictures: Path, *, replay: bool = False) -> None:
        self.clock = HandClock()
        self.feed = FakeFeed()
        self.state = swarm()
        self.story = FakeStory(self.state)
        self.commander = FakeCommander()
        self.stages: list[FakeStage] = []
        show = Show("test", self.feed, self.story, cast(Commander, self.commander), self._stage, None, replay)
        clock: Clock = self.clock
        self.window = Window(show, View(), size=(640, 480), pictures=pictures, clock=clock)

    @property
    def stage(self) -> FakeStage:
        return self.stages[-1]

    @property
    def view(self) -> View:
        return self.window.view

    def seen(self) -> View:
        """The view as it is now: what an assertion found is no promise for the next."""
        return self.window.view

    def frame(self, seconds: float = 0.1) -> None:
        self.clock.seconds += seconds
        self.window.frame()

    def key(self, key: int, text: str = "", mod: int = 0) -> None:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=text, mod=mod))

    def click(self, pixel: tuple[int, int], button: int = 1) -> None:
        for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            pygame.event.post(pygame.event.Event(kind, pos=pixel, button=button))

    def _stage(self, size: tuple[int, int], theme: Theme, keys: tuple[tuple[str, str], ...]) -> FakeStage:
        self.stages.append(FakeStage(self.state, keys))
        return self.stages[-1]


@contextlib.contextmanager
def opened(pictures: Path, *, replay: bool = False) -> Iterator[Opened]:
    """A window on no screen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        behind = Opened(pictures, replay=replay)
        behind.window.open()
        try:
            yield behind
        finally:
            behind.window.close()
