"""A sender that floods one slow peer: what that costs other pairs, and another sender to the same peer.

    python -m benchmarks.flood [--peers N] [--seconds S] [--json]

All peers run in this process. The slow one reads ten messages a second; the flooding one sends to it as fast as it may. A third
peer sends 50 messages a second to peers that read at once, a fourth one message a second to the slow peer, whose time to
the application is measured besides that of its receipt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from cicada.aio import SwarmPeer
from cicada.errors import MailboxFull

READS_S = 0.1
OTHERS_S = 0.02
SAME_S = 1.0
BURST = 50
FLOOD_S = 0.01
TIMEOUT_S = 10.0


class Latencies:
    """Seconds that messages took; ``failed`` did not arrive."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.failed = 0

    def figures(self) -> dict[str, float]:
        """In milliseconds."""
        ranked = sorted(self.seconds)
        if not ranked:
            return {"count": 0, "failed": self.failed}
        at = {share: 1e3 * ranked[int(share * (len(ranked) - 1))] for share in (0.5, 0.99)}
        return {
            "count": len(ranked),
            "failed": self.failed,
            "p50_ms": round(at[0.5], 1),
            "p99_ms": round(at[0.99], 1),
        }


async def every(pause: float, act: Callable[[], Awaitable[None]]) -> None:
    """Act again and again, at that pace."""
    due = time.perf_counter()
    while True:
        await act()
        due = max(due + pause, time.perf_counter())
        await asyncio.sleep(due - time.perf_counter())


class Flood:
    """The swarm and what was measured in it."""

    def __init__(self, peers: list[SwarmPeer]) -> None:
        self.slow, self.flooding, self.other, self.same, *self.quick = peers
        self.random = random.Random(7)
        self.pairs = Latencies()
        self.receipts = Latencies()
        self.applications = Latencies()
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def begin(self, *, floods: bool) -> None:
        """Have everybody do what it does until ``end``."""
        for peer in self.quick:
            self.spawn(self._read_all(peer))
        self.spawn(every(READS_S, self._read_one))
        self.spawn(every(OTHERS_S, self._send_other))
        self.spawn(every(SAME_S, self._send_same))
        if floods:
            self.spawn(every(FLOOD_S, self._flood))

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read_all(self, peer: SwarmPeer) -> None:
        async for _ in peer:
            pass

    async def _read_one(self) -> None:
        if self.slow.peek is not None:
            message = await self.slow.recv()
            if message.data != b"flood":
                self.applications.seconds.append(time.perf_counter() - float(message.data))

    async def _send_other(self) -> None:
        self.spawn(self._timed(self.other, self.random.choice(self.quick), self.pairs))

    async def _send_same(self) -> None:
        self.spawn(self._timed(self.same, self.slow, self.receipts))

    async def _flood(self) -> None:
        try:
            for _ in range(BURST):
                self.flooding.send(self.slow, b"flood", timeout=TIMEOUT_S)
        except MailboxFull:
            return

    async def _timed(self, sender: SwarmPeer, target: SwarmPeer, into: Latencies) -> None:
        started = time.perf_counter()
        try:
            receipt = await sender.send(target, b"%.9f" % started, timeout=TIMEOUT_S)
        except MailboxFull:
            into.failed += 1
            return
        into.failed += not receipt.delivered
        if receipt.delivered:
            into.seconds.append(time.perf_counter() - started)


async def measure(count: int, seconds: float, *, floods: bool) -> dict[str, dict[str, float]]:
    """The figures of a swarm of ``count`` peers, with the flood or without."""
    peers = [SwarmPeer("127.0.0.1", 0, identity="ephemeral") for _ in range(count)]
    try:
        for peer in peers[1:]:
            await peer.connect(peers[0])
        flood = Flood(peers)
        for _ in range(2):  # the first time sessions come about
            flood.pairs, flood.receipts, flood.applications = Latencies(), Latencies(), Latencies()
            flood.begin(floods=floods)
            await asyncio.sleep(seconds)
            await flood.end()
        return {
            "other pairs": flood.pairs.figures(),
            "another sender to the slow peer": flood.receipts.figures(),
            "the same, until its application has it": flood.applications.figures(),
        }
    finally:
        for peer in peers:
            peer.kill()


def main() -> None:
    """Print the figures of both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {
        name: asyncio.run(measure(options.peers, options.seconds, floods=floods))
        for name, floods in (("without a flood", False), ("with a flood", True))
    }
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(name)
        for what, values in figures.items():
            print(f"  {what}: {values}")


if __name__ == "__main__":
    main()
