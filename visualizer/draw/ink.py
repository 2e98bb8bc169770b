"""The layer of lines that the viewer asked for: tables of the selection, and the way of the followed message."""

from __future__ import annotations

import math
from typing import Final

import pygame

from visualizer.model.state import Kind
from visualizer.scene.areas import Area
from visualizer.scene.camera import Point
from visualizer.scene.palette import Colour, Palette, mixed
from visualizer.scene.paths import Ending, Segment, Trace, along, curve

FINE: Final = 2
RECEIPT_SHARE: Final = 0.6  # of its colour: a receipt goes back beside what it is for
HEAD: Final = 9.0  # pixels of an arrow's head
DEEPEST: Final = 5  # hops of a broadcast that are told apart by colour
SMOOTH: Final = 22  # pieces of a bowed line
DASHED: Final = 41  # of one that is seen by halves
CROSS_AT: Final = 0.16  # of a hop's way: just after who altered it
KEEP: Final = 12.0  # pixels from a peer's middle where an arrow ends


class Ink:
    """Redrawn when the lines, the camera or the theme changed."""

    def __init__(self) -> None:
        self._key: object = None
        self._surface: pygame.Surface | None = None

    def surface(
        self,
        segments: list[Segment],
        origin: Point,
        radius: float,
        area: Area,
        palette: Palette,
        scale: float,
    ) -> pygame.Surface | None:
        """The layer, premultiplied; None when there is nothing to draw."""
        if not segments:
            self._key = self._surface = None
            return None
        key = segments, origin, radius, area, id(palette)
        if key != self._key or self._surface is None:
            self._key = key
            big = pygame.Surface((area.w * FINE, area.h * FINE), pygame.SRCALPHA)
            pen = _Pen(big, origin, radius, palette, scale)
            for segment in segments:
                pen.draw(segment)
            self._surface = pygame.transform.smoothscale(big, (area.w, area.h))
        return self._surface


class _Pen:
    def __init__(
        self, surface: pygame.Surface, origin: Point, radius: float, palette: Palette, scale: float
    ) -> None:
        self._surface, self._origin, self._radius = surface, origin, radius
        self._palette, self._scale = palette, scale

    def draw(self, segment: Segment) -> None:
        colour, width = self._style(segment)
        pieces = DASHED if segment.is_spoiled else SMOOTH
        points = [self._pixel(point) for point in curve(segment, pieces)]
        if segment.ending is Ending.LOST:
            points = _shortened(points, math.dist(points[0], points[-1]) / 3)
        elif segment.ending is not Ending.NONE:
            points = _shortened(points, KEEP * self._scale * FINE)
        if segment.is_spoiled and segment.trace is Trace.HOP:
            self._dashes(colour, points, width)
        else:
            _polyline(self._surface, colour, points, width)
        self._end(segment, points, colour, width)

    def _dashes(self, colour: Colour, points: list[Point], width: float) -> None:
        for index in range(0, len(points) - 1, 2):
            _polyline(self._surface, colour, points[index : index + 2], width)

    def _style(self, segment: Segment) -> tuple[Colour, float]:
        palette, thin, thick = self._palette, 1.2 * self._scale * FINE, 2.4 * self._scale * FINE
        if segment.trace is Trace.FINGER:
            return mixed(palette.finger, palette.ground, 0.85), thin
        if segment.trace is Trace.LINK:
            return mixed(palette.accent, palette.ground, 0.5), thin
        if segment.trace is Trace.TREE:
            share = max(0.0, 1 - (segment.depth - 1) / DEEPEST)
            colour = palette.bad if segment.is_spoiled else mixed(palette.hot, palette.accent, share)
            return colour, thin + (thick - thin) * share
        colour = palette.message(segment.kind, segment.copy)
        if segment.kind is Kind.RECEIPT:
            return mixed(colour, palette.ground, RECEIPT_SHARE), thin
        return colour, thick

    def _pixel(self, point: Point) -> Point:
        return (
            (self._origin[0] + point[0] * self._radius) * FINE,
            (self._origin[1] + point[1] * self._radius) * FINE,
        )

    def _end(self, segment: Segment, points: list[Point], colour: Colour, width: float) -> None:
        if len(points) < 2 or segment.ending is Ending.NONE:
            return
        tip, angle = points[-1], math.atan2(points[-1][1] - points[-2][1], points[-1][0] - points[-2][0])
        size = HEAD * self._scale * FINE
        if segment.ending is Ending.LOST:
            for bar in (_off(tip, angle, size * 0.2), _off(tip, angle, size * 0.9)):
                ends = [_off(bar, angle + 1.2, size * 0.8), _off(bar, angle + 1.2 + math.pi, size * 0.8)]
                _polyline(self._surface, self._palette.bad, ends, width * 0.8)
            return
        corners = [tip, _off(tip, angle + 2.72, size), _off(tip, angle - 2.72, size)]
        pygame.draw.polygon(self._surface, colour, corners)
        if segment.ending is Ending.ALTERED:
            self._cross(self._pixel(along(segment.start, segment.end, segment.bend, CROSS_AT)), size, width)

    def _cross(self, middle: Point, size: float, width: float) -> None:
        pygame.draw.circle(self._surface, self._palette.ground, middle, size * 1.2)
        pygame.draw.circle(self._surface, self._palette.bad, middle, size * 1.2, max(2, round(width * 0.7)))
        for turn in (math.pi / 4, -math.pi / 4):
            ends = [_off(middle, turn, size * 0.62), _off(middle, turn + math.pi, size * 0.62)]
            _polyline(self._surface, self._palette.bad, ends, width)


def _off(point: Point, angle: float, by: float) -> Point:
    return point[0] + math.cos(angle) * by, point[1] + math.sin(angle) * by


def _polyline(surface: pygame.Surface, colour: Colour, points: list[Point], width: float) -> None:
    """Thick lines with round joints."""
    thick = max(1, round(width))
    pygame.draw.lines(surface, colour, False, points, thick)
    if thick > 3:
        for point in points:
            pygame.draw.circle(surface, colour, point, thick / 2)


def _shortened(points: list[Point], by: float) -> list[Point]:
    """A polyline without its last ``by`` pixels, at least two points of it."""
    points = list(points)
    while len(points) > 2 and math.dist(points[-1], points[-2]) < by:
        by -= math.dist(points[-1], points[-2])
        points.pop()
    length = math.dist(points[-1], points[-2])
    if length > by:
        share = (length - by) / length
        last, before = points[-1], points[-2]
        points[-1] = before[0] + (last[0] - before[0]) * share, before[1] + (last[1] - before[1]) * share
    return points
