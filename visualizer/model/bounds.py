"""How much of a swarm is kept, and what passes for a number: a stream may say anything."""

from __future__ import annotations

from typing import Final

from cicada.ids import RING_SIZE

PEERS: Final = 10_000  # ten times the largest swarm on one machine; those that ended go first
NAMES: Final = 4 * PEERS  # addresses by which they are known: those where they were before too
WORKERS: Final = 1_024
FAULTS: Final = 1_024  # in force at the same time
NAME: Final = 256  # characters of a peer's name or address
TABLE: Final = 1_024  # fingers, and links, of one peer; a finger for each bit, four times
SUCCESSORS: Final = 64  # of one list; peers keep 16 at most
RELAYS: Final = 64  # of one hidden peer; it has a few
EDGES: Final = 50_000  # peers send over some ten links each
EDGE_KINDS: Final = 16  # kinds of messages on one edge; there are seven
TRIPS: Final = 256  # sampled messages that can still be looked at
FLIGHTS_OF_TRIP: Final = 2_048  # a broadcast to a thousand peers takes a thousand
MARKS: Final = 1_000  # on the timeline; the oldest go first
TEXT: Final = 300  # characters of a line
WORDS: Final = 160  # characters of a reason in it
UNKNOWN_KINDS: Final = 128
MOST: Final = 1e12  # no rate, count or duration is larger
LATEST_MS: Final = 7_258_118_400_000  # no clock shows a year from 2200 on


def count(value: float) -> int:
    """A count as far as it can be one: never negative, infinite or without end."""
    return int(amount(value))


def amount(value: float) -> float:
    """A rate or a duration as far as it can be one."""
    if 0 < value <= MOST:
        return value
    return MOST if value > MOST else 0.0  # what is no number is nothing


def instant(time_ms: int, otherwise: int) -> int:
    """A time on the wall clock in milliseconds; ``otherwise`` when it cannot be one."""
    return time_ms if 0 <= time_ms <= LATEST_MS else otherwise


def place_in(text: str, otherwise: int) -> int:
    """The place that 64 hexadecimal digits say; ``otherwise`` when they are none."""
    try:
        place = int(text, 16) if len(text) <= NAME else -1
    except ValueError:
        place = -1
    return place if 0 <= place < RING_SIZE else otherwise
