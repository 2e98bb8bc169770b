"""Readiness: proven means exactly the sorted truth, seen freshly at every live peer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, canonical_address, peer_at
from launcher.readiness import RingView, assess

LENGTH = 4

swarms = st.sets(st.integers(1, 65535), min_size=1, max_size=30).map(
    lambda ports: {canonical_address("127.0.0.1", port) for port in ports}
)


def true_views(live: set[Address]) -> dict[Address, RingView]:
    """The naive oracle: walk clockwise from each peer."""
    views = {}
    for address in live:
        start = peer_at(address).place
        others = sorted(live - {address}, key=lambda other: (peer_at(other).place - start) % (1 << 256))
        views[address] = RingView(
            joined=True, successors=tuple(others[:LENGTH]), predecessor=others[-1] if others else None
        )
    return views


@given(swarms)
def test_the_sorted_truth_is_proven(live: set[Address]) -> None:
    verdict = assess(live, true_views(live), LENGTH)
    assert verdict.proven
    assert verdict.live == verdict.joined == len(live)


@given(swarms, st.randoms(use_true_random=False))
def test_any_single_change_disproves_the_ring(live: set[Address], rng: random.Random) -> None:
    views = true_views(live)
    victim = rng.choice(sorted(live))
    view = views[victim]
    changes = [RingView(joined=True, successors=(*view.successors, victim), predecessor=view.predecessor)]
    if len(live) > 1:
        changes += [
            RingView(joined=False, successors=view.successors, predecessor=view.predecessor),
            RingView(joined=True, successors=view.successors[:-1], predecessor=view.predecessor),
            RingView(joined=True, successors=view.successors, predecessor=None),
            RingView(joined=True, successors=view.successors, predecessor=victim),
        ]
    if len(view.successors) > 1:
        swapped = (view.successors[1], view.successors[0], *view.successors[2:])
        changes.append(RingView(joined=True, successors=swapped, predecessor=view.predecessor))
    views[victim] = rng.choice(changes)
    assert not assess(live, views, LENGTH).proven


@given(swarms, st.randoms(use_true_random=False))
def test_nothing_is_proven_while_one_live_peer_is_silent(live: set[Address], rng: random.Random) -> None:
    views = true_views(live)
    del views[rng.choice(sorted(live))]
    verdict = assess(live, views, LENGTH)
    assert verdict.missing == 1
    assert not verdict.proven
    assert verdict.in_words() == f"of {len(live)} peers: 1 not answering"


def test_a_swarm_without_live_peers_is_not_proven() -> None:
    assert not assess(set(), {}).proven
    assert assess(set(), {}).in_words() == "no peer lives"


def test_every_wrong_peer_is_counted_once_for_each_mistake() -> None:
    live = {canonical_address("127.0.0.1", 20000 + index) for index in range(6)}
    views = true_views(live)
    first, second, *_ = sorted(live)
    views[first] = RingView(joined=True, successors=(), predecessor=None)
    views[second] = RingView(joined=False, successors=(), predecessor=views[second].predecessor)
    verdict = assess(live, views, LENGTH)
    assert (verdict.wrong_successors, verdict.wrong_predecessors, verdict.joined) == (2, 1, 5)


def test_a_peer_that_is_the_whole_swarm_counts_as_joined() -> None:
    (only,) = {canonical_address("127.0.0.1", 20000)}
    alone = RingView(joined=False, successors=(), predecessor=None)
    assert assess({only}, {only: alone}).proven


@pytest.mark.parametrize("length", [1, 3, 16])
def test_lists_are_no_longer_than_the_ring(length: int) -> None:
    live = {canonical_address("127.0.0.1", 20000 + index) for index in range(3)}
    views = {
        address: RingView(
            joined=True, successors=view.successors[: min(length, 2)], predecessor=view.predecessor
        )
        for address, view in true_views(live).items()
    }
    assert assess(live, views, length).proven


@given(st.sets(st.tuples(st.integers(1, 4), st.integers(1, 65535)), min_size=1, max_size=40), st.booleans())
def test_with_hosts_grouped_a_list_runs_until_it_names_enough_of_them(
    peers: set[tuple[int, int]], grouped: bool
) -> None:
    live = {canonical_address(f"127.0.0.{host}", port) for host, port in peers}
    views = true_views(live)
    long = {}
    for address, view in views.items():
        start = peer_at(address).place
        others = sorted(live - {address}, key=lambda other: (peer_at(other).place - start) % (1 << 256))
        named: list[Address] = []
        while others and len(named) < 4 * LENGTH and len({a.split(":")[0] for a in named}) < LENGTH:
            named.append(others.pop(0))
        long[address] = RingView(joined=True, successors=tuple(named), predecessor=view.predecessor)
    assert assess(live, long if grouped else views, LENGTH, group_hosts=grouped).proven
    differ = sum(long[address] != views[address] for address in live)
    wrong = assess(live, views if grouped else long, LENGTH, group_hosts=grouped)
    assert (wrong.wrong_successors, wrong.wrong_predecessors) == (differ, 0)
