"""Peers that nobody can dial, over real sockets: they enter, send, receive, are broadcast to and look up by members."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest

from cicada.aio import HostPort, Lookup, SwarmPeer
from cicada.chord.io import LookupFailure
from cicada.errors import Misuse, NotBound, RingNotReady
from cicada.ids import is_hidden
from cicada.limits import LODGING, MIB
from tests.peer.swarm import PATIENCE_S, eventually, proven
from tests.peer.test_aio_peer import closed_port


@asynccontextmanager
async def sheltered(members: int, hidden: int) -> AsyncIterator[tuple[list[SwarmPeer], list[SwarmPeer]]]:
    """Members in one proven ring, and hidden peers that lodge with as many of them as they want."""
    peers = [SwarmPeer("127.0.0.1", 0) for _ in range(members)]
    outside = [SwarmPeer("127.0.0.1", 0, reachable=False) for _ in range(hidden)]
    try:
        await asyncio.gather(*(peer.connect(peers[0], timeout=PATIENCE_S) for peer in peers[1:]))
        await proven(peers)
        await asyncio.gather(*(peer.connect(peers[0], timeout=PATIENCE_S) for peer in outside))
        await lodged(outside, min(members, LODGING.relays))
        yield peers, outside
    finally:
        for peer in (*outside, *peers):
            peer.kill()


async def lodged(hidden: Sequence[SwarmPeer], relays: int) -> None:
    """Returns once each has that many relays."""

    async def all_are() -> bool:
        return all(len(peer.peers) == relays for peer in hidden)

    await eventually(all_are, f"{relays} relays")


def relays_of(peer: SwarmPeer, members: Sequence[SwarmPeer]) -> list[SwarmPeer]:
    known = set(peer.peers)
    return [member for member in members if member.listener in known]


async def drain(peer: SwarmPeer, number: int) -> list[bytes]:
    return [(await peer.recv(timeout=5)).data for _ in range(number)]


async def test_a_hidden_peer_is_known_by_its_key_and_sends_and_receives_with_pinned_trust() -> None:
    async with sheltered(5, 1) as (members, (hidden,)):
        assert is_hidden(hidden.address)
        assert hidden.listener == HostPort(hidden.address, 0)
        receipt = await members[3].send(hidden, b"there", require="pinned")
        assert (receipt.delivered, receipt.trust) == (True, "pinned")
        message = await hidden.recv(timeout=5)
        assert (message.source, message.data) == (members[3].listener, b"there")
        assert (await hidden.send(message.source, b"back")).delivered
        answer = await members[3].recv(timeout=5)
        assert (answer.source, answer.data, answer.trust) == (hidden.listener, b"back", "pinned")
        assert (await members[3].send(answer.source, b"to the source")).delivered
        assert (await members[1].send(hidden.address, b"to the text")).delivered
        assert (await members[2].send(hidden.hash, b"to the place")).delivered
        assert sorted(await drain(hidden, 3)) == [b"to the place", b"to the source", b"to the text"]


async def test_two_hidden_peers_send_to_each_other() -> None:
    async with sheltered(5, 2) as (_, (one, other)):
        receipts = [one.send(other, b"%d" % number) for number in range(20)]
        receipts += [other.send(one, b"%d" % number) for number in range(20)]
        await asyncio.gather(*receipts)
        assert all(receipt.delivered and receipt.trust == "pinned" for receipt in receipts)
        for peer in (one, other):
            assert sorted(await drain(peer, 20), key=int) == [b"%d" % number for number in range(20)]


async def test_hidden_peers_are_no_entries_of_the_ring() -> None:
    async with sheltered(5, 3) as (members, hidden):
        await asyncio.gather(*(member.send(peer, b"known") for member in members for peer in hidden))
        await proven(members)
        for member in members:
            assert not any(is_hidden(host) for host, _ in member.peers)
            snapshot = await member.snapshot()
            listed = [*snapshot.successors, *([snapshot.predecessor] if snapshot.predecessor else [])]
            assert not any(is_hidden(peer.address) for peer in listed)


@pytest.mark.parametrize("size", [16 * 1024, 200_000, MIB])
async def test_large_payloads_arrive_whole_in_both_directions(size: int) -> None:
    payload = Random(size).randbytes(size)
    async with sheltered(4, 2) as (members, (one, other)):
        receipts = [
            members[2].send(one, payload, timeout=30.0),
            one.send(members[2], payload, timeout=30.0),
            one.send(other, payload, timeout=30.0),
        ]
        await asyncio.gather(*receipts)
        assert [receipt.delivered for receipt in receipts] == [True] * 3
        for peer in (one, members[2], other):
            assert (await peer.recv(timeout=5)).data == payload


async def test_ordered_messages_come_in_order() -> None:
    async with sheltered(4, 2) as (_, (one, other)):
        receipts = [one.send(other, b"%d" % number, ordered=True) for number in range(100)]
        await asyncio.gather(*receipts)
        assert all(receipt.delivered for receipt in receipts)
        assert await drain(other, 100) == [b"%d" % number for number in range(100)]


async def test_a_relay_that_dies_while_messages_flow_costs_none_of_them() -> None:
    async with sheltered(7, 2) as (members, (one, other)):
        sender = next(member for member in members if member not in relays_of(one, members))
        pairs = [(sender, one), (one, sender), (one, other), (other, one)]
        receipts = []
        victim = relays_of(one, members)[0]
        for number in range(60):
            if number == 20:
                victim.kill()
            receipts += [source.send(target, b"%d" % number, timeout=20.0) for source, target in pairs]
            await asyncio.sleep(0)
        await asyncio.gather(*receipts)
        assert [receipt.reason for receipt in receipts if not receipt.delivered] == []
        for peer, number in ((one, 120), (sender, 60), (other, 60)):
            got = await drain(peer, number)
            assert sorted(got, key=int) == sorted(
                (b"%d" % (each * 60 // number) for each in range(number)), key=int
            )
        await lodged([one, other], LODGING.relays)
        assert victim.listener not in one.peers


async def test_when_all_relays_die_it_is_reached_again() -> None:
    async with sheltered(8, 1) as (members, (hidden,)):
        sender = next(member for member in members if member not in relays_of(hidden, members))
        assert (await sender.send(hidden, b"before")).delivered
        for relay in relays_of(hidden, members):
            relay.kill()
        assert (await sender.send(hidden, b"after", timeout=15.0)).delivered
        assert await drain(hidden, 2) == [b"before", b"after"]


@pytest.mark.parametrize("kind", ["transport", "ring", "router", "crypto"])
async def test_a_crashed_actor_of_a_hidden_peer_restarts_and_it_is_reached_as_before(kind: str) -> None:
    async with sheltered(5, 2) as (members, (victim, other)):
        address = victim.address
        receipts = [members[number % 5].send(victim, b"to %d" % number, timeout=20.0) for number in range(25)]
        receipts += [victim.send(other, b"from %d" % number, timeout=20.0) for number in range(25)]
        victim.crash(kind)

        async def restarted() -> bool:
            return victim.stats().restarts >= 1

        await eventually(restarted, "a restart")
        await asyncio.gather(*receipts)
        bad = {receipt.reason for receipt in receipts if not receipt.delivered}
        assert bad <= {"unknown: peer restarted"}
        got = await drain(victim, sum(receipt.delivered for receipt in receipts[:25]))
        assert len(set(got)) == len(got), "delivered twice"
        await lodged([victim], LODGING.relays)
        assert victim.address == address
        assert (await members[0].send(victim, b"again", timeout=20.0)).delivered
        assert (await victim.send(members[0], b"again", timeout=20.0)).delivered


@pytest.mark.parametrize("kind", ["transport", "ring", "router", "crypto"])
async def test_a_crashed_actor_of_a_relay_does_not_cut_its_lodgers_off(kind: str) -> None:
    async with sheltered(4, 1) as (members, (hidden,)):
        relay = relays_of(hidden, members)[0]
        sender = next(member for member in members if member is not relay)
        relay.crash(kind)
        receipts = [sender.send(hidden, b"%d" % number, timeout=20.0) for number in range(10)]
        receipts += [hidden.send(sender, b"%d" % number, timeout=20.0) for number in range(10)]
        await asyncio.gather(*receipts)
        assert all(receipt.delivered for receipt in receipts)


async def test_broadcasts_reach_hidden_peers_and_come_from_them() -> None:
    async with sheltered(5, 2) as (members, hidden):
        await members[1].broadcast(b"from a member")
        for peer in (*members[2:], *hidden):
            message = await peer.recv(timeout=10)
            assert (message.data, message.source) == (b"from a member", members[1].listener)
        await hidden[0].broadcast(b"from behind")
        for peer in (*members, hidden[1]):
            if peer is members[0]:
                await peer.recv(timeout=10)
            message = await peer.recv(timeout=10)
            assert (message.data, message.source) == (b"from behind", hidden[0].listener)


async def test_a_hidden_peer_looks_up_like_a_member() -> None:
    async with sheltered(6, 1) as (members, (hidden,)):
        for value in (members[3], b"some text", members[4].address):
            mine, theirs = await hidden.lookup(value), await members[1].lookup(value)
            assert isinstance(mine, Lookup)
            assert isinstance(theirs, Lookup)
            assert (mine.owner, mine.place) == (theirs.owner, theirs.place)
            assert mine.route[0] == hidden.listener
        nobody = await members[1].lookup(hidden)
        assert isinstance(nobody, Lookup)
        assert not is_hidden(nobody.owner.host)


async def test_stats_count_what_a_hidden_peer_sends_and_gets() -> None:
    async with sheltered(3, 1) as (members, (hidden,)):
        await hidden.send(members[1], b"one")
        await members[1].send(hidden, b"two")
        stats = hidden.stats()
        assert (stats.sent, stats.delivered, stats.failed, stats.restarts) == (1, 1, 0, 0)
        assert stats.refused == {}


async def test_who_disconnects_is_reached_no_more_and_can_enter_again() -> None:
    async with sheltered(4, 1) as (members, (hidden,)):
        assert (await members[1].send(hidden, b"before")).delivered
        await hidden.disconnect()
        assert hidden.peers == ()
        assert await hidden.lookup(b"text") is LookupFailure.NOT_MEMBER
        assert not (await hidden.send(members[1], b"nobody passes it on", timeout=0.5)).delivered
        await hidden.connect(members[2])
        assert (await members[1].send(hidden, b"after", timeout=20.0)).delivered
        assert (await hidden.send(members[1], b"after", timeout=20.0)).delivered


async def test_who_closes_keeps_its_mail_and_nobody_reaches_it() -> None:
    async with sheltered(4, 1) as (members, (hidden,)):
        assert (await members[1].send(hidden, b"mail")).delivered
        await hidden.close()
        assert (await hidden.recv(timeout=1)).data == b"mail"
        with pytest.raises(NotBound):
            hidden.send(members[1], b"too late")
        receipt = await members[1].send(hidden, b"nobody there", timeout=1.0)
        assert not receipt.delivered


async def test_nobody_enters_by_a_hidden_peer_or_waits_for_nobody() -> None:
    async with sheltered(3, 1) as (members, (hidden,)):
        newcomer = SwarmPeer("127.0.0.1", 0, reachable=False)
        try:
            for target in (hidden, hidden.address):
                with pytest.raises(Misuse, match="connect to a member"):
                    await newcomer.connect(target)
            with pytest.raises(RingNotReady, match=r"cannot be reached|did not answer"):
                await newcomer.connect(("127.0.0.1", closed_port()), timeout=1.0)
            await newcomer.connect(members[1])
            assert (await newcomer.send(hidden, b"late but here", timeout=20.0)).delivered
        finally:
            newcomer.kill()


async def test_a_hidden_peer_has_keys_or_is_none() -> None:
    with pytest.raises(Misuse, match="known by its key"):
        SwarmPeer("127.0.0.1", 0, reachable=False, encrypt=False)
