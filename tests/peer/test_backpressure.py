"""What happens when a peer reads more slowly than others send to it, over real sockets."""

from __future__ import annotations

import time

import pytest

from cicada import MailboxPolicy
from cicada.aio import Receipt, SwarmPeer
from cicada.errors import MailboxFull, Misuse
from cicada.limits import DELIVERY
from tests.peer.swarm import eventually, proven

SMALL = MailboxPolicy(messages=20)
LIMIT = 18  # what one sender may hold of it


async def ring(*peers: SwarmPeer) -> tuple[SwarmPeer, ...]:
    """The peers, in one ring."""
    for peer in peers:
        if not peer.bound:
            peer.bind()
    for peer in peers[1:]:
        await peer.connect(peers[0])
    await proven(peers)
    return peers


def peer(mailbox: MailboxPolicy | None = None) -> SwarmPeer:
    """One that is not bound yet."""
    return SwarmPeer(identity="ephemeral", mailbox=MailboxPolicy() if mailbox is None else mailbox)


def settled(receipts: list[Receipt]) -> int:
    return sum(receipt.settled for receipt in receipts)


def flood(sender: SwarmPeer, target: tuple[str, int], count: int) -> None:
    for _ in range(count):
        sender.send(target, b"")


async def until_settled(receipts: list[Receipt], count: int) -> None:
    """Returns once so many receipts have settled."""

    async def enough() -> bool:
        return settled(receipts) >= count

    await eventually(enough, f"{count} receipts")


async def test_senders_wait_for_room_and_go_on_as_the_application_reads() -> None:
    async with peer() as sender, peer(SMALL) as slow:
        await ring(sender, slow)
        receipts = [sender.send(slow, b"%d" % number, timeout=60) for number in range(100)]
        await until_settled(receipts, LIMIT)
        for _ in range(100):
            assert (await slow.recv(timeout=10)).data
        await until_settled(receipts, 100)
        assert all(receipt.delivered for receipt in receipts)
        assert slow.peek is None
        waited = sender.stats()
        assert (waited.delivered, waited.failed) == (100, 0)


async def test_a_sender_that_will_not_wait_is_told_at_once() -> None:
    async with peer() as sender, peer(SMALL) as slow:
        await ring(sender, slow)
        patient = [sender.send(slow, b"x", timeout=60) for _ in range(30)]
        await until_settled(patient, LIMIT)
        receipt = await sender.send(slow, b"now", on_full="error")
        assert (receipt.status, receipt.reason) == ("failed", "destination's mailbox is full")


async def test_a_mailbox_that_refuses_fails_what_does_not_fit_at_once_and_takes_again_when_read() -> None:
    async with peer() as sender, peer(MailboxPolicy(on_full="error", messages=20)) as slow:
        await ring(sender, slow)
        receipts = [await sender.send(slow, b"x") for _ in range(25)]
        assert [receipt.delivered for receipt in receipts] == [True] * LIMIT + [False] * 7
        assert {receipt.attempts for receipt in receipts[LIMIT:]} == {1}
        assert slow.stats().dropped["mailbox-full"] == 7
        for _ in range(LIMIT):
            await slow.recv(timeout=5)
        assert (await sender.send(slow, b"x")).delivered


async def test_a_mailbox_may_drop_its_oldest_and_says_how_many_it_dropped() -> None:
    async with peer() as sender, peer(MailboxPolicy(on_full="drop-oldest", messages=20)) as slow:
        await ring(sender, slow)
        for number in range(50):
            assert (await sender.send(slow, b"%d" % number)).delivered
        assert slow.stats().dropped["mailbox-overwritten"] == 30
        assert [int((await slow.recv(timeout=5)).data) for _ in range(20)] == list(range(30, 50))


async def test_a_flood_keeps_nobody_else_out_of_a_mailbox_and_nobody_else_waiting_in_it() -> None:
    async with peer() as flooding, peer() as other, peer(SMALL) as slow:
        await ring(slow, flooding, other)
        receipts = [flooding.send(slow, b"flood", timeout=60) for _ in range(200)]
        await until_settled(receipts, LIMIT)
        assert (await other.send(slow, b"other", timeout=5)).delivered
        first = [(await slow.recv(timeout=5)).data for _ in range(2)]
        assert b"other" in first


async def test_a_flood_of_a_slow_peer_does_not_slow_the_same_senders_messages_to_others() -> None:
    async with peer() as sender, peer(SMALL) as slow, peer() as quick:
        await ring(sender, slow, quick)
        assert (await sender.send(quick, b"warm")).delivered
        receipts = [sender.send(slow, b"flood", timeout=60) for _ in range(1000)]
        await until_settled(receipts, LIMIT)
        started = time.monotonic()
        for _ in range(20):
            assert (await sender.send(quick, b"x", timeout=5)).delivered
        assert time.monotonic() - started < 2.0, "some 2 ms each without a flood"


async def test_what_waits_for_one_destination_is_bounded_and_the_rest_fails_with_a_reason() -> None:
    async with peer() as sender, peer(MailboxPolicy(messages=1)) as slow:
        await ring(sender, slow)
        beyond = 50
        count = 1 + DELIVERY.credit_first + DELIVERY.waiting_sends + beyond
        receipts = [sender.send(slow, b"", timeout=60) for _ in range(count)]
        await until_settled(receipts, 1 + beyond)
        reasons = {receipt.reason for receipt in receipts if receipt.settled and not receipt.delivered}
        assert reasons == {"too many messages wait for the destination"}


async def test_a_process_with_too_much_on_its_way_refuses_to_send_more() -> None:
    async with peer() as sender:
        await ring(sender)
        absent = ("127.0.0.1", 9)
        with pytest.raises(MailboxFull):
            flood(sender, absent, DELIVERY.pending_here + 1)
        stats = sender.stats()
        assert stats.dropped["sends-refused"] == 1


async def test_an_unknown_wish_about_full_mailboxes_is_refused() -> None:
    async with peer() as sender:
        await ring(sender)
        with pytest.raises(Misuse, match="on_full"):
            sender.send(sender, b"", on_full="panic")
