"""Where the parts of the window are. Pixels throughout; the ring has the field, and nothing else is drawn there but over it."""

from __future__ import annotations

from typing import Final, NamedTuple

DESIGN: Final = (1600, 900)  # the size that the measures below are for
SMALLEST_SCALE: Final = 0.72  # below, no type can be read
LARGEST_SCALE: Final = 2.0
NARROW: Final = 0.6  # of the design's width: a smaller window has no right column

Size = tuple[int, int]


class Area(NamedTuple):
    """A rectangle: its left upper corner, width and height."""

    x: int
    y: int
    w: int
    h: int

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + self.w / 2, self.y + self.h / 2

    def holds(self, pixel: tuple[int, int]) -> bool:
        """Whether a pixel is inside."""
        return self.x <= pixel[0] < self.x + self.w and self.y <= pixel[1] < self.y + self.h


class Areas(NamedTuple):
    """Left: health and legends. Right: inspector, tables, log (width 0 when narrow). Below: timeline, then the status line."""

    left: Area
    field: Area
    right: Area
    timeline: Area
    status: Area
    scale: float  # of type and spacing


def scale_of(size: Size) -> float:
    """How large type and spacing are beside the design."""
    fitting = min(size[0] / DESIGN[0], size[1] / DESIGN[1])
    return min(LARGEST_SCALE, max(SMALLEST_SCALE, fitting))


def areas(size: Size) -> Areas:
    """The parts of a window of ``size``. They fill it without overlapping."""
    width, height = size
    scale = scale_of(size)
    status = min(height, round(26 * scale))
    timeline = min(height - status, round(92 * scale))
    top = height - status - timeline
    left = min(width, round(236 * scale))
    right = 0 if width < NARROW * DESIGN[0] * scale else min(width - left, round(352 * scale))
    return Areas(
        left=Area(0, 0, left, top),
        field=Area(left, 0, width - left - right, top),
        right=Area(width - right, 0, right, top),
        timeline=Area(0, top, width, timeline),
        status=Area(0, height - status, width, status),
        scale=scale,
    )
