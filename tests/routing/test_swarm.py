"""Many Routers on a bad network: what a sender, a receiver and everybody in between may rely on."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.ids import RING_SIZE, Peer, Place
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.io import Reason, Status
from cicada.wire.routed import Data, DataAck, NoSuchPeer, RouterMessage
from cicada.wire.sealed import encode_body
from tests.routing.bench import inside
from tests.routing.swarm import Swarm


def statuses(swarm: Swarm) -> set[tuple[Status, Reason | None]]:
    return {(settled.status, settled.reason) for settled in swarm.settled.values()}


def assert_acknowledged_is_delivered_once(swarm: Swarm, sent: dict[int, tuple[Peer, Peer]]) -> None:
    """Every receipt came, no message is in a mailbox twice or in a wrong one, and acknowledged ones are in."""
    deliveries = swarm.deliveries()
    assert set(sent) == set(swarm.settled)
    assert set(deliveries.values()) <= {1}
    expected = {(target, origin, number) for number, (origin, target) in sent.items()}
    assert set(deliveries) <= expected
    for number, (origin, target) in sent.items():
        if swarm.settled[number].status is Status.DELIVERED:
            assert deliveries[target, origin, number] == 1


@pytest.mark.parametrize(("number", "candidates"), [(1, 16), (2, 16), (3, 1), (20, 1), (60, 16)])
def test_every_message_to_an_existing_peer_is_delivered_once_and_acknowledged(
    number: int, candidates: int
) -> None:
    swarm = Swarm(number, candidates=candidates)
    sent = {swarm.send(a, b.place, copies=2): (a, b) for a in swarm.peers for b in swarm.peers}
    swarm.run_until_settled(sent)
    assert statuses(swarm) == {(Status.DELIVERED, None)}
    assert len(swarm.deliveries()) == number * number
    assert_acknowledged_is_delivered_once(swarm, sent)


def test_the_receipt_says_how_many_links_the_acknowledged_copy_crossed() -> None:
    swarm = Swarm(60, candidates=1, successors=4)
    for target in swarm.peers[1:]:
        number = swarm.send(swarm.peers[0], target.place)
        swarm.run_until_settled([number])
        crossed = [m for _, _, m in swarm.sent(Data) if isinstance(m, Data) and inside(m).message == number]
        assert swarm.settled[number].hops == len(crossed) == max(m.hops for m in crossed)


@pytest.mark.parametrize("number", [1, 2, 30])
def test_a_message_to_a_place_that_nobody_owns_fails_as_no_such_peer(number: int) -> None:
    swarm = Swarm(number)
    places = [Place((peer.place + 1) % RING_SIZE) for peer in swarm.peers]
    ids = [swarm.send(swarm.peers[0], place) for place in places]
    swarm.run_until_settled(ids)
    assert statuses(swarm) == {(Status.FAILED, Reason.NO_SUCH_PEER)}
    assert swarm.now < DELIVERY.newcomer_after + 1.5
    assert not swarm.deliveries()


def test_duplicates_5_puts_six_copies_on_the_wire_over_six_hops() -> None:
    swarm = Swarm(40)
    sender, target = swarm.peers[0], swarm.peers[20]
    number = swarm.send(sender, target.place, copies=6)
    swarm.run_until_settled([number])
    swarm.run()
    first_links = [(m, receiver) for origin, receiver, m in swarm.sent(Data) if origin == sender]
    assert len(first_links) == 6
    assert len({receiver for _, receiver in first_links}) == 6
    arrived = [m for _, receiver, m in swarm.sent(Data) if receiver == target]
    assert sorted(m.copy for m in arrived if isinstance(m, Data)) == [0, 1, 2, 3, 4, 5]
    assert swarm.deliveries() == Counter({(target, sender, number): 1})


def test_a_hop_that_swallows_messages_is_avoided_by_the_next_attempt() -> None:
    swarm = Swarm(30, successors=4, candidates=1)
    sender, target = swarm.peers[0], swarm.peers[15]
    swarm.run_until_settled([swarm.send(sender, target.place)])
    liar = swarm.sent(Data)[0][1]
    assert liar != target
    swarm.swallows = lambda a, b, message: a == liar and isinstance(message, Data)
    number = swarm.send(sender, target.place)
    swarm.run_until_settled([number])
    settled = swarm.settled[number]
    assert (settled.status, settled.attempts) == (Status.DELIVERED, 2)


def test_relays_that_die_are_routed_around_before_any_sender_has_to_retry() -> None:
    patient = DeliveryLimits(retry_first=60.0, retry_ceiling=60.0, retry_floor=30.0)
    swarm = Swarm(60, successors=4, candidates=1, limits=patient)
    doomed = swarm.peers[5::10]
    living = [peer for peer in swarm.peers if peer not in doomed]
    pairs = list(zip(living, living[27:] + living[:27], strict=True))
    swarm.run_until_settled([swarm.send(a, b.place) for a, b in pairs])
    for peer in doomed:
        swarm.kill(peer)
    again = [swarm.send(a, b.place) for a, b in pairs]
    swarm.run_until_settled(again, seconds=20.0)
    unrouted = [number for number in again if number not in swarm.settled]
    outcomes = [swarm.settled[number] for number in again if number in swarm.settled]
    assert {(settled.status, settled.attempts) for settled in outcomes} == {(Status.DELIVERED, 1)}
    # Only a message whose last relay lost its head waits for its retry: the ring has to heal first.
    assert len(unrouted) <= len(again) // 10
    assert sum(node.router.counters().get("rerouted", 0) for node in swarm.nodes.values()) > 0


def test_messages_in_flight_while_relays_die_are_delivered_once_when_the_ring_heals() -> None:
    swarm = Swarm(50, candidates=2)
    living = [peer for number, peer in enumerate(swarm.peers) if number % 7]
    sent = {}
    for number, sender in enumerate(living):
        target = living[(number * 17 + 5) % len(living)]
        sent[swarm.send(sender, target.place)] = (sender, target)
    swarm.run(seconds=0.06)
    for peer in swarm.peers[::7]:
        swarm.kill(peer)
    swarm.run(seconds=1.0)
    swarm.settle_ring()
    swarm.run_until_settled(sent)
    assert statuses(swarm) == {(Status.DELIVERED, None)}
    assert_acknowledged_is_delivered_once(swarm, sent)


def test_a_receiver_that_restarts_never_takes_what_was_meant_for_its_earlier_life() -> None:
    swarm = Swarm(10)
    sender, target = swarm.peers[0], swarm.peers[5]
    swarm.run_until_settled([swarm.send(sender, target.place)])
    swarm.swallows = lambda a, b, message: isinstance(message, DataAck)
    lost = swarm.send(sender, target.place)
    swarm.run(seconds=0.3)
    assert swarm.deliveries()[target, sender, lost] == 1  # taken by the first life, which could not say so
    swarm.swallows = lambda a, b, message: False
    swarm.restart(target)
    swarm.run_until_settled([lost])
    assert swarm.settled[lost].reason is Reason.RESTARTED
    assert swarm.deliveries() == Counter()  # the second life took nothing
    new = swarm.send(sender, target.place)
    swarm.run_until_settled([new])
    assert swarm.settled[new].status is Status.DELIVERED
    assert swarm.deliveries() == Counter({(target, sender, new): 1})


def test_even_without_encryption_a_payload_altered_on_its_way_is_not_acknowledged() -> None:
    swarm = Swarm(10)
    sender, target = swarm.peers[0], swarm.peers[5]

    def tamper(a: Peer, b: Peer, message: RouterMessage) -> RouterMessage:
        if not isinstance(message, Data):
            return message
        body = msgspec.structs.replace(inside(message), payload=b"altered")
        return msgspec.structs.replace(message, body=encode_body(body))

    swarm.tampers = tamper
    number = swarm.send(sender, target.place)
    swarm.run_until_settled([number])
    assert swarm.settled[number].reason is Reason.TIMED_OUT
    assert swarm.nodes[sender].router.counters()["ignored:altered"] >= 3


def test_a_full_mailbox_delays_a_message_and_never_doubles_it() -> None:
    swarm = Swarm(10)
    sender, target = swarm.peers[0], swarm.peers[5]
    swarm.nodes[target].has_room = False
    number = swarm.send(sender, target.place)
    swarm.run(seconds=0.8)
    assert number not in swarm.settled
    swarm.nodes[target].has_room = True
    swarm.run_until_settled([number])
    assert swarm.settled[number].status is Status.DELIVERED
    assert swarm.deliveries() == Counter({(target, sender, number): 1})


def test_a_mailbox_whose_owner_stopped_judging_costs_a_timeout_only() -> None:
    swarm = Swarm(5)
    swarm.nodes[swarm.peers[3]].judges = False
    number = swarm.send(swarm.peers[0], swarm.peers[3].place)
    swarm.run_until_settled([number])
    assert swarm.settled[number].reason is Reason.TIMED_OUT
    assert set(swarm.deliveries().values()) == {1}


def test_a_router_that_crashes_loses_no_message_and_delivers_none_twice() -> None:
    swarm = Swarm(20, loss=0.05)
    sent = {}
    for step in range(40):
        sender, target = swarm.random.choice(swarm.peers), swarm.random.choice(swarm.peers)
        sent[swarm.send(sender, target.place)] = (sender, target)
        swarm.crash_router(swarm.peers[step % 20])
        swarm.run(seconds=0.05)
    swarm.run_until_settled(sent)
    assert statuses(swarm) == {(Status.DELIVERED, None)}
    assert_acknowledged_is_delivered_once(swarm, sent)


def test_nobody_answers_an_answer() -> None:
    swarm = Swarm(6)
    sender = swarm.peers[0]
    number = swarm.send(sender, Place((swarm.peers[3].place + 1) % RING_SIZE))
    swarm.kill(sender)
    swarm.run()
    assert number not in swarm.settled
    assert len(swarm.sent(NoSuchPeer)) <= len(swarm.peers)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    number=st.integers(2, 25),
    candidates=st.sampled_from([1, 2, 16]),
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    duplication=st.sampled_from([0.0, 0.3]),
    copies=st.integers(1, 4),
)
def test_whatever_the_network_does_acknowledged_means_delivered_exactly_once(
    seed: int, number: int, candidates: int, loss: float, duplication: float, copies: int
) -> None:
    swarm = Swarm(number, seed=seed, loss=loss, duplication=duplication, candidates=candidates)
    sent: dict[int, tuple[Peer, Peer]] = {}
    for _ in range(30):
        sender, target = swarm.random.choice(swarm.peers), swarm.random.choice(swarm.peers)
        sent[swarm.send(sender, target.place, copies=copies)] = (sender, target)
        if swarm.random.random() < 0.1:
            swarm.nodes[swarm.random.choice(swarm.peers)].has_room = swarm.random.random() < 0.7
        swarm.run(seconds=swarm.random.uniform(0.0, 0.2))
    swarm.run_until_settled(sent)
    assert_acknowledged_is_delivered_once(swarm, sent)
    assert statuses(swarm) <= {
        (Status.DELIVERED, None),
        (Status.FAILED, Reason.TIMED_OUT),
        (Status.FAILED, Reason.BUSY),
    }


def test_the_same_seed_gives_the_same_history() -> None:
    histories = []
    for _ in range(2):
        swarm = Swarm(15, seed=4, loss=0.2, duplication=0.2)
        ids = [swarm.send(peer, swarm.peers[7].place, copies=2) for peer in swarm.peers]
        swarm.run_until_settled(ids)
        histories.append((swarm.wire, swarm.settled))
    assert histories[0] == histories[1]
