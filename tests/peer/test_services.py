"""Messages for services of a peer, over real sockets: taken over once, or refused with a reason."""

from __future__ import annotations

import asyncio

import pytest

from cicada import MailboxPolicy
from cicada.actors.services import ServiceMail, Services
from cicada.aio import Receipt, SwarmPeer
from cicada.embedding.sending import How, submit
from cicada.errors import Misuse
from cicada.ids import peer_at
from cicada.limits import WIRE
from cicada.wire.services import Service
from tests.peer.swarm import proven, swarm


class Desk:
    """A service with room for so much mail."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.mail: list[ServiceMail] = []

    def take(self, mail: ServiceMail) -> bool:
        if len(self.mail) >= self.room:
            return False
        self.mail.append(mail)
        return True


def services_of(peer: SwarmPeer) -> Services:
    return peer._bound().services


async def sent(
    peer: SwarmPeer, service: Service, target: SwarmPeer, payload: bytes, *, timeout: float
) -> Receipt:
    """Its receipt, settled."""
    return await submit(peer._own(), target, payload, How(timeout=timeout, service=service))


async def test_a_service_gets_its_mail_with_who_sent_it_and_the_mailbox_does_not() -> None:
    async with swarm(2) as (a, b):
        desk = Desk()
        services_of(b).offer(Service.ACTOR, desk.take)
        receipt = await sent(a, Service.ACTOR, b, b"hello", timeout=10)
        assert receipt.delivered
        (mail,) = desk.mail
        assert (mail.source.address, mail.payload, mail.trust) == (a.address, b"hello", "first-contact")
        assert len(mail.peer_id) == 64
        assert b.peek is None


async def test_a_message_in_fragments_reaches_a_service_whole() -> None:
    async with swarm(2) as (a, b):
        desk = Desk()
        services_of(b).offer(Service.ACTOR, desk.take)
        payload = bytes(range(256)) * (3 * WIRE.max_payload // 256)
        assert (await sent(a, Service.ACTOR, b, payload, timeout=20)).delivered
        assert [mail.payload for mail in desk.mail] == [payload]


@pytest.mark.parametrize("size", [5, 2 * WIRE.max_payload])
async def test_a_service_that_nobody_offers_refuses(size: int) -> None:
    async with swarm(2) as (a, b):
        services_of(b).offer(Service.ACTOR, Desk().take)
        services_of(b).withdraw(Service.ACTOR)
        receipt = await sent(a, Service.ACTOR, b, bytes(size), timeout=20)
        assert (receipt.status, receipt.reason) == ("failed", "no-service")
        assert b.stats().dropped["no-service"] >= 1


async def test_a_service_without_room_refuses_at_once_and_takes_more_when_it_has_some() -> None:
    async with swarm(2) as (a, b):
        desk = Desk(room=1)
        services_of(b).offer(Service.ACTOR, desk.take)
        results = [await sent(a, Service.ACTOR, b, b"%d" % number, timeout=60) for number in range(3)]
        assert [result.reason for result in results] == [None, *["destination's mailbox is full"] * 2]
        desk.room = 2
        assert (await sent(a, Service.ACTOR, b, b"last", timeout=10)).delivered
        assert [mail.payload for mail in desk.mail] == [b"0", b"last"]
        assert b.stats().dropped["service-full"] == 2


async def test_a_service_that_fails_costs_its_mail_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(mail: ServiceMail) -> bool:
        raise ValueError(mail.id)

    async with swarm(2) as (a, b):
        services_of(b).offer(Service.ACTOR, fail)
        assert not (await sent(a, Service.ACTOR, b, b"x", timeout=10)).delivered
        assert (await a.send(b, b"and yet")).delivered
        assert "the service 5 failed" in caplog.text


async def test_each_mail_is_taken_over_once_although_the_routers_crash() -> None:
    async with swarm(3) as (a, b, _):
        desk = Desk(room=1000)
        services_of(b).offer(Service.ACTOR, desk.take)
        sends = [
            asyncio.create_task(sent(a, Service.ACTOR, b, b"%d" % number, timeout=30))
            for number in range(200)
        ]
        await sends[0]
        b.crash("router")
        a.crash("router")
        receipts = await asyncio.gather(*sends)
        assert all(receipt.delivered for receipt in receipts)
        assert sorted(int(mail.payload) for mail in desk.mail) == [*range(200)]


async def test_mail_of_services_passes_a_mailbox_that_is_full() -> None:
    slow = SwarmPeer(identity="ephemeral", mailbox=MailboxPolicy(messages=1))
    async with SwarmPeer("127.0.0.1", 0) as a, slow as b:
        b.bind()
        await b.connect(a)
        await proven([a, b])
        desk = Desk()
        services_of(b).offer(Service.ACTOR, desk.take)
        waiting = [a.send(b, b"%d" % number, timeout=60) for number in range(3)]
        await waiting[0]
        for number in range(10):
            assert (await sent(a, Service.ACTOR, b, b"%d" % number, timeout=10)).delivered
        assert [receipt.settled for receipt in waiting] == [True, False, False]
        for _ in range(3):
            await b.recv(timeout=10)
        assert all([(await receipt).delivered for receipt in waiting])


def test_a_service_is_offered_by_one_and_never_that_of_the_mailbox() -> None:
    services = Services()
    services.offer(Service.ACTOR, Desk().take)
    with pytest.raises(Misuse, match="offered already"):
        services.offer(Service.ACTOR, Desk().take)
    for service in (Service.APPLICATION, Service.REQUEST):
        with pytest.raises(Misuse, match="mailbox"):
            services.offer(service, Desk().take)


def test_nobody_s_withdrawal_is_an_error() -> None:
    services = Services()
    services.withdraw(Service.ACTOR)
    assert not services.offers(Service.ACTOR)
    desk = Desk()
    services.offer(Service.ACTOR, desk.take)
    mail = ServiceMail(source=peer_at("10.0.0.1:1"), peer_id="", trust="pinned", id=1, payload=b"x")
    assert services.give(Service.ACTOR, mail)
    assert desk.mail == [mail]
