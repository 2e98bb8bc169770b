"""Windows for tests, fed by hand: what comes, what is drawn and what is asked is all in the test's hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

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
from visualizer.view import Feed, Playback, Theme, View

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
        return taken

    def close(self) -> None:
        self.closed = True


class FakeNewest(NamedTuple):
    state: SwarmState


class FakeStory:
    """The state never changes but for its time."""

    def __init__(self, state: SwarmState) -> None:
        self.newest = FakeNewest(state)
        self.times: list[int] = []
        self.faults: list[int] = []
        self.marks: Sequence[Mark] = ()

    @property
    def first_ms(self) -> int:
        return self.times[0] if self.times else 0

    @property
    def last_ms(self) -> int:
        return self.times[-1] if self.times else 0

    def add(self, item: int) -> None:
        self.times.append(item)
        self.newest.state.now_ms = item

    def state_at(self, ms: float) -> SwarmState:
        then = SwarmState(name=self.newest.state.name, peers=self.newest.state.peers)
        then.now_ms = max((time for time in self.times if time <= ms), default=0)
        return then

    def next_fault(self, ms: float) -> int | None:
        return next((fault for fault in self.faults if fault > ms), None)

    def histogram(self, buckets: int) -> list[int]:
        return [len(self.times)] * buckets


class FakePlayer:
    """Shows the newest, or what it was told to show; keeps what it was told."""

    def __init__(self, story: FakeStory, playback: Playback) -> None:
        self.told: list[object] = []
        self._story = story
        self._playback = playback

    def advance(self, now: float) -> SwarmState:
        if self._playback.live:
            self._playback.at_ms = self._story.last_ms
            return self._story.newest.state
        return self._story.state_at(self._playback.at_ms)

    def toggle_pause(self) -> None:
        self.told.append("pause")
        self._playback.live = False
        self._playback.paused = not self._playback.paused

    def step(self, events: int) -> None:
        self.told.append(events)

    def seek(self, ms: float) -> None:
        self.told.append(ms)
        self._playback.live, self._playback.at_ms = False, ms

    def go_live(self) -> None:
        self.told.append("live")
        self._playback.live = True


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

    def __init__(self, pictures: Path) -> None:
        self.clock = HandClock()
        self.feed = FakeFeed()
        self.state = swarm()
        self.story = FakeStory(self.state)
        self.commander = FakeCommander()
        self.stages: list[FakeStage] = []
        self.players: list[FakePlayer] = []
        commander = cast(Commander, self.commander)
        show = Show("test", self.feed, self.story, commander, self._make_player, self._stage, pictures)
        clock: Clock = self.clock
        self.window = Window(show, View(), size=(640, 480), pictures=pictures, clock=clock)

    @property
    def told(self) -> list[object]:
        """What the player was told to do."""
        return self.players[-1].told

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

    def _make_player(self, story: Story, playback: Playback) -> FakePlayer:
        assert story is self.story
        self.players.append(FakePlayer(self.story, playback))
        return self.players[-1]

    def _stage(
        self, size: tuple[int, int], theme: Theme, keys: tuple[tuple[str, str], ...], *, patient: bool = False
    ) -> FakeStage:
        self.stages.append(FakeStage(self.state, keys))
        return self.stages[-1]


@contextlib.contextmanager
def opened(pictures: Path) -> Iterator[Opened]:
    """A window on no screen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        behind = Opened(pictures)
        behind.window.open()
        try:
            yield behind
        finally:
            behind.window.close()
