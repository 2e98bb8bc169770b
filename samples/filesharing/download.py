"""Fetching a file with a peer: carries out what the rules of ``fetching`` say."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from cicada.aio import HostPort, Message, SwarmPeer
from cicada.errors import CicadaError, MalformedMessage, Misuse
from cicada.ids import Address, canonical_address, is_hidden
from samples.filesharing.chunks import Bitmap, ChunkList
from samples.filesharing.fetching import (
    AskFor,
    AskForList,
    Begin,
    Came,
    Done,
    Failed,
    Fetch,
    Found,
    GaveUp,
    Input,
    ListCame,
    Output,
    Search,
    Store,
    Stored,
    TimerFired,
)
from samples.filesharing.holders import Fault
from samples.filesharing.names import Link, safe_name
from samples.filesharing.partial import Partial
from samples.filesharing.wire import (
    AskChunk,
    AskList,
    ChunkReply,
    ListReply,
    Offers,
    Refused,
    ShareMessage,
    Wanted,
    decode,
    encode,
)

ANSWER_S: Final = 15.0  # for one chunk or list; a slow line of 0.5 MB/s brings a chunk in 1
Told = Callable[[Output], object]


class NobodyHasIt(CicadaError):
    """A file cannot be fetched: nobody gave what is missing."""


def shown(peer: HostPort) -> str:
    """A peer as users write it: ``host:port``, or ``@`` and its peer id."""
    return peer.host if is_hidden(Address(peer.host)) else canonical_address(*peer)


class Download:
    """One file on its way into a folder. ``tell`` hears of every output, ``resumed`` of bytes that an earlier one
    left and that are hashed now."""

    def __init__(
        self,
        peer: SwarmPeer,
        link: Link,
        folder: Path,
        *,
        patience: float = 30.0,
        tell: Told = lambda _: None,
        resumed: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._peer = peer
        self._link = link
        self._folder = folder
        self._patience = patience
        self._tell = tell
        self._resumed = resumed
        self._loop = asyncio.get_running_loop()
        self._inputs: asyncio.Queue[Input] = (
            asyncio.Queue()
        )  # an input for each thing asked, and those are bounded
        self._tasks: set[asyncio.Task[None]] = set()
        self._partial: Partial | None = None
        self._writing: asyncio.Future[None] | None = None
        self._name = link.name

    async def run(self) -> Path:
        """Fetch it; returns where it is. Raises NobodyHasIt, and OSError when it cannot be written.

        What was stored stays in the folder when this fails or is cancelled, and the next one goes on with it.
        """
        chunks, have = await self._resume()
        self.fetch = Fetch(
            self._link.digest, self._loop.time(), chunks=chunks, have=have, patience=self._patience
        )
        listener = asyncio.create_task(self._listen())
        try:
            await self._until_the_end()
        except BaseException:
            await self._close()
            raise
        finally:
            await _cancel([listener, *self._tasks])
        if self._partial is None:
            raise NobodyHasIt("there is no list")
        return await asyncio.to_thread(self._partial.finish, self._folder, safe_name(self._name))

    async def _resume(self) -> tuple[ChunkList | None, Bitmap | None]:
        left = threading.Event()

        def progress(size: int) -> None:
            if left.is_set():
                raise asyncio.CancelledError
            self._resumed(size)

        try:
            found = await asyncio.to_thread(Partial.resume, self._folder, self._link.digest, progress)
        except asyncio.CancelledError:
            left.set()  # the thread would go on, and keep the file
            raise
        if found is None:
            return None, None
        self._partial, head, have = found
        self._name = self._name or head.name
        self._tell(Begin(head.chunks, self._name))
        return head.chunks, have

    async def _close(self) -> None:
        """After the chunk that is being written: its descriptor may be another file's as soon as it is closed."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._partial is not None:
            self._partial.close()

    async def _until_the_end(self) -> None:
        event: Input = TimerFired()
        while True:
            for output in self.fetch.handle(event, self._loop.time()):
                self._tell(output)
                if isinstance(output, Done):
                    return
                await self._carry_out(output)
            event = await self._next()

    async def _next(self) -> Input:
        try:
            async with asyncio.timeout_at(self.fetch.next_deadline()):
                return await self._inputs.get()
        except TimeoutError:
            return TimerFired()

    async def _carry_out(self, output: Output) -> None:
        match output:
            case Search():
                self._search()
            case AskForList(holder):
                self._spawn(self._ask(holder, None, AskList(self._link.digest)))
            case AskFor(holder, index):
                self._spawn(self._ask(holder, index, AskChunk(self._link.digest, index)))
            case Begin(chunks, name):
                self._name = self._name or name
                self._partial = Partial.begin(self._folder, chunks, self._name)
            case Store():
                await self._store(output)
            case GaveUp():
                raise NobodyHasIt(_missing(self.fetch))
            case _:
                pass

    def _search(self) -> None:
        for peer in self._link.peers:
            self._inputs.put_nowait(Found(peer))
        with contextlib.suppress(CicadaError):  # not in a ring yet; the next search is due soon
            self._peer.broadcast(encode(Wanted(self._link.digest)))

    async def _store(self, store: Store) -> None:
        if self._partial is not None and self.fetch.chunks is not None:
            work = asyncio.to_thread(self._partial.store, self.fetch.chunks, store.index, store.data)
            self._writing = asyncio.ensure_future(work)
            await asyncio.shield(self._writing)
            self._inputs.put_nowait(Stored(store.index))

    async def _ask(self, holder: str, index: int | None, question: ShareMessage) -> None:
        try:
            reply = decode((await self._peer.request(holder, encode(question), timeout=ANSWER_S)).data)
        except MalformedMessage:
            reply = None
        except Misuse:  # a link may name what is no address
            self._inputs.put_nowait(Failed(holder, index, Fault.REFUSES))
            return
        except CicadaError:
            self._inputs.put_nowait(Failed(holder, index, Fault.SILENT))
            return
        self._inputs.put_nowait(_meant(holder, index, reply))

    async def _listen(self) -> None:
        async for message in self._peer:
            if self._has_it(message) and self._inputs.qsize() < 1024:
                self._inputs.put_nowait(Found(shown(message.source)))

    def _has_it(self, message: Message) -> bool:
        try:
            offers = decode(message.data)
        except MalformedMessage:
            return False
        return isinstance(offers, Offers) and any(file.digest == self._link.digest for file in offers.files)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _meant(holder: str, index: int | None, reply: ShareMessage | None) -> Input:
    if index is None and isinstance(reply, ListReply):
        return ListCame(holder, reply.chunks, reply.name)
    if index is not None and isinstance(reply, ChunkReply):
        return Came(holder, index, reply.data)
    return Failed(holder, index, Fault.REFUSES if isinstance(reply, Refused) else Fault.LIES)


def _missing(fetch: Fetch) -> str:
    if fetch.chunks is None:
        return "nobody who has this file was found: have somebody share it, and --join a member of his swarm"
    return (
        f"nobody gave the {fetch.chunks.count - fetch.have.held} chunks that are missing: what is there is kept, and the "
        "same command goes on with it"
    )


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
