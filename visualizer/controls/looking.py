"""Keys that change what is seen, and how."""

from __future__ import annotations

from visualizer.controls.actions import Action, FullScreen, Quit, Screenshot
from visualizer.controls.desk import Desk
from visualizer.limits import WINDOW
from visualizer.model.state import Kind
from visualizer.view import Camera, Prompt, Theme

KINDS = tuple(Kind)[:9]
"""Those that a digit switches, in its order."""


def select(desk: Desk) -> list[Action]:
    """Back to selecting: first what is asked for or drawn over the ring goes, then the selection."""
    view = desk.view
    if view.prompt is not Prompt.NONE:
        desk.clear_prompt()
        view.found = set()
    elif view.shows_keys:
        view.shows_keys = False
    elif view.results or view.followed or view.found:
        view.results, view.followed, view.found = (), "", set()
    else:
        view.selected, view.pinned = set(), ""
        view.shows_fingers = view.shows_known = False
    return []


def fingers(desk: Desk) -> list[Action]:
    """Chords and the table of the selected peer's fingers."""
    return _table(desk, "shows_fingers", "shows_known")


def known(desk: Desk) -> list[Action]:
    """All peers that the selected one knows."""
    return _table(desk, "shows_known", "shows_fingers")


def _table(desk: Desk, shown: str, other: str) -> list[Action]:
    """One table at a time, of somebody."""
    view = desk.view
    if not desk.chosen:
        return desk.say("select a peer first")
    if not view.pinned:
        view.pinned = desk.via
    setattr(view, shown, not getattr(view, shown))
    setattr(view, other, False)
    return []


def find(desk: Desk) -> list[Action]:
    """Search for peers by what is typed."""
    return desk.prompt(Prompt.FIND)


def even_spacing(desk: Desk) -> list[Action]:
    """Everybody at the same distance from the next, in order of their places; or where their places are."""
    desk.view.even_spacing = not desk.view.even_spacing
    return desk.say("evenly spaced, in order" if desk.view.even_spacing else "everybody at its place")


def theme(desk: Desk) -> list[Action]:
    """Dark or light."""
    desk.view.theme = Theme.LIGHT if desk.view.theme is Theme.DARK else Theme.DARK
    return []


def next_group(desk: Desk) -> list[Action]:
    """Only the next group, and after the last all of them."""
    groups = ["", *sorted({peer.group for peer in desk.state.peers.values() if peer.group})]
    before = groups.index(desk.view.only_group) if desk.view.only_group in groups else 0
    desk.view.only_group = groups[(before + 1) % len(groups)]
    return desk.say(f"only {desk.view.only_group}" if desk.view.only_group else "all groups")


def show_keys(desk: Desk) -> list[Action]:
    """The sheet of all keys."""
    desk.view.shows_keys = not desk.view.shows_keys
    return []


def show_log(desk: Desk) -> list[Action]:
    """The log of events."""
    desk.view.shows_log = not desk.view.shows_log
    return []


def show_traffic(desk: Desk) -> list[Action]:
    """Messages on their way, but for those of the trip that is followed, and how much every edge carries."""
    desk.view.shows_traffic = not desk.view.shows_traffic
    return desk.say("traffic is shown" if desk.view.shows_traffic else "traffic is not shown")


def toggle_kind(desk: Desk, kind: Kind) -> list[Action]:
    """Events and messages of a kind, shown or not."""
    desk.view.hidden_kinds ^= {kind}
    hidden = kind in desk.view.hidden_kinds
    return desk.say(f"{kind.value}: {'not ' if hidden else ''}shown")


def fit(desk: Desk) -> list[Action]:
    """The whole ring again."""
    desk.view.camera = Camera()
    return []


def pan(desk: Desk, right: int, down: int) -> None:
    """Move the picture by so many pixels."""
    desk.view.camera = desk.sight.panned(desk.view.camera, right, down)


def zoom(desk: Desk, pixel: tuple[int, int], notches: int) -> None:
    """Nearer or farther; what is under the pointer stays there."""
    desk.view.camera = desk.sight.zoomed(desk.view.camera, WINDOW.zoom_step**notches, pixel)


def zoom_in(desk: Desk) -> list[Action]:
    """Nearer to the middle of the window."""
    zoom(desk, _middle(desk), 1)
    return []


def zoom_out(desk: Desk) -> list[Action]:
    """Farther from it."""
    zoom(desk, _middle(desk), -1)
    return []


def full_screen(_: Desk) -> list[Action]:
    """Fill the screen, or no more."""
    return [FullScreen()]


def screenshot(_: Desk) -> list[Action]:
    """Keep this picture in a file."""
    return [Screenshot()]


def leave(_: Desk) -> list[Action]:
    """Close the window."""
    return [Quit()]


def _middle(desk: Desk) -> tuple[int, int]:
    width, height = desk.sight.size
    return width // 2, height // 2
