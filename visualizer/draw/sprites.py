"""Peers and messages as small pictures, drawn once large and scaled down so that their edges are smooth.

They are premultiplied: blit them with BLEND_PREMULTIPLIED.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

import pygame

from visualizer.model.state import Kind, PeerState
from visualizer.scene.palette import SHAPES, Colour, Palette, Shape

FINE: Final = 4  # times larger when drawn
BROADER: Final = {Shape.CROSS: 1.5, Shape.TRIANGLE: 1.1, Shape.DIAMOND: 1.15, Shape.SQUARE: 0.95}
DIMMED: Final = 0.24  # of the opacity of what is outside the focus
ROOM_FOR_GROUP: Final = 6.0  # pixels of radius from which a member has its group's colour about it
LARGEST_DOT: Final = 3.1  # pixels of radius
REMEMBERED_SPRITES: Final = 2_048
PREMULTIPLIED: Final = pygame.BLEND_PREMULTIPLIED


class Look(NamedTuple):
    """What tells one peer's picture from another's."""

    state: PeerState
    radius: float
    group: int = -1  # none: its group has no colour of its own
    dim: bool = False
    chosen: bool = False
    hostile: bool = False
    hidden: bool = False
    mapped: bool = False


class Sprites:
    """The pictures of one theme."""

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        self._peers: dict[Look, pygame.Surface] = {}
        self._dots: dict[tuple[Kind, int, float], pygame.Surface] = {}

    def peer(self, look: Look) -> pygame.Surface:
        """A peer: its middle is the picture's."""
        found = self._peers.get(look)
        if found is None:
            if len(self._peers) > REMEMBERED_SPRITES:
                self._peers.clear()
            found = self._peers[look] = self._draw_peer(look)
        return found

    def dot(self, kind: Kind, copy: int, scale: float, followed: bool = False) -> pygame.Surface:
        """A message under way: larger when it is ``followed``, and then in its copy's colour (-1: its kind's). The pictures of
        the others have one size."""
        key = kind, copy if followed else -1, scale * (-1 if followed else 1)
        found = self._dots.get(key)
        if found is None:
            colour = self._palette.message(kind, copy if followed else -1)
            radius = (
                {Kind.RECEIPT: 2.4, Kind.RING: 2.0}.get(kind, LARGEST_DOT)
                * scale
                * (1.7 if followed else 1.0)
            )
            half = 0 if followed else math.ceil(LARGEST_DOT * scale + 1.5)
            found = self._dots[key] = disc(radius, colour, self._palette.ground, half=half)
        return found

    def _draw_peer(self, look: Look) -> pygame.Surface:
        half = math.ceil(look.radius * 2.1 + 5)
        big = pygame.Surface((2 * half * FINE,) * 2, pygame.SRCALPHA)
        middle, radius = half * FINE, look.radius * FINE * BROADER.get(SHAPES[look.state], 1.0)
        if look.chosen:
            pygame.draw.circle(big, self._palette.text, (middle, middle), radius * 1.25 + 4 * FINE)
            pygame.draw.circle(big, self._palette.ground, (middle, middle), radius * 1.25 + 2.2 * FINE)
        if look.hostile:
            _spikes(big, middle, radius, self._palette.hostile)
        if look.mapped or look.hidden:
            _badge(big, middle, radius, look, self._palette)
        _shape(big, look, middle, radius, self._palette)
        small = pygame.transform.smoothscale(big.premul_alpha(), (2 * half,) * 2)
        if look.dim and not look.chosen:
            fade = round(255 * DIMMED)
            small.fill((fade, fade, fade, fade), special_flags=pygame.BLEND_RGBA_MULT)
        return small.convert_alpha() if pygame.display.get_surface() else small


@lru_cache(REMEMBERED_SPRITES)
def disc(
    radius: float, colour: Colour, ground: Colour, hollow: bool = False, half: int = 0
) -> pygame.Surface:
    """A circle, filled and with a thin rim that sets it off from what is behind it, or ``hollow``; in the middle of a
    picture of twice ``half`` pixels, if given. It is shared."""
    half = half or math.ceil(radius + 1.5)
    big = pygame.Surface((2 * half * FINE,) * 2, pygame.SRCALPHA)
    if not hollow:
        pygame.draw.circle(big, ground, (half * FINE,) * 2, (radius + 0.9) * FINE)
    pygame.draw.circle(big, colour, (half * FINE,) * 2, radius * FINE, round(1.2 * FINE) if hollow else 0)
    return pygame.transform.smoothscale(big.premul_alpha(), (2 * half,) * 2)


def _shape(big: pygame.Surface, look: Look, middle: int, radius: float, palette: Palette) -> None:
    colour, rim = palette.states[look.state], palette.ground
    if look.group >= 0 and SHAPES[look.state] is Shape.DISC and look.radius >= ROOM_FOR_GROUP:
        pygame.draw.circle(big, rim, (middle, middle), radius + 1.2 * FINE)
        pygame.draw.circle(big, palette.group(look.group), (middle, middle), radius)
        pygame.draw.circle(big, rim, (middle, middle), radius * 0.72)
        pygame.draw.circle(big, colour, (middle, middle), radius * 0.58)
        return
    _outline(big, SHAPES[look.state], middle, radius + 1.2 * FINE, rim, 0.0)
    _outline(big, SHAPES[look.state], middle, radius, colour, max(1.6 * FINE, radius * 0.3))


def _outline(
    big: pygame.Surface, shape: Shape, middle: int, radius: float, colour: Colour, pen: float
) -> None:
    """A shape; ``pen`` 0 means its silhouette, which is laid under it."""
    here, stroke = (middle, middle), round(pen)
    if shape in (Shape.RING, Shape.TARGET, Shape.OPEN):
        pygame.draw.circle(big, colour, here, radius, stroke)
        if shape is Shape.TARGET and stroke:
            pygame.draw.circle(big, colour, here, radius * 0.4)
        if shape is Shape.OPEN and stroke:
            wedge = [here, (middle + radius * 1.2, middle - radius * 1.2), (middle + radius * 1.2, middle)]
            pygame.draw.polygon(big, (0, 0, 0, 0), wedge)
    elif shape is Shape.CROSS:
        reach, width = radius * 0.8, round(pen or radius * 0.5)
        for sign in (-1, 1):
            _bar(big, colour, middle, reach, sign * math.pi / 4, width)
    elif shape is Shape.DASH:
        _bar(big, colour, middle, radius * 0.8, 0.0, round(pen or radius * 0.6))
    elif shape is Shape.DISC:
        pygame.draw.circle(big, colour, here, radius)
    else:
        pygame.draw.polygon(big, colour, _corners(shape, middle, radius * 1.12))


def _corners(shape: Shape, middle: int, radius: float) -> list[tuple[float, float]]:
    count, first = {Shape.TRIANGLE: (3, 0.0), Shape.DIAMOND: (4, 0.0), Shape.SQUARE: (4, 0.5)}[shape]
    angles = [(index + first) * 2 * math.pi / count for index in range(count)]
    return [(middle + radius * math.sin(angle), middle - radius * math.cos(angle)) for angle in angles]


def _bar(big: pygame.Surface, colour: Colour, middle: int, reach: float, angle: float, width: int) -> None:
    along = math.cos(angle) * reach, math.sin(angle) * reach
    side = -math.sin(angle) * width / 2, math.cos(angle) * width / 2
    corners = [
        (middle + sign * along[0] + turn * side[0], middle + sign * along[1] + turn * side[1])
        for sign, turn in ((-1, -1), (-1, 1), (1, 1), (1, -1))
    ]
    pygame.draw.polygon(big, colour, corners)


def _spikes(big: pygame.Surface, middle: int, radius: float, colour: Colour) -> None:
    """Who does harm on purpose has spikes."""
    points = []
    for index in range(16):
        reach = radius * (2.0 if index % 2 == 0 else 1.3) + 1.5 * FINE
        angle = index * math.pi / 8
        points.append((middle + reach * math.sin(angle), middle - reach * math.cos(angle)))
    pygame.draw.polygon(big, colour, points)


def _badge(big: pygame.Surface, middle: int, radius: float, look: Look, palette: Palette) -> None:
    """A hidden peer has a ring about it; one with a mapped port is half within."""
    outer = radius * 1.45 + 1.4 * FINE
    colour = palette.kinds[Kind.NAT]
    pygame.draw.circle(big, colour, (middle, middle), outer, max(2, round(1.3 * FINE)))
    if look.mapped and not look.hidden:
        pygame.draw.rect(big, (0, 0, 0, 0), (0, 0, 2 * middle, middle))
