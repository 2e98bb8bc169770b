"""A cable between a window and a socket of a swarm, which a test can cut and mend."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 10.0
_PREFIX = "ipc://"


class Cable:
    """Carries bytes from its own ``endpoint`` to that of a swarm. Runs on a thread of its own."""

    def __init__(self, endpoint: str, path: Path) -> None:
        self.endpoint = f"{_PREFIX}{path}"
        self._path = path
        self._far = endpoint.removeprefix(_PREFIX)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable")
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    def mend(self) -> None:
        """From now on it carries."""
        self._do(self._listen())

    def cut(self) -> None:
        """From now on nobody hears anything of the other, and nobody can dial."""
        self._do(self._hang_up())

    def start(self) -> None:
        self._thread.start()
        self.mend()

    def stop(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    async def _listen(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._connected, self._path)

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        far_reader, far_writer = await asyncio.open_unix_connection(self._far)
        try:
            both = {
                asyncio.create_task(_carry(reader, far_writer)),
                asyncio.create_task(_carry(far_reader, writer)),
            }
            _, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            left = both
        finally:
            for one in left:
                one.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for end in (writer, far_writer):
                end.transport.abort()
            self._carrying.discard(task)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextlib.contextmanager
def cable(endpoint: str, path: Path) -> Iterator[Cable]:
    """A cable that carries."""
    laid = Cable(endpoint, path)
    laid.start()
    try:
        yield laid
    finally:
        laid.stop()
