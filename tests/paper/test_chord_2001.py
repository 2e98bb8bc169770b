"""Stoica, Morris, Karger, Kaashoek, Balakrishnan: Chord (SIGCOMM 2001). Sections 4, 6.2, 6.3: where keys are, and how far.

One test a claim. Rings are calm here; what happens while peers come, go and die is in ``test_chord_2001_changes``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import pairwise
from math import ceil, log, log2
from random import Random

import pytest

from cicada.chord.circle import distance, finger_start, in_open_closed
from cicada.chord.io import OwnerFound
from cicada.ids import RING_BITS, RING_SIZE, Peer, Place
from cicada.limits import RingLimits, RingTimings
from cicada.sim.names import peer_number
from cicada.sim.statistics import percentile, summarize
from cicada.sim.swarm import Swarm
from tests.paper.stages import CLASSIC, NODES, STILL, ask, hops, questions, ring, strangers

SIZES = [1 << power for power in range(6, NODES.bit_length(), 2)]
EACH_SIZE = [pytest.param(size, marks=[pytest.mark.prove] if size > 256 else []) for size in SIZES]
EULER = 0.5772
SMALL_CIRCLE = 8
EXAMPLE = (0, 1, 3)
"""The nodes of the paper's example on a circle of eight points."""


def example_successor(point: int) -> int:
    """The node of the example whose arc, behind the node before it, holds the point."""
    arcs = zip((EXAMPLE[-1], *EXAMPLE), EXAMPLE, strict=False)
    (owner,) = [node for before, node in arcs if in_open_closed(before, point, node, SMALL_CIRCLE)]
    return owner


def test_a_key_belongs_to_the_first_node_at_or_after_it_on_the_circle() -> None:
    """Section 4.2, with its example: on a circle of 2^3 points with nodes 0, 1 and 3, key 1 is at 1, 2 at 3, 6 at 0."""
    keys = (1, 2, 6)
    owners = [example_successor(key) for key in keys]
    assert owners == [1, 3, 0]


def test_finger_i_is_the_first_node_at_least_two_to_the_i_away() -> None:
    """Section 4.3, with its example: starts and successors in the tables of nodes 0, 1 and 3 (its i counts from 1)."""
    starts = {node: [int(finger_start(node, i, SMALL_CIRCLE)) for i in range(3)] for node in EXAMPLE}
    fingers = {node: [example_successor(start) for start in starts[node]] for node in EXAMPLE}
    assert starts == {0: [1, 2, 4], 1: [2, 3, 5], 3: [4, 5, 7]}
    assert fingers == {0: [1, 3, 0], 1: [3, 3, 0], 3: [0, 0, 0]}


def keys_on_each(places: list[int], keys: int) -> list[int]:
    """How many of so many random keys each place owns, clockwise."""
    ordered, rng = sorted(places), Random(1)
    owned = Counter(bisect_left(ordered, rng.getrandbits(RING_BITS)) % len(ordered) for _ in range(keys))
    return [owned[index] for index in range(len(ordered))]


@pytest.mark.sized
def test_ninety_nine_of_a_hundred_nodes_have_under_five_times_the_mean_load() -> None:
    """Section 6.2: with 10^4 nodes and 10^6 keys the 99th percentile of keys on a node is 4.8 times the mean."""
    nodes = 4 * NODES
    places = [int(peer_number(number).place) for number in range(nodes)]
    loads = keys_on_each(places, 100 * nodes)
    skew = summarize(loads).p99 / 100
    print(f"{nodes} nodes, {100 * nodes} keys: 99th percentile {skew:.2f} times the mean")
    assert skew == pytest.approx(4.8, abs=25 / nodes**0.5)


@pytest.mark.sized
def test_twenty_identifiers_for_each_server_even_the_load_out() -> None:
    """Section 6.2: with 20 virtual nodes a server the 99th percentile is 1.6 times the mean.

    Ours has no virtual nodes: the many peers of one host are what evens out the load of hosts.
    """
    servers = NODES // 4
    places = [int(peer_number(number).place) for number in range(20 * servers)]
    order = {place: index for index, place in enumerate(sorted(places))}
    loads = keys_on_each(places, 100 * servers)
    by_server = [sum(loads[order[place]] for place in places[20 * n : 20 * n + 20]) for n in range(servers)]
    skew = summarize(by_server).p99 / 100
    print(f"{servers} servers of 20: 99th percentile {skew:.2f} times the mean")
    assert skew == pytest.approx(1.6, abs=4 / servers**0.5)


@pytest.mark.parametrize("count", [64, 256, pytest.param(1024, marks=pytest.mark.prove)])
def test_no_node_has_more_than_one_plus_order_log_n_times_its_share(count: int) -> None:
    """Theorem 1.1: each node has at most (1 + e) K/N keys, where e is O(log N), and without virtual nodes no less.

    Of N arcs cut at random the longest has, on average, ln N + 0.58 times the mean length.
    """
    longest = []
    for first in range(0, 40 * count, count):
        places = sorted(peer_number(number).place for number in range(first, first + count))
        longest.append(max(distance(low, high) for low, high in pairwise([places[-1], *places])))
    worst = summarize(arc * count / RING_SIZE for arc in longest)
    print(f"{count} nodes: the largest share is {worst.mean:.2f} (at most {worst.most:.2f}) times the mean")
    assert worst.most < 1 + 2 * log2(count)
    assert worst.mean == pytest.approx(log(count) + EULER, abs=0.7)


def owners(swarm: Swarm, places: list[Place]) -> list[Peer]:
    """Who says to own each place, asked from anywhere."""
    answers = ask(swarm, [(swarm.rng.choice(swarm.live()), place) for place in places])
    return [answer.owner for answer in answers if isinstance(answer, OwnerFound)]


def test_a_join_moves_a_node_s_share_of_keys_to_the_joiner_and_a_leave_moves_it_back() -> None:
    """Theorem 1.2: when a node joins or leaves, O(K/N) keys change hands, and only to or from that node."""
    nodes, keys, joiners = 64, 200, strangers(8)
    swarm = ring(nodes, seed=1, limits=RingLimits(successors=4, candidates=4))
    places = [Place(swarm.rng.getrandbits(RING_BITS)) for _ in range(keys)]
    moved = []
    for joiner in joiners:
        before = owners(swarm, places)

        swarm.join(joiner, swarm.live()[0])
        swarm.run_until(swarm.is_ideal, 30.0)
        during = owners(swarm, places)
        swarm.leave(joiner)
        swarm.run_until(swarm.is_ideal, 30.0)
        after = owners(swarm, places)

        assert before == after
        changed = [(old, new) for old, new in zip(before, during, strict=True) if old != new]
        assert set(changed) <= {(swarm.truth.owner(joiner.place), joiner)}
        moved.append(len(changed))
    assert max(moved) <= (1 + log2(nodes)) * keys / nodes
    assert summarize(moved).mean == pytest.approx(keys / nodes, rel=0.6)


def test_with_successors_alone_every_lookup_is_right_and_walks_the_ring() -> None:
    """Section 4.3: correct successors suffice for correct lookups; without fingers they take a linear number of hops.

    The list of two lets a hop skip one node; and a node can step back to its predecessor.
    """
    nodes = 40
    swarm = ring(nodes, 1, limits=RingLimits(successors=2, candidates=1, known_peers=0), timings=STILL)
    assert not any(snapshot.fingers for snapshot in swarm.snapshots().values())
    asked = questions(swarm, 400)

    taken = hops(swarm, asked)

    order = swarm.live()
    for (asker, place), hop_count in zip(asked, taken, strict=True):
        steps = (order.index(swarm.truth.owner(place)) - order.index(asker) - 1) % nodes
        assert hop_count == (1 if steps == nodes - 1 else ceil(steps / 2))


def classic_fingers(own: Peer, swarm: Swarm) -> set[Peer]:
    """The first node of every finger interval that has one."""
    firsts = [(i, swarm.truth.owner(finger_start(own.place, i))) for i in range(RING_BITS)]
    return {first for i, first in firsts if distance(own.place, first.place) >> i == 1}


def test_a_ring_that_grew_by_joins_finds_its_fingers_by_itself() -> None:
    """Section 4.3 and 5.1 (fix_fingers): finger i becomes the first node that succeeds this one by at least 2^i."""
    often = RingTimings(fix_fingers_min=0.5, fix_fingers_max=1.0, finger_dial_rate=10.0)
    swarm = Swarm(1, limits=CLASSIC, timings=often)
    swarm.create(peer_number(0))
    for number in range(1, 40):
        swarm.join(peer_number(number), peer_number(0))
    swarm.run_until(swarm.is_ideal, 60.0)

    swarm.run_for(30.0)

    for peer, snapshot in swarm.snapshots().items():
        assert set(snapshot.fingers) == classic_fingers(peer, swarm)


@pytest.mark.sized
@pytest.mark.parametrize("count", EACH_SIZE)
def test_a_node_has_about_log_n_distinct_fingers(count: int) -> None:
    """Section 4.3: of all the entries of a finger table only O(log N) are distinct nodes."""
    swarm = ring(count, 1, limits=CLASSIC, timings=STILL, age=10.0)
    fingers = summarize(len(snapshot.fingers) for snapshot in swarm.snapshots().values())
    print(f"{count} nodes: {fingers.mean:.2f} distinct fingers, at most {fingers.most}")
    assert fingers.mean == pytest.approx(log2(count), abs=0.5)
    assert fingers.most <= 2 * log2(count)


@pytest.mark.sized
@pytest.mark.parametrize("count", EACH_SIZE)
def test_every_hop_halves_the_distance_and_none_takes_more_than_order_log_n(count: int) -> None:
    """Theorem 2 and its proof: the next hop is less than half as far from the key's predecessor; so O(log N) hops."""
    swarm = ring(count, 2, limits=CLASSIC, timings=STILL, age=10.0)

    answers = ask(swarm, questions(swarm, 500))

    for answer in answers:
        assert isinstance(answer, OwnerFound)
        left = [distance(hop.place, answer.predecessor.place) for hop in answer.route]
        assert left[-1] == 0
        assert all(2 * after < before for before, after in pairwise(left))
        assert answer.hops <= 1.5 * log2(count)


@pytest.mark.sized
@pytest.mark.parametrize("count", EACH_SIZE)
def test_the_mean_path_is_half_the_logarithm_of_the_ring(count: int) -> None:
    """Section 6.3: lookups take about 1/2 log2 N hops; 3.9 with 256 nodes, 4.9 with 1,024, 5.9 with 4,096."""
    swarm = ring(count, 3, limits=CLASSIC, timings=STILL, age=10.0)
    paths = summarize(hops(swarm, questions(swarm, 1000)))
    print(f"{count} nodes: {paths.mean:.2f} hops, 99th percentile {paths.p99:.0f}, at most {paths.most:.0f}")
    assert paths.mean == pytest.approx(log2(count) / 2, abs=0.35)


@pytest.mark.prove
def test_paths_spread_little_about_their_mean() -> None:
    """Section 6.3: with 1,024 nodes the 1st to 99th percentile is 2 to 8 hops; with 4,096 paths run from 1 to 11, most often 6."""
    count = max(SIZES)
    swarm = ring(count, 4, limits=CLASSIC, timings=STILL, age=10.0)

    paths = sorted(hops(swarm, questions(swarm, 1500)))

    low, high = percentile(paths, 0.01), percentile(paths, 0.99)
    mode, times = Counter(paths).most_common(1)[0]
    print(f"{count} nodes: {low:.0f} to {high:.0f} hops, most often {mode} ({times / len(paths):.0%})")
    assert abs(low - (log2(count) / 2 - 3)) <= 1
    assert abs(high - (log2(count) / 2 + 3)) <= 1
    assert abs(mode - log2(count) / 2) <= 1
    assert 0.18 < times / len(paths) < 0.32
