"""One peer's own messages: first contact, attempts, copies, retries, and every way to settle."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.events import MessageSettled
from cicada.ids import RING_SIZE, Peer, Place, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.io import (
    Alarm,
    Deliver,
    Forward,
    Judged,
    NextHopLost,
    Reason,
    RoutedReceived,
    RouterOutput,
    SendMessage,
    Settled,
    Status,
    Tell,
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


@pytest.fixture
def bench() -> Bench:
    return Bench()


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


def test_the_first_message_asks_for_the_boot_id_and_leaves_naming_it(bench: Bench) -> None:
    data = only_data(bench.meet())
    assert data == Data(
        target=place_to_bytes(THERE.place),
        origin=OWN.address,
        hops=1,
        origin_boot=OWN_BOOT,
        message=1,
        boot=THEIR_BOOT,
        attempt=1,
        copy=0,
        payload=b"hi",
    )


def test_the_ack_settles_the_message_once_and_tells_watchers(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.now = 0.25
    settled = Settled(id=1, status=Status.DELIVERED, reason=None, attempts=1, hops=3, round_trip_s=0.25)
    event = MessageSettled(
        message=1,
        status="delivered",
        reason="",
        attempts=1,
        hops=3,
        round_trip_s=0.25,
    )
    assert bench.receive(ack(data)) == [settled, Tell(event)]
    assert bench.receive(ack(data)) == []
    assert bench.router.next_deadline() is None


def test_messages_that_wait_for_one_boot_id_share_the_question(bench: Bench) -> None:
    (forward,) = bench.send()
    assert [bench.send() for _ in range(4)] == [[]] * 4
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    assert len(bench.receive(bench.reply(forward.message))) == 5


def test_a_known_destination_is_not_asked_again_until_its_boot_id_is_old(bench: Bench) -> None:
    bench.meet()
    bench.now = 30.0
    only_data(bench.send())
    bench.now = 30.1
    (forward,) = bench.send()
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)


def test_a_reply_that_nobody_asked_for_is_ignored(bench: Bench) -> None:
    (forward,) = bench.send()
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    forged = replace(bench.reply(forward.message), request=forward.message.request ^ 1)
    assert bench.receive(forged) == []
    assert bench.receive(replace(bench.reply(forward.message), origin=HEAD.address)) == []
    assert bench.router.counters()["ignored:late-reply"] == 2


def test_each_attempt_leaves_over_another_hop_than_the_one_before(bench: Bench) -> None:
    first = hops(bench.meet())
    second = hops(bench.wait())
    third = hops(bench.wait())
    assert first == [THERE]
    assert second == [PEERS[4]]
    assert third == [THERE]


def test_a_contact_is_repeated_over_another_hop_too(bench: Bench) -> None:
    assert [hops(bench.send()), hops(bench.wait()), hops(bench.wait())] == [[THERE], [PEERS[4]], [THERE]]


def test_the_wait_doubles_with_each_attempt_and_the_deadline_ends_it(bench: Bench) -> None:
    bench.meet()  # the contact was answered at once, so the floor holds
    times = []
    for _ in range(2):
        bench.wait()
        times.append(bench.now)
    assert times == [0.5, 1.5]
    settled = bench.wait_until_settled()
    assert (settled.reason, settled.attempts, bench.now) == (Reason.TIMED_OUT, 3, 10.0)
    assert bench.router.counters()["retries"] == 2


def test_an_ack_that_comes_after_the_last_attempt_still_counts(bench: Bench) -> None:
    data = only_data(bench.meet())
    for _ in range(3):
        bench.wait()
    bench.now = 9.0
    assert outcome(bench.receive(ack(data))) == (Status.DELIVERED, None, 3)


def test_a_destination_that_never_answers_times_out(bench: Bench) -> None:
    bench.send()
    settled = bench.wait_until_settled()
    assert (settled.reason, settled.attempts) == (Reason.TIMED_OUT, 3)


@pytest.mark.parametrize(("copies", "distinct"), [(1, 1), (2, 2), (5, 5), (6, 5)])
def test_copies_leave_by_distinct_hops_as_far_as_there_are(bench: Bench, copies: int, distinct: int) -> None:
    bench.meet()
    outputs = bench.send(copies=copies)
    assert len(outputs) == copies
    assert len(set(hops(outputs))) == distinct
    numbers = [output.message.copy for output in outputs if isinstance(output, Forward)]  # type: ignore[union-attr]
    assert numbers == list(range(copies))


def test_an_ack_with_another_digest_is_ignored_and_counted(bench: Bench) -> None:
    data = only_data(bench.meet())
    assert bench.receive(ack(data, payload=b"altered")) == []
    assert bench.router.counters()["ignored:altered"] == 1
    assert outcome(bench.receive(ack(data)))[0] is Status.DELIVERED


def test_acks_that_do_not_fit_what_was_sent_are_ignored(bench: Bench) -> None:
    data = only_data(bench.meet())
    good = ack(data)
    for foreign in (
        replace(good, origin=HEAD.address),
        replace(good, attempt=2),
        replace(good, attempt=0),
        replace(good, boot=THEIR_BOOT + 1),
        replace(good, status=99),
    ):
        assert bench.receive(foreign) == []
    assert bench.router.counters()["ignored:foreign-ack"] == 5
    for late in (replace(good, message=2), replace(good, origin_boot=OWN_BOOT + 1)):
        assert bench.receive(late) == []
    assert bench.router.counters()["ignored:late-ack"] == 2


@pytest.mark.parametrize(
    ("verdict", "reason"), [(Verdict.RESTARTED, Reason.RESTARTED), (Verdict.STALE, Reason.STALE)]
)
def test_a_destination_that_cannot_know_settles_the_message_as_unknown(
    bench: Bench, verdict: Verdict, reason: Reason
) -> None:
    data = only_data(bench.meet())
    assert outcome(bench.receive(ack(data, verdict))) == (Status.FAILED, reason, 1)


def test_after_a_restart_the_next_message_asks_for_the_new_boot_id(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.receive(ack(data, Verdict.RESTARTED))
    assert only_data(bench.meet(boot=99)).boot == 99


def test_a_retry_names_the_life_that_the_first_attempt_named(bench: Bench) -> None:
    bench.meet()
    other = only_data(bench.send())
    bench.receive(ack(other, Verdict.RESTARTED))
    bench.meet(boot=99)
    assert bench.router.next_deadline() == 0.5
    boots = [o.message.boot for o in bench.wait() if isinstance(o, Forward) and isinstance(o.message, Data)]
    assert boots == [THEIR_BOOT, 99]


def test_a_busy_destination_is_tried_again_over_the_same_hop_and_then_given_up(bench: Bench) -> None:
    outputs = bench.meet()
    for attempt in (1, 2):
        assert hops(outputs) == [THERE]
        assert bench.receive(ack(only_data(outputs), Verdict.BUSY)) == []
        assert bench.receive(ack(only_data(outputs), Verdict.BUSY)) == []
        before = bench.now
        outputs = bench.wait()
        assert bench.now - before == 0.5 * 2 ** (attempt - 1)
    assert outcome(bench.receive(ack(only_data(outputs), Verdict.BUSY))) == (Status.FAILED, Reason.BUSY, 3)


def test_a_message_whose_last_word_was_busy_fails_as_busy_at_its_deadline(bench: Bench) -> None:
    bench.meet()
    data = only_data(bench.send(timeout=0.4))
    bench.receive(ack(data, Verdict.BUSY))
    assert bench.wait_until_settled().reason is Reason.BUSY


def test_no_such_peer_is_believed_when_it_is_still_said_after_a_while(bench: Bench) -> None:
    outputs = bench.send()
    said_at = []
    for _ in range(10):
        (forward,) = outputs
        assert isinstance(forward, Forward)
        assert isinstance(forward.message, Contact)
        said_at.append(bench.now)
        outputs = bench.receive(denial(forward.message))
        if outputs:
            break
        outputs = bench.wait()
    assert outcome(outputs) == (Status.FAILED, Reason.NO_SUCH_PEER, 3)
    assert said_at == [0.0, 0.5, 1.0]
    assert bench.router.next_deadline() is None


def test_a_peer_that_was_denied_and_then_answers_gets_the_message(bench: Bench) -> None:
    (forward,) = bench.send()
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    bench.receive(denial(forward.message))
    (forward,) = bench.wait()
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    only_data(bench.receive(bench.reply(forward.message)))


def test_a_message_whose_destination_left_meanwhile_fails_as_no_such_peer(bench: Bench) -> None:
    outputs = bench.meet()
    for _ in range(2):
        assert bench.receive(denial(only_data(outputs))) == []
        outputs = bench.wait()
    assert outcome(bench.receive(denial(only_data(outputs))))[1] is Reason.NO_SUCH_PEER
    assert bench.now == 1.0


def first_contact(outputs: list[RouterOutput]) -> Contact:
    (forward,) = outputs
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    return forward.message


def test_denied_questions_are_repeated_beyond_the_number_of_attempts() -> None:
    bench = Bench(DeliveryLimits(attempts=1, retry_floor=0.5, no_such_peer_after=2.0))
    contact = first_contact(bench.send())
    for _ in range(4):
        assert bench.receive(denial(contact)) == []
        contact = first_contact(bench.wait())
    assert outcome(bench.receive(denial(contact)))[1] is Reason.NO_SUCH_PEER
    assert bench.now == 2.0


def test_denied_attempts_are_repeated_beyond_their_number() -> None:
    bench = Bench(DeliveryLimits(attempts=1, retry_floor=0.5, no_such_peer_after=2.0))
    outputs = bench.meet()
    for _ in range(4):
        assert bench.receive(denial(only_data(outputs))) == []
        outputs = bench.wait()
    assert outcome(bench.receive(denial(only_data(outputs))))[1] is Reason.NO_SUCH_PEER


def test_one_attempt_is_denied_once_however_many_copies_are(bench: Bench) -> None:
    data = only_data(bench.meet())
    assert bench.receive(denial(data)) == []
    bench.now = 0.4
    assert bench.receive(denial(data)) == []
    assert bench.router.next_deadline() == 0.5
    bench.now = 1.1
    assert bench.receive(denial(data)) == []


def test_an_introduction_that_gave_up_begins_anew_with_the_next_message() -> None:
    bench = Bench(DeliveryLimits(attempts=1, retry_first=1.0))
    asked = [first_contact(bench.send())]
    assert bench.wait() == []
    asked += [first_contact(bench.send()) for _ in range(2)]
    assert bench.receive(bench.reply(asked[0])) == []  # only the latest questions are remembered
    assert len(bench.receive(bench.reply(asked[2]))) == 3


def test_a_busy_copy_that_answers_late_does_not_put_the_next_attempt_off(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.receive(ack(data, Verdict.BUSY))
    bench.now = 0.4
    bench.receive(ack(data, Verdict.BUSY))
    assert bench.router.next_deadline() == 0.5
    second = only_data(bench.wait())
    bench.receive(ack(data, Verdict.BUSY))
    assert bench.router.next_deadline() == 1.5
    assert second.attempt == 2


def test_an_ack_renews_the_boot_id(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.now = 9.0
    bench.receive(ack(data))
    bench.now = 38.0
    only_data(bench.send())


def test_a_slow_ack_makes_the_next_message_wait_longer(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.now = 4.0
    bench.receive(ack(data))
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
    assert (settled.reason, bench.now) == (Reason.NO_SUCH_PEER, 1.0)


def test_a_message_to_oneself_is_delivered_without_any_ring() -> None:
    bench = Bench(table=None)
    (deliver,) = bench.send(OWN.place, copies=3)
    assert isinstance(deliver, Deliver)
    assert (deliver.origin, deliver.origin_boot, deliver.hops) == (OWN, OWN_BOOT, 0)
    outputs = bench.router.handle(Judged(deliver.ticket, Verdict.DELIVERED), 0.0)
    assert outcome(outputs) == (Status.DELIVERED, None, 1)


def test_a_message_to_oneself_waits_for_room_in_the_mailbox() -> None:
    bench = Bench(table=None)
    (deliver,) = bench.send(OWN.place)
    assert isinstance(deliver, Deliver)
    assert bench.router.handle(Judged(deliver.ticket, Verdict.BUSY), 0.0) == []
    (deliver,) = bench.wait()
    assert isinstance(deliver, Deliver)
    assert bench.now == 1.0


@pytest.mark.parametrize("table", [None, NOT_IN_RING])
def test_outside_a_ring_messages_wait_and_leave_when_there_is_one(table: TableChanged | None) -> None:
    bench = Bench(table=table)
    assert bench.send() == []
    (forward,) = bench.router.handle(IN_RING, 3.0)
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)


def test_a_message_that_never_saw_a_ring_says_so_at_its_deadline() -> None:
    bench = Bench(table=None)
    bench.send()
    settled = bench.wait_until_settled()
    assert (settled.reason, settled.attempts, bench.now) == (Reason.NOT_IN_RING, 0, 10.0)


def test_a_message_waits_out_the_time_in_which_this_peer_is_not_in_a_ring(bench: Bench) -> None:
    bench.meet()
    bench.router.handle(NOT_IN_RING, 0.1)
    assert bench.wait() == []
    assert only_data(bench.router.handle(IN_RING, 4.0)).attempt == 2


def test_a_message_without_any_way_is_tried_again_without_counting_an_attempt() -> None:
    bench = Bench(table=TableChanged(head=THERE, predecessor=THERE, known=(THERE,)))
    bench.meet()
    bench.router.handle(NextHopLost(THERE), 0.1)
    assert [bench.wait() for _ in range(4)] == [[]] * 4
    assert bench.now == 2.0
    outputs = bench.wait()
    outputs += bench.wait()
    assert only_data(outputs).attempt == 2  # the hop is used again after lost_hop_seconds


def test_the_same_id_is_one_message_however_often_it_is_submitted(bench: Bench) -> None:
    bench.meet()
    again = SendMessage(id=1, place=THERE.place, payload=b"hi", copies=1, deadline=10.0)
    assert bench.router.handle(again, 0.0) == []


def test_messages_beyond_the_bound_fail_at_once_and_room_comes_back(bench: Bench) -> None:
    data = only_data(bench.meet())
    for _ in range(49):
        bench.send(payload=b"")
    assert outcome(bench.send(payload=b"")) == (Status.FAILED, Reason.OVERLOADED, 0)
    bench.receive(ack(data))
    only_data(bench.send(payload=b""))


def test_payloads_beyond_the_bound_in_bytes_fail_at_once(bench: Bench) -> None:
    bench.meet()
    assert outcome(bench.send(payload=bytes(999)))[1] is Reason.OVERLOADED
    data = only_data(bench.send(payload=bytes(998)))
    assert outcome(bench.send(payload=b"1"))[1] is Reason.OVERLOADED
    bench.receive(ack(data))
    only_data(bench.send(payload=b"1"))


def test_one_call_handles_a_bounded_batch_and_asks_to_be_called_again() -> None:
    bench = Bench(table=None)
    for _ in range(50):
        bench.send(OWN.place if bench.last_id % 2 else THERE.place)
    bench.now = 1.0
    bench.router.handle(NOT_IN_RING, bench.now)
    fired = [len(bench.router.handle(Alarm(), bench.now)) for _ in range(3)]
    assert fired == [20, 5, 0]  # the 25 to itself were due again, 20 in a batch
    (contact,) = bench.router.handle(IN_RING, bench.now)
    assert isinstance(contact, Forward)
    assert isinstance(contact.message, Contact)
    deadline = bench.router.next_deadline()
    assert deadline is not None
    assert deadline <= bench.now
    bench.router.handle(Alarm(), bench.now)
    assert len(bench.receive(bench.reply(contact.message))) == 20
    assert len(bench.router.handle(Alarm(), bench.now)) == 5


def test_only_an_alarm_lets_deadlines_fire(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.now = 50.0
    assert outcome(bench.receive(ack(data)))[0] is Status.DELIVERED
