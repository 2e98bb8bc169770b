"""What one peer may have of this one in all channels: its rates, and who is no neighbour for a while."""

from __future__ import annotations

from cicada.ids import Address, Peer
from cicada.limits import ChannelLimits
from cicada.services.channelsio import Blamed
from cicada.services.channelsoutbox import Outbox
from cicada.tokens import Shares


class Guard:
    """Tables of a fixed size: the latest peers have places in them."""

    def __init__(self, limits: ChannelLimits, outbox: Outbox) -> None:
        self._limits = limits
        self._outbox = outbox
        self._bans: dict[Address, float] = {}
        self.asks = Shares(limits.asks_rate, limits.asks_burst, limits.peers)
        """Words of a peer that are no messages of a channel."""
        self.posts = Shares(limits.posts_rate, limits.posts_burst, limits.peers)
        """Messages that a neighbour passed on, given back when they were new."""
        self.origins = Shares(limits.origin_rate, limits.origin_burst, limits.peers)
        """Messages of one origin in one channel."""

    def is_banned(self, address: str, now: float) -> bool:
        """Whether nothing is taken from it, and it is not asked either."""
        return self._bans.get(Address(address), now) > now

    def has_bans(self, now: float) -> bool:
        """Whether anybody is banned."""
        return any(until > now for until in self._bans.values())

    def ban(self, peer: Peer, now: float) -> None:
        """It is no neighbour for a while."""
        self._bans.pop(peer.address, None)
        self._bans[peer.address] = now + self._limits.banned
        if len(self._bans) > self._limits.bans:
            del self._bans[next(iter(self._bans))]

    def blame(self, peer: Peer, reason: str, now: float) -> None:
        """Ban it, and tell why."""
        self.ban(peer, now)
        self._outbox.tell(Blamed(peer, reason))
