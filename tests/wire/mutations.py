"""What strangers, and bad memory, make of the bytes of honest messages."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

Mutation = Callable[[random.Random, bytes], bytes]


def noise(rng: random.Random, raw: bytes) -> bytes:
    return rng.randbytes(rng.randrange(len(raw) + 32))


def flip(rng: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(rng: random.Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw))]


def repeat(rng: random.Random, raw: bytes) -> bytes:
    start = rng.randrange(len(raw))
    end = rng.randint(start, len(raw))
    return raw[:end] + raw[start:end] * rng.randint(1, 8) + raw[end:]


def claim(rng: random.Random, raw: bytes) -> bytes:
    """A header in the middle that promises far more than follows: str, bin, array, map, ext of 2^32 - 1 entries."""
    where = rng.randrange(len(raw))
    return raw[:where] + bytes([rng.choice((0xDB, 0xC6, 0xDD, 0xDF, 0xC9))]) + b"\xff" * 4 + raw[where:]


def retag(rng: random.Random, raw: bytes) -> bytes:
    return raw[:1] + bytes([rng.randrange(128)]) + raw[2:]


MUTATIONS: Final[tuple[Mutation, ...]] = (noise, flip, flip, cut, repeat, claim, retag)
