"""The bus for other machines: the same events and snapshots over TCP, encrypted, for those who have the key. Nothing can be
asked of the swarm by it.

One secret makes two key pairs (CURVE, as libzmq has it): the run's, and that of those who watch. Without the secret nobody knows
whom to greet, and whoever does not prove the second pair is turned away.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from types import TracebackType
from typing import Final, Self

import zmq
import zmq.auth.thread
from zmq.utils import z85

from cicada.bus.proxy import forward, steering, stop_forwarding
from cicada.errors import Misuse, Unavailable
from cicada.ids import MAX_PORT, split_address
from cicada.limits import BUS, BusLimits

_DOMAIN: Final = b"cicada-watch"
_Socket = zmq.Socket[bytes]


class WatchKeys:
    """Made from one secret of 32 bytes or more, on both ends. Shows none of it."""

    __slots__ = ("_client", "_server")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise Misuse(
                "the key of remote watchers has at least 32 bytes: make one with `cicada keys new --swarm FILE`"
            )
        self._server = _pair_of(secret, b"watch: the run")
        self._client = _pair_of(secret, b"watch: others")

    def __repr__(self) -> str:
        return "WatchKeys()"

    def serve(self, socket: _Socket) -> None:
        """Have a socket that is not bound yet let in those who have these keys."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._server[1])
        socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
        socket.setsockopt(zmq.HANDSHAKE_IVL, int(BUS.handshake * 1000))

    def join(self, socket: _Socket) -> None:
        """Have a socket that is not connected yet prove these keys."""
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self._client[0])
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._client[1])
        socket.setsockopt(zmq.CURVE_SERVERKEY, self._server[0])

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether whoever proved this public key may watch: what zmq.auth asks."""
        return domain.encode() == _DOMAIN and key == self._client[0]


def remote_endpoints(address: str) -> tuple[str, str]:
    """Where a run that listens at ``ip:port`` has its events and its snapshots: at that port, and at the next. Raises Misuse."""
    host, port = split_address(address.removeprefix("tcp://"))
    if not host or not 1 <= port < MAX_PORT:
        raise Misuse(
            f"{address!r} is no address of a bus: the port is one from 1 to {MAX_PORT - 1}, as the one after it is used too"
        )
    named = f"[{host}]" if ":" in host else host
    return f"tcp://{named}:{port}", f"tcp://{named}:{port + 1}"


def is_ipv6(endpoint: str) -> bool:
    """Whether its host is an IPv6 address in brackets, which sockets take only when they are told to."""
    return endpoint.startswith("tcp://[")


class RemoteBus:
    """Lets others watch at ``address`` (ip:port, and the port after it) what is to be had at two local endpoints. A context
    manager."""

    def __init__(
        self, address: str, keys: WatchKeys, *, events: str, snapshots: str, limits: BusLimits = BUS
    ) -> None:
        self.events, self.snapshots = remote_endpoints(address)
        self._keys = keys
        self._local = (events, snapshots)
        self._limits = limits
        self._context: zmq.Context[_Socket] = zmq.Context()
        self._doorkeeper = zmq.auth.thread.ThreadAuthenticator(self._context)
        self._threads: list[tuple[threading.Thread, _Socket]] = []

    def __enter__(self) -> Self:
        """Raises Unavailable when a port cannot be bound."""
        self._doorkeeper.start()
        self._doorkeeper.configure_curve_callback(_DOMAIN.decode(), credentials_provider=self._keys)
        try:
            events, snapshots = self._local
            self._start("events", (zmq.XSUB, events), (zmq.XPUB, self.events), self._limits.max_event)
            self._start(
                "snapshots", (zmq.DEALER, snapshots), (zmq.ROUTER, self.snapshots), self._limits.max_request
            )
        except zmq.ZMQError as error:
            self.close()
            raise Unavailable(
                f"others cannot watch at {self.events} and {self.snapshots}: {error}: "
                "free both ports, or choose an address of this machine (listen in [watch])"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let nobody watch any more. Safe to call twice."""
        for thread, outside in self._threads:
            stop_forwarding(thread, outside, self._limits.stop_timeout)
        self._threads.clear()
        with contextlib.suppress(AttributeError, zmq.ZMQError):
            self._doorkeeper.stop()
        self._context.destroy(linger=0)

    def _start(self, name: str, inner: tuple[int, str], outer: tuple[int, str], largest: int) -> None:
        """Pass on between a local endpoint and one that others reach, whose messages have ``largest`` bytes at most."""
        inside, outside = self._context.socket(inner[0]), self._context.socket(outer[0])
        for socket in (inside, outside):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVHWM, self._limits.queue)
            socket.setsockopt(zmq.SNDHWM, self._limits.queue)
        outside.setsockopt(zmq.MAXMSGSIZE, largest)
        outside.setsockopt(zmq.IPV6, int(is_ipv6(outer[1])))
        self._keys.serve(outside)
        outside.bind(outer[1])
        inside.connect(inner[1])
        ends = steering(self._context, name)
        thread = threading.Thread(
            target=forward, args=(inside, outside, ends[0]), name=f"remote {name}", daemon=True
        )
        thread.start()
        self._threads.append((thread, ends[1]))


def _pair_of(secret: bytes, person: bytes) -> tuple[bytes, bytes]:
    """A key pair, both keys as Z85 text."""
    private = z85.encode(hashlib.blake2b(secret, digest_size=32, person=person).digest())
    return zmq.curve_public(private), private
