"""The mouse: pointing, choosing, drawing rectangles, moving the picture, and the parts of panels."""

from __future__ import annotations

from dataclasses import dataclass

from visualizer.controls import looking, playing, prompts
from visualizer.controls.actions import Action
from visualizer.controls.desk import Desk
from visualizer.controls.inputs import Button, Move, Pixel, Press, Release, Wheel
from visualizer.limits import WINDOW
from visualizer.model.state import Kind
from visualizer.view import Prompt

_SCRUBBER = "scrubber"
_BUTTONS = {
    "play": playing.pause,
    "slower": playing.slower,
    "faster": playing.faster,
    "live": playing.live,
    "keys": looking.show_keys,
}
_KINDS = frozenset(kind.value for kind in Kind)


@dataclass(slots=True)
class Mouse:
    """Which button is held since where, and what for."""

    held: Button | None = None
    since: Pixel = (0, 0)
    last: Pixel = (0, 0)
    panel: str = ""  # the part on which the button went down
    dragging: bool = False

    def handle(self, given: Press | Move | Release | Wheel, desk: Desk) -> list[Action]:
        """What follows from it."""
        match given:
            case Wheel(pixel, notches):
                if not desk.sight.panel_at(pixel):
                    looking.zoom(desk, pixel, notches)
            case Press():
                return self._press(given, desk)
            case Move(pixel):
                return self._move(pixel, desk)
            case Release():
                return self._release(given, desk)
        return []

    def _press(self, press: Press, desk: Desk) -> list[Action]:
        if self.held is not None:
            return []  # the other button of a drag
        self.held, self.since, self.last, self.dragging = press.button, press.pixel, press.pixel, False
        self.panel = desk.sight.panel_at(press.pixel)
        return self._scrub(press.pixel, desk)

    def _move(self, pixel: Pixel, desk: Desk) -> list[Action]:
        if self.held is None:
            desk.view.hovered = "" if desk.sight.panel_at(pixel) else desk.sight.peer_at(pixel)
            return []
        self.dragging = self.dragging or _far(self.since, pixel)
        if self.panel:
            return self._scrub(pixel, desk)
        if self.held is not Button.LEFT:
            looking.pan(desk, pixel[0] - self.last[0], pixel[1] - self.last[1])
        elif self.dragging:
            desk.view.rectangle = (*self.since, *pixel)
        self.last = pixel
        return []

    def _release(self, release: Release, desk: Desk) -> list[Action]:
        if release.button is not self.held:
            return []
        held, self.held = self.held, None
        dragged = self.dragging or _far(self.since, release.pixel)
        desk.view.rectangle = None
        if held is not Button.LEFT:
            return []
        if self.panel:
            return [] if dragged else on_panel(self.panel, desk)
        if dragged:
            return _choose(desk, desk.sight.in_rectangle(corners(self.since, release.pixel)), release.shift)
        return _click(desk, desk.sight.peer_at(release.pixel), release.shift)

    def _scrub(self, pixel: Pixel, desk: Desk) -> list[Action]:
        """While the left button is held over the timeline, its instant is shown."""
        part, _, share = desk.sight.panel_at(pixel).partition(":")
        if self.held is Button.LEFT and self.panel.startswith(_SCRUBBER) and part == _SCRUBBER:
            return [playing.seek_share(desk, _number(share))]
        return []


def corners(one: Pixel, other: Pixel) -> tuple[int, int, int, int]:
    """The upper left and the lower right corner of what two pixels span."""
    (left, right), (top, bottom) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return left, top, right, bottom


def on_panel(part: str, desk: Desk) -> list[Action]:
    """What follows from a click on a part of a panel."""
    what, _, which = part.partition(":")
    match what:
        case "kind" if which in _KINDS:
            return looking.toggle_kind(desk, Kind(which))
        case "group":
            desk.view.only_group = "" if desk.view.only_group == which else which
        case "peer" if which in desk.state.peers:
            return _click(desk, which, shift=False)
        case "log":
            return _jump(desk, which)
        case _ if part in _BUTTONS:
            return _BUTTONS[part](desk)
        case _:
            pass
    return []


def _jump(desk: Desk, number: str) -> list[Action]:
    """A line of the log leads to its peer, and to its instant where time does not run."""
    log = desk.state.log
    index = int(_number(number))
    if not 0 <= index < len(log):
        return []
    line = log[index]
    if line.peer in desk.state.peers:
        desk.view.selected, desk.view.pinned = {line.peer}, line.peer
    return [] if desk.view.playback.live else [playing.seek(desk, line.time_ms)]


def _click(desk: Desk, peer: str, shift: bool) -> list[Action]:
    view = desk.view
    if peer and view.prompt is not Prompt.NONE:
        return prompts.on_click(desk, peer)
    if not peer:
        if not shift and view.prompt is Prompt.NONE:
            view.selected, view.pinned = set(), ""
        return []
    if shift:
        view.selected ^= {peer}
        view.pinned = peer if peer in view.selected else ""
    else:
        view.selected, view.pinned = {peer}, peer
    return []


def _choose(desk: Desk, peers: set[str], shift: bool) -> list[Action]:
    view = desk.view
    view.selected = view.selected | peers if shift else set(peers)
    if view.pinned not in view.selected:
        view.pinned = ""
    return desk.say(f"{len(view.selected)} selected")


def _far(one: Pixel, other: Pixel) -> bool:
    return abs(one[0] - other[0]) > WINDOW.click or abs(one[1] - other[1]) > WINDOW.click


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
