"""Waiting for room, and getting rid of connections that are closed: parts of the endpoint on their own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from itertools import pairwise

import msgspec

from cicada.ids import Address
from cicada.limits import ENDPOINT, EndpointLimits
from cicada.transport.base import ConnectionId
from cicada.transport.connection import Connection, Phase
from cicada.transport.lingering import NOT_HELD, Lingering, cut, hold, is_held
from cicada.transport.outbox import Outbox
from tests.transport.endpoints import PATIENCE, eventually


class Pipe:
    """A carrier that takes chunks while there is room."""

    def __init__(self, **changes: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.limits: EndpointLimits = msgspec.structs.replace(ENDPOINT, **changes)
        self.room = 0
        self.attempted_at: list[float] = []
        self.taken: list[bytes] = []
        self.ended: list[Connection] = []

    @property
    def attempts(self) -> int:
        return len(self.attempted_at)

    def transmit(self, connection: Connection, data: bytes) -> bool:
        self.attempted_at.append(self.loop.time())
        if self.room == 0:
            return False
        self.room -= 1
        self.taken.append(data)
        return True

    def receive(self, connection: Connection, chunk: bytes) -> None:
        raise AssertionError("both ends are not ours")

    def flushed(self) -> None:
        return

    def stalled(self, connection: Connection) -> None:
        self.ended.append(connection)


def outbox_for(pipe: Pipe) -> tuple[Outbox, Connection]:
    connection = Connection(
        ConnectionId(1), remote=Address("127.0.0.1:4000"), source="", max_frame=1000, now=0.0
    )
    connection.phase = Phase.OPEN
    return Outbox(pipe, {connection.id: connection}, Counter()), connection


async def test_a_full_pipe_is_tried_less_and_less_often() -> None:
    pipe = Pipe(retry_full_pipe=0.001, retry_full_pipe_max=0.1)
    outbox, connection = outbox_for(pipe)
    assert outbox.send(connection.id, b"waits")
    await eventually(lambda: pipe.attempts == 8)
    outbox.close()
    pauses = [later - earlier for earlier, later in pairwise(pipe.attempted_at)]
    wanted = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
    assert all(pause >= least * 0.9 for pause, least in zip(pauses, wanted, strict=True))


async def test_what_waited_leaves_in_order_once_there_is_room() -> None:
    pipe = Pipe(retry_full_pipe=0.001, flush_bytes=10)
    outbox, connection = outbox_for(pipe)
    outbox.send(connection.id, b"first")
    await eventually(lambda: pipe.attempts > 0)
    for frame in (b"second", b"third", b"a long fourth", b"5"):
        assert outbox.send(connection.id, frame)
    pipe.room = 2
    await eventually(lambda: len(pipe.taken) == 2)
    assert outbox.send(connection.id, b"6")
    pipe.room = 100
    await eventually(lambda: b"".join(pipe.taken) == b"firstsecondthirda long fourth56")
    assert all(len(chunk) <= 10 or chunk == b"a long fourth" for chunk in pipe.taken)
    outbox.close()


async def test_a_connection_that_takes_nothing_is_given_up() -> None:
    pipe = Pipe(retry_full_pipe=0.001, retry_full_pipe_max=0.01, stalled_seconds=0.1)
    outbox, connection = outbox_for(pipe)
    outbox.send(connection.id, b"never")
    await eventually(lambda: pipe.ended == [connection])
    outbox.close()


async def test_one_that_takes_a_little_now_and_then_is_not_given_up() -> None:
    pipe = Pipe(retry_full_pipe=0.001, retry_full_pipe_max=0.01, stalled_seconds=1.0, flush_bytes=1)
    outbox, connection = outbox_for(pipe)
    for _ in range(50):
        outbox.send(connection.id, b"x")
    for _ in range(8):
        tried = pipe.attempts
        await eventually(lambda tried=tried: pipe.attempts >= tried + 20)  # type: ignore[misc]  # 0.2 s
        pipe.room = 1
    assert pipe.ended == []
    assert len(pipe.taken) >= 5
    outbox.close()


def test_a_closed_connection_that_stays_is_cut_when_its_time_is_over() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(PATIENCE)
        lingering = Lingering(1.0)
        lingering.add(b"route", hold(ours.fileno()), 10.0)
        assert lingering.sweep(10.9) == 0
        assert (len(lingering), b"route" in lingering) == (1, True)
        assert lingering.sweep(11.0) == 1
        assert (len(lingering), b"route" in lingering) == (0, False)
        assert theirs.recv(1) == b""


def test_all_can_be_cut_at_once_and_are_remembered_until_their_time_is_over() -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    lingering = Lingering(1.0)
    for number, (ours, _theirs) in enumerate(pairs):
        lingering.add(bytes([number]), hold(ours.fileno()), 0.0)
    assert len(lingering) == 3
    assert lingering.cut_all() == 3
    assert len(lingering) == 0
    assert b"\x00" in lingering
    for ours, theirs in pairs:
        theirs.settimeout(PATIENCE)
        assert theirs.recv(1) == b""
        ours.close()
        theirs.close()


def test_a_connection_that_took_over_a_descriptor_is_not_cut() -> None:
    ours, theirs = socket.socketpair()
    held = hold(ours.fileno())
    number = ours.fileno()
    ours.close()
    theirs.close()
    successor, other = socket.socketpair()
    with successor, other:
        if successor.fileno() != number:
            os.dup2(successor.fileno(), number)
        assert not is_held(held)
        assert not cut(held)
        assert not cut(NOT_HELD)
        successor.send(b"alive")
        other.settimeout(PATIENCE)
        assert other.recv(5) == b"alive"
        if successor.fileno() != number:
            os.close(number)
