"""The view without a display: drawn over on a terminal, a line for each look elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import sys
import time
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.live import Live
from rich.text import Text

from visualizer.intake import Intake
from visualizer.limits import TERMINAL
from visualizer.model.state import PeerState, SwarmState
from visualizer.parts import Feeding, Playing, Story
from visualizer.textlines import MARKS, PLAIN_MARKS, TextLine, calm_line, screen
from visualizer.view import Playback

_STYLES = {"": "", "good": "green", "bad": "red", "strong": "bold", "faint": "dim"}
_END = b"qQ"
_AT_ONCE = 256  # bytes: more than keys send between two looks
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]?|O.?|.)?", re.DOTALL)
"""What a terminal sends for keys that type nothing: arrows, F2 (which has a Q in it); and for others with Alt."""


def watch(feed: Feeding, story: Story, player: Playing, playback: Playback, *, replay: bool = False) -> None:
    """Show the swarm until q, Ctrl-C (KeyboardInterrupt is raised on), or the end of a recording. Closes the feed."""
    watching = _Watching(feed, story, player, playback, replay=replay)
    try:
        with _writable():
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


@contextlib.contextmanager
def _writable() -> Iterator[None]:
    """Names and texts come from other machines: letters that this terminal does not have are question marks."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper):
        yield
        return
    before = stdout.errors
    stdout.reconfigure(errors="replace")
    try:
        yield
    finally:
        stdout.reconfigure(errors=before)


def _marks() -> Mapping[PeerState, str]:
    """Those that standard output can write."""
    try:
        "".join(MARKS.values()).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_MARKS
    return MARKS


def _draw(watching: _Watching) -> None:
    marks = _marks()
    with Live(console=Console(), auto_refresh=False) as live, _keys() as pressed:
        while not watching.is_over:
            lines = screen(watching.look(), watching.feed.status, marks)
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
        return bool(readable) and ends(os.read(self._descriptor, _AT_ONCE))


def ends(typed: bytes) -> bool:
    """Whether what was typed ends the view: a q in it that is not a part of another key."""
    return any(key in _END for key in _SEQUENCE.sub(b"", typed))
