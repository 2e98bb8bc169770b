"""What whoever watches has chosen to see: plain values that controls change and drawing reads."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from visualizer.model.state import Kind, Mark

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class Theme(enum.Enum):
    """Colours."""

    DARK = "dark"
    LIGHT = "light"


class Prompt(enum.Enum):
    """What the next click or typed line is for."""

    NONE = ""
    JOIN = "click the peer to join through"
    LOOKUP = "look up: click a peer, or type a place, an address or a name"
    SEND = "send: click the peer to send to"
    FIND = "find a peer"
    PARTITION = "click a peer on the other side, or press Enter: everybody else"
    COPIES = "copies beside the first (0-9)"


@dataclass(slots=True)
class Camera:
    """The picture's place in the window. ``zoom`` 1 shows the whole ring; ``x`` and ``y`` are the middle of the window in ring
    units (the ring has radius 1 about the origin)."""

    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0


class Notice(NamedTuple):
    """A sentence at the bottom of the window until ``until`` (seconds on the window's clock)."""

    text: str
    is_bad: bool
    until: float


@dataclass(slots=True)
class Playback:
    """Time. ``live``: the newest is shown; else ``at_ms`` (wall clock of the events), which runs at ``speed`` unless paused."""

    live: bool = True
    paused: bool = False
    speed: float = 1.0
    at_ms: float = 0.0
    first_ms: int = 0
    last_ms: int = 0
    histogram: tuple[int, ...] = ()  # events in equal parts of the time from the first to the last
    marks: tuple[Mark, ...] = ()  # of that whole time; empty: those that the state has


@dataclass(slots=True)
class Feed:
    """How the stream of events does, for the status line."""

    source: str = ""
    connected: bool = False
    lag_ms: float = 0.0
    lost: int = 0
    healed: int = 0  # snapshots taken because something was lost
    can_command: bool = False
    problem: str = ""


@dataclass(slots=True)
class View:
    """Everything that is chosen. ``title``: what the swarm is called where its events do not say."""

    title: str = ""
    camera: Camera = field(default_factory=Camera)
    theme: Theme = Theme.DARK
    even_spacing: bool = False
    hovered: str = ""  # a peer's name
    selected: set[str] = field(default_factory=set)
    pinned: str = ""  # whose inspector is open
    rectangle: tuple[int, int, int, int] | None = None  # pixels: x0, y0, x1, y1 while it is drawn
    prompt: Prompt = Prompt.NONE
    typed: str = ""
    copies: int = 0  # that go beside the first of the next message
    shows_fingers: bool = False  # of the selection: chords, and a table
    shows_known: bool = False  # of the selection
    shows_keys: bool = False
    shows_log: bool = True
    shows_traffic: bool = True
    followed: str = ""  # the trip whose path is drawn: a lookup, a send, a broadcast
    results: tuple[str, ...] = ()  # what a command answered, in lines
    hidden_kinds: set[Kind] = field(default_factory=set)
    only_group: str = ""  # empty: all
    found: set[str] = field(default_factory=set)  # by the search
    notice: Notice | None = None
    log_tail: tuple[str, ...] = ()  # of the pinned peer
    playback: Playback = field(default_factory=Playback)
    feed: Feed = field(default_factory=Feed)
