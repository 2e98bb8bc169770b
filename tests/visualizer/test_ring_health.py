"""How right the ring is: every member's neighbours are compared with the sorted truth."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.events import PeerStarted, PeerStopped, PhaseChanged, PredecessorChanged, SuccessorsChanged
from visualizer.model.fold import SwarmFold
from visualizer.model.ring import ring_of
from visualizer.model.state import Health, PeerState, SwarmState, WrongLink

from .tellings import at, folded, made_up, ring, told


def test_a_right_ring_has_converged() -> None:
    health = folded(ring(6)).state.health
    assert (health.members, health.right_heads, health.right_predecessors) == (6, 6, 6)
    assert (health.wrong, health.convergence) == ((), 1.0)


def test_the_ring_is_in_the_order_of_places() -> None:
    state = folded(ring(6)).state
    places = [peer.place for peer in ring_of(state)]
    assert places == sorted(places)
    assert len(places) == 6


def test_an_empty_ring_and_a_ring_of_one_are_right() -> None:
    assert SwarmFold().state.health.convergence == 1.0
    alone = folded(ring(1))
    assert alone.state.health == Health(members=1, right_heads=1, right_predecessors=1)
    alone.apply(told(SuccessorsChanged(successors=()), "core-0"))
    alone.apply(told(PredecessorChanged(predecessor=""), "core-0"))
    assert alone.state.health.convergence == 1.0


def test_a_death_makes_its_neighbours_wrong_until_they_have_healed() -> None:
    fold = folded(ring(5))
    before, dead, after = ring_of(fold.state)[1:4]
    fold.apply(told(PeerStopped(how="killed"), dead.name))
    health = fold.state.health
    assert (health.members, health.right_heads, health.right_predecessors) == (4, 3, 3)
    assert health.wrong == (WrongLink(peer=before.name, seen=dead.address, due=after.name),)
    assert health.convergence == 6 / 8
    fold.apply(told(SuccessorsChanged(successors=(after.address,)), before.name))
    fold.apply(told(PredecessorChanged(predecessor=before.address), after.name))
    assert fold.state.health.convergence == 1.0


def test_a_member_without_successor_names_nobody() -> None:
    fold = folded(ring(3))
    fold.apply(told(SuccessorsChanged(successors=()), "core-0"))
    assert [link.seen for link in fold.state.health.wrong] == [""]


def test_peers_that_nobody_can_dial_are_in_no_ring() -> None:
    fold = folded(ring(3))
    fold.apply(told(PeerStarted(address="@" + "ab" * 32, place="0" * 64), "edge-0"))
    fold.apply(told(PhaseChanged(phase="member"), "edge-0"))
    assert fold.state.peers["edge-0"].state is PeerState.MEMBER
    assert fold.state.peers["edge-0"].hidden
    assert (fold.state.health.members, fold.state.health.convergence) == (3, 1.0)


def test_health_follows_a_peer_that_comes() -> None:
    fold = folded([*ring(3)])
    assert fold.state.health.members == 3
    for envelope in ring(4)[3::4]:
        fold.apply(envelope)
    assert at(3) in fold.state.addresses
    assert fold.state.health == slowly(fold.state)


def slowly(state: SwarmState) -> Health:
    """The same by looking for each member's neighbours among all others, one by one."""
    members = [p for p in state.peers.values() if p.state.is_live and not p.address.startswith("@")]
    heads = predecessors = 0
    wrong = []
    for peer in sorted(members, key=lambda peer: (peer.place, peer.name)):
        others = [other for other in members if other is not peer] or [peer]

        def behind(other: object, peer: object = peer) -> tuple[bool, int, str]:
            key = (other.place, other.name)  # type: ignore[attr-defined]
            return (key <= (peer.place, peer.name), *key)  # type: ignore[attr-defined]

        due, before = min(others, key=behind), max(others, key=behind)
        seen = peer.successors[0] if peer.successors else ""
        is_alone = len(members) == 1
        if seen == due.address or (is_alone and seen == ""):
            heads += 1
        else:
            wrong.append(WrongLink(peer.name, seen, due.name))
        predecessors += peer.predecessor == before.address or (is_alone and peer.predecessor == "")
    return Health(len(members), heads, predecessors, tuple(wrong))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_health_is_what_a_slow_comparison_finds_at_every_moment(seed: int) -> None:
    rng = Random(seed)
    fold = folded(ring(rng.randrange(1, 9)))
    names = list(fold.state.peers)
    for _ in range(25):
        event = rng.choice(
            (
                SuccessorsChanged(successors=tuple(at(rng.randrange(9)) for _ in range(rng.randrange(3)))),
                PredecessorChanged(predecessor=rng.choice(("", at(rng.randrange(9))))),
                PhaseChanged(phase=rng.choice(("member", "alone", "joining", "idle"))),
                PeerStopped(how="killed"),
                PeerStarted(address=at(rng.randrange(9)), place=f"{rng.randrange(4):064x}"),
            )
        )
        fold.apply(told(event, rng.choice(names)))
        assert fold.state.health == slowly(fold.state)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_health_of_nonsense_is_what_a_slow_comparison_finds(seed: int) -> None:
    fold = folded(made_up(Random(seed), 200))
    assert fold.state.health == slowly(fold.state)
