"""Ring units and pixels: there and back, zoom about what is pointed at, and limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualizer.scene.areas import Size, areas
from visualizer.scene.camera import LEAST_ZOOM, MOST_ZOOM, ROAMING, fitted, panned, to_ring, to_window, zoomed
from visualizer.view import Camera

SIZES = st.tuples(st.integers(320, 3840), st.integers(240, 2160))
UNITS = st.floats(-1.5, 1.5)
CAMERAS = st.builds(
    Camera, x=st.floats(-0.9, 0.9), y=st.floats(-0.9, 0.9), zoom=st.floats(LEAST_ZOOM, MOST_ZOOM)
)
WIDE = (1600, 900)


@given(st.tuples(UNITS, UNITS), CAMERAS, SIZES)
def test_a_point_comes_back_from_the_window(point: tuple[float, float], camera: Camera, size: Size) -> None:
    back = to_ring(to_window(point, camera, size), camera, size)
    assert back == pytest.approx(point, abs=1e-9)


@given(CAMERAS, st.floats(0.2, 5), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_what_is_under_the_pointer_stays_there_when_one_zooms(
    camera: Camera, factor: float, at: tuple[float, float]
) -> None:
    field = areas(WIDE).field
    pixel = field.x + at[0] * field.w, field.y + at[1] * field.h
    nearer = zoomed(camera, factor, pixel, WIDE)
    assert LEAST_ZOOM <= nearer.zoom <= MOST_ZOOM
    if math.hypot(nearer.x, nearer.y) < ROAMING - 1e-9:
        assert to_ring(pixel, nearer, WIDE) == pytest.approx(to_ring(pixel, camera, WIDE), abs=1e-9)


@given(CAMERAS, st.floats(-9000, 9000), st.floats(-9000, 9000))
def test_the_ring_cannot_be_lost_by_moving(camera: Camera, right: float, down: float) -> None:
    moved = panned(camera, right, down, WIDE)
    assert math.hypot(moved.x, moved.y) <= ROAMING + 1e-9
    assert moved.zoom == camera.zoom


def test_moving_follows_the_mouse() -> None:
    moved = panned(Camera(zoom=2.0), 40, -25, WIDE)
    before = to_window((0.1, 0.2), Camera(zoom=2.0), WIDE)
    assert to_window((0.1, 0.2), moved, WIDE) == pytest.approx((before[0] + 40, before[1] - 25))


@given(SIZES)
def test_the_whole_ring_fits_into_its_field(size: Size) -> None:
    field, camera = areas(size).field, fitted()
    for point in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        x, y = to_window(point, camera, size)
        assert field.x <= x <= field.x + field.w
        assert field.y <= y <= field.y + field.h


@given(SIZES)
def test_the_parts_of_a_window_fill_it_without_overlapping(size: Size) -> None:
    parts = areas(size)
    every = [parts.left, parts.field, parts.right, parts.timeline, parts.status]
    assert sum(part.w * part.h for part in every) == size[0] * size[1]
    assert all(part.w >= 0 and part.h >= 0 for part in every)
    assert parts.field.w > 0
    assert parts.field.h > 0
