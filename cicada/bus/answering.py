"""The endpoint at which a run answers requests for snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import zmq

from cicada.bus.snapshot import SnapshotRequest, read_request
from cicada.errors import Unavailable
from cicada.limits import BUS, BusLimits

Make = Callable[[Sequence[bytes]], Awaitable[bytes]]
"""Makes an encoded snapshot once each of these subscriptions is known everywhere, or a moment has passed."""

_logger = logging.getLogger("cicada.bus")


class SnapshotEndpoint:
    """Answers whoever asks at ``endpoint`` with what ``make`` makes, one snapshot at a time and seldom: who asks meanwhile
    shares the next. A REQ socket is all that it takes to ask. An empty answer: try again in a moment. Used on one event loop
    only."""

    def __init__(self, endpoint: str, make: Make, *, limits: BusLimits = BUS) -> None:
        self.endpoint = endpoint
        self._make = make
        self._limits = limits
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._waiting: list[tuple[list[bytes], SnapshotRequest]] = []
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.refused = 0
        """Requests that were none, or one too many."""

    def start(self) -> None:
        """Bind and answer. Raises Unavailable when the endpoint cannot be bound."""
        self._context = zmq.Context()
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, self._limits.snapshots)
        socket.setsockopt(zmq.SNDHWM, self._limits.snapshots)
        socket.setsockopt(zmq.MAXMSGSIZE, self._limits.max_request)
        try:
            socket.bind(self.endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise Unavailable(f"snapshots cannot be answered at {self.endpoint}: {error}") from error
        self._socket = socket
        loop = asyncio.get_running_loop()
        loop.add_reader(socket.fileno(), self._read)
        self._task = loop.create_task(self._answer(), name="snapshots")
        self._read()

    async def stop(self) -> None:
        """Answer no more. Safe to call twice."""
        if self._socket is None or self._task is None or self._context is None:
            return
        socket, self._socket = self._socket, None
        asyncio.get_running_loop().remove_reader(socket.fileno())
        socket.close(linger=0)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._context.destroy(linger=0)

    def _read(self) -> None:
        while self._socket is not None:
            try:
                *route, body = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            request = read_request(body)
            if request is None or len(self._waiting) >= self._limits.snapshots:
                self.refused += 1
                self._send(route, b"")
            else:
                self._waiting.append((route, request))
                self._asked.set()

    async def _answer(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            taken, self._waiting = self._waiting, []
            try:
                answer = await self._make([request.heard.encode() for _, request in taken if request.heard])
            except Exception:  # the boundary of this endpoint: a defect costs these requests only
                _logger.exception("a snapshot could not be made")
                answer = b""
            for route, _ in taken:
                self._send(route, answer)
            await asyncio.sleep(self._limits.snapshot_gap)

    def _send(self, route: list[bytes], answer: bytes) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(zmq.Again, zmq.ZMQError):  # whoever asked has gone
            self._socket.send_multipart([*route, answer], zmq.DONTWAIT)
        asyncio.get_running_loop().call_soon(
            self._read
        )  # sending may consume the edge that announces a request
