"""Draws that can be foretold. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random

from launcher.plan import derived_seed


class RankedDraws:
    """Draws those who rank first; ranks follow from the seed and what the draw is for, not from who else is there.

    So a draw from the living is the draw from everybody, but for the dead, whose places go to the next in rank.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self._key = f"{seed}:{purpose}:"

    def sample(self, population: Sequence[str], k: int) -> list[str]:
        """``k`` different members of the population, best rank first."""
        return sorted(population, key=self._rank)[:k]

    def _rank(self, name: str) -> bytes:
        return hashlib.sha256((self._key + name).encode()).digest()


def draws_of(seed: int, entry: int, number: int) -> RankedDraws:
    """The draws of one occurrence of one entry of a timeline."""
    return RankedDraws(seed, f"fault/{entry}/{number}")


def generator_of(seed: int, part: str, entry: int) -> Random:
    """A generator for one part of one entry, so that no draw of another disturbs it."""
    return Random(derived_seed(seed, f"{part}/{entry}"))
