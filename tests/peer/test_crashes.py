"""Crashes inside a peer: supervision brings the actor back, and nobody else notices."""

from __future__ import annotations

import asyncio

import pytest

from cicada.aio import SwarmPeer
from cicada.errors import NotBound
from cicada.events import AnyEvent, ChildRestarted, Escalated
from cicada.limits import SUPERVISION
from tests.peer.swarm import eventually, proven, swarm


async def restarted(peer: SwarmPeer, times: int) -> None:
    async def counted() -> bool:
        return peer.stats().restarts >= times

    await eventually(counted, f"{times} restarts")


@pytest.mark.parametrize("kind", ["transport", "ring", "router", "crypto"])
async def test_a_crashed_actor_restarts_and_the_peer_keeps_its_place_and_its_messages(kind: str) -> None:
    async with swarm(10) as peers:
        victim = peers[4]
        receipts = [peers[i % 10].send(victim, b"to %d" % i) for i in range(50)]
        receipts += [victim.send(peers[(i + 1) % 10], b"from %d" % i) for i in range(50)]
        victim.crash(kind)
        await restarted(victim, 1)
        await asyncio.gather(*receipts)
        await proven(peers)
        assert all(receipt.delivered or receipt.reason == "unknown: peer restarted" for receipt in receipts)
        waiting = sum(receipt.delivered for receipt in receipts[:50]) + 5  # 5 of its own went to itself
        got = [(await victim.recv(timeout=1)).data for _ in range(waiting)]
        assert len(set(got)) == len(got), "delivered twice"
        assert (await peers[0].send(victim, b"again")).delivered
        assert (await victim.send(peers[0], b"again")).delivered


async def test_a_crash_loop_escalates_and_ends_the_peer_without_spinning() -> None:
    events: list[AnyEvent] = []
    peer = SwarmPeer("127.0.0.1", 0, publish=lambda name, event: events.append(event))
    receipt = None
    for crash in range(SUPERVISION.max_restarts + 1):
        receipt = peer.send(("127.0.0.1", 9), b"never")
        peer.crash("router")
        if crash < SUPERVISION.max_restarts:
            await restarted(peer, crash + 1)

    async def ended() -> bool:
        return not peer.bound

    await eventually(ended, "the peer to be given up")
    assert "router" in peer.failed
    assert [type(event) for event in events].count(Escalated) == 1
    assert [type(event) for event in events].count(ChildRestarted) == SUPERVISION.max_restarts
    assert receipt is not None
    assert (await receipt).status == "failed"
    with pytest.raises(NotBound, match="kept failing"):
        peer.send(("127.0.0.1", 9), b"x")


async def test_a_crash_of_each_actor_in_turn_leaves_a_small_ring_whole() -> None:
    async with swarm(2) as (a, b):
        for times, kind in enumerate(("ring", "transport", "router"), 1):
            a.crash(kind)
            await restarted(a, times)
            await proven([a, b])
            assert (await b.send(a, kind)).delivered


async def test_killing_one_peer_fails_its_pending_receipts_and_not_the_others() -> None:
    async with swarm(4) as peers:
        doomed = peers.pop()
        pending = doomed.send(("127.0.0.1", 9), b"x")
        doomed.kill()
        assert (await pending).reason == "this peer was closed"
        await proven(peers)
