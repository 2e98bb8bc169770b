"""Routers on loopback addresses: 127.0.0.0/8 is all this machine, so each test has a router address of its own."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cicada.nat.requests import Gateway

LOCAL = "127.0.0.1"
_numbers = itertools.count(1)


def own_gateway() -> Gateway:
    """A router address that no other test of this machine has."""
    number = next(_numbers)
    pid = os.getpid()
    return Gateway(f"127.{100 + pid % 100}.{pid // 100 % 250 + 1}.{number % 250 + 2}", LOCAL, "lo")


@contextmanager
def datagram_server(address: str, port: int, answer: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """Answer datagrams, on a thread, until the end of the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind((address, port))
        closing = threading.Event()

        def serve() -> None:
            while True:
                data, sender = channel.recvfrom(2048)
                if closing.is_set():
                    return
                said = answer(data)
                if said is not None:
                    channel.sendto(said, sender)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield
        finally:
            closing.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"end", (address, port))
            serving.join()
