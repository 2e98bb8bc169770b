"""Accepted connections that we closed and whose descriptor libzmq still holds, because the other end does not take the
last bytes. They count as connections until they are gone, and are cut when their time is over."""

from __future__ import annotations

import os
import socket

import msgspec


class Held(msgspec.Struct, frozen=True):
    """A descriptor of libzmq's, and the inode that tells whether it still is the same connection."""

    descriptor: int
    inode: int


def hold(descriptor: int) -> Held:
    """What ``descriptor`` is now. A descriptor that is closed already gives a Held that is never found again."""
    try:
        return Held(descriptor, os.fstat(descriptor).st_ino)
    except OSError:
        return Held(descriptor, -1)


def is_held(held: Held) -> bool:
    """Whether libzmq still holds the connection."""
    return hold(held.descriptor).inode == held.inode != -1


def cut(held: Held) -> None:
    """Shut the connection down both ways, if it is still there. libzmq then notices and closes it.

    Works on a duplicate, so that it cannot hit a connection that took over the number meanwhile.
    """
    try:
        copy = os.dup(held.descriptor)
    except OSError:
        return
    try:
        if os.fstat(copy).st_ino == held.inode:
            with socket.socket(fileno=os.dup(copy)) as connection:
                connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # the other end was faster
        pass
    finally:
        os.close(copy)


class Lingering:
    """Closed connections by routing id, oldest first."""

    def __init__(self, linger: float) -> None:
        self._linger = linger
        self._held: dict[bytes, tuple[Held, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, route: bytes) -> bool:
        return route in self._held

    def add(self, route: bytes, held: Held, now: float) -> None:
        """A connection was closed at ``now``."""
        self._held[route] = held, now + self._linger

    def sweep(self, now: float) -> int:
        """Forget those whose time is over, and cut those that are still there. Returns how many had to be cut."""
        stubborn = 0
        over = [route for route, (_held, deadline) in self._held.items() if deadline <= now]
        for route in over:
            held, _deadline = self._held.pop(route)
            if is_held(held):
                stubborn += 1
                cut(held)
        return stubborn
