"""Swarms of the size that matters: what a calm ring costs, and how soon a large one is whole again after the worst."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cicada.chord.io import OwnerFound
from cicada.ids import Place
from cicada.limits import RING
from cicada.sim.names import peer_number
from cicada.sim.statistics import summarize
from cicada.sim.swarm import Rounds, Swarm
from cicada.sim.warm import warm_start

THOUSAND = 1000


def warm(count: int, age: float = 60.0) -> Swarm:
    swarm = Swarm(1)
    warm_start(swarm, [peer_number(number) for number in range(count)], age=age)
    return swarm


def whole_again(swarm: Swarm) -> Rounds:
    """Run until the ring is ideal, and count the rounds that takes."""
    mark = swarm.round_counts()
    seconds = swarm.run_until(swarm.is_ideal, 600.0)
    rounds = swarm.rounds_since(mark)
    print(f"ideal after {seconds:.1f} s, {rounds.mean:.1f} rounds")
    return rounds


def test_a_calm_minute_of_three_hundred_peers_costs_little_and_changes_nothing() -> None:
    swarm = warm(300, age=200.0)
    version = swarm.world.version
    swarm.run_for(60.0)
    rate = swarm.sent().total() / 60.0 / 300
    print(f"{rate:.2f} messages per peer and second")
    assert rate < 0.6
    assert swarm.world.version == version
    assert swarm.is_ideal()


def test_three_hundred_peers_of_whom_thirty_in_a_hundred_die_silently_are_a_ring_again() -> None:
    swarm = warm(300)
    for victim in swarm.rng.sample(swarm.live(), 90):
        swarm.crash(victim, closes_links=False)
    assert whole_again(swarm).mean <= RING.successors + 2


@pytest.mark.prove
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_thousand_peers_survive_that_many_silent_deaths_at_once(share: float) -> None:
    swarm = warm(THOUSAND)
    for victim in swarm.rng.sample(swarm.live(), int(THOUSAND * share)):
        swarm.crash(victim, closes_links=False)
    assert whole_again(swarm).mean <= RING.successors + 2


@pytest.mark.prove
def test_a_thousand_peers_take_in_five_hundred_at_once() -> None:
    swarm = warm(THOUSAND)
    seed = swarm.live()[0]
    for number in range(THOUSAND, THOUSAND + 500):
        swarm.join(peer_number(number), seed)
    assert whole_again(swarm).mean <= 20


@pytest.mark.prove
def test_the_halves_of_a_thousand_peers_become_one_ring_again() -> None:
    swarm = warm(THOUSAND)
    one = swarm.rng.sample(swarm.live(), THOUSAND // 2)
    other = [peer for peer in swarm.live() if peer not in set(one)]
    swarm.cut(one, other)
    halves = [swarm.truth_of(one), swarm.truth_of(other)]
    swarm.run_until(lambda: all(half.is_ideal() for half in halves), 120.0)
    swarm.run_for(60.0)
    swarm.heal()
    assert whole_again(swarm).mean <= 25


@pytest.mark.prove
def test_a_thousand_ring_nodes_that_restart_at_once_form_their_ring_again() -> None:
    swarm = warm(THOUSAND)
    for peer in swarm.live():
        swarm.restart_ring(peer)
    swarm.run_until(swarm.is_ideal, 120.0)


def routed_hops(swarm: Swarm) -> list[int]:
    """Of a thousand messages between random peers, all of which must arrive."""
    sent = []
    for number in range(1000):
        origin, target = swarm.rng.sample(swarm.live(), 2)
        sent.append((origin, swarm.send(origin, target, str(number).encode())))
    swarm.run_for(12.0)
    settled = [swarm.peer(origin).settled[id] for origin, id in sent]
    assert all(receipt.reason is None for receipt in settled)
    return [receipt.hops for receipt in settled]


def looked_up_hops(swarm: Swarm) -> list[int]:
    """Of a thousand look-ups by random peers, all of which must be right."""
    hops = []
    for _ in range(1000):
        place = Place(swarm.rng.getrandbits(256))
        found = swarm.lookup(swarm.rng.choice(swarm.live()), place)
        assert isinstance(found, OwnerFound)
        assert found.owner == swarm.truth.owner(place)
        hops.append(found.hops)
    return hops


@pytest.mark.prove
@pytest.mark.parametrize("way", [routed_hops, looked_up_hops])
def test_paths_among_a_thousand_peers_have_three_hops_in_the_mean(way: Callable[[Swarm], list[int]]) -> None:
    summary = summarize(way(warm(THOUSAND)))
    print(summary)
    assert summary.mean <= 3.0
