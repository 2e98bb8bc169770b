"""One Router on a bench: what it sends is looked at, what it receives is made by hand."""

from __future__ import annotations

from random import Random

from cicada.chord.io import TableChanged
from cicada.ids import Peer, Place, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.io import (
    Alarm,
    Forward,
    Reason,
    RoutedReceived,
    RouterOutput,
    SendMessage,
    Settled,
    Status,
    Verdict,
)
from cicada.routing.router import Router
from cicada.routing.sending import digest_of
from cicada.wire.routed import Contact, ContactReply, Data, DataAck, NoSuchPeer, RoutedMessage
from tests.routing.swarm import peers_at

PEERS = peers_at(33000, 8)
OWN, HEAD = PEERS[:2]
THERE = PEERS[5]
OWN_BOOT, THEIR_BOOT = 77, 88
LIMITS = DeliveryLimits(
    attempts=3,
    retry_first=1.0,
    retry_floor=0.5,
    retry_ceiling=3.0,
    no_such_peer_after=1.0,
    pending_sends=50,
    pending_bytes=1000,
    contact_seconds=30.0,
    batch=20,
)
IN_RING = TableChanged(head=HEAD, predecessor=PEERS[-1], known=PEERS[1:])
NOT_IN_RING = TableChanged(head=None, predecessor=None, known=())


class Bench:
    """A Router, the time, and what came out of it."""

    def __init__(self, limits: DeliveryLimits = LIMITS, table: TableChanged | None = IN_RING) -> None:
        self.router = Router(OWN, OWN_BOOT, limits=limits, rng=Random(1))
        self.now = 0.0
        self.last_id = 0
        if table is not None:
            self.router.handle(table, self.now)

    def send(
        self, place: Place = THERE.place, payload: bytes = b"hi", copies: int = 1, timeout: float = 10.0
    ) -> list[RouterOutput]:
        self.last_id += 1
        message = SendMessage(
            id=self.last_id, place=place, payload=payload, copies=copies, deadline=self.now + timeout
        )
        return self.router.handle(message, self.now)

    def receive(self, message: RoutedMessage) -> list[RouterOutput]:
        return self.router.handle(RoutedReceived(PEERS[1], message), self.now)

    def meet(self, boot: int = THEIR_BOOT) -> list[RouterOutput]:
        """Send, and answer the first contact: what leaves then."""
        (forward,) = self.send()
        assert isinstance(forward, Forward)
        assert isinstance(forward.message, Contact)
        return self.receive(self.reply(forward.message, boot))

    def reply(self, contact: Contact, boot: int = THEIR_BOOT) -> ContactReply:
        return ContactReply(
            target=place_to_bytes(OWN.place),
            origin=THERE.address,
            hops=1,
            request=contact.request,
            boot=boot,
        )

    def wait(self) -> list[RouterOutput]:
        """The next deadline comes."""
        deadline = self.router.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        return self.router.handle(Alarm(), self.now)

    def wait_until_settled(self) -> Settled:
        for _ in range(100):
            for output in self.wait():
                if isinstance(output, Settled):
                    return output
        raise AssertionError("it does not settle")


def ack(
    data: Data, status: int = Verdict.DELIVERED, origin: Peer = THERE, payload: bytes | None = None
) -> DataAck:
    return DataAck(
        target=place_to_bytes(OWN.place),
        origin=origin.address,
        hops=2,
        origin_boot=data.origin_boot,
        message=data.message,
        attempt=data.attempt,
        copy=data.copy,
        status=status,
        boot=data.boot,
        digest=digest_of(data.payload if payload is None else payload),
        data_hops=3,
    )


def denial(asked: Contact | Data) -> NoSuchPeer:
    return NoSuchPeer(
        target=place_to_bytes(OWN.place),
        origin=PEERS[4].address,
        hops=1,
        place=asked.target,
        request=asked.request if isinstance(asked, Contact) else 0,
        message=asked.message if isinstance(asked, Data) else 0,
    )


def only_data(outputs: list[RouterOutput]) -> Data:
    (forward,) = outputs
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Data)
    return forward.message


def hops(outputs: list[RouterOutput]) -> list[Peer]:
    return [output.peer for output in outputs if isinstance(output, Forward)]


def outcome(outputs: list[RouterOutput]) -> tuple[Status, Reason | None, int]:
    (settled,) = (output for output in outputs if isinstance(output, Settled))
    return (settled.status, settled.reason, settled.attempts)


def first_contact(outputs: list[RouterOutput]) -> Contact:
    (forward,) = outputs
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    return forward.message
