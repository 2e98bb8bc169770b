"""LocalSwarm on real sockets: the ring is right at once, and at the end nothing is left, however the block ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import psutil
import pytest

from cicada import aio
from cicada.errors import DeliveryTimeout, Misuse, NotBound, RingNotReady
from cicada.limits import RING
from cicada.routing.mailstore import MailboxPolicy
from cicada.testing import LocalSwarm
from cicada.testing.proof import prove, wrong


class Broken(Exception):
    """What a test's body raises."""


@pytest.fixture
def no_socket_is_left() -> Iterator[None]:
    before = psutil.Process().net_connections()
    yield
    assert psutil.Process().net_connections() == before


async def test_the_ring_of_a_local_swarm_is_right_when_its_block_begins() -> None:
    async with LocalSwarm(9, seed=1) as swarm:
        assert await wrong(swarm.peers) == []
        ring = sorted(swarm.peers, key=lambda peer: peer.hash)
        for position, peer in enumerate(ring):
            successors = (await peer.snapshot()).successors
            truth = [ring[(position + step) % 9].hash for step in range(1, 9)][: RING.successors]
            assert [other.place for other in successors] == truth


async def test_peers_of_a_swarm_hear_each_other() -> None:
    async with LocalSwarm(3, seed=2) as swarm:
        assert (await swarm[0].send(swarm[2], "hello!")).delivered
        assert (await swarm[2].recv(timeout=5.0)).data == b"hello!"


async def test_a_swarm_may_be_of_one() -> None:
    async with LocalSwarm(1) as swarm:
        await swarm.proven()
        assert len(swarm.peers) == 1


async def test_whoever_is_killed_is_gone_from_the_ring_and_numbers_stay() -> None:
    async with LocalSwarm(6, seed=3) as swarm:
        victim, last = swarm[2], swarm[5]
        await swarm.kill(2)
        assert (swarm[2], swarm[5]) == (victim, last)
        assert victim not in swarm.peers
        assert not victim.bound
        await swarm.kill(last)
        await swarm.proven()
        assert len(swarm.peers) == 4
        with pytest.raises(Misuse, match="not alive"):
            await swarm.kill(2)


async def test_whoever_is_added_is_in_the_ring() -> None:
    async with LocalSwarm(3, seed=4) as swarm:
        added = await swarm.add()
        assert swarm[3] is added
        await swarm.proven()
        assert await wrong(swarm.peers) == []


async def test_a_hidden_peer_can_be_added() -> None:
    async with LocalSwarm(3, seed=4) as swarm:
        hidden = await swarm.add(reachable=False)
        assert hidden.address.startswith("@")
        await swarm.proven()
        assert (await swarm[1].send(hidden, "psst")).delivered


async def test_a_swarm_goes_on_from_its_last_peer() -> None:
    async with LocalSwarm(1) as swarm:
        await swarm.kill(0)
        assert swarm.peers == ()
        await swarm.add()
        await swarm.proven()


async def test_the_same_seed_gives_the_same_places_and_another_gives_others() -> None:
    places = []
    for seed in (5, 5, 6):
        async with LocalSwarm(3, seed=seed) as swarm:
            places.append([peer.hash for peer in swarm.peers])
    assert places[0] == places[1]
    assert not set(places[0]) & set(places[2])


async def test_two_swarms_of_one_seed_live_side_by_side() -> None:
    async with LocalSwarm(2, seed=5) as one, LocalSwarm(2, seed=5) as other:
        assert not {peer.address for peer in one.peers} & {peer.address for peer in other.peers}


async def test_options_reach_every_peer() -> None:
    policy = MailboxPolicy(messages=1, on_full="error")
    async with LocalSwarm(2, seed=7, mailbox=policy) as swarm:
        assert (await swarm[0].send(swarm[1], "first")).delivered
        assert (await swarm[0].send(swarm[1], "second")).reason == "destination's mailbox is full"


async def test_a_ring_that_lacks_a_member_is_not_proven() -> None:
    async with LocalSwarm(3, seed=8) as swarm:
        stranger = aio.SwarmPeer("127.0.0.1", 0)
        try:
            with pytest.raises(DeliveryTimeout, match="4 of 4 peers have wrong neighbours"):
                await prove(lambda: (*swarm.peers, stranger), timeout=0.1)
        finally:
            await stranger.close()


@pytest.mark.usefixtures("no_socket_is_left")
async def test_nothing_is_left_of_a_swarm_whose_body_raised() -> None:
    before = asyncio.all_tasks()
    swarm = LocalSwarm(4, seed=9)
    with pytest.raises(Broken):
        async with swarm:
            raise Broken
    assert asyncio.all_tasks() == before
    assert [peer.bound for peer in (swarm[0], swarm[3])] == [False, False]


async def test_peers_may_leave_by_themselves() -> None:
    async with LocalSwarm(4, seed=9) as swarm:
        await swarm[0].close()
        swarm[1].kill()
        assert swarm.peers == (swarm[2], swarm[3])
        await swarm.proven()
        with pytest.raises(Misuse, match="not alive"):
            await swarm.kill(0)


def test_blocking_peers_may_leave_by_themselves() -> None:
    with LocalSwarm(3, seed=9) as swarm:
        swarm[0].close()
        assert swarm.peers == (swarm[1], swarm[2])
        swarm.proven()


async def test_whoever_waits_for_a_peer_that_is_killed_is_told() -> None:
    async with LocalSwarm(2, seed=9) as swarm:
        waiting = asyncio.create_task(swarm[0].recv())
        await asyncio.sleep(0)
        await swarm.kill(0)
        with pytest.raises(NotBound):
            await waiting


@pytest.mark.usefixtures("no_socket_is_left")
async def test_nothing_is_left_of_a_swarm_that_was_not_proven_in_time() -> None:
    with pytest.raises((DeliveryTimeout, RingNotReady)):
        async with LocalSwarm(12, seed=9, timeout=0.0):
            pytest.fail("twelve peers were one ring at once")


@pytest.mark.usefixtures("no_socket_is_left")
async def test_nothing_is_left_of_a_swarm_that_was_cancelled_while_it_began() -> None:
    beginning = asyncio.ensure_future(LocalSwarm(12, seed=9).start())
    await asyncio.sleep(0.01)
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning


@pytest.mark.usefixtures("no_socket_is_left")
def test_blocking_peers_are_in_one_ring_and_nothing_is_left_of_them() -> None:
    before = set(threading.enumerate())
    with LocalSwarm(5, seed=1) as swarm:
        swarm[0].send(swarm[4], "hello!").result()
        assert swarm[4].recv(timeout=5.0).data == b"hello!"
        swarm.kill(1)
        swarm.kill(swarm[2])
        swarm.add()
        swarm.proven()
        assert len(swarm.peers) == 4
        with pytest.raises(Misuse, match="not alive"):
            swarm.kill(1)
    assert set(threading.enumerate()) == before


@pytest.mark.usefixtures("no_socket_is_left")
def test_nothing_is_left_of_blocking_peers_whose_body_raised() -> None:
    with pytest.raises(Broken), LocalSwarm(3, seed=1):
        raise Broken


def test_blocking_peers_have_the_places_that_asyncio_peers_have() -> None:
    async def places() -> list[int]:
        async with LocalSwarm(3, seed=11) as swarm:
            return [peer.hash for peer in swarm.peers]

    with LocalSwarm(3, seed=11) as swarm:
        blocking = [peer.hash for peer in swarm.peers]
    assert asyncio.run(places()) == blocking


async def test_a_swarm_is_started_once() -> None:
    swarm = await LocalSwarm(1)
    try:
        with pytest.raises(Misuse, match="started before"):
            await swarm
    finally:
        await swarm.end()
        await swarm.end()


@pytest.mark.parametrize("n", [0, -1])
def test_a_swarm_of_nobody_is_refused(n: int) -> None:
    with pytest.raises(Misuse, match="at least one"):
        LocalSwarm(n)


async def test_an_option_that_cannot_be_right_is_refused_at_the_start() -> None:
    with pytest.raises(Misuse, match="there is no hook 'receive'"):
        await LocalSwarm(2, hooks={"receive": print})
