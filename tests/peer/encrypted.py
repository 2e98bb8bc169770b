"""Peers in one loop whose keys are chosen and whose Routers can be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from cicada.aio import HostPort, SwarmPeer
from cicada.ids import Address, Peer, canonical_address
from cicada.keys.identity import Identity
from cicada.keys.pins import USER, Pin
from cicada.keys.trust import TrustStore
from cicada.routing.io import RoutedReceived, RouterInput, RouterOutput
from cicada.routing.router import Router
from cicada.wire.routed import RouterMessage
from tests.peer.swarm import PATIENCE_S, proven


class SeenRouter(Router):
    """A Router whose incoming messages can be looked at."""

    by_address: ClassVar[dict[Address, SeenRouter]] = {}

    def __init__(self, own: Peer, boot: int, **rest: Any) -> None:
        super().__init__(own, boot, **rest)
        self.seen: list[RouterMessage] = []
        self.by_address[own.address] = self

    def handle(self, input: RouterInput, now: float) -> list[RouterOutput]:
        if isinstance(input, RoutedReceived):
            self.seen.append(input.message)
        return super().handle(input, now)


@pytest.fixture
def seen_routers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers that are bound from now on have Routers that can be looked at."""
    SeenRouter.by_address.clear()
    monkeypatch.setattr("cicada.routing.behaviour.Router", SeenRouter)


def encrypted(
    port: int = 0,
    *,
    identity: Identity | str = "ephemeral",
    trust: TrustStore | None = None,
) -> SwarmPeer:
    """A peer with these keys."""
    return SwarmPeer("127.0.0.1", port, identity=identity, trust=trust)


@asynccontextmanager
async def ring(*peers: SwarmPeer) -> AsyncIterator[list[SwarmPeer]]:
    """These peers in one proven ring."""
    try:
        await asyncio.gather(*(peer.connect(peers[0], timeout=PATIENCE_S) for peer in peers[1:]))
        await proven(peers)
        yield list(peers)
    finally:
        for peer in peers:
            peer.kill()
        await asyncio.gather(*(peer._hosted.gone for peer in peers if peer._hosted is not None))


def pin_of(peer: HostPort, identity: Identity) -> Pin:
    """A pin that the user gave."""
    return Pin(
        address=canonical_address(*peer),
        signing_key=identity.signing_public,
        static_key=identity.static.public,
        by=USER,
    )
