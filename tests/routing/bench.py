"""One Router on a bench: what it sends is looked at, what it receives is made by hand."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.ids import Peer, Place, place_to_bytes
from cicada.keys.plain import PlainNegotiator
from cicada.keys.trust import Trust
from cicada.limits import DeliveryLimits
from cicada.routing.arrivals import digest_of
from cicada.routing.io import (
    Alarm,
    Forward,
    LifeNamed,
    Reason,
    RoutedReceived,
    RouterInput,
    RouterOutput,
    SendMessage,
    Settled,
    Status,
    ToNegotiator,
    Verdict,
)
from cicada.routing.router import Router
from cicada.wire.routed import (
    Contact,
    ContactReply,
    Data,
    DataAck,
    NoSuchPeer,
    NoSuchSession,
    RoutedMessage,
)
from cicada.wire.sealed import (
    AckBody,
    DataBody,
    SessionAnswer,
    SessionOpening,
    decode_sealed,
    encode_body,
)
from cicada.wire.services import Service
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
    newcomer_after=1.0,
    pending_sends=50,
    pending_bytes=1000,
    refusals=3,
    batch=20,
)
CREDIT = 100
IN_RING = TableChanged(head=HEAD, predecessor=PEERS[-1], known=PEERS[1:])
NOT_IN_RING = TableChanged(head=None, predecessor=None, known=())


class Bench:
    """A Router with its negotiator, the time, what came out of it, and apart from that what its messages ``named``.
    Nothing is encrypted, so that tests can look."""

    def __init__(
        self,
        limits: DeliveryLimits = LIMITS,
        table: TableChanged | None = IN_RING,
        rng: Random | None = None,
    ) -> None:
        self.router = Router(OWN, OWN_BOOT, limits=limits, rng=rng or Random(1))
        self.negotiator = PlainNegotiator(OWN, OWN_BOOT, wall_ms=lambda: 0, rng=Random(2))
        self.now = 0.0
        self.last_id = 0
        self.acks = 0
        self.named: list[LifeNamed] = []
        self.indexes: dict[int, int] = {}  # THERE's indexes, and the own ones that belong to them
        if table is not None:
            self.handle(table)

    def handle(self, input: RouterInput, now: float | None = None) -> list[RouterOutput]:
        """One input at ``now``; what concerns the negotiator is done by the way."""
        now = self.now if now is None else now
        outputs: list[RouterOutput] = []
        for output in self.router.handle(input, now):
            if isinstance(output, ToNegotiator):
                for answer in self.negotiator.handle(output, now):
                    outputs += self.handle(answer, now)
            elif isinstance(output, LifeNamed):
                self.named.append(output)
            else:
                outputs.append(output)
        return outputs

    def send(
        self,
        place: Place = THERE.place,
        payload: bytes = b"hi",
        copies: int = 1,
        timeout: float = 10.0,
        require: Trust = Trust.UNVERIFIED,
        service: int = Service.APPLICATION,
    ) -> list[RouterOutput]:
        self.last_id += 1
        message = SendMessage(
            id=self.last_id,
            place=place,
            payload=payload,
            copies=copies,
            deadline=self.now + timeout,
            require=require,
            service=service,
        )
        return self.handle(message)

    def receive(self, message: RoutedMessage) -> list[RouterOutput]:
        return self.handle(RoutedReceived(PEERS[1], message))

    def meet(self, boot: int = THEIR_BOOT) -> list[RouterOutput]:
        """Send, and answer the first contact: what leaves then."""
        return self.receive(self.reply(first_contact(self.send()), boot))

    def reply(self, contact: Contact, boot: int = THEIR_BOOT) -> ContactReply:
        index = 1000 + len(self.indexes)
        self.indexes[index] = decode_sealed(contact.handshake, SessionOpening).index
        answer = SessionAnswer(record=b"", succession=b"", boot=boot, index=index)
        return ContactReply(
            target=place_to_bytes(OWN.place),
            origin=THERE.address,
            hops=1,
            request=contact.request,
            handshake=encode_body(answer),
        )

    def ack(
        self,
        data: Data,
        status: int = Verdict.DELIVERED,
        payload: bytes | None = None,
        credit: int = CREDIT,
    ) -> DataAck:
        """What THERE says about the Data."""
        body = inside(data)
        return self.ack_of(
            data,
            AckBody(
                message=body.message,
                counter=data.counter,
                status=status,
                boot=body.boot,
                digest=digest_of(body.payload if payload is None else payload),
                data_hops=3,
                intact=1 << data.copy,
                credit=credit,
            ),
        )

    def ack_of(self, data: Data, body: AckBody) -> DataAck:
        """Some word of THERE in the session of the Data."""
        self.acks += 1
        return DataAck(
            target=place_to_bytes(OWN.place),
            origin=THERE.address,
            hops=2,
            index=self.indexes[data.index],
            counter=self.acks,
            attempt=data.attempt,
            copy=data.copy,
            body=encode_body(body),
        )

    def hint(self, data: Data) -> NoSuchSession:
        """THERE does not know the session."""
        return NoSuchSession(
            target=place_to_bytes(OWN.place),
            origin=THERE.address,
            hops=2,
            index=data.index,
            counter=data.counter,
        )

    def wait(self) -> list[RouterOutput]:
        """The next deadline comes."""
        deadline = self.router.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        return self.handle(Alarm())

    def wait_until_settled(self) -> Settled:
        for _ in range(100):
            for output in self.wait():
                if isinstance(output, Settled):
                    return output
        raise AssertionError("it does not settle")


def inside(data: Data) -> DataBody:
    """What a Data holds that is not encrypted."""
    return decode_sealed(data.body, DataBody)


def denial(asked: Contact | Data) -> NoSuchPeer:
    return NoSuchPeer(
        target=place_to_bytes(OWN.place),
        origin=PEERS[4].address,
        hops=1,
        place=asked.target,
        request=asked.request if isinstance(asked, Contact) else 0,
        index=asked.index if isinstance(asked, Data) else 0,
        counter=asked.counter if isinstance(asked, Data) else 0,
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
    """The first of its copies, which differ in their ways alone."""
    contacts = [output.message for output in outputs if isinstance(output, Forward)]
    assert len(contacts) == len(outputs)
    first = contacts[0]
    assert isinstance(first, Contact)
    assert {replace(contact, way=b"") for contact in contacts} == {replace(first, way=b"")}
    return first
