"""Where hidden peers lodge, as far as one Router knows.

What they signed or sealed is believed: their records, and what comes in a session with them. Other messages that seem to come
from them say it too, and answers to these go there: whoever lies about the origin of a message gets no more than an answer that
goes astray.
"""

from __future__ import annotations

from cicada.ids import Address, Peer, Place, is_hidden, peer_at, place_from_bytes
from cicada.limits import LODGING, LodgingLimits
from cicada.wire.routed import RoutedMessage


class Homes:
    """Relays of hidden peers by their places, the least recently used first out. Relays themselves know who lodges with them."""

    def __init__(self, limits: LodgingLimits = LODGING) -> None:
        self._limits = limits
        self._known: dict[Place, tuple[Peer, ...]] = {}
        self._hearsay: dict[Place, Peer] = {}
        self.own: tuple[Address, ...] = ()
        """Where the own peer lodges, when it is hidden itself: what it seals says so."""

    def __len__(self) -> int:
        return len(self._known) + len(self._hearsay)

    def learn(self, place: Place, homes: tuple[Address, ...]) -> None:
        """The hidden peer at ``place`` has signed that it lodges at these."""
        self._known.pop(place, None)
        self._known[place] = tuple(peer_at(home) for home in homes)
        if len(self._known) > self._limits.homes:
            del self._known[next(iter(self._known))]

    def told(self, peer: Peer, homes: tuple[str, ...]) -> None:
        """``peer`` said so in a session with this one; empty: it can be dialled."""
        if homes and is_hidden(peer.address):
            self.learn(peer.place, tuple(map(Address, homes)))

    def hear(self, message: RoutedMessage) -> None:
        """A message came; perhaps its origin is hidden and says where it lodges."""
        lodging = message.lodging
        if lodging is None or not lodging.home or not is_hidden(message.origin):
            return  # who can be dialled is reached at its place, whatever anybody says
        place = peer_at(Address(message.origin)).place
        self._hearsay.pop(place, None)
        self._hearsay[place] = peer_at(Address(lodging.home))
        if len(self._hearsay) > self._limits.hearsay:
            del self._hearsay[next(iter(self._hearsay))]

    def lose(self, message: RoutedMessage, peer: Peer) -> None:
        """``peer`` did not take a message: if it was to pass it on to a hidden one, others may."""
        lodging = message.lodging
        if lodging is None or not lodging.to:
            return
        place = place_from_bytes(lodging.to)
        if place in self._known:
            self._known[place] = tuple(home for home in self._known[place] if home != peer)
        if self._hearsay.get(place) == peer:
            del self._hearsay[place]

    def to(self, place: Place) -> tuple[Peer, ...]:
        """The relays to send to the hidden peer at ``place`` by; empty: none is known, or it is not hidden."""
        return self._known.get(place, ())

    def back(self, place: Place) -> Peer | None:
        """The relay to answer that peer by: the one that its last message named, unless it has signed that it lodges elsewhere."""
        known, named = self._known.get(place, ()), self._hearsay.get(place)
        return named if named in known or not known else known[0]
