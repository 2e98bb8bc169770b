"""Messages in fragments and in order, between real peers on one loop."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

import cicada
from cicada.actors.host import Host
from cicada.aio import SwarmPeer
from cicada.limits import MIB, WIRE, RingLimits
from tests.peer.swarm import eventually, swarm

PATIENCE_S = 60.0
SMALL_TABLES = RingLimits(successors=2, candidates=1, known_peers=10)


def bytes_of(size: int) -> bytes:
    return Random(size).randbytes(size)


async def received(peer: SwarmPeer, count: int) -> list[bytes]:
    return [(await peer.recv(PATIENCE_S)).data for _ in range(count)]


async def test_the_largest_message_arrives_intact() -> None:
    payload = bytes_of(WIRE.max_message)
    async with swarm(4) as peers:
        receipt = await peers[0].send(peers[2], payload, timeout=PATIENCE_S)
        assert (receipt.delivered, receipt.reason) == (True, None)
        assert receipt.hops >= 1
        assert receipt.round_trip_s > 0
        assert await received(peers[2], 1) == [payload]
        assert peers[0].stats().sent == peers[0].stats().delivered == 1


async def test_it_arrives_over_relays_too() -> None:
    payload = bytes_of(4 * MIB)
    peers = [SwarmPeer("127.0.0.1", 0, identity="ephemeral", ring=SMALL_TABLES) for _ in range(24)]
    try:
        for peer in peers[1:]:
            await peer.connect(peers[0], timeout=PATIENCE_S)
        here = min(peers, key=lambda peer: peer.hash)
        for there in sorted(peers, key=lambda peer: peer.hash)[8:]:
            receipt = await here.send(there, payload, timeout=PATIENCE_S)
            assert receipt.delivered
            assert await received(there, 1) == [payload]
            if receipt.hops > 1:
                return
        pytest.fail("every peer was one hop away")
    finally:
        for peer in peers:
            peer.kill()


async def test_a_crash_of_either_router_in_the_middle_costs_nothing_but_time() -> None:
    payload = bytes_of(WIRE.max_message)
    async with swarm(3) as peers:
        host = Host.current()
        for victim in (peers[0], peers[1]):
            sending = asyncio.ensure_future(peers[0].send(peers[1], payload, timeout=PATIENCE_S))

            async def is_under_way() -> bool:
                return host.allowance.used > 2 * MIB

            await eventually(is_under_way, "fragments to arrive")
            victim.crash("router")
            assert (await sending).delivered
            assert await received(peers[1], 1) == [payload]
        assert host.allowance.used == 0


async def test_a_peer_that_ends_in_the_middle_leaves_no_charge() -> None:
    async with swarm(3) as peers:
        host = Host.current()
        receipt = peers[0].send(peers[1], bytes_of(WIRE.max_message), timeout=PATIENCE_S)

        async def is_under_way() -> bool:
            return host.allowance.used > MIB

        await eventually(is_under_way, "fragments to arrive")
        peers[1].kill()
        peers[0].kill()

        async def is_forgotten() -> bool:
            return host.allowance.used == 0

        await eventually(is_forgotten, "its charges to end with it")
        assert not (await receipt).delivered


async def test_a_mailbox_without_room_for_a_large_message_takes_it_when_there_is() -> None:
    payload = bytes_of(WIRE.max_message)
    async with swarm(2) as (one, other):
        receipts = [one.send(other, payload, timeout=PATIENCE_S) for _ in range(4)]
        assert all([(await receipt).delivered for receipt in receipts])
        fifth = one.send(other, payload, timeout=PATIENCE_S)

        async def is_refused() -> bool:
            return other.stats().dropped.get("mailbox-full", 0) > 0

        await eventually(is_refused, "the fifth to be refused")
        assert await received(other, 1) == [payload]
        assert (await fifth).delivered
        assert await received(other, 4) == [payload] * 4


async def test_ordered_messages_of_all_sizes_arrive_as_they_were_sent() -> None:
    payloads = [bytes_of(size) for size in (MIB, 10, 100_000, 1, 0, 40_000, 7)]
    async with swarm(4) as peers:
        receipts = [
            peers[0].send(peers[1], payload, timeout=PATIENCE_S, ordered=True) for payload in payloads
        ]
        assert all([(await receipt).delivered for receipt in receipts])
        assert await received(peers[1], len(payloads)) == payloads


def test_a_program_without_a_loop_sends_them_too() -> None:
    payload = bytes_of(3 * MIB)
    with cicada.SwarmPeer("127.0.0.1", 0) as one, cicada.SwarmPeer("127.0.0.1", 0) as other:
        other.connect(one)
        assert one.send(other, payload, timeout=PATIENCE_S, ordered=True).result(PATIENCE_S).delivered
        assert other.recv(PATIENCE_S).data == payload
