"""Randomness, split per part, so that a draw more in one part changes nothing in another."""

from __future__ import annotations

from random import Random


def split(seed: int, *part: object) -> Random:
    """The generator of one part of a run: the same for the same seed and part, in every process.

    Parts are named by text and numbers, whose ``str`` is the same everywhere.
    """
    return Random("/".join(map(str, (seed, *part))))
