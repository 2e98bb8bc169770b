"""What a message to many costs: by a channel, by ``send`` to each of its members, and by ``broadcast``, in the same run.

    python -m benchmarks.channels [--quick] [--json] [--peers 50] [--members 32] [--messages 300]

All peers are in one process, on loopback, encrypted: processor time is that of both ends and of all that pass a message on, less
what the swarm needs at rest, and a delivery is one message in the hands of one application. Some members publish in turn, with a
few messages on their way at a time.
``first``: milliseconds from the first message, right after all members have joined, until all have it; the first sends make
sessions with their targets, and channels and broadcasts have what they need. A broadcast reaches all peers, members or not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import NamedTuple

from cicada.aio import Channel, ChannelMessage, Message, SwarmPeer
from cicada.testing import LocalSwarm

NAME = "#benchmark"
PUBLISHERS = 4  # one origin has 50 messages a second in a channel, and 256 at once
WINDOW = 8  # messages on their way
WARM_UPS = 3  # messages of each publisher, so that all have met
NUMBER_BYTES = 8
PAYLOAD = bytes(64 - NUMBER_BYTES)
REST_S = 5.0
PATIENCE_S = 60.0

Say = Callable[[int, bytes], Awaitable[object]]
"""Have the publisher of that number say something to all others."""


class Way(NamedTuple):
    """How something is said, and to how many."""

    say: Say
    reached: int


class Arrivals:
    """Who is still to get which message."""

    def __init__(self) -> None:
        self._left: dict[bytes, int] = {}
        self._done: dict[bytes, asyncio.Future[None]] = {}

    def expect(self, number: bytes, count: int) -> asyncio.Future[None]:
        """A future that is done when so many have got it."""
        self._left[number] = count
        self._done[number] = asyncio.get_running_loop().create_future()
        return self._done[number]

    def note(self, data: bytes) -> None:
        """One more has."""
        number = data[:NUMBER_BYTES]
        self._left[number] -= 1
        if not self._left[number]:
            self._done.pop(number).set_result(None)

    async def read(self, source: AsyncIterable[Message | ChannelMessage]) -> None:
        """Note all that comes there."""
        async for message in source:
            self.note(message.data)


class Bench:
    """A swarm whose first peers are in the channel, of whom the first publish."""

    def __init__(self, peers: Sequence[SwarmPeer], channels: Sequence[Channel]) -> None:
        self._arrivals = Arrivals()
        self._number = 0
        self._peers = peers
        self._channels = channels
        sources: list[AsyncIterable[Message | ChannelMessage]] = [*peers, *channels]
        self._readers = [asyncio.create_task(self._arrivals.read(source)) for source in sources]
        others = len(channels) - 1
        self.ways = {
            "channel": Way(self._publish, others),
            "send": Way(self._send, others),
            "broadcast": Way(self._broadcast, len(peers) - 1),
        }

    async def end(self) -> None:
        """Read nothing more."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def rest(self) -> float:
        """Cores that are used while nobody says anything."""
        began, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(REST_S)
        return (time.process_time() - used) / (time.perf_counter() - began)

    async def measure(self, way: Way, messages: int) -> dict[str, float]:
        """Figures of about as many deliveries as ``messages`` are to the members."""
        began = time.perf_counter()
        await self._say(way, 0)
        first = time.perf_counter() - began
        await self._round(way, WARM_UPS * PUBLISHERS)
        rest = await self.rest()
        count = messages * (len(self._channels) - 1) // way.reached
        began, used = time.perf_counter(), time.process_time()
        await self._round(way, count)
        used, seconds = time.process_time() - used, time.perf_counter() - began
        deliveries = count * way.reached
        return {
            "deliveries": deliveries,
            "deliveries_per_s": deliveries / seconds,
            "us_per_delivery": (used - rest * seconds) / deliveries * 1e6,
            "cores": used / seconds,
            "cores_at_rest": rest,
            "first_ms": first * 1e3,
        }

    async def _round(self, way: Way, count: int) -> None:
        turns = iter(range(count))

        async def one() -> None:
            for turn in turns:
                await self._say(way, turn % PUBLISHERS)

        await asyncio.gather(*(one() for _ in range(WINDOW)))

    async def _say(self, way: Way, publisher: int) -> None:
        """One message, until all have it."""
        self._number += 1
        number = self._number.to_bytes(NUMBER_BYTES)
        arrived = self._arrivals.expect(number, way.reached)
        await way.say(publisher, number + PAYLOAD)
        async with asyncio.timeout(PATIENCE_S):
            await arrived

    async def _publish(self, publisher: int, data: bytes) -> None:
        await self._channels[publisher].publish(data)

    async def _send(self, publisher: int, data: bytes) -> None:
        members = self._peers[: len(self._channels)]
        receipts = [
            members[publisher].send(member, data, timeout=PATIENCE_S)
            for member in members
            if member is not members[publisher]
        ]
        await asyncio.gather(*receipts)

    async def _broadcast(self, publisher: int, data: bytes) -> None:
        self._peers[publisher].broadcast(data, timeout=PATIENCE_S)


async def measured(peers: int, members: int, messages: int, seed: int = 1) -> dict[str, dict[str, float]]:
    """Figures of each way, and how long it took until all were members."""
    async with LocalSwarm(peers, seed=seed) as swarm:
        channels = [peer.channel(NAME) for peer in swarm.peers[:members]]
        began = time.perf_counter()
        await asyncio.gather(*(channel.join(PATIENCE_S) for channel in channels))
        joined = time.perf_counter() - began
        bench = Bench(swarm.peers, channels)
        try:
            figures = {name: await bench.measure(way, messages) for name, way in bench.ways.items()}
        finally:
            await bench.end()
        figures["channel"]["joined_ms"] = joined * 1e3
        return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="16 peers, 8 members, 60 messages")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    parser.add_argument("--peers", type=int, default=50)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--messages", type=int, default=300)
    options = parser.parse_args()
    size = (16, 8, 60) if options.quick else (options.peers, options.members, options.messages)
    figures = asyncio.run(measured(*size))
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{size[1]} members of {size[0]} peers, load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores")
    print(f"all joined after {figures['channel']['joined_ms']:.0f} ms")
    for name, figure in figures.items():
        print(
            f"{name:9} {figure['deliveries_per_s']:6.0f} deliveries/s, {figure['us_per_delivery']:5.0f} us each;"
            f" the first message reached all after {figure['first_ms']:.0f} ms; cores {figure['cores']:.2f},"
            f" at rest {figure['cores_at_rest']:.2f}"
        )


if __name__ == "__main__":
    main()
