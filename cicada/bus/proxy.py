"""The launcher's part of the bus: what publishers send goes to every subscriber that wants it."""

from __future__ import annotations

import contextlib
import threading

import zmq

from cicada.errors import Unavailable
from cicada.limits import BUS, BusLimits

_STOP = b"TERMINATE"


class BusProxy:
    """Forwards from ``publishers`` to ``subscribers`` (two ``ipc://`` endpoints) on a thread of its own, in libzmq's C.

    A subscriber that does not keep up loses events and sees it by the gap in their sequence; nobody else notices.
    """

    def __init__(self, publishers: str, subscribers: str, *, limits: BusLimits = BUS) -> None:
        self.publishers = publishers
        self.subscribers = subscribers
        self._limits = limits
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._steering: zmq.Socket[bytes] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind both ends and forward. Raises Unavailable when an endpoint cannot be bound."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        sockets: list[zmq.Socket[bytes]] = []
        try:
            for kind, endpoint in ((zmq.XSUB, self.publishers), (zmq.XPUB, self.subscribers)):
                sockets.append(self._bound(context, kind, endpoint))
            inside, self._steering = steering(context, "bus")
        except zmq.ZMQError as error:
            context.destroy(linger=0)
            raise Unavailable(
                f"the bus cannot bind {self.publishers} and {self.subscribers}: {error}"
            ) from error
        self._context = context
        self._thread = threading.Thread(
            target=forward, args=(*sockets, inside), name="bus-proxy", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop forwarding and release both endpoints, within ``stop_timeout``. Safe to call twice."""
        if self._thread is None or self._steering is None or self._context is None:
            return
        if stop_forwarding(self._thread, self._steering, self._limits.stop_timeout):
            self._context.term()
        self._thread = None
        self._context = None
        self._steering = None

    def _bound(self, context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, self._limits.queue)
        socket.setsockopt(zmq.SNDHWM, self._limits.queue)
        socket.setsockopt(zmq.MAXMSGSIZE, self._limits.max_event)
        socket.bind(endpoint)
        return socket


def steering(
    context: zmq.Context[zmq.Socket[bytes]], name: str
) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """Two ends of a pipe inside this context: one for a thread that forwards, one to stop it by."""
    inside, outside = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    inside.bind(f"inproc://steering-{name}")
    outside.connect(f"inproc://steering-{name}")
    return inside, outside


def forward(front: zmq.Socket[bytes], back: zmq.Socket[bytes], inside: zmq.Socket[bytes]) -> None:
    """Pass on between two sockets, in libzmq's C, until told to stop; then close all three. What a thread does."""
    try:
        zmq.proxy_steerable(front, back, None, inside)
    finally:
        for socket in (front, back, inside):
            socket.close(linger=0)


def stop_forwarding(thread: threading.Thread, outside: zmq.Socket[bytes], timeout: float) -> bool:
    """Have the thread end, within ``timeout`` seconds; whether it has."""
    with contextlib.suppress(zmq.Again):
        outside.send(_STOP, zmq.DONTWAIT)
    thread.join(timeout)
    outside.close(linger=0)
    return not thread.is_alive()
