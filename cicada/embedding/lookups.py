"""Who owns a place, as an application asks for it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from cicada.actors.family import Locate
from cicada.actors.hosted import HostedPeer
from cicada.actors.mailbox import HostPort
from cicada.chord.io import LookupFailure, OwnerFound
from cicada.embedding.waiting import answered
from cicada.errors import DeliveryTimeout, RingNotReady
from cicada.ids import Place
from cicada.targets import Target, place_looked_up


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns a place: the peer whose own place is the first at or after it. ``route`` begins with the asking peer. In
    ``seconds_per_hop`` of an iterative one is how long each of the others took to answer."""

    place: Place
    owner: HostPort
    route: tuple[HostPort, ...]
    hops: int
    seconds: float
    seconds_per_hop: tuple[float, ...] = ()

    @property
    def whole_route(self) -> tuple[HostPort, ...]:
        """The route, with the owner at its end."""
        return self.route if self.route[-1:] == (self.owner,) else (*self.route, self.owner)


async def look_up(
    hosted: HostedPeer, value: Target | bytes, timeout: float, iterative: bool
) -> Lookup | LookupFailure:
    """As SwarmPeer.lookup promises it."""
    place = await place_looked_up(value)
    started = hosted.now()
    reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    hosted.tell(Locate(place, iterative, reply))
    try:
        answer = await answered(reply, timeout, "lookup")
    except DeliveryTimeout:
        return LookupFailure.TIMED_OUT
    if not isinstance(answer, OwnerFound):
        failure: LookupFailure = answer.reason
        return failure
    return Lookup(
        place=place,
        owner=HostPort.of(answer.owner.address),
        route=tuple(HostPort.of(peer.address) for peer in answer.route),
        hops=answer.hops,
        seconds=hosted.now() - started,
        seconds_per_hop=answer.seconds,
    )


def route_of(found: Lookup | LookupFailure) -> tuple[HostPort, ...]:
    """The peers that a lookup passed, the owner last. Raises RingNotReady when it failed."""
    if isinstance(found, LookupFailure):
        raise RingNotReady(f"no route: the lookup ended with {found.value!r}")
    return found.whole_route
