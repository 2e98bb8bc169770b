"""Type: a few sizes, and every text rendered once."""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import Final

import pygame

from visualizer.scene.palette import Colour

REMEMBERED_TEXTS: Final = 4_096
CANDIDATES: Final = "inter,segoeui,notosans,helveticaneue,dejavusans,liberationsans,arial"
ELLIPSIS: Final = "…"


class Size(enum.Enum):
    """Heights of type in pixels at scale 1."""

    SMALL = 11
    BODY = 13
    HEAD = 15
    TITLE = 20
    HUGE = 50


class Typeface(enum.Enum):
    """Whose letters: the system's, or those that come with pygame, which are the same everywhere."""

    SYSTEM = "system"
    BUNDLED = "bundled"


class Type:
    """Renders texts at one scale, and remembers them."""

    def __init__(self, scale: float, typeface: Typeface = Typeface.SYSTEM) -> None:
        self.scale = scale
        self._typeface = typeface
        self._fonts: dict[tuple[Size, bool], pygame.font.Font] = {}
        self._texts: OrderedDict[tuple[str, Size, bool, Colour], pygame.Surface] = OrderedDict()
        self._widths: OrderedDict[tuple[str, Size, bool, int], str] = OrderedDict()

    def font(self, size: Size, bold: bool = False) -> pygame.font.Font:
        """The font of a size."""
        found = self._fonts.get((size, bold))
        if found is None:
            found = self._fonts[size, bold] = self._load(max(8, round(size.value * self.scale)), bold)
        return found

    def _load(self, pixels: int, bold: bool) -> pygame.font.Font:
        path = pygame.font.match_font(CANDIDATES, bold=bold) if self._typeface is Typeface.SYSTEM else None
        return pygame.font.Font(path, pixels)

    def height(self, size: Size, bold: bool = False) -> int:
        """Pixels of a line."""
        return self.font(size, bold).get_height()

    def width(self, text: str, size: Size, bold: bool = False) -> int:
        """Pixels of a text."""
        return self.font(size, bold).size(text)[0]

    def text(self, text: str, colour: Colour, size: Size = Size.BODY, bold: bool = False) -> pygame.Surface:
        """The rendered text. It is shared: do not draw on it."""
        key = text, size, bold, colour
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = self.font(size, bold).render(printable(text), True, colour)
            if len(self._texts) > REMEMBERED_TEXTS:
                self._texts.popitem(last=False)
        else:
            self._texts.move_to_end(key)
        return found

    def fitted(self, text: str, width: int, size: Size = Size.BODY, bold: bool = False) -> str:
        """The text, or as much of its beginning as fits into ``width`` pixels, with an ellipsis."""
        key = text, size, bold, width
        found = self._widths.get(key)
        if found is None:
            found = self._widths[key] = self._cut(text, width, size, bold)
            if len(self._widths) > REMEMBERED_TEXTS:
                self._widths.popitem(last=False)
        return found

    def _cut(self, text: str, width: int, size: Size, bold: bool) -> str:
        text = printable(text)
        if self.width(text, size, bold) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.width(text[:middle].rstrip() + ELLIPSIS, size, bold) <= width:
                low = middle
            else:
                high = middle - 1
        return text[:low].rstrip() + ELLIPSIS if low else ""


def printable(text: str) -> str:
    """Without what a font cannot draw: events come from other machines."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)
