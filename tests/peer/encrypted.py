"""Encrypted peers in one loop. What their links would prove about keys is taken from a table, so that these tests are about
sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from cicada.actors.peer import PeerSupervisor
from cicada.actors.transport import TransportActor
from cicada.aio import HostPort, SwarmPeer
from cicada.ids import Address, Peer, canonical_address
from cicada.keys.identity import Identity
from cicada.keys.memory import Memory
from cicada.keys.psks import Secrets
from cicada.keys.trust import Pin, TrustStore
from cicada.routing.io import RoutedReceived, RouterInput, RouterOutput
from cicada.routing.router import Router
from cicada.transport import linkio
from cicada.wire.routed import RouterMessage
from tests.peer.swarm import PATIENCE_S, proven

memories: dict[Address, Memory] = {}
"""Of the peers that live."""


class KnowingTransport(TransportActor):
    """Links that know the keys at both of their ends."""

    def specials(self) -> dict[type, Callable[[Any], object]]:
        return {**super().specials(), linkio.Identify: self._identify}

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        carriers = super().carriers()
        prove = carriers[linkio.Proven]

        def proven_and_met(output: linkio.Proven) -> None:
            prove(output)
            record = self._record_of(output.peer)
            if record:
                self.to_crypto.append(linkio.Met(output.peer, record))

        return {**carriers, linkio.Proven: proven_and_met}

    def _identify(self, asked: linkio.Identify) -> None:
        record = self._record_of(asked.peer)
        answer = linkio.Identified(asked.peer, record) if record else linkio.Unidentified(asked.peer, "gone")
        self.to_crypto.append(answer)

    def _record_of(self, peer: Peer) -> bytes:
        memory = memories.get(peer.address)
        return b"" if memory is None else memory.own_record.raw()


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
def knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers that are bound from now on have such actors."""
    memories.clear()
    SeenRouter.by_address.clear()
    monkeypatch.setattr("cicada.actors.peer.TransportActor", KnowingTransport)
    monkeypatch.setattr("cicada.actors.router.Router", SeenRouter)
    start = PeerSupervisor.on_start

    def on_start(self: PeerSupervisor) -> None:
        memory = self._holdings.memory
        if memory is not None:
            memories[self.around.own.address] = memory
        start(self)

    monkeypatch.setattr(PeerSupervisor, "on_start", on_start)


def encrypted(
    port: int = 0,
    *,
    identity: Identity | None = None,
    trust: TrustStore | None = None,
    secrets: Secrets | None = None,
) -> SwarmPeer:
    """One such peer."""
    return SwarmPeer("127.0.0.1", port, identity=identity, trust=trust, secrets=secrets, encrypt=True)


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


def pin_of(peer: HostPort, identity: Identity) -> Pin:
    """A pin that the user gave."""
    return Pin(
        address=canonical_address(*peer),
        signing_key=identity.signing_public,
        static_key=identity.static.public,
        by_user=True,
    )
