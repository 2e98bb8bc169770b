"""Coloured ways: disjoint paths that nobody has to agree on.

Whoever sends k copies draws a random seed. Seed and attempt give each host one of k colours, and copy i travels over peers
of colour i only, but for its destination: so no peer, and no host, carries two copies of one attempt. Nobody can know the
colours before the seed is on its way, so a peer cannot choose a place on two paths, and hurts one copy at most.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

SEED_BYTES: Final = 16
_COLOUR_BYTES: Final = 8
_ATTEMPTS: Final = 1 << 8
_BACK: Final = 1 << 7  # no attempt gets there


class Way(NamedTuple):
    """One of ``k`` disjoint ways to wherever a message goes; on the wire 19 bytes."""

    seed: bytes
    attempt: int
    k: int
    colour: int

    def pack(self) -> bytes:
        """As it stands in a message. Only the last eight bits of ``attempt`` count."""
        return self.seed + bytes((self.attempt % _ATTEMPTS, self.k, self.colour))


def parse_way(raw: bytes) -> Way:
    """What a message's ``way``, which is not empty and which the wire's decoder has checked, says."""
    return Way(raw[:SEED_BYTES], raw[-3], raw[-2], raw[-1])


def ways_back(raw: bytes, count: int) -> tuple[bytes, ...]:
    """``count`` ways for answers to what came by a way: that one, those of the other colours beside it, and then those of
    another colouring that follows from the same seed."""
    if count == 1:
        return (raw,)
    seed, attempt, k, colour = parse_way(raw)
    return tuple(
        Way(seed, attempt ^ (_BACK if step >= k else 0), k, (colour + step) % k).pack()
        for step in range(min(count, 2 * k))
    )


def colouring(raw: bytes) -> blake2b:
    """The hash that ``colour_of`` begins with on a way: what follows are the host and one byte, the attempt."""
    return blake2b(digest_size=_COLOUR_BYTES, key=raw[:SEED_BYTES])


def colour_of(seed: bytes, attempt: int, host: bytes, k: int) -> int:
    """Which of ``k`` colours a host has: BLAKE2b of eight bytes, keyed with the seed, over host and attempt, modulo k."""
    hashed = blake2b(host + bytes((attempt % _ATTEMPTS,)), digest_size=_COLOUR_BYTES, key=seed).digest()
    return int.from_bytes(hashed, "big") % k
