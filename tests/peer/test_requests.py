"""Requests and replies between peers, over real sockets."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

import cicada
from cicada import MailboxPolicy, RequestFailed
from cicada.aio import Message, SwarmPeer
from cicada.embedding.sending import How, submit
from cicada.errors import DeliveryTimeout, Misuse, NotBound, PayloadTooLarge
from cicada.limits import WIRE
from cicada.wire.services import ENVELOPE, Reply, Request, Service, encode_service
from tests.peer.swarm import eventually, proven, swarm


@asynccontextmanager
async def answering(peer: SwarmPeer, times: int = 1) -> AsyncIterator[None]:
    """The peer replies to each request with what it asked, backwards."""

    async def answer() -> None:
        async for message in peer:
            for _ in range(times):
                assert (await message.reply(message.data[::-1])).delivered

    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def waiting(peer: SwarmPeer) -> int:
    """How many of its requests have no reply yet."""
    return len(peer._bound().requests)


async def test_a_request_is_answered_with_a_reply() -> None:
    async with swarm(3) as (a, b, _), answering(b):
        reply = await a.request(b, "hello")
        assert (reply.source, reply.data, reply.kind) == (b.listener, b"olleh", "reply")
        assert (reply.trust, reply.more) == ("first-contact", False)
        assert waiting(a) == 0


async def test_the_one_who_is_asked_reads_a_request_and_may_reply_to_any_message() -> None:
    async with swarm(2) as (a, b):
        asking = asyncio.create_task(a.request(b, b"which?"))
        asked = await b.recv(timeout=5)
        assert (asked.source, asked.data, asked.kind) == (a.listener, b"which?", "request")
        await asked.reply(b"this")
        assert (await asking).data == b"this"
        await a.send(b, b"just so")
        await (await b.recv(timeout=5)).reply("heard")
        answer = await a.recv(timeout=5)
        assert (answer.data, answer.kind) == (b"heard", "message")


async def test_many_requests_at_once_get_each_its_own_reply_also_large_ones_and_from_oneself() -> None:
    async with swarm(2) as (a, b), answering(b), answering(a):
        asked = [b"%d" % number for number in range(50)] + [bytes(range(256)) * 1024]
        replies = await asyncio.gather(
            *(a.request(target, data, timeout=20) for data in asked for target in (a, b))
        )
        assert [reply.data for reply in replies] == [data[::-1] for data in asked for _ in "ab"]


async def test_a_place_and_a_name_may_be_asked() -> None:
    async with swarm(2) as (a, b), answering(b):
        for target in (b.hash, ("localhost", b.listener.port), b.address):
            assert (await a.request(target, b"ab")).data == b"ba"


async def test_who_nobody_can_dial_asks_and_is_asked() -> None:
    hidden = SwarmPeer("127.0.0.1", 0, reachable=False)
    async with swarm(3) as (a, *_), hidden:
        await hidden.connect(a)
        async with answering(a), answering(hidden):
            assert (await hidden.request(a, b"ab", timeout=20)).data == b"ba"
            reply = await a.request(hidden, b"cd", timeout=20)
            assert (reply.source, reply.data) == (hidden.listener, b"dc")


async def test_without_a_reply_a_request_times_out_and_a_later_one_is_counted() -> None:
    async with swarm(2) as (a, b):
        with pytest.raises(DeliveryTimeout, match="no reply within"):
            await a.request(b, b"anyone?", timeout=0.3)
        assert waiting(a) == 0
        asked = await b.recv(timeout=5)
        assert (await asked.reply(b"too late")).delivered
        assert a.stats().dropped == {"reply-late": 1}


async def test_a_second_reply_does_not_count() -> None:
    async with swarm(2) as (a, b), answering(b, times=2):
        assert (await a.request(b, b"ab")).data == b"ba"

        async def is_counted() -> bool:
            return a.stats().dropped.get("reply-late") == 1

        await eventually(is_counted, "the second reply")


async def test_a_reply_of_somebody_who_was_not_asked_does_not_count() -> None:
    async with swarm(3) as (a, b, c):
        asking = asyncio.create_task(a.request(b, b"secret?"))
        asked = await b.recv(timeout=5)
        (number,) = a._bound().requests._waiting
        forged = encode_service(Reply(number=number, data=b"forged"))
        assert (await submit(c._own(), a, forged, How(timeout=5, service=Service.REPLY))).delivered
        strange = encode_service(Reply(number=5, data=b"made up"))
        assert (await submit(c._own(), a, strange, How(timeout=5, service=Service.REPLY))).delivered
        await asked.reply(b"true")
        assert (await asking).data == b"true"
        assert a.stats().dropped == {"reply-strange": 2}


async def test_garbage_for_requests_and_replies_costs_its_sender_only() -> None:
    async with swarm(2) as (a, b), answering(b):
        hosted = a._bound()
        receipt = await submit(hosted, b, b"\xc1", How(service=Service.REQUEST))
        assert (receipt.delivered, receipt.reason) == (False, "no-service")
        await submit(hosted, b, b"\xc1", How(service=Service.REPLY))
        assert b.stats().dropped == {"malformed": 2}
        assert (await a.request(b, b"ab")).data == b"ba"


async def test_who_cannot_be_asked_fails_the_request_with_a_reason() -> None:
    full = SwarmPeer("127.0.0.1", 0, mailbox=MailboxPolicy(messages=1, on_full="error"))
    async with swarm(2) as (a, b), full as c:
        await c.connect(a)
        await proven([a, b, c])
        await a.send(c, b"fills it")
        with pytest.raises(RequestFailed, match="mailbox is full") as failed:
            await a.request(c, b"and now?")
        assert failed.value.reason == "destination's mailbox is full"
        with pytest.raises(RequestFailed, match="less trust"):
            await a.request(b, b"x", require="pinned")
        with pytest.raises(PayloadTooLarge):
            await a.request(b, bytes(WIRE.max_message))
        with pytest.raises(Misuse, match="write host:port"):
            await a.request("nonsense", b"x")
        assert waiting(a) == 0


async def test_closing_ends_the_requests_that_wait_and_their_messages_cannot_be_answered() -> None:
    async with swarm(2) as (a, b):
        asking = asyncio.create_task(a.request(b, b"long", timeout=30))
        asked = await b.recv(timeout=5)
        await a.close()
        with pytest.raises(RequestFailed, match="this peer was closed"):
            await asking
        await b.close()
        with pytest.raises(NotBound):
            asked.reply(b"gone")


async def test_a_request_in_flight_survives_crashes_of_the_routers_and_is_read_once() -> None:
    async with swarm(2) as (a, b):
        asking = asyncio.create_task(a.request(b, b"still there?", timeout=20))
        asked = await b.recv(timeout=5)
        a.crash("router")
        b.crash("router")
        await asked.reply(b"yes")
        assert (await asking).data == b"yes"
        assert b.peek is None


async def test_a_message_may_be_answered_from_another_thread() -> None:
    async with swarm(2) as (a, b):
        asking = asyncio.create_task(a.request(b, b"x"))
        asked = await b.recv(timeout=5)
        receipts: list[cicada.Receipt] = []
        thread = threading.Thread(target=lambda: receipts.append(asked.reply(b"from a thread").result(10)))
        thread.start()
        assert (await asking).data == b"from a thread"
        while thread.is_alive():
            await asyncio.sleep(0)
        assert receipts[0].delivered


async def test_the_way_back_is_no_part_of_what_a_message_is() -> None:
    async with swarm(2) as (a, b):
        await a.send(b, b"x")
        message = await b.recv(timeout=5)
        bare = Message(
            source=a.listener,
            data=b"x",
            more=False,
            id=message.id,
            kind="message",
            hops=message.hops,
            trust=message.trust,
            peer_id=message.peer_id,
        )
        assert (message, hash(message), repr(message)) == (bare, hash(bare), repr(bare))
        assert tuple(message) == (a.listener, b"x", False)
        for copied in (bare, copy.copy(message), pickle.loads(pickle.dumps(message))):
            with pytest.raises(Misuse, match="send to its source"):
                copied.reply(b"y")


async def test_the_envelope_is_as_large_as_it_says() -> None:
    largest = bytes(WIRE.max_message - ENVELOPE)
    for kind in (Request, Reply):
        assert len(encode_service(kind(number=(1 << 63) - 1, data=largest))) <= WIRE.max_message


def test_the_sync_peer_asks_and_answers_with_the_same_words() -> None:
    with cicada.SwarmPeer("127.0.0.1", 0) as a, cicada.SwarmPeer("127.0.0.1", 0) as b:
        b.connect(a)
        a.joined()

        def answer() -> None:
            message = b.recv(timeout=10)
            assert message.kind == "request"
            assert message.reply(message.data[::-1]).result(10).delivered

        thread = threading.Thread(target=answer)
        thread.start()
        assert a.request(b, "ab", timeout=10).data == b"ba"
        thread.join(10)
        with pytest.raises(DeliveryTimeout):
            a.request(b, "nobody reads", timeout=0.2)
