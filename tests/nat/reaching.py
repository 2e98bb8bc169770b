"""Who can connect to whom. In the test's own process, with sockets made inside the lab's hosts."""

from __future__ import annotations

import socket
import time
from typing import Final

from tests.nat.lab import Host

PORT: Final = 7001
"""Where a host of the LAN listens, unless a test says otherwise."""
REFUSED_SECONDS: Final = 0.4
"""A connection takes a millisecond and its first repetition goes out after a second: what is not through by then is dropped."""
ACCEPT_SECONDS: Final = 5.0


def connects(host: Host, address: str, port: int) -> bool:
    """Whether a TCP connection from this host to there is made; it is closed again."""
    with host.inside(), socket.socket() as dialling:
        dialling.settimeout(REFUSED_SECONDS)
        try:
            dialling.connect((address, port))
        except (TimeoutError, ConnectionRefusedError):
            return False
    return True


def comes_to_connect(host: Host, address: str, port: int, seconds: float = 10.0) -> bool:
    """Whether a connection is made sooner or later. A router that grants a port once more, as after a restart of which it tells
    several times, has no rule for an instant."""
    give_up = time.monotonic() + seconds
    while not connects(host, address, port):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


class Listener:
    """Listens at a port of a host. The kernel takes connections, also while nobody asks who called."""

    def __init__(self, host: Host, port: int) -> None:
        with host.inside():
            self._socket = socket.create_server(("0.0.0.0", port), backlog=64)
        self._socket.settimeout(ACCEPT_SECONDS)

    def caller(self) -> str:
        """The address of the earliest caller that was not asked for yet. Raises TimeoutError when there is none."""
        connection, (address, _) = self._socket.accept()
        connection.close()
        return str(address)

    def close(self) -> None:
        self._socket.close()
