"""Broadcasts in swarms of the size that matters: without faults, with dead peers and loss, and with peers that keep all to
themselves. The whole sizes are for ``make prove``."""

from __future__ import annotations

from math import log2

import pytest

from cicada.ids import Peer
from cicada.limits import BROADCAST
from cicada.routing.io import Forward, RouterInput, RouterOutput
from cicada.sim.adversary import Adversary
from cicada.sim.conditions import Conditions
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start
from cicada.wire.routed import Broadcast, BroadcastDigest, BroadcastPull

SIZES = [200, pytest.param(1000, marks=pytest.mark.prove)]
QUIET = 50.0  # seconds; 2 log2 N rounds for the last who got it 8 s late


class Hoarder(Adversary):
    """Takes each body, acknowledges it, and says nothing else about broadcasts."""

    def router(self, cause: RouterInput, honest: list[RouterOutput], now: float) -> list[RouterOutput]:
        silenced = Broadcast | BroadcastDigest | BroadcastPull
        return [o for o in honest if not (isinstance(o, Forward) and isinstance(o.message, silenced))]


def warm(count: int, conditions: Conditions | None = None, seed: int = 1) -> Swarm:
    swarm = Swarm(seed, conditions=conditions)
    warm_start(swarm, [peer_number(number) for number in range(count)])
    return swarm


def receptions(swarm: Swarm, origin: Peer) -> list[int]:
    """How often each live peer but the origin got something."""
    return [len(swarm.peer(peer).mailbox) for peer in swarm.live() if peer != origin]


def bodies(swarm: Swarm) -> int:
    return swarm.sent()["Broadcast"]


@pytest.mark.parametrize("count", SIZES)
def test_without_faults_each_peer_gets_one_body_in_a_shallow_tree_and_then_all_is_quiet(count: int) -> None:
    swarm = warm(count)
    origin = swarm.live()[0]
    id = swarm.broadcast(origin, b"all")
    swarm.run_for(QUIET)
    assert receptions(swarm, origin) == [1] * (count - 1)
    assert bodies(swarm) == count - 1
    depth = max(swarm.peer(peer).mailbox[0].hops for peer in swarm.live() if peer != origin)
    assert depth <= log2(count) + 1
    fate = swarm.peer(origin).announced[id]
    assert (fate.reached, fate.is_complete) == (count - 1, True)
    assert BROADCAST.sample / 4 <= len(fate.sample) <= BROADCAST.samples
    sent = swarm.sent()
    print(f"depth {depth}, {sent['BroadcastAck']} acks, {sent['BroadcastDigest']} digests, {fate}")
    assert sent["BroadcastDigest"] <= count * (2 * BROADCAST.quiet_rounds + 2)
    swarm.run_for(20.0)
    later = swarm.sent()
    assert all(later[kind] == sent[kind] for kind in sent if kind.startswith("Broadcast"))


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("closes_links", [True, False])
def test_with_a_tenth_dead_and_loss_every_live_peer_gets_it_once(count: int, closes_links: bool) -> None:
    swarm = warm(count, Conditions(loss=0.05))
    origin = swarm.live()[0]
    for victim in swarm.rng.sample(swarm.live()[1:], count // 10):
        swarm.crash(victim, closes_links=closes_links)
    id = swarm.broadcast(origin, b"all")
    swarm.run_for(QUIET)
    print(f"{bodies(swarm)} bodies, {swarm.peer(origin).announced[id]}")
    assert receptions(swarm, origin) == [1] * (len(swarm.live()) - 1)
    assert bodies(swarm) <= 1.5 * count


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("seed", [1, 2])
def test_peers_that_keep_it_to_themselves_hide_it_from_nobody(count: int, seed: int) -> None:
    swarm = warm(count, seed=seed)
    origin = swarm.live()[0]
    for peer in swarm.rng.sample(swarm.live()[1:], count // 5):
        swarm.peer(peer).adversary = Hoarder()
    honest = [peer for peer in swarm.live() if swarm.peer(peer).adversary is None and peer != origin]
    swarm.broadcast(origin, b"all")
    swarm.run_for(BROADCAST.round)
    by_tree = sum(len(swarm.peer(peer).mailbox) for peer in honest)
    seconds = swarm.run_until(lambda: all(swarm.peer(peer).mailbox for peer in honest), QUIET)
    print(f"tree reached {by_tree} of {len(honest)}, all after {seconds:.1f} s more, {bodies(swarm)} bodies")
    assert by_tree < len(honest), "the tree alone would have done: this test shows nothing"
    swarm.run_for(QUIET)
    assert [len(swarm.peer(peer).mailbox) for peer in honest] == [1] * len(honest)
    assert bodies(swarm) <= 1.5 * count


def test_a_calm_swarm_says_nothing_about_broadcasts() -> None:
    swarm = warm(50)
    swarm.run_for(300.0)
    assert not any(kind.startswith("Broadcast") for kind in swarm.sent())
