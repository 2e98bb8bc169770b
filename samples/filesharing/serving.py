"""A peer that shares files: it answers who asks for them, within bounds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from cicada.aio import HostPort, Message, SwarmPeer
from cicada.errors import CicadaError, MalformedMessage
from samples.filesharing.chunks import MIB, MOST_CHUNK
from samples.filesharing.names import safe_name
from samples.filesharing.shelf import Shared
from samples.filesharing.wire import (
    OFFERS,
    AskChunk,
    AskList,
    ChunkReply,
    ListReply,
    Offer,
    Offers,
    Refused,
    Wanted,
    decode,
    encode,
)

ANSWER_BYTES: Final = (
    16 * MIB
)  # of answers under way at once; a peer has room for 64 MiB of messages on their way
QUESTIONS: Final = 1024  # that wait for an answer or have one under way; 1 KiB each
QUESTIONS_EACH: Final = (
    16  # of one asker, of these: two full windows. One that died holds no more of the answers
)
ANSWER_S: Final = 15.0  # until an answer is given up, as whoever asked does

Answered = Callable[[HostPort, int], object]
"""Told who got an answer, of how many bytes."""


class Sharing:
    """Answers for the files that it was given, until it is cancelled. ``ignored`` counts what it did not answer, by reason."""

    def __init__(
        self, peer: SwarmPeer, files: Iterable[Shared], on_answer: Answered = lambda *_: None
    ) -> None:
        self._peer = peer
        self._files = {file.chunks.digest: file for file in files}
        self._on_answer = on_answer
        largest = max((file.chunks.chunk for file in self._files.values()), default=MOST_CHUNK)
        self._answers = asyncio.Semaphore(ANSWER_BYTES // largest)
        self._tasks: set[asyncio.Task[None]] = set()
        self._each: Counter[HostPort] = Counter()
        self.ignored: Counter[str] = Counter()

    async def run(self) -> None:
        """Answer for as long as the peer lives."""
        try:
            async for message in self._peer:
                self.take(message)
        finally:
            for task in self._tasks:
                task.cancel()

    def take(self, message: Message) -> None:
        """Answer one message when its turn comes, if it is a question."""
        source = message.source
        if len(self._tasks) >= QUESTIONS or self._each[source] >= QUESTIONS_EACH:
            self.ignored["busy"] += 1
            return
        self._each[source] += 1
        task = asyncio.create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, source))

    def _ended(self, task: asyncio.Task[None], source: HostPort) -> None:
        self._tasks.discard(task)
        self._each[source] -= 1
        if not self._each[source]:
            del self._each[source]
        if not task.cancelled() and (error := task.exception()) is not None:
            self.ignored[type(error).__name__] += 1

    async def _answer(self, message: Message) -> None:
        try:
            question = decode(message.data)
        except MalformedMessage:
            self.ignored["malformed"] += 1
            return
        async with self._answers:
            if isinstance(question, Wanted):
                await self._offer(message, question)
            elif isinstance(question, AskList | AskChunk) and message.kind == "request":
                await self._send(message, await self._reply(question))
            else:
                self.ignored["no question"] += 1

    async def _offer(self, message: Message, wanted: Wanted) -> None:
        asked_for = [wanted.digest] if wanted.digest is not None else list(self._files)
        files = [self._files[digest] for digest in asked_for if digest in self._files]
        for first in range(0, len(files), OFFERS):
            offers = tuple(
                Offer(file.chunks.digest, file.chunks.size, safe_name(file.path.name))
                for file in files[first : first + OFFERS]
            )
            await self._send(message, encode(Offers(offers)))

    async def _reply(self, question: AskList | AskChunk) -> bytes:
        file = self._files.get(question.digest)
        if file is None:
            return encode(Refused("not here"))
        if isinstance(question, AskList):
            return encode(ListReply(file.chunks, safe_name(file.path.name)))
        if question.index >= file.chunks.count:
            return encode(Refused("no such chunk"))
        data = await asyncio.to_thread(file.read, question.index)
        if data is None:
            self._files.pop(question.digest, None)
            return encode(Refused("changed"))
        return encode(self.chunk_reply(question, data))

    def chunk_reply(self, question: AskChunk, data: bytes) -> ChunkReply:
        """The answer with a chunk as it is; tests have peers that answer with something else."""
        return ChunkReply(data)

    async def _send(self, message: Message, data: bytes) -> None:
        try:
            receipt = await message.reply(data, timeout=ANSWER_S)
        except CicadaError:  # full, or ended
            self.ignored["not sent"] += 1
            return
        if receipt.delivered:
            self._on_answer(message.source, len(data))
        else:
            self.ignored["not delivered"] += 1
