"""Pictures for tests: drawn without a window, and compared so that another build of SDL or FreeType does not matter."""

from __future__ import annotations

from typing import NamedTuple

import pygame

from visualizer.draw.fonts import Typeface
from visualizer.draw.renderer import Renderer
from visualizer.model.state import SwarmState
from visualizer.scene.areas import Size
from visualizer.view import View

SMALL: Size = (800, 450)
BLOCK = 10  # pixels: a letter that moved by one changes little of it
MEAN_TOLERANCE = 1.3  # of 255
BLOCK_TOLERANCE = 14.0


class Difference(NamedTuple):
    """Of two pictures, in steps of 255: in the mean, and of the most different block."""

    mean: float
    block: float

    @property
    def is_small(self) -> bool:
        return self.mean <= MEAN_TOLERANCE and self.block <= BLOCK_TOLERANCE


def draw(state: SwarmState, view: View, size: Size = SMALL, now_s: float = 0.0) -> pygame.Surface:
    surface = pygame.Surface(size)
    Renderer(size, view.theme, patient=True, typeface=Typeface.BUNDLED).draw(surface, state, view, now_s)
    return surface


def difference(one: pygame.Surface, other: pygame.Surface) -> Difference:
    if one.get_size() != other.get_size():
        return Difference(255.0, 255.0)
    blocks = [_blocks(surface) for surface in (one, other)]
    steps = [abs(first - second) for first, second in zip(*blocks, strict=True)]
    per_block = [sum(steps[index : index + 3]) / 3 for index in range(0, len(steps), 3)]
    return Difference(sum(steps) / len(steps), max(per_block))


def _blocks(surface: pygame.Surface) -> bytes:
    size = surface.get_width() // BLOCK, surface.get_height() // BLOCK
    plain = pygame.Surface(surface.get_size(), depth=24)
    plain.blit(surface, (0, 0))
    return pygame.image.tobytes(pygame.transform.smoothscale(plain, size), "RGB")
