"""Rings heal: dead heads are walked past, the lost find back, the restarted are new."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from cicada.chord.io import Joined, PeerUnreachable
from cicada.ids import Peer
from cicada.limits import RingLimits
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from tests.chord.rings import grown

SMALL = RingLimits(successors=4)


@pytest.mark.parametrize("count", range(2, SMALL.successors + 3))
def test_a_ring_heals_after_the_abrupt_death_of_any_member(count: int) -> None:
    for victim, closes_links in product(range(count), (True, False)):
        swarm = Swarm(10 * count + victim, limits=SMALL)
        peers = grown(swarm, count)
        swarm.crash(peers[victim], closes_links=closes_links)
        swarm.run_until(swarm.is_ideal, 30.0)


def test_dead_heads_are_walked_past_within_one_round() -> None:
    swarm = Swarm(1)
    grown(swarm, 24)
    swarm.run_for(60.0)  # calm: the next round is seconds away
    first, *dead = swarm.live()[:6]
    following = swarm.live()[6]
    for peer in dead:
        swarm.crash(peer, closes_links=False)
    start = swarm.sent()["GetState"]
    swarm.give(first, PeerUnreachable(dead[0]))
    swarm.run_until(lambda: swarm.snapshot(first).successors[:1] == (following,), 5.0)
    assert swarm.sent()["GetState"] > start


def test_a_silent_head_is_noticed_within_its_interval_and_time_outs() -> None:
    swarm = Swarm(2, limits=SMALL)
    grown(swarm, 8)
    swarm.run_for(120.0)
    first, frozen, following = swarm.live()[:3]
    swarm.crash(frozen, closes_links=False)
    seconds = swarm.run_until(lambda: swarm.snapshot(first).successors[:1] == (following,), 20.0)
    assert seconds < 12.0


@pytest.mark.timeout(120)
def test_a_ring_of_two_hundred_heals_when_thirty_in_a_hundred_die_at_once() -> None:
    swarm = Swarm(3)
    swarm.create(peer_number(0))
    for number in range(1, 200):
        swarm.join(peer_number(number), peer_number(0))
    swarm.run_until(swarm.is_ideal, 60.0)
    for peer in swarm.rng.sample(swarm.live(), 60):
        swarm.crash(peer, closes_links=False)
    heads = swarm.run_until(swarm.truth.are_heads_right, 30.0)
    ideal = heads + swarm.run_until(swarm.is_ideal, 60.0)
    print(f"60 of 200 killed silently: heads right after {heads:.1f} s, ideal after {ideal:.1f} s")


def test_who_loses_all_successors_finds_the_ring_again() -> None:
    swarm = Swarm(4, limits=SMALL)
    grown(swarm, 14)
    swarm.run_for(60.0)
    order = swarm.live()
    for peer in order[1 : 1 + SMALL.successors]:
        swarm.crash(peer)
    swarm.run_until(swarm.is_ideal, 30.0)
    assert swarm.peer(order[0]).answers in ([Joined()], []), (
        "the application is not told of a join it did not ask for"
    )


def test_the_last_one_left_is_a_ring_of_one() -> None:
    swarm = Swarm(5, limits=SMALL)
    peers = grown(swarm, 4)
    for peer in peers[1:]:
        swarm.crash(peer)
    swarm.run_until(swarm.is_ideal, 30.0)
    assert swarm.peer(peers[0]).phase == "alone"
    assert swarm.peer(peers[0]).table.head == peers[0]


def restart_process(swarm: Swarm, peer: Peer, seed: Peer) -> None:
    swarm.crash(peer)
    swarm.join(peer, seed)


def restart_behind_links(swarm: Swarm, peer: Peer, seed: Peer) -> None:
    swarm.restart_ring(peer, seed)


@pytest.mark.parametrize("restart", [restart_process, restart_behind_links])
@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_restarted_peer_gets_its_place_back_and_costs_nobody_else_theirs(
    count: int, restart: Callable[[Swarm, Peer, Peer], None]
) -> None:
    for victim in range(1, count):
        swarm = Swarm(victim, limits=SMALL)
        peers = grown(swarm, count)
        restart(swarm, peers[victim], peers[0])
        swarm.run_until(swarm.is_ideal, 30.0)


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_a_ring_whose_nodes_all_restart_at_once_forms_again(count: int) -> None:
    swarm = Swarm(count, limits=SMALL)
    peers = grown(swarm, count)
    swarm.run_for(10.0)
    for peer in peers:
        swarm.restart_ring(
            peer
        )  # through whom its supervisor knows: all of them are outside the ring as well
    swarm.run_until(swarm.is_ideal, 60.0)


def test_who_knows_nobody_alive_is_found_by_those_who_remember_it() -> None:
    swarm = Swarm(10, limits=SMALL)
    peers = grown(swarm, 6)
    swarm.run_for(60.0)
    dead, lost = peers[1], peers[2]
    swarm.crash(dead)
    swarm.crash(lost)
    swarm.run_for(10.0)
    swarm.join(lost, dead, patience=600.0)
    swarm.run_until(swarm.is_ideal, 600.0)


def test_a_peer_that_restarts_without_joining_is_left_out() -> None:
    swarm = Swarm(6, limits=SMALL)
    peers = grown(swarm, 8)
    swarm.peer(peers[3]).fresh_ring()
    others = swarm.truth_of(peer for peer in peers if peer != peers[3])
    swarm.run_until(others.is_ideal, 30.0)


def test_leaving_is_noticed_at_once() -> None:
    swarm = Swarm(7, limits=SMALL)
    peers = grown(swarm, 9)
    swarm.run_for(60.0)
    swarm.leave(peers[4])
    seconds = swarm.run_until(swarm.is_ideal, 5.0)
    assert seconds < 3.0


def test_neighbours_that_leave_together_leave_a_whole_ring() -> None:
    swarm = Swarm(8, limits=SMALL)
    grown(swarm, 10)
    for peer in swarm.live()[2:6]:
        swarm.leave(peer)
    swarm.run_until(swarm.is_ideal, 30.0)


def test_a_false_suspicion_heals() -> None:
    swarm = Swarm(9, limits=SMALL)
    grown(swarm, 8)
    swarm.run_for(60.0)
    order = swarm.live()
    for peer, suspect in zip(order, order[1:] + order[:1], strict=True):
        swarm.give(peer, PeerUnreachable(suspect))
    swarm.run_until(swarm.is_ideal, 30.0)
