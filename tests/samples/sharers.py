"""Peers that share a file on the loop of a test, among them one that lies and one that dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from cicada.aio import SwarmPeer
from samples.filesharing.chunks import MIB
from samples.filesharing.download import shown
from samples.filesharing.serving import Sharing
from samples.filesharing.shelf import Shared, shared
from samples.filesharing.wire import AskChunk, ChunkReply
from tests.peer.swarm import swarm

FILM = 24 * MIB


class Sharer(Sharing):
    """One that says which chunks it was asked for."""

    def __init__(self, peer: SwarmPeer, files: Sequence[Shared]) -> None:
        super().__init__(peer, files)
        self.name = shown(peer.listener)
        self.asked: list[int] = []

    def chunk_reply(self, question: AskChunk, data: bytes) -> ChunkReply:
        self.asked.append(question.index)
        return super().chunk_reply(question, data)


class Liar(Sharer):
    """Alters one byte from its fifth chunk on."""

    def chunk_reply(self, question: AskChunk, data: bytes) -> ChunkReply:
        reply = super().chunk_reply(question, data)
        return reply if len(self.asked) < 5 else ChunkReply(bytes([data[0] ^ 1]) + reply.data[1:])


class Dying(Sharer):
    """Is gone, without a farewell, when it is asked for its eighth chunk."""

    def chunk_reply(self, question: AskChunk, data: bytes) -> ChunkReply:
        if len(self.asked) == 7:
            self._peer.kill()
        return super().chunk_reply(question, data)


class Stopping(Sharer):
    """Answers no more after so many chunks, until it is let."""

    after = 20

    def __init__(self, peer: SwarmPeer, files: Sequence[Shared]) -> None:
        super().__init__(peer, files)
        self.stopped, self.let = asyncio.Event(), asyncio.Event()

    async def _reply(self, question: AskChunk) -> bytes:  # type: ignore[override]
        if len(self.asked) >= self.after and not self.let.is_set():
            self.stopped.set()
            await self.let.wait()
        return await super()._reply(question)


class Stopped(Stopping):
    """Answers nothing until it is let."""

    after = 0


def film(folder: Path) -> Shared:
    """A file of FILM bytes, and its list."""
    path = folder / "film.bin"
    path.write_bytes(Random(1).randbytes(FILM))
    return shared(path, cache=folder / "cache")


@asynccontextmanager
async def sharers(
    file: Shared, kinds: Sequence[type[Sharer]]
) -> AsyncIterator[tuple[SwarmPeer, list[Sharer]]]:
    """A peer to fetch with, and one sharer of each kind, in one ring."""
    async with swarm(len(kinds) + 1) as (peer, *others):
        sharing = [kind(other, [file]) for kind, other in zip(kinds, others, strict=True)]
        tasks = [asyncio.create_task(one.run()) for one in sharing]
        try:
            yield peer, sharing
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
