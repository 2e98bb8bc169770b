"""Who was in the ring when, as the launcher saw it by looking again and again. Pure.

Between two looks nobody knows; so a question about a span is answered from all looks that may concern it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection

from cicada.ids import Address, peer_at
from cicada.limits import LOAD

_PLACE_SHIFT = 256 - 64


class Membership:
    """Times are in seconds from the start of the load, and rise."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._rings: list[frozenset[Address]] = []
        self._owners: dict[int, list[int]] = {}

    def note(self, now: float, ring: Collection[Address]) -> None:
        """These are in the ring now."""
        seen = frozenset(ring)
        if not self._rings or self._rings[-1] != seen:
            self._times.append(now)
            self._rings.append(seen)

    @property
    def is_constant(self) -> bool:
        """Whether nobody came or went."""
        return len(self._rings) < 2

    def stayed(self, start: float, end: float) -> frozenset[Address]:
        """Who was in the ring from ``start`` to ``end`` without a gap that was seen."""
        rings = [self._rings[index] for index in self._around(start, end)]
        return frozenset.intersection(*rings) if rings else frozenset()

    def owner(self, place: int, start: float, end: float) -> int | None:
        """The owner of a place from ``start`` to ``end``, both in 64 bits; None when the ring changed about that time."""
        around = self._around(start - LOAD.unsure, end + LOAD.membership)
        if len(around) != 1 or not self._rings[around[0]]:
            return None
        places = self._places(around[0])
        return places[bisect_left(places, place) % len(places)]

    def _around(self, start: float, end: float) -> range:
        """The looks that may concern a span: a change came up to one look before it was seen."""
        first = max(0, bisect_right(self._times, start) - 1)
        return range(first, max(bisect_right(self._times, end + LOAD.membership), min(1, len(self._times))))

    def _places(self, index: int) -> list[int]:
        places = self._owners.get(index)
        if places is None:
            places = self._owners[index] = sorted(
                peer_at(address).place >> _PLACE_SHIFT for address in self._rings[index]
            )
        return places
