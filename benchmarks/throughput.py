"""Acknowledged messages a second between random peers of a swarm, beside gets of ``kademlia``, in one run.

    pip install --group bench
    python -m benchmarks.throughput [--peers 200] [--seconds 5] [--repeat 3] [--in-flight 50] [--json]

Both have 200 peers on this machine. Cicada: two processes as the launcher's workers are, encrypted, one copy, sessions there;
first contacts are timed apart. kademlia: one process, as it comes, gets of stored keys by random nodes. As many are under way
at any time for both.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from cicada.actors.mailbox import HostPort
from cicada.aio import SwarmPeer
from launcher.worker import GC_THRESHOLDS

BASE_PORT = 31000
KADEMLIA_PORT = 30000
PROCESSES = 2
CORRESPONDENTS = 10  # of each peer, drawn at random
KEYS = 200  # stored in the table of kademlia
SIZES = (64, 1024)
WARM_UP_S = 5.0  # until the links of these messages are there
ANSWER_S = 180.0
WAIT_S = 30.0

Once = Callable[[], Awaitable[bool]]


async def closed_loop(once: Once, in_flight: int, seconds: float) -> tuple[float, int]:
    """Keep ``in_flight`` of them under way. Returns those a second that succeeded, and how many did not."""
    ends = time.perf_counter() + seconds
    done = Counts()

    async def one_after_another() -> None:
        while time.perf_counter() < ends:
            done.add(await once())

    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
    return done.good / (time.perf_counter() - ends + seconds), done.bad


class Counts:
    """How often it went well, and how often not."""

    def __init__(self) -> None:
        self.good = self.bad = 0

    def add(self, is_good: bool) -> None:
        """Count one."""
        self.good += is_good
        self.bad += not is_good


class Half:
    """The peers of one process of the swarm."""

    def __init__(self, process: int, peers: int) -> None:
        self._rng = random.Random(process)
        self._all = [HostPort("127.0.0.1", BASE_PORT + number) for number in range(peers)]
        self._peers: list[SwarmPeer] = []
        self._pairs: list[tuple[SwarmPeer, HostPort]] = []
        self._readers: list[asyncio.Task[None]] = []
        self._process = process

    async def bind(self) -> None:
        """Have this half's peers listen."""
        for host, port in self._all[self._process :: PROCESSES]:
            self._peers.append(SwarmPeer(host, port, identity="ephemeral"))

    async def join(self) -> None:
        """Enter the ring, some at a time."""
        rest = [peer for peer in self._peers if peer.listener != self._all[0]]
        for batch in _batches(rest, 10):
            await asyncio.gather(*(peer.connect(*self._all[0], timeout=WAIT_S) for peer in batch))
        self._readers = [asyncio.create_task(_read(peer)) for peer in self._peers]

    async def meet(self) -> tuple[float, int]:
        """Have each peer send a first message to its correspondents. Returns those a second, and how many failed."""
        for peer in self._peers:
            others = [other for other in self._all if other != peer.listener]
            self._pairs += [(peer, other) for other in self._rng.sample(others, CORRESPONDENTS)]
        pairs = iter(self._pairs)
        met = Counts()
        began = time.perf_counter()

        async def one_after_another() -> None:
            for peer, other in pairs:
                met.add((await peer.send(other, b"hello", 0, WAIT_S)).delivered)

        await asyncio.gather(*(one_after_another() for _ in range(10)))
        return met.good / (time.perf_counter() - began), met.bad

    async def talk(self, size: int, in_flight: int, seconds: float) -> tuple[float, int]:
        """Messages of ``size`` bytes between those who have met."""
        payload = bytes(size)

        async def once() -> bool:
            peer, other = self._rng.choice(self._pairs)
            return (await peer.send(other, payload, 0)).delivered

        return await closed_loop(once, in_flight, seconds)

    async def close(self) -> None:
        """End all of them."""
        for reader in self._readers:
            reader.cancel()
        for peer in self._peers:
            peer.kill()
        await asyncio.sleep(0.5)


async def _read(peer: SwarmPeer) -> None:
    async for _ in peer:
        pass


def _batches(peers: list[SwarmPeer], size: int) -> list[list[SwarmPeer]]:
    return [peers[first : first + size] for first in range(0, len(peers), size)]


def _serve(process: int, pipe: Connection, peers: int) -> None:
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        half = Half(process, peers)
        while (order := await loop.run_in_executor(None, pipe.recv)) is not None:
            name, *arguments = order
            pipe.send(await getattr(half, name)(*arguments))
        await half.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


class Swarm:
    """Both halves, seen from the process that measures."""

    def __init__(self, peers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._children = []
        for process in range(PROCESSES):
            ours, theirs = context.Pipe()
            child = context.Process(target=_serve, args=(process, theirs, peers), daemon=True)
            child.start()
            self._pipes.append(ours)
            self._children.append(child)

    def each(self, *order: object) -> list[Any]:
        """Have both do something at the same time. Returns what they answer."""
        for pipe in self._pipes:
            pipe.send(order)
        return [self._answer(pipe) for pipe in self._pipes]

    def close(self) -> None:
        """End both processes."""
        for pipe in self._pipes:
            pipe.send(None)
        for child in self._children:
            child.join(10)
            if child.is_alive():
                child.kill()

    @staticmethod
    def _answer(pipe: Connection) -> object:
        if not pipe.poll(ANSWER_S):
            raise TimeoutError(f"a process of the swarm gave no answer within {ANSWER_S} s")
        return pipe.recv()


async def kademlia(peers: int, in_flight: int, seconds: float) -> tuple[float, int]:
    """Gets a second of a table of ``peers`` nodes in this process."""
    from kademlia.network import Server

    rng = random.Random(1)
    nodes = [Server() for _ in range(peers)]
    try:
        for number, node in enumerate(nodes):
            await node.listen(KADEMLIA_PORT + number, "127.0.0.1")
        for node in nodes[1:]:
            await node.bootstrap([("127.0.0.1", KADEMLIA_PORT)])
        for key in range(KEYS):
            await rng.choice(nodes).set(f"key-{key}", "x" * SIZES[0])

        async def once() -> bool:
            return await rng.choice(nodes).get(f"key-{rng.randrange(KEYS)}") is not None

        return await closed_loop(once, in_flight, seconds)
    finally:
        for node in nodes:
            node.stop()


def measure(peers: int, in_flight: int, seconds: float) -> dict[str, float]:
    """One round of both, in turn."""
    row: dict[str, float] = {}
    gets, failed = asyncio.run(kademlia(peers, in_flight, seconds))
    row |= {"kademlia gets": gets, "kademlia failed": failed}
    swarm = Swarm(peers)
    try:
        swarm.each("bind")
        swarm.each("join")
        _note(row, "first contacts", swarm.each("meet"))
        swarm.each("talk", SIZES[0], in_flight // PROCESSES, WARM_UP_S)
        for size in SIZES:
            answers = swarm.each("talk", size, in_flight // PROCESSES, seconds)
            _note(row, f"{size} bytes", answers)
            row[f"{size} bytes / gets"] = row[f"{size} bytes"] / gets
    finally:
        swarm.close()
    return row


def _note(row: dict[str, float], name: str, answers: list[tuple[float, int]]) -> None:
    row[name] = sum(rate for rate, _ in answers)
    row[f"{name} failed"] = sum(failed for _, failed in answers)


def main() -> None:
    """Measure and print rates, failures and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(options.peers, options.in_flight, options.seconds) for _ in range(options.repeat)]
    if options.json:
        print(json.dumps({"peers": options.peers, "in_flight": options.in_flight, "runs": rows}))
        return
    print(f"a second, {options.peers} peers, {options.in_flight} in flight")
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:22} min {min(values):>9,.2f}  median {statistics.median(values):>9,.2f}")


if __name__ == "__main__":
    main()
