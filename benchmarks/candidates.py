"""Which candidates of a finger interval should a node keep? Mean hops of greedy lookups over tables alone, no protocol.

    python -m benchmarks.candidates [--lookups 1500] [--seed 1]

`nearest`: those nearest to the beginning of each interval, as cicada/chord/fingers.py has it. `spread`: as many, at equal
distances over the interval.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Iterator
from random import Random

BITS = 64
SIZE = 1 << BITS
SUCCESSORS = 16
CASES = (
    (10, 16),
    (14, 16),
    (17, 14),
    (20, 12),
    (22, 10),
)  # log2 of the peers, candidates that 192 known peers allow


class Circle:
    """Random places, and the tables that follow from them."""

    def __init__(self, peers: int, candidates: int, spread: bool, rng: Random) -> None:
        self.places = sorted(rng.getrandbits(BITS) for _ in range(peers))
        self._candidates = candidates
        self._spread = spread

    def hops(self, index: int, target: int) -> int:
        """Links from a peer to the one that knows the owner of ``target``."""
        made = 0
        while self._distance(index, target) > self._distance(index, self._place(index + 1)):
            left = self._distance(index, target)
            index = max(
                (other for other in self._known(index, left) if 0 < self._from(index, other) < left),
                key=lambda other, index=index: self._from(index, other),  # type: ignore[misc]
            )
            made += 1
        return made

    def _known(self, index: int, left: int) -> Iterator[int]:
        """Peers of the table that may be the best hop for a target ``left`` away."""
        count = len(self.places)
        yield from ((index + step) % count for step in range(1, SUCCESSORS + 1))
        for interval in (left.bit_length() - 1, left.bit_length() - 2):
            width = 1 << interval
            first = bisect_left(self.places, (self.places[index] + width) % SIZE)
            for number in range(self._candidates):
                step = width * number // self._candidates
                at = first + number
                if self._spread:
                    at = bisect_left(self.places, (self.places[index] + width + step) % SIZE)
                if width <= self._from(index, at % count) < 2 * width:
                    yield at % count

    def _place(self, index: int) -> int:
        return self.places[index % len(self.places)]

    def _distance(self, index: int, place: int) -> int:
        return (place - self.places[index]) % SIZE

    def _from(self, index: int, other: int) -> int:
        return self._distance(index, self.places[other])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lookups", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("peers     candidates  nearest  spread")
    for bits, candidates in CASES:
        means = []
        for spread in (False, True):
            rng = Random(options.seed)
            circle = Circle(1 << bits, candidates, spread, rng)
            made = [
                circle.hops(rng.randrange(1 << bits), rng.getrandbits(BITS)) for _ in range(options.lookups)
            ]
            means.append(sum(made) / len(made))
        print(f"2^{bits:<7} {candidates:<11} {means[0]:<8.2f} {means[1]:.2f}")


if __name__ == "__main__":
    main()
