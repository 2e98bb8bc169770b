"""Warm starts: an ideal ring from nothing, with the tables that a long life would have filled."""

from __future__ import annotations

import pytest

from cicada.errors import Misuse
from cicada.ids import RING_SIZE, Peer
from cicada.limits import RingLimits
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start

SMALL = RingLimits(successors=3, candidates=2, known_peers=24)


def warm(count: int, limits: RingLimits, age: float = 60.0) -> Swarm:
    swarm = Swarm(7, limits=limits)
    warm_start(swarm, [peer_number(number) for number in range(count)], age=age)
    return swarm


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 30])
def test_a_warm_ring_is_ideal_at_once_and_stays_so(count: int) -> None:
    swarm = warm(count, SMALL)
    assert swarm.now == 0.0
    assert len(swarm.live()) == count
    assert swarm.is_ideal()
    before = swarm.world.version
    swarm.run_for(60.0)
    assert swarm.is_ideal()
    assert swarm.world.version == before, "nothing changes in an ideal ring"
    assert swarm.network.broken == 0


def candidates(own: Peer, peers: tuple[Peer, ...], limits: RingLimits) -> set[Peer]:
    """The peers nearest to the beginning of each finger interval."""
    found = set()
    for interval in range(256):
        inside = [peer for peer in peers if (peer.place - own.place) % RING_SIZE >> interval == 1]
        found |= set(
            sorted(inside, key=lambda peer: (peer.place - own.place) % RING_SIZE)[: limits.candidates]
        )
    return found


def test_every_table_is_full() -> None:
    swarm = warm(60, SMALL)
    for peer, snapshot in swarm.snapshots().items():
        assert set(snapshot.fingers) == candidates(peer, swarm.live(), SMALL)
        assert snapshot.unverified == snapshot.quarantined == ()


def test_an_old_ring_is_calm_and_a_young_one_is_not_yet() -> None:
    old, young = warm(20, SMALL, age=120.0), warm(20, SMALL, age=0.0)
    intervals = [
        [snapshot.stabilize_interval for snapshot in swarm.snapshots().values()] for swarm in (old, young)
    ]
    assert min(intervals[0]) == 8.0
    assert max(intervals[1]) < 8.0
    assert young.is_ideal()


def test_a_warm_ring_takes_a_new_peer_in_and_finds_every_owner() -> None:
    swarm = warm(40, SMALL)
    swarm.join(peer_number(99), peer_number(3))
    swarm.run_until(swarm.is_ideal, 30.0)
    for _ in range(50):
        place = peer_number(swarm.rng.randrange(1000, 9000)).place
        found = swarm.lookup(swarm.rng.choice(swarm.live()), place)
        assert getattr(found, "owner", None) == swarm.truth.owner(place)


def test_warming_a_swarm_that_runs_is_refused() -> None:
    swarm = Swarm(1)
    swarm.create(peer_number(0))
    with pytest.raises(Misuse, match="nobody is up"):
        warm_start(swarm, [peer_number(1)])
