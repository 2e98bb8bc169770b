"""Connections of TCP through a real swarm of three peers, one of which nobody can dial."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Final

import pytest

from cicada.aio import SwarmPeer
from samples.mesh import Mesh, address, shown
from samples.mesh_tunnel import STREAMS
from tests.peer.moving import hide, mover
from tests.peer.swarm import eventually, proven

ROOT: Final = Path(__file__).parent.parent.parent
MIB: Final = 2**20
PATIENCE: Final = 45.0
CONNECTIONS: Final = 40

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Ends = tuple[Mesh, tuple[str, int]]
"""The mesh of the peer that exposes, and where connections to its program are taken."""


@asynccontextmanager
async def three(program: tuple[str, int]) -> AsyncIterator[Ends]:
    """A peer exposes the program, another listens, and a third is the only one that the exposing one can be reached by."""
    async with SwarmPeer() as between, SwarmPeer(reachable=False) as exposing, SwarmPeer() as opening:
        for peer in (between, exposing, opening):
            peer.bind()
        await opening.connect(between, timeout=PATIENCE)
        await proven([between, opening])
        await exposing.connect(between, timeout=PATIENCE)
        await exposing.joined()
        async with Mesh(exposing, program) as exposed, Mesh(opening) as mesh:
            yield exposed, await mesh.listen("127.0.0.1", 0, address(exposing.address))


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[tuple[str, int]]:
    """Where a program listens that treats connections so."""

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            writer.transport.abort()
        finally:
            writer.close()

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


@asynccontextmanager
async def connected(at: tuple[str, int]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*at)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def exchanged(at: tuple[str, int], data: bytes) -> bytes:
    """What comes back, when all was sent and the sending half was closed."""
    async with connected(at) as (reader, writer):
        answer = asyncio.create_task(reader.read(-1))
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        return await answer


async def test_20_mib_go_there_and_come_back_whole() -> None:
    data = Random(9).randbytes(20 * MIB)
    async with served(echo) as program, three(program) as (_, at):
        assert await exchanged(at, data) == data


async def test_many_connections_at_once_do_not_mix() -> None:
    rng = Random(9)
    sent = [rng.randbytes(rng.randint(1, 20_000)) for _ in range(CONNECTIONS)]
    async with served(echo) as program, three(program) as (_, at):
        assert await asyncio.gather(*(exchanged(at, data) for data in sent)) == sent


async def test_an_answer_comes_after_the_question_has_ended() -> None:
    async def counts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(len(await reader.read(-1))).encode())

    async with served(counts) as program, three(program) as (_, at):
        assert await exchanged(at, bytes(70_000)) == b"70000"


async def test_a_program_that_resets_its_connection_resets_the_other_end() -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        raise ConnectionResetError

    async with served(resets) as program, three(program) as (_, at), connected(at) as (reader, writer):
        writer.write(b"hello" + bytes(MIB))  # what is left unread makes the close of the program a reset
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)


async def test_where_no_program_listens_the_connection_is_reset(capsys: pytest.CaptureFixture[str]) -> None:
    async with served(echo) as program:
        pass
    async with three(program) as (_, at), connected(at) as (reader, _writer):
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
    assert "reset: cannot connect to the program" in capsys.readouterr().err


async def test_a_program_that_reads_nothing_holds_up_its_own_connection_only() -> None:
    reads = asyncio.Event()

    async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(4) == b"wait":
            await reads.wait()
        await echo(reader, writer)

    data = Random(9).randbytes(8 * MIB)
    async with served(later) as program, three(program) as (_, at), connected(at) as (reader, writer):
        answer = asyncio.create_task(reader.read(-1))
        writer.write(b"wait" + data)
        assert await exchanged(at, b"pass" + data[:MIB]) == data[:MIB]
        assert writer.transport.get_write_buffer_size() > 0, "all was taken, though nobody read it"
        reads.set()
        await writer.drain()
        writer.write_eof()
        assert await answer == data


async def test_connections_end_when_the_peer_at_the_other_end_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("samples.mesh.TICK", 0.05)
    monkeypatch.setattr("samples.mesh_tunnel.KEEPALIVE", 0.1)
    async with served(echo) as program, three(program) as (exposed, at), connected(at) as (reader, writer):
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await exposed.__aexit__()
        exposed = Mesh(exposed.peer, program)
        async with exposed:
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)


async def test_a_connection_goes_on_when_its_opener_has_another_address() -> None:
    async with (
        served(echo) as program,
        mover(3) as (peer, (other, *_)),
        Mesh(other, program),
        Mesh(peer) as mesh,
        connected(await mesh.listen("127.0.0.1", 0, other.listener)) as (reader, writer),
    ):
        writer.write(b"here")
        assert await reader.readexactly(4) == b"here"
        await hide(peer)
        writer.write(b"there")
        assert await reader.readexactly(5) == b"there"


async def test_connections_leave_nothing_behind() -> None:
    async with served(echo) as program, three(program) as (exposed, at):
        for _ in range(3):
            await asyncio.gather(*(exchanged(at, b"hello") for _ in range(STREAMS // 2)))

        async def is_empty() -> bool:
            return len(exposed) == 0

        await eventually(is_empty, "all connections to be forgotten")


@contextmanager
def sample(*arguments: str) -> Iterator[re.Match[str]]:
    """``mesh.py`` as a process; what its first line says."""
    command = [sys.executable, "-u", str(ROOT / "samples" / "mesh.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"(?:--peer|open at) (?P<at>\S+)", line)
            assert found, line
            yield found
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def website(folder: Path) -> Iterator[str]:
    """The files of a folder by HTTP; where."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, format: str, *given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield shown(("127.0.0.1", server.server_port))
        finally:
            server.shutdown()
            thread.join(10)


def test_a_page_is_fetched_through_two_processes(tmp_path: Path) -> None:
    page = Random(9).randbytes(3 * MIB)
    (tmp_path / "page").write_bytes(page)
    with website(tmp_path) as there, sample("expose", "--to", there) as exposed:
        peer = exposed["at"]
        with (
            sample("open", "--listen", "127.0.0.1:0", "--peer", peer, "--join", peer) as found,
            urllib.request.urlopen(f"http://{found['at']}/page", timeout=PATIENCE) as answer,
        ):
            assert answer.read() == page


@pytest.mark.parametrize("text", ["127.0.0.1:80", "[::1]:80", "@" + 64 * "a"])
def test_addresses_are_read_as_they_are_shown(text: str) -> None:
    assert shown(address(text)) == text


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1:99999", "127.0.0.1:65536", "127.0.0.1:\u0661\u0662", "127.0.0.1", ":80", "127.0.0.1:-1"],
)
def test_what_cannot_be_an_address_is_refused_before_anything_starts(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"address|HOST:PORT"):
        address(text)
