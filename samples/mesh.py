"""Tunnel a port of TCP from one peer to another through a swarm.

Beside the program that others are to reach, and then where they are to reach it:

    python samples/mesh.py expose --to 127.0.0.1:8000 --bind 0.0.0.0:50000
    python samples/mesh.py open --listen 127.0.0.1:9000 --peer 10.0.0.2:50000 --join 10.0.0.2:50000

``--join`` takes any member of the swarm, so both may be behind routers, as long as somebody can be dialled; a hidden peer is
named ``--peer @...``, as ``expose`` prints it. Whoever is in the swarm can open what is exposed: ``--swarm-key`` (made by
``cicada keys new --swarm swarm.key``) closes it. The rules are in mesh_tunnel.py.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import struct
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Self

from cicada import CicadaError, Misuse
from cicada.aio import HostPort, Receipt, SwarmPeer
from cicada.ids import MAX_PORT, split_address

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a script, this has only its own folder there

from samples.mesh_tunnel import (
    BURST,
    STREAMS,
    Abort,
    Accepted,
    Arrived,
    Broken,
    Dial,
    Dialled,
    Finish,
    Input,
    Output,
    Say,
    Settled,
    Take,
    Taken,
    TimerFired,
    Tunnel,
    Write,
    Written,
    decode,
    encode,
)

DIAL_TIMEOUT = 10.0  # seconds
STALLED = 600.0  # seconds without a byte read by a program, then its connection is reset
TICK = 3.0  # seconds
ON_THEIR_WAY = 256  # messages of all streams together
OUTBOX = STREAMS * BURST * 2  # messages that wait to be sent
RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)


class Link:
    """A connection with a program. Closed when both its halves have ended."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.to_write: asyncio.Queue[bytes] = asyncio.Queue()  # at most WINDOW bytes; b"" is the end
        self.halves = 2

    def end_half(self) -> bool:
        """Returns whether the other one had ended before."""
        self.halves -= 1
        if not self.halves:
            self.writer.close()
        return not self.halves

    def abort(self) -> None:
        sock = self.writer.get_extra_info("socket")
        if sock is not None and not self.writer.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_WHEN_CLOSED)
        self.writer.transport.abort()


class Mesh:
    """Carries connections over ``peer``, whose mailbox it empties. ``program``: what is exposed here, if anything is."""

    def __init__(self, peer: SwarmPeer, program: tuple[str, int] | None = None) -> None:
        self.peer = peer
        self._program = program
        self._tunnel = Tunnel(exposes=program is not None)
        self._links: dict[int, Link] = {}
        self._outbox: asyncio.Queue[Say] = asyncio.Queue(OUTBOX)
        self._slots = asyncio.Semaphore(ON_THEIR_WAY)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tunnel)

    async def __aenter__(self) -> Self:
        for work in (self._receive(), self._send(), self._tick()):
            self._start(work)
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for link in self._links.values():
            link.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def listen(self, host: str, port: int, to: tuple[str, int]) -> tuple[str, int]:
        """Take connections at ``host:port`` (0: a free one) to the peer ``to``; returns where."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            stream = secrets.randbits(63)
            self._link(stream, Link(reader, writer))
            self._feed(Accepted(stream, to))

        server = await asyncio.start_server(accept, host, port)
        self._servers.append(server)
        found: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return found

    def _feed(self, input: Input) -> None:
        for output in self._tunnel.handle(input, asyncio.get_running_loop().time()):
            self._carry_out(output)

    def _carry_out(self, output: Output) -> None:
        stream = output.stream
        match output:
            case Say():
                self._say(output)
            case Dial():
                self._start(self._dial(stream))
            case Abort(reason=reason):
                print(f"reset: {reason}", file=sys.stderr)
                if link := self._links.pop(stream, None):
                    link.abort()
            case Take(most=most):
                self._start(self._take(stream, self._links[stream], most))
            case Write(data=data):
                self._links[stream].to_write.put_nowait(data)
            case Finish():
                self._links[stream].to_write.put_nowait(b"")

    def _say(self, say: Say) -> None:
        try:
            self._outbox.put_nowait(say)
        except asyncio.QueueFull:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._feed, Settled(say.stream, "this peer has too much to send"))

    async def _receive(self) -> None:
        async for message in self.peer:
            if message.kind == "message" and (frame := decode(message.data)) is not None:
                self._feed(Arrived(message.source, frame))

    async def _send(self) -> None:
        while True:
            say = await self._outbox.get()
            await self._slots.acquire()
            try:
                receipt = self.peer.send(say.peer, encode(say.frame), ordered=True)
            except CicadaError as error:
                self._settle(say.stream, str(error))
            else:
                self._start(self._follow(say.stream, receipt))

    async def _follow(self, stream: int, receipt: Receipt) -> None:
        await receipt
        self._settle(stream, receipt.reason or "")

    def _settle(self, stream: int, problem: str) -> None:
        self._slots.release()
        self._feed(Settled(stream, problem))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._feed(TimerFired())

    async def _dial(self, stream: int) -> None:
        host, port = self._program or ("", 0)
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                link = Link(*await asyncio.open_connection(host, port))
        except OSError as error:  # TimeoutError is one
            self._feed(Dialled(stream, f"cannot connect to the program: {reason_of(error)}"))
            return
        self._link(stream, link)
        self._feed(Dialled(stream))

    def _link(self, stream: int, link: Link) -> None:
        self._links[stream] = link
        self._start(self._write(stream, link))

    async def _take(self, stream: int, link: Link, most: int) -> None:
        try:
            data = await link.reader.read(most)
        except OSError as error:
            self._feed(Broken(stream, f"the program's connection broke: {reason_of(error)}"))
            return
        if not data:
            self._end_half(stream, link)
        self._feed(Taken(stream, data))

    async def _write(self, stream: int, link: Link) -> None:
        try:
            while data := await link.to_write.get():
                link.writer.write(data)
                async with asyncio.timeout(STALLED):
                    await link.writer.drain()
                self._feed(Written(stream, len(data)))
            link.writer.write_eof()
        except OSError as error:
            self._feed(Broken(stream, f"the program's connection broke: {reason_of(error)}"))
            return
        self._end_half(stream, link)

    def _end_half(self, stream: int, link: Link) -> None:
        if link.end_half():
            self._links.pop(stream, None)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def reason_of(error: OSError) -> str:
    return str(error) or "it does not answer"  # a TimeoutError has no words


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, or ``@`` and a peer id."""
    if text.startswith("@"):
        return text, 0
    try:
        host, port = split_address(text)
    except Misuse as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not host or port > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT: a port is {MAX_PORT} at most")
    return host, port


def shown(at: tuple[str, int] | HostPort) -> str:
    """The reverse of ``address``."""
    host, port = at
    return host if host.startswith("@") else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Tunnel a port of TCP from one peer to another through a swarm."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    expose = verbs.add_parser("expose", help="let others in the swarm connect to a program")
    expose.add_argument("--to", type=address, required=True, metavar="HOST:PORT", help="where it listens")
    opening = verbs.add_parser("open", help="listen here for what another peer exposes")
    opening.add_argument("--listen", type=address, required=True, metavar="HOST:PORT")
    opening.add_argument("--peer", type=address, required=True, help="who exposes it: HOST:PORT or @peer id")
    for verb in (expose, opening):
        verb.add_argument("--bind", type=address, default=("127.0.0.1", 0), metavar="HOST:PORT")
        verb.add_argument("--join", type=address, metavar="HOST:PORT", help="any member of the swarm")
        verb.add_argument("--swarm-key", metavar="FILE", help="of a closed swarm")
    return parser.parse_args()


async def main(given: argparse.Namespace) -> None:
    keys = {"swarm_keys": given.swarm_key} if given.swarm_key else {}
    async with SwarmPeer(**keys) as peer:
        peer.bind(*given.bind)
        if given.join:
            await peer.connect(given.join, timeout=30)
            await peer.joined(timeout=30)  # others reach it from now on, should nobody be able to dial it
        async with Mesh(peer, given.to if given.verb == "expose" else None) as mesh:
            if given.verb == "expose":
                print(f"exposed {shown(given.to)} as --peer {peer.address}", flush=True)
            else:
                host, port = given.listen
                print(f"open at {shown(await mesh.listen(host, port, given.peer))}", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(arguments()))
    except (CicadaError, OSError) as error:
        sys.exit(f"mesh: {error}")
    except KeyboardInterrupt:
        pass
