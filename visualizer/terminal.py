"""The view without a display: drawn over on a terminal, a line for each look elsewhere."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

from visualizer.intake import Intake
from visualizer.limits import TERMINAL
from visualizer.model.state import SwarmState
from visualizer.parts import Feeding, Playing, Story
from visualizer.textlines import TextLine, calm_line, screen
from visualizer.view import Playback

_STYLES = {"": "", "good": "green", "bad": "red", "strong": "bold", "faint": "dim"}
_END = (b"q", b"Q", b"\x1b")


def watch(feed: Feeding, story: Story, player: Playing, playback: Playback, *, replay: bool = False) -> None:
    """Show the swarm until q, Ctrl-C (KeyboardInterrupt is raised on), or the end of a recording. Closes the feed."""
    watching = _Watching(feed, story, player, playback, replay=replay)
    try:
        if sys.stdout.isatty():
            _draw(watching)
        else:
            _tell(watching)
    finally:
        feed.close()


class _Watching:
    """One look after the other."""

    def __init__(
        self, feed: Feeding, story: Story, player: Playing, playback: Playback, *, replay: bool
    ) -> None:
        self.feed = feed
        self._intake = Intake(feed, story)
        self._player = player
        self._playback = playback
        self._replay = replay
        self._came = True

    def look(self) -> SwarmState:
        """The state to be shown now."""
        self._came = bool(self._intake.take(TERMINAL.take))
        return self._player.advance(time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether a recording was shown to its end."""
        return self._replay and not self._came and self._playback.at_ms >= self._playback.last_ms


def _draw(watching: _Watching) -> None:
    with Live(console=Console(), auto_refresh=False) as live, _keys() as pressed:
        while not watching.is_over:
            lines = screen(watching.look(), watching.feed.status)
            live.update(Text("\n").join(map(_text, lines)), refresh=True)
            if pressed(TERMINAL.look):
                return


def _tell(watching: _Watching) -> None:
    while not watching.is_over:
        sys.stdout.write(f"{calm_line(watching.look(), watching.feed.status)}\n")
        sys.stdout.flush()
        time.sleep(TERMINAL.line)


def _text(line: TextLine) -> Text:
    return Text.assemble(*((piece.text, _STYLES[piece.style]) for piece in line))


@contextlib.contextmanager
def _keys() -> Iterator[_Pressed]:
    """Looks whether a key that ends it was pressed. Where nobody can type, it only waits."""
    if not sys.stdin.isatty():
        yield _Pressed(None)
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield _Pressed(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Pressed:
    """Waits for a key."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, timeout: float) -> bool:
        """Whether one that ends the view was pressed within so many seconds."""
        if self._descriptor is None:
            time.sleep(timeout)
            return False
        readable, _, _ = select.select([self._descriptor], [], [], timeout)
        return bool(readable) and os.read(self._descriptor, 1) in _END
