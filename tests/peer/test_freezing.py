"""A frozen peer is silent and loses nothing; its ring closes around it, and takes it back when it is thawed."""

from __future__ import annotations

import asyncio

import pytest

from cicada.aio import SwarmPeer
from cicada.errors import DeliveryTimeout, NotBound
from tests.peer.swarm import PATIENCE_S, proven, swarm


async def test_a_frozen_peer_answers_nothing_and_then_what_was_asked_meanwhile() -> None:
    async with swarm(3) as (frozen, a, b):
        frozen.trial.freeze()
        assert frozen.trial.is_frozen
        receipt = a.send(frozen, b"late")
        assert (await a.send(b, b"on time")).delivered
        with pytest.raises(DeliveryTimeout):
            await frozen.snapshot(timeout=0.3)
        assert frozen.peek is None
        frozen.trial.thaw()
        assert (await receipt).delivered
        assert (await frozen.recv(timeout=PATIENCE_S)).data == b"late"


async def test_the_clock_of_a_frozen_peer_stands_still_so_its_own_deadlines_do_not_pass() -> None:
    async with swarm(3) as (frozen, a, b):
        frozen.trial.freeze()
        receipt = frozen.send(a, b"sent in its sleep", timeout=0.4)
        waited = b.send(frozen, b"x", timeout=0.6)
        assert not (await waited).delivered
        frozen.trial.thaw()
        assert (await receipt).delivered


async def test_a_ring_closes_around_a_frozen_peer_and_takes_it_back_when_it_is_thawed() -> None:
    async with swarm(6) as peers:
        frozen, *others = peers
        frozen.trial.freeze()
        await proven(others)
        frozen.trial.thaw()
        await proven(peers)
        for peer in others:
            assert (await peer.send(frozen, b"welcome back")).delivered


@pytest.mark.parametrize("graceful", [False, True])
async def test_ending_a_frozen_peer_ends_it(graceful: bool) -> None:
    async with swarm(3) as (a, b, c):
        c.trial.freeze()
        if graceful:
            async with asyncio.timeout(PATIENCE_S):
                await c.close(timeout=0.5)
        else:
            c.kill()
        await proven([a, b])


async def test_a_peer_that_is_not_bound_cannot_be_frozen() -> None:
    with pytest.raises(NotBound):
        SwarmPeer().trial.freeze()
