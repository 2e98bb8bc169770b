"""What all endpoints share: who is hosted, who owns which index, who uses which connection, the rules for strangers.

A subclass moves bytes: it binds, dials, transmits and hangs up, and reports what happened by the methods under "What a
subclass reports".
"""

from __future__ import annotations

import abc
import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Final

from cicada.errors import Misuse, PeerFault
from cicada.ids import Address
from cicada.limits import WIRE, EndpointLimits
from cicada.transport.base import OUT_OF_DESCRIPTORS, ConnectionId, Receiver
from cicada.transport.callbacks import Callbacks
from cicada.transport.connection import Connection, Phase
from cicada.transport.inbound import Inbound
from cicada.transport.outbox import Outbox
from cicada.transport.strangers import LOCAL, Strangers
from cicada.wire.frames import Frame

_EVERYWHERE: Final = ("0.0.0.0:", "[::]:")


class Hub(abc.ABC):
    """An Endpoint (see base.py) without its sockets. ``entropy`` returns 32 random bits that nobody can guess."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: EndpointLimits,
        entropy: Callable[[], int],
        max_connections: int,
        max_strangers: int,
    ) -> None:
        self.loop = loop
        self.limits = limits
        self._max_connections = max(max_connections, 1)
        self._ids = itertools.count(1)
        self._hosted: dict[Address, Receiver] = {}
        self._bound: dict[Address, Address] = {}
        self._connections: dict[ConnectionId, Connection] = {}
        self._outgoing: dict[Address, Connection] = {}
        self._strangers = Strangers(limits, max(max_strangers, 1))
        self._unused: dict[ConnectionId, float] = {}
        self._locals = 0
        self._count: Counter[str] = Counter()
        self._frames_received = 0
        self._tell = Callbacks(loop, self._count)
        self._outbox = Outbox(self, self._connections, self._count)
        self._inbound = Inbound(self, self._hosted, entropy, self._tell, self._count)
        self.attach = self._inbound.attach
        self.detach = self._inbound.detach
        self.send: Callable[[ConnectionId, bytes], bool] = self._outbox.send  # the hot path takes no detour
        self._closed = False
        self._sweeper = loop.call_later(self._sweep_interval(), self._sweep)

    # The contract

    def listen(
        self, address: Address, receiver: Receiver, *, bind_to: Address | None = None, shared: bool = False
    ) -> None:
        self._check_open()
        bound = address if bind_to is None else bind_to
        is_bound = bound in self._bound.values()
        if address in self._hosted or (is_bound and not shared):
            raise Misuse(f"{address} is hosted here already: unlisten it first, or choose another port")
        if not is_bound:
            self._bind(bound)
        self._hosted[address] = receiver
        self._bound[address] = bound

    def unlisten(self, address: Address) -> None:
        if self._hosted.pop(address, None) is None:
            return
        home = self._bound.pop(address)
        if home in self._bound.values():
            return
        for connection in [c for c in self._connections.values() if _accepted_at(c, home)]:
            self.shut(connection, "unlistened")
        self._unbind(home)

    def connect(self, remote: Address, receiver: Receiver) -> None:
        self._check_open()
        connection = self._outgoing.get(remote)
        if connection is None:
            obstacle = "" if remote in self._hosted else self._obstacle(remote)
            if obstacle:
                self._count[f"dial-failed.{obstacle}"] += 1
                self._tell.later(receiver.on_connect_failed, remote, obstacle)
                return
            connection = self._new(remote=remote)
            connection.waiting[receiver] = None
            self._start(connection, remote)
        elif connection.phase is Phase.DIALLING:
            connection.waiting[receiver] = None
        else:
            self._use(connection, receiver)
            self._tell.later(receiver.on_connected, remote, connection.id)

    def authenticated(self, connection: ConnectionId, receiver: Receiver) -> None:
        known = self._connections.get(connection)
        if known is None:
            self._tell.later(receiver.on_disconnected, connection, "gone")
            return
        known.stranger = False
        known.splitter.max_frame = WIRE.max_frame
        self._strangers.remove(connection)
        self._use(known, receiver)

    def release(self, connection: ConnectionId, receiver: Receiver) -> None:
        known = self._connections.get(connection)
        if known is not None and receiver in known.users:
            del known.users[receiver]
            if not known.users:
                self._retire(known)

    def forget(self, receiver: Receiver) -> None:
        self._inbound.detach_all(receiver)
        for connection in list(self._connections.values()):
            connection.waiting.pop(receiver, None)
            self.release(connection.id, receiver)
        for address in [a for a, hosted in self._hosted.items() if hosted is receiver]:
            self.unlisten(address)

    def source(self, connection: ConnectionId) -> str:
        known = self._connections.get(connection)
        return "" if known is None else known.source

    def drop(self, connection: ConnectionId, reason: str) -> None:
        known = self._connections.get(connection)
        if known is not None:
            self.shut(known, reason)

    def counters(self) -> dict[str, int]:
        counts = dict(self._count)
        counts["frames.sent"] = self._outbox.frames
        counts["frames.received"] = self._frames_received
        return counts

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._tell.close()
        self._sweeper.cancel()
        for connection in list(self._connections.values()):
            if connection.alarm is not None:
                connection.alarm.cancel()
            if connection.partner is None:
                self._outbox.flush(connection)
            connection.phase = Phase.CLOSED
        self._finish()
        self._connections.clear()
        self._outgoing.clear()
        self._hosted.clear()
        self._bound.clear()
        self._inbound.close()
        self._unused.clear()
        self._outbox.close()

    # What a subclass does

    @abc.abstractmethod
    def _bind(self, address: Address) -> None:
        """Accept connections for the address, or raise Unavailable."""

    @abc.abstractmethod
    def _unbind(self, address: Address) -> None:
        """Undo ``_bind``."""

    @abc.abstractmethod
    def _dial(self, connection: Connection, remote: Address) -> None:
        """Begin a dial; later ``_dialled`` or ``_dial_failed``, or nothing, then it times out."""

    @abc.abstractmethod
    def transmit(self, connection: Connection, data: bytes) -> bool:
        """Pass bytes on. False: no room at present, nothing was taken."""

    @abc.abstractmethod
    def _hang_up(self, connection: Connection) -> None:
        """Close an open or dialling connection to another endpoint. Bytes passed on before still leave if they can."""

    @abc.abstractmethod
    def _finish(self) -> None:
        """Last act of ``close``."""

    def _obstacle(self, remote: Address) -> str:
        """Why the address cannot be dialled now; empty when it can."""
        return "" if self._make_room() else OUT_OF_DESCRIPTORS

    def _lingering(self) -> int:
        """Connections that were closed here and may still hold a descriptor."""
        return 0

    def _stop_lingering(self) -> None:
        """Give back the descriptors of closed connections at once."""
        return

    def flushed(self) -> None:
        """A round of transmissions ended."""
        return

    def stalled(self, connection: Connection) -> None:
        """The other end does not read: nobody can want such a connection."""
        self.shut(connection, "stalled")

    def _swept(self, now: float) -> None:
        """The periodic look at what expired."""
        return

    # What a subclass reports

    def _accepted(self, source: str, home: Address | None) -> Connection | None:
        """Somebody connected from ``source`` to the bound address ``home``. None: there is no room, refuse it."""
        if not self._make_room():
            self._count["refused.descriptors"] += 1
            return None
        connection = self._new(source=source)
        connection.home = home
        self._count["connections.accepted"] += 1
        self._become_stranger(connection)
        return connection

    def _dialled(self, connection: Connection) -> None:
        """A dial succeeded."""
        if connection.phase is not Phase.DIALLING or connection.remote is None:
            return
        if connection.alarm is not None:
            connection.alarm.cancel()
        connection.phase = Phase.OPEN
        connection.last_used = self.loop.time()
        self._count["connections.local" if connection.partner else "connections.dialled"] += 1
        waiting, connection.waiting = connection.waiting, {}
        for receiver in waiting:
            self._use(connection, receiver)
            self._tell.later(receiver.on_connected, connection.remote, connection.id)
        if not waiting:
            self._retire(connection)

    def _dial_failed(self, connection: Connection, reason: str) -> None:
        """A dial failed. Late reports are ignored."""
        if connection.phase is Phase.DIALLING:
            self._count[f"dial-failed.{reason}"] += 1
            self._hang_up(connection)
            self._lost(connection, reason)

    def receive(self, connection: Connection, chunk: bytes) -> None:
        """Bytes arrived on an open connection."""
        connection.last_used = self.loop.time()
        if connection.stranger and not self._within_allowance(connection, len(chunk)):
            return
        frames: list[Frame] = []
        fault = ""
        try:
            connection.splitter.feed(chunk, frames)
        except PeerFault as error:
            fault = error.reason
        self._frames_received += len(frames)
        self._inbound.take(connection, frames)
        if fault and connection.phase is Phase.OPEN:
            self.shut(connection, fault)

    def _lost(self, connection: Connection, reason: str) -> None:
        """The connection is gone: forget it and tell everybody concerned."""
        if connection.phase is Phase.CLOSED:
            return
        connection.phase = Phase.CLOSED
        del self._connections[connection.id]
        if connection.alarm is not None:
            connection.alarm.cancel()
        remote = connection.remote
        if remote is not None:
            if self._outgoing.get(remote) is connection:
                del self._outgoing[remote]
            for receiver in connection.waiting:
                self._tell.later(receiver.on_connect_failed, remote, reason)
        self._strangers.remove(connection.id)
        self._unused.pop(connection.id, None)
        self._count[f"closed.{reason}"] += 1
        for receiver in connection.users:
            self._tell.later(receiver.on_disconnected, connection.id, reason)
        connection.pending = []
        partner, connection.partner = connection.partner, None
        if partner is not None:
            self._locals -= 1
            self._lost(partner, "closed")

    # Connections

    def _new(self, *, remote: Address | None = None, source: str = "") -> Connection:
        limit = WIRE.max_frame if remote is not None else self.limits.unauthenticated_frame
        name = ConnectionId(next(self._ids))
        connection = Connection(name, remote=remote, source=source, max_frame=limit, now=self.loop.time())
        self._connections[name] = connection
        if remote is not None:
            self._outgoing[remote] = connection
        return connection

    def _start(self, connection: Connection, remote: Address) -> None:
        if remote in self._hosted:
            self._pair(connection, self._bound[remote])
            return
        timeout = self.limits.connect_timeout
        connection.alarm = self.loop.call_later(timeout, self._dial_failed, connection, "timeout")
        self._dial(connection, remote)

    def _pair(self, connection: Connection, home: Address) -> None:
        """The other end is hosted here: no kernel, else the same."""
        other = self._new(source=LOCAL)
        other.home = home
        connection.partner = other
        other.partner = connection
        self._locals += 2
        self._become_stranger(other)
        self._dialled(connection)

    def _use(self, connection: Connection, receiver: Receiver) -> None:
        connection.users[receiver] = None
        self._unused.pop(connection.id, None)

    def _retire(self, connection: Connection) -> None:
        """Nobody uses the connection at present."""
        if connection.remote is None:
            self._become_stranger(connection)
        else:
            self._unused[connection.id] = self.loop.time() + self.limits.unused_seconds

    def _become_stranger(self, connection: Connection) -> None:
        connection.stranger = True
        connection.received = 0
        connection.splitter.max_frame = self.limits.unauthenticated_frame
        displaced = self._strangers.admit(connection.id, connection.source, self.loop.time())
        if displaced is not None:
            self.drop(*displaced)

    def _within_allowance(self, connection: Connection, size: int) -> bool:
        connection.received += size
        if connection.received <= self.limits.unauthenticated_bytes:
            return True
        self.shut(connection, "stranger-bytes")
        return False

    def shut(self, connection: Connection, reason: str) -> None:
        """Close a connection and tell everybody concerned."""
        if connection.partner is None:
            self._outbox.flush(connection)
            if connection.phase is not Phase.CLOSED:
                self._hang_up(connection)
        self._lost(connection, reason)

    def _make_room(self) -> bool:
        """When there are too many connections, close the oldest stranger, or else the longest idle ones: strangers must
        not displace who is known. False: that was not possible."""
        used = len(self._connections) - self._locals
        if used + self._lingering() < self._max_connections:
            return True
        self._stop_lingering()
        if used < self._max_connections:
            return True
        stranger = self._strangers.oldest()
        if stranger is not None:
            self.drop(stranger, "strangers")
            return True
        remote = [c for c in self._connections.values() if c.partner is None and c.phase is Phase.OPEN]
        remote.sort(key=lambda connection: connection.last_used)
        idlest = remote[: 1 + self._max_connections // self.limits.eviction_share]
        for connection in idlest:
            self.shut(connection, "idle")
        return bool(idlest)

    # Housekeeping

    def _sweep_interval(self) -> float:
        limits = self.limits
        return min(limits.sweep_interval, limits.unauthenticated_seconds / 4, limits.unused_seconds)

    def _sweep(self) -> None:
        now = self.loop.time()
        for connection in self._strangers.expired(now):
            self.drop(connection, "stranger-timeout")
        for connection in [c for c, deadline in self._unused.items() if deadline <= now]:
            self.drop(connection, "unused")
        self._swept(now)
        self._sweeper = self.loop.call_later(self._sweep_interval(), self._sweep)

    def _check_open(self) -> None:
        if self._closed:
            raise Misuse("the endpoint is closed: make a new one")


def _accepted_at(connection: Connection, bound: Address) -> bool:
    """Whether the connection came in at a bound address, which may stand for all addresses of this machine."""
    home = connection.home
    if home is None or home == bound:
        return home is not None
    return bound.startswith(_EVERYWHERE) and home.rpartition(":")[2] == bound.rpartition(":")[2]
