"""Applications in virtual time: the same seed gives the same run, hours take seconds, and what needs the world is refused."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import cicada
from cicada import aio
from cicada.actors.base import BlockingActor
from cicada.actors.host import Host
from cicada.actors.platform import platform_of
from cicada.errors import DeliveryTimeout, Misuse
from cicada.ids import canonical_address
from cicada.keys.store import identity_for, identity_path
from cicada.testing import LocalSwarm, network, virtual
from tests.testing.rehearsal import rehearse

ROOT = Path(__file__).parent.parent.parent
HOUR_S = 3600.0
PATIENCE_S = 60.0  # real seconds for what takes two


class Broken(Exception):
    """What a program raises."""


def digest(seed: int, hash_seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.testing.rehearsal", str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return done.stdout


def test_one_seed_gives_the_same_events_at_the_same_moments_in_two_processes() -> None:
    assert digest(seed=3, hash_seed=1) == digest(seed=3, hash_seed=2)


def test_one_seed_gives_the_same_events_again_in_one_process_and_another_seed_gives_others() -> None:
    first = rehearse(4)
    assert any("PeerStopped" in line for line in first)
    assert rehearse(4) == first
    assert rehearse(5) != first


def test_an_hour_of_a_swarm_in_which_peers_die_takes_seconds() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with LocalSwarm(6, seed=1) as swarm:
            while loop.time() < HOUR_S:
                await swarm.kill(swarm.peers[0])
                await swarm.add()
                await swarm.proven()
                await asyncio.sleep(600.0)
            assert (await swarm.peers[0].send(swarm.peers[-1], "still here")).delivered
        return loop.time()

    began = time.monotonic()
    assert virtual(main, timeout=2 * HOUR_S) >= HOUR_S
    assert time.monotonic() - began < PATIENCE_S


def test_what_main_returns_is_returned_and_what_it_raises_is_raised() -> None:
    async def returns() -> str:
        return "done"

    async def raises() -> None:
        raise Broken

    async def times_out() -> None:
        raise TimeoutError("of its own")

    assert virtual(returns) == "done"
    with pytest.raises(Broken):
        virtual(raises)
    with pytest.raises(TimeoutError, match="of its own"):
        virtual(times_out)


def test_a_main_that_hangs_is_ended_when_its_virtual_time_is_over() -> None:
    async def main() -> None:
        async with LocalSwarm(1) as swarm:
            await swarm[0].recv()

    with pytest.raises(DeliveryTimeout, match="not done after 30 virtual seconds"):
        virtual(main, timeout=30.0)


def test_peers_and_tasks_that_main_leaves_are_ended(caplog: pytest.LogCaptureFixture) -> None:
    left: list[object] = []

    async def main() -> None:
        peer = aio.SwarmPeer("127.0.0.1", 5000)
        left.extend((peer, asyncio.create_task(peer.recv()), Host.of(asyncio.get_running_loop())))
        await asyncio.sleep(1.0)

    virtual(main)
    peer, task, host = left
    assert isinstance(peer, aio.SwarmPeer)
    assert not peer.bound
    assert isinstance(task, asyncio.Task)
    assert task.cancelled()
    assert isinstance(host, Host)
    assert Host.of(host.loop) is None
    left.clear()
    del peer, task, host
    gc.collect()  # an exception that nobody retrieved is logged by then
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_no_socket_is_opened_and_no_thread_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    async def main() -> int:
        async with LocalSwarm(3) as swarm:
            assert (await swarm[0].send(swarm[1], "hello!")).delivered
            return threading.active_count()

    before = threading.active_count()
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "socketpair", refuse)
    assert virtual(main) == before


async def seconds_for_a_message(one: aio.SwarmPeer, other: aio.SwarmPeer) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await one.send(other, "hello!", timeout=60.0)).delivered
    return loop.time() - began


def test_latency_is_what_was_asked_for_each_way() -> None:
    async def main() -> list[float]:
        async with LocalSwarm(2) as swarm:
            found = [await seconds_for_a_message(swarm[0], swarm[1])]
            network().everywhere(latency=0.5)
            found.append(await seconds_for_a_message(swarm[0], swarm[1]))
            network().everywhere()
            await asyncio.sleep(1.0)
            found.append(await seconds_for_a_message(swarm[0], swarm[1]))
        return found

    before, slow, after = virtual(main)
    assert before < 0.05
    assert 1.0 <= slow < 1.1
    assert after < 0.05


def test_latency_holds_between_those_that_were_named_and_for_no_others() -> None:
    async def main() -> tuple[float, float]:
        async with LocalSwarm(3) as swarm:
            await asyncio.gather(swarm[1].send(swarm[0], "known"), swarm[0].send(swarm[2], "known"))
            network().between(swarm[0], swarm[1], latency=0.4)
            return (
                await seconds_for_a_message(swarm[1], swarm[0]),
                await seconds_for_a_message(swarm[0], swarm[2]),
            )

    slow, fast = virtual(main)
    assert slow >= 0.8
    assert fast < 0.05


def test_latency_that_was_asked_for_first_is_that_of_peers_that_come_later() -> None:
    async def main() -> float:
        async with LocalSwarm(2) as swarm:
            late = await swarm.add()
            await swarm.proven()
            return await seconds_for_a_message(swarm[0], late)

    assert virtual(main, latency=0.3) >= 0.6


def test_messages_that_are_lost_are_sent_again() -> None:
    async def main() -> tuple[int, int]:
        async with LocalSwarm(4, seed=1) as swarm:
            receipts = [swarm[0].send(swarm[number % 3 + 1], f"{number}") for number in range(60)]
            settled = [await receipt for receipt in receipts]
        return sum(receipt.delivered for receipt in settled), sum(receipt.attempts for receipt in settled)

    delivered, attempts = virtual(main, loss=0.05, seed=1)
    assert delivered == 60
    assert attempts > 60


def test_a_cut_keeps_halves_apart_until_it_is_healed() -> None:
    async def main() -> tuple[str | None, bool]:
        async with LocalSwarm(6, seed=1) as swarm:
            network().between(swarm.peers[:3], swarm.peers[3:], cut=True)
            across = await swarm[0].send(swarm[5], "hello?", timeout=1.0)
            network().heal()
            await swarm.proven()
            return across.reason, (await swarm[0].send(swarm[5], "hello!")).delivered

    reason, delivered = virtual(main)
    assert reason
    assert delivered


def test_addresses_names_and_hidden_peers_are_as_elsewhere() -> None:
    async def main() -> None:
        async with aio.SwarmPeer("10.0.0.1", 5000) as one, aio.SwarmPeer("10.0.0.2", 5000) as other:
            await other.connect("10.0.0.1", 5000)
            assert (await one.send(("10.0.0.2", 5000), "over there")).delivered
        async with aio.SwarmPeer("127.0.0.1", 5000) as member:
            hidden = aio.SwarmPeer("127.0.0.1", 0, reachable=False)
            await hidden.connect("localhost", 5000)
            assert (await member.send(hidden, "psst")).delivered
            with pytest.raises(Misuse, match="cannot be resolved"):
                await member.connect("example.org", 5000)
            await hidden.close()

    virtual(main)


def test_a_lasting_address_keeps_its_keys_for_a_run_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[str]:
        source = platform_of(asyncio.get_running_loop()).key_source
        kinds = [("persistent", 5000), ("persistent", 5000), ("persistent", 5001), ("ephemeral", 5000)]
        for _, port in kinds[:3]:
            async with aio.SwarmPeer("127.0.0.1", port):
                pass
        addresses = [(kind, canonical_address("127.0.0.1", port)) for kind, port in kinds]
        return [source(kind, None, is_lasting=True)(at).identity.peer_id for kind, at in addresses]

    monkeypatch.setenv("CICADA_STATE", str(tmp_path))
    first, again, *others = virtual(main)
    assert first == again
    assert len({first, *others}) == 3
    assert list(tmp_path.iterdir()) == []


def test_an_identity_that_is_named_is_read_and_its_pins_are_not_written(tmp_path: Path) -> None:
    address = canonical_address("127.0.0.1", 5000)
    identity = identity_for(address, tmp_path)
    file = identity_path(address, tmp_path)
    before = sorted(tmp_path.iterdir())

    async def main() -> str:
        async with (
            aio.SwarmPeer("127.0.0.1", 5000, identity=file, reachable=False) as hidden,
            aio.SwarmPeer("127.0.0.1", 5001) as other,
        ):
            await hidden.connect(other)
            assert (await hidden.send(other, "it is me")).delivered
            return hidden.address

    assert virtual(main) == f"@{identity.peer_id}"
    assert sorted(tmp_path.iterdir()) == before


class Waiting(BlockingActor):
    """An actor on a thread."""


async def a_hook() -> None:
    aio.SwarmPeer("127.0.0.1", 5000, hooks={"recv": print})


async def a_sync_peer() -> None:
    cicada.SwarmPeer("127.0.0.1", 5000)


async def a_blocking_actor() -> None:
    Waiting.start()


async def a_thread() -> None:
    await asyncio.to_thread(time.monotonic)


async def a_connection() -> None:
    await asyncio.open_connection("127.0.0.1", 80)


async def a_server() -> None:
    await asyncio.start_server(print, "127.0.0.1", 80)


async def a_process() -> None:
    await asyncio.create_subprocess_exec("true")


async def a_reader() -> None:
    asyncio.get_running_loop().add_reader(0, print)


async def another_virtual_time() -> None:
    virtual(a_hook)


@pytest.mark.parametrize(
    "main",
    [
        a_hook,
        a_sync_peer,
        a_blocking_actor,
        a_thread,
        a_connection,
        a_server,
        a_process,
        a_reader,
        another_virtual_time,
    ],
)
def test_what_needs_a_thread_or_the_world_outside_is_refused(main: Callable[[], Awaitable[None]]) -> None:
    before = set(threading.enumerate())

    async def tried() -> None:
        with pytest.raises(Misuse):
            await main()
        assert Host.of(asyncio.get_running_loop()) is None

    virtual(tried)
    assert set(threading.enumerate()) == before


def test_a_thread_that_calls_into_virtual_time_is_told_that_it_must_not() -> None:
    told: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def call() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except Misuse as error:
                told.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    virtual(main)
    assert len(told) == 1
    assert "another thread" in told[0]


def test_there_is_no_network_to_be_changed_elsewhere() -> None:
    async def main() -> None:
        network()

    for call in (network, lambda: asyncio.run(main())):
        with pytest.raises(Misuse, match="within virtual"):
            call()


@pytest.mark.parametrize(
    ("latency", "jitter", "loss"),
    [(-0.1, 0.0, 0.0), (float("inf"), 0.0, 0.0), (0.0, float("nan"), 0.0), (0.0, 0.0, 1.1), (0.0, 0.0, -1.0)],
)
def test_a_network_that_cannot_be_is_refused(latency: float, jitter: float, loss: float) -> None:
    async def main() -> None:
        return

    with pytest.raises(Misuse):
        virtual(main, latency=latency, jitter=jitter, loss=loss)
