"""What a Router does with messages of others: relay, deny, answer, drop."""

from __future__ import annotations

import struct
from random import Random

import pytest
from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.errors import MalformedMessage
from cicada.events import MessageDropped
from cicada.ids import RING_SIZE, Address, Peer, Place, place_of, place_to_bytes
from cicada.keys.ciphers import PlainSession
from cicada.keys.io import Answer, Answered, SessionKeys
from cicada.keys.trust import Trust
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.arrivals import digest_of
from cicada.routing.io import (
    Deliver,
    Forward,
    Judged,
    NextHopLost,
    RoutedReceived,
    RouterOutput,
    SendMessage,
    Tell,
    Verdict,
)
from cicada.routing.router import Router
from cicada.wire.codec import decode, encode
from cicada.wire.routed import (
    Contact,
    ContactReply,
    Data,
    DataAck,
    NoSuchPeer,
    NoSuchSession,
    RoutedMessage,
)
from cicada.wire.sealed import AckBody, DataBody, decode_sealed, encode_body
from tests.routing.swarm import peers_at

PEERS = peers_at(32000, 8)
OWN, HEAD, *MIDDLE, ORIGIN = PEERS
BOOT = 77
LIMITS = DeliveryLimits(hop_limit=5, tickets=3, ticket_seconds=10.0)


@pytest.fixture
def router() -> Router:
    router = Router(OWN, BOOT, limits=LIMITS, rng=Random(1))
    router.handle(TableChanged(head=HEAD, predecessor=ORIGIN, known=PEERS[1:]), 0.0)
    open_session(router)
    return router


def open_session(router: Router) -> None:
    """ORIGIN opens session 50, which it knows as 60."""
    keys = SessionKeys(
        peer=ORIGIN,
        boot=5,
        index=50,
        remote_index=60,
        initiated=False,
        verified=False,
        trust=Trust.UNVERIFIED,
    )
    router.handle(Answered(reply(), keys), 0.0)


def reply(target: Place = ORIGIN.place) -> ContactReply:
    return ContactReply(
        target=place_to_bytes(target), origin=OWN.address, hops=0, request=31, handshake=b"message 2"
    )


def contact(target: Place) -> Contact:
    return Contact(
        target=place_to_bytes(target),
        origin=ORIGIN.address,
        hops=2,
        request=31,
        selector=b"",
        handshake=b"message 1",
    )


def tag_of(counter: int, copy: int) -> bytes:
    """Of a copy in session 50, between peers that do not encrypt."""
    return PlainSession().tag(struct.pack(">IQHH", 50, counter, 2, copy))


def data(target: Place = OWN.place, hops: int = 2, boot: int = BOOT, message: int = 9, copy: int = 1) -> Data:
    return Data(
        target=place_to_bytes(target),
        origin=ORIGIN.address,
        hops=hops,
        index=50,
        counter=message,
        attempt=2,
        copy=copy,
        tag=tag_of(counter=message, copy=copy),
        body=encode_body(DataBody(origin_boot=5, message=message, boot=boot, copies=4, payload=b"payload")),
    )


def only_ack(outputs: list[RouterOutput]) -> tuple[DataAck, AckBody]:
    (forward,) = outputs
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, DataAck)
    return forward.message, decode_sealed(forward.message.body, AckBody)


def receive(router: Router, message: RoutedMessage, now: float = 0.0) -> list[RouterOutput]:
    return router.handle(RoutedReceived(ORIGIN, message), now)


def dropped(reason: str) -> list[RouterOutput]:
    return [Tell(MessageDropped(reason=reason))]


def nowhere(after: Peer) -> Place:
    return Place((after.place + 1) % RING_SIZE)


@pytest.mark.parametrize("number", range(1, 8))
def test_a_message_for_a_known_peer_goes_straight_there(router: Router, number: int) -> None:
    message = data(PEERS[number].place)
    assert receive(router, message) == [Forward(PEERS[number], replace(message, hops=3), ORIGIN)]
    assert router.counters()["forwarded"] == 1


def test_a_message_for_an_unknown_place_goes_to_the_last_known_peer_before_it(router: Router) -> None:
    message = data(nowhere(PEERS[4]))
    assert receive(router, message) == [Forward(PEERS[4], replace(message, hops=3), ORIGIN)]


def test_a_message_that_crossed_too_many_links_is_dropped_and_counted(router: Router) -> None:
    assert len(receive(router, data(PEERS[4].place, hops=4))) == 1
    assert receive(router, data(PEERS[4].place, hops=5)) == dropped("hop-limit")
    assert router.counters()["dropped:hop-limit"] == 1


def test_a_peer_that_is_not_in_a_ring_relays_nothing(router: Router) -> None:
    router.handle(TableChanged(head=None, predecessor=None, known=()), 1.0)
    assert receive(router, data(PEERS[4].place)) == dropped("not-in-ring")


@pytest.mark.parametrize(
    ("asked", "echo"),
    [(contact(nowhere(OWN)), (31, 0, 0)), (data(nowhere(OWN)), (0, 50, 9))],
)
def test_who_asks_for_a_place_on_the_own_arc_is_told_that_nobody_lives_there(
    router: Router, asked: Contact | Data, echo: tuple[int, int, int]
) -> None:
    denial = NoSuchPeer(
        target=place_to_bytes(ORIGIN.place),
        origin=OWN.address,
        hops=1,
        place=asked.target,
        request=echo[0],
        index=echo[1],
        counter=echo[2],
    )
    assert receive(router, asked) == [Forward(ORIGIN, denial, None)]


@pytest.mark.parametrize(
    "answer",
    [
        reply(nowhere(OWN)),
        NoSuchPeer(
            target=place_to_bytes(nowhere(OWN)),
            origin=ORIGIN.address,
            hops=1,
            place=bytes(32),
            request=1,
            index=0,
            counter=0,
        ),
    ],
)
def test_an_answer_to_nobody_is_not_answered(router: Router, answer: RoutedMessage) -> None:
    assert receive(router, answer) == dropped("answer-to-nobody")


def test_a_contact_is_put_before_the_negotiator_whose_answer_is_sent(router: Router) -> None:
    asked = contact(OWN.place)
    assert receive(router, asked) == [Answer(asked, ORIGIN)]
    sent = [Forward(ORIGIN, replace(reply(), hops=1), None)]
    assert router.handle(Answered(reply(), None), 0.0) == sent


def test_a_contact_that_names_many_colours_does_not_have_its_origin_flooded(router: Router) -> None:
    stranger = place_of(Address("10.9.9.9:9"))
    many = replace(reply(stranger), way=bytes(17) + bytes((16, 0)))
    keys = SessionKeys(
        peer=ORIGIN,
        boot=5,
        index=51,
        remote_index=61,
        initiated=False,
        verified=False,
        trust=Trust.UNVERIFIED,
    )
    answers = router.handle(Answered(many, keys), 0.0)
    assert 1 <= len(answers) <= 4
    assert all(isinstance(answer, Forward) for answer in answers)


@pytest.mark.parametrize("verdict", [Verdict.DELIVERED, Verdict.BUSY, Verdict.STALE])
def test_an_ack_says_the_verdict_and_hashes_what_was_received(router: Router, verdict: Verdict) -> None:
    (deliver,) = receive(router, data(hops=4))
    assert isinstance(deliver, Deliver)
    assert (deliver.origin, deliver.origin_boot, deliver.message) == (ORIGIN, 5, 9)
    assert (deliver.payload, deliver.hops, deliver.broadcast) == (b"payload", 4, False)
    ack, body = only_ack(router.handle(Judged(deliver.ticket, verdict), 0.0))
    assert body == AckBody(
        message=9,
        counter=9,
        status=verdict,
        boot=BOOT,
        digest=digest_of(b"payload"),
        data_hops=4,
        intact=0b10,
        credit=DELIVERY.credit_first if verdict is Verdict.DELIVERED else 0,
    )
    assert ack == DataAck(
        target=place_to_bytes(ORIGIN.place),
        origin=OWN.address,
        hops=1,
        index=60,
        counter=1,
        attempt=2,
        copy=1,
        body=encode_body(body),
    )


def test_each_copy_is_acknowledged_with_all_that_came_so_far(router: Router) -> None:
    (deliver,) = receive(router, data())
    assert isinstance(deliver, Deliver)
    assert receive(router, data(copy=0)) == []  # the ack will say so
    first, body = only_ack(router.handle(Judged(deliver.ticket, Verdict.DELIVERED), 0.0))
    assert (first.copy, body.intact) == (1, 0b11)
    second, body = only_ack(receive(router, data(copy=3)))
    assert (second.copy, body.intact, body.status) == (3, 0b1011, Verdict.DELIVERED)
    again, _ = only_ack(receive(router, data(copy=3)))
    assert again == second, "the same bytes, while nothing else is known"
    counters = router.counters()
    assert (counters["acks-again"], counters["delivered"]) == (2, 1)


def test_a_copy_that_was_altered_is_told_of_by_its_colour_only_when_its_tag_proves_it(router: Router) -> None:
    (deliver,) = receive(router, data())
    assert isinstance(deliver, Deliver)
    drop, *report = receive(router, replace(data(copy=2), body=b"another"))
    assert [drop] == dropped("altered")
    _, body = only_ack(report)
    assert (body.status, body.message, body.altered, body.unattributed) == (Verdict.ALTERED, 0, 0b100, 0)
    router.handle(Judged(deliver.ticket, Verdict.DELIVERED), 0.0)
    for forged in (replace(data(copy=3), copy=0), replace(data(copy=3), body=b"another", copy=0)):
        *_, forward = receive(router, forged)
        _, body = only_ack([forward])
        assert (body.status, body.intact, body.altered) == (Verdict.DELIVERED, 0b10, 0b100)
    assert body.unattributed == 2


def test_a_message_of_no_session_is_not_delivered_and_its_origin_gets_a_hint(router: Router) -> None:
    drop, hint = receive(router, replace(data(), index=51))
    assert [drop] == dropped("no-such-session")
    expected = NoSuchSession(
        target=place_to_bytes(ORIGIN.place), origin=OWN.address, hops=1, index=51, counter=9
    )
    assert hint == Forward(ORIGIN, expected, None)
    outputs = [receive(router, replace(data(), index=51)) for _ in range(500)]
    assert sum(len(said) == 2 for said in outputs) == LIMITS.hints_burst - 1


def test_nobody_speaks_in_the_session_of_another_or_of_this_peer_with_itself(router: Router) -> None:
    assert receive(router, replace(data(), origin=HEAD.address)) == dropped("foreign-session")
    with pytest.raises(MalformedMessage):  # links decode what they pass on: no message names index 0
        decode(encode(replace(data(), index=0, origin=OWN.address)))


def test_a_verdict_counts_once(router: Router) -> None:
    (deliver,) = receive(router, data())
    assert isinstance(deliver, Deliver)
    assert router.handle(Judged(deliver.ticket, Verdict.DELIVERED), 0.0)
    assert router.handle(Judged(deliver.ticket, Verdict.DELIVERED), 0.0) == []
    assert router.counters()["ignored:late-verdict"] == 1


def test_a_verdict_for_an_earlier_life_of_the_router_acknowledges_nothing(router: Router) -> None:
    (deliver,) = receive(router, data())
    assert isinstance(deliver, Deliver)
    next_life = Router(OWN, BOOT, limits=LIMITS, rng=Random(2))
    next_life.handle(TableChanged(head=HEAD, predecessor=ORIGIN, known=PEERS[1:]), 0.0)
    open_session(next_life)
    receive(next_life, data(message=10))
    assert next_life.handle(Judged(deliver.ticket, Verdict.DELIVERED), 0.0) == []


def test_a_message_for_another_life_is_not_delivered_but_answered_restarted(router: Router) -> None:
    _, body = only_ack(receive(router, data(boot=BOOT + 1)))
    assert (body.status, body.boot) == (Verdict.RESTARTED, BOOT)


def test_in_a_session_speaks_only_the_life_that_opened_it(router: Router) -> None:
    """Each life costs a window of its own, so whoever could make lives up would fill the place of others."""
    body = encode_body(DataBody(origin_boot=6, message=9, boot=BOOT, payload=b"payload"))
    assert receive(router, replace(data(), body=body)) == dropped("malformed")


def test_messages_beyond_the_tickets_are_answered_busy_until_verdicts_come_or_tickets_age(
    router: Router,
) -> None:
    tickets = [receive(router, data(message=number))[0] for number in (1, 2, 7)]
    drop, busy = receive(router, data(message=3), now=10.0)
    assert [drop] == dropped("tickets-full")
    assert only_ack([busy])[1].status == Verdict.BUSY
    assert isinstance(tickets[0], Deliver)
    router.handle(Judged(tickets[0].ticket, Verdict.DELIVERED), 10.0)
    assert isinstance(receive(router, data(message=4), now=10.0)[0], Deliver)
    assert isinstance(receive(router, data(message=5), now=10.1)[0], Deliver)  # two tickets were too old


def test_an_undelivered_message_takes_another_hop_and_later_ones_do_too(router: Router) -> None:
    message = data(nowhere(PEERS[4]))
    (first,) = receive(router, message)
    assert isinstance(first, Forward)
    (second,) = router.handle(NextHopLost(PEERS[4], (first.message,)), 0.5)
    assert second == Forward(PEERS[3], replace(message, hops=4), None)
    (other,) = receive(router, data(nowhere(PEERS[4]), message=10))
    assert isinstance(other, Forward)
    assert other.peer == PEERS[3]
    assert router.counters()["rerouted"] == 1


def test_a_message_never_goes_back_over_a_hop_that_failed_it(router: Router) -> None:
    (first,) = receive(router, data(nowhere(PEERS[4])))
    assert isinstance(first, Forward)
    (second,) = router.handle(NextHopLost(PEERS[4], (first.message,)), 0.0)
    assert isinstance(second, Forward)
    # The ring dropped the peer and proved it again, so others may use it.
    router.handle(TableChanged(head=HEAD, predecessor=ORIGIN, known=PEERS[1:4]), 1.0)
    router.handle(TableChanged(head=HEAD, predecessor=ORIGIN, known=PEERS[1:]), 1.0)
    (third,) = router.handle(NextHopLost(PEERS[3], (second.message,)), 1.0)
    assert isinstance(third, Forward)
    assert third.peer == PEERS[2]
    (other,) = receive(router, data(nowhere(PEERS[4]), message=10))
    assert isinstance(other, Forward)
    assert other.peer == PEERS[4]


def test_rerouting_ends_at_the_hop_limit(router: Router) -> None:
    message = data(nowhere(PEERS[6]), hops=3)
    (forward,) = receive(router, message)
    assert isinstance(forward, Forward)
    (forward,) = router.handle(NextHopLost(PEERS[6], (forward.message,)), 0.0)
    assert isinstance(forward, Forward)
    assert router.handle(NextHopLost(PEERS[5], (forward.message,)), 0.0) == dropped("hop-limit")


def test_a_place_whose_only_way_is_lost_is_not_said_to_be_nobodys(router: Router) -> None:
    (forward,) = receive(router, data(HEAD.place))
    assert isinstance(forward, Forward)
    assert router.handle(NextHopLost(HEAD, (forward.message,)), 0.0) == dropped("no-route")


def test_a_flood_of_other_peoples_messages_leaves_nothing_behind(router: Router) -> None:
    for number in range(5_000):
        (forward,) = receive(router, data(nowhere(PEERS[4]), message=number), now=number * 0.01)
        assert isinstance(forward, Forward)
        router.handle(NextHopLost(PEERS[4], (forward.message,)), number * 0.01)
        receive(router, data(message=number), now=number * 0.01)
    assert router.counters()["rerouted"] == 5_000
    assert router.handle(SendMessage(id=1, place=ORIGIN.place, payload=b"", copies=1, deadline=99.0), 50.0)
