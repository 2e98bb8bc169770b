"""For which peers the hook ``new_peer`` was called."""

from __future__ import annotations

from collections.abc import Iterable

from cicada.ids import Peer
from cicada.limits import ACTOR, ActorLimits


class Acquaintances:
    """Those that were met last, at most ``ActorLimits.acquaintances``: whoever comes back after so many others is new again."""

    def __init__(self, own: Peer, limits: ActorLimits = ACTOR) -> None:
        self._own = own
        self._most = limits.acquaintances
        self._met: dict[Peer, None] = {}  # the one seen last is the last

    def __len__(self) -> int:
        return len(self._met)

    def meet(self, present: Iterable[Peer]) -> list[Peer]:
        """Who of those that are ``present`` is new. As long as somebody is present it stays known, if they are not too many."""
        newcomers = []
        for peer in present:
            if peer == self._own:
                continue
            if peer in self._met:
                del self._met[peer]
            else:
                newcomers.append(peer)
            self._met[peer] = None
        while len(self._met) > self._most:
            del self._met[next(iter(self._met))]
        return newcomers
