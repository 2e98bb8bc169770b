"""Rectify: who is this node's predecessor (Zave's rule, with a dial proof before anyone is adopted)."""

from __future__ import annotations

from cicada.chord.circle import distance
from cicada.chord.requests import Purpose
from cicada.chord.ring import Ring
from cicada.ids import Peer


class Rectifier:
    """Holds the peers that notified this node and wait for a proof, or for the old predecessor's end."""

    __slots__ = ("_ring", "_suitors")

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._suitors: list[Peer] = []

    def reset(self) -> None:
        """Forget all who wait."""
        self._suitors.clear()

    def on_notify(self, peer: Peer) -> None:
        """``peer`` believes to be the predecessor."""
        if peer in (self._ring.predecessor, self._ring.peer) or not self._ring.places.admits(peer):
            return
        if peer not in self._suitors:
            self._suitors.append(peer)
            self._suitors.sort(key=lambda suitor: distance(suitor.place, self._ring.peer.place))
            del self._suitors[self._ring.limits.suitors :]
        self._consider(peer)

    def on_proven(self, peer: Peer) -> None:
        """A dial succeeded; the case is decided by the state of now."""
        if peer in self._suitors:
            self._consider(peer)

    def on_gone(self, peer: Peer) -> None:
        """The peer left all tables. If it was the predecessor, those who waited for its end have their turn."""
        if peer in self._suitors:
            self._suitors.remove(peer)
        if self._ring.predecessor is None:
            for suitor in list(self._suitors):
                self._consider(suitor)

    def on_predecessor_state(self, is_alone: bool) -> None:
        """The old predecessor answered. As a ring of one it is as good as dead here; else its claim stands."""
        if is_alone and self._ring.successors.head != self._ring.predecessor:
            self._ring.set_predecessor(None)
            for suitor in list(self._suitors):
                self._consider(suitor)
        else:
            self._drop_refuted()

    def _drop_refuted(self) -> None:
        """Only who is nearer than the predecessor still has a claim."""
        self._suitors = [suitor for suitor in self._suitors if self._ring.is_nearer_predecessor(suitor)]

    def _consider(self, peer: Peer) -> None:
        ring = self._ring
        if not ring.is_nearer_predecessor(peer):
            if ring.predecessor is not None:
                ring.ask(ring.predecessor, Purpose.RECTIFY)
        elif peer in ring.proofs:
            ring.set_predecessor(peer)
            self._drop_refuted()
        else:
            ring.prove(peer)
