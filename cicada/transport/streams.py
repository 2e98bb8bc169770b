"""One ZMQ_STREAM socket on the event loop.

libzmq's descriptor is edge-triggered: it announces that something may have happened, once, and any call on the socket
may swallow the announcement. So the socket is read until it has nothing more, and looked at again after every round of
sends.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import zmq
from zmq.backend import Socket as RawSocket

from cicada.limits import EndpointLimits
from cicada.transport.connection import Connection, Phase

_NOBLOCK: Final = int(zmq.NOBLOCK)
_NOBLOCK_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)
_POLLIN: Final = int(zmq.POLLIN)
_send: Final = RawSocket.send  # zmq.Socket.send wraps it in Python, which costs as much as the call


class Listener(Protocol):
    """Who is told what a socket's connections do. ``route`` is libzmq's routing id of a connection."""

    def on_notice(self, route: bytes, notice: zmq.Frame) -> None:
        """A message of a connection that is not known, or not open yet; empty when it opened."""
        ...

    def receive(self, connection: Connection, chunk: bytes) -> None:
        """Bytes of a known open connection."""
        ...

    def on_ended(self, connection: Connection) -> None:
        """A known open connection was closed by its other end."""
        ...


class StreamSocket:
    """The socket and the connections it carries; ``known`` is kept by the owner."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        loop: asyncio.AbstractEventLoop,
        limits: EndpointLimits,
        listener: Listener,
    ) -> None:
        self.known: dict[bytes, Connection] = {}
        self._loop = loop
        self._listener = listener
        self._budget = limits.chunks_per_turn
        self._scheduled = False
        self._open = True
        self.socket: zmq.Socket[bytes] = context.socket(zmq.STREAM)
        self._set_options(limits)
        self._descriptor = int(self.socket.getsockopt(zmq.FD))
        loop.add_reader(self._descriptor, self._drain)

    def _set_options(self, limits: EndpointLimits) -> None:
        socket = self.socket
        socket.setsockopt(zmq.SNDHWM, limits.high_water_mark)
        socket.setsockopt(zmq.RCVHWM, limits.high_water_mark)
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        socket.setsockopt(zmq.LINGER, int(limits.linger * 1000))
        socket.setsockopt(zmq.BACKLOG, limits.listen_backlog)

    def send(self, route: bytes, data: bytes) -> bool:
        """Pass bytes on; empty bytes close an accepted connection. False: its pipe is full.

        Raises zmq.ZMQError (EHOSTUNREACH) when the connection is gone.
        """
        try:
            _send(self.socket, route, _NOBLOCK_MORE)
        except zmq.Again:
            return False
        _send(self.socket, data, _NOBLOCK)
        return True

    def look_again(self) -> None:
        """After calls that may have swallowed an announcement."""
        if self._open and not self._scheduled and int(self.socket.getsockopt(zmq.EVENTS)) & _POLLIN:
            self._schedule()

    def close(self) -> None:
        """Idempotent."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._descriptor)
            self.socket.close()

    def _schedule(self) -> None:
        self._scheduled = True
        self._loop.call_soon(self._drain_scheduled)

    def _drain_scheduled(self) -> None:
        self._scheduled = False
        self._drain()

    def _drain(self) -> None:
        """Read what there is, and come back when that was not all. A failure must not end it: what was announced once
        is not announced again."""
        exhausted = False
        try:
            exhausted = self._read()
        finally:
            if not exhausted and self._open and not self._scheduled:
                self._schedule()

    def _read(self) -> bool:
        """Read until there is nothing more (True), or the budget of one turn is spent (False)."""
        recv = self.socket.recv
        find = self.known.get
        listener = self._listener
        for _ in range(self._budget):
            if not self._open:
                return True
            try:
                route = recv(_NOBLOCK)
            except zmq.Again:
                return True
            connection = find(route)
            if connection is None or connection.phase is not Phase.OPEN:
                listener.on_notice(route, recv(_NOBLOCK, False))
                continue
            chunk = recv(_NOBLOCK)
            if chunk:
                listener.receive(connection, chunk)
            else:
                listener.on_ended(connection)
        return False
