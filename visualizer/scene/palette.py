"""Colours and shapes, dark and light. A state is told by its colour and by its shape, so that neither is needed alone.

The hues are those of Okabe and Ito, which people with any colour vision tell apart, brightened on dark and darkened on light
ground until they stand out from it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from visualizer.model.state import Kind, PeerState
from visualizer.view import Theme

Colour = tuple[int, int, int]


class Shape(enum.Enum):
    """Outlines of peers."""

    DISC = "disc"
    RING = "ring"
    TARGET = "target"
    TRIANGLE = "triangle"
    DIAMOND = "diamond"
    SQUARE = "square"
    OPEN = "open"  # a ring with a gap
    DASH = "dash"
    CROSS = "cross"


class Tone(enum.Enum):
    """How a text is meant."""

    PLAIN = "plain"
    QUIET = "quiet"
    STRONG = "strong"
    GOOD = "good"
    BAD = "bad"
    LINK = "link"  # a click on it goes to a peer


SHAPES: Final = {
    PeerState.STARTING: Shape.RING,
    PeerState.JOINING: Shape.TRIANGLE,
    PeerState.MEMBER: Shape.DISC,
    PeerState.ALONE: Shape.TARGET,
    PeerState.SUSPECT: Shape.DIAMOND,
    PeerState.FROZEN: Shape.SQUARE,
    PeerState.RESTARTING: Shape.OPEN,
    PeerState.LEFT: Shape.DASH,
    PeerState.DEAD: Shape.CROSS,
}


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme. ``groups`` and ``copies`` begin anew after the last."""

    ground: Colour
    panel: Colour
    border: Colour
    text: Colour
    quiet: Colour
    good: Colour
    bad: Colour
    accent: Colour
    ring: Colour
    edge: Colour
    hot: Colour
    finger: Colour
    hostile: Colour
    states: dict[PeerState, Colour]
    kinds: dict[Kind, Colour]
    groups: tuple[Colour, ...]
    copies: tuple[Colour, ...]

    def tone(self, tone: Tone) -> Colour:
        """The colour of a text."""
        return {
            Tone.PLAIN: self.text,
            Tone.QUIET: self.quiet,
            Tone.STRONG: self.text,
            Tone.GOOD: self.good,
            Tone.BAD: self.bad,
            Tone.LINK: self.accent,
        }[tone]

    def message(self, kind: Kind, copy: int) -> Colour:
        """The colour of a message's way: its copy's, or its kind's when it has no copies (``copy`` is negative)."""
        return self.copy(copy) if copy >= 0 else self.kinds[kind]

    def group(self, number: int) -> Colour:
        """The colour of the group of that number in the order of names."""
        return self.groups[number % len(self.groups)]

    def copy(self, number: int) -> Colour:
        """The colour of a copy of a message."""
        return self.copies[number % len(self.copies)]


DARK: Final = Palette(
    ground=(14, 18, 26),
    panel=(21, 27, 38),
    border=(43, 52, 69),
    text=(226, 232, 241),
    quiet=(140, 152, 172),
    good=(54, 201, 160),
    bad=(255, 107, 74),
    accent=(104, 186, 240),
    ring=(54, 201, 160),
    edge=(110, 140, 190),
    hot=(255, 196, 84),
    finger=(174, 156, 255),
    hostile=(255, 92, 168),
    states={
        PeerState.STARTING: (168, 178, 194),
        PeerState.JOINING: (96, 186, 240),
        PeerState.MEMBER: (54, 201, 160),
        PeerState.ALONE: (240, 228, 66),
        PeerState.SUSPECT: (240, 165, 20),
        PeerState.FROZEN: (108, 140, 255),
        PeerState.RESTARTING: (222, 142, 190),
        PeerState.LEFT: (120, 130, 148),
        PeerState.DEAD: (255, 107, 74),
    },
    kinds={
        Kind.RING: (150, 162, 182),
        Kind.LOOKUP: (240, 228, 66),
        Kind.DATA: (96, 186, 240),
        Kind.RECEIPT: (186, 240, 222),
        Kind.BROADCAST: (240, 165, 20),
        Kind.LINK: (122, 134, 155),
        Kind.KEY: (222, 142, 190),
        Kind.NAT: (108, 140, 255),
        Kind.RUN: (200, 208, 220),
        Kind.FAULT: (255, 107, 74),
        Kind.LOAD: (174, 156, 255),
    },
    groups=(
        (74, 144, 210),
        (214, 150, 40),
        (164, 120, 214),
        (52, 168, 138),
        (208, 118, 168),
        (190, 184, 70),
        (210, 110, 70),
        (120, 134, 160),
    ),
    copies=(
        (96, 186, 240),
        (240, 228, 66),
        (222, 142, 190),
        (240, 165, 20),
        (174, 156, 255),
        (255, 255, 255),
        (150, 220, 90),
        (200, 160, 120),
        (108, 140, 255),
        (140, 240, 255),
    ),
)

LIGHT: Final = Palette(
    ground=(250, 251, 253),
    panel=(240, 243, 248),
    border=(210, 217, 228),
    text=(27, 34, 47),
    quiet=(96, 107, 126),
    good=(0, 118, 86),
    bad=(178, 44, 0),
    accent=(0, 99, 168),
    ring=(0, 142, 104),
    edge=(92, 120, 170),
    hot=(206, 110, 0),
    finger=(104, 80, 210),
    hostile=(194, 24, 104),
    states={
        PeerState.STARTING: (120, 130, 148),
        PeerState.JOINING: (20, 124, 196),
        PeerState.MEMBER: (0, 142, 104),
        PeerState.ALONE: (150, 136, 0),
        PeerState.SUSPECT: (190, 120, 0),
        PeerState.FROZEN: (52, 84, 214),
        PeerState.RESTARTING: (176, 74, 134),
        PeerState.LEFT: (134, 144, 160),
        PeerState.DEAD: (178, 44, 0),
    },
    kinds={
        Kind.RING: (112, 122, 140),
        Kind.LOOKUP: (150, 136, 0),
        Kind.DATA: (20, 124, 196),
        Kind.RECEIPT: (58, 148, 140),
        Kind.BROADCAST: (190, 120, 0),
        Kind.LINK: (134, 144, 160),
        Kind.KEY: (176, 74, 134),
        Kind.NAT: (52, 84, 214),
        Kind.RUN: (70, 80, 98),
        Kind.FAULT: (178, 44, 0),
        Kind.LOAD: (104, 80, 210),
    },
    groups=(
        (92, 158, 220),
        (226, 168, 70),
        (176, 140, 222),
        (84, 184, 156),
        (222, 144, 188),
        (196, 188, 84),
        (222, 136, 100),
        (150, 162, 184),
    ),
    copies=(
        (20, 124, 196),
        (168, 140, 0),
        (190, 70, 140),
        (214, 120, 0),
        (104, 80, 210),
        (40, 46, 58),
        (84, 150, 20),
        (140, 96, 56),
        (52, 84, 214),
        (0, 132, 150),
    ),
)


def palette(theme: Theme) -> Palette:
    """The colours of ``theme``."""
    return DARK if theme is Theme.DARK else LIGHT


def mixed(colour: Colour, ground: Colour, share: float) -> Colour:
    """``colour`` laid over ``ground`` with ``share`` (0 to 1) of it seen."""
    rest = 1.0 - share
    return (
        round(colour[0] * share + ground[0] * rest),
        round(colour[1] * share + ground[1] * rest),
        round(colour[2] * share + ground[2] * rest),
    )


def contrast(one: Colour, other: Colour) -> float:
    """How well they stand out from each other: 1 (same) to 21, as the accessibility guidelines of the web count it."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
