"""The window: what hands do goes in, what the swarm does comes in, a picture comes out, sixty times a second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pygame

from cicada.clock import Clock, SystemClock
from cicada.errors import Unavailable
from visualizer.commands import Commander
from visualizer.controls.actions import Action, Ask, FullScreen, Live, Pause, Quit, Screenshot, Seek, Step
from visualizer.controls.bindings import Bindings
from visualizer.controls.handler import Controls
from visualizer.hands import Hands
from visualizer.intake import Intake
from visualizer.limits import WINDOW
from visualizer.logtail import LogTail
from visualizer.model.state import SwarmState
from visualizer.outcomes import Outcome, outcome_lines, sets_off_a_trip, trip_of, verdict
from visualizer.parts import Feeding, MakeStage, NoDisplay, Playing, Stage, Story
from visualizer.pictures import keep_picture
from visualizer.view import Notice, Playback, View

_FLAGS = pygame.RESIZABLE


MakePlayer = Callable[[Story, Playback], Playing]


class Show(NamedTuple):
    """What a window shows, and by which means. ``logs``: the folder of the peers' logs, if it is on this machine; ``budget``:
    events that are taken in between two pictures at most."""

    title: str
    feed: Feeding
    story: Story
    commander: Commander
    make_player: MakePlayer
    make_stage: MakeStage
    logs: Path | None = None
    budget: int = WINDOW.take


class Window:
    """A window on a swarm. ``open`` it, then ``run`` it, or have it draw one ``frame`` after the other; ``close`` it in the end.

    Pictures are kept in ``pictures``. Used on one thread; closing it closes the feed and the commander too.
    """

    def __init__(
        self,
        show: Show,
        view: View,
        *,
        size: tuple[int, int] = (WINDOW.width, WINDOW.height),
        bindings: Bindings | None = None,
        pictures: Path = Path(),
        clock: Clock | None = None,
    ) -> None:
        self.view = view
        self.is_over = False
        self._show = show
        self._size = size
        self._bindings = bindings or Bindings()
        self._controls = Controls(self._bindings)
        self._hands = Hands()
        self._intake = Intake(show.feed, show.story)
        self._player = show.make_player(show.story, view.playback)
        self._pictures = pictures
        self._clock = clock or SystemClock()
        self._ticks = pygame.time.Clock()
        self._stage: Stage | None = None
        self._state: SwarmState = show.story.newest.state
        self._following: list[_Following] = []
        self._log_tail = LogTail(show.logs)

    @property
    def state(self) -> SwarmState:
        """What is shown at present."""
        return self._state

    def open(self) -> None:
        """Open the window. Raises NoDisplay where there is none that it could be on."""
        try:
            pygame.display.init()
            pygame.font.init()
            pygame.display.set_caption(f"{self._show.title} - cicada")
            pygame.display.set_mode(_fitting(self._size), _FLAGS)
        except pygame.error as error:
            pygame.quit()
            raise NoDisplay(f"no window can be opened: {error}") from None
        pygame.key.set_repeat(400, 40)  # milliseconds: an arrow that is held scrubs on
        size = pygame.display.get_window_size()
        self._stage = self._show.make_stage(size, self.view.theme, self._bindings.lines())

    def run(self) -> None:
        """Until it is closed: by its key, by the window manager, or by KeyboardInterrupt, which is raised on."""
        while not self.is_over:
            self.frame()
            self._ticks.tick(WINDOW.frames if pygame.display.get_active() else WINDOW.unseen_frames)

    def frame(self) -> None:
        """Take in what hands and the swarm did, and draw one picture, unless the window is minimized. Raises Unavailable when it is
        not open."""
        if self._stage is None:
            raise Unavailable("the window is not open")
        now = self._clock.now()
        for event in pygame.event.get():
            self._on_event(event, now)
        self._take_outcomes(now)
        self._intake.take(self._show.budget)
        self._state = self._player.advance(now)
        self._intake.mark(self.view.playback, now)
        self._look_around(now)
        if pygame.display.get_active():
            self._draw(self._stage, now)

    def close(self) -> None:
        """Close the window and whatever feeds it. Idempotent."""
        self._show.commander.close()
        self._show.feed.close()
        if self._stage is not None:
            self._stage = None
            pygame.quit()

    def _on_event(self, event: pygame.event.Event, now: float) -> None:
        if event.type == pygame.QUIT:
            self.is_over = True
            return
        given = self._hands.input_of(event)
        if given is None or self._stage is None:
            return
        sight = self._stage.sight(self._state, self.view, self._show.story)
        for action in self._controls.handle(given, self._state, self.view, sight, now):
            self._do(action, now)

    def _do(self, action: Action, now: float) -> None:
        match action:
            case Ask():
                self._ask(action, now)
            case Pause():
                self._player.toggle_pause()
            case Step(events):
                self._player.step(events)
            case Seek(ms):
                self._player.seek(ms)
            case Live():
                self._player.go_live()
            case Quit():
                self.is_over = True
            case Screenshot():
                self._keep_picture(now)
            case FullScreen():
                self._toggle_full_screen(now)

    def _ask(self, asked: Ask, now: float) -> None:
        if sets_off_a_trip(asked.command):
            known = frozenset(self._show.story.newest.state.trips)
            self._following.append(_Following(asked, known, now + WINDOW.following))
            self.view.followed = ""
        self._show.commander.ask(asked)

    def _take_outcomes(self, now: float) -> None:
        for outcome in self._show.commander.take():
            names = {peer.address: peer.name for peer in self._show.story.newest.state.peers.values()}
            self.view.results = outcome_lines(outcome, names)
            lasts = WINDOW.longer_notice if outcome.is_bad else WINDOW.notice
            self.view.notice = Notice(verdict(outcome), outcome.is_bad, now + lasts)
            self._following = [_until(waiting, outcome, now) for waiting in self._following]

    def _look_around(self, now: float) -> None:
        """What the view says of things outside the swarm's state."""
        view = self.view
        status = self._show.feed.status
        status.can_command = self._show.commander.can_ask
        view.feed = status
        if view.notice is not None and view.notice.until <= now:
            view.notice = None
        view.log_tail = self._log_tail.of(view.pinned, now)
        self._follow(now)

    def _follow(self, now: float) -> None:
        """Show the way of what was asked last, as soon as it is known."""
        left = []
        for waiting in self._following:
            found = trip_of(self._show.story.newest.state, waiting.asked.command, waiting.known)
            if found:
                self.view.followed = found
            elif waiting.until > now:
                left.append(waiting)
        self._following = left

    def _draw(self, stage: Stage, now: float) -> None:
        stage.draw(_shown(), self._state, self.view, now)
        pygame.display.flip()

    def _keep_picture(self, now: float) -> None:
        moment = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
        path = self._pictures / f"cicada-{moment:%Y%m%dT%H%M%S}-{moment.microsecond // 1000:03}.png"
        try:
            keep_picture(_shown(), path)
        except Unavailable as error:
            self.view.notice = Notice(str(error), True, now + WINDOW.longer_notice)
        else:
            self.view.notice = Notice(f"picture: {path}", False, now + WINDOW.longer_notice)

    def _toggle_full_screen(self, now: float) -> None:
        try:
            if pygame.display.is_fullscreen():
                pygame.display.set_mode(_fitting(self._size), _FLAGS)
            else:
                self._size = pygame.display.get_window_size()
                pygame.display.set_mode((0, 0), _FLAGS | pygame.FULLSCREEN)
        except pygame.error as error:
            self.view.notice = Notice(f"the screen cannot be filled: {error}", True, now + WINDOW.notice)


class _Following(NamedTuple):
    """A request whose messages are waited for until then; ``known`` trips are none of its."""

    asked: Ask
    known: frozenset[str]
    until: float


def _until(waiting: _Following, outcome: Outcome, now: float) -> _Following:
    """What an answered request set off comes soon, or never."""
    if outcome.command is not waiting.asked.command:
        return waiting
    return waiting._replace(until=now + WINDOW.following)


def _shown() -> pygame.Surface:
    """What is drawn on; it follows the window's size by itself."""
    surface = pygame.display.get_surface()
    if surface is None:
        raise Unavailable("the window is not open")
    return surface


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    """Not larger than the screen, where there is one to tell."""
    screens = pygame.display.get_desktop_sizes()
    if not screens or pygame.display.get_driver() == "dummy":
        return size
    return min(size[0], screens[0][0]), min(size[1], screens[0][1])
