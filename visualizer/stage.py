"""The renderer as the window wants it: it draws, and tells what lies where in its last picture."""

from __future__ import annotations

from collections.abc import Sequence

import pygame

from visualizer.controls.desk import Sight
from visualizer.controls.inputs import Pixel
from visualizer.draw.renderer import Renderer
from visualizer.model.peers import find_peers
from visualizer.model.state import SwarmState
from visualizer.parts import Stage, Story
from visualizer.scene.camera import panned, zoomed
from visualizer.view import Camera, Theme, View


def make_stage(
    size: Pixel, theme: Theme, keys: tuple[tuple[str, str], ...], /, *, patient: bool = False
) -> Stage:
    """What draws; to be made once there is a display."""
    return _Stage(Renderer(size, theme, patient=patient, keys=keys), size)


class _Stage:
    """The renderer, and what lies where in its last picture."""

    def __init__(self, renderer: Renderer, size: Pixel) -> None:
        self._renderer = renderer
        self._size = size

    def draw(self, surface: pygame.Surface, state: SwarmState, view: View, now: float) -> None:
        self._size = surface.get_size()
        self._renderer.draw(surface, state, view, now)

    def sight(self, state: SwarmState, view: View, story: Story) -> Sight:
        return _Sight(self._renderer, self._size, state, view, story)


class _Sight:
    """What lies where."""

    def __init__(self, renderer: Renderer, size: Pixel, state: SwarmState, view: View, story: Story) -> None:
        self._renderer = renderer
        self._size = size
        self._state = state
        self._view = view
        self._story = story

    @property
    def size(self) -> Pixel:
        return self._size

    def peer_at(self, pixel: Pixel) -> str:
        return self._renderer.layout.peer_at(pixel, self._state, self._view, self._size)

    def in_rectangle(self, rectangle: tuple[int, int, int, int]) -> set[str]:
        return self._renderer.layout.in_rectangle(rectangle, self._state, self._view, self._size)

    def panel_at(self, pixel: Pixel) -> str:
        return self._renderer.panel_hit(pixel)

    def zoomed(self, camera: Camera, factor: float, pixel: Pixel) -> Camera:
        return zoomed(camera, factor, pixel, self._size)

    def panned(self, camera: Camera, right: float, down: float) -> Camera:
        return panned(camera, right, down, self._size)

    def find(self, text: str) -> Sequence[str]:
        return find_peers(self._state, text)

    def next_fault(self, after_ms: float) -> int | None:
        return self._story.next_fault(after_ms)
