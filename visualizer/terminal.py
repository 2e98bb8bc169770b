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

from visualizer.limits import TERMINAL
from visualizer.parts import Feeding, Story
from visualizer.player import Player
from visualizer.textlines import TextLine, calm_line, screen
from visualizer.view import Playback

_STYLES = {"": "", "good": "green", "bad": "red", "strong": "bold", "faint": "dim"}
_END = (b"q", b"Q", b"\x1b")


def watch(feed: Feeding, story: Story, *, replay: bool = False) -> None:
    """Show the swarm until q, Ctrl-C (KeyboardInterrupt is raised on), or the end of a recording. Closes the feed."""
    player = Player(feed, story, replay=replay)
    playback = Playback()
    try:
        if sys.stdout.isatty():
            _draw(player, playback, feed, replay=replay)
        else:
            _tell(player, playback, feed, replay=replay)
    finally:
        feed.close()


def _draw(player: Player, playback: Playback, feed: Feeding, *, replay: bool) -> None:
    before = time.monotonic()
    with Live(console=Console(), auto_refresh=False) as live, _keys() as pressed:
        while True:
            now = time.monotonic()
            state = player.advance(playback, now - before, TERMINAL.take)
            before = now
            live.update(Text("\n").join(map(_text, screen(state, feed.status))), refresh=True)
            if _is_over(feed, playback, replay=replay) or pressed(TERMINAL.look):
                return


def _tell(player: Player, playback: Playback, feed: Feeding, *, replay: bool) -> None:
    before = time.monotonic()
    while True:
        now = time.monotonic()
        state = player.advance(playback, now - before, TERMINAL.take)
        before = now
        sys.stdout.write(f"{calm_line(state, feed.status)}\n")
        sys.stdout.flush()
        if _is_over(feed, playback, replay=replay):
            return
        time.sleep(TERMINAL.line)


def _is_over(feed: Feeding, playback: Playback, *, replay: bool) -> bool:
    return replay and feed.status.ended and playback.at_ms >= playback.last_ms


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
