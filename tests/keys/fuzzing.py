"""Inputs that an attacker might make of honest ones, and what reading them costs."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from cicada.errors import PeerFault
from cicada.limits import MIB

ROUNDS: Final = int(os.environ.get("CICADA_FUZZ", "10000"))
SEED: Final = 20260202
FULL: Final = 1_000_000
"""Rounds from which on a run is the proof, and its figures are held to their limits."""

MOST_SECONDS: Final = 0.010
MOST_BYTES: Final = 16 * MIB
_AGAIN: Final = 5


def noise(rng: random.Random, raw: bytes) -> bytes:
    return rng.randbytes(rng.randrange(2 * len(raw)))


def flip_bit(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]


def overwrite(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + rng.randbytes(rng.randint(1, 32)) + raw[at + 32 :]


def cut(rng: random.Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw))]


def extend(rng: random.Random, raw: bytes) -> bytes:
    return raw + bytes(rng.choice((1, 16, 100, 5_000, 70_000)))


def repeat(rng: random.Random, raw: bytes) -> bytes:
    start = rng.randrange(len(raw))
    end = rng.randint(start, len(raw))
    return raw[:end] + raw[start:end] * rng.randint(1, 8) + raw[end:]


def zero(rng: random.Random, raw: bytes) -> bytes:
    """A key or a tag of zeros."""
    at = rng.randrange(len(raw))
    return (raw[:at] + bytes(32) + raw[at + 32 :])[: len(raw)]


MUTATIONS: Final = (noise, flip_bit, flip_bit, overwrite, cut, extend, repeat, zero)
"""Seven in eight are mutations of what is valid."""


def mutated(rng: random.Random, raw: bytes) -> bytes:
    return rng.choice(MUTATIONS)(rng, raw)


Read = Callable[[bytes], object]


class Costs:
    """What the inputs of one proof cost at most, each in seconds of the processor, and all together in bytes at once."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0
        self._slowest = 0.0
        self._measure_again: Callable[[], float] = float

    def is_accepted(self, anew: Callable[[], Read], read: Read, raw: bytes) -> bool:
        """Whether ``read`` takes the input. It may raise PeerFault, and nothing else. ``anew`` gives another like it."""
        is_accepted, seconds = _timed(read, raw)
        if seconds > self._slowest:
            self._slowest, self._measure_again = seconds, lambda: _timed(anew(), raw)[1]
        self.accepted += is_accepted
        self.refused += not is_accepted
        return is_accepted

    @contextmanager
    def within_limits(self, name: str) -> Iterator[None]:
        """Hold what happens inside to the limits. The slowest input is measured again, alone: a machine has other work too."""
        tracemalloc.start()
        try:
            yield
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        again = min(self._measure_again() for _ in range(_AGAIN))
        print(
            f"{name}: {self.accepted} accepted, {self.refused} refused, at most {self._slowest * 1e3:.2f} ms "
            f"({again * 1e3:.3f} ms alone), {peak / MIB:.1f} MiB"
        )
        assert peak <= MOST_BYTES
        assert ROUNDS < FULL or again <= MOST_SECONDS


def _timed(read: Read, raw: bytes) -> tuple[bool, float]:
    began = time.process_time()
    try:
        read(raw)
    except PeerFault:
        return False, time.process_time() - began
    return True, time.process_time() - began
