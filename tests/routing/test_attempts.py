"""How many copies leave, by which ways, how often again, and what the receipt says of each copy."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.events import MessageSettled
from cicada.ids import Peer
from cicada.limits import DeliveryLimits
from cicada.routing.attempts import RetryBudget
from cicada.routing.contacts import Contacts
from cicada.routing.io import Fate, Forward, Reason, RouterOutput, Settled, Status, Tell, Traced, Verdict
from cicada.wire.routed import Contact, ContactReply, Data, DataAck, GetRecord, RecordIs, RouterMessage
from cicada.wire.sealed import AckBody, decode_sealed
from tests.routing.bench import LIMITS, PEERS, THERE, Bench, only_data
from tests.routing.swarm import Swarm

PLACE = THERE.place


def met() -> Bench:
    """THERE is known and has answered once."""
    bench = Bench(replace(LIMITS, direct=False))
    bench.receive(bench.ack(only_data(bench.meet())))
    return bench


def sent(outputs: list[RouterOutput]) -> list[Data]:
    """The copies among what leaves."""
    messages = [output.message for output in outputs if isinstance(output, Forward)]
    return [message for message in messages if isinstance(message, Data)]


def report(bench: Bench, data: Data, **masks: int) -> DataAck:
    """THERE has not been able to open some of the copies."""
    body = AckBody(
        message=0,
        counter=data.counter,
        status=Verdict.ALTERED,
        boot=0,
        digest=bytes(16),
        data_hops=0,
    )
    return bench.ack_of(data, replace(body, **masks))


def test_a_busy_destination_is_asked_again_by_the_same_ways_and_never_by_more() -> None:
    bench = met()
    before = sent(bench.send(copies=0))
    for _ in range(2):
        bench.receive(bench.ack(before[0], Verdict.BUSY))
        again = sent(bench.wait())
        assert [data.way for data in again] == [data.way for data in before]
        assert again[0].counter > before[0].counter
        before = again


def test_round_trips_that_rise_do_not_raise_the_number_of_copies() -> None:
    bench = met()
    for seconds in (0.01, 0.4, 0.45, 0.45):
        data = only_data(bench.send(copies=0))
        bench.now += seconds
        bench.receive(bench.ack(data))
    assert len(bench.send(copies=0)) == 1
    assert [len(sent(bench.wait())) for _ in range(2)] == [1, 2], "once it may only be slow"


def test_a_way_that_proved_good_is_taken_again_until_something_is_lost_or_altered_on_it() -> None:
    bench = met()
    first = only_data(bench.send(copies=0))
    bench.receive(replace(bench.ack(first), way=first.way))
    second = only_data(bench.send(copies=0))
    assert second.way == first.way
    bench.receive(report(bench, second, altered=1))
    third = sent(bench.wait())
    assert len(third) == 2
    assert first.way not in {data.way for data in third}
    bench.receive(replace(bench.ack(third[1]), way=third[1].way))
    fourth = only_data(bench.send(copies=0))
    assert fourth.way == third[1].way
    bench.wait()
    assert only_data(bench.send(copies=0)).way != third[1].way, "it was lost"


@pytest.mark.parametrize("spoil", ["other way back", "not intact", "too old"])
def test_a_way_is_proven_only_by_what_went_and_came_back_on_it_and_not_for_ever(spoil: str) -> None:
    bench = met()
    first, second = sent(bench.send(copies=2))
    ack = bench.ack(second if spoil == "not intact" else first)
    bench.receive(replace(ack, way=second.way if spoil == "other way back" else first.way))
    if spoil == "too old":
        bench.now = LIMITS.way_seconds
    (data,) = sent(bench.send(copies=0))
    assert data.way != first.way


def test_explicit_copies_always_take_fresh_ways() -> None:
    bench = met()
    first = sent(bench.send(copies=2))
    bench.receive(replace(bench.ack(first[0]), way=first[0].way))
    assert not {data.way[:16] for data in first} & {data.way[:16] for data in sent(bench.send(copies=2))}


def test_the_receipt_tells_of_each_copy_and_is_complete_once_all_have_been_heard_of() -> None:
    bench = met()
    copies = sent(bench.send(copies=4))
    settled, tell = bench.receive(bench.ack(copies[2]))
    assert isinstance(settled, Settled)
    assert [copy.fate for copy in settled.copies] == [Fate.PENDING, Fate.PENDING, Fate.INTACT, Fate.PENDING]
    assert [copy.colour for copy in settled.copies] == [0, 1, 2, 3]
    assert len({copy.via for copy in settled.copies}) == 4
    assert isinstance(tell, Tell)
    assert isinstance(tell.event, MessageSettled)
    assert tell.event.copies == len(settled.copies)


def test_copies_heard_of_after_the_receipt_settled_are_traced() -> None:
    bench = met()
    copies = sent(bench.send(copies=3))
    bench.receive(bench.ack(copies[0]))
    good = decode_sealed(bench.ack(copies[0]).body, AckBody)
    assert bench.receive(bench.ack_of(copies[1], replace(good, intact=0b001, altered=0b010))) == []
    (traced,) = bench.receive(bench.ack_of(copies[2], replace(good, intact=0b101, altered=0b010)))
    assert isinstance(traced, Traced)
    assert [copy.fate for copy in traced.copies] == [Fate.INTACT, Fate.ALTERED, Fate.INTACT]
    assert traced.altered == 1
    assert bench.router.counters()["altered"] == 1


def test_what_is_not_heard_of_in_time_is_lost() -> None:
    bench = met()
    copies = sent(bench.send(copies=3))
    bench.receive(bench.ack(copies[1]))
    (traced,) = bench.wait()
    assert isinstance(traced, Traced)
    assert bench.now == LIMITS.trace_seconds
    assert [copy.fate for copy in traced.copies] == [Fate.LOST, Fate.INTACT, Fate.LOST]
    assert bench.receive(bench.ack(copies[0])) == [], "too late"


def test_a_copy_that_proves_nothing_makes_no_colour_guilty() -> None:
    bench = met()
    copies = sent(bench.send(copies=2))
    bench.receive(report(bench, copies[0], unattributed=1))
    settled = bench.wait_until_settled()
    assert settled.reason is Reason.TIMED_OUT
    assert {copy.fate for copy in settled.copies if copy.attempt == 1} == {Fate.UNATTRIBUTED}
    assert {copy.fate for copy in settled.copies if copy.attempt > 1} == {Fate.LOST}
    assert settled.altered == 0


def test_copies_that_anybody_can_make_up_are_answered_at_a_limited_rate() -> None:
    swarm = Swarm(5, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[2]
    swarm.run_until_settled([swarm.send(sender, target.place)])
    (copy,) = (message for _, _, message in swarm.sent(Data) if isinstance(message, Data))
    before = len(swarm.sent(DataAck))
    for number in range(500):
        swarm._arrive(sender, target, replace(copy, tag=number.to_bytes(8, "big")))
    swarm.run(seconds=0.01)
    assert len(swarm.sent(DataAck)) - before <= DeliveryLimits().hints_burst + 1


def test_a_relay_that_left_its_colour_makes_the_copies_not_disjoint() -> None:
    bench = met()
    copies = sent(bench.send(copies=2))
    good = decode_sealed(bench.ack(copies[0]).body, AckBody)
    settled, *_ = bench.receive(bench.ack_of(copies[0], replace(good, intact=0b11, strayed=0b10)))
    assert isinstance(settled, Settled)
    assert not settled.disjoint


def test_traces_are_bounded_and_the_oldest_ends_first() -> None:
    bench = Bench(replace(LIMITS, direct=False, traces=2))
    bench.receive(bench.ack(only_data(bench.meet())))
    ended = []
    for _ in range(3):
        copies = sent(bench.send(copies=2))
        ended += [output for output in bench.receive(bench.ack(copies[0])) if isinstance(output, Traced)]
    assert [traced.id for traced in ended] == [2]


def test_a_retry_that_the_budget_refuses_waits_and_is_not_lost() -> None:
    bench = Bench(replace(LIMITS, direct=False, retry_burst=1, retry_rate=0.5, retry_share=0.0))
    bench.receive(bench.ack(only_data(bench.meet())))
    for _ in range(2):
        bench.send(copies=0)
    assert [len(bench.wait()) for _ in range(2)] == [2, 0]
    assert bench.router.counters()["retries-put-off"] >= 1
    (outputs,) = [outputs for outputs in (bench.wait() for _ in range(2)) if outputs]
    assert bench.now >= 2.0, "a token takes two seconds"
    assert outputs


@given(
    share=st.floats(0.1, 1.0),
    asks=st.lists(st.booleans(), min_size=1, max_size=400),
)
def test_no_more_retries_leave_than_messages_and_time_have_earned(share: float, asks: list[bool]) -> None:
    limits = DeliveryLimits(retry_share=share, retry_burst=5, retry_rate=1.0)
    budget = RetryBudget(limits)
    messages = retries = 0
    for number, is_retry in enumerate(asks):
        now = number * 0.01
        if is_retry:
            retries += budget.take(now)
        else:
            budget.sent(now)
            messages += 1
        assert retries <= 5 + share * messages + now + 1e-6


def test_while_destinations_are_busy_messages_earn_a_tenth_of_a_retry() -> None:
    limits = DeliveryLimits(retry_burst=100, retry_rate=1e-9)
    earned = []
    for is_pressed in (False, True):
        budget = RetryBudget(limits)
        while budget.take(0.0):
            pass
        if is_pressed:
            budget.press(0.0)
        for _ in range(100):
            budget.sent(1.0)
        earned.append(sum(budget.take(1.0) for _ in range(100)))
    assert earned == [50, 10]
    assert budget.ready_at(1.0) > 1.0


def test_ways_are_remembered_of_the_latest_destinations_only() -> None:
    contacts = Contacts(DeliveryLimits(contacts=3))
    for number, peer in enumerate(PEERS):
        contacts.prove(peer.place, bytes((number,)), 0.0)
    assert [contacts.proven_way(peer.place, 1.0) for peer in PEERS[-3:]] == [b"\x05", b"\x06", b"\x07"]
    assert contacts.proven_way(PEERS[0].place, 1.0) == b""
    contacts.doubt(PEERS[-1].place, b"another")
    assert contacts.proven_way(PEERS[-1].place, 1.0) == b"\x07"


def bad_relays(swarm: Swarm, share: float) -> set[Peer]:
    return set(Random(3).sample(swarm.peers, int(share * len(swarm.peers))))


@pytest.mark.parametrize("mode", ["drop", "alter"])
def test_first_contact_and_delivery_survive_a_fifth_of_bad_relays(mode: str) -> None:
    swarm = Swarm(100, encrypted=True, limits=DeliveryLimits(direct=False))
    bad = bad_relays(swarm, 0.2)
    good = [peer for peer in swarm.peers if peer not in bad]
    kinds = (Contact, ContactReply, Data, DataAck, GetRecord, RecordIs)

    def is_relayed_badly(a: Peer, message: RouterMessage) -> bool:
        return a in bad and isinstance(message, kinds) and message.origin != a.address

    def alter(a: Peer, b: Peer, message: RouterMessage) -> RouterMessage:
        if not is_relayed_badly(a, message):
            return message
        field = next(name for name in ("body", "handshake", "record", "about") if hasattr(message, name))
        raw = getattr(message, field)
        return replace(message, **{field: raw[:-1] + bytes([raw[-1] ^ 1])}) if raw else message

    if mode == "drop":
        swarm.swallows = lambda a, b, message: is_relayed_badly(a, message)
    else:
        swarm.tampers = alter
    pairs = [(peer, good[(number * 11 + 5) % len(good)]) for number, peer in enumerate(good)]
    ids = {swarm.send(a, b.place): (a, b) for a, b in pairs if a != b}
    swarm.run_until_settled(ids)
    ends = [swarm.settled[number] for number in ids]
    assert sum(end.status is Status.DELIVERED for end in ends) >= 0.97 * len(ends)
    assert all(deliver.payload == b"hello" for node in swarm.nodes.values() for deliver in node.mailbox)
    blamed = {copy.via for end in ends for copy in end.copies if copy.fate is Fate.ALTERED}
    assert bool(blamed) == (mode == "alter")
