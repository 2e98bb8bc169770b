"""From ring units to pixels and back. The ring has radius 1 about the origin; y grows downwards, as in the window."""

from __future__ import annotations

import math
from typing import Final

from visualizer.scene.areas import Area, Size, areas
from visualizer.view import Camera

Point = tuple[float, float]

REACH: Final = (
    1.2  # ring radii from the middle to the edge of the field at zoom 1: room for hidden peers and labels
)
LEAST_ZOOM: Final = 0.5
MOST_ZOOM: Final = 80.0  # a thousand neighbours are then a finger's breadth apart
ROAMING: Final = 1.3  # how far from the origin the middle may be, in ring radii


def pixels_per_radius(camera: Camera, field: Area) -> float:
    """Pixels that the ring's radius takes."""
    return max(1.0, min(field.w, field.h) / 2 / REACH) * camera.zoom


def to_window(point: Point, camera: Camera, size: Size) -> Point:
    """The pixel of a point in ring units. The camera's ``x`` and ``y`` are in the middle of the ring's field."""
    field = areas(size).field
    scale = pixels_per_radius(camera, field)
    middle = field.middle
    return middle[0] + (point[0] - camera.x) * scale, middle[1] + (point[1] - camera.y) * scale


def to_ring(pixel: Point, camera: Camera, size: Size) -> Point:
    """The point in ring units under a pixel."""
    field = areas(size).field
    scale = pixels_per_radius(camera, field)
    middle = field.middle
    return camera.x + (pixel[0] - middle[0]) / scale, camera.y + (pixel[1] - middle[1]) / scale


def zoomed(camera: Camera, factor: float, pixel: Point, size: Size) -> Camera:
    """Nearer by ``factor`` with what is under ``pixel`` staying there, as far as the limits let it."""
    there = to_ring(pixel, camera, size)
    zoom = min(MOST_ZOOM, max(LEAST_ZOOM, camera.zoom * factor))
    ratio = camera.zoom / zoom
    return _clamped(there[0] + (camera.x - there[0]) * ratio, there[1] + (camera.y - there[1]) * ratio, zoom)


def panned(camera: Camera, right: float, down: float, size: Size) -> Camera:
    """The picture moved by so many pixels."""
    scale = pixels_per_radius(camera, areas(size).field)
    return _clamped(camera.x - right / scale, camera.y - down / scale, camera.zoom)


def fitted() -> Camera:
    """The whole ring."""
    return Camera()


def _clamped(x: float, y: float, zoom: float) -> Camera:
    far = math.hypot(x, y)
    shrink = min(1.0, ROAMING / far) if far else 1.0
    return Camera(x=x * shrink, y=y * shrink, zoom=zoom)
