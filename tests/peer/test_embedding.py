"""A peer inside an application: cancelled, closed, forked, spawned, and used where it must not be."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

import cicada
from cicada import peer as sync
from cicada.actors.host import Host
from cicada.aio import SwarmPeer
from cicada.errors import CicadaError, DeliveryTimeout, Misuse, NotBound, RingNotReady
from cicada.routing.lodging import Lodging
from tests.peer.swarm import eventually, proven, swarm

ROOT = Path(__file__).parent.parent.parent


# Joined


async def test_a_peer_has_joined_when_it_is_in_a_ring_with_another() -> None:
    async with SwarmPeer("127.0.0.1", 0) as a, SwarmPeer("127.0.0.1", 0) as b, SwarmPeer("127.0.0.1", 0) as c:
        with pytest.raises(RingNotReady, match="alone in its ring"):
            await a.joined(timeout=0.05)
        both = asyncio.gather(a.joined(), b.joined())
        await b.connect(a)
        await both
        await b.close()

        async def is_alone() -> bool:
            return (await a.snapshot()).successors == ()

        await eventually(is_alone, "the farewell")
        with pytest.raises(RingNotReady):
            await a.joined(timeout=0.05)
        waiting = asyncio.create_task(a.joined(timeout=None))
        await c.connect(a)
        await waiting


async def test_a_hidden_peer_has_joined_when_others_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = SwarmPeer("127.0.0.1", 0, reachable=False)
    async with SwarmPeer("127.0.0.1", 0) as a, SwarmPeer("127.0.0.1", 0) as b, hidden:
        await b.connect(a)
        with monkeypatch.context() as nobody_shows:
            nobody_shows.setattr(Lodging, "on_shown", lambda *_: [])
            await hidden.connect(a)
            assert (await hidden.send(a, b"it can send")).delivered
            with pytest.raises(RingNotReady, match="found by nobody"):
                await hidden.joined(timeout=0.2)
        await hidden.joined()
        assert (await b.send(hidden.address, b"x")).delivered


def test_a_hidden_peer_has_joined_without_a_loop_when_others_reach_it() -> None:
    hidden = sync.SwarmPeer("127.0.0.1", 0, reachable=False)
    with sync.SwarmPeer("127.0.0.1", 0) as a, hidden:
        with pytest.raises(RingNotReady):
            hidden.joined(timeout=0.05)
        hidden.connect(a)
        hidden.joined()
        assert a.send(hidden.address, b"x").result(10).delivered


async def test_a_hidden_peer_that_left_has_not_joined() -> None:
    hidden = SwarmPeer("127.0.0.1", 0, reachable=False)
    async with SwarmPeer("127.0.0.1", 0) as a, hidden:
        await hidden.connect(a)
        await hidden.joined()
        await hidden.disconnect()
        with pytest.raises(RingNotReady):
            await hidden.joined(timeout=0.05)


async def test_a_peer_whose_ring_actor_failed_joins_again() -> None:
    async with swarm(3) as peers:
        peers[0].crash("ring")

        async def is_back() -> bool:
            return peers[0].stats().restarts == 1

        await eventually(is_back, "the restart")
        await peers[0].joined()
        await proven(peers)


async def test_waiting_to_have_joined_ends_when_the_peer_is_closed() -> None:
    peer = SwarmPeer("127.0.0.1", 0)
    waiting = asyncio.create_task(peer.joined(timeout=None))
    await asyncio.sleep(0)
    await peer.close()
    with pytest.raises(NotBound):
        await waiting


# Cancelled


def left_over(peer: SwarmPeer) -> dict[str, int]:
    """What the peer holds of what it was asked, which is nothing once nobody waits."""
    hosted = peer._bound()
    return {
        "requests": len(hosted.requests),
        "requests in the table": len(hosted.requests._requests),
        "messages": hosted._fixtures.correspondence.in_flight,
        "readers": len(hosted.mailbox._waiters),
        "waiters": len(hosted._holdings.company._changed._waiters),
    }


async def test_a_verb_that_is_cancelled_anywhere_leaves_a_peer_that_works() -> None:
    rng = Random(9)
    async with swarm(3) as (a, b, c):

        async def send() -> object:
            return await a.send(b, b"x")

        async def broadcast() -> object:
            return await c.broadcast(b"all")

        verbs: list[Callable[[], Awaitable[object]]] = [
            send,
            broadcast,
            lambda: a.recv(timeout=5),
            lambda: a.request(b, b"x", timeout=1.0),
            lambda: a.lookup("anything"),
            lambda: a.get_route("anything"),
            lambda: a.joined(),
            lambda: a.snapshot(),
            lambda: a.connect(c),
            lambda: a.disconnect(),
        ]
        for verb in [verb for verb in verbs for _ in range(8)]:
            task = asyncio.ensure_future(verb())
            for _ in range(rng.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError, CicadaError):
                await task
        await a.connect(b)
        await proven([a, b, c])
        while b.peek is not None:
            await b.recv()
        asking = asyncio.create_task(a.request(b, b"well?", timeout=20))
        while (message := await b.recv(timeout=20)).data != b"well?":
            pass
        await message.reply(b"fine")
        assert (await asking).data == b"fine"

        async def is_clean() -> bool:
            return not any(left_over(a).values())

        await eventually(is_clean, "nothing to be left over")


async def test_after_a_connect_that_was_cancelled_another_one_is_not_too_early() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with SwarmPeer("127.0.0.1", 0) as a, SwarmPeer("127.0.0.1", 0) as b:
            connecting = asyncio.create_task(a.connect(silent.getsockname(), timeout=60))
            second = asyncio.create_task(a.connect(b))
            with pytest.raises(RingNotReady, match="joining already"):
                await second
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await a.connect(b)
            await b.joined()


async def test_no_message_is_lost_by_a_reader_that_is_cancelled() -> None:
    rng = Random(4)
    async with swarm(2) as (a, b):
        got: list[bytes] = []

        async def sender() -> None:
            for number in range(300):
                await a.send(b, b"%d" % number)

        sending = asyncio.create_task(sender())
        while len(got) < 300:
            readers = [asyncio.ensure_future(b.recv(timeout=rng.choice([None, 0.001, 1]))) for _ in range(3)]
            for _ in range(rng.randrange(20)):
                await asyncio.sleep(0)
            for reader in readers:
                reader.cancel()
            outcomes = await asyncio.gather(*readers, return_exceptions=True)
            got += [outcome.data for outcome in outcomes if isinstance(outcome, cicada.Message)]
            assert not sending.done() or b.peek is not None or len(got) == 300
        await sending
        assert sorted(got, key=int) == [b"%d" % number for number in range(300)]


async def test_a_close_that_is_cancelled_anywhere_has_closed_the_peer_and_its_host() -> None:
    for turns in range(0, 30, 3):
        a, b = SwarmPeer("127.0.0.1", 0), SwarmPeer("127.0.0.1", 0)
        await b.connect(a)
        closing = asyncio.create_task(b.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        await asyncio.gather(a.close(), a.close(), b.close())
        assert not a.bound
        assert not b.bound
        assert Host.of(asyncio.get_running_loop()) is None


async def test_closing_is_bounded_however_slow_the_farewell_is() -> None:
    loop = asyncio.get_running_loop()
    async with swarm(2) as (a, b):
        b.trial.freeze()
        a.trial.freeze()
        began = loop.time()
        await a.close(timeout=0.2)
        assert loop.time() - began < 1.5
        assert not a.bound


async def test_a_peer_takes_no_signal_handler_and_leaves_no_task() -> None:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    async with SwarmPeer("127.0.0.1", 0) as a, SwarmPeer("127.0.0.1", 0) as b:
        await b.connect(a)
        assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_recv_that_is_interrupted_takes_no_message() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    main = threading.get_ident()
    try:
        with cicada.SwarmPeer("127.0.0.1", 0) as peer:

            def when_it_waits() -> None:
                while not peer._peer._bound().mailbox._waiters:
                    pass
                signal.pthread_kill(main, signal.SIGUSR1)

            thread = threading.Thread(target=when_it_waits)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                peer.recv(timeout=20)
            thread.join(5)
            peer.send(peer, b"kept").result(10)
            assert peer.recv(timeout=10).data == b"kept"
    finally:
        signal.signal(signal.SIGUSR1, before)


async def test_a_receipt_settles_although_the_name_of_its_host_is_never_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", never)
    async with SwarmPeer("127.0.0.1", 0) as peer:
        assert (await peer.send(("slow.example", 5000), b"x", timeout=0.05)).reason == "timed out"
        with pytest.raises(DeliveryTimeout, match="not resolved"):
            await peer.request(("slow.example", 5000), b"x", timeout=0.05)
        receipt = peer.send(("slow.example", 5000), b"x", timeout=30)
        await asyncio.sleep(0)
    assert (await receipt).reason == "this peer was closed"


# Somewhere else


async def test_another_thread_and_another_loop_are_told_to_use_the_sync_peer() -> None:
    async with SwarmPeer("127.0.0.1", 0) as peer:
        problems: list[str] = []

        async def on_another_loop() -> None:
            for verb in (
                peer.recv(1),
                peer.lookup("x"),
                peer.request(peer, "x"),
                peer.joined(),
                peer.close(),
            ):
                with pytest.raises(Misuse) as misuse:
                    await verb
                problems.append(str(misuse.value))

        def on_another_thread() -> None:
            for verb in (lambda: peer.send(peer, b"x"), lambda: peer.broadcast(b"x"), peer.kill):
                with pytest.raises(Misuse) as misuse:
                    verb()
                problems.append(str(misuse.value))
            asyncio.run(on_another_loop())

        thread = threading.Thread(target=on_another_thread)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0)
        assert len(problems) == 8
        assert {"use the sync cicada.SwarmPeer" in problem for problem in problems} == {True}
        assert (await peer.send(peer, b"and here it works")).delivered


async def test_two_loops_of_one_process_have_peers_of_their_own() -> None:
    async with SwarmPeer("127.0.0.1", 0) as here:
        target = here.listener

        async def elsewhere() -> bytes:
            async with SwarmPeer("127.0.0.1", 0) as there, SwarmPeer("127.0.0.1", 0) as beside:
                await there.connect(target)
                await beside.connect(there)
                return (await there.request(target, b"over there", timeout=20)).data

        asking = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere()))
        await (await here.recv(timeout=20)).reply(b"over here")
        assert await asking == b"over here"
        await asyncio.get_running_loop().shutdown_default_executor()


def test_while_a_spawned_process_imports_the_main_module_nothing_is_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    peer = cicada.SwarmPeer()
    with pytest.raises(Misuse, match="__main__"):
        peer.bind()
    assert "cicada-loop" not in [thread.name for thread in threading.enumerate()]


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program of its own, from a file, as spawned processes need it."""
    path = folder / "program.py"
    path.write_text(program)
    environment = {"PYTHONPATH": str(ROOT), "CICADA_STATE": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        env=environment,
        check=False,
    )


FORKING = """
import asyncio, os
import cicada
from cicada import aio
from cicada.errors import Misuse

def told(verb):
    try:
        verb()
    except Misuse as misuse:
        return "make a peer of this process's own" in str(misuse)
    return False

def child(sync, there):
    verbs = [
        lambda: sync.send(there, b"x"), lambda: sync.recv(1), sync.stats,
        lambda: message.reply(b"x"),
    ]
    if not all(map(told, verbs)):
        return 1
    sync.close()
    with cicada.SwarmPeer("127.0.0.1", 0, identity="ephemeral") as own:
        own.connect(there)
        return 0 if own.send(there, b"from the child").result(10).delivered else 2

def exit_code(work):
    pid = os.fork()
    if not pid:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

async def in_a_loop():
    async with aio.SwarmPeer("127.0.0.1", 0, identity="ephemeral") as peer:
        def child():
            return 0 if told(lambda: peer.send(peer, b"x")) and told(lambda: peer.broadcast(b"x")) else 1
        return exit_code(child)

with cicada.SwarmPeer("127.0.0.1", 0, identity="ephemeral") as a, cicada.SwarmPeer("127.0.0.1", 0, identity="ephemeral") as b:
    b.connect(a)
    a.send(b, b"x").result(10)
    message = b.recv(10)
    code = exit_code(lambda: child(b, a.listener))
    assert a.recv(10).data == b"from the child"
    assert a.send(b, b"still here").result(10).delivered
print(code, asyncio.run(in_a_loop()))
"""

SPAWNING = """
import multiprocessing
import cicada

def work():
    pass

peer = cicada.SwarmPeer()
peer.bind()
multiprocessing.set_start_method("{method}", force=True)
process = multiprocessing.Process(target=work)
process.start()
process.join()
print("exit code", process.exitcode)
peer.close()
"""


def test_a_forked_child_is_told_that_the_peer_is_its_parents_and_may_have_its_own(tmp_path: Path) -> None:
    done = run(FORKING, tmp_path)
    assert (done.stdout.split(), done.stderr) == (["0", "0"], "")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_without_a_guard_a_spawned_process_says_what_is_missing(method: str, tmp_path: Path) -> None:
    done = run(SPAWNING.format(method=method), tmp_path)
    assert done.stdout.split() == ["exit", "code", "1"]
    assert "Misuse" in done.stderr
    assert """put what binds it under 'if __name__ == "__main__":'""" in done.stderr


async def test_peers_that_were_closed_are_not_kept() -> None:
    async with SwarmPeer("127.0.0.1", 0) as other:
        peer = SwarmPeer("127.0.0.1", 0)
        await peer.connect(other)
        hosted = peer._bound()
        await peer.close()
        del peer
        gc.collect()
        assert hosted not in Host.current()._hosted
