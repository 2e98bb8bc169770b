"""What a node's own list says of the whole ring, against rings whose size and churn are known."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.chord.estimates import Estimates
from cicada.ids import Peer, canonical_address, peer_at
from cicada.limits import RingTimings
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start

R = 16


def ring_of(count: int) -> list[Peer]:
    peers = [peer_at(canonical_address("127.0.0.1", 10_000 + number)) for number in range(count)]
    return sorted(peers, key=lambda peer: peer.place)


def list_of(ring: list[Peer], index: int) -> tuple[Peer, ...]:
    return tuple((ring[index + 1 :] + ring[:index])[:R])


@given(st.integers(2, R + 1), st.integers(0, 100))
def test_a_list_that_holds_the_whole_ring_counts_it(count: int, index: int) -> None:
    ring = ring_of(count)
    index %= count
    estimates = Estimates(ring[index], 60.0)
    assert estimates.size(list_of(ring, index), ring[index - 1]) == count


@pytest.mark.parametrize("count", [100, 1000, 10_000])
def test_the_median_of_all_estimates_is_the_size_within_a_tenth(count: int) -> None:
    ring = ring_of(count)
    sizes = [
        Estimates(ring[index], 60.0).size(list_of(ring, index), ring[index - 1])
        for index in range(0, count, max(1, count // 500))
    ]
    assert median(sizes) == pytest.approx(count, rel=0.1)


def test_a_list_shortened_by_a_death_still_estimates_the_whole_ring() -> None:
    ring = ring_of(1000)
    full = list_of(ring, 0)
    whole = Estimates(ring[0], 60.0).size(full, ring[-1])
    shortened = Estimates(ring[0], 60.0).size(full[1:], ring[-1])
    assert shortened == pytest.approx(whole * 15 / 16, rel=0.01)


def test_entries_that_only_slide_in_or_out_at_the_end_are_no_churn() -> None:
    ring = ring_of(100)
    estimates = Estimates(ring[0], 60.0)
    estimates.on_list(list_of(ring, 0), list_of(ring, 0)[:-3], 1.0)
    estimates.on_list(list_of(ring, 0)[:-3], list_of(ring, 0), 2.0)
    assert estimates.churn(list_of(ring, 0), ring[-1], 2.0) == 0.0


@pytest.mark.parametrize("per_second", [0.05, 0.5])
def test_churn_is_estimated_within_a_quarter_in_the_mean(per_second: float) -> None:
    """Deaths and joins at half the rate each in a ring of 400, seen by 40 of its members for 1,200 s."""
    rng = Random(3)
    ring, spare = ring_of(800)[::2], ring_of(800)[1::2]
    watchers = ring[::10]
    estimates = {peer: Estimates(peer, 240.0) for peer in watchers}
    lists = {peer: list_of(ring, ring.index(peer)) for peer in watchers}
    now = 0.0
    while now < 1200.0:
        now += rng.expovariate(per_second)
        if rng.random() < 0.5 and len(ring) > 300:
            victim = rng.choice([peer for peer in ring if peer not in estimates])
            ring.remove(victim)
            spare.append(victim)
        else:
            ring = sorted([*ring, spare.pop(rng.randrange(len(spare)))], key=lambda peer: peer.place)
        for peer in watchers:
            seen = list_of(ring, ring.index(peer))
            estimates[peer].on_list(lists[peer], seen, now)
            lists[peer] = seen
    rates = [estimates[peer].churn(lists[peer], ring[ring.index(peer) - 1], now) for peer in watchers]
    assert sum(rates) / len(rates) == pytest.approx(per_second, rel=0.25)


def test_churn_fades_when_nothing_happens() -> None:
    ring = ring_of(100)
    full = list_of(ring, 0)
    estimates = Estimates(ring[0], 60.0)
    estimates.on_list(full, full[:3] + full[4:], 0.0)
    at_once = estimates.churn(full, ring[-1], 0.0)
    assert at_once > 0
    assert estimates.churn(full, ring[-1], 600.0) < at_once / 1000
    assert estimates.loss(full, 600.0) < 1e-6


@pytest.mark.prove
def test_fingers_are_looked_up_more_often_the_faster_members_go() -> None:
    """Long after the deaths, when no look-up brings news any more; only the memory of them differs."""
    lookups = []
    for memory in (1.0, 600.0):
        swarm = Swarm(5, timings=RingTimings(fix_fingers_max=240.0, churn_memory=memory))
        peers = [peer_number(number) for number in range(160)]
        warm_start(swarm, peers)
        for victim in peers[:80]:
            swarm.crash(victim)
            swarm.run_for(2.0)
        swarm.run_for(300.0)
        before = swarm.sent()["FindSuccessor"]
        swarm.run_for(300.0)
        lookups.append((swarm.sent()["FindSuccessor"] - before) / len(swarm.live()))
    assert lookups[1] > 1.5 * lookups[0], lookups
