"""Peers that come back under an address that others may still list, and waiting that is given up."""

from __future__ import annotations

import asyncio

import pytest

from cicada.aio import Lookup, SwarmPeer
from cicada.chord.io import LookupFailure
from tests.peer.swarm import proven, swarm


async def test_a_peer_that_comes_back_as_a_ring_of_one_does_not_tear_the_ring_it_was_in() -> None:
    async with swarm(8) as peers:
        victim = peers.pop(3)
        victim.kill()
        returned = SwarmPeer(*victim.listener)
        peers_before = list(peers)
        try:
            await proven(peers_before)
            await returned.connect(peers[0])
            peers.append(returned)
            await proven(peers)
            assert (await peers[1].send(returned, b"welcome back")).delivered
        finally:
            returned.kill()


async def test_a_peer_bound_without_a_ring_answers_nothing_until_it_creates_one() -> None:
    async with SwarmPeer() as waiting, SwarmPeer("127.0.0.1", 0) as other:
        waiting.bind(create=False)
        assert await waiting.lookup("x") is LookupFailure.NOT_MEMBER
        waiting.create()
        found = await waiting.lookup("x")
        assert isinstance(found, Lookup)
        assert found.owner == waiting.listener
        await other.connect(waiting)
        await proven([waiting, other])


async def test_giving_up_waiting_for_a_receipt_leaves_it_to_settle() -> None:
    async with swarm(2) as (a, b):
        receipt = a.send(b, b"x")
        waiting = asyncio.ensure_future(receipt)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await receipt).delivered
