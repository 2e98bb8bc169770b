"""What a control works on: the swarm as it is shown, the view that it changes, and what lies under the pointer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cicada.commands import AnyCommand
from visualizer.controls.actions import Action, Ask
from visualizer.controls.inputs import Pixel
from visualizer.limits import WINDOW
from visualizer.model.state import PeerState, SwarmState
from visualizer.view import Camera, Notice, Prompt, View

ENDED = (PeerState.LEFT, PeerState.DEAD)
OUTSIDE = (*ENDED, PeerState.STARTING)  # in no ring, and nobody brings them there


class Sight(Protocol):
    """What only the layout, the drawing and the history know."""

    @property
    def size(self) -> Pixel:
        """Of the window."""
        ...

    def peer_at(self, pixel: Pixel) -> str:
        """The name of the peer that is drawn there; empty: none."""
        ...

    def in_rectangle(self, rectangle: tuple[int, int, int, int]) -> set[str]:
        """The peers drawn within two corners."""
        ...

    def panel_at(self, pixel: Pixel) -> str:
        """The part of a panel that is drawn there, as ``kind:data``; empty: none."""
        ...

    def zoomed(self, camera: Camera, factor: float, pixel: Pixel) -> Camera:
        """Nearer by a factor, with what is under the pixel staying there, as far as that goes."""
        ...

    def panned(self, camera: Camera, right: float, down: float) -> Camera:
        """The picture moved by so many pixels, as far as that goes."""
        ...

    def find(self, text: str) -> Sequence[str]:
        """Peers that a text may mean, the best first."""
        ...

    def next_fault(self, after_ms: float) -> int | None:
        """When the next fault, death or missed expectation after an instant was; None: there is none."""
        ...


@dataclass(slots=True)
class Desk:
    """One input is handled with one of these. ``now``: seconds on the window's clock."""

    state: SwarmState
    view: View
    sight: Sight
    now: float
    shift: bool = False

    def say(self, text: str, *, bad: bool = False) -> list[Action]:
        """Show a sentence for a while. No action follows."""
        lasts = WINDOW.longer_notice if bad else WINDOW.notice
        self.view.notice = Notice(text, bad, self.now + lasts)
        return []

    def ask(self, command: AnyCommand, title: str) -> list[Action]:
        """Have a command carried out, unless nobody here may command."""
        if not self.view.feed.can_command:
            return self.say(f"{title}: not possible, {read_only(self.view)}", bad=True)
        self.say(f"{title} ...")
        return [Ask(command, title)]

    def prompt(self, prompt: Prompt) -> list[Action]:
        """Ask for a click or a line."""
        self.view.prompt, self.view.typed = prompt, ""
        return []

    def clear_prompt(self) -> None:
        """Nothing is asked any more."""
        self.view.prompt, self.view.typed = Prompt.NONE, ""

    @property
    def chosen(self) -> list[str]:
        """The selected peers that are still there, in the order of their names."""
        return sorted(self.view.selected & self.state.peers.keys(), key=by_number)

    @property
    def via(self) -> str:
        """Who asks or sends on our behalf: the one that is selected, or pinned among several; empty: whoever."""
        if self.view.pinned in self.view.selected:
            return self.view.pinned
        chosen = self.chosen
        return chosen[0] if chosen else ""


def read_only(view: View) -> str:
    """Why nothing can be asked, in words."""
    return "this is a recording" if view.feed.source.endswith(".jsonl") else "the swarm is only watched here"


def named(names: Iterable[str]) -> str:
    """``core-3``, or ``4 peers``."""
    every = list(names)
    return every[0] if len(every) == 1 else f"{len(every)} peers"


def selector(names: Iterable[str]) -> str:
    """These peers as a command names them."""
    return ",".join(names)


def by_number(name: str) -> tuple[str, int, str]:
    """Peers of a group in the order of their numbers."""
    group, _, number = name.rpartition("-")
    return (group, int(number), name) if number.isdecimal() else (name, 0, name)
