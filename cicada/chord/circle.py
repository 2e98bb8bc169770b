"""Arithmetic on the identifier circle. Every interval runs clockwise and is named by which of its ends belong to it.

Functions work modulo ``size``, so that the rules can be proven by enumerating a tiny circle.
"""

from __future__ import annotations

from cicada.ids import RING_SIZE, Place


def distance(start: int, end: int, size: int = RING_SIZE) -> int:
    """Steps clockwise from ``start`` to ``end``, 0 when they are the same point."""
    return (end - start) % size


def between(low: int, point: int, high: int, size: int = RING_SIZE) -> bool:
    """Whether ``point`` lies strictly inside (low, high).

    (a, a) is the whole circle but a: Zave's rules need the wrap, or a ring of one could never grow.
    """
    return 0 < (point - low) % size < ((high - low) % size or size)


def in_open_closed(low: int, point: int, high: int, size: int = RING_SIZE) -> bool:
    """Whether ``point`` lies in (low, high]; (a, a] is the whole circle."""
    return ((point - low) % size or size) <= ((high - low) % size or size)


def finger_start(own: int, interval: int, size: int = RING_SIZE) -> Place:
    """Where finger interval ``interval`` of a node begins: ``own + 2**interval``. It ends where the next one begins."""
    return Place((own + (1 << interval)) % size)


def interval_of(own: int, point: int, size: int = RING_SIZE) -> int:
    """The finger interval of ``own`` that holds ``point``; -1 for the node's own point."""
    return ((point - own) % size).bit_length() - 1
