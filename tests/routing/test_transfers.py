"""Messages in fragments and ordered messages between Routers, on a network that loses, repeats and overtakes."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.ids import Peer
from cicada.limits import DELIVERY, MIB, TRANSFER, WIRE
from cicada.routing.io import Reason, Settled, Status
from cicada.wire.routed import Data, RouterMessage
from cicada.wire.sealed import DataBody, decode_sealed
from tests.routing.swarm import Swarm

FULL = WIRE.max_payload
LARGEST = WIRE.max_message
PATIENT = 120.0


def bytes_of(size: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


def parts_sent(swarm: Swarm, sender: Peer) -> Counter[tuple[int, int]]:
    """How many copies of each (message, fragment) left the sender."""
    datas = (message for by, _, message in swarm.sent(Data) if by == sender and isinstance(message, Data))
    bodies = (decode_sealed(data.body, DataBody) for data in datas)
    return Counter((body.message, body.part) for body in bodies)


def mail(swarm: Swarm, peer: Peer) -> list[bytes]:
    return [deliver.payload for deliver in swarm.nodes[peer].mailbox]


class Pair:
    """Two peers of a swarm, of which the first sends to the second."""

    def __init__(
        self, number: int = 30, *, seed: int = 1, loss: float = 0.0, duplication: float = 0.0
    ) -> None:
        self.swarm = Swarm(number, seed=seed, loss=loss, duplication=duplication)
        self.here, self.there = self.swarm.peers[0], self.swarm.peers[number // 2]

    def send(
        self, payload: bytes, *, timeout: float = PATIENT, copies: int = 1, ordered: bool = False
    ) -> int:
        return self.swarm.send(
            self.here, self.there.place, payload, timeout=timeout, copies=copies, ordered=ordered
        )

    def settle(self, *ids: int) -> list[Settled]:
        self.swarm.run_until_settled(ids, PATIENT + 10.0)
        return [self.swarm.settled[id] for id in ids]

    @property
    def mail(self) -> list[bytes]:
        return mail(self.swarm, self.there)

    @property
    def held(self) -> int:
        """Bytes charged at the destination."""
        return self.swarm.nodes[self.there].allowance.used

    def sent(self) -> Counter[tuple[int, int]]:
        return parts_sent(self.swarm, self.here)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_the_largest_message_arrives_intact_over_six_hops_of_which_each_loses_one_in_twenty() -> None:
    limits = replace(DELIVERY, direct=False)
    swarm = Swarm(12, seed=5, loss=0.05, duplication=0.05, successors=1, candidates=0, limits=limits)
    here, there = swarm.peers[0], swarm.peers[6]
    payload = bytes_of(LARGEST)
    number = swarm.send(here, there.place, payload, timeout=600.0)
    swarm.run_until_settled([number], 600.0)
    fate = swarm.settled[number]
    assert (fate.status, fate.hops) == (Status.DELIVERED, 6)
    assert mail(swarm, there) == [payload]
    assert swarm.nodes[there].allowance.used == 0


def test_a_message_of_one_byte_too_many_for_one_leaves_in_two_fragments(pair: Pair) -> None:
    payload = bytes_of(FULL + 1)
    (fate,) = pair.settle(pair.send(payload))
    assert (fate.status, fate.attempts, fate.reason) == (Status.DELIVERED, 1, None)
    assert pair.mail == [payload]
    assert pair.sent() == {(1, 0): 1, (1, 1): 1}


def test_a_message_that_fits_into_one_has_no_fragments(pair: Pair) -> None:
    pair.settle(pair.send(bytes_of(FULL)))
    assert pair.sent() == {(1, 0): 1}


def test_each_fragment_has_as_many_copies_as_were_asked_for(pair: Pair) -> None:
    pair.settle(pair.send(bytes_of(3 * FULL), copies=3))
    assert pair.sent() == {(1, 0): 3, (1, 1): 3, (1, 2): 3}


def test_a_lost_fragment_alone_is_repeated_before_its_answer_is_overdue(pair: Pair) -> None:
    lost: list[int] = []

    def swallow(sender: Peer, _: Peer, message: RouterMessage) -> bool:
        if sender == pair.here and isinstance(message, Data):
            part = decode_sealed(message.body, DataBody).part
            if part == 5 and not lost:
                lost.append(part)
                return True
        return False

    pair.settle(pair.send(b"warm"))
    pair.swarm.swallows = swallow
    began = pair.swarm.now
    (fate,) = pair.settle(pair.send(bytes_of(12 * FULL)))
    assert [part for (_, part), count in pair.sent().items() if count > 1] == lost
    assert fate.attempts == 2
    assert pair.swarm.now - began < DELIVERY.retry_floor


def test_a_full_mailbox_has_the_last_fragment_alone_repeated_until_there_is_room(pair: Pair) -> None:
    pair.swarm.nodes[pair.there].has_room = False
    number = pair.send(bytes_of(20 * FULL))
    pair.swarm.run(lambda: sum(pair.sent().values()) > 21, 30.0)
    pair.swarm.nodes[pair.there].has_room = True
    (fate,) = pair.settle(number)
    assert fate.status is Status.DELIVERED
    assert sum(count > 1 for count in pair.sent().values()) == 1
    assert (len(pair.mail), pair.held) == (1, 0)


def test_a_mailbox_that_stays_full_fails_the_message(pair: Pair) -> None:
    pair.swarm.nodes[pair.there].has_room = False
    (fate,) = pair.settle(pair.send(bytes_of(4 * FULL)))
    assert (fate.status, fate.reason) == (Status.FAILED, Reason.BUSY)


def test_a_destination_that_restarts_in_the_middle_takes_nothing(pair: Pair) -> None:
    number = pair.send(bytes_of(LARGEST))
    pair.swarm.run(lambda: pair.held > 2 * MIB, 30.0)
    pair.swarm.restart(pair.there)
    (fate,) = pair.settle(number)
    assert (fate.status, fate.reason) == (Status.FAILED, Reason.RESTARTED)
    assert pair.mail == []


@pytest.mark.parametrize("whose", ["here", "there"])
def test_a_router_that_crashes_in_the_middle_costs_time_and_nothing_else(pair: Pair, whose: str) -> None:
    payload = bytes_of(4 * MIB)
    number = pair.send(payload)
    pair.swarm.run(lambda: pair.held > 2 * MIB, 30.0)
    pair.swarm.crash_router(getattr(pair, whose))
    (fate,) = pair.settle(number)
    assert fate.status is Status.DELIVERED
    assert pair.mail == [payload]
    assert pair.held == 0


def test_no_two_lives_take_a_large_message_though_its_sender_has_another_router(pair: Pair) -> None:
    payload = bytes_of(4 * FULL)
    number = pair.send(payload)
    pair.swarm.swallows = lambda sender, receiver, message: bool(pair.mail)
    pair.swarm.run(lambda: bool(pair.mail), 30.0)
    former = pair.mail
    pair.swarm.crash_router(pair.here)
    pair.swarm.restart(pair.there)
    pair.swarm.swallows = lambda sender, receiver, message: False
    (fate,) = pair.settle(number)
    assert (fate.status, fate.reason) == (Status.FAILED, Reason.RESTARTED)
    assert (former, pair.mail) == ([payload], [])


def test_a_deadline_in_the_middle_fails_the_message_and_what_was_held_is_given_up(pair: Pair) -> None:
    number = pair.send(bytes_of(LARGEST), timeout=0.4)
    (fate,) = pair.settle(number)
    assert (fate.status, fate.reason) == (Status.FAILED, Reason.TIMED_OUT)
    assert pair.held > 0
    pair.swarm.run(seconds=TRANSFER.idle + 1.0)
    assert (pair.held, pair.mail) == (0, [])
    there = pair.swarm.nodes[pair.there].router.counters()
    assert there["dropped:fragments-idle"] == 1


def test_nobody_home_fails_the_message_once(pair: Pair) -> None:
    number = pair.swarm.send(pair.here, type(pair.here.place)(12345), bytes_of(MIB))
    (fate,) = pair.settle(number)
    assert (fate.status, fate.reason) == (Status.FAILED, Reason.NO_SUCH_PEER)


def test_more_bytes_than_may_wait_are_refused_at_once(pair: Pair) -> None:
    payload = bytes_of(LARGEST)
    most = TRANSFER.pending_bytes // LARGEST
    ids = [pair.send(payload, timeout=1.0) for _ in range(most + 1)]
    assert [id in pair.swarm.settled for id in ids] == [False] * most + [True]
    assert pair.swarm.settled[ids[-1]].reason is Reason.OVERLOADED


def test_a_message_to_oneself_may_be_as_large(pair: Pair) -> None:
    payload = bytes_of(LARGEST)
    number = pair.swarm.send(pair.here, pair.here.place, payload)
    (fate,) = pair.settle(number)
    assert fate.status is Status.DELIVERED
    assert mail(pair.swarm, pair.here) == [payload]


def test_a_small_transfer_does_not_wait_for_a_large_one_to_the_same_destination(pair: Pair) -> None:
    large = pair.send(bytes_of(LARGEST))
    pair.swarm.run(lambda: pair.held > MIB, 30.0)
    small = pair.send(bytes_of(2 * FULL))
    pair.settle(small)
    assert large not in pair.swarm.settled
    assert len(pair.mail) == 1


def test_several_of_the_largest_to_one_destination_all_arrive(pair: Pair) -> None:
    payloads = [bytes_of(LARGEST, seed) for seed in range(3)]
    fates = pair.settle(*[pair.send(payload) for payload in payloads])
    assert {fate.reason for fate in fates} == {None}
    assert pair.mail == payloads
    assert pair.held == 0


def test_more_than_there_is_room_for_at_once_arrives_one_after_the_other(pair: Pair) -> None:
    """Everybody is a stranger here: their share has room for four of the largest, of which one is kept to finish one."""
    payloads = [bytes_of(LARGEST, seed) for seed in range(5)]
    senders = [peer for peer in pair.swarm.peers if peer != pair.there]
    ids = [
        pair.swarm.send(sender, pair.there.place, payload, timeout=PATIENT)
        for sender, payload in zip(senders, payloads, strict=False)
    ]
    fates = pair.settle(*ids)
    assert {fate.reason for fate in fates} == {None}
    assert sorted(pair.mail) == sorted(payloads)
    assert pair.held == 0
    assert pair.swarm.nodes[pair.there].router.counters()["dropped:fragments-full"] > 0


def test_never_more_is_under_way_than_the_window_may_hold(pair: Pair) -> None:
    most = 0
    pair.send(bytes_of(80 * FULL))

    def look() -> bool:
        nonlocal most
        most = max(most, 0 if pair.mail else len(pair.sent()) - pair.held // FULL)
        return bool(pair.mail)

    pair.swarm.run(look, PATIENT)
    assert 4 <= most <= TRANSFER.window_max // FULL


def test_ordered_messages_arrive_in_order_however_they_travel() -> None:
    pair = Pair(seed=3, loss=0.08, duplication=0.1)
    sizes = Random(9)
    payloads = [number.to_bytes(2) + bytes(sizes.choice([0, 100, 3 * FULL])) for number in range(120)]
    fates = pair.settle(*[pair.send(payload, ordered=True) for payload in payloads])
    assert {fate.status for fate in fates} == {Status.DELIVERED}
    assert pair.mail == payloads
    assert pair.held == 0


def test_one_that_fails_is_left_out_and_those_behind_it_follow_at_once(pair: Pair) -> None:
    pair.settle(pair.send(b"warm"))

    def swallow(_: Peer, __: Peer, message: RouterMessage) -> bool:
        return isinstance(message, Data) and decode_sealed(message.body, DataBody).payload == b"first"

    pair.swarm.swallows = swallow
    first = pair.send(b"first", ordered=True, timeout=3.0)
    second, third = (pair.send(payload, ordered=True) for payload in (b"second", b"third"))
    began = pair.swarm.now
    fates = pair.settle(first, second, third)
    assert [fate.status for fate in fates] == [Status.FAILED, Status.DELIVERED, Status.DELIVERED]
    assert pair.mail == [b"warm", b"second", b"third"]
    assert pair.swarm.now - began < 3.5


def test_one_that_is_held_back_for_long_is_seldom_repeated_and_still_arrives(pair: Pair) -> None:
    pair.settle(pair.send(b"warm"))
    pair.swarm.swallows = lambda _, __, message: (
        isinstance(message, Data) and decode_sealed(message.body, DataBody).payload == b"first"
    )
    first = pair.send(b"first", ordered=True, timeout=30.0)
    second = pair.send(b"second", ordered=True, timeout=40.0)
    failed, fate = pair.settle(first, second)
    assert (failed.status, fate.status) == (Status.FAILED, Status.DELIVERED)
    assert fate.attempts <= DELIVERY.attempts + 1
    assert pair.mail == [b"warm", b"second"]


def test_a_failed_one_that_comes_after_all_is_too_late(pair: Pair) -> None:
    pair.settle(pair.send(b"warm"))
    late: list[tuple[Peer, Peer, RouterMessage]] = []

    def delay(sender: Peer, receiver: Peer, message: RouterMessage) -> bool:
        is_first = isinstance(message, Data) and decode_sealed(message.body, DataBody).payload == b"first"
        late.extend([(sender, receiver, message)] if is_first else [])
        return is_first

    pair.swarm.swallows = delay
    first, second = (
        pair.send(payload, ordered=True, timeout=timeout)
        for payload, timeout in ((b"first", 2.0), (b"second", PATIENT))
    )
    pair.settle(first, second)
    pair.swarm.swallows = lambda *_: False
    for sender, receiver, message in late:
        pair.swarm._transmit(sender, receiver, message)
    pair.swarm.run(seconds=2.0)
    assert pair.mail == [b"warm", b"second"]
    assert pair.swarm.nodes[pair.there].router.counters()["dropped:overtaken"] >= 1


def test_a_small_one_behind_a_large_one_waits_for_it(pair: Pair) -> None:
    large = bytes_of(2 * MIB)
    pair.settle(pair.send(large, ordered=True), pair.send(b"small", ordered=True))
    assert pair.mail == [large, b"small"]


def test_what_is_not_ordered_does_not_wait(pair: Pair) -> None:
    large = bytes_of(2 * MIB)
    pair.settle(pair.send(large, ordered=True), pair.send(b"small"))
    assert pair.mail == [b"small", large]


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    duplication=st.sampled_from([0.0, 0.3]),
    sizes=st.lists(st.integers(1, 6 * FULL), min_size=1, max_size=4),
    ordered=st.booleans(),
)
def test_whatever_the_network_does_each_arrives_once_and_intact_or_fails_with_a_reason(
    seed: int, loss: float, duplication: float, sizes: list[int], ordered: bool
) -> None:
    pair = Pair(8, seed=seed, loss=loss, duplication=duplication)
    payloads = [bytes_of(size, seed + number) for number, size in enumerate(sizes)]
    fates = pair.settle(*[pair.send(payload, timeout=20.0, ordered=ordered) for payload in payloads])
    arrived = Counter(pair.mail)
    for payload, fate in zip(payloads, fates, strict=True):
        assert arrived[payload] <= 1
        assert fate.reason is not None or arrived[payload] == 1
    assert set(arrived) <= set(payloads)
    assert not ordered or pair.mail == [payload for payload in payloads if payload in arrived]
    pair.swarm.run(seconds=2 * TRANSFER.idle)
    assert pair.held == 0
