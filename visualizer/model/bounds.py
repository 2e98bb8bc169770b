"""How much of a swarm is kept, and what passes for a number: a stream may say anything."""

from __future__ import annotations

import math
from typing import Final

from cicada.ids import RING_SIZE

PEERS: Final = 10_000  # ten times the largest swarm on one machine; those that ended go first
NAMES: Final = 4 * PEERS  # addresses by which they are known: those where they were before too
WORKERS: Final = 1_024
FAULTS: Final = 1_024  # in force at the same time
NAME: Final = 256  # characters of a peer's name or address
TABLE: Final = 1_024  # fingers, and links, of one peer; a finger for each bit, four times
SUCCESSORS: Final = 64  # of one list; peers keep 16 at most
EDGES: Final = 50_000  # peers send over some ten links each
EDGE_KINDS: Final = 16  # kinds of messages on one edge; there are seven
TRIPS: Final = 256  # sampled messages that can still be looked at
FLIGHTS_OF_TRIP: Final = 2_048  # a broadcast to a thousand peers takes a thousand
MARKS: Final = 1_000  # on the timeline; the oldest go first
TEXT: Final = 300  # characters of a line
WORDS: Final = 160  # characters of a reason in it
UNKNOWN_KINDS: Final = 128
MOST: Final = 1e12  # no rate, count or time is larger


def count(value: float) -> int:
    """A count as far as it can be one: never negative, infinite or without end."""
    return int(amount(value))


def amount(value: float) -> float:
    """A rate or a duration as far as it can be one."""
    return min(value, MOST) if value > 0 and not math.isnan(value) else 0.0


def place_in(text: str, otherwise: int) -> int:
    """The place that 64 hexadecimal digits say; ``otherwise`` when they are none."""
    try:
        place = int(text, 16) if len(text) <= NAME else -1
    except ValueError:
        place = -1
    return place if 0 <= place < RING_SIZE else otherwise
