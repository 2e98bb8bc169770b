"""The timeline: how much happened when, faults, where in time the picture is, and how fast that moves."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import pygame

from visualizer.draw.board import Canvas
from visualizer.draw.fonts import Size, Type
from visualizer.model.state import Mark, SwarmState
from visualizer.scene.areas import Area, scale_of
from visualizer.scene.palette import Palette, mixed
from visualizer.scene.rows import clock, span
from visualizer.view import View

CONTROLS: Final = 236.0  # of the design: width of the buttons on the left
MARGIN: Final = 24.0
MINUS: Final = "\u2212"


class Timeline(NamedTuple):
    """What the timeline says."""

    live: bool
    paused: bool
    speed: float
    position: float  # of the picture, as a share of the whole
    at_ms: float
    first_ms: int
    last_ms: int
    histogram: tuple[int, ...]
    marks: tuple[Mark, ...]


def timeline(state: SwarmState, view: View, width: int) -> Timeline:
    """Reads it. The position is rounded to the pixel: what does not show draws nothing anew."""
    play = view.playback
    first, last = play.first_ms, max(play.last_ms, play.first_ms)
    at = float(last or state.now_ms) if play.live else play.at_ms
    share = (at - first) / (last - first) if last > first else 1.0
    return Timeline(
        live=play.live,
        paused=play.paused,
        speed=play.speed,
        position=round(min(1.0, max(0.0, share)) * max(1, width)) / max(1, width),
        at_ms=at // 1000 * 1000,
        first_ms=first // 1000 * 1000,
        last_ms=last // 1000 * 1000,
        histogram=play.histogram,
        marks=play.marks or tuple(state.marks),
    )


def track(area: Area, scale: float) -> Area:
    """The part of the timeline that is time."""
    left, margin = round(CONTROLS * scale), round(MARGIN * scale)
    return Area(
        area.x + left,
        area.y + round(12 * scale),
        max(1, area.w - left - margin),
        max(1, area.h - round(36 * scale)),
    )


def share_at(pixel: tuple[int, int], size: tuple[int, int], area: Area) -> float:
    """The share of the whole time at a pixel, at least 0, at most 1."""
    inner = track(area, scale_of(size))
    return min(1.0, max(0.0, (pixel[0] - inner.x) / inner.w))


def draw_timeline(line: Timeline, area: Area, type_: Type, palette: Palette) -> Canvas:
    """Draws it."""
    canvas = Canvas(area, type_, palette)
    pygame.draw.line(canvas.surface, palette.border, (0, 0), (area.w, 0))
    outer = track(area, type_.scale)
    inner = Area(outer.x - area.x, outer.y - area.y, outer.w, outer.h)
    canvas.hit(inner.x, 0, inner.w, area.h, "scrubber")
    _histogram(canvas, line, inner)
    _marks(canvas, line, inner)
    _position(canvas, line, inner)
    _controls(canvas, line)
    return canvas


def _histogram(canvas: Canvas, line: Timeline, inner: Area) -> None:
    palette, bottom = canvas.palette, inner.y + inner.h
    high = math.sqrt(max(line.histogram, default=0) or 1)
    count = len(line.histogram)
    for index, number in enumerate(line.histogram):
        left, right = inner.x + inner.w * index // count, inner.x + inner.w * (index + 1) // count
        height = round((inner.h - canvas.px(14)) * math.sqrt(number) / high)
        past = (index + 0.5) / count <= line.position
        colour = mixed(palette.accent, palette.ground, 0.38 if past else 0.16)
        if height:
            pygame.draw.rect(
                canvas.surface, colour, (left, bottom - height, max(1, right - left - 1), height)
            )
    pygame.draw.line(canvas.surface, palette.border, (inner.x, bottom), (inner.x + inner.w, bottom))


def _marks(canvas: Canvas, line: Timeline, inner: Area) -> None:
    """What is bad first: the others have what room it leaves."""
    whole, size = line.last_ms - line.first_ms, canvas.px(4)
    taken: set[int] = set()
    for mark in sorted(line.marks, key=lambda mark: not mark.is_bad):
        if whole <= 0 or not line.first_ms <= mark.time_ms <= line.last_ms + 1000:
            continue
        x = inner.x + round(inner.w * min(1.0, (mark.time_ms - line.first_ms) / whole))
        if x // size in taken:
            continue
        taken |= {x // size - 1, x // size, x // size + 1}
        colour = canvas.palette.bad if mark.is_bad else canvas.palette.kinds[mark.kind]
        stem = mixed(colour, canvas.palette.ground, 0.5)
        pygame.draw.line(canvas.surface, stem, (x, inner.y + size), (x, inner.y + inner.h - 1))
        head = [(x - size, inner.y), (x + size, inner.y), (x, inner.y + 2 * size)]
        pygame.draw.polygon(canvas.surface, colour, head)


def _position(canvas: Canvas, line: Timeline, inner: Area) -> None:
    palette, bottom = canvas.palette, inner.y + inner.h
    x = inner.x + round(inner.w * line.position)
    pygame.draw.line(canvas.surface, palette.text, (x, inner.y), (x, bottom), canvas.px(1.4))
    canvas.dot(palette.text, x, bottom, 5.0)
    y = bottom + canvas.px(6)
    if line.last_ms > line.first_ms:
        shown = f"{clock(line.at_ms)}   +{span(line.at_ms - line.first_ms)}"
        half = canvas.type.width(shown, Size.SMALL, True) // 2
        left = min(max(inner.x, x - half), inner.x + inner.w - 2 * half)
        canvas.write(shown, left, y, palette.text, Size.SMALL, True)
        first, last = clock(line.first_ms), clock(line.last_ms)
        room = canvas.type.width(first, Size.SMALL) + canvas.px(14)
        if left > inner.x + room:
            canvas.write(first, inner.x, y, palette.quiet, Size.SMALL)
        if left + 2 * half < inner.x + inner.w - room:
            canvas.write(last, inner.x + inner.w, y, palette.quiet, Size.SMALL, right=True)


def _controls(canvas: Canvas, line: Timeline) -> None:
    palette, size = canvas.palette, canvas.px(30)
    x, y = canvas.px(22), canvas.px(18)
    _button(canvas, x, y, size, "play")
    _symbol(canvas, x + size // 2, y + size // 2, line.paused)
    x += size + canvas.px(12)
    middle = y + (size - canvas.type.height(Size.HEAD, True)) // 2
    _button(canvas, x, y, size, "slower")
    minus = canvas.type.width(MINUS, Size.HEAD, True)
    canvas.write(MINUS, x + (size - minus) // 2, middle, palette.text, Size.HEAD, True)
    x += size
    text = f"{line.speed:g}x"
    width = canvas.px(48)
    canvas.write(
        text,
        x + (width - canvas.type.width(text, Size.HEAD, True)) // 2,
        middle,
        palette.text,
        Size.HEAD,
        True,
    )
    x += width
    _button(canvas, x, y, size, "faster")
    plus = canvas.type.width("+", Size.HEAD, True)
    canvas.write("+", x + (size - plus) // 2, middle, palette.text, Size.HEAD, True)
    x += size + canvas.px(12)
    _live(canvas, line, x, y, size)


def _button(canvas: Canvas, x: int, y: int, size: int, name: str) -> None:
    canvas.card(x, y, size, size)
    canvas.hit(x, y, size, size, name)


def _symbol(canvas: Canvas, x: int, y: int, paused: bool) -> None:
    colour, half = canvas.palette.text, canvas.px(6)
    if paused:
        corners = [(x - half + canvas.px(2), y - half), (x + half, y), (x - half + canvas.px(2), y + half)]
        pygame.draw.polygon(canvas.surface, colour, corners)
        return
    for left in (x - half + canvas.px(1), x + canvas.px(1)):
        pygame.draw.rect(canvas.surface, colour, (left, y - half, canvas.px(4), 2 * half))


def _live(canvas: Canvas, line: Timeline, x: int, y: int, size: int) -> None:
    palette, width = canvas.palette, canvas.px(52)
    on = line.live and not line.paused
    colour = palette.good if on else palette.quiet
    canvas.dot(colour, x + canvas.px(5), y + size // 2, 4.5, hollow=not on)
    text = "live" if line.live else "replay"
    canvas.write(
        text, x + canvas.px(14), y + (size - canvas.type.height(Size.BODY)) // 2, colour, Size.BODY, on
    )
    canvas.hit(x, y, width, size, "live")
