"""Accepted connections that we closed and whose descriptor libzmq still holds, because the other end does not take the
last bytes. They count as connections until they are gone, and are cut when their time is over."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

import msgspec

from cicada.ids import Address, canonical_address


class Held(msgspec.Struct, frozen=True):
    """A descriptor of libzmq's, and the inode that tells whether it still is the same connection."""

    descriptor: int
    inode: int


NOT_HELD: Final = Held(-1, -1)
"""A connection whose descriptor nobody knows: it is never found again."""


def hold(descriptor: int) -> Held:
    """What ``descriptor`` is now; NOT_HELD when it is closed already."""
    try:
        return Held(descriptor, os.fstat(descriptor).st_ino)
    except OSError:
        return NOT_HELD


def is_held(held: Held) -> bool:
    """Whether libzmq still holds the connection."""
    return held is not NOT_HELD and hold(held.descriptor) == held


def local_address(held: Held) -> Address | None:
    """The address of this machine that the other end dialled. None when the connection is gone already."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(held.descriptor)) as connection:
        host, port = connection.getsockname()[:2]
        return canonical_address(host, port)
    return None


def cut(held: Held) -> bool:
    """Shut the connection down both ways; libzmq then notices and closes it. False when it is gone already.

    Works on a duplicate, so that it cannot hit a connection that took over the number meanwhile.
    """
    if not is_held(held):
        return False
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(held.descriptor)) as connection:
        if os.fstat(connection.fileno()).st_ino == held.inode:
            connection.shutdown(socket.SHUT_RDWR)
            return True
    return False


class Lingering:
    """Closed connections by routing id, oldest first. Its length counts those that may still hold a descriptor."""

    def __init__(self, linger: float) -> None:
        self._linger = linger
        self._deadlines: dict[bytes, float] = {}
        self._held: dict[bytes, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, route: bytes) -> bool:
        """Whether the connection was closed a short time ago."""
        return route in self._deadlines

    def add(self, route: bytes, held: Held, now: float) -> None:
        """A connection was closed at ``now``."""
        self._deadlines[route] = now + self._linger
        self._held[route] = held

    def sweep(self, now: float) -> int:
        """Forget those whose time is over, and cut those that are still there. Returns how many had to be cut."""
        over = [route for route, deadline in self._deadlines.items() if deadline <= now]
        for route in over:
            del self._deadlines[route]
        return self._cut(over)

    def cut_all(self) -> int:
        """Give back all descriptors at once. Returns how many connections had to be cut."""
        return self._cut(list(self._held))

    def _cut(self, routes: list[bytes]) -> int:
        return sum(cut(self._held.pop(route, NOT_HELD)) for route in routes)
