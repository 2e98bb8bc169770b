"""Small swarms in one loop, and the truth about their rings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from cicada.aio import SwarmPeer
from cicada.testing.proof import prove

PATIENCE_S = 20.0


@asynccontextmanager
async def swarm(count: int) -> AsyncIterator[list[SwarmPeer]]:
    """``count`` peers in one proven ring; closed without farewells at the end."""
    peers = [SwarmPeer("127.0.0.1", 0) for _ in range(count)]
    try:
        await asyncio.gather(*(peer.connect(peers[0], timeout=PATIENCE_S) for peer in peers[1:]))
        await proven(peers)
        yield peers
    finally:
        for peer in peers:
            peer.kill()


async def proven(peers: Sequence[SwarmPeer]) -> None:
    """Returns once every peer's successor list and predecessor equal the sorted truth."""
    await prove(lambda: peers, PATIENCE_S)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Returns once ``condition`` holds; fails the test when that takes longer than PATIENCE_S."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not await condition():
        assert loop.time() < deadline, f"waited {PATIENCE_S} s for {what}"
        await asyncio.sleep(0.02)
