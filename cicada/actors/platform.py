"""What the host of an event loop takes from the machine: time, connections, randomness, ports and keys.

Most loops run on the Machine. Others are handed something else before their first peer: one that is made of memory and virtual
time, say.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import weakref
from typing import TYPE_CHECKING, Protocol

from cicada.actors import peerkeys
from cicada.actors.alarm import LoopClock
from cicada.actors.peerkeys import KeySource
from cicada.errors import Misuse, Unavailable
from cicada.keys.identity import Identity
from cicada.keys.trust import TrustStore
from cicada.nat.gateway import find_gateway
from cicada.transport.base import Endpoint
from cicada.transport.zeromq import ZmqEndpoint

if TYPE_CHECKING:
    from cicada.actors.hosted import HostedPeer


class Platform(Protocol):
    """Of one event loop. It outlives the hosts of that loop, of which there may be several, one after the other."""

    @property
    def entropy(self) -> random.Random:
        """Where everything random comes from."""
        ...

    def clock(self) -> LoopClock:
        """A clock for one host, which closes it."""
        ...

    def endpoint(self) -> Endpoint:
        """An endpoint for one host, which closes it."""
        ...

    def free_port(self, host: str) -> int:
        """A port at which nobody listens. Raises Unavailable when ``host`` is no address of this machine."""
        ...

    def local_ip(self, host: str) -> str:
        """Of every interface (``host``) the address by which the local network reaches this machine. Raises Misuse when it has
        none."""
        ...

    def key_source(
        self, asked: Identity | str | os.PathLike[str], trust: TrustStore | None, *, is_lasting: bool
    ) -> KeySource:
        """As peerkeys.key_source."""
        ...

    def started(self, hosted: HostedPeer) -> None:
        """A peer was bound and its actors have been started."""
        ...


class Machine:
    """The operating system's clock, sockets, randomness and files."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # it is a key of the table that this stands in
        self.entropy: random.Random = random.SystemRandom()

    def clock(self) -> LoopClock:
        return LoopClock(self._loop())

    def endpoint(self) -> Endpoint:
        return ZmqEndpoint(self._loop() or asyncio.get_running_loop())

    def free_port(self, host: str) -> int:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            try:
                probe.bind((host, 0))
            except OSError as error:
                raise Unavailable(
                    f"cannot bind {host}: {error.strerror}: use an address of this machine"
                ) from None
            port: int = probe.getsockname()[1]
            return port

    def local_ip(self, host: str) -> str:
        gateway = None if ":" in host else find_gateway()
        if gateway is None:
            raise Misuse(f"{host} means every interface: say with external_ip which address others dial")
        return gateway.local

    def key_source(
        self, asked: Identity | str | os.PathLike[str], trust: TrustStore | None, *, is_lasting: bool
    ) -> KeySource:
        return peerkeys.key_source(asked, trust, is_lasting=is_lasting)

    def started(self, hosted: HostedPeer) -> None:
        return


_platforms: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Platform] = weakref.WeakKeyDictionary()


def provide(loop: asyncio.AbstractEventLoop, platform: Platform) -> None:
    """Let the peers of a loop live on this platform. Before its first peer."""
    _platforms[loop] = platform


def platform_of(loop: asyncio.AbstractEventLoop) -> Platform:
    """What the peers of a loop live on."""
    return _platforms.get(loop) or Machine(loop)
