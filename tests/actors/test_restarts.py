"""A Pykka application and a peer's actor in another process go on with each other however often either is killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicada.actors import LastingRef, LoopDispatcher, SyncLastingRef
from cicada.actors.remote import _answers, export
from cicada.errors import Misuse, Unavailable
from tests.actors.calls import Add, AnyAnswer, AnyCall, Later, Server, Sum
from tests.actors.probes import PATIENCE, eventually, stop
from tests.actors.restarts import Program


@pytest.fixture
def programs() -> Iterator[contextlib.ExitStack]:
    """What is entered here is killed at the end."""
    with contextlib.ExitStack() as stack:
        yield stack


def started(programs: contextlib.ExitStack, role: str, path: str) -> Program:
    program = Program(role, path)
    programs.callback(program.kill)
    return program


def test_exchange_goes_on_after_each_side_was_killed_several_times(
    tmp_path: Path, programs: contextlib.ExitStack
) -> None:
    path = str(tmp_path / "sockets" / "counter")
    server, user = started(programs, "serve", path), started(programs, "use", path)
    server.until("ready")
    pid = str(server.pid)
    used = []
    for _ in range(3):
        user.until("counted", pid)
        user.until("clerk", pid)
        server.kill()
        held = " ".join(user.until("held"))
        assert "Unavailable" in held
        assert "gone: its process ended" in held
        server = started(programs, "serve", path)
        pid = str(server.pid)
        used.append(int(user.until("counted", pid)[4]))
        user.until("clerk", pid)
    assert max(used) - min(used) <= 8  # a connection has five, and a second may be on its way
    holding = []
    for _ in range(3):
        user.kill()
        user = started(programs, "use", path)
        user.until("clerk", pid)
        holding.append(int(user.until("counted", pid)[2]))
    assert max(holding) - min(holding) <= 4


async def test_an_ask_in_flight_fails_when_the_actor_ends_and_the_next_one_meets_its_successor(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "sockets" / "server")
    first = Server.start(LoopDispatcher(), [])
    exported = export(first, path, commands=AnyCall, replies=AnyAnswer)
    async with LastingRef[AnyCall, AnyAnswer](path, commands=AnyCall, replies=AnyAnswer) as ref:
        assert await ref.ask(Add(1, 2)) == Sum(3)
        waiting = asyncio.create_task(ref.ask(Later(), timeout=PATIENCE))
        watching = asyncio.create_task(ref.watch())
        await eventually(lambda: exported.calls == 1)
        await stop(first)
        with pytest.raises(Unavailable, match="gone: stopped"):
            await waiting
        assert not (await watching).failed
        exported.close()
        await eventually(lambda: not _answers(path))
        asking = asyncio.create_task(ref.ask(Add(2, 3), timeout=PATIENCE))
        await asyncio.sleep(0)
        second = Server.start(LoopDispatcher(), [])
        with export(second, path, commands=AnyCall, replies=AnyAnswer):
            assert await asking == Sum(5)
            assert ref.lives == 2
            await ref.stop()
            assert not second.is_alive()


async def test_nobody_who_comes_within_the_time_out_is_unavailable(tmp_path: Path) -> None:
    async with LastingRef[AnyCall, AnyAnswer](
        str(tmp_path / "nobody"), commands=AnyCall, replies=AnyAnswer, what="server"
    ) as ref:
        answers = await asyncio.gather(
            *(ref.ask(Add(1, 1), timeout=0.12) for _ in range(3)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [Unavailable] * 3
        assert ref.lives == 0
        with pytest.raises(Misuse, match="time-out"):
            await ref.tell(Add(1, 1), timeout=0)
    with pytest.raises(Misuse, match="closed"):
        await ref.ask(Add(1, 1))


@pytest.mark.parametrize("verb", ["tell", "ask"])
def test_without_a_loop_meeting_the_actor_is_part_of_the_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    left: list[float] = []

    async def takes_a_while(_: object, timeout: float) -> None:
        left.append(timeout)
        await asyncio.sleep(0.05)

    async def wants(_: object, __: object, timeout: float) -> Sum:
        left.append(timeout)
        return Sum(1)

    monkeypatch.setattr(LastingRef, "connect", takes_a_while)
    monkeypatch.setattr(LastingRef, verb, wants)
    with SyncLastingRef[AnyCall, AnyAnswer](tmp_path / "actor", commands=AnyCall, replies=AnyAnswer) as ref:
        getattr(ref, verb)(Add(1, 1), 2.0)
    first, second = left
    assert second <= first - 0.05
