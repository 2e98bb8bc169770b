"""Endpoints under test, and receivers that remember what they were told."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import random
import socket
from collections.abc import Callable, Sequence

import msgspec

from cicada.ids import Address, canonical_address
from cicada.limits import ENDPOINT, EndpointLimits
from cicada.transport.base import ConnectionId, Endpoint
from cicada.transport.memory import MemoryEndpoint, MemoryNetwork
from cicada.transport.zeromq import ZmqEndpoint
from cicada.wire.codec import encode
from cicada.wire.frames import PROTOCOL_VERSION, Frame, FrameType, Hello, encode_frame

PATIENCE = 10.0


_ports = itertools.cycle(range(10_000 + os.getpid() % 90 * 100, 19_000))
"""Below the range from which the kernel takes ports for dials; tests that run at the same time start elsewhere."""


def free_address(host: str = "127.0.0.1") -> Address:
    """An address nobody listens on at this moment, another one each time."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in _ports:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                break
    return canonical_address(host, port)


def hello_to(dialled: str, index: int = 7, own: str = "127.0.0.1:1") -> bytes:
    """The bytes of a HELLO."""
    body = Hello(
        version=PROTOCOL_VERSION,
        swarm="test",
        dialled=Address(dialled),
        own=Address(own),
        index=index,
        incarnation=1,
    )
    return encode_frame(FrameType.HELLO, 0, 0, encode(body))


class Recorder:
    """A receiver that remembers."""

    def __init__(self) -> None:
        self.connected: list[tuple[Address, ConnectionId]] = []
        self.failed: list[tuple[Address, str]] = []
        self.frames: list[tuple[ConnectionId, Frame]] = []
        self.gone: list[tuple[ConnectionId, str]] = []
        self.react: Callable[[ConnectionId, Frame], None] = lambda connection, frame: None
        self._changed = asyncio.Event()

    def on_connected(self, remote: Address, connection: ConnectionId) -> None:
        self.connected.append((remote, connection))
        self._changed.set()

    def on_connect_failed(self, remote: Address, reason: str) -> None:
        self.failed.append((remote, reason))
        self._changed.set()

    def on_frames(self, connection: ConnectionId, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.frames.append((connection, frame))
            self._changed.set()
            self.react(connection, frame)

    def on_disconnected(self, connection: ConnectionId, reason: str) -> None:
        self.gone.append((connection, reason))
        self._changed.set()

    def bodies(self) -> list[bytes]:
        """The bodies of all frames received."""
        return [frame.body for _connection, frame in self.frames]

    async def until(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Wait for something this receiver is told about."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def eventually(condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Wait for something nobody is told about, by looking at every turn of the loop."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.002)


class World:
    """Makes endpoints of one kind that can reach each other, and closes them all."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.network = MemoryNetwork()
        self._random = random.Random(5)
        self._made: list[Endpoint] = []

    def endpoint(self, **changes: float) -> Endpoint:
        """A new endpoint with the usual limits but for ``changes``."""
        limits: EndpointLimits = msgspec.structs.replace(ENDPOINT, **changes)
        loop = asyncio.get_running_loop()
        endpoint: Endpoint
        if self.kind == "memory":
            endpoint = MemoryEndpoint(
                loop, self.network, entropy=lambda: self._random.getrandbits(32), limits=limits
            )
        else:
            endpoint = ZmqEndpoint(loop, limits=limits)
        self._made.append(endpoint)
        return endpoint

    def close(self) -> None:
        for endpoint in self._made:
            endpoint.close()


class Pair:
    """A dialling and a listening endpoint with one connection between two receivers, authenticated on both sides."""

    def __init__(self, dialling: Endpoint, listening: Endpoint) -> None:
        self.dialling = dialling
        self.listening = listening
        self.near = Recorder()
        self.far = Recorder()
        self.address = free_address()
        self.near_index = dialling.attach(self.near)
        self.far_index = listening.attach(self.far)
        self.near_connection = ConnectionId(0)
        self.far_connection = ConnectionId(0)

    async def open(self) -> Pair:
        self.listening.listen(self.address, self.far)
        self.dialling.connect(self.address, self.near)
        await self.near.until(lambda: bool(self.near.connected))
        self.near_connection = self.near.connected[-1][1]
        self.dialling.send(self.near_connection, hello_to(self.address, self.near_index))
        await self.far.until(lambda: bool(self.far.frames))
        self.far_connection = self.far.frames.pop()[0]
        self.dialling.authenticated(self.near_connection, self.near)
        self.listening.authenticated(self.far_connection, self.far)
        return self

    def say(self, body: bytes, counter: int = 1) -> bool:
        """Send from the near to the far side."""
        return self.dialling.send(
            self.near_connection, encode_frame(FrameType.DATA, self.far_index, counter, body)
        )

    def answer(self, body: bytes, counter: int = 1) -> bool:
        """Send from the far to the near side."""
        return self.listening.send(
            self.far_connection, encode_frame(FrameType.DATA, self.near_index, counter, body)
        )


async def pair_in(world: World, **changes: float) -> Pair:
    """An open pair in two workers."""
    return await Pair(world.endpoint(**changes), world.endpoint(**changes)).open()


async def cohosted_pair_in(world: World, **changes: float) -> Pair:
    """An open pair in one worker."""
    endpoint = world.endpoint(**changes)
    return await Pair(endpoint, endpoint).open()
