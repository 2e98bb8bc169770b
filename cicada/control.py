"""The client side of exported actors: ask a running swarm's launcher, or any exported actor, from another process.

A RemoteRef names one life of one actor. When the actor or its process is gone, it is gone for good: make a new one, or use a
LastingRef (``cicada.actors``), which does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec
import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from cicada.errors import CicadaError, DeliveryTimeout, MailboxFull, Misuse, Unavailable
from cicada.limits import ACTOR, REMOTE, RemoteLimits
from cicada.wire.decoding import UNDECODABLE
from cicada.wire.remote import (
    Answer,
    Ask,
    Ended,
    Failure,
    Request,
    Response,
    Stop,
    Taken,
    Tell,
    Watch,
    socket_url,
)

C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")
C_contra = TypeVar("C_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

_CONNECTED = int(zmq.EVENT_CONNECTED)
_LOST = int(zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED)

_logger = logging.getLogger("cicada.control")

_responses: msgspec.msgpack.Decoder[Response] = msgspec.msgpack.Decoder(Response)
_encoder = msgspec.msgpack.Encoder()


class Terminated(msgspec.Struct, frozen=True, kw_only=True):
    """A watched actor is gone. ``failed``: not because somebody asked it to stop."""

    failed: bool
    reason: str


class Reference(Protocol[C_contra, R_co]):
    """What a RemoteRef and a LastingRef have in common."""

    async def connect(self, timeout: float = ...) -> None: ...

    async def tell(self, command: C_contra, timeout: float = ...) -> None: ...

    async def ask(self, command: C_contra, timeout: float = ...) -> R_co: ...

    async def stop(self, timeout: float = ...) -> None: ...

    async def watch(self) -> Terminated: ...

    async def close(self) -> None: ...


class RemoteRef(Generic[C, R]):
    """Reference to the actor exported at ``path``; ``commands`` and ``replies`` are its two message families
    (unions).

    ``what`` is what error messages call the actor. Use on one event loop; the connection is made at the first use.
    Every method that waits raises Unavailable at once when nobody answers at the path or the actor is gone,
    DeliveryTimeout after ``timeout`` seconds, MailboxFull when the actor's inbox is full or too many requests are in
    flight, and Misuse for a command that the actor does not know. An actor that fails while it works on a request
    raises CicadaError here.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        commands: Any,
        replies: Any,
        what: str = "actor",
        limits: RemoteLimits = REMOTE,
    ) -> None:
        self._path = str(path)
        self._url = socket_url(self._path)
        self._what = what
        self._limits = limits
        self._commands = commands
        self._replies: msgspec.msgpack.Decoder[R] = msgspec.msgpack.Decoder(replies)
        self._ids = count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._watchers: set[asyncio.Future[Terminated]] = set()
        self._connection: _Connection | None = None
        self._terminated: Terminated | None = None
        self._closed = False

    @property
    def terminated(self) -> Terminated | None:
        """How the actor ended, as far as that is known here; None while it has not."""
        return self._terminated

    async def connect(self, timeout: float = ACTOR.ask_timeout) -> None:
        """Make sure that the actor is there; no other call needs it. After Unavailable it may be tried again."""
        await self._request(Watch, timeout)

    async def tell(self, command: C, timeout: float = ACTOR.ask_timeout) -> None:
        """Returns once the command lies in the actor's inbox."""
        body = self._encode(command)
        await self._request(lambda number: Tell(number, body), timeout)

    async def ask(self, command: C, timeout: float = ACTOR.ask_timeout) -> R:
        """The actor's reply."""
        body = self._encode(command)
        raw = await self._request(lambda number: Ask(number, float(timeout), body), timeout)
        try:
            return self._replies.decode(raw)
        except UNDECODABLE as error:
            raise CicadaError(
                f"the {self._what} at {self._path} gave a reply of another family: {error}"
            ) from None

    async def stop(self, timeout: float = ACTOR.ask_timeout) -> None:
        """Returns once the actor has ended; at once if it has already."""
        try:
            await self._request(Stop, timeout)
        except Unavailable:
            if self._terminated is None:
                raise

    async def watch(self) -> Terminated:
        """Returns when the actor or its process is gone. The death of a process is noticed at once."""
        try:
            await self.connect()
        except Unavailable:
            if self._terminated is None:
                raise
        if self._terminated is not None:
            return self._terminated
        watcher: asyncio.Future[Terminated] = asyncio.get_running_loop().create_future()
        self._watchers.add(watcher)
        try:
            return await watcher
        finally:
            self._watchers.discard(watcher)

    async def close(self) -> None:
        """Let go of the connection; the actor lives on. Idempotent. Calls that still wait raise Misuse."""
        self._closed = True
        self._fail_pending(self._closed_error())
        for watcher in self._watchers:
            _settle(watcher, self._closed_error())
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _encode(self, command: C) -> msgspec.Raw:
        if not isinstance(command, self._commands):
            raise Misuse(f"the {self._what} at {self._path} knows no {type(command).__name__}")
        return msgspec.Raw(_encoder.encode(command))

    async def _request(self, make: Callable[[int], Request], timeout: float) -> Any:
        connection = self._open()
        if timeout <= 0:
            raise Misuse(f"time-out of {timeout} s: give a positive number of seconds")
        if len(self._pending) >= self._limits.pending:
            raise MailboxFull(
                f"{len(self._pending)} requests to the {self._what} at {self._path} are in flight"
            )
        number = next(self._ids)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                await connection.send(_encoder.encode(make(number)))
                return await future
        except TimeoutError:
            raise DeliveryTimeout(
                f"the {self._what} at {self._path} did not answer within {timeout} s"
            ) from None
        finally:
            self._pending.pop(number, None)

    def _open(self) -> _Connection:
        if self._closed:
            raise self._closed_error()
        if self._terminated is not None:
            raise self._gone_error()
        if self._connection is None:
            self._connection = _Connection(self._url, self._limits, self._on_response, self._on_lost)
        return self._connection

    def _on_response(self, response: Response) -> None:
        match response:
            case Ended(failed=failed, reason=reason):
                self._terminate(Terminated(failed=failed, reason=reason))
            case Taken(id=number):
                _settle(self._pending.get(number), None)
            case Answer(id=number, body=body):
                _settle(self._pending.get(number), body)
            case Failure(id=number):
                _settle(self._pending.get(number), _error_of(response, f"the {self._what} at {self._path}"))

    def _on_lost(self, connected: bool) -> None:
        self._connection = None
        if connected:
            self._terminate(Terminated(failed=True, reason="its process ended or closed the connection"))
        else:
            self._fail_pending(Unavailable(f"no {self._what} answers at {self._path}: is it running?"))

    def _terminate(self, terminated: Terminated) -> None:
        if self._terminated is None:
            self._terminated = terminated
        self._fail_pending(self._gone_error())
        for watcher in self._watchers:
            _settle(watcher, self._terminated)

    def _fail_pending(self, error: Exception) -> None:
        for future in self._pending.values():
            _settle(future, error)

    def _gone_error(self) -> Unavailable:
        reason = self._terminated.reason if self._terminated is not None else "closed"
        return Unavailable(f"the {self._what} at {self._path} is gone: {reason}")

    def _closed_error(self) -> Misuse:
        return Misuse(f"the reference to the {self._what} at {self._path} is closed: make a new one")


class SyncRemoteRef(Generic[C, R]):
    """A RemoteRef for code without an event loop, with the same promises; a context manager. Use on one thread."""

    def __init__(self, path: str | Path, *, commands: Any, replies: Any, what: str = "actor") -> None:
        self._ref: Reference[C, R] = RemoteRef(path, commands=commands, replies=replies, what=what)
        self._runner = asyncio.Runner()

    def connect(self, timeout: float = ACTOR.ask_timeout) -> None:
        self._run(self._ref.connect(timeout))

    def tell(self, command: C, timeout: float = ACTOR.ask_timeout) -> None:
        self._run(self._ref.tell(command, timeout))

    def ask(self, command: C, timeout: float = ACTOR.ask_timeout) -> R:
        return self._run(self._ref.ask(command, timeout))

    def stop(self, timeout: float = ACTOR.ask_timeout) -> None:
        self._run(self._ref.stop(timeout))

    def watch(self, timeout: float | None = None) -> Terminated:
        """Waits until the actor is gone. Raises DeliveryTimeout after ``timeout`` seconds (None: waits for ever)."""
        return self._run(self._watch(timeout))

    def close(self) -> None:
        """Idempotent."""
        self._run(self._ref.close())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _watch(self, timeout: float | None) -> Terminated:
        try:
            return await asyncio.wait_for(self._ref.watch(), timeout)
        except TimeoutError:
            raise DeliveryTimeout(f"nothing ended within {timeout} s") from None

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        if _runs_a_loop():
            call.close()
            raise Misuse("a SyncRemoteRef would block this event loop: use RemoteRef and await it")
        return self._runner.run(call)


class _Connection:
    """One DEALER socket and the monitor that notices its end: ``on_lost`` is called once, unless ``close`` came
    first.
    """

    def __init__(
        self,
        url: str,
        limits: RemoteLimits,
        on_response: Callable[[Response], None],
        on_lost: Callable[[bool], None],
    ) -> None:
        self._on_response = on_response
        self._on_lost = on_lost
        self._socket: zmq.asyncio.Socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
        self._socket.set(zmq.LINGER, 0)  # every request is answered, so nothing is worth keeping at the end
        # A new process at the path is another actor, so this never reconnects: it is closed long before. The value that
        # forbids reconnecting (-1) would also throw away what arrived just before the end.
        self._socket.set(zmq.RECONNECT_IVL, 600_000)
        self._socket.set(zmq.MAXMSGSIZE, limits.max_message)
        self._monitor: zmq.asyncio.Socket = self._socket.get_monitor_socket(_CONNECTED | _LOST)
        self._socket.connect(url)
        self._receiver = asyncio.create_task(self._receive())
        self._observer = asyncio.create_task(self._observe())

    async def send(self, raw: bytes) -> None:
        await self._socket.send(raw)

    async def close(self) -> None:
        self._observer.cancel()
        self._receiver.cancel()
        await asyncio.gather(self._observer, self._receiver, return_exceptions=True)
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)

    async def _receive(self) -> None:
        while True:
            await self._socket.poll()
            await self._read()

    async def _read(self) -> None:
        while True:
            try:
                raw = await self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._on_response(_responses.decode(raw))
            except UNDECODABLE as error:
                _logger.warning("ignored a response that is none: %s", error)

    async def _observe(self) -> None:
        connected = False
        event = 0
        while not event & _LOST:
            event = parse_monitor_message(await self._monitor.recv_multipart())["event"]
            connected = connected or bool(event & _CONNECTED)
        self._receiver.cancel()
        await asyncio.gather(self._receiver, return_exceptions=True)
        await self._read()  # the actor's last words may still lie in the socket
        self._close_sockets()
        self._on_lost(connected)


def _settle(future: asyncio.Future[Any] | None, outcome: object) -> None:
    if future is None or future.done():  # whoever asked does not wait any more
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _error_of(failure: Failure, who: str) -> CicadaError:
    text = f"{who}: {failure.reason}"
    match failure.kind:
        case "malformed":
            return Misuse(text)
        case "full":
            return MailboxFull(text)
        case "ended":
            return Unavailable(text)
        case "failed":
            return CicadaError(text)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
