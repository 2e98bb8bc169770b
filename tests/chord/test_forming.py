"""Rings form: one by one, all at once, out of nothing but an address."""

from __future__ import annotations

import pytest

from cicada.chord.io import CreateRing, Joined, JoinFailed, JoinRing, LeaveRing
from cicada.limits import RingLimits
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from tests.chord.rings import grown

SMALL = RingLimits(successors=4)


@pytest.mark.parametrize("count", range(1, SMALL.successors + 3))
def test_rings_of_one_up_to_more_than_a_list_holds_become_ideal(count: int) -> None:
    swarm = Swarm(count, limits=SMALL)
    peers = grown(swarm, count)
    assert [swarm.peer(peer).answers for peer in peers[1:]] == [[Joined()]] * (count - 1)
    head = swarm.peer(peers[0]).table.head
    assert head == swarm.truth.owner((peers[0].place + 1) % (1 << 256))


def test_a_ring_of_one_is_its_own_head() -> None:
    swarm = Swarm(1)
    peer = peer_number(0)
    swarm.create(peer)
    assert swarm.peer(peer).table.head == peer
    assert swarm.peer(peer).phase == "alone"


def test_a_full_sized_list_holds_the_next_sixteen() -> None:
    swarm = Swarm(2)
    grown(swarm, 18)
    assert {len(snapshot.successors) for snapshot in swarm.snapshots().values()} == {16}


@pytest.mark.prove
def test_two_hundred_unsorted_joins_through_one_address_settle() -> None:
    swarm = Swarm(1)
    swarm.create(peer_number(0))
    for number in range(1, 200):
        swarm.join(peer_number(number), peer_number(0))
    seconds = swarm.run_until(swarm.is_ideal, 60.0)
    print(f"200 joins at once: ideal after {seconds:.2f} s of virtual time, {swarm.sent().total()} messages")
    assert seconds < 20.0  # some 25 rounds one after the other, each a few round trips
    assert swarm.sent().total() < 200 * 150


def test_joins_that_come_at_the_same_place_of_the_ring_wait_for_each_other() -> None:
    swarm = Swarm(4, limits=SMALL)
    grown(swarm, 3)
    order = swarm.live()
    gap = [peer for peer in map(peer_number, range(3, 400)) if order[0].place < peer.place < order[1].place][
        :40
    ]
    for peer in gap:
        swarm.join(peer, order[2])
    swarm.run_until(swarm.is_ideal, 60.0)


def test_a_join_goes_on_until_a_seed_is_in_a_ring() -> None:
    swarm = Swarm(5)
    seed, peer = peer_number(0), peer_number(1)
    swarm.start(seed)
    swarm.join(peer, seed)
    swarm.run_for(3.0)
    assert swarm.peer(peer).phase == "joining"
    swarm.give(seed, CreateRing())
    swarm.run_until(swarm.is_ideal, 10.0)


def test_a_dead_seed_is_passed_over_for_a_live_one() -> None:
    swarm = Swarm(6)
    live, peer = peer_number(0), peer_number(1)
    swarm.create(live)
    swarm.join(peer, peer_number(7), live)
    swarm.run_until(swarm.is_ideal, 10.0)


def test_a_failed_join_names_the_seeds_and_what_was_wrong_with_each() -> None:
    swarm = Swarm(7)
    outside, dead, peer = peer_number(0), peer_number(1), peer_number(2)
    swarm.start(outside)
    swarm.join(peer, outside, dead, patience=5.0)
    swarm.run_for(6.0)
    failed = swarm.peer(peer).answers
    reason = f"{outside.address} is not a member of a ring; {dead.address} is unreachable"
    assert failed == [JoinFailed(reason)]
    assert swarm.peer(peer).phase == "idle"


def test_a_join_through_nobody_fails_at_once() -> None:
    swarm = Swarm(8)
    peer = peer_number(0)
    swarm.join(peer, peer)
    swarm.run_for(0.1)
    assert swarm.peer(peer).answers == [
        JoinFailed("no seed to join through: name the address of another peer")
    ]


def test_a_ring_of_one_whose_join_fails_is_a_ring_of_one_again() -> None:
    swarm = Swarm(9)
    peer = peer_number(0)
    swarm.create(peer)
    swarm.give(peer, JoinRing((peer_number(1),), swarm.peer(peer).local() + 3.0))
    swarm.run_for(5.0)
    assert isinstance(swarm.peer(peer).answers[0], JoinFailed)
    assert swarm.peer(peer).phase == "alone"


def test_two_rings_of_one_that_join_through_each_other_become_one() -> None:
    swarm = Swarm(10)
    peers = peer_number(0), peer_number(1)
    for peer in peers:
        swarm.create(peer)
    for peer, other in (peers, peers[::-1]):
        swarm.give(peer, JoinRing((other,), swarm.peer(peer).local() + 10.0))
    swarm.run_until(swarm.is_ideal, 5.0)
    swarm.run_for(1.0)
    assert [swarm.peer(peer).answers for peer in peers] == [[Joined()], [Joined()]]


def test_joining_the_ring_one_is_in_already_changes_nothing() -> None:
    swarm = Swarm(11, limits=SMALL)
    peers = grown(swarm, 4)
    swarm.peer(peers[1]).answers.clear()
    swarm.give(peers[1], JoinRing((peers[2],), swarm.peer(peers[1]).local() + 5.0))
    assert swarm.peer(peers[1]).answers == [Joined()]
    swarm.run_for(5.0)
    assert swarm.is_ideal()


def test_a_peer_that_left_can_join_again() -> None:
    swarm = Swarm(12, limits=SMALL)
    peers = grown(swarm, 6)
    swarm.give(peers[2], LeaveRing())
    swarm.give(peers[2], JoinRing((peers[0],), swarm.peer(peers[2]).local() + 10.0))
    swarm.run_until(swarm.is_ideal, 10.0)
