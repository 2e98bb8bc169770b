"""What a node can tell of the whole ring from its own list: how many members it has, and how fast they come and go."""

from __future__ import annotations

from math import exp

from cicada.chord.circle import distance
from cicada.ids import RING_SIZE, Peer


class Estimates:
    """Of the node at ``own``. Times are monotonic seconds; rates fade with ``memory`` seconds.

    Members lie on the circle by a hash, so the arc that k entries cover says how many the whole circle holds, within a
    quarter for k = 16 (Mahajan, Castro and Rowstron 2003). What comes and goes inside that arc is a sample of all.
    """

    __slots__ = ("_arrivals", "_at", "_departures", "_memory", "_own")

    def __init__(self, own: Peer, memory: float) -> None:
        self._own = own
        self._memory = memory
        self._at = 0.0
        self._arrivals = 0.0
        self._departures = 0.0

    def on_list(self, before: tuple[Peer, ...], after: tuple[Peer, ...], now: float) -> None:
        """The list changed. What only moved in or out at its end neither came nor went."""
        if not before or not after:
            return
        end = min(self._distance(before[-1]), self._distance(after[-1]))
        came, went = set(after).difference(before), set(before).difference(after)
        self._fade(now)
        self._arrivals += sum(self._distance(peer) <= end for peer in came) / self._memory
        self._departures += sum(self._distance(peer) <= end for peer in went) / self._memory

    def size(self, entries: tuple[Peer, ...], predecessor: Peer | None) -> float:
        """Members of the ring, this one included. Exact where the list holds them all."""
        if not entries or predecessor is None or predecessor in entries:
            return len(entries) + 1.0
        return 1.0 + len(entries) * RING_SIZE / self._distance(entries[-1])

    def churn(self, entries: tuple[Peer, ...], predecessor: Peer | None, now: float) -> float:
        """Members that come or go in the whole ring, per second."""
        self._fade(now)
        share = max(len(entries), 1) / self.size(entries, predecessor)
        return (self._arrivals + self._departures) / min(share, 1.0)

    def loss(self, entries: tuple[Peer, ...], now: float) -> float:
        """Chance per second that a given member goes."""
        self._fade(now)
        return self._departures / max(len(entries), 1)

    def _distance(self, peer: Peer) -> int:
        return distance(self._own.place, peer.place)

    def _fade(self, now: float) -> None:
        share = exp((self._at - now) / self._memory)
        self._arrivals *= share
        self._departures *= share
        self._at = now
