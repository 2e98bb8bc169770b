"""What a hand does, as plain values. Pixels count from the top left of the window."""

from __future__ import annotations

import enum
from typing import NamedTuple

Pixel = tuple[int, int]


class Button(enum.Enum):
    """Buttons of a mouse that mean something."""

    LEFT = "left"
    MIDDLE = "middle"
    RIGHT = "right"


class Key(NamedTuple):
    """A key went down. ``text``: the character that it types, with shift and the layout of the keyboard taken into account;
    empty for keys that type none, which have a ``name`` as ``escape``, ``return``, ``left`` or ``f12``."""

    name: str
    text: str = ""
    shift: bool = False


class Press(NamedTuple):
    """A button went down."""

    pixel: Pixel
    button: Button = Button.LEFT
    shift: bool = False


class Move(NamedTuple):
    """The pointer went somewhere."""

    pixel: Pixel


class Release(NamedTuple):
    """A button went up."""

    pixel: Pixel
    button: Button = Button.LEFT
    shift: bool = False


class Wheel(NamedTuple):
    """The wheel turned, away from the hand when ``notches`` is above 0."""

    pixel: Pixel
    notches: int


Input = Key | Press | Move | Release | Wheel
