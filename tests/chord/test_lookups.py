"""Lookups against sorting: recursive and iterative, in calm rings and around dead hops."""

from __future__ import annotations

from random import Random

import pytest

from cicada.chord.io import (
    Emit,
    FindOwner,
    LookupFailure,
    MessageReceived,
    OwnerFound,
    OwnerNotFound,
    PeerUnreachable,
    SendTo,
    TimerFired,
)
from cicada.events import LookupFinished
from cicada.ids import RING_SIZE, Place
from cicada.limits import WIRE, RingLimits, RingTimings
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.wire.ring import FindSuccessor, Found
from tests.chord.rings import grown

SMALL = RingLimits(successors=4)


def interesting_places(swarm: Swarm) -> list[Place]:
    """Every peer's place and the places just before and after it, and some that belong to nobody in particular."""
    rng = Random(1)
    near = [(peer.place + step) % RING_SIZE for peer in swarm.live() for step in (-1, 0, 1)]
    return [Place(place) for place in (*near, *(rng.getrandbits(256) for _ in range(10)))]


@pytest.mark.parametrize("iterative", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_every_node_finds_the_owner_of_every_place(count: int, iterative: bool) -> None:
    swarm = Swarm(count, limits=SMALL)
    grown(swarm, count)
    for peer in swarm.live():
        for place in interesting_places(swarm):
            answer = swarm.lookup(peer, place, iterative=iterative)
            assert isinstance(answer, OwnerFound)
            assert answer.owner == swarm.truth.owner(place)
            following = swarm.truth.owner(Place((answer.predecessor.place + 1) % RING_SIZE))
            assert following == answer.owner
            assert answer.route[0] == peer
            assert answer.hops == len(answer.route) - 1 <= count


def test_a_node_answers_for_its_own_arc_without_a_message() -> None:
    swarm = Swarm(1, limits=SMALL)
    peers = grown(swarm, 6)
    head = swarm.snapshot(peers[2]).successors[0]
    before = swarm.sent().total()
    answer = swarm.lookup(peers[2], head.place)
    assert isinstance(answer, OwnerFound)
    assert (answer.owner, answer.predecessor, answer.hops) == (head, peers[2], 0)
    assert swarm.sent().total() == before


def test_the_event_of_a_lookup_carries_the_id_that_it_was_asked_with() -> None:
    swarm = Swarm(1, limits=SMALL)
    peers = grown(swarm, 3)
    node = swarm.node(peers[2])
    head = node.snapshot().successors[0]
    events = [
        output.event
        for output in node.handle(FindOwner(77, head.place), swarm.now)
        if isinstance(output, Emit) and isinstance(output.event, LookupFinished)
    ]
    assert [(event.lookup, event.owner) for event in events] == [(77, head.address)]


def test_paths_grow_with_the_logarithm_of_the_ring() -> None:
    swarm = Swarm(2)
    grown(swarm, 64)
    swarm.run_for(60.0)
    rng = Random(3)
    hops = []
    for _ in range(200):
        answer = swarm.lookup(rng.choice(swarm.live()), Place(rng.getrandbits(256)))
        assert isinstance(answer, OwnerFound)
        hops.append(answer.hops)
    assert sum(hops) / len(hops) < 2.5
    assert max(hops) <= 6


def test_lookups_go_around_hops_that_died_a_moment_ago() -> None:
    swarm = Swarm(4)
    peers = grown(swarm, 40)
    swarm.run_for(40.0)
    rng = Random(5)
    for peer in rng.sample(peers[1:], 12):
        swarm.crash(peer, closes_links=False)
    right = 0
    for _ in range(30):
        asker = rng.choice(sorted(swarm.live(), key=lambda peer: peer.address))
        answer = swarm.lookup(asker, Place(rng.getrandbits(256)))
        right += isinstance(answer, OwnerFound)
    assert right == 30, "found while the ring heals, if not always the owner of the end"
    swarm.run_until(swarm.is_ideal, 60.0)
    for _ in range(30):
        place = Place(rng.getrandbits(256))
        answer = swarm.lookup(peers[0], place)
        assert isinstance(answer, OwnerFound)
        assert answer.owner == swarm.truth.owner(place)


def test_a_lookup_that_did_not_reach_its_hop_takes_another_at_once() -> None:
    swarm = Swarm(6)
    peers = grown(swarm, 20)
    node = swarm.node(peers[0])
    place = Place((peers[0].place - 1) % RING_SIZE)
    sent = [
        output
        for output in node.handle(FindOwner(1, place), swarm.peer(peers[0]).local())
        if isinstance(output, SendTo)
    ]
    assert len(sent) == 1
    again = node.handle(PeerUnreachable(sent[0].peer, (sent[0].message,)), swarm.peer(peers[0]).local())
    second = [
        output for output in again if isinstance(output, SendTo) and isinstance(output.message, FindSuccessor)
    ]
    assert len(second) == 1
    assert second[0].peer != sent[0].peer


def test_a_relayed_lookup_that_did_not_reach_its_hop_takes_another_at_once() -> None:
    swarm = Swarm(7)
    peers = grown(swarm, 20)
    relay = peers[0]
    node = swarm.node(relay)
    target = ((relay.place - 1) % RING_SIZE).to_bytes(32, "big")
    stranger = peer_number(99)
    passed = FindSuccessor(incarnation=1, request=5, target=target, path=(stranger.address, relay.address))
    hop = node.snapshot().predecessor
    assert hop is not None
    outputs = node.handle(PeerUnreachable(hop, (passed,)), swarm.peer(peers[0]).local())
    sent = [
        output
        for output in outputs
        if isinstance(output, SendTo) and isinstance(output.message, FindSuccessor)
    ]
    assert [output.message.path for output in sent] == [passed.path]  # type: ignore[union-attr]
    assert sent[0].peer not in (hop, stranger, relay)


def test_an_answer_skips_a_hop_that_is_gone() -> None:
    swarm = Swarm(8)
    peers = grown(swarm, 6)
    node = swarm.node(peers[0])
    path = tuple(peer.address for peer in (peers[4], peers[3], peers[2], peers[0]))
    found = Found(
        incarnation=1,
        request=5,
        predecessor=peers[0].address,
        successors=(peers[1].address,),
        path=path,
        position=2,
    )
    outputs = node.handle(PeerUnreachable(peers[2], (found,)), swarm.peer(peers[0]).local())
    back = [output for output in outputs if isinstance(output, SendTo) and isinstance(output.message, Found)]
    assert [(output.peer, output.message.position) for output in back] == [(peers[3], 1)]  # type: ignore[union-attr]


def test_a_lookup_on_its_way_for_too_long_is_sent_back() -> None:
    swarm = Swarm(9)
    peers = grown(swarm, 6)
    relay = peers[0]
    path = tuple(peer_number(100 + number).address for number in range(WIRE.max_path))
    target = ((relay.place - 1) % RING_SIZE).to_bytes(32, "big")
    message = FindSuccessor(incarnation=1, request=5, target=target, path=path)
    outputs = swarm.node(relay).handle(MessageReceived(peer_number(163), message), swarm.peer(relay).local())
    failed = [output.message for output in outputs if isinstance(output, SendTo)]
    assert [getattr(message, "reason", "") for message in failed] == [LookupFailure.HOP_LIMIT.value]


def test_a_lookup_nobody_answers_ends_after_its_attempts() -> None:
    timings = RingTimings(lookup_timeout=1.0, lookup_attempts=3)
    swarm = Swarm(10, timings=timings, limits=SMALL)
    peers = grown(swarm, 12)
    node = swarm.node(peers[0])
    start = swarm.peer(peers[0]).local()
    place = Place((peers[0].place - 1) % RING_SIZE)
    waiting = [node.handle(FindOwner(1, place), start)]
    asked = 1
    now = start
    while not any(isinstance(output, OwnerNotFound) for output in waiting[-1]):
        deadline = node.next_deadline()
        assert deadline is not None
        now = max(now, deadline)
        waiting.append(node.handle(TimerFired(), now))
        asked += sum(
            isinstance(output, SendTo)
            and isinstance(output.message, FindSuccessor)
            and len(output.message.path) == 1
            and output.message.target == place.to_bytes(32, "big")
            for output in waiting[-1]
        )
        assert now < start + 60.0
    assert asked == 3
    assert now - start == pytest.approx(3.0)
    assert OwnerNotFound(1, LookupFailure.TIMED_OUT) in waiting[-1]


def test_whoever_is_in_no_ring_finds_nobody() -> None:
    swarm = Swarm(11)
    peer = peer_number(0)
    swarm.start(peer)
    swarm.give(peer, FindOwner(3, peer.place))
    assert swarm.peer(peer).answers == [OwnerNotFound(3, LookupFailure.NOT_MEMBER)]


def test_more_lookups_than_the_table_holds_are_refused_at_once() -> None:
    swarm = Swarm(12, limits=RingLimits(successors=4, pending_lookups=2))
    peers = grown(swarm, 12)
    place = Place((peers[0].place - 1) % RING_SIZE)
    for id in range(3):
        swarm.give(peers[0], FindOwner(id, place))
    assert OwnerNotFound(2, LookupFailure.OVERLOADED) in swarm.peer(peers[0]).answers
