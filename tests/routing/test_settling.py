"""What comes back for a peer's own messages, how they settle, and what waits or is bounded until then."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.events import MessageDropped
from cicada.ids import RING_SIZE, Place
from cicada.limits import DeliveryLimits
from cicada.routing.io import (
    Alarm,
    Deliver,
    Forward,
    Judged,
    NextHopLost,
    Reason,
    RouterOutput,
    SendMessage,
    Settled,
    Status,
    Tell,
    Verdict,
)
from cicada.wire.routed import Contact
from cicada.wire.sealed import AckBody, SessionAnswer, SessionOpening, decode_sealed, encode_body
from cicada.wire.services import Service
from tests.routing.bench import (
    HEAD,
    IN_RING,
    LIMITS,
    NOT_IN_RING,
    OWN,
    OWN_BOOT,
    PEERS,
    THEIR_BOOT,
    THERE,
    Bench,
    denial,
    first_contact,
    hops,
    inside,
    only_data,
    outcome,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_ack_with_another_digest_is_ignored_and_counted(bench: Bench) -> None:
    data = only_data(bench.meet())
    assert bench.receive(bench.ack(data, payload=b"altered")) == []
    assert bench.router.counters()["ignored:altered"] == 1
    assert outcome(bench.receive(bench.ack(data)))[0] is Status.DELIVERED


@pytest.mark.parametrize("status", [Verdict.DELIVERED, Verdict.RESTARTED, Verdict.STALE, Verdict.BUSY])
def test_a_destination_has_no_say_about_messages_to_another_by_choosing_its_index(
    bench: Bench, status: Verdict
) -> None:
    """Relays see by which index a destination knows a session, and whoever sends something to a relay uses its index."""
    data = only_data(bench.meet())
    liar = PEERS[4]
    asked = first_contact(bench.send(liar.place, b"to the liar"))
    chosen = SessionAnswer(record=b"", succession=b"", boot=THEIR_BOOT, index=data.index)
    reply = replace(bench.reply(asked), origin=liar.address, handshake=encode_body(chosen))
    other = only_data(bench.receive(reply))
    assert (other.index, other.counter) == (data.index, data.counter)
    opened = decode_sealed(asked.handshake, SessionOpening)
    forged = replace(bench.ack(data, status), origin=liar.address, index=opened.index)
    assert bench.receive(forged) == []
    assert outcome(bench.receive(bench.ack(data)))[0] is Status.DELIVERED


def test_acks_that_do_not_fit_what_was_sent_are_ignored(bench: Bench) -> None:
    data = only_data(bench.meet())
    good = decode_sealed(bench.ack(data).body, AckBody)
    for foreign in (
        replace(good, message=2),
        replace(good, boot=THEIR_BOOT + 1),
        replace(good, status=99),
    ):
        assert bench.receive(bench.ack_of(data, foreign)) == []
    assert bench.router.counters()["ignored:foreign-ack"] == 3
    assert bench.receive(bench.ack_of(data, replace(good, counter=2))) == []
    assert bench.router.counters()["ignored:late-ack"] == 1


def test_an_ack_of_another_session_or_peer_is_ignored(bench: Bench) -> None:
    data = only_data(bench.meet())
    good = bench.ack(data)
    assert bench.receive(replace(good, origin=HEAD.address)) == [
        Tell(MessageDropped(reason="foreign-session"))
    ]
    assert bench.receive(replace(good, index=5)) == []
    assert bench.receive(replace(good, body=b"\xc1")) == []
    counters = bench.router.counters()
    assert (counters["ignored:late-ack"], counters["ignored:ack-malformed"]) == (1, 1)


def test_an_ack_counts_once(bench: Bench) -> None:
    good = bench.ack(only_data(bench.meet()))
    assert outcome(bench.receive(good))[0] is Status.DELIVERED
    assert bench.receive(good) == []
    assert bench.router.counters()["ignored:ack-replayed"] == 1


@pytest.mark.parametrize(
    ("verdict", "reason"), [(Verdict.RESTARTED, Reason.RESTARTED), (Verdict.STALE, Reason.STALE)]
)
def test_a_destination_that_cannot_know_settles_the_message_as_unknown(
    bench: Bench, verdict: Verdict, reason: Reason
) -> None:
    data = only_data(bench.meet())
    assert outcome(bench.receive(bench.ack(data, verdict))) == (Status.FAILED, reason, 1)


def test_what_a_service_does_not_take_fails_at_once_and_says_why(bench: Bench) -> None:
    bench.receive(bench.ack(only_data(bench.meet())))
    for verdict, reason in ((Verdict.NO_SERVICE, Reason.NO_SERVICE), (Verdict.FULL, Reason.BUSY)):
        data = only_data(bench.send(service=Service.NAME))
        assert inside(data).service == Service.NAME
        assert outcome(bench.receive(bench.ack(data, verdict))) == (Status.FAILED, reason, 1)


def test_mail_for_a_service_waits_for_no_room_in_a_mailbox_and_requests_do(bench: Bench) -> None:
    first = only_data(bench.meet())
    only_data(bench.send())  # of which no word has come
    bench.receive(bench.ack(first, credit=0))
    assert bench.send() == []
    assert bench.send(service=Service.REQUEST) == []
    data = only_data(bench.send(service=Service.REPLY))
    assert outcome(bench.receive(bench.ack(data, credit=0)))[0] is Status.DELIVERED


def test_mail_for_a_service_whose_peer_is_busy_is_sent_again_and_not_for_ever(bench: Bench) -> None:
    bench.receive(bench.ack(only_data(bench.meet())))
    outputs = bench.send(service=Service.NAME)
    for _ in range(LIMITS.attempts - 1):
        assert bench.receive(bench.ack(only_data(outputs), Verdict.BUSY)) == []
        outputs = bench.wait()
    assert outcome(bench.receive(bench.ack(only_data(outputs), Verdict.BUSY))) == (
        Status.FAILED,
        Reason.BUSY,
        LIMITS.attempts,
    )


def test_a_busy_destination_is_tried_again_over_the_same_hop_and_then_given_up(bench: Bench) -> None:
    outputs = bench.meet()
    for attempt in (1, 2):
        assert hops(outputs) == [THERE]
        assert bench.receive(bench.ack(only_data(outputs), Verdict.BUSY)) == []
        assert bench.receive(bench.ack(only_data(outputs), Verdict.BUSY)) == []
        before = bench.now
        outputs = bench.wait()
        assert bench.now - before == 0.5 * 2 ** (attempt - 1)
    assert outcome(bench.receive(bench.ack(only_data(outputs), Verdict.BUSY))) == (
        Status.FAILED,
        Reason.BUSY,
        3,
    )


def test_a_message_whose_last_word_was_busy_fails_as_busy_at_its_deadline(bench: Bench) -> None:
    bench.meet()
    data = only_data(bench.send(timeout=0.4))
    bench.receive(bench.ack(data, Verdict.BUSY))
    assert bench.wait_until_settled().reason is Reason.BUSY


def test_no_such_peer_is_believed_when_it_is_still_said_after_a_while(bench: Bench) -> None:
    outputs = bench.send()
    said_at = []
    for _ in range(10):
        contact = first_contact(outputs)
        said_at.append(bench.now)
        outputs = bench.receive(denial(contact))
        if outputs:
            break
        outputs = bench.wait()
    assert outcome(outputs) == (Status.FAILED, Reason.NO_SUCH_PEER, 7)
    assert said_at == pytest.approx([0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.3]), (
        "soon at first, then ever more rarely"
    )
    assert bench.router.next_deadline() is None


def test_a_peer_that_was_denied_and_then_answers_gets_the_message(bench: Bench) -> None:
    bench.receive(denial(first_contact(bench.send())))
    only_data(bench.receive(bench.reply(first_contact(bench.wait()))))


def test_a_message_whose_destination_left_meanwhile_fails_as_no_such_peer(bench: Bench) -> None:
    outputs = bench.meet()
    for _ in range(2):
        assert bench.receive(denial(only_data(outputs))) == []
        outputs = bench.wait()
    assert outcome(bench.receive(denial(only_data(outputs))))[1] is Reason.NO_SUCH_PEER
    assert bench.now == 1.0


def test_denied_questions_are_repeated_beyond_the_number_of_attempts() -> None:
    bench = Bench(DeliveryLimits(attempts=1, retry_floor=0.5, denied_retry=0.5, newcomer_after=2.0))
    contact = first_contact(bench.send())
    for _ in range(4):
        assert bench.receive(denial(contact)) == []
        contact = first_contact(bench.wait())
    assert outcome(bench.receive(denial(contact)))[1] is Reason.NO_SUCH_PEER
    assert bench.now == 2.0


def denied_for(bench: Bench, round_trip: float) -> float:
    """For how long a message to somebody unknown is denied until it fails."""
    contact, began = first_contact(bench.send()), bench.now + round_trip
    while True:
        bench.now += round_trip
        outputs = bench.receive(denial(contact))
        if outputs:
            assert outcome(outputs)[1] is Reason.NO_SUCH_PEER
            return bench.now - began
        contact = first_contact(bench.wait())


def test_the_longer_denials_take_the_longer_a_newcomer_is_waited_for() -> None:
    def bench() -> Bench:
        return Bench(DeliveryLimits(newcomer_after=1.0, newcomer_trips=6.0, newcomer_most=5.0))

    assert 1.0 <= denied_for(bench(), 0.1) < 1.0 + 0.7
    assert 3.0 <= denied_for(bench(), 0.5) < 3.0 + 1.1
    assert 5.0 <= denied_for(bench(), 2.0) < 5.0 + 2.6


@pytest.mark.parametrize(
    ("round_trip", "reason"), [(0.01, Reason.NO_SUCH_PEER), (0.6, Reason.TIMED_OUT)], ids=["near", "far"]
)
def test_who_has_less_time_than_a_newcomer_needs_is_told_what_was_said_until_then(
    round_trip: float, reason: Reason
) -> None:
    bench = Bench(DeliveryLimits(newcomer_after=4.0, newcomer_trips=6.0))
    contact = first_contact(bench.send(timeout=3.0))
    outputs: list[RouterOutput] = []
    while not any(isinstance(output, Settled) for output in outputs):
        bench.now += round_trip
        assert bench.receive(denial(contact)) == []
        outputs = bench.wait()
        asked: list[RouterOutput] = [output for output in outputs if isinstance(output, Forward)]
        contact = first_contact(asked) if asked else contact
    assert outcome(outputs)[1] is reason
    assert 3.0 <= bench.now < 3.0 + round_trip + 0.01


def test_denied_attempts_are_repeated_beyond_their_number() -> None:
    bench = Bench(DeliveryLimits(attempts=1, retry_floor=0.5, denied_retry=0.5, no_such_peer_after=2.0))
    outputs = bench.meet()
    for _ in range(4):
        assert bench.receive(denial(only_data(outputs))) == []
        outputs = bench.wait()
    assert outcome(bench.receive(denial(only_data(outputs))))[1] is Reason.NO_SUCH_PEER


def test_who_saw_an_earlier_attempt_cannot_deny_the_destination_of_a_later_one(bench: Bench) -> None:
    first = only_data(bench.meet())
    assert bench.receive(denial(first)) == []
    only_data(bench.wait())
    bench.now = 1.5
    assert bench.receive(denial(first)) == []
    assert len(bench.router._sends) == 1


def test_one_attempt_is_denied_once_however_many_copies_are(bench: Bench) -> None:
    data = only_data(bench.meet())
    assert bench.receive(denial(data)) == []
    bench.now = 0.4
    assert bench.receive(denial(data)) == []
    assert bench.router.next_deadline() == 0.5
    bench.now = 1.1
    assert bench.receive(denial(data)) == []


def test_an_introduction_that_gave_up_begins_anew_with_the_next_message() -> None:
    bench = Bench(DeliveryLimits(attempts=2, retry_first=1.0))
    asked = [first_contact(bench.send())]
    asked.append(first_contact(bench.wait()))
    assert bench.wait() == []
    asked.append(first_contact(bench.send()))
    asked.append(first_contact(bench.wait()))
    assert bench.receive(bench.reply(asked[0])) == []  # only the latest questions are remembered
    assert len(bench.receive(bench.reply(asked[3]))) == 2


def test_a_busy_copy_that_answers_late_does_not_put_the_next_attempt_off(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.receive(bench.ack(data, Verdict.BUSY))
    bench.now = 0.4
    bench.receive(bench.ack(data, Verdict.BUSY))
    assert bench.router.next_deadline() == 0.5
    second = only_data(bench.wait())
    bench.receive(bench.ack(data, Verdict.BUSY))
    assert bench.router.next_deadline() == 1.5
    assert second.attempt == 2


def test_a_slow_ack_makes_the_next_message_wait_longer(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.now = 4.0
    bench.receive(bench.ack(data))
    only_data(bench.send())
    deadline = bench.router.next_deadline()
    assert deadline is not None
    assert deadline > 4.0 + LIMITS.retry_floor


def test_a_denial_of_another_place_is_ignored(bench: Bench) -> None:
    data = only_data(bench.meet())
    forged = replace(denial(data), place=bytes(32))
    for _ in range(5):
        bench.now += 1.0
        assert bench.receive(forged) == []


@pytest.mark.parametrize("table", [IN_RING, TableChanged(head=OWN, predecessor=OWN, known=())])
def test_a_place_on_the_own_arc_is_denied_without_asking_anybody(table: TableChanged) -> None:
    bench = Bench(table=table)
    assert bench.send(Place((OWN.place + 1) % RING_SIZE)) == []
    settled = bench.wait_until_settled()
    assert settled.reason is Reason.NO_SUCH_PEER
    assert bench.now == pytest.approx(1.3)


def test_a_message_to_oneself_is_delivered_without_any_ring() -> None:
    bench = Bench(table=None)
    (deliver,) = bench.send(OWN.place, copies=3)
    assert isinstance(deliver, Deliver)
    assert (deliver.origin, deliver.origin_boot, deliver.hops) == (OWN, OWN_BOOT, 0)
    outputs = bench.handle(Judged(deliver.ticket, Verdict.DELIVERED))
    assert outcome(outputs) == (Status.DELIVERED, None, 1)


def test_a_message_to_oneself_waits_for_room_in_the_mailbox() -> None:
    bench = Bench(table=None)
    (deliver,) = bench.send(OWN.place)
    assert isinstance(deliver, Deliver)
    assert bench.handle(Judged(deliver.ticket, Verdict.BUSY)) == []
    (deliver,) = bench.wait()
    assert isinstance(deliver, Deliver)
    assert bench.now == LIMITS.probe_first


@pytest.mark.parametrize("table", [None, NOT_IN_RING])
def test_outside_a_ring_messages_wait_and_leave_when_there_is_one(table: TableChanged | None) -> None:
    bench = Bench(table=table)
    assert bench.send() == []
    (forward,) = bench.handle(IN_RING, 3.0)
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)


def test_a_message_that_never_saw_a_ring_says_so_at_its_deadline() -> None:
    bench = Bench(table=None)
    bench.send()
    settled = bench.wait_until_settled()
    assert (settled.reason, settled.attempts, bench.now) == (Reason.NOT_IN_RING, 0, 10.0)


def test_a_message_waits_out_the_time_in_which_this_peer_is_not_in_a_ring(bench: Bench) -> None:
    bench.meet()
    bench.handle(NOT_IN_RING, 0.1)
    assert bench.wait() == []
    assert only_data(bench.handle(IN_RING, 3.0)).attempt == 2


def test_a_message_without_any_way_is_tried_again_without_counting_an_attempt() -> None:
    bench = Bench(table=TableChanged(head=THERE, predecessor=THERE, known=(THERE,)))
    bench.meet()
    bench.handle(NextHopLost(THERE), 0.1)
    assert [bench.wait() for _ in range(4)] == [[]] * 4
    assert bench.now == 2.0
    outputs = bench.wait()
    outputs += bench.wait()
    assert only_data(outputs).attempt == 2  # the hop is used again after lost_hop_seconds


def test_the_same_id_is_one_message_however_often_it_is_submitted(bench: Bench) -> None:
    bench.meet()
    again = SendMessage(id=1, place=THERE.place, payload=b"hi", copies=1, deadline=10.0)
    assert bench.handle(again) == []


def test_messages_beyond_the_bound_fail_at_once_and_room_comes_back(bench: Bench) -> None:
    data = only_data(bench.meet())
    for _ in range(49):
        bench.send(payload=b"")
    assert outcome(bench.send(payload=b"")) == (Status.FAILED, Reason.OVERLOADED, 0)
    bench.receive(bench.ack(data))
    only_data(bench.send(payload=b""))


def test_payloads_beyond_the_bound_in_bytes_fail_at_once(bench: Bench) -> None:
    bench.meet()
    assert outcome(bench.send(payload=bytes(999)))[1] is Reason.OVERLOADED
    data = only_data(bench.send(payload=bytes(998)))
    assert outcome(bench.send(payload=b"1"))[1] is Reason.OVERLOADED
    bench.receive(bench.ack(data))
    only_data(bench.send(payload=b"1"))


def test_one_call_handles_a_bounded_batch_and_asks_to_be_called_again() -> None:
    bench = Bench(table=None)
    for _ in range(50):
        bench.send(OWN.place if bench.last_id % 2 else THERE.place)
    bench.now = 1.0
    bench.handle(NOT_IN_RING)
    fired = [len(bench.handle(Alarm())) for _ in range(3)]
    assert fired == [20, 5, 0]  # the 25 to itself were due again, 20 in a batch
    (contact,) = bench.handle(IN_RING)
    assert isinstance(contact, Forward)
    assert isinstance(contact.message, Contact)
    assert len(bench.receive(bench.reply(contact.message))) == 20
    deadline = bench.router.next_deadline()
    assert deadline is not None
    assert deadline <= bench.now
    assert len(bench.handle(Alarm())) == 5


def test_only_an_alarm_lets_deadlines_fire(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.now = 50.0
    assert outcome(bench.receive(bench.ack(data)))[0] is Status.DELIVERED
