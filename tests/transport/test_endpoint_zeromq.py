"""What only sockets can show: ports, descriptors, processes."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from cicada.errors import Unavailable
from cicada.ids import Address, split_address
from cicada.transport.base import Endpoint
from cicada.transport.zeromq import ZmqEndpoint
from tests.transport.endpoints import PATIENCE, Pair, Recorder, World, eventually, free_address, hello_to

CHILD = """
import asyncio, concurrent.futures.thread, json, resource, sys, time  # all before there is no descriptor left
limit, seconds, address = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
if limit:
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
from cicada.errors import CicadaError
from cicada.transport.zeromq import ZmqEndpoint
from tests.transport.endpoints import Recorder

async def main():
    try:
        endpoint = ZmqEndpoint(asyncio.get_running_loop())
        endpoint.listen(address, Recorder())
    except CicadaError as error:
        print(json.dumps({"error": type(error).__name__, "says": str(error)}), flush=True)
        return
    print(json.dumps({"listening": address}), flush=True)
    before = time.process_time()
    line = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.wait([line], timeout=seconds)
    print(json.dumps({"cpu": time.process_time() - before, "counters": endpoint.counters()}), flush=True)
    endpoint.close()

asyncio.run(main())
"""


@asynccontextmanager
async def child(
    address: Address, limit: int = 0, seconds: float = PATIENCE
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, object]]]:
    """A process with an endpoint that listens, and what it said first. It ends after ``seconds`` or a line of input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        str(limit),
        str(seconds),
        address,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=os.getcwd(),
    )
    try:
        yield process, await said_by(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said_by(process: asyncio.subprocess.Process) -> dict[str, object]:
    assert process.stdout is not None
    async with asyncio.timeout(2 * PATIENCE):
        said: dict[str, object] = json.loads(await process.stdout.readline())
    return said


async def is_heard(listening: Endpoint, dialling: Endpoint, address: Address, receiver: Recorder) -> None:
    caller = Recorder()
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.connected))
    dialling.send(caller.connected[0][1], hello_to(address))
    await receiver.until(lambda: bool(receiver.frames))


async def test_ipv6_works_beside_ipv4(tcp: World) -> None:
    listening, dialling = tcp.endpoint(), tcp.endpoint()
    for host in ("127.0.0.1", "::1", "127.0.0.9"):
        try:
            address = free_address(host)
        except OSError:
            pytest.skip("this machine has no IPv6")
        receiver = Recorder()
        listening.listen(address, receiver)
        await is_heard(listening, dialling, address, receiver)
        caller = Recorder()
        dead = free_address(host)
        dialling.connect(dead, caller)
        await caller.until(lambda caller=caller: bool(caller.failed), timeout=1.0)  # type: ignore[misc]
        assert caller.failed == [(dead, "refused")]


async def test_hundreds_of_ports_share_one_socket(tcp: World) -> None:
    listening, dialling = tcp.endpoint(), tcp.endpoint()
    receivers = {free_address(): Recorder() for _ in range(200)}
    for address, receiver in receivers.items():
        listening.listen(address, receiver)
    caller = Recorder()
    for address in receivers:
        dialling.connect(address, caller)
    await caller.until(lambda: len(caller.connected) == len(receivers))
    for address, connection in caller.connected:
        dialling.send(connection, hello_to(address))
    for receiver in receivers.values():
        await receiver.until(lambda receiver=receiver: len(receiver.frames) == 1)  # type: ignore[misc]


async def test_an_address_of_another_machine_cannot_be_bound() -> None:
    endpoint = ZmqEndpoint(asyncio.get_running_loop())
    try:
        with pytest.raises(Unavailable, match=r"192\.0\.2\.1:4000 \(E.*no interface"):
            endpoint.listen(Address("192.0.2.1:4000"), Recorder())
    finally:
        endpoint.close()


async def test_an_endpoint_on_all_interfaces_ends_its_own_connections_only() -> None:
    endpoint = ZmqEndpoint(asyncio.get_running_loop())
    try:
        bound, other = free_address(), free_address()
        everywhere = Address("0.0.0.0:" + bound.rpartition(":")[2])
        first, second = Recorder(), Recorder()
        endpoint.listen(bound, first, bind_to=everywhere)
        endpoint.listen(other, second)
        strangers = []
        for address in (bound, other):
            stranger = socket.create_connection(split_address(address))
            strangers.append(stranger)
            stranger.send(hello_to(address))
        await first.until(lambda: bool(first.frames))
        await second.until(lambda: bool(second.frames))
        endpoint.unlisten(bound)
        strangers[0].settimeout(PATIENCE)
        assert await asyncio.to_thread(strangers[0].recv, 1) == b""
        assert endpoint.counters()["closed.unlistened"] == 1
        for stranger in strangers:
            stranger.close()
    finally:
        endpoint.close()


async def test_a_dial_into_the_void_times_out(tcp: World) -> None:
    dialling = tcp.endpoint(connect_timeout=0.2)
    with socket.socket() as full:  # it never accepts: once its queue is full, the kernel drops what comes
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = Address(f"127.0.0.1:{full.getsockname()[1]}")
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(split_address(address))
            fillers.append(filler)
        caller = Recorder()
        dialling.connect(address, caller)
        await caller.until(lambda: bool(caller.failed))
        assert caller.failed == [(address, "timeout")]
        for filler in fillers:
            filler.close()


async def test_a_port_of_another_process_is_not_shared_silently(tcp: World) -> None:
    address = free_address()
    async with child(address) as (process, said):
        assert said == {"listening": address}
        with pytest.raises(Unavailable, match=rf"{address} \(EADDRINUSE\): another process uses the port"):
            tcp.endpoint().listen(address, Recorder())
        assert process.returncode is None


async def test_a_port_is_free_again_as_soon_as_its_process_was_killed(tcp: World) -> None:
    address = free_address()
    caller = Recorder()
    dialling = tcp.endpoint()
    async with child(address) as (process, _said):
        dialling.connect(address, caller)
        await caller.until(lambda: bool(caller.connected))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        successor, receiver = tcp.endpoint(), Recorder()
        successor.listen(address, receiver)
        await caller.until(lambda: bool(caller.gone))
        assert caller.gone == [(caller.connected[0][1], "closed")]
        await is_heard(successor, dialling, address, receiver)


async def test_too_few_descriptors_are_one_clear_error() -> None:
    async with child(free_address(), limit=100) as (_process, said):
        assert said["error"] == "Unavailable"
        assert "descriptor limit too low" in str(said["says"])
        assert "ulimit -n" in str(said["says"])


async def test_exhausting_the_descriptors_neither_stops_nor_spins_the_process() -> None:
    address = free_address()
    async with child(address, limit=200, seconds=60) as (process, said):
        assert said == {"listening": address}
        crowd = []
        for _ in range(600):
            stranger = socket.socket()
            stranger.setblocking(False)
            stranger.connect_ex(split_address(address))
            crowd.append(stranger)
        assert process.stdin is not None
        running = psutil.Process(process.pid)
        await asyncio.sleep(1.0)  # the storm
        before = sum(running.cpu_times()[:2])
        await asyncio.sleep(1.0)  # the calm, with all connections still open on our side
        calm = sum(running.cpu_times()[:2]) - before
        process.stdin.write(b"\n")
        report = await said_by(process)
        for stranger in crowd:
            stranger.close()
    counters = report["counters"]
    assert isinstance(counters, dict)
    assert counters["connections.accepted"] == 600
    assert counters["closed.strangers"] == 600 - 50
    assert "closed.idle" not in counters
    assert calm < 0.3


async def test_dials_stop_before_descriptors_run_out_and_the_idlest_goes_first(tcp: World) -> None:
    listening = tcp.endpoint()
    addresses = [free_address() for _ in range(6)]
    for address in addresses:
        listening.listen(address, Recorder())
    share = 4.5 / resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    dialling = tcp.endpoint(connection_descriptor_share=share)
    callers = []
    for address in addresses:
        caller = Recorder()
        callers.append(caller)
        dialling.connect(address, caller)
        await caller.until(lambda caller=caller: bool(caller.connected))  # type: ignore[misc]
    await callers[1].until(lambda: bool(callers[1].gone))
    assert callers[0].gone == [(callers[0].connected[0][1], "idle")]
    assert [len(caller.gone) for caller in callers] == [1, 1, 0, 0, 0, 0]
    assert dialling.counters()["closed.idle"] == 2


async def test_strangers_do_not_displace_who_is_known(tcp: World) -> None:
    share = 6.5 / resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    listening = tcp.endpoint(connection_descriptor_share=share)
    pairs = [await Pair(tcp.endpoint(), listening).open() for _ in range(3)]
    crowd = [socket.create_connection(split_address(pairs[0].address)) for _ in range(50)]
    await eventually(lambda: listening.counters()["connections.accepted"] == 53)
    assert listening.counters()["closed.strangers"] == 47
    for pair in pairs:
        pair.say(b"still here")
        await pair.far.until(lambda pair=pair: bool(pair.far.frames))  # type: ignore[misc]
    for stranger in crowd:
        stranger.close()


async def test_what_arrives_while_the_loop_is_busy_and_about_to_send_is_not_overlooked(tcp: World) -> None:
    pair = await Pair(tcp.endpoint(), tcp.endpoint()).open()
    for round in range(1, 6):
        await asyncio.sleep(0.01)
        # One turn: far's bytes leave, the loop stalls while libzmq's thread brings them, and near's send swallows the
        # announcement before the loop has seen it.
        pair.answer(b"arrives during the stall", round)
        asyncio.get_running_loop().call_soon(time.sleep, 0.05)
        pair.say(b"swallows", round)
        await pair.near.until(lambda round=round: len(pair.near.frames) == round, timeout=2.0)  # type: ignore[misc]


async def test_no_descriptor_is_left_behind(tcp: World) -> None:
    process = psutil.Process()
    listening, dialling = tcp.endpoint(), tcp.endpoint()
    address = free_address()
    far, near = Recorder(), Recorder()
    listening.listen(address, far)
    await is_heard(listening, dialling, address, far)
    before = process.num_fds()
    for round in range(1, 51):
        end = listening if round % 2 else dialling
        dialling.connect(address, near)
        await near.until(lambda round=round: len(near.connected) == round)  # type: ignore[misc]
        dialling.send(near.connected[-1][1], hello_to(address))
        await far.until(lambda round=round: len(far.frames) == round + 1)  # type: ignore[misc]
        end.drop(far.frames[-1][0] if end is listening else near.connected[-1][1], "test")
        await near.until(lambda round=round: len(near.gone) == round)  # type: ignore[misc]
        dialling.connect(free_address(), near)
        await near.until(lambda round=round: len(near.failed) == round)  # type: ignore[misc]
    await eventually(lambda: process.num_fds() <= before)


async def test_one_receive_turn_is_bounded_so_that_others_have_theirs(tcp: World) -> None:
    pair = await Pair(tcp.endpoint(), tcp.endpoint(chunks_per_turn=1)).open()
    turns = 0
    seen: set[int] = set()

    def note_turn(*_args: object) -> None:
        seen.add(turns)

    pair.far.react = note_turn
    for counter in range(1, 11):
        while not pair.say(b"x" * 30_000, counter):
            await asyncio.sleep(0)
    while len(pair.far.frames) < 10:
        turns += 1
        await asyncio.sleep(0)
    assert len(seen) >= 5  # a chunk is at most 8 KiB, so no turn can have seen two of these frames
    assert [frame.counter for _, frame in pair.far.frames] == list(range(1, 11))
