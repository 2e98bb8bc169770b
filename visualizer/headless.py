"""Pictures and films of a recording, without a window."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pygame

from cicada.errors import Misuse, Unavailable
from visualizer.controls.bindings import Bindings
from visualizer.instants import FIRST, LAST, Instant
from visualizer.intake import Intake
from visualizer.limits import FILM, WINDOW
from visualizer.parts import Feeding, MakeStage, Stage, Story
from visualizer.pictures import keep_picture
from visualizer.view import View

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tga")
FILMS = (".mp4", ".gif")

Progress = Callable[[float], None]
"""Told which share of the work is done."""


class Tape(NamedTuple):
    """A recording and what draws it."""

    feed: Feeding
    story: Story
    make_stage: MakeStage
    size: tuple[int, int] = (WINDOW.width, WINDOW.height)


def shoot(tape: Tape, view: View, when: Instant, path: Path) -> str:
    """Keep the picture of an instant. Returns what somebody ought to know about it; empty when nothing.

    Raises Misuse when the file's name says of no kind of picture that is known, Unavailable when it cannot be written, or there is
    nothing to see.
    """
    _require_suffix(path, PICTURES)
    with _drawn(tape, view) as pictures:
        keep_picture(pictures.at(when.at(pictures.first, pictures.last)), path)
        return _too_short(when, pictures)


def film(
    tape: Tape,
    view: View,
    path: Path,
    *,
    start: Instant = FIRST,
    end: Instant = LAST,
    speed: float = 1.0,
    progress: Progress = lambda _: None,
) -> str:
    """Keep a film from ``start`` to ``end``, ``speed`` times as fast as it was. Returns as ``shoot`` does.

    Raises Misuse and Unavailable as ``shoot`` does, Misuse when ``start`` is after ``end``, and Unavailable when the extra that
    films need is missing.
    """
    _require_suffix(path, FILMS)
    require_films()
    frames = FILM.gif_frames if path.suffix == ".gif" else FILM.frames
    with _drawn(tape, view) as pictures:
        first, last = start.at(pictures.first, pictures.last), end.at(pictures.first, pictures.last)
        if first > last:
            raise Misuse(
                f"--from is {_since(first, pictures)} and --to {_since(last, pictures)} after the beginning of the recording: "
                "a film does not run backwards"
            )
        wanted = (last - first) / 1000 / speed
        count = max(1, round(min(wanted, FILM.longest) * frames))
        with _writer(path, frames) as write:
            for index in range(count):
                write(pictures.at(first + index * 1000 * speed / frames, index / frames))
                progress((index + 1) / count)
        if wanted > FILM.longest:
            return f"the film ends after {FILM.longest:g} s of {wanted:.0f}: choose --from and --to, or a higher --speed"
        return _too_short(start, pictures)


def require_films() -> None:
    """Raises Unavailable, with what to install, when no film can be made."""
    try:
        import imageio.v2  # noqa: F401  # whether they are there is all that is asked
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise Unavailable(f"films need {error.name}: pip install 'cicada-swarm[viz]'") from None


class _Pictures:
    """Pictures of a recording, instant by instant."""

    def __init__(self, tape: Tape, view: View, stage: Stage) -> None:
        self._story = tape.story
        self._view = view
        self._stage = stage
        self._surface = pygame.Surface(tape.size)
        intake = Intake(tape.feed, tape.story)
        while intake.take(WINDOW.read):
            pass
        intake.mark(view.playback, 0.0)
        self.first, self.last = tape.story.first_ms, tape.story.last_ms

    def at(self, ms: float, now: float = 0.0) -> pygame.Surface:
        """The picture of an instant; the next one is drawn over it. ``now``: seconds of the film."""
        playback = self._view.playback
        playback.live, playback.at_ms = False, ms
        self._stage.draw(self._surface, self._story.state_at(ms), self._view, now)
        return self._surface


@contextmanager
def _drawn(tape: Tape, view: View) -> Iterator[_Pictures]:
    """Pictures, as long as it is entered. Raises Unavailable when nothing is recorded."""
    with _no_display():
        stage = tape.make_stage(tape.size, view.theme, Bindings().lines(), patient=True)
        pictures = _Pictures(tape, view, stage)
        if not pictures.last:
            problem = tape.feed.status.problem
            raise Unavailable(
                f"there is nothing to see in {tape.feed.status.source}" + (f": {problem}" if problem else "")
            )
        yield pictures


@contextmanager
def _no_display() -> Iterator[None]:
    """pygame with a display that nobody sees: surfaces are made to fit some display."""
    before = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        pygame.display.init()
        pygame.font.init()
        pygame.display.set_mode((1, 1))
        yield
    finally:
        pygame.quit()
        if before is None:
            del os.environ["SDL_VIDEODRIVER"]
        else:
            os.environ["SDL_VIDEODRIVER"] = before


@contextmanager
def _writer(path: Path, frames: int) -> Iterator[Callable[[pygame.Surface], None]]:
    """Takes the pictures of a film, so many a second. Raises Unavailable when it cannot be written."""
    import imageio.v2

    options: dict[str, Any] = {"fps": frames}
    if path.suffix == ".gif":
        options = {"duration": 1000 / frames, "loop": 0}  # milliseconds each, again and again
    else:
        options["macro_block_size"] = 2  # what the codec asks of width and height
    try:
        opened: Any = imageio.v2.get_writer(path, **options)  # its types know no appending
        with opened as writer:
            yield lambda surface: writer.append_data(pygame.surfarray.array3d(surface).swapaxes(0, 1))
    except (OSError, RuntimeError) as error:
        raise Unavailable(f"the film {path} cannot be written: {error}") from None


def _require_suffix(path: Path, known: tuple[str, ...]) -> None:
    if path.suffix not in known:
        raise Misuse(f"{path}: give it a name that ends with {', '.join(known[:-1])} or {known[-1]}")


def _since(ms: float, pictures: _Pictures) -> str:
    return f"{(ms - pictures.first) / 1000:.1f} s"


def _too_short(when: Instant, pictures: _Pictures) -> str:
    if when.is_within(pictures.first, pictures.last):
        return ""
    return f"the recording is {(pictures.last - pictures.first) / 1000:.1f} s long: its last instant is shown"
