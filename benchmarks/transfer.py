"""Goodput of the largest message over several hops, beside a single direct TCP stream of as many bytes in the same run.

    python -m benchmarks.transfer [--quick] [--json] [--repeat N] [--hops N] [--mib N] [--peers N] [--drop SHARE]
        [--no-uvloop]

Two processes, each with half of the peers in turn along the ring, so that about every other hop crosses processes. Links and
sessions are encrypted; the TCP stream is not. Tables are kept small, so that the way is as long as it shall be: the destination is
the first one that a message reached over that many hops. Both are measured from the first byte to the answer of the receiving
application, which compares what it got with what was sent. ``--drop``: a relay on the way drops that share of what it relays, and
how much that was is counted. Ways are not coloured then, because coloured ones leave a relay after the first loss.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import statistics
import time
from collections.abc import Coroutine
from multiprocessing.connection import Connection
from typing import Any

from cicada.aio import SwarmPeer
from cicada.events import AnyEvent, RelayMisbehaved
from cicada.ids import Address, canonical_address, place_of
from cicada.limits import MIB, WIRE, DeliveryLimits, RingLimits
from cicada.routing.behaviour import Behaviour

BASE_PORT = 26400
TABLES = RingLimits(successors=2, candidates=1, known_peers=10)
SETTLE_S = 8.0  # rounds until lists and fingers are what they will be
TIMEOUT_S = 120.0
WARM_UPS = 3
CHUNK = 64 * 1024
Row = dict[str, float]


class Half:
    """The peers of one process, which do what the pipe says."""

    def __init__(self, ports: list[int], pipe: Connection, coloured: bool) -> None:
        self._delivery = DeliveryLimits(coloured=coloured)
        self._dropped = 0
        self._peers = [
            SwarmPeer("127.0.0.1", port, identity="ephemeral", ring=TABLES, delivery=self._delivery)
            for port in ports
        ]
        self._pipe = pipe

    async def run(self) -> None:
        """Carry out ``(name, arguments)`` until the name is ``end``, and answer each."""
        loop = asyncio.get_running_loop()
        while True:
            name, arguments = await loop.run_in_executor(None, self._pipe.recv)
            if name == "end":
                break
            self._pipe.send(await getattr(self, name)(*arguments))
        for peer in self._peers:
            peer.kill()

    async def join(self, seed: int) -> None:
        """Enter the ring of the peer at that port, one by one."""
        for peer in self._peers:
            if peer.listener.port != seed:
                await peer.connect("127.0.0.1", seed)

    async def spoil(self, port: int, seed: int, share: float) -> None:
        """Have the peer at that port come back as one that drops so much."""
        index = next(index for index, peer in enumerate(self._peers) if peer.listener.port == port)
        self._peers[index].kill()
        behaviour = Behaviour("drop", share)
        self._peers[index] = SwarmPeer(
            identity="ephemeral",
            ring=TABLES,
            delivery=self._delivery,
            behaviour=behaviour,
            publish=self._count,
        )
        self._peers[index].bind("127.0.0.1", port, create=False)
        await self._peers[index].connect("127.0.0.1", seed)

    def _count(self, _: str, event: AnyEvent) -> None:
        self._dropped += isinstance(event, RelayMisbehaved)

    async def route(self, port: int) -> list[int]:
        """The ports of the peers that a lookup passes on its way to that one."""
        return [hop.port for hop in await self._peers[0].get_route(("127.0.0.1", port))][1:-1]

    async def dropped(self) -> int:
        """How many messages were, so far."""
        return self._dropped

    async def find(self, ports: list[int], hops: int) -> tuple[int, int]:
        """The first port that messages reach over so many hops, once they have found a way, else the one farthest away; and
        the hops."""
        farthest = (0, 0)
        for port in ports:
            for _ in range(WARM_UPS):
                receipt = await self._peers[0].send(("127.0.0.1", port), b"warm", timeout=TIMEOUT_S)
            farthest = max(farthest, (receipt.hops, port))
            if receipt.hops == hops:
                return port, hops
        return farthest[1], farthest[0]

    async def send(self, port: int, size: int) -> Row:
        """One message to that port. Returns seconds, hops and attempts."""
        payload = _payload(size)
        began = time.perf_counter()
        receipt = await self._peers[0].send(("127.0.0.1", port), payload, timeout=TIMEOUT_S)
        seconds = time.perf_counter() - began
        if not receipt.delivered:
            raise RuntimeError(f"the message failed: {receipt.reason}")
        return {"seconds": seconds, "hops": receipt.hops, "attempts": receipt.attempts}

    async def take(self, port: int, size: int) -> bool:
        """Whether the next message to that port of this many bytes is what was sent. What is smaller is passed over."""
        peer = next(peer for peer in self._peers if peer.listener.port == port)
        while len(data := (await peer.recv(TIMEOUT_S)).data) < size:
            pass
        return hashlib.sha256(data).digest() == hashlib.sha256(_payload(size)).digest()

    async def serve(self, port: int, size: int) -> bool:
        """As ``take``, of a TCP stream."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            data = await reader.readexactly(size)
            writer.write(b"!")
            await writer.drain()
            writer.close()
            done.set_result(data == _payload(size))

        async with await asyncio.start_server(answer, "127.0.0.1", port, limit=size):
            self._pipe.send("serving")
            return await done

    async def stream(self, port: int, size: int) -> Row:
        """One TCP stream to that port, until it answers."""
        payload = memoryview(_payload(size))
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for start in range(0, size, CHUNK):
            writer.write(payload[start : start + CHUNK])
            await writer.drain()
        await reader.readexactly(1)
        writer.close()
        return {"seconds": time.perf_counter() - began}


def _payload(size: int) -> bytes:
    return hashlib.shake_256(b"cicada").digest(size)


def _process(ports: list[int], pipe: Connection, uvloop: bool, coloured: bool) -> None:
    async def run() -> None:
        await Half(ports, pipe, coloured).run()

    work: Coroutine[Any, Any, None] = run()
    if uvloop:
        import uvloop as fast

        with asyncio.Runner(loop_factory=fast.new_event_loop) as runner:
            runner.run(work)
    else:
        asyncio.run(work)


class Swarm:
    """Both processes, as their parent has them."""

    def __init__(self, peers: int, uvloop: bool, coloured: bool) -> None:
        ports = sorted(range(BASE_PORT, BASE_PORT + peers), key=lambda port: place_of(_address(port)))
        self.near, self.far = ports[::2], ports[1::2]
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for share in (self.near, self.far):
            ours, theirs = context.Pipe()
            process = context.Process(target=_process, args=(share, theirs, uvloop, coloured), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def tell(self, half: int, name: str, *arguments: object) -> None:
        """Have one half do something."""
        self._pipes[half].send((name, arguments))

    def answer(self, half: int) -> Any:
        """What it answered."""
        if not self._pipes[half].poll(2 * TIMEOUT_S):
            raise TimeoutError(f"a benchmark process gave no answer within {2 * TIMEOUT_S} s")
        return self._pipes[half].recv()

    def ask(self, half: int, name: str, *arguments: object) -> Any:
        """Both."""
        self.tell(half, name, *arguments)
        return self.answer(half)

    def carry(self, port: int, size: int) -> tuple[Row, bool]:
        """Send a message and take it. Returns what it took, and whether it is intact."""
        before = self.dropped()
        self.tell(1, "take", port, size)
        row: Row = self.ask(0, "send", port, size)
        intact = self.answer(1)
        return row | {"dropped": self.dropped() - before}, intact

    def dropped(self) -> int:
        """How many messages were, so far."""
        return sum(int(self.ask(half, "dropped")) for half in (0, 1))

    def spoil_relay(self, port: int, share: float, size: int) -> None:
        """Have one peer on the way to that port drop so much: where a lookup passes, messages often do."""
        for relay in self.ask(0, "route", port):
            half = int(relay in self.far)
            self.ask(half, "spoil", relay, self.far[0] if half == 0 else self.near[0], share)
            time.sleep(SETTLE_S)
            if self.carry(port, size)[0]["dropped"]:
                return
        raise RuntimeError("no relay of the lookup's is on the way: run it again")

    def end(self) -> None:
        """Stop the processes."""
        for half, process in enumerate(self._processes):
            self.tell(half, "end")
            process.join(10)
            if process.is_alive():
                process.kill()


def _address(port: int) -> Address:
    return canonical_address("127.0.0.1", port)


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each repetition, after one that is not counted."""
    swarm = Swarm(options.peers, not options.no_uvloop, not options.drop)
    size = options.mib * MIB
    rows = []
    try:
        for half in (0, 1):
            swarm.ask(half, "join", swarm.near[0])
        time.sleep(SETTLE_S)
        port, _ = swarm.ask(0, "find", swarm.far, options.hops)
        if options.drop:
            swarm.spoil_relay(port, options.drop, size)
        for _ in range(options.repeat + 1):
            row, intact = swarm.carry(port, size)
            swarm.ask(1, "serve", BASE_PORT + options.peers, size)
            stream = swarm.ask(0, "stream", BASE_PORT + options.peers, size)
            if not (swarm.answer(1) and intact):
                raise RuntimeError("what arrived is not what was sent")
            goodput, direct = options.mib / row["seconds"], options.mib / stream["seconds"]
            rows.append(row | {"goodput": goodput, "tcp": direct, "share": goodput / direct})
    finally:
        swarm.end()
    return rows[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one small message, to see that it runs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--hops", type=int, default=5)
    parser.add_argument("--mib", type=int, default=WIRE.max_message // MIB)
    parser.add_argument("--peers", type=int, default=96)
    parser.add_argument("--drop", type=float, default=0.0)
    parser.add_argument("--no-uvloop", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.repeat, options.mib, options.peers, options.hops = 1, 2, 24, 3
    rows = measure(options)
    if options.json:
        print(json.dumps({"mib": options.mib, "runs": rows}))
        return
    hops = sorted({int(row["hops"]) for row in rows})
    print(f"{options.mib} MiB over {', '.join(map(str, hops))} hops, {options.peers} peers in 2 processes")
    for name, unit, digits in (("goodput", "MiB/s", 1), ("tcp", "MiB/s", 0), ("share", "of it", 4)):
        values = [row[name] for row in rows]
        figures = [f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values))]
        print(f"{name:8} min {figures[0]:>9}  median {figures[1]:>9}  max {figures[2]:>9} {unit}")
    if options.drop:
        print(f"dropped by one relay: {', '.join(str(int(row['dropped'])) for row in rows)}")
    print(f"attempts of the fragment with the most: {max(int(row['attempts']) for row in rows)}")


if __name__ == "__main__":
    main()
