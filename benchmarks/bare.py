"""The yardstick: the least a relay over ZMQ_STREAM can do. Same processes, connections, frames and paths as the product's
relay, but no actors, no codec, no links, no queues, and every frame sent by itself.
"""

from __future__ import annotations

import random
import struct
import time

import zmq

from benchmarks.graph import Node, next_offset

_FRAME = struct.Struct(">IHH")  # length of what follows, peer it is for, target


class BareRelay:
    """One process of the bare relay."""

    def __init__(self, nodes: tuple[Node, ...], process: int, frame_bytes: int, seed: int) -> None:
        self._nodes = nodes
        self._process = process
        self._padding = bytes(frame_bytes - _FRAME.size)
        self._rng = random.Random(seed)
        self._context = zmq.Context()
        self._listener = self._socket()
        self._dialer = self._socket()
        self._routes: dict[int, bytes] = {}
        self._partial: dict[bytes, bytes] = {}
        self._steps = [0] + [next_offset(distance) for distance in range(1, len(nodes))]

    def _socket(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.STREAM)
        socket.linger = 0
        socket.set(zmq.SNDHWM, 0)
        socket.set(zmq.RCVHWM, 0)
        return socket

    def bind(self) -> None:
        """Listen at every address of this process."""
        for node in self._nodes:
            if node.process == self._process:
                self._listener.bind(f"tcp://{node.peer.address}")

    def dial(self) -> None:
        """Connect to every address of the other process, and wait until all are connected."""
        for node in self._nodes:
            if node.process != self._process:
                route = struct.pack(">BI", 1, node.index)
                self._dialer.set(zmq.CONNECT_ROUTING_ID, route)
                self._dialer.connect(f"tcp://{node.peer.address}")
                self._routes[node.index] = route
        for _ in self._routes:
            self._dialer.recv_multipart()

    def inject(self, frames: int) -> None:
        """Put this process's share of the load in flight."""
        own = [node.index for node in self._nodes if node.process == self._process]
        for number in range(frames):
            self._relay(own[number % len(own)], own[number % len(own)])

    def run(self, seconds: float) -> int:
        """Relay for so long; returns the hops made."""
        poller = zmq.Poller()
        poller.register(self._listener, zmq.POLLIN)
        hops = 0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            poller.poll(10)
            hops += self._drain()
        return hops

    def close(self) -> None:
        """Give everything back."""
        self._context.destroy(linger=0)

    def _drain(self) -> int:
        hops = 0
        for _ in range(256):
            try:
                route, chunk = self._listener.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            data = self._partial.pop(route, b"") + chunk
            start = 0
            size = _FRAME.size + len(self._padding)
            while len(data) - start >= size:
                _, at, target = _FRAME.unpack_from(data, start)
                start += size
                hops += 1
                self._relay(at, target)
            if start < len(data):
                self._partial[route] = data[start:]
        return hops

    def _relay(self, at: int, target: int) -> None:
        peers = len(self._nodes)
        while at == target:
            target = self._rng.randrange(peers)
        to = (at + self._steps[(target - at) % peers]) % peers
        frame = _FRAME.pack(_FRAME.size - 4 + len(self._padding), to, target) + self._padding
        self._dialer.send_multipart((self._routes[to], frame), zmq.NOBLOCK)
