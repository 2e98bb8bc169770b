"""The server side of RemoteRef: other processes tell, ask, stop and watch an actor of this one over a local socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from typing import Any, Self, cast

import msgspec
import pykka
import zmq
import zmq.asyncio

from cicada.actors.base import ActorExit, GuardedRef, describe
from cicada.actors.futures import LoopFuture
from cicada.errors import MailboxFull, Misuse, Unavailable
from cicada.limits import REMOTE, RemoteLimits
from cicada.wire.decoding import UNDECODABLE
from cicada.wire.remote import (
    Answer,
    Ask,
    Ended,
    Failure,
    FailureKind,
    Request,
    Response,
    Stop,
    Taken,
    Tell,
    Watch,
    socket_url,
)

_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_encoder = msgspec.msgpack.Encoder()
_logger = logging.getLogger("cicada.actors")


class RemoteCall(msgspec.Struct, frozen=True):
    """Told to an exported actor: a command from another process, and what takes its reply.

    Call ``reply`` once, from any thread, at once or later; a second call raises Misuse, as does a reply of another
    family. Nobody hears the reply to a tell, or to an ask that has timed out. An actor that fails before it replies
    answers with its failure.
    """

    command: Any
    reply: Callable[[Any], None]


def export(
    ref: GuardedRef[Any],
    path: str | Path,
    *,
    commands: Any,
    replies: Any,
    limits: RemoteLimits = REMOTE,
) -> Exported:
    """Let other processes reach the actor through the socket at ``path``, from the running event loop, until
    ``close``.

    The actor is told RemoteCall. ``commands`` and ``replies`` are closed families (unions); what belongs to neither
    never reaches the actor or a client. The folder is created with mode 0700 when it is missing. Raises Misuse when
    others may enter it or the path is too long, Unavailable when the socket cannot be bound or another process
    answers there.
    """
    return Exported(ref, str(path), commands, replies, limits)


class Exported:
    """An actor's socket; a context manager. Use on the event loop where it was exported."""

    def __init__(
        self, ref: GuardedRef[Any], path: str, commands: Any, replies: Any, limits: RemoteLimits
    ) -> None:
        self._ref = ref
        self._commands: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(commands)
        self._replies = replies
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._clients: dict[bytes, None] = {}
        self._calls: dict[tuple[bytes, int], _Call] = {}
        self._end: Ended | None = None
        self._closed = False
        self.counters: Counter[str] = Counter()
        """What was refused or lost, by reason."""
        self._socket = _bind(path, limits)
        self._task = self._loop.create_task(self._serve())
        ref.watch(self._actor_ended)

    @property
    def calls(self) -> int:
        """Asks that wait for their reply."""
        return len(self._calls)

    def close(self) -> None:
        """Stop answering; the actor lives on. Clients hear that it is exported no more. Idempotent."""
        if self._closed:
            return
        self._tell_end(Ended(False, "it is exported no more"))
        self._closed = True
        self._task.cancel()
        self._socket.close(int(self._limits.linger * 1000))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self) -> None:
        while True:
            await self._socket.poll()
            for _ in range(self._limits.reads):
                try:
                    frames = await self._socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                self._on_frames(frames)
            await asyncio.sleep(0)

    def _on_frames(self, frames: list[bytes]) -> None:
        try:
            client, raw = frames
            request = _requests.decode(raw)
        except UNDECODABLE:
            self.counters["malformed-request"] += 1
            return
        if self._end is not None:
            self._send(client, self._end)
        elif self._remember(client):
            self._carry_out(client, request)
        else:
            reason = f"{len(self._clients)} clients are connected, which is the limit"
            self._refuse(client, request.id, "full", reason)

    def _carry_out(self, client: bytes, request: Request) -> None:
        match request:
            case Watch(id=number):
                self._send(client, Taken(number))
            case Tell(id=number, body=body):
                self._on_command(client, number, body, None)
            case Ask(id=number, timeout=timeout, body=body):
                self._on_command(client, number, body, timeout)
            case Stop(id=number):
                self._on_stop(client, number)

    def _remember(self, client: bytes) -> bool:
        """Whether there is room for this client, so that it will hear of the actor's end."""
        if client not in self._clients and len(self._clients) >= self._limits.clients:
            for other in list(self._clients):
                self._send(other, Taken(0))  # forgets those that left
        if client in self._clients or len(self._clients) < self._limits.clients:
            self._clients[client] = None
            return True
        return False

    def _on_command(self, client: bytes, number: int, body: msgspec.Raw, timeout: float | None) -> None:
        """Put a command in the actor's inbox; ``timeout`` None: a tell."""
        try:
            command = self._commands.decode(body)
        except UNDECODABLE as error:
            self._refuse(client, number, "malformed", f"unknown command: {str(error)[:200]}")
            return
        if timeout is None:
            self._tell(client, number, command)
        elif len(self._calls) >= self._limits.pending or (client, number) in self._calls:
            self._refuse(
                client, number, "full", f"{len(self._calls)} requests are in flight, which is the limit"
            )
        else:
            self._calls[client, number] = call = _Call(self, client, number, timeout)
            future = self._ask(RemoteCall(command, call.reply))
            future.when_settled(lambda: self.on_loop(self._handled, client, number, future))

    def _tell(self, client: bytes, number: int, command: Any) -> None:
        error = self._ask(RemoteCall(command, _ignore)).error()  # unlike a tell it says when there is no room
        if error is None:
            self._send(client, Taken(number))
        else:
            self._refuse(client, number, *failure_of(error))

    def _handled(self, client: bytes, number: int, future: LoopFuture[Any]) -> None:
        """The handler returned: with the reply given, or to come later, or with an exception."""
        error = future.error()
        if error is not None and self.forget(client, number):
            self._refuse(client, number, *failure_of(error))

    def _on_stop(self, client: bytes, number: int) -> None:
        stopped: LoopFuture[bool] = self._ref.stop(block=False)
        stopped.when_settled(lambda: self.on_loop(self._send, client, Taken(number)))

    def _ask(self, call: RemoteCall) -> LoopFuture[Any]:
        return cast("LoopFuture[Any]", self._ref.ask(call, block=False))

    def answer(self, client: bytes, number: int, body: bytes) -> None:
        """For a call: its actor replied."""
        if self.forget(client, number):
            self._send(client, Answer(number, msgspec.Raw(body)))
        else:
            self.counters["late-reply"] += 1

    def forget(self, client: bytes, number: int) -> bool:
        """For a call: nobody waits for it any more. False: that was known."""
        call = self._calls.pop((client, number), None)
        if call is not None:
            call.timer.cancel()
        return call is not None

    def encode(self, reply: Any) -> bytes:
        """For a call: the bytes of a reply of the right family. Raises Misuse for any other."""
        if not isinstance(reply, self._replies):
            raise Misuse(f"{type(reply).__name__} is not among the replies that this export declares")
        return _encoder.encode(reply)

    def on_loop(self, function: Callable[..., None], *args: Any) -> None:
        """Call it on the export's event loop: now, when already there."""
        if get_ident() == self._thread:
            function(*args)
            return
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed, and the socket with it
            self.counters["loop-closed"] += 1

    def call_later(self, delay: float, function: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """For a call: its time-out."""
        return self._loop.call_later(delay, function, *args)

    def _actor_ended(self, end: ActorExit) -> None:
        self.on_loop(self._tell_end, Ended(end.failed, end.reason))

    def _tell_end(self, end: Ended) -> None:
        if self._end is None:
            self._end = end
            for client, number in list(self._calls):
                self.forget(client, number)
            for client in list(self._clients):
                self._send(client, end)

    def _refuse(self, client: bytes, number: int, kind: FailureKind, reason: str) -> None:
        self.counters[kind] += 1
        self._send(client, Failure(number, kind, reason))

    def _send(self, client: bytes, response: Response) -> None:
        if self._closed:
            return
        sent: Any = self._socket.send_multipart([client, _encoder.encode(response)], flags=zmq.NOBLOCK)
        error = sent.exception()
        if isinstance(error, zmq.Again):
            self.counters["client-slow"] += 1
        elif error is not None:
            self._clients.pop(client, None)
            self.counters["client-gone"] += 1


class _Call:
    """One ask in progress."""

    def __init__(self, exported: Exported, client: bytes, number: int, timeout: float) -> None:
        self._exported = exported
        self._client = client
        self._number = number
        self._replied = False
        self.timer = exported.call_later(timeout, exported.forget, client, number)

    def reply(self, value: Any) -> None:
        if self._replied:
            raise Misuse("this call was replied to already")
        body = self._exported.encode(value)
        self._replied = True
        self._exported.on_loop(self._exported.answer, self._client, self._number, body)


def _ignore(_: Any) -> None:
    """The reply to a tell."""


def failure_of(error: BaseException) -> tuple[FailureKind, str]:
    """What whoever asked is told about the error that an exported actor's ask ended with."""
    if isinstance(error, MailboxFull):
        return "full", str(error)
    if isinstance(error, pykka.ActorDeadError):
        return "ended", "it ended before it could take the command"
    return "failed", f"it failed: {describe(error)}"


def _bind(path: str, limits: RemoteLimits) -> zmq.asyncio.Socket:
    url = socket_url(path)
    _own_folder(os.path.dirname(path) or ".")
    if _answers(path):  # libzmq would take the path away from it without a word
        raise Unavailable(f"another process answers at {path}: stop it, or choose another path")
    router = zmq.asyncio.Context.instance().socket(zmq.ROUTER)
    router.set(zmq.ROUTER_MANDATORY, 1)  # sending to a client that left fails instead of vanishing
    router.set(zmq.MAXMSGSIZE, limits.max_message)
    try:
        router.bind(url)
    except zmq.ZMQError as error:
        router.close(0)
        raise Unavailable(f"cannot listen at {path}: {error}") from None
    return router


def _own_folder(folder: str) -> None:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.stat(folder)
    except OSError as error:
        raise Unavailable(f"cannot use the folder {folder}: {error}") from None
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        raise Misuse(
            f"others may enter {folder} and so command the actor: use a folder of your own with mode 0700"
        )


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:  # its backlog is full, so it is there
            return True
        except OSError:
            return False
    return True
