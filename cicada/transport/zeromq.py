"""The Endpoint over TCP: two ZMQ_STREAM sockets per worker, a listener bound to every hosted port and a dialer.

STREAM, because with ROUTER a stranger can choose identities that abort the process; here it chooses nothing. What
libzmq does not do by itself is done here: dials have a time-out, closed connections give their descriptors back, and
connections are counted so that descriptors never run out.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import struct
import time
from collections.abc import Callable
from typing import Final

import zmq

from cicada.errors import Unavailable
from cicada.ids import Address
from cicada.limits import ENDPOINT, EndpointLimits
from cicada.transport.connection import Connection
from cicada.transport.descriptors import budget_of, raise_descriptor_limit
from cicada.transport.hub import Hub
from cicada.transport.lingering import NOT_HELD, Held, Lingering, cut, hold, local_address
from cicada.transport.strangers import source_of
from cicada.transport.streams import StreamSocket

_EVENT: Final = struct.Struct("=HI")
_ROUTE: Final = struct.Struct(">BQ")
_DIALLED: Final = 1
"""First byte of the routing ids we give; those libzmq gives start with 0."""


def random_index() -> int:
    """32 bits from the operating system."""
    return secrets.randbits(32)


class ZmqEndpoint(Hub):
    """The connections of one worker. Raises the process's soft descriptor limit to the hard one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: EndpointLimits = ENDPOINT,
        entropy: Callable[[], int] = random_index,
    ) -> None:
        self._budget = budget_of(raise_descriptor_limit(limits), limits)
        self._budget.check_listeners(1)
        super().__init__(
            loop,
            limits=limits,
            entropy=entropy,
            max_connections=self._budget.connections,
            max_strangers=self._budget.strangers,
        )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, limits.context_sockets)
        _keep_from_preempting(self._context)
        self._listener = StreamSocket(self._context, loop, limits, self)
        self._dialer = StreamSocket(self._context, loop, limits, self)
        self._routes: dict[Connection, bytes] = {}
        self._held: dict[Connection, Held] = {}
        self._closing = Lingering(limits.linger)
        self._unbound_at: dict[Address, float] = {}
        self._next_route = 0
        self._refusals = self._watch_refusals()
        self._read_refusals()  # nothing is announced before the first look

    # Listening

    def _bind(self, address: Address) -> None:
        self._budget.check_listeners(len(self._hosted) + 1)
        listener = self._listener.socket
        listener.setsockopt(zmq.IPV6, int(address.startswith("[")))
        patience = self._unbound_at.pop(address, float("-inf")) + self.limits.rebind_patience
        while True:
            try:
                listener.bind(f"tcp://{address}")
            except zmq.ZMQError as error:
                if error.errno != errno.EADDRINUSE or self.loop.time() > patience:
                    raise _unbindable(address, error) from None
                # Our own former listener is being closed by libzmq's thread at this moment.
                time.sleep(self.limits.rebind_pause)
            else:
                break
        self._listener.look_again()

    def _unbind(self, address: Address) -> None:
        now = self.loop.time()
        self._unbound_at = {
            a: t for a, t in self._unbound_at.items() if now - t < self.limits.rebind_patience
        }
        self._unbound_at[address] = now
        self._listener.socket.unbind(f"tcp://{address}")
        self._listener.look_again()

    # Dialling

    def _dial(self, connection: Connection, remote: Address) -> None:
        route = _ROUTE.pack(_DIALLED, self._next_route)  # never used twice: a duplicate aborts the process
        self._next_route += 1
        dialer = self._dialer.socket
        dialer.setsockopt(zmq.IPV6, int(remote.startswith("[")))
        dialer.setsockopt(zmq.CONNECT_ROUTING_ID, route)
        self._routes[connection] = route
        self._dialer.known[route] = connection
        try:
            dialer.connect(_alias(remote))
        except zmq.ZMQError:
            self._forget(connection)
            self._dial_failed(connection, "unusable-address")
        self._dialer.look_again()

    def _watch_refusals(self) -> zmq.Socket[bytes]:
        """STREAM is silent about refused dials; the socket's monitor says that the attempt was closed. Only our own
        dials make such events, so strangers cannot flood it; mark 0 keeps libzmq's thread from ever waiting for us."""
        monitor: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        monitor.setsockopt(zmq.RCVHWM, 0)
        monitor.setsockopt(zmq.LINGER, 0)
        self._dialer.socket.monitor("inproc://refusals", zmq.EVENT_CLOSED)
        monitor.connect("inproc://refusals")
        self.loop.add_reader(int(monitor.getsockopt(zmq.FD)), self._read_refusals)
        return monitor

    def _read_refusals(self) -> None:
        while not self._refusals.closed:
            try:
                event, where = self._refusals.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if _EVENT.unpack(event)[0] == zmq.EVENT_CLOSED:
                connection = self._outgoing.get(_without_alias(where.decode()))
                if connection is not None:
                    self._dial_failed(connection, "refused")

    # What the sockets report

    def on_notice(self, route: bytes, notice: zmq.Frame) -> None:
        if len(notice.buffer) or route in self._closing:
            return  # what was read ahead of a connection that we closed meanwhile
        dialled = self._dialer.known.get(route)
        if dialled is not None:
            self._dialled(dialled)
            return
        if route[0] == _DIALLED:
            return
        source, held = _origin(notice)
        connection = self._accepted(source, local_address(held))
        if connection is None:
            self._close_accepted(route, held)
        else:
            self._listener.known[route] = connection
            self._routes[connection] = route
            self._held[connection] = held

    def on_ended(self, connection: Connection) -> None:
        self._forget(connection)
        if connection.remote is not None:
            self._end_dial(connection.remote)
        self._lost(connection, "closed")

    # Sending and closing

    def transmit(self, connection: Connection, data: bytes) -> bool:
        stream = self._listener if connection.remote is None else self._dialer
        try:
            return stream.send(self._routes[connection], data)
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:
                raise
            self.on_ended(connection)  # its last notice is on its way, or did not fit
            return True

    def flushed(self) -> None:
        self._listener.look_again()
        self._dialer.look_again()

    def _hang_up(self, connection: Connection) -> None:
        held = self._held.get(connection)
        route = self._forget(connection)
        if route is None:
            return
        if connection.remote is not None:
            self._end_dial(connection.remote)
        elif held is not None:
            self._close_accepted(route, held)

    def _close_accepted(self, route: bytes, held: Held) -> None:
        self._closing.add(route, held, self.loop.time())
        try:
            if not self._listener.send(route, b""):
                self._note_cut_off(cut(held))
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:
                raise
        self._listener.look_again()

    def _end_dial(self, remote: Address) -> None:
        """Free what libzmq keeps of a dial: it does so for no dialled connection by itself, whoever ended it."""
        try:
            self._dialer.socket.disconnect(_alias(remote))
        except zmq.ZMQError as error:
            if error.errno != errno.ENOENT:
                raise
        self._dialer.look_again()

    def _forget(self, connection: Connection) -> bytes | None:
        """Returns the routing id, None when it was forgotten before."""
        self._held.pop(connection, None)
        route = self._routes.pop(connection, None)
        if route is not None:
            stream = self._listener if connection.remote is None else self._dialer
            del stream.known[route]
        return route

    def _lingering(self) -> int:
        return len(self._closing)

    def _stop_lingering(self) -> None:
        self._note_cut_off(self._closing.cut_all())

    def _swept(self, now: float) -> None:
        self._note_cut_off(self._closing.sweep(now))

    def _note_cut_off(self, connections: int) -> None:
        if connections:
            self._count["cut-off"] += connections

    def _finish(self) -> None:
        self.loop.remove_reader(int(self._refusals.getsockopt(zmq.FD)))
        self._dialer.socket.disable_monitor()
        self._refusals.close()
        self._listener.close()
        self._dialer.close()
        self._context.term()


def _keep_from_preempting(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """Have libzmq's thread wait for its share of a busy core rather than interrupt the event loop for each chunk: it then
    moves more at a time. Before the first socket of the context. On an idle core nothing changes."""
    if hasattr(os, "SCHED_BATCH"):
        context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_BATCH)


def _origin(notice: zmq.Frame) -> tuple[str, Held]:
    """Where a connection comes from. libzmq knows neither of one that was reset before it looked; those, which will end
    at once, count as one source."""
    try:
        return source_of(str(notice.get("Peer-Address"))), hold(int(notice.get(zmq.SRCFD)))
    except zmq.ZMQError:
        return "reset", NOT_HELD


def _alias(remote: Address) -> str:
    """The address as we give it to libzmq, with a zero before the port.

    When a dialled connection ends, libzmq ends by itself every connection it knows under the address in normal form,
    also one that was dialled since. Under this form it finds none, and we end each one ourselves.
    """
    host, port = remote.rsplit(":", 1)
    return f"tcp://{host}:0{port}"


def _without_alias(endpoint: str) -> Address:
    """The address behind what libzmq calls an endpoint, in either form."""
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return Address(f"{host}:{int(port)}")


def _unbindable(address: Address, error: zmq.ZMQError) -> Unavailable:
    code = error.errno or 0
    name = errno.errorcode.get(code, str(code))
    advice = {
        errno.EADDRINUSE: "another process uses the port: stop it, or choose another port",
        errno.EADDRNOTAVAIL: "no interface of this machine has the address: use 127.0.0.1 or one of its own",
        errno.ENODEV: "no interface of this machine has the address: use 127.0.0.1 or one of its own",
        errno.EACCES: "not permitted: ports below 1024 need privileges, choose a higher one",
        errno.EMFILE: "descriptor limit too low: raise it (ulimit -n), or use fewer peers per worker",
    }.get(code, str(error))
    unavailable = Unavailable(f"cannot listen on {address} ({name}): {advice}")
    unavailable.errno = code
    return unavailable
