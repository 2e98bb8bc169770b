"""Where the command line enters: what is to be watched, and how. Loads pygame only when something is drawn."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cicada.bus.remote import WatchKeys
from cicada.errors import Unavailable
from visualizer.controls.bindings import Bindings
from visualizer.instants import FIRST, LAST, Instant
from visualizer.limits import WINDOW
from visualizer.view import Theme, View

if TYPE_CHECKING:
    from visualizer.headless import Progress, Tape
    from visualizer.parts import Feeding, Story


class Live(NamedTuple):
    """A running swarm: endpoints of its bus and of its snapshots, and its launcher's control socket (empty: read-only).

    ``logs``: the folder of its logs, when it is on this machine. ``keys``: what lets in at a bus elsewhere.
    """

    title: str
    events: str
    snapshots: str
    control: str = ""
    logs: Path | None = None
    keys: WatchKeys | None = None


class Recorded(NamedTuple):
    """The recorded events of a run."""

    title: str
    path: Path
    logs: Path | None = None


class Look(NamedTuple):
    """How it is to be shown. ``keys``: other keys than the usual ones, by name."""

    size: tuple[int, int] = (WINDOW.width, WINDOW.height)
    theme: Theme = Theme.DARK
    text: bool = False
    keys: Mapping[str, object] = {}
    speed: float = 1.0


def has_display() -> bool:
    """Whether a window can be expected to open: on Unix a display server has a name."""
    if os.environ.get("SDL_VIDEODRIVER"):
        return True
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def require_pygame() -> None:
    """Raises Unavailable, with what to install, when nothing can be drawn."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # standard output is for data
    try:
        import pygame  # noqa: F401  # whether it is there is all that is asked
    except ImportError:
        raise Unavailable(
            "the window needs pygame-ce: pip install 'cicada-swarm[viz]' (without it there is --text)"
        ) from None


def watch(subject: Live | Recorded, look: Look) -> None:
    """Show it until whoever watches has enough: in a window, or as text when that is asked for.

    Raises NoDisplay where no window can be opened, and Misuse for keys that cannot be. Ctrl-C is raised on.
    """
    bindings = Bindings().changed(look.keys)
    if look.text:
        _watch_text(subject, look)
        return
    require_pygame()
    from visualizer.app import Show, Window
    from visualizer.commands import Commander
    from visualizer.draw.pace import calm_collector
    from visualizer.stage import make_stage
    from visualizer.wiring import make_player

    feed, story = _source(subject)
    is_live = isinstance(subject, Live)
    show = Show(
        title=subject.title,
        feed=feed,
        story=story,
        commander=Commander(subject.control if isinstance(subject, Live) else ""),
        make_player=partial(make_player, is_live=is_live),
        make_stage=make_stage,
        logs=subject.logs,
        budget=WINDOW.take if is_live else WINDOW.read,
    )
    window = Window(show, _view(subject, look), size=look.size, bindings=bindings)
    try:
        window.open()
        calm_collector()
        window.run()
    finally:
        window.close()


def _watch_text(subject: Live | Recorded, look: Look) -> None:
    from visualizer import terminal
    from visualizer.wiring import make_player

    feed, story = _source(subject)
    playback = _view(subject, look).playback
    player = make_player(story, playback, is_live=isinstance(subject, Live))
    terminal.watch(feed, story, player, playback, replay=isinstance(subject, Recorded))


def shoot(subject: Recorded, look: Look, when: Instant, path: Path) -> str:
    """Keep a picture of an instant. Returns what somebody ought to know about it. Raises as headless.shoot does."""
    require_pygame()
    from visualizer.headless import shoot as keep

    tape = _tape(subject, look)
    try:
        return keep(tape, _view(subject, look), when, path)
    finally:
        tape.feed.close()


def film(
    subject: Recorded,
    look: Look,
    path: Path,
    *,
    start: Instant = FIRST,
    end: Instant = LAST,
    progress: Progress,
) -> str:
    """Keep a film. Returns what somebody ought to know about it. Raises as headless.film does."""
    require_pygame()
    from visualizer.headless import film as keep

    tape = _tape(subject, look)
    try:
        return keep(
            tape, _view(subject, look), path, start=start, end=end, speed=look.speed, progress=progress
        )
    finally:
        tape.feed.close()


def _tape(subject: Recorded, look: Look) -> Tape:
    from visualizer.headless import Tape
    from visualizer.stage import make_stage

    feed, story = _source(subject)
    return Tape(feed, story, make_stage, look.size)


def _source(subject: Live | Recorded) -> tuple[Feeding, Story]:
    from visualizer.wiring import live_feed, new_story, recorded_feed

    if isinstance(subject, Recorded):
        return recorded_feed(subject.path), new_story()
    return live_feed(subject.events, subject.snapshots, subject.keys), new_story()


def _view(subject: Live | Recorded, look: Look) -> View:
    view = View(title=subject.title, theme=look.theme)
    view.playback.speed = look.speed
    return view
