"""Rings too large to simulate whole: only the nodes that a lookup passes are there, and it ends as in a whole one."""

from __future__ import annotations

from random import Random

from benchmarks.paths import Ring, measure
from cicada.ids import RING_BITS, Place
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start


def test_a_lookup_makes_the_hops_that_it_makes_in_a_simulated_ring() -> None:
    swarm, ring, rng = Swarm(1), Ring(100), Random(1)
    warm_start(swarm, [peer_number(number) for number in range(100)])
    sparse, whole = 0, 0
    for _ in range(100):
        asker, place = rng.choice(ring.peers), Place(rng.getrandbits(RING_BITS))
        found = swarm.lookup(asker, place)
        sparse += ring.hops(asker, place)
        whole += len(getattr(found, "route", ())) - 1
    assert abs(sparse - whole) <= 0.15 * whole, "the tables differ by what each learned from lookups"


def test_what_is_measured_has_a_sensible_shape() -> None:
    found = measure(300, 100, 1)
    assert 1.0 < found["mean"] < found["half_log2"]
    assert found["p1"] <= found["mean"] <= found["p99"]
    assert 50 < found["known"] < 120
