"""What controls want done that is not a change of the view."""

from __future__ import annotations

from typing import NamedTuple

from cicada.commands import AnyCommand


class Ask(NamedTuple):
    """Ask the swarm's launcher this; ``title`` heads the answer."""

    command: AnyCommand
    title: str


class Pause(NamedTuple):
    """Time stands still, or goes on."""


class Step(NamedTuple):
    """Time stands still, so many events further on; back when negative."""

    events: int


class Seek(NamedTuple):
    """Show this instant (ms, by the clock of the events)."""

    ms: float


class Live(NamedTuple):
    """Show the present."""


class Quit(NamedTuple):
    """Close the window. The swarm lives on, unless the window started it."""


class Screenshot(NamedTuple):
    """Keep what is shown as a picture."""


class FullScreen(NamedTuple):
    """Fill the screen with the window, or no more."""


Action = Ask | Pause | Step | Seek | Live | Quit | Screenshot | FullScreen
