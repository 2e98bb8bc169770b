"""Channels of real peers: everybody in a channel gets what is said there, once, and nobody else does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from cicada import peer as sync
from cicada.actors.services import ServiceMail
from cicada.aio import Channel, HostPort, Lookup, SwarmPeer
from cicada.embedding.underway import Underway
from cicada.errors import DeliveryTimeout, Misuse, NotBound, PayloadTooLarge
from cicada.ids import Address, peer_at
from cicada.limits import CHANNEL, SERVICE
from cicada.nat.reachability import Become
from cicada.services.channelssigned import place_of_channel
from cicada.testing import LocalSwarm, network, virtual
from cicada.wire.channels import Detach, encode_channel
from cicada.wire.services import Service
from tests.peer.moving import decide
from tests.peer.swarm import PATIENCE_S, eventually, swarm

PEERS = 6


@pytest.fixture
async def peers() -> AsyncIterator[list[SwarmPeer]]:
    async with swarm(PEERS) as peers:
        yield peers


async def joined(peers: Sequence[SwarmPeer], name: str = "#general") -> list[Channel]:
    channels = [peer.channel(name) for peer in peers]
    for channel in channels:
        await channel.join(PATIENCE_S)
    return channels


async def said(channel: Channel, count: int) -> list[tuple[object, bytes]]:
    messages = [await channel.recv(PATIENCE_S) for _ in range(count)]
    return [(message.source, message.data) for message in messages]


async def test_every_member_gets_what_others_publish_once_and_in_order(peers: list[SwarmPeer]) -> None:
    channels = await joined(peers[:5])
    for number in range(5):
        assert await channels[number % 2].publish(f"message {number}") >= 1
    first, second = peers[0].listener, peers[1].listener
    for channel in channels[2:]:
        heard = await said(channel, 5)
        assert [data for source, data in heard if source == first] == [
            b"message 0",
            b"message 2",
            b"message 4",
        ]
        assert [data for source, data in heard if source == second] == [b"message 1", b"message 3"]
    assert [data for _, data in await said(channels[0], 2)] == [b"message 1", b"message 3"]
    assert len(await said(channels[1], 3)) == 3
    await channels[4].publish(b"the end")
    for channel in channels[:4]:
        assert [data for _, data in await said(channel, 1)] == [b"the end"], "nothing came twice"
        assert channel.missed == 0
    assert peers[5].peek is None


async def test_messages_are_signed_and_say_who_published_them(peers: list[SwarmPeer]) -> None:
    one, other = await joined(peers[:2], "#signed")
    await one.publish(b"mine")
    message = await other.recv(PATIENCE_S)
    assert (message.channel, message.source, message.number) == ("#signed", peers[0].listener, 1)
    assert len(message.peer_id) == 64
    await peers[1].send(message.source, b"to you alone")
    assert (await peers[0].recv(PATIENCE_S)).data == b"to you alone"


async def test_members_go_on_when_the_root_of_the_tree_dies(peers: list[SwarmPeer]) -> None:
    channels = await joined(peers)
    found = await peers[0].lookup(place_of_channel("#general"))
    assert isinstance(found, Lookup)
    survivors = [
        channel for peer, channel in zip(peers, channels, strict=True) if peer.listener != found.owner
    ]
    assert len(survivors) == PEERS - 1
    next(peer for peer in peers if peer.listener == found.owner).kill()
    await survivors[0].publish(b"still here")
    for channel in survivors[1:]:
        assert [data for _, data in await said(channel, 1)] == [b"still here"]


async def test_who_left_hears_nothing_more_and_may_come_back(peers: list[SwarmPeer]) -> None:
    stays, leaves = await joined(peers[:2])
    leaves.leave()
    leaves.leave()
    await stays.publish(b"unheard")
    with pytest.raises(NotBound):
        await leaves.recv(PATIENCE_S)
    with pytest.raises(NotBound):
        await leaves.publish(b"not a member")
    async with peers[1].channel("#general") as again:
        await stays.publish(b"heard")
        heard = (await again.recv(PATIENCE_S)).data
        if heard == b"unheard":  # what was said in the moments before joining may come too
            heard = (await again.recv(PATIENCE_S)).data
        assert heard == b"heard"


async def test_a_block_that_could_not_join_leaves_no_member_behind(
    peers: list[SwarmPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Channel, "note", lambda channel, *, connected: None)  # it never hears of its place
    channel = peers[0].channel("#general")
    entering = asyncio.create_task(channel.__aenter__())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    with pytest.raises(NotBound):
        await channel.publish(b"not a member")
    assert peers[0].channel("#general") is not channel


async def test_who_is_there_becomes_known(peers: list[SwarmPeer]) -> None:
    channels = await joined(peers[:4])
    expected = {peer.listener for peer in peers[:4]}

    async def everybody_knows() -> bool:
        return all(set(channel.members) == expected for channel in channels)

    await eventually(everybody_knows, "members to know each other")


async def test_leaving_a_channel_ends_its_iterator(peers: list[SwarmPeer]) -> None:
    one, other = await joined(peers[:2])
    heard: list[bytes] = []

    async def listen() -> None:
        async for message in other:
            heard.append(message.data)
            other.leave()

    listening = asyncio.create_task(listen())
    await one.publish(b"the only one")
    await asyncio.wait_for(listening, PATIENCE_S)
    assert heard == [b"the only one"]


async def test_what_a_busy_peer_cannot_take_over_it_refuses(peers: list[SwarmPeer]) -> None:
    await joined(peers[:1])
    services = peers[0]._bound().services
    mail = ServiceMail(
        source=peer_at(peers[1].address),
        peer_id="",
        trust="unverified",
        id=1,
        payload=encode_channel(Detach(channel="#general")),
    )
    taken = [services.give(Service.CHANNEL, mail) for _ in range(SERVICE.waiting + 50)]
    assert taken == [True] * SERVICE.waiting + [False] * 50


@pytest.mark.parametrize("way", ["block", "error", "close", "carried"])
def test_the_last_word_before_a_member_goes_is_heard_though_some_is_lost(way: str) -> None:
    words = [b"bye %d" % number for number in range(20)]

    async def speak(peer: SwarmPeer, word: bytes) -> None:
        channel = peer.channel("#general")
        await channel.join(PATIENCE_S)
        if way in ("block", "error"):
            with contextlib.suppress(RuntimeError):
                async with channel:
                    await channel.publish(word)
                    if way == "error":
                        raise RuntimeError
        else:
            await channel.publish(word)
            if way == "carried":  # who has just become the root is soon found by the one before
                await channel.carried(PATIENCE_S)
        await peer.close()

    async def main() -> list[bytes]:
        async with LocalSwarm(4, seed=2) as swarm:
            stays, _ = await joined(swarm.peers[:2])
            network().everywhere(latency=0.05, loss=0.1)
            for word in words:
                await speak(await swarm.add(), word)
            network().everywhere(latency=0.05)
            return [data for _, data in await said(stays, len(words))]

    assert sorted(virtual(main, seed=1)) == sorted(words)


async def test_a_block_that_is_cancelled_is_left_at_once(
    peers: list[SwarmPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = await joined(peers[:2], "#other")
    monkeypatch.setattr(Underway, "carried", lambda *_: None)  # nobody ever has anything
    entered = asyncio.Event()

    async def speak() -> None:
        async with peers[0].channel("#general") as channel:
            await channel.publish(b"hello")
            entered.set()
            await asyncio.Event().wait()

    speaking = asyncio.create_task(speak())
    await entered.wait()
    speaking.cancel()
    await asyncio.wait([speaking], timeout=CHANNEL.carried / 2)
    assert speaking.cancelled()
    await one.publish(b"hello")
    with pytest.raises(DeliveryTimeout):
        await one.carried(0.1)
    waiting = asyncio.create_task(one.carried(PATIENCE_S))
    await asyncio.sleep(0)
    one.leave()
    with pytest.raises(NotBound):
        await waiting


def test_a_member_that_moves_again_and_again_misses_nothing_and_is_missed_by_nobody() -> None:
    spoken, moves = 100, 3

    async def main() -> tuple[list[list[tuple[HostPort, bytes]]], int]:
        network().everywhere(latency=0.05, jitter=0.02)
        peers = [SwarmPeer(f"10.0.{number}.1", 5000) for number in range(5)]
        for peer in peers[1:]:
            await peer.connect(peers[0])
        stays, hears, moves_about = channels = await joined(peers[:3])
        heard: list[list[tuple[HostPort, bytes]]] = [[], []]

        async def listen(index: int) -> None:
            async for message in (hears, moves_about)[index]:
                heard[index].append((message.source, message.data))

        listening = [asyncio.create_task(listen(index)) for index in range(2)]
        for number in range(spoken):
            await stays.publish(b"%d" % number)
            await moves_about.publish(b"own %d" % number)
            if number % 30 == 15:
                decide(peers[2], Become(Address(f"10.0.9.{number}:5000")))
            await asyncio.sleep(0.2)
        await asyncio.sleep(40.0)
        for task in listening:
            task.cancel()
        for peer in peers:
            peer.kill()
        return heard, sum(channel.missed for channel in channels)

    heard, missed = virtual(main, seed=1)
    said_by_one = [b"%d" % number for number in range(spoken)]
    by_mover = [data for _, data in heard[0] if data.startswith(b"own")]
    assert [data for _, data in heard[0] if not data.startswith(b"own")] == said_by_one
    assert by_mover == [b"own %d" % number for number in range(spoken)]
    assert [data for _, data in heard[1]] == said_by_one
    assert len({source for source, data in heard[0] if data.startswith(b"own")}) == 1 + moves
    assert missed == 0


@pytest.mark.parametrize("how", ["closed", "failed"])
async def test_whoever_reads_a_channel_hears_that_its_peer_has_ended(
    peers: list[SwarmPeer], how: str
) -> None:
    one, other = await joined(peers[:2])
    is_heard = asyncio.Event()

    async def listen() -> None:
        async for message in other:
            assert message.data == b"before"
            is_heard.set()

    iterating = asyncio.create_task(listen())
    waiting = asyncio.create_task(peers[1].channel("#second").join(PATIENCE_S))
    await one.publish(b"before")
    await asyncio.wait_for(is_heard.wait(), PATIENCE_S)
    reading = asyncio.create_task(other.recv(None))
    await waiting
    if how == "closed":
        await peers[1].close()
    else:
        peers[1]._bound()._on_family_failed("of a test")
    await asyncio.wait_for(iterating, PATIENCE_S)
    reason = "closed" if how == "closed" else "of a test"
    with pytest.raises(NotBound, match=reason):
        await asyncio.wait_for(reading, PATIENCE_S)
    for verb in (other.publish(b"late"), other.recv(1.0), other.carried(1.0), other.join(1.0)):
        with pytest.raises(NotBound, match=reason):
            await verb
    other.leave()
    other.leave()


async def test_joining_ends_with_the_peer(peers: list[SwarmPeer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Channel, "note", lambda channel, *, connected: None)  # it never hears of its place
    joining = asyncio.create_task(peers[0].channel("#general").join(PATIENCE_S * 10))
    await asyncio.sleep(0)
    await peers[0].close()
    with pytest.raises(NotBound, match="closed"):
        await asyncio.wait_for(joining, PATIENCE_S)


def test_what_came_before_the_peer_ended_can_still_be_read() -> None:
    async def main() -> bytes:
        async with LocalSwarm(3, seed=1) as swarm:
            one, other = await joined(swarm.peers[:2])
            await one.publish(b"before")
            await asyncio.sleep(1.0)
            await swarm[1].close()
            message = (await other.recv(None)).data
            with pytest.raises(NotBound):
                await other.recv(None)
            return message

    assert virtual(main, seed=1) == b"before"


async def test_a_channel_is_used_on_the_loop_of_its_peer(peers: list[SwarmPeer]) -> None:
    (channel,) = await joined(peers[:1])

    def use() -> None:
        for verb in (
            lambda: channel.join(1.0),
            lambda: channel.publish(b"x"),
            lambda: channel.recv(1.0),
        ):
            with pytest.raises(Misuse, match="loop"):
                asyncio.run(verb())
        with pytest.raises(Misuse, match="loop"):
            channel.leave()

    await asyncio.to_thread(use)
    await channel.publish(b"it works yet")


def test_without_a_loop_whoever_reads_a_channel_hears_that_its_peer_has_ended_and_leaving_is_idempotent() -> (
    None
):
    with sync.SwarmPeer("127.0.0.1", 0) as other, sync.SwarmPeer("127.0.0.1", 0) as peer:
        other.connect(peer.listener, timeout=PATIENCE_S)
        channel = peer.channel("#general")
        channel.join(PATIENCE_S)
        channel.carried(PATIENCE_S)
        reader = threading.Thread(target=lambda: list(channel))
        reader.start()
        with peer.channel("#second"):
            peer.close()
        reader.join(PATIENCE_S)
        assert not reader.is_alive()
        channel.leave()
        with pytest.raises(NotBound):
            channel.publish(b"late")


async def test_mistakes_are_said_at_once(peers: list[SwarmPeer]) -> None:
    (channel,) = await joined(peers[:1])
    with pytest.raises(PayloadTooLarge):
        await channel.publish(bytes(CHANNEL.payload + 1))
    with pytest.raises(Misuse, match="name"):
        peers[0].channel("")
    assert peers[0].channel("#general") is channel
    with pytest.raises(NotBound):
        SwarmPeer().channel("#general")
    channel.leave()


async def test_a_peer_joins_so_many_channels_and_not_one_more(
    peers: list[SwarmPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cicada.embedding.channels.CHANNEL", replace(CHANNEL, joined=2))
    first, _ = await joined(peers[:1], "#first") + await joined(peers[:1], "#second")
    third = peers[0].channel("#third")
    with pytest.raises(Misuse, match="leave one first"):
        await third.join(PATIENCE_S)
    with pytest.raises(NotBound):
        await third.publish(b"not a member")
    first.leave()
    await joined(peers[:1], "#third")
