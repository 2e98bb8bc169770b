"""What peers live on in virtual time: memory for sockets, one seed for everything random, a calendar of its own."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING, Final

from cicada.actors import peerkeys
from cicada.actors.alarm import LoopClock
from cicada.actors.peerkeys import EPHEMERAL, PERSISTENT, KeySource, PeerKeys
from cicada.errors import Unavailable
from cicada.ids import Address, canonical_address
from cicada.keys.identity import Identity
from cicada.keys.trust import TrustStore
from cicada.testing.virtualnetwork import Network
from cicada.transport.memory import MemoryEndpoint, MemoryNetwork

if TYPE_CHECKING:
    from cicada.actors.hosted import HostedPeer

_EPOCH_NS: Final = 1_767_225_600_000_000_000  # 2026-01-01: when every run begins
_LOOPBACK: Final = "127.0.0.1"
_FREE_PORTS: Final = range(49_152, 65_536)  # those that systems give away
_DESCRIPTORS: Final = 1 << 20  # connections in memory need none


class VirtualPlatform:
    """Of one VirtualLoop. Files are read where an application names some, and none is written: a lasting address has its keys
    and pins until the end of the run."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int, network: Network) -> None:
        self._loop = loop
        self.network = network
        self.entropy = random.Random(seed)
        self._memory = MemoryNetwork()
        self._kept: dict[Address, PeerKeys] = {}

    def clock(self) -> LoopClock:
        return LoopClock(self._loop, monotonic=self._loop.time, wall_ns=self._wall_ns)

    def endpoint(self) -> MemoryEndpoint:
        return MemoryEndpoint(
            self._loop, self._memory, entropy=lambda: self.entropy.getrandbits(32), descriptors=_DESCRIPTORS
        )

    def free_port(self, host: str) -> int:
        for port in _FREE_PORTS:
            if self._memory.listener(canonical_address(host, port)) is None:
                return port
        raise Unavailable(f"all ports of {host} are taken: close peers that are not needed")

    def local_ip(self, host: str) -> str:
        return _LOOPBACK

    def key_source(
        self, asked: Identity | str | os.PathLike[str], trust: TrustStore | None, *, is_lasting: bool
    ) -> KeySource:
        pins = TrustStore() if trust is None else trust
        if asked == PERSISTENT and is_lasting:
            return lambda address: self._kept.setdefault(address, self._fresh(pins))
        if asked in (PERSISTENT, EPHEMERAL):
            return lambda address: self._fresh(pins)
        return peerkeys.key_source(asked, pins, is_lasting=is_lasting)

    def started(self, hosted: HostedPeer) -> None:
        self.network.started(hosted)

    def _fresh(self, pins: TrustStore) -> PeerKeys:
        return PeerKeys(Identity.generate(self.entropy), pins)

    def _wall_ns(self) -> int:
        return _EPOCH_NS + round(self._loop.time() * 1e9)
