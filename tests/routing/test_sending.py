"""One peer's own messages on their way out: first contact, attempts, copies, waits."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.events import MessageSettled
from cicada.ids import place_to_bytes
from cicada.keys.trust import Trust
from cicada.limits import KEYS
from cicada.routing.io import (
    Copy,
    Fate,
    Forward,
    LifeNamed,
    Reason,
    SendMessage,
    Settled,
    Status,
    Tell,
    Verdict,
)
from cicada.wire.fields import TAG_BYTES, WAY_BYTES
from cicada.wire.routed import Contact, Data
from cicada.wire.sealed import AckBody, DataBody, encode_body
from tests.routing.bench import (
    HEAD,
    IN_RING,
    LIMITS,
    OWN,
    OWN_BOOT,
    PEERS,
    THEIR_BOOT,
    THERE,
    Bench,
    first_contact,
    hops,
    inside,
    only_data,
    outcome,
)
from tests.routing.swarm import clockwise


@pytest.fixture
def bench() -> Bench:
    return Bench()


def message(id: int, boot: int | None = None) -> SendMessage:
    return SendMessage(id=id, place=THERE.place, payload=b"hi", copies=1, deadline=9.0, boot=boot)


def test_the_first_message_opens_a_session_and_leaves_in_it_naming_that_life(bench: Bench) -> None:
    data = only_data(bench.meet())
    body = DataBody(origin_boot=OWN_BOOT, message=1, boot=THEIR_BOOT, copies=1, payload=b"hi")
    assert (len(data.way), len(data.tag)) == (WAY_BYTES, TAG_BYTES)
    assert replace(data, way=b"", tag=bytes(TAG_BYTES)) == Data(
        target=place_to_bytes(THERE.place),
        origin=OWN.address,
        hops=1,
        index=1000,
        counter=1,
        attempt=1,
        copy=0,
        body=encode_body(body),
    )


def test_the_ack_settles_the_message_once_and_tells_watchers(bench: Bench) -> None:
    data = only_data(bench.meet())
    bench.now = 0.25
    settled = Settled(
        id=1,
        status=Status.DELIVERED,
        reason=None,
        attempts=1,
        hops=3,
        round_trip_s=0.25,
        trust=Trust.UNVERIFIED,
        copies=(Copy(1, 0, THERE.address, Fate.INTACT),),
        frames=[(THERE.place, data.index, data.counter)],
        answer=(THERE.address, bench.indexes[data.index], 1),
    )
    event = MessageSettled(
        message=1,
        status="delivered",
        reason="",
        attempts=1,
        hops=3,
        round_trip_s=0.25,
        trust="unverified",
        copies=1,
    )
    assert bench.receive(bench.ack(data)) == [settled, Tell(event)]
    assert bench.receive(bench.ack(data)) == []
    assert bench.router.next_deadline() == KEYS.session_reject  # only the session is left


def test_messages_that_wait_for_one_session_share_the_question(bench: Bench) -> None:
    (forward,) = bench.send()
    assert [bench.send() for _ in range(4)] == [[]] * 4
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    assert len(bench.receive(bench.reply(forward.message))) == 5


def test_an_active_session_is_renewed_and_the_old_one_carries_messages_until_the_new_one_is_there(
    bench: Bench,
) -> None:
    bench.meet()
    bench.now = KEYS.session_renewal - 0.1
    only_data(bench.send(timeout=1000.0))
    bench.now += 0.1
    contact, old = bench.send(timeout=1000.0)
    assert isinstance(contact, Forward)
    assert isinstance(contact.message, Contact)
    assert only_data([old]).index == 1000
    assert bench.receive(bench.reply(contact.message)) == []
    assert only_data(bench.send(timeout=1000.0)).index == 1001


def test_a_session_that_nobody_renewed_is_over_and_the_next_message_opens_another(bench: Bench) -> None:
    bench.meet()
    bench.now = KEYS.session_reject
    first_contact(bench.send())


def test_a_hint_that_the_session_is_unknown_opens_another_and_sends_the_message_again(bench: Bench) -> None:
    data = only_data(bench.meet())
    contact = first_contact(bench.receive(bench.hint(data)))
    again = only_data(bench.receive(bench.reply(contact)))
    assert (again.index, again.attempt, inside(again)) == (1001, 2, inside(data))


def test_hints_open_one_session_a_second_at_most_and_only_about_what_was_just_sent(bench: Bench) -> None:
    data = only_data(bench.meet())
    assert bench.receive(replace(bench.hint(data), counter=9)) == []
    assert bench.receive(replace(bench.hint(data), origin=HEAD.address)) == []
    contact = first_contact(bench.receive(bench.hint(data)))
    assert bench.receive(bench.hint(data)) == []
    data = only_data(bench.receive(bench.reply(contact)))
    assert bench.receive(bench.hint(data)) == []
    bench.now = 0.4
    assert bench.receive(bench.hint(data)) == []


def test_a_destination_in_another_life_than_the_first_attempt_named_is_not_sent_the_message(
    bench: Bench,
) -> None:
    data = only_data(bench.meet())
    contact = first_contact(bench.receive(bench.hint(data)))
    outputs = bench.receive(bench.reply(contact, boot=99))
    assert outcome(outputs) == (Status.FAILED, Reason.RESTARTED, 1)
    assert inside(only_data(bench.send())).boot == 99


def test_the_life_that_a_message_is_for_is_told_once_and_before_the_message_leaves(bench: Bench) -> None:
    bench.meet()
    named, *leaving = bench.router.handle(message(id=8), bench.now)
    assert named == LifeNamed(8, THEIR_BOOT)
    data = only_data(leaving)
    contact = first_contact(bench.receive(bench.hint(data)))
    assert only_data(bench.receive(bench.reply(contact))).attempt == 2
    assert bench.named == [LifeNamed(1, THEIR_BOOT)]


def test_a_message_that_an_earlier_router_sent_is_for_the_life_that_it_named_alone(bench: Bench) -> None:
    bench.meet()
    assert inside(only_data(bench.handle(message(id=8, boot=THEIR_BOOT)))).boot == THEIR_BOOT
    assert outcome(bench.handle(message(id=9, boot=99))) == (Status.FAILED, Reason.RESTARTED, 0)
    assert bench.named == [LifeNamed(1, THEIR_BOOT)]


def test_an_attempt_that_never_left_names_no_life(bench: Bench) -> None:
    bench.receive(bench.ack(only_data(bench.meet())))
    others = clockwise(OWN, PEERS)
    behind = others[others.index(THERE) + 1 :]
    bench.handle(TableChanged(head=behind[0], predecessor=behind[-1], known=tuple(behind)))
    assert bench.handle(message(id=8)) == []
    assert bench.named == [LifeNamed(1, THEIR_BOOT)]
    bench.handle(IN_RING)
    only_data(bench.wait())
    assert bench.named == [LifeNamed(1, THEIR_BOOT), LifeNamed(8, THEIR_BOOT)]


def test_a_message_that_requires_more_trust_than_there_is_never_leaves(bench: Bench) -> None:
    bench.meet()
    assert outcome(bench.send(require=Trust.FIRST_CONTACT)) == (Status.FAILED, Reason.UNTRUSTED, 0)


def test_an_altered_copy_is_counted_and_the_next_attempt_leaves_at_once_over_another_hop(
    bench: Bench,
) -> None:
    data = only_data(bench.meet())
    altered = AckBody(
        message=0,
        counter=data.counter,
        status=Verdict.ALTERED,
        boot=0,
        digest=bytes(16),
        data_hops=1,
        altered=1,
    )
    assert bench.receive(bench.ack_of(data, altered)) == []
    assert bench.router.next_deadline() == LIMITS.denied_retry
    outputs = bench.wait()
    assert hops(outputs) != [THERE]
    settled, _ = bench.receive(bench.ack(only_data(outputs)))
    assert isinstance(settled, Settled)
    assert (settled.status, settled.attempts, settled.altered) == (Status.DELIVERED, 2, 1)


def test_a_reply_that_nobody_asked_for_is_ignored(bench: Bench) -> None:
    (forward,) = bench.send()
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, Contact)
    forged = replace(bench.reply(forward.message), request=forward.message.request ^ 1)
    assert bench.receive(forged) == []
    assert bench.receive(replace(bench.reply(forward.message), origin=HEAD.address)) == []
    assert bench.router.counters()["ignored:late-reply"] == 2


def test_each_attempt_leaves_over_another_hop_than_the_one_before(bench: Bench) -> None:
    (first,), (second,), (third,) = hops(bench.meet()), hops(bench.wait()), hops(bench.wait())
    assert first == third == THERE
    assert second != THERE


def test_by_default_one_copy_leaves_then_two_then_four_each_over_another_relay(bench: Bench) -> None:
    bench.receive(bench.ack(only_data(bench.meet())))
    first, second, third = hops(bench.send(copies=0)), hops(bench.wait()), hops(bench.wait())
    assert [len(set(peers)) for peers in (first, second, third)] == [1, 2, 4]
    assert {peers[0] for peers in (first, second, third)} == {THERE}


def test_a_contact_is_repeated_on_two_ways_and_then_on_four(bench: Bench) -> None:
    tries = [hops(bench.send()), hops(bench.wait()), hops(bench.wait())]
    assert [len(set(peers)) for peers in tries] == [1, 2, 4]
    assert all(peers[0] == THERE for peers in tries)


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
    assert outcome(bench.receive(bench.ack(data))) == (Status.DELIVERED, None, 3)


def test_a_destination_that_never_answers_times_out(bench: Bench) -> None:
    bench.send()
    settled = bench.wait_until_settled()
    assert (settled.reason, settled.attempts) == (Reason.TIMED_OUT, 3)


@pytest.mark.parametrize("copies", [1, 2, 5, 6])
@pytest.mark.parametrize("seed", range(5))
def test_copies_of_different_colours_leave_by_distinct_hops_and_strays_by_what_is_left(
    copies: int, seed: int
) -> None:
    bench = Bench(rng=Random(seed))
    bench.meet()
    outputs = bench.send(copies=copies)
    assert len(outputs) == copies
    sent = [output.message for output in outputs if isinstance(output, Forward)]
    data = [message for message in sent if isinstance(message, Data)]
    assert [each.copy for each in data] == list(range(copies))
    first_hops = hops(outputs)
    coloured = [hop for hop, each in zip(first_hops, data, strict=True) if not each.strayed]
    assert len(set(coloured)) == len(coloured)
    for number, each in enumerate(data):
        assert not each.strayed or first_hops[number] not in first_hops[:number]
