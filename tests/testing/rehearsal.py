"""A small application that goes wrong in many ways, and everything that is told of it, as one digest on standard output.

Run as ``python tests/testing/rehearsal.py SEED``, for what two processes make of one seed.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys

from cicada import aio
from cicada.events import AnyEvent
from cicada.testing import network, virtual

PEERS = 7
Trace = list[str]


async def lives(trace: Trace) -> None:
    """Messages, loss, a partition, a kill, a crash and a newcomer."""
    loop = asyncio.get_running_loop()

    def told(name: str, event: AnyEvent) -> None:
        trace.append(f"{loop.time()!r} {name} {event!r}")

    peers = [aio.SwarmPeer("127.0.0.1", 0, publish=told) for _ in range(PEERS)]
    await asyncio.gather(*(peer.connect(peers[0]) for peer in peers[1:]))
    network().everywhere(latency=0.03, jitter=0.02, loss=0.05)
    network().between(peers[0], peers[1:4], cut=True)
    receipts = [one.send(other, "hello!", 2) for one in peers for other in peers if one is not other]
    await asyncio.sleep(3.0)
    network().heal()
    peers[5].kill()
    peers[1].crash("router")
    late = aio.SwarmPeer("127.0.0.1", 5000, publish=told)
    await late.connect(peers[2])
    receipts.append(late.send(peers[4], bytes(100_000)))
    for receipt in receipts:
        trace.append(f"{loop.time()!r} {await receipt!r}")
    heard = await late.broadcast("news")
    trace.append(f"{loop.time()!r} {heard!r} {[peer.stats() for peer in peers]!r}")


def rehearse(seed: int) -> Trace:
    """What is told with this seed."""
    trace: Trace = []
    virtual(lambda: lives(trace), seed=seed)
    return trace


if __name__ == "__main__":
    said = "\n".join(rehearse(int(sys.argv[1])))
    print(hashlib.sha256(said.encode()).hexdigest(), len(said))
