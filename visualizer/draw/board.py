"""Parts of the window that are drawn when what they say changed, and what is under a pixel of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pygame

from visualizer.draw.fonts import Size, Type
from visualizer.draw.sprites import PREMULTIPLIED, disc
from visualizer.scene.areas import Area
from visualizer.scene.palette import Colour, Palette
from visualizer.scene.rows import Panel, Row


class Hit(NamedTuple):
    """What a click into an area means."""

    area: Area
    name: str


class Canvas:
    """A part of the window while it is drawn: a surface, type, colours, and the areas that can be clicked (of the window)."""

    def __init__(self, area: Area, type_: Type, palette: Palette) -> None:
        self.area, self.type, self.palette = area, type_, palette
        self.surface = pygame.Surface((max(1, area.w), max(1, area.h)))
        self.surface.fill(palette.ground)
        self.hits: list[Hit] = []

    def px(self, measure: float) -> int:
        """Pixels of a measure of the design."""
        return max(1, round(measure * self.type.scale))

    def write(
        self,
        text: str,
        x: float,
        y: float,
        colour: Colour,
        size: Size = Size.BODY,
        bold: bool = False,
        width: int = 0,
        right: bool = False,
    ) -> int:
        """Writes a text from ``x`` on (or up to it, if ``right``), cut to ``width`` if given. Returns its width."""
        shown = self.type.fitted(text, width, size, bold) if width else text
        image = self.type.text(shown, colour, size, bold)
        self.surface.blit(image, (x - image.get_width() if right else x, y))
        return image.get_width()

    def hit(self, x: float, y: float, w: float, h: float, name: str) -> None:
        """A click into this part of the canvas means ``name``."""
        area = Area(round(self.area.x + x), round(self.area.y + y), round(w), round(h))
        self.hits.append(Hit(area, name))

    def dot(self, colour: Colour, x: float, y: float, radius: float, hollow: bool = False) -> None:
        """A smooth disc about a point, or its rim only. ``radius`` is of the design."""
        image = disc(radius * self.type.scale, colour, self.palette.ground, hollow)
        corner = round(x - image.get_width() / 2), round(y - image.get_height() / 2)
        self.surface.blit(image, corner, special_flags=PREMULTIPLIED)

    def card(self, x: int, y: int, w: int, h: int) -> None:
        """The ground of a panel."""
        radius = self.px(7)
        pygame.draw.rect(self.surface, self.palette.panel, (x, y, w, h), border_radius=radius)
        pygame.draw.rect(self.surface, self.palette.border, (x, y, w, h), 1, border_radius=radius)

    def row_height(self) -> int:
        """Pixels of a row of a panel."""
        return self.type.height(Size.BODY) + self.px(3)

    def rows(self, rows: tuple[Row, ...], x: int, y: int, w: int, label_w: int, bottom: int) -> int:
        """Writes rows down to ``bottom`` at most. Returns where it ended."""
        step = self.row_height()
        for row in rows:
            if y + step > bottom:
                break
            indent = 0
            if row.label:
                self.write(row.label, x, y, self.palette.quiet, width=label_w - self.px(6))
            if row.label or label_w:
                indent = label_w
            if row.copy >= 0:
                height = self.type.height(Size.BODY)
                self.dot(self.palette.copy(row.copy), x + indent + self.px(5), y + height // 2, 4.5)
                indent += self.px(17)
            self.write(row.value, x + indent, y, self.palette.tone(row.tone), width=w - indent)
            if row.peer:
                self.hit(x, y, w, step, f"peer:{row.peer}")
            y += step
        return y

    def panel(self, panel: Panel, x: int, y: int, w: int, bottom: int) -> int:
        """Draws a panel as high as its rows, down to ``bottom`` at most. Returns where it ended."""
        inset, step = self.px(12), self.row_height()
        title = self.type.height(Size.HEAD, True) + self.px(6)
        height = min(bottom - y, title + step * len(panel.rows) + 2 * inset - self.px(4))
        if height < title + step + inset:
            return y
        self.hit(x, y, w, height, panel.name)
        self.card(x, y, w, height)
        self.write(panel.title, x + inset, y + self.px(9), self.palette.text, Size.HEAD, True, w - 2 * inset)
        labels = [self.type.width(row.label, Size.BODY) for row in panel.rows if row.label]
        label_w = min(max(labels, default=0) + self.px(14), w // 2) if labels else 0
        self.rows(panel.rows, x + inset, y + inset + title - self.px(3), w - 2 * inset, label_w, y + height)
        return y + height


class Board:
    """The drawn parts by name."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[object, Canvas]] = {}

    def show(self, name: str, key: object, make: Callable[[], Canvas]) -> Canvas:
        """The part drawn for ``key``: anew only when that is another one than last time."""
        known = self._parts.get(name)
        if known is None or known[0] != key:
            known = self._parts[name] = key, make()
        return known[1]

    def clear(self) -> None:
        """Forgets all: another size or theme."""
        self._parts.clear()

    def hits(self) -> list[Hit]:
        """All that can be clicked, the uppermost last."""
        return [hit for _, canvas in self._parts.values() for hit in canvas.hits]
