"""An event loop in virtual time: when nothing is left to be done now, it is the time of the next timer.

It waits for nothing outside the process, so it has no sockets, no subprocesses and no threads, and what runs on it depends on
nothing but itself.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextvars import Context
from threading import get_ident
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple, Unpack

from cicada.actors.threads import forbid_threads
from cicada.errors import Misuse

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_RESOLUTION: Final = 1e-9  # seconds: timers that are closer than that are one
_SEEN_FROM_OUTSIDE: Final = (
    *("create_connection", "create_server", "create_datagram_endpoint", "sendfile", "start_tls"),
    *("create_unix_connection", "create_unix_server", "connect_accepted_socket"),
    *("connect_read_pipe", "connect_write_pipe", "subprocess_exec", "subprocess_shell"),
    *("sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall", "sock_sendto"),
    *(
        "sock_connect",
        "sock_accept",
        "sock_sendfile",
        "add_reader",
        "remove_reader",
        "add_writer",
        "remove_writer",
    ),
)


class VirtualLoop(asyncio.BaseEventLoop):
    """``time`` begins at 0 and stands still while callbacks run. Raises Misuse for whatever would need the world outside."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._clock_resolution = _RESOLUTION
        self._selector = (
            self  # BaseEventLoop waits by its selector, until something happens or a timer is due
        )
        self._owner = get_ident()
        forbid_threads(self)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def select(self, timeout: float | None) -> tuple[()]:
        """Nothing happens but time, which passes at once."""
        if timeout is None:
            raise Misuse("everything waits for something that never happens: give what is awaited a timeout")
        self._now += timeout
        return ()

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if get_ident() != self._owner:
            raise Misuse(
                "another thread called into virtual time, which waits for none: leave threads out of it"
            )
        return self.call_soon(callback, *args, context=context)

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        """The only name there is: ``localhost``. Raises OSError for others."""
        if host != "localhost":
            raise socket.gaierror(socket.EAI_NONAME, "virtual time knows no such host: use its address")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Raises Misuse."""
        raise Misuse("virtual time has no threads: call the function itself, or use LocalSwarm for that test")

    def _process_events(self, event_list: object) -> None:
        return

    def _write_to_self(self) -> None:
        return


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise Misuse(
            f"virtual time has no sockets, pipes or processes, so no {name}(): replace it in that test"
        )

    return refuse


for _name in _SEEN_FROM_OUTSIDE:
    setattr(VirtualLoop, _name, _refusing(_name))
