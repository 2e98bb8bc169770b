"""An exported actor is told, asked, stopped and watched from elsewhere; every way it can go wrong has one clear
error.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
import zmq.asyncio

from cicada.actors.base import GuardedRef
from cicada.actors.loop import LoopDispatcher
from cicada.actors.remote import Exported, export
from cicada.control import RemoteRef, SyncRemoteRef
from cicada.errors import CicadaError, DeliveryTimeout, MailboxFull, Misuse, Unavailable
from cicada.limits import RemoteLimits
from tests.actors.calls import (
    Add,
    AnyAnswer,
    AnyCall,
    Fail,
    Later,
    Release,
    Released,
    Server,
    SmallServer,
    Sum,
    Wrong,
)
from tests.actors.probes import PATIENCE, ended, eventually, in_thread, stop

Ref = RemoteRef[AnyCall, AnyAnswer]


class Exhibit:
    """An exported Server, its path, and what it has heard."""

    def __init__(self, folder: Path, kind: type[Server] = Server, limits: RemoteLimits | None = None) -> None:
        self.path = str(folder / "sockets" / "server")
        self.heard: list[Any] = []
        self.ref: GuardedRef[Any] = kind.start(LoopDispatcher(), self.heard)
        self.exported: Exported = export(
            self.ref, self.path, commands=AnyCall, replies=AnyAnswer, limits=limits or RemoteLimits()
        )

    def client(self, **options: Any) -> Ref:
        return RemoteRef(self.path, commands=AnyCall, replies=AnyAnswer, what="server", **options)

    async def close(self) -> None:
        self.exported.close()
        await stop(self.ref)


@pytest.fixture
async def exhibit(tmp_path: Path) -> AsyncIterator[Exhibit]:
    shown = Exhibit(tmp_path)
    yield shown
    await shown.close()


@pytest.fixture
async def ref(exhibit: Exhibit) -> AsyncIterator[Ref]:
    async with exhibit.client() as client:
        yield client


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A Server in a process of its own, and its path."""
    path = str(tmp_path / "own" / "server")
    command = [sys.executable, "-m", "tests.actors.calls", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        yield running, path
        running.kill()


def client_of(path: str) -> Ref:
    return RemoteRef(path, commands=AnyCall, replies=AnyAnswer, what="server")


async def test_an_ask_brings_the_reply_of_the_actor(ref: Ref) -> None:
    assert await ref.ask(Add(2, 3)) == Sum(5)


async def test_many_asks_at_once_each_get_their_own_reply(ref: Ref) -> None:
    replies = await asyncio.gather(*(ref.ask(Add(number, 1)) for number in range(200)))
    assert replies == [Sum(number + 1) for number in range(200)]


async def test_a_tell_returns_when_the_command_lies_in_the_inbox(exhibit: Exhibit, ref: Ref) -> None:
    await ref.tell(Add(1, 1))
    await ref.ask(Add(2, 2))
    assert exhibit.heard == [Add(1, 1), Add(2, 2)]


async def test_a_reply_may_come_later_than_the_handler_returns(ref: Ref) -> None:
    later = asyncio.create_task(ref.ask(Later()))
    await ref.tell(Add(1, 1))
    assert not later.done()
    assert await ref.ask(Release()) == Released(1)
    assert await asyncio.wait_for(later, PATIENCE) == Released(1)


async def test_an_ask_that_is_not_answered_in_time_says_so(ref: Ref) -> None:
    with pytest.raises(DeliveryTimeout, match=r"server at .* did not answer within 0\.05 s"):
        await ref.ask(Later(), timeout=0.05)


async def test_a_reply_after_the_time_out_is_counted_and_hurts_nobody(exhibit: Exhibit, ref: Ref) -> None:
    with pytest.raises(DeliveryTimeout):
        await ref.ask(Later(), timeout=0.01)
    assert await ref.ask(Add(1, 1)) == Sum(2)  # so the other one has come
    await eventually(lambda: exhibit.exported.calls == 0)
    assert await ref.ask(Release()) == Released(1)
    await eventually(lambda: exhibit.exported.counters == {"late-reply": 1})


async def test_a_second_reply_to_one_call_is_misuse_and_ends_the_actor(exhibit: Exhibit, ref: Ref) -> None:
    later = asyncio.create_task(ref.ask(Later()))
    await ref.tell(Add(1, 1))
    await ref.ask(Release())
    await asyncio.wait_for(later, PATIENCE)
    with pytest.raises(CicadaError, match="replied to already"):
        await ref.ask(Release())
    assert (await ended(exhibit.ref)).failed


async def test_a_reply_of_another_family_never_leaves_the_process(ref: Ref) -> None:
    with pytest.raises(CicadaError, match="str is not among the replies"):
        await ref.ask(Wrong())


async def test_an_actor_that_fails_answers_with_its_failure_and_is_then_gone(ref: Ref) -> None:
    with pytest.raises(CicadaError, match="ValueError: told to fail"):
        await ref.ask(Fail())
    terminated = await asyncio.wait_for(ref.watch(), PATIENCE)
    assert terminated.failed
    assert terminated.reason == "ValueError: told to fail"
    with pytest.raises(Unavailable, match="told to fail"):
        await ref.ask(Add(1, 1))


async def test_a_call_in_progress_ends_when_the_actor_does(exhibit: Exhibit, ref: Ref) -> None:
    later = asyncio.create_task(ref.ask(Later()))
    await ref.tell(Add(1, 1))
    await stop(exhibit.ref)
    with pytest.raises(Unavailable, match="gone: stopped"):
        await asyncio.wait_for(later, PATIENCE)


async def test_a_stop_returns_when_the_actor_has_ended_and_again_at_once(exhibit: Exhibit, ref: Ref) -> None:
    await ref.stop()
    assert not exhibit.ref.is_alive()
    await ref.stop()
    assert not (await ref.watch()).failed


async def test_whoever_watches_hears_of_the_end(exhibit: Exhibit, ref: Ref) -> None:
    watching = [asyncio.create_task(ref.watch()) for _ in range(2)]
    async with exhibit.client() as other:
        await other.stop()
    for watch in watching:
        assert (await asyncio.wait_for(watch, PATIENCE)).reason == "stopped"


async def test_a_client_that_comes_after_the_end_hears_of_it(exhibit: Exhibit) -> None:
    await stop(exhibit.ref)
    async with exhibit.client() as late:
        with pytest.raises(Unavailable, match="stopped"):
            await late.ask(Add(1, 1))


async def test_clients_hear_that_an_export_was_closed(exhibit: Exhibit, ref: Ref) -> None:
    watching = asyncio.create_task(ref.watch())
    await asyncio.sleep(0)
    await ref.ask(Add(1, 1))  # the watch was answered before this
    exhibit.exported.close()
    assert (await asyncio.wait_for(watching, PATIENCE)).reason == "it is exported no more"
    assert exhibit.ref.is_alive()


async def test_a_command_of_another_family_is_misuse(ref: Ref) -> None:
    with pytest.raises(Misuse, match="knows no Sum"):
        await ref.ask(Sum(1))  # type: ignore[arg-type]


async def test_a_server_refuses_and_counts_what_it_cannot_decode(exhibit: Exhibit) -> None:
    async with RemoteRef[Any, Any](exhibit.path, commands=object, replies=AnyAnswer) as liar:
        with pytest.raises(Misuse, match="unknown command"):
            await liar.ask({"type": "Add", "a": "two"})
    assert exhibit.exported.counters == {"malformed": 1}
    assert exhibit.heard == []


async def test_garbage_is_counted_and_others_are_served_on(exhibit: Exhibit, ref: Ref) -> None:
    with zmq.asyncio.Context.instance().socket(zmq.DEALER) as vandal:
        vandal.set(zmq.LINGER, 0)
        vandal.connect(f"ipc://{exhibit.path}")
        for garbage in (
            [b""],
            [b"\xff" * 100],
            [b"a", b"b", b"c"],
            [msgspec.msgpack.encode(["ask", -1, 1.0, 2])],
        ):
            await vandal.send_multipart(garbage)
        await eventually(lambda: exhibit.exported.counters["malformed-request"] == 4)
    assert await ref.ask(Add(1, 1)) == Sum(2)


async def test_a_full_inbox_is_told_to_the_client(tmp_path: Path) -> None:
    exhibit = Exhibit(tmp_path, SmallServer)
    async with exhibit.client() as ref:
        await ref.connect()
        loop_is_busy = [asyncio.create_task(ref.ask(Add(number, 0))) for number in range(50)]
        outcomes = await asyncio.gather(*loop_is_busy, return_exceptions=True)
    full = [outcome for outcome in outcomes if isinstance(outcome, MailboxFull)]
    answered = [outcome for outcome in outcomes if isinstance(outcome, Sum)]
    assert full
    assert len(full) + len(answered) == 50
    assert exhibit.exported.counters["full"] == len(full)
    await exhibit.close()


async def test_requests_in_flight_are_bounded_on_both_sides(tmp_path: Path) -> None:
    exhibit = Exhibit(tmp_path, limits=RemoteLimits(pending=2))
    async with exhibit.client() as ref:
        waiting = [asyncio.create_task(ref.ask(Later())) for _ in range(2)]
        await eventually(lambda: exhibit.exported.calls == 2)
        with pytest.raises(MailboxFull, match="limit"):
            await ref.ask(Later())
        await ref.tell(Release())
        assert await asyncio.gather(*waiting) == [Released(2), Released(2)]
    async with exhibit.client(limits=RemoteLimits(pending=1)) as ref:
        waits = asyncio.create_task(ref.ask(Later()))
        await eventually(lambda: exhibit.exported.calls == 1)
        with pytest.raises(MailboxFull, match="in flight"):
            await ref.ask(Add(1, 1))
        waits.cancel()
    await exhibit.close()


async def connected(ref: Ref) -> None:
    """Connect once there is room: that a client left is known a moment later."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await ref.connect()
        except MailboxFull:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


async def test_clients_that_left_make_room_for_new_ones(tmp_path: Path) -> None:
    exhibit = Exhibit(tmp_path, limits=RemoteLimits(clients=2))
    async with exhibit.client() as first:
        await first.connect()
        for _ in range(5):
            async with exhibit.client() as passing:
                await connected(passing)
        async with exhibit.client() as second:
            await connected(second)
            async with exhibit.client() as third:
                with pytest.raises(MailboxFull, match="clients"):
                    await third.connect()
    await exhibit.close()


async def test_nobody_at_the_path_is_said_at_once(tmp_path: Path) -> None:
    async with client_of(str(tmp_path / "nobody")) as ref:
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"no server answers at .*/nobody"):
            await ref.ask(Add(1, 1), timeout=PATIENCE)
        with pytest.raises(Unavailable):
            await ref.watch()
        assert time.monotonic() - began < 1


async def test_a_reference_may_be_tried_again_until_somebody_is_there(tmp_path: Path) -> None:
    async with client_of(str(tmp_path / "sockets" / "server")) as ref:
        with pytest.raises(Unavailable):
            await ref.connect()
        exhibit = Exhibit(tmp_path)
        assert await ref.ask(Add(1, 1)) == Sum(2)
        await exhibit.close()


async def test_the_death_of_a_process_is_noticed_within_two_seconds(
    process: tuple[subprocess.Popen[str], str],
) -> None:
    running, path = process
    async with client_of(path) as ref:
        assert await ref.ask(Add(1, 1)) == Sum(2)
        waiting = asyncio.create_task(ref.ask(Later(), timeout=PATIENCE))
        await ref.tell(Add(1, 1))
        running.kill()
        terminated = await asyncio.wait_for(ref.watch(), 2)
        assert terminated.failed
        with pytest.raises(Unavailable, match="process ended"):
            await waiting
        await ref.stop()


async def test_a_dead_process_leaves_a_path_that_is_said_to_be_empty(
    process: tuple[subprocess.Popen[str], str],
) -> None:
    running, path = process
    running.kill()
    running.wait(PATIENCE)
    async with client_of(path) as ref:
        with pytest.raises(Unavailable, match="no server answers"):
            await ref.connect()


def test_code_without_a_loop_uses_the_synchronous_reference(
    process: tuple[subprocess.Popen[str], str],
) -> None:
    running, path = process
    with SyncRemoteRef[AnyCall, AnyAnswer](path, commands=AnyCall, replies=AnyAnswer) as ref:
        ref.connect()
        ref.tell(Add(1, 1))
        assert ref.ask(Add(2, 3)) == Sum(5)
        with pytest.raises(DeliveryTimeout):
            ref.watch(timeout=0.01)
        ref.stop()
        assert not ref.watch(timeout=PATIENCE).failed
    assert running.wait(PATIENCE) == 0


async def test_the_synchronous_reference_refuses_to_block_a_loop(tmp_path: Path) -> None:
    ref: SyncRemoteRef[AnyCall, AnyAnswer] = SyncRemoteRef(
        tmp_path / "nobody", commands=AnyCall, replies=AnyAnswer
    )
    with pytest.raises(Misuse, match="RemoteRef"):
        ref.ask(Add(1, 1))
    await in_thread(ref.close)


async def test_a_closed_reference_is_misuse_and_ends_what_waits(exhibit: Exhibit) -> None:
    ref = exhibit.client()
    waiting = [asyncio.create_task(ref.ask(Later())), asyncio.create_task(ref.watch())]
    await ref.tell(Add(1, 1))
    await ref.close()
    await ref.close()
    for wait in waiting:
        with pytest.raises(Misuse, match="closed"):
            await asyncio.wait_for(wait, PATIENCE)
    with pytest.raises(Misuse, match="closed"):
        await ref.ask(Add(1, 1))


async def test_a_path_that_does_not_fit_is_refused_by_both_sides(tmp_path: Path) -> None:
    path = str(tmp_path / ("x" * 120))
    with pytest.raises(Misuse, match="1 to 106"):
        client_of(path)
    ref = Server.start(LoopDispatcher(), [])
    with pytest.raises(Misuse, match="1 to 106"):
        export(ref, path, commands=AnyCall, replies=AnyAnswer)
    await stop(ref)


async def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    ref = Server.start(LoopDispatcher(), [])
    with pytest.raises(Misuse, match="0700"):
        export(ref, folder / "server", commands=AnyCall, replies=AnyAnswer)
    await stop(ref)


async def test_a_missing_folder_is_made_for_its_owner_only(exhibit: Exhibit) -> None:
    assert os.stat(os.path.dirname(exhibit.path)).st_mode & 0o777 == 0o700


async def test_a_path_where_somebody_answers_is_not_taken_away(exhibit: Exhibit, ref: Ref) -> None:
    with pytest.raises(Unavailable, match="another process answers"):
        export(exhibit.ref, exhibit.path, commands=AnyCall, replies=AnyAnswer)
    assert await ref.ask(Add(1, 1)) == Sum(2)


async def test_a_path_left_by_a_dead_process_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "sockets").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "sockets" / "server"))
    exhibit = Exhibit(tmp_path)
    async with exhibit.client() as ref:
        assert await ref.ask(Add(1, 1)) == Sum(2)
    await exhibit.close()
