"""What lies over the picture for a moment: the card of the peer pointed at, notices, prompts, the rectangle, the keys."""

from __future__ import annotations

from typing import Final

import pygame

from visualizer.draw.board import Canvas
from visualizer.draw.fonts import Size, Type
from visualizer.scene.areas import Area
from visualizer.scene.palette import Colour, Palette
from visualizer.scene.rows import Panel

CARD: Final = 250.0  # of the design: the hover card's width
KEYS_COLUMN: Final = 430.0
RECTANGLE_ALPHA: Final = 38


def hover_canvas(panel: Panel, type_: Type, palette: Palette) -> Canvas:
    """The card of the peer pointed at."""
    measure = Canvas(Area(0, 0, 1, 1), type_, palette)
    inset, step = measure.px(12), measure.row_height()
    title = type_.height(Size.HEAD, True) + measure.px(6)
    width = measure.px(CARD)
    canvas = Canvas(
        Area(0, 0, width, title + step * len(panel.rows) + 2 * inset - measure.px(4)), type_, palette
    )
    canvas.panel(panel, 0, 0, width, canvas.area.h)
    canvas.hits.clear()
    return canvas


def beside(pixel: tuple[float, float], size: tuple[int, int], within: Area, gap: int) -> tuple[int, int]:
    """Where a card of ``size`` goes: right of and below the pixel, or on the other side when there is no room."""
    x, y = round(pixel[0]) + gap, round(pixel[1]) + gap
    if x + size[0] > within.x + within.w:
        x = round(pixel[0]) - gap - size[0]
    if y + size[1] > within.y + within.h:
        y = round(pixel[1]) - gap - size[1]
    return max(within.x, x), max(within.y, y)


def pill(text: str, colour: Colour, type_: Type, palette: Palette, width: int) -> Canvas:
    """A sentence on a ground of its own."""
    measure = Canvas(Area(0, 0, 1, 1), type_, palette)
    across, down = measure.px(16), measure.px(8)
    shown = type_.fitted(text, width - 2 * across, Size.HEAD)
    wide = type_.width(shown, Size.HEAD) + 2 * across
    canvas = Canvas(Area(0, 0, wide, type_.height(Size.HEAD) + 2 * down), type_, palette)
    canvas.card(0, 0, canvas.area.w, canvas.area.h)
    canvas.write(shown, across, down, colour, Size.HEAD)
    return canvas


def draw_rectangle(surface: pygame.Surface, rectangle: tuple[int, int, int, int], palette: Palette) -> None:
    """The rectangle of a selection under way."""
    left, right = sorted((rectangle[0], rectangle[2]))
    top, bottom = sorted((rectangle[1], rectangle[3]))
    if right == left or bottom == top:
        return
    area = pygame.Rect(left, top, right - left, bottom - top).clip(surface.get_rect())
    if area.w and area.h:
        veil = pygame.Surface(area.size, pygame.SRCALPHA)
        veil.fill((*palette.accent, RECTANGLE_ALPHA))
        surface.blit(veil, area.topleft)
        pygame.draw.rect(surface, palette.accent, area, 1)


def keys_canvas(
    keys: tuple[tuple[str, str], ...], size: tuple[int, int], type_: Type, palette: Palette
) -> Canvas:
    """The sheet of keys and what they do, in two columns, or three where two are too high."""
    measure = Canvas(Area(0, 0, 1, 1), type_, palette)
    inset, step = measure.px(24), type_.height(Size.BODY) + measure.px(6)
    title = type_.height(Size.TITLE, True) + measure.px(14)
    room = max(1, (size[1] - measure.px(20) - title - 2 * inset) // step)
    columns = 2 if len(keys) <= 2 * room else 3
    lines = (len(keys) + columns - 1) // columns
    width = min(size[0] - measure.px(20), measure.px(KEYS_COLUMN) * columns + 2 * inset)
    height = min(size[1] - measure.px(20), title + lines * step + 2 * inset)
    canvas = Canvas(Area((size[0] - width) // 2, (size[1] - height) // 2, width, height), type_, palette)
    canvas.card(0, 0, width, height)
    canvas.hit(0, 0, width, height, "keys")
    canvas.write("Keys", inset, inset - measure.px(6), palette.text, Size.TITLE, True)
    column, key_w = (width - 2 * inset) // columns, measure.px(88)
    for index, (key, meaning) in enumerate(keys):
        x, y = inset + (index // lines) * column, inset + title + (index % lines) * step
        canvas.write(key, x, y, palette.accent, Size.BODY, True, key_w - measure.px(8))
        canvas.write(meaning, x + key_w, y, palette.text, width=column - key_w - measure.px(12))
    return canvas
