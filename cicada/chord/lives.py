"""Which life of a peer speaks. A restarted peer starts anew, and what its former life was or said no longer holds."""

from __future__ import annotations

from cicada.ids import Peer


class Lives:
    """The newest incarnation known of each peer, of at most ``size`` peers, longest unheard forgotten first.

    What a peer says itself and what a relayed join request says of it are kept apart: hearsay must not be able to
    silence a peer by claiming a life that it never had.
    """

    __slots__ = ("_entered", "_size", "_spoken")

    def __init__(self, size: int) -> None:
        self._size = size
        self._spoken: dict[Peer, int] = {}
        self._entered: dict[Peer, int] = {}

    def hear(self, peer: Peer, incarnation: int, is_member: bool) -> bool:
        """``peer`` itself spoke, in words that only a member uses or not; False when a newer life has spoken already."""
        if incarnation < self._spoken.get(peer, 0):
            return False
        self._note(self._spoken, peer, incarnation)
        if is_member:
            self._note(self._entered, peer, incarnation)
        return True

    def is_new_life(self, peer: Peer, joining: int) -> bool:
        """Whether a join request is the first sign of a life of ``peer``; the next one of the same life is not."""
        if joining <= self._entered.get(peer, 0) or joining < self._spoken.get(peer, 0):
            return False
        self._note(self._entered, peer, joining)
        return True

    def _note(self, table: dict[Peer, int], peer: Peer, incarnation: int) -> None:
        table.pop(peer, None)
        table[peer] = incarnation
        while len(table) > self._size:
            del table[next(iter(table))]
