"""Strangers with plain sockets against the ZeroMQ endpoint: what they do costs them, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Iterator

import pytest

from cicada.ids import Address, split_address
from cicada.transport.base import Endpoint
from cicada.wire.frames import PREFIXED, FrameType, encode_frame
from tests.transport.endpoints import PATIENCE, Pair, Recorder, World, eventually, free_address, hello_to


class Crowd:
    """Plain sockets, all closed at the end."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def connect(self, address: Address, source: str | None = None) -> socket.socket:
        stranger = socket.socket()
        self.sockets.append(stranger)
        if source is not None:
            stranger.bind((source, 0))
        stranger.settimeout(PATIENCE)
        stranger.connect(split_address(address))
        stranger.setblocking(False)
        return stranger


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd()
    yield made
    for stranger in made.sockets:
        stranger.close()


async def read(stranger: socket.socket) -> bytes:
    """Some bytes, or nothing when the other end closed."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await asyncio.get_running_loop().sock_recv(stranger, 65536)
        except ConnectionResetError:
            return b""


async def is_closed(stranger: socket.socket) -> None:
    """Wait until the other end closed the connection."""
    while await read(stranger):
        pass


def closings(endpoint: Endpoint) -> int:
    """How many connections were closed, for whatever reason."""
    return sum(count for name, count in endpoint.counters().items() if name.startswith("closed."))


async def honest_peer_is_served(
    world: World, listening: Endpoint, address: Address, receiver: Recorder
) -> None:
    """Somebody dials, greets, is authenticated, and is heard."""
    dialling = world.endpoint()
    caller = Recorder()
    hello = hello_to(address, own="127.0.0.1:2")
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.connected))
    dialling.send(caller.connected[0][1], hello)
    await receiver.until(lambda: hello[17:] in receiver.bodies())
    listening.authenticated(receiver.frames[receiver.bodies().index(hello[17:])][0], receiver)
    index = listening.attach(receiver)
    dialling.send(caller.connected[0][1], encode_frame(FrameType.DATA, index, 1, b"honest"))
    await receiver.until(lambda: b"honest" in receiver.bodies())
    assert not caller.gone


async def hosting(world: World, **changes: float) -> tuple[Endpoint, Address, Recorder]:
    endpoint = world.endpoint(**changes)
    address, receiver = free_address(), Recorder()
    endpoint.listen(address, receiver)
    return endpoint, address, receiver


ROUTER_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(32)


async def test_chosen_identities_mean_nothing(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp)
    for n in range(300):  # a ROUTER is aborted by identities that collide with those it makes up itself
        stranger = crowd.connect(address)
        identity = b"\x00" + struct.pack(">I", n)
        stranger.send(ROUTER_GREETING)
        stranger.send(b"\x04\x26\x05READY\x08Identity" + struct.pack(">I", len(identity)) + identity)
    await eventually(lambda: endpoint.counters().get("closed.frame-size", 0) == 300)
    await honest_peer_is_served(tcp, endpoint, address, receiver)


async def test_a_thousand_dials_of_the_same_address_use_one_connection(tcp: World) -> None:
    endpoint, address, _receiver = await hosting(tcp)
    dialling = tcp.endpoint()
    callers = [Recorder() for _ in range(1000)]
    for caller in callers:
        dialling.connect(address, caller)
    await callers[-1].until(lambda: bool(callers[-1].connected))
    assert all(len(caller.connected) == 1 for caller in callers)
    await eventually(lambda: endpoint.counters()["connections.accepted"] == 1)


async def test_one_byte_at_a_time_does_not_buy_time(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp, unauthenticated_seconds=0.5)
    stranger = crowd.connect(address)
    closed = asyncio.ensure_future(is_closed(stranger))
    for byte in hello_to(address)[:-1]:
        if closed.done():
            break
        with contextlib.suppress(OSError):
            stranger.send(bytes([byte]))
        await asyncio.wait([closed], timeout=0.05)
    await closed
    assert endpoint.counters()["closed.stranger-timeout"] == 1
    assert not receiver.frames


@pytest.mark.parametrize(
    ("bytes_sent", "reason"),
    [
        (PREFIXED.pack(1 << 31, FrameType.HELLO, 0, 0), "frame-size"),
        (b"\xff\xff\xff\xff", "frame-size"),
        (bytes(4), "frame-size"),
        (PREFIXED.pack(13, 0, 0, 0), "frame-type"),
        (PREFIXED.pack(13, 13, 0, 0), "frame-type"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "frame-size"),
        (random.Random(3).randbytes(100_000), "frame-size"),
        (PREFIXED.pack(13, FrameType.HELLO, 0, 0), "hello-malformed"),
    ],
    ids=["oversized", "endless", "empty", "type-0", "type-13", "http", "garbage", "bare-hello"],
)
async def test_what_is_no_frame_closes_the_connection_at_once(
    tcp: World, crowd: Crowd, bytes_sent: bytes, reason: str
) -> None:
    endpoint, address, receiver = await hosting(tcp)
    stranger = crowd.connect(address)
    with contextlib.suppress(BlockingIOError):
        stranger.send(bytes_sent)
    await is_closed(stranger)
    assert endpoint.counters()[f"closed.{reason}"] == 1
    await honest_peer_is_served(tcp, endpoint, address, receiver)


async def test_a_connection_closed_in_the_middle_of_a_frame_is_forgotten(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp)
    stranger = crowd.connect(address)
    stranger.send(hello_to(address)[:20])
    await eventually(lambda: endpoint.counters().get("connections.accepted", 0) == 1)
    stranger.close()
    await eventually(lambda: endpoint.counters().get("closed.closed", 0) == 1)
    await honest_peer_is_served(tcp, endpoint, address, receiver)


async def test_a_reset_connection_is_forgotten(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp)
    for _ in range(50):
        stranger = crowd.connect(address)
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stranger.send(hello_to(address))
        stranger.close()
    await honest_peer_is_served(tcp, endpoint, address, receiver)
    await eventually(lambda: endpoint.counters()["connections.accepted"] == 51 and closings(endpoint) == 50)


async def test_silent_connections_displace_each_other_and_nobody_else(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp, unauthenticated_per_loopback=100)
    pair = await Pair(tcp.endpoint(), endpoint).open()
    for _ in range(1000):
        crowd.connect(address)
    await eventually(lambda: endpoint.counters().get("closed.strangers-per-source", 0) >= 900)
    await honest_peer_is_served(tcp, endpoint, address, receiver)
    assert pair.say(b"still here")
    await pair.far.until(lambda: pair.far.bodies() == [b"still here"])
    assert endpoint.counters()["connections.accepted"] - closings(endpoint) <= 100 + 2


async def test_sources_are_limited_one_by_one(tcp: World, crowd: Crowd) -> None:
    endpoint, address, _receiver = await hosting(tcp, unauthenticated_per_loopback=3)
    first = [crowd.connect(address, "127.0.0.2") for _ in range(3)]
    await eventually(lambda: endpoint.counters().get("connections.accepted", 0) == 3)
    for _ in range(20):
        crowd.connect(address, "127.0.0.3")
    await eventually(lambda: endpoint.counters().get("closed.strangers-per-source", 0) == 17)
    for stranger in first:
        with pytest.raises(BlockingIOError):
            stranger.recv(1)


async def test_a_peer_that_never_reads_costs_a_bounded_backlog(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp, stalled_seconds=1.0, max_connection_backlog=1 << 20)
    other = await Pair(tcp.endpoint(), endpoint).open()
    stranger = crowd.connect(address)
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stranger.send(hello_to(address))
    await receiver.until(lambda: bool(receiver.frames))
    connection = receiver.frames[0][0]
    endpoint.authenticated(connection, receiver)
    frame = encode_frame(FrameType.DATA, 7, 1, b"x" * 60_000)
    taken = 0
    refused = 0
    async with asyncio.timeout(PATIENCE):
        while refused < 20:
            if endpoint.send(connection, frame):
                taken += 1
                refused = 0
            else:
                refused += 1
                await asyncio.sleep(0.01)
    assert taken * len(frame) < 32 << 20  # kernel, libzmq's 64 messages and ours
    other.say(b"not disturbed")
    await other.far.until(lambda: other.far.bodies() == [b"not disturbed"])
    other.answer(b"either way")
    await other.near.until(lambda: other.near.bodies() == [b"either way"])
    await receiver.until(lambda: bool(receiver.gone))
    assert receiver.gone == [(connection, "stalled")]
    await eventually(lambda: endpoint.counters().get("cut-off", 0) == 1)
    with contextlib.suppress(BlockingIOError, ConnectionResetError):
        while stranger.recv(1 << 20):
            pass


async def test_a_slow_reader_gets_everything_in_order(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp)
    stranger = crowd.connect(address)
    stranger.send(hello_to(address))
    await receiver.until(lambda: bool(receiver.frames))
    connection = receiver.frames[0][0]
    endpoint.authenticated(connection, receiver)
    sent = bytearray()
    counter = 0
    while endpoint.send(connection, frame := encode_frame(FrameType.DATA, 7, counter, b"x" * 50_000)):
        sent += frame
        counter += 1
        await asyncio.sleep(0)
    got = bytearray()
    while len(got) < len(sent):
        got += await read(stranger)
    assert got == sent
    assert endpoint.send(connection, frame)


async def test_a_peer_that_talks_without_reading_is_limited_in_answers(tcp: World, crowd: Crowd) -> None:
    endpoint, address, receiver = await hosting(tcp, hints_per_second=10, unauthenticated_bytes=50_000)
    stranger = crowd.connect(address)
    with contextlib.suppress(OSError):
        for _ in range(5000):
            stranger.send(encode_frame(FrameType.DATA, 9, 1, b""))
    await eventually(lambda: endpoint.counters().get("closed.stranger-bytes", 0) == 1)
    assert endpoint.counters().get("unknown-index", 0) <= 20
    await honest_peer_is_served(tcp, endpoint, address, receiver)


async def test_a_frame_arrives_however_it_is_cut(tcp: World, crowd: Crowd) -> None:
    _endpoint, address, receiver = await hosting(tcp)
    stranger = crowd.connect(address)
    stranger.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in hello_to(address) * 3:
        stranger.send(bytes([byte]))
        await asyncio.sleep(0)
    await receiver.until(lambda: len(receiver.frames) == 3)
    assert receiver.bodies() == [hello_to(address)[17:]] * 3
