"""One peer's own messages on their way out: first contact, attempts, copies, waits."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cicada.events import MessageSettled
from cicada.ids import place_to_bytes
from cicada.routing.io import (
    Forward,
    Reason,
    Settled,
    Status,
    Tell,
)
from cicada.wire.routed import Contact, Data
from tests.routing.bench import (
    HEAD,
    OWN,
    OWN_BOOT,
    PEERS,
    THEIR_BOOT,
    THERE,
    Bench,
    ack,
    hops,
    only_data,
    outcome,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


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
