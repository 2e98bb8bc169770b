"""Which life of a peer speaks. A restarted peer starts anew, and what its former life was or said no longer holds."""

from __future__ import annotations

from cicada.ids import Peer

OLDER_LIFE = "older-life"
"""Why words are not listened to."""


class Lives:
    """The newest incarnation known of each peer, of at most ``size`` peers, longest unheard forgotten first.

    A peer is believed when it is proven; nobody else is, neither about himself, for anybody can claim an address, nor about
    others: one word could silence a peer for ever by a life that it never had.
    """

    __slots__ = ("_entered", "_size", "_spoken")

    def __init__(self, size: int) -> None:
        self._size = size
        self._spoken: dict[Peer, int] = {}
        self._entered: dict[Peer, int] = {}

    def is_former(self, peer: Peer, incarnation: int) -> bool:
        """Whether a newer life of ``peer`` has spoken already."""
        return incarnation < self._spoken.get(peer, 0)

    def hear(self, peer: Peer, incarnation: int, is_member: bool) -> None:
        """``peer`` itself, proven, spoke with the newest life known of it, in words that only a member uses or not."""
        self._note(self._spoken, peer, incarnation)
        if is_member:
            self._note(self._entered, peer, incarnation)

    def may_be_new(self, peer: Peer, joining: int) -> bool:
        """Whether a join request is a sign of a life of ``peer`` that is not known to have entered the ring."""
        return joining > self._entered.get(peer, 0) and not self.is_former(peer, joining)

    def is_new_life(self, peer: Peer, joining: int) -> bool:
        """Whether its own join request is the first sign of a life of ``peer``; the next one of the same life is not."""
        if not self.may_be_new(peer, joining):
            return False
        self._note(self._entered, peer, joining)
        return True

    def settle(self, peer: Peer, incarnation: int) -> None:
        """This life answered a question that was asked after any other spoke, so it is the present one, however low its number:
        clocks are set back."""
        if self.is_former(peer, incarnation):
            self._spoken[peer] = incarnation
            self._entered.pop(peer, None)

    def _note(self, table: dict[Peer, int], peer: Peer, incarnation: int) -> None:
        table.pop(peer, None)
        table[peer] = incarnation
        while len(table) > self._size:
            del table[next(iter(table))]
