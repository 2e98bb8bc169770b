"""Swarms and windows for tests of controls: everything is where a test says."""

from __future__ import annotations

from collections.abc import Sequence

from visualizer.controls.actions import Action
from visualizer.controls.bindings import NAMES, Bindings
from visualizer.controls.handler import Controls
from visualizer.controls.inputs import Button, Input, Key, Move, Pixel, Press, Release
from visualizer.model.state import PeerState, PeerView, SwarmState
from visualizer.view import Camera, Notice, View

NOW = 100.0
EMPTY = (1, 1)
"""A pixel with nothing in it."""


def peer(name: str, state: PeerState = PeerState.MEMBER, place: int = 0, group: str = "core") -> PeerView:
    return PeerView(name, f"127.0.0.1:{20000 + place}", place, group, "worker-0", state)


def swarm(count: int = 6) -> SwarmState:
    """Members ``core-0`` and so on. Each is drawn at (100 * its number + 100, 100)."""
    return SwarmState(name="test", peers={f"core-{n}": peer(f"core-{n}", place=n) for n in range(count)})


def at(name: str) -> Pixel:
    """Where a peer is drawn."""
    return 100 * int(name.rpartition("-")[2]) + 100, 100


def notice_of(view: View) -> Notice:
    """What is said at present; nothing is an empty one."""
    return view.notice or Notice("", False, 0.0)


class FakeSight:
    """Peers in a row, panels where a test puts them. One ring unit is 100 pixels at zoom 1."""

    size = (1000, 800)

    def __init__(self, state: SwarmState) -> None:
        self.state = state
        self.panels: dict[Pixel, str] = {}
        self.faults: list[int] = []

    def peer_at(self, pixel: Pixel) -> str:
        return next((name for name in self.state.peers if at(name) == pixel), "")

    def in_rectangle(self, rectangle: tuple[int, int, int, int]) -> set[str]:
        left, top, right, bottom = rectangle
        return {n for n in self.state.peers if left <= at(n)[0] <= right and top <= at(n)[1] <= bottom}

    def panel_at(self, pixel: Pixel) -> str:
        return self.panels.get(pixel, "")

    def zoomed(self, camera: Camera, factor: float, pixel: Pixel) -> Camera:
        return Camera(pixel[0] / 100, pixel[1] / 100, camera.zoom * factor)

    def panned(self, camera: Camera, right: float, down: float) -> Camera:
        return Camera(camera.x - right / 100, camera.y - down / 100, camera.zoom)

    def find(self, text: str) -> Sequence[str]:
        return [name for name in self.state.peers if text in name]

    def next_fault(self, after_ms: float) -> int | None:
        return next((ms for ms in self.faults if ms > after_ms), None)


class Hand:
    """Somebody at a window, whose inputs are handled one by one. ``actions``: what followed from all of them."""

    def __init__(self, state: SwarmState | None = None, bindings: Bindings | None = None) -> None:
        self.state = swarm() if state is None else state
        self.view = View()
        self.view.feed.can_command = True
        self.sight = FakeSight(self.state)
        self.actions: list[Action] = []
        self._controls = Controls(bindings or Bindings())

    def do(self, *inputs: Input) -> list[Action]:
        """What follows from these."""
        fresh: list[Action] = []
        for given in inputs:
            fresh += self._controls.handle(given, self.state, self.view, self.sight, NOW)
        self.actions += fresh
        return fresh

    def press(self, *keys: str, shift: bool = False) -> list[Action]:
        """Keys by what they type, or by name."""
        return self.do(*(Key(key, "" if key in NAMES else key, shift) for key in keys))

    def type(self, text: str) -> list[Action]:
        return self.press(*text)

    def click(self, where: str | Pixel, *, shift: bool = False) -> list[Action]:
        """A peer, or a pixel."""
        pixel = at(where) if isinstance(where, str) else where
        return self.do(Move(pixel), Press(pixel, Button.LEFT, shift), Release(pixel, Button.LEFT, shift))

    def drag(
        self, start: Pixel, end: Pixel, *, button: Button = Button.LEFT, shift: bool = False
    ) -> list[Action]:
        middle = ((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
        steps = (
            Move(start),
            Press(start, button, shift),
            Move(middle),
            Move(end),
            Release(end, button, shift),
        )
        return self.do(*steps)

    def seen(self) -> View:
        """The view as it is now: what an assertion found is no promise for the next."""
        return self.view

    @property
    def notice(self) -> str:
        return notice_of(self.view).text
