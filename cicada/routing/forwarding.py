"""Sending a message one hop on: for others, which is most of what a peer does, and for oneself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from msgspec.structs import replace

from cicada.ids import Peer, Place, is_hidden, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.io import Forward
from cicada.routing.table import Routes, RoutingTable
from cicada.wire.routed import BroadcastBase, Data, RoutedMessage, RouterMessage


class Forwarding:
    """Chooses next hops for ``own``. ``forwarded`` counts what went on for others; ``counts`` is shared with the Router."""

    def __init__(self, own: Peer, routes: Routes, limits: DeliveryLimits, counts: Counter[str]) -> None:
        self._target = place_to_bytes(own.place)
        self._is_hidden = is_hidden(own.address)
        self._routes = routes
        self._limits = limits
        self._hop_limit = limits.hop_limit
        self._counts = counts
        self.forwarded = 0

    def relay(self, message: RouterMessage, sender: Peer) -> Forward | None:
        """A message for somebody else on its way; None when anything but that is to be done about it."""
        if isinstance(message, BroadcastBase) or message.target == self._target or self._is_hidden:
            return None
        table = self._routes.table()
        if table is None or message.hops >= self._hop_limit:
            return None
        place = int.from_bytes(message.target, "big")
        if message.way:
            hop = table.coloured_hop(place, message.way)
            if hop is None:
                return self.stray(message, table.next_hop(place), sender)
        else:
            hop = table.next_hop(place)
            if hop is None:
                return None
        self.forwarded += 1
        return Forward(hop, replace(message, hops=message.hops + 1), sender)

    def stray(self, message: RoutedMessage, hop: Peer | None, sender: Peer | None) -> Forward | None:
        """No peer of its colour helps the message on: any other does rather than none."""
        if hop is None:
            return None
        self.forwarded += sender is not None
        self._counts["way-left"] += 1
        if isinstance(message, Data):
            return Forward(hop, replace(message, hops=message.hops + 1, strayed=True), sender)
        return Forward(hop, replace(message, hops=message.hops + 1), sender)

    def choose(
        self, table: RoutingTable, place: Place, message: RoutedMessage, exclude: Collection[Peer]
    ) -> Forward | None:
        """Where a message goes that this peer sends, or that a lost hop gave back."""
        is_indirect = message.hops == 0 and bool(message.way) and not self._limits.direct
        there = table.knows(place)
        shunned = {*exclude, there} if is_indirect and there is not None else exclude
        if message.way:
            is_near = there is not None and there not in shunned
            hop = there if is_near else table.coloured_relay(place, message.way, shunned)
            if hop is None and is_indirect and not table.nobody_at(place):
                hop = table.coloured_beyond(place, message.way, shunned)
            if hop is not None:
                return Forward(hop, replace(message, hops=message.hops + 1), None)
        for hop in table.next_hops(place, 1, shunned) or table.next_hops(place, 1, exclude):
            if message.way:
                return self.stray(message, hop, None)
            return Forward(hop, replace(message, hops=message.hops + 1), None)
        return None
