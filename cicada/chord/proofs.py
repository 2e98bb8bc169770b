"""Who has answered at its own address, and whom we are dialling to find out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import filterfalse

from cicada.ids import Peer


class Proofs:
    """Peers whose dial proof arrived, and dials under way with the time by which they must have been answered. A dial may be put
    off for a while before that."""

    __slots__ = ("_delayed", "_dials", "_proven")

    def __init__(self) -> None:
        self._proven: set[Peer] = set()
        self._dials: dict[Peer, float] = {}
        # those of them that could not be begun, and when they are tried again
        self._delayed: dict[Peer, float] = {}

    def __contains__(self, peer: Peer) -> bool:
        return peer in self._proven

    def unproven(self, peers: Iterable[Peer]) -> list[Peer]:
        """Those of ``peers`` whose proof is not there, in their order."""
        return list(filterfalse(self._proven.__contains__, peers))

    def add(self, peer: Peer) -> None:
        """The proof arrived."""
        self.cancel(peer)
        self._proven.add(peer)

    def remove(self, peer: Peer) -> None:
        """A dial failed: what was proven is proven no longer."""
        self.cancel(peer)
        self._proven.discard(peer)

    def drop(self, peer: Peer) -> None:
        """Forget a proof, which can be had again. A dial under way goes on."""
        self._proven.discard(peer)

    def dial(self, peer: Peer, deadline: float) -> bool:
        """Note a dial; False when one is under way already."""
        if peer in self._dials:
            return False
        self._dials[peer] = deadline
        return True

    def delay(self, peer: Peer, until: float) -> None:
        """The dial to the peer could not be begun, if one was to be: try again then. Its time runs on."""
        if peer in self._dials:
            self._delayed[peer] = until

    def is_delayed(self, peer: Peer) -> bool:
        """Whether the dial could not be begun yet, so that it tells nothing of the peer."""
        return peer in self._delayed

    def take_delayed(self, now: float) -> list[Peer]:
        """Whom to dial again."""
        due = [peer for peer, until in self._delayed.items() if until <= now]
        for peer in due:
            del self._delayed[peer]
        return due

    def cancel(self, peer: Peer) -> None:
        """Wait for no dial to the peer."""
        self._dials.pop(peer, None)
        self._delayed.pop(peer, None)

    def is_dialling(self, peer: Peer) -> bool:
        """Whether a dial is under way."""
        return peer in self._dials

    @property
    def dials(self) -> int:
        """How many dials are under way."""
        return len(self._dials)

    def overdue(self, now: float) -> list[Peer]:
        """Dials that nobody answered in time."""
        return [peer for peer, deadline in self._dials.items() if deadline <= now]

    def next_deadline(self) -> float | None:
        """When the first dial is overdue, or is to be tried again."""
        return min((*self._dials.values(), *self._delayed.values()), default=None)

    def prune(self, keep: Collection[Peer], size: int) -> None:
        """Hold at most ``size`` proofs, dropping those of peers outside ``keep``; they can be dialled again."""
        if len(self._proven) > size:
            self._proven.intersection_update(keep)

    def clear(self) -> None:
        """Trust nobody."""
        self._proven.clear()
        self._dials.clear()
        self._delayed.clear()

    def peers(self) -> list[Peer]:
        """All proven peers, ordered by place so that runs can be replayed."""
        return sorted(self._proven, key=lambda peer: peer.place)
