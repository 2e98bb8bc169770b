"""A steady pace of frames."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = (
    20_000  # allocations between two looks at the newest objects; Python's own 700 come in less than a frame
)
MIDDLE: Final = 20  # of those looks between two at what survived one
OLD: Final = 50  # of these between two at everything: 20 million allocations, which is a quarter of an hour


def calm_collector() -> None:
    """Makes the garbage collector look seldom, and never again at what is there now: a look at everything takes longer than
    two frames. For a process that does nothing but draw; call it once the window is open."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
