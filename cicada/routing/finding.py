"""Lookups of hidden peers: a relay makes them, because nobody can dial the one that asks."""

from __future__ import annotations

from cicada.chord.io import FindOwner, LookupFailure, OwnerFound, OwnerNotFound
from cicada.ids import Address, Peer, peer_at, place_from_bytes, place_to_bytes
from cicada.limits import LODGING, LodgingLimits
from cicada.routing.io import Forward, Locate, Located, RouterOutput
from cicada.wire.routed import LodgingFind, LodgingFound

_FAILURES = {failure.value: failure for failure in LookupFailure}


class FindsForOthers:
    """The relay's side. At most ``finds`` are open; the oldest is forgotten."""

    def __init__(self, limits: LodgingLimits = LODGING) -> None:
        self._limits = limits
        self._open: dict[int, tuple[Peer, int]] = {}
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, lodger: Peer, find: LodgingFind) -> list[RouterOutput]:
        """A peer that lodges here asks. One that has too many open waits for nobody's."""
        mine = [ticket for ticket, (peer, _) in self._open.items() if peer == lodger]
        if len(mine) >= self._limits.finds_each:
            del self._open[mine[0]]
        self._tickets += 1
        self._open[self._tickets] = (lodger, find.request)
        if len(self._open) > self._limits.finds:
            del self._open[next(iter(self._open))]
        return [Locate(self._tickets, place_from_bytes(find.place))]

    def end(self, located: Located) -> list[RouterOutput]:
        """It is known who owns the place, or why not."""
        lodger, request = self._open.pop(located.ticket, (None, 0))
        if lodger is None:
            return []
        return [Forward(lodger, _answer(request, located.found, self._limits.route), None)]


class OwnFinds:
    """The hidden peer's side. Whoever waits for an answer has a time limit of its own."""

    def __init__(self, limits: LodgingLimits = LODGING) -> None:
        self._limits = limits
        self._open: dict[int, tuple[FindOwner, Peer]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, find: FindOwner, relays: tuple[Peer, ...]) -> list[RouterOutput]:
        """Ask a relay, each time another one."""
        if not relays:
            return [OwnerNotFound(find.id, LookupFailure.NOT_MEMBER)]
        relay = relays[find.id % len(relays)]
        self._open[find.id] = (find, relay)
        if len(self._open) > self._limits.finds:
            oldest = next(iter(self._open))
            del self._open[oldest]
            return [OwnerNotFound(oldest, LookupFailure.OVERLOADED), self._question(find, relay)]
        return [self._question(find, relay)]

    def end(self, own: Peer, relay: Peer, found: LodgingFound) -> list[RouterOutput]:
        """The relay answered. What was not asked of it is ignored."""
        asked = self._open.get(found.request)
        if asked is None or asked[1] != relay:
            return []
        del self._open[found.request]
        if found.reason:
            reason = _FAILURES.get(found.reason, LookupFailure.NO_ROUTE)
            return [OwnerNotFound(found.request, reason)]
        owner, before = peer_at(Address(found.owner)), peer_at(Address(found.predecessor))
        route = tuple(peer_at(Address(each)) for each in found.route)
        return [OwnerFound(found.request, owner, before, (own, *route), found.hops + 1)]

    def lose(self, relay: Peer, relays: tuple[Peer, ...]) -> list[RouterOutput]:
        """A relay is gone: others are asked what it had not answered."""
        outputs: list[RouterOutput] = []
        for find in [find for find, asked in self._open.values() if asked == relay]:
            del self._open[find.id]
            outputs += self.begin(find, relays)
        return outputs

    def _question(self, find: FindOwner, relay: Peer) -> Forward:
        return Forward(relay, LodgingFind(request=find.id, place=place_to_bytes(find.place)), None)


def _answer(request: int, found: OwnerFound | OwnerNotFound, longest: int) -> LodgingFound:
    if isinstance(found, OwnerNotFound):
        reason = found.reason.value
        return LodgingFound(request=request, owner="", predecessor="", route=(), hops=0, reason=reason)
    return LodgingFound(
        request=request,
        owner=found.owner.address,
        predecessor=found.predecessor.address,
        route=tuple(peer.address for peer in found.route[:longest]),
        hops=found.hops,
    )
