"""Limits and timings of the window, each with its unit and reason."""

from __future__ import annotations

from typing import Final

import msgspec


class WindowLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the window waits for, keeps and shows."""

    frames: int = 60  # a second: more is not seen, and costs the swarm beside it a core
    unseen_frames: int = (
        20  # a second, of a window that is minimized: it takes in what comes, and draws nothing
    )
    width: int = 1600  # pixels; smaller where the screen is
    height: int = 900
    smallest: int = 320  # pixels: below that there is nothing to see, and a panel has no room
    largest: int = 7680  # pixels: a picture of such a side still fits into memory
    take: int = 1_000  # events folded in a frame at most, which takes some 20 ms
    read: int = 5_000  # of a recording: what is to come is waited for there
    notice: float = 4.0  # seconds: long enough to read a sentence
    longer_notice: float = 10.0  # what somebody ought to act on
    click: int = 5  # pixels that a hand moves while it clicks
    zoom_step: float = 1.15  # a notch of the wheel: five double the picture
    pan: int = 80  # pixels that an arrow key moves the picture by
    scrub_ms: float = 1000.0  # an arrow key; people look for seconds
    typed: int = 128  # characters: a place in hex has 64
    results: int = 14  # lines of an answer; the rest is counted
    log_tail: int = 8  # lines of a peer's own log, in its inspector
    log_look: float = 1.0  # seconds between two looks at that file
    log_bytes: int = 16_384  # from the end of that file
    copies: int = 9  # asked for by one digit
    following: float = 5.0  # seconds for the hops of an answered request to arrive
    timeline: float = 0.5  # seconds between two looks at how many events came when
    buckets: int = 240  # of the timeline: a few pixels each


class CommanderLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The thread that asks the launcher."""

    waiting: int = 16  # commands not answered yet; a hand is not faster
    outcomes: int = 64  # answers that nobody took yet
    change: float = 60.0  # seconds: starting or ending many peers
    read: float = 15.0  # seconds: lookups and messages, their own time-outs included
    close: float = 3.0  # seconds for the thread to end


class TerminalLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The view without a display."""

    look: float = 0.5  # seconds between two pictures: people read no faster
    line: float = 1.0  # seconds between two lines where lines cannot be drawn over
    take: int = 100_000  # events folded in between
    busiest: int = 8  # peers shown
    last: int = 10  # events shown


class FilmLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Films and pictures of recordings."""

    frames: int = 30  # a second, of mp4
    gif_frames: int = 10  # a second: a gif has no compression over time to speak of
    longest: float = 600.0  # seconds of film: the rest is left out, and said


WINDOW: Final = WindowLimits()
COMMANDER: Final = CommanderLimits()
TERMINAL: Final = TerminalLimits()
FILM: Final = FilmLimits()
