"""Broadcasts between real peers: what the application sees of them, at both ends."""

from __future__ import annotations

import asyncio

import pytest

from cicada import SwarmPeer as SyncPeer
from cicada.aio import SwarmPeer
from cicada.errors import DeliveryTimeout, Misuse, NotBound, PayloadTooLarge
from cicada.keys.identity import Identity
from cicada.keys.trust import TrustStore
from cicada.limits import WIRE
from tests.peer.encrypted import encrypted, pin_of, ring

PATIENCE_S = 15.0
ONE = Identity.derive(bytes(32), "one")


async def received(*peers: SwarmPeer) -> list[tuple[bytes, str, str]]:
    messages = await asyncio.gather(*(peer.recv(timeout=PATIENCE_S) for peer in peers))
    return [(message.data, message.kind, message.trust) for message in messages]


async def test_a_broadcast_says_how_many_claim_it_and_who_signed_for_it() -> None:
    async with ring(*(encrypted() for _ in range(8))) as peers:
        receipt = peers[2].broadcast(b"news")
        assert (receipt.settled, receipt.reached, receipt.sample, receipt.complete) == (False, 0, (), False)
        others = [peer for peer in peers if peer is not peers[2]]
        assert await received(*others) == [(b"news", "broadcast", "first-contact")] * 7
        assert await receipt is receipt
        assert (receipt.reached, receipt.complete, receipt.reason) == (7, True, None)
        assert set(receipt.sample) == {peer.listener for peer in others}
        assert "7 claimed, 7 signed" in repr(receipt)


async def test_whoever_pinned_the_origin_knows_that_it_was_it() -> None:
    a = encrypted(identity=ONE)
    b = encrypted(trust=TrustStore.load([pin_of(a.listener, ONE)]))
    async with ring(a, b, encrypted()) as (_, _, c):
        await a.broadcast(b"news")
        assert await received(b, c) == [
            (b"news", "broadcast", "pinned"),
            (b"news", "broadcast", "first-contact"),
        ]


async def test_peers_that_do_not_encrypt_broadcast_without_signatures() -> None:
    plain = [SwarmPeer("127.0.0.1", 0, identity="ephemeral", encrypt=False) for _ in range(4)]
    async with ring(*plain) as (a, *others):
        receipt = await a.broadcast(b"news")
        assert await received(*others) == [(b"news", "broadcast", "unverified")] * 3
        assert receipt.reached == 3


async def test_a_peer_that_is_alone_reaches_nobody_and_knows_it_at_once() -> None:
    async with ring(encrypted()) as (alone,):
        receipt = await asyncio.wait_for(alone.broadcast(b"echo?"), PATIENCE_S)
        assert (receipt.reached, receipt.complete, receipt.sample) == (0, True, ())


async def test_what_does_not_fit_into_one_message_is_refused_at_once() -> None:
    async with ring(encrypted()) as (alone,):
        with pytest.raises(PayloadTooLarge, match=f"at most {WIRE.max_payload} bytes in one broadcast"):
            alone.broadcast(bytes(WIRE.max_payload + 1))


async def test_the_largest_broadcast_that_is_allowed_arrives() -> None:
    async with ring(*(encrypted() for _ in range(3))) as (a, *others):
        data = bytes(range(256)) * (WIRE.max_payload // 256)
        receipt = await a.broadcast(data)
        assert receipt.reached == 2
        assert await received(*others) == [(data, "broadcast", "first-contact")] * 2


async def test_a_receipt_does_not_stop_its_own_event_loop_and_ends_with_its_peer() -> None:
    async with ring(encrypted(), encrypted()) as (a, b):
        a.crash("crypto")  # nobody signs for a while
        receipt = a.broadcast(b"news")
        with pytest.raises(Misuse, match="await receipt"):
            receipt.result()
        a.kill()
        assert (await receipt).reason in {"this peer was closed", None}
        with pytest.raises(NotBound):
            a.broadcast(b"late")
        assert b.bound


@pytest.mark.parametrize("kind", ["router", "crypto", "transport"])
async def test_actors_that_crash_at_both_ends_make_nobody_get_it_twice_or_not_at_all(kind: str) -> None:
    async with ring(*(encrypted() for _ in range(6))) as peers:
        receipt = peers[0].broadcast(b"first")
        peers[0].crash(kind)
        peers[1].crash(kind)
        await receipt
        assert [data for data, _, _ in await received(*peers[1:])] == [b"first"] * 5
        await peers[0].broadcast(b"second")
        assert [data for data, _, _ in await received(*peers[1:])] == [b"second"] * 5


def test_a_sync_peer_waits_for_the_receipt_when_it_wants_to() -> None:
    with (
        SyncPeer("127.0.0.1", 0, identity="ephemeral") as a,
        SyncPeer("127.0.0.1", 0, identity="ephemeral") as b,
    ):
        b.connect(a)
        assert a.send(b, b"it knows the way back").result(PATIENCE_S).delivered
        receipt = b.broadcast("all of you", timeout=PATIENCE_S).result(PATIENCE_S)
        assert (receipt.reached, receipt.sample) == (1, (a.listener,))
        assert a.recv(timeout=PATIENCE_S).data == b"all of you"


def test_a_wait_that_is_too_short_says_so() -> None:
    with SyncPeer("127.0.0.1", 0, identity="ephemeral") as a:
        receipt = a.broadcast("echo?")
        receipt.result(PATIENCE_S)
        fresh = type(receipt)()
        with pytest.raises(DeliveryTimeout, match="no word about the broadcast within"):
            fresh.result(0.01)
