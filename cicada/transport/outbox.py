"""What waits to leave. Frames sent in one loop turn to one connection are joined and leave together at its end; a
connection that takes no more keeps its bytes in a bounded backlog, and costs the others nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, Protocol

from cicada.errors import Misuse
from cicada.limits import WIRE, EndpointLimits
from cicada.transport.base import ConnectionId
from cicada.transport.connection import Connection, Phase
from cicada.wire.frames import LENGTH

_LONGEST: Final = WIRE.max_frame + LENGTH.size


class Carrier(Protocol):
    """Who carries the bytes."""

    loop: asyncio.AbstractEventLoop
    limits: EndpointLimits

    def transmit(self, connection: Connection, data: bytes) -> bool:
        """Pass bytes to the other endpoint. False: no room at present, nothing was taken."""
        ...

    def receive(self, connection: Connection, chunk: bytes) -> None:
        """Bytes arrived on a connection; here, on the other end of a connection whose two ends are both ours."""
        ...

    def flushed(self) -> None:
        """A round of transmissions ended."""
        ...

    def stalled(self, connection: Connection) -> None:
        """The other end took nothing for ``stalled_seconds``."""
        ...


class Patience:
    """How long a connection has taken nothing, and when to try again. Loop times in seconds."""

    __slots__ = ("due", "pause", "since")

    def __init__(self, *, since: float, pause: float, due: float) -> None:
        self.since = since
        self.pause = pause
        self.due = due


class Outbox:
    """The sending half of an endpoint."""

    def __init__(
        self, carrier: Carrier, connections: dict[ConnectionId, Connection], count: Counter[str]
    ) -> None:
        self.frames = 0
        self._carrier = carrier
        self._loop = carrier.loop
        self._connections = connections
        self._count = count
        self._most = carrier.limits.max_connection_backlog
        self._batch = carrier.limits.flush_bytes
        self._limits = carrier.limits
        self._dirty: list[Connection] = []
        self._stuck: dict[Connection, Patience] = {}
        self._due = False
        self._retry: asyncio.TimerHandle | None = None

    def send(self, connection: ConnectionId, frame: bytes) -> bool:
        """As Endpoint.send promises."""
        known = self._connections.get(connection)
        if known is None or known.phase is not Phase.OPEN:
            self._count["unsent.gone"] += 1
            return False
        size = len(frame)
        queued = known.queued + size
        if size > _LONGEST:
            raise Misuse(f"frame of {size} bytes: at most {_LONGEST} with its prefix")
        if queued > self._most:
            self._count["unsent.backlog-full"] += 1
            return False
        known.queued = queued
        pending = known.pending
        if not pending:
            self._dirty.append(known)
            if not self._due:
                self._due = True
                self._loop.call_soon(self._flush_dirty)
        pending.append(frame)
        self.frames += 1
        return True

    def flush(self, connection: Connection) -> None:
        """Pass on at once what is pending, as far as there is room."""
        carrier = self._carrier
        while connection.pending and connection.phase is Phase.OPEN:
            taken, data = connection.next_batch(self._batch)
            if connection.partner is None and not carrier.transmit(connection, data):
                connection.pending[:taken] = [data]
                self._wait_for_room(connection)
                return
            self._stuck.pop(connection, None)
            del connection.pending[:taken]
            connection.queued -= len(data)
            self._count["chunks.sent"] += 1
            self._count["bytes.sent"] += len(data)
            if connection.partner is not None:
                carrier.receive(connection.partner, data)

    def close(self) -> None:
        """Forget everything."""
        if self._retry is not None:
            self._retry.cancel()
        self._dirty.clear()
        self._stuck.clear()

    def _flush_dirty(self) -> None:
        self._due = False
        dirty, self._dirty = self._dirty, []
        now = self._loop.time()
        for connection in dirty:
            connection.last_used = now
            self.flush(connection)
        self._carrier.flushed()

    def _wait_for_room(self, connection: Connection) -> None:
        """Try again after a pause, which doubles while nothing is taken: a thousand peers that do not read must cost
        next to nothing."""
        now = self._loop.time()
        patience = self._stuck.get(connection)
        if patience is None:
            pause = self._limits.retry_full_pipe
            self._stuck[connection] = Patience(since=now, pause=pause, due=now + pause)
        else:
            patience.pause = min(2 * patience.pause, self._limits.retry_full_pipe_max)
            patience.due = now + patience.pause
        if self._retry is None:
            self._retry = self._loop.call_later(self._limits.retry_full_pipe, self._retry_stuck)

    def _retry_stuck(self) -> None:
        self._retry = None
        now = self._loop.time()
        due = [connection for connection, patience in self._stuck.items() if patience.due <= now]
        for connection in due:
            patience = self._stuck[connection]
            if connection.phase is not Phase.OPEN:
                del self._stuck[connection]
            elif now - patience.since >= self._limits.stalled_seconds:
                del self._stuck[connection]
                self._carrier.stalled(connection)
            else:
                self.flush(connection)
        if due:
            self._carrier.flushed()
        if self._stuck and self._retry is None:
            earliest = min(patience.due for patience in self._stuck.values())
            self._retry = self._loop.call_at(earliest, self._retry_stuck)
