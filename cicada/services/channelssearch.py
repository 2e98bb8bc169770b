"""A search for a parent: whom to ask next, and what was asked already."""

from __future__ import annotations

from random import Random

from cicada.ids import Address, Peer, peer_at
from cicada.limits import ChannelLimits


class Search:
    """Asks one candidate at a time: first hints, then the root that the ring names, then whom those name, nearest to the root
    last, so that it goes down the tree and comes back where that led nowhere."""

    def __init__(self, own: Peer, limits: ChannelLimits, rng: Random) -> None:
        self._own = own
        self._limits = limits
        self._rng = rng
        self._stack: list[Peer] = []
        self._tried: set[Address] = set()
        self.asked: Peer | None = None
        self.is_taken = False
        """Whether the question came to who is asked."""
        self.attempt = 0
        """How often the whole search led nowhere."""
        self.asked_until = 0.0
        self.retry_at: float | None = None

    def begin(self) -> None:
        """From the start; ``attempt`` is kept."""
        self._stack.clear()
        self._tried.clear()
        self.asked = self.retry_at = None

    def succeed(self) -> None:
        """A parent was found."""
        self.begin()
        self.attempt = 0

    def add(self, peers: tuple[str, ...]) -> None:
        """These may be asked, in no order: it would be somebody else's."""
        fresh = [
            peer_at(Address(name)) for name in peers if name not in self._tried and name != self._own.address
        ]
        self._rng.shuffle(fresh)
        self._stack += fresh[: max(self._limits.candidates - len(self._stack) - len(self._tried), 0)]

    def next(self, now: float) -> Peer | None:
        """Whom to ask now; None: nobody is left, and the search begins again at ``retry_at``."""
        self.asked, self.is_taken = None, False
        while self._stack:
            candidate = self._stack.pop()
            if candidate.address not in self._tried:
                self._tried.add(candidate.address)
                self.asked, self.asked_until = candidate, now + self._limits.answer
                return candidate
        return None

    def fail(self, now: float) -> None:
        """It led nowhere: wait, longer each time."""
        self.begin()
        wait = min(self._limits.retry * 2 ** min(self.attempt, 16), self._limits.retry_most)
        self.retry_at = now + wait * self._rng.uniform(0.5, 1.5)
        self.attempt = min(self.attempt + 1, 1 << 10)

    def next_deadline(self) -> float | None:
        """When it must go on by itself."""
        return self.asked_until if self.asked is not None else self.retry_at
