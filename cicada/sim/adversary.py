"""Peers that do not keep to the rules, made for one test. Those that scenarios and launched swarms share have a
``cicada.routing.behaviour``."""

from __future__ import annotations

from cicada.chord.io import RingInput, RingOutput
from cicada.routing.io import RouterInput, RouterOutput


class Adversary:
    """Decides what one peer really does. This one is honest; subclasses replace, drop, add and alter.

    The peer's cores are the product's own and honest: they are fed everything, and what they want to do is put before
    the adversary, which says what is done instead. A SendTo or Forward that it makes up is carried like any other, as
    a message of this peer: links authenticate their ends.
    """

    def ring(self, cause: RingInput, honest: list[RingOutput], now: float) -> list[RingOutput]:
        """What follows from ``cause`` in the ring. ``now`` is in seconds of the peer's own clock."""
        return honest

    def router(self, cause: RouterInput, honest: list[RouterOutput], now: float) -> list[RouterOutput]:
        """What follows from ``cause`` in the Router."""
        return honest
