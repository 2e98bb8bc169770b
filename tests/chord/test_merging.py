"""Rings that split become one again, by visits to remembered suspects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cicada.chord.io import JoinRing, PeerProven, PeerUnreachable
from cicada.ids import Peer
from cicada.limits import RING, RingLimits
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from tests.chord.rings import grown

SMALL = RingLimits(successors=4)


def split(swarm: Swarm, side_of: Callable[[Peer], int]) -> list[list[Peer]]:
    """Cut the swarm in parts that cannot reach each other, and wait until each is a ring of its own."""
    peers = sorted(swarm.live(), key=lambda peer: peer.address)
    swarm.cut_where(lambda one, other: side_of(one) != side_of(other))
    for one in peers:
        for other in peers:
            if side_of(one) != side_of(other):
                swarm.give(one, PeerUnreachable(other))
    parts = [[peer for peer in peers if side_of(peer) == side] for side in sorted({*map(side_of, peers)})]
    truths = [swarm.truth_of(part) for part in parts]
    swarm.run_until(lambda: all(truth.is_ideal() for truth in truths), 90.0)
    return parts


@pytest.mark.parametrize(
    ("count", "limits", "sides"),
    [
        (2, RING, lambda number: number),
        (5, RING, lambda number: number),  # nobody reaches anybody
        (6, RING, lambda number: number % 3),
        (24, SMALL, lambda number: number % 2),  # interleaved halves, larger than a list
        (24, SMALL, lambda number: number < 2),  # two against the rest
        (30, RING, lambda number: number < 1),  # one against the rest
        (40, RING, lambda number: number % 2),
    ],
)
def test_a_split_ring_merges_again(count: int, limits: RingLimits, sides: Callable[[int], int]) -> None:
    swarm = Swarm(3, limits=limits)
    peers = grown(swarm, count)
    side = {peer: int(sides(number)) for number, peer in enumerate(peers)}
    split(swarm, lambda peer: side[peer])
    swarm.run_for(60.0)
    swarm.heal()
    seconds = swarm.run_until(swarm.is_ideal, 300.0)
    print(f"{count} peers: one ring again after {seconds:.1f} s")


@pytest.mark.parametrize(("seed", "apart"), [(1, 0.0), (3, 0.0), (4, 0.0), (9, 30.0), (28, 30.0)])
def test_merging_a_few_into_many_costs_the_many_no_list(seed: int, apart: float) -> None:
    swarm = Swarm(seed, limits=RING)
    peers = grown(swarm, 40)
    few, many = split(swarm, lambda peer: int(peer not in peers[:3]))
    swarm.run_for(apart)  # while suspicions are fresh, and when they no longer are
    swarm.heal()
    shortest = RING.successors
    while not swarm.is_ideal():
        swarm.step()
        shortest = min(shortest, *(len(swarm.peer(peer).successors) for peer in many))
        assert swarm.now < 600.0
    assert shortest >= RING.successors - len(few)


@pytest.mark.parametrize("sizes", [(1, 3), (2, 3), (3, 3)])
def test_rings_that_know_each_other_by_fingers_alone_merge(sizes: tuple[int, int]) -> None:
    swarm = Swarm(7, limits=SMALL)
    rings = [[peer_number(10 * ring + number) for number in range(size)] for ring, size in enumerate(sizes)]
    for first, *others in rings:
        swarm.create(first)
        for peer in others:
            swarm.join(peer, first)
    truths = [swarm.truth_of(ring) for ring in rings]
    swarm.run_until(lambda: all(truth.is_ideal() for truth in truths), 30.0)
    swarm.give(rings[0][0], PeerProven(rings[1][0]))
    assert not any(snapshot.quarantined for snapshot in swarm.snapshots().values())
    swarm.run_until(swarm.is_ideal, 600.0)


def test_joining_through_a_peer_of_another_ring_merges_the_rings() -> None:
    swarm = Swarm(5, limits=SMALL)
    grown(swarm, 6)
    other = [peer_number(number) for number in range(10, 22)]
    swarm.create(other[0])
    for peer in other[1:]:
        swarm.join(peer, other[0])
    swarm.run_until(swarm.truth_of(other).is_ideal, 30.0)
    swarm.give(peer_number(0), JoinRing((other[3],), swarm.peer(peer_number(0)).local() + 10.0))
    swarm.run_until(swarm.is_ideal, 120.0)


def test_a_suspect_that_is_in_the_same_ring_is_released_after_a_visit() -> None:
    swarm = Swarm(6, limits=SMALL)
    peers = grown(swarm, 6)
    swarm.give(peers[0], PeerUnreachable(peers[3]))
    assert swarm.snapshot(peers[0]).quarantined == (peers[3],)
    swarm.run_until(lambda: not swarm.snapshot(peers[0]).quarantined, 600.0)
    assert swarm.is_ideal()
