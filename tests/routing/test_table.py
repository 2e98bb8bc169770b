"""The routing table against brute force, and the view of it that lost hops change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.chord.io import TableChanged
from cicada.ids import RING_SIZE, Peer, Place
from cicada.limits import DeliveryLimits
from cicada.routing.paths import choose_paths
from cicada.routing.table import Routes, RoutingTable
from tests.routing.swarm import clockwise, peers_at

PEERS = peers_at(30000, 12)
OWN = PEERS[0]

peer_sets = st.sets(st.sampled_from(PEERS[1:]), min_size=1)
places = st.one_of(
    st.sampled_from(PEERS).map(lambda peer: peer.place),
    st.sampled_from(PEERS).map(lambda peer: Place((peer.place + 1) % RING_SIZE)),
    st.sampled_from(PEERS).map(lambda peer: Place((peer.place - 1) % RING_SIZE)),
    st.integers(0, RING_SIZE - 1).map(Place),
)


def table_of(known: set[Peer], lost: set[Peer] | frozenset[Peer] = frozenset()) -> RoutingTable:
    return RoutingTable(OWN, clockwise(OWN, known)[0], known, lost)


def hops_by_brute_force(known: set[Peer], place: int) -> list[Peer]:
    """Everybody on the way to the place, itself included, nearest to the place first."""
    left = (place - OWN.place) % RING_SIZE
    return [peer for peer in reversed(clockwise(OWN, known)) if (peer.place - OWN.place) % RING_SIZE <= left]


@given(peer_sets, places)
def test_the_next_hop_is_the_last_known_peer_that_is_not_past_the_place(
    known: set[Peer], place: Place
) -> None:
    expected = hops_by_brute_force(known, place)
    assert table_of(known).next_hop(place) == (expected[0] if expected else None)


@given(peer_sets, places, st.integers(0, 14), st.sets(st.sampled_from(PEERS)))
def test_next_hops_are_all_with_progress_best_first(
    known: set[Peer], place: Place, count: int, exclude: set[Peer]
) -> None:
    expected = [peer for peer in hops_by_brute_force(known, place) if peer not in exclude]
    assert table_of(known).next_hops(place, count, exclude) == tuple(expected[:count])


@given(peer_sets, places, st.sets(st.sampled_from(PEERS[1:])))
def test_lost_peers_are_not_in_the_table_but_still_own_their_places(
    known: set[Peer], place: Place, lost: set[Peer]
) -> None:
    table = table_of(known, lost)
    expected = hops_by_brute_force(known - lost, place)
    assert table.next_hop(place) == (expected[0] if expected else None)
    assert table.nobody_at(place) == table_of(known).nobody_at(place)


@given(peer_sets, places)
def test_nobody_lives_strictly_between_a_peer_and_its_head_and_it_may_say_so(
    known: set[Peer], place: Place
) -> None:
    left = (place - OWN.place) % RING_SIZE
    head = clockwise(OWN, known)[0]
    assert table_of(known).nobody_at(place) == (0 < left < (head.place - OWN.place) % RING_SIZE)


def test_a_ring_of_one_owns_every_place_but_knows_nobody_elsewhere() -> None:
    table = RoutingTable(OWN, OWN, ())
    assert len(table) == 0
    assert table.next_hop(PEERS[1].place) is None
    assert table.nobody_at(PEERS[1].place)
    assert not table.nobody_at(OWN.place)


@given(peer_sets, st.integers(0, 12), st.integers(0, 12))
def test_delegates_lie_in_their_range_in_order_and_begin_with_its_first_known_peer(
    known: set[Peer], first: int, last: int
) -> None:
    distances = [0, *((peer.place - OWN.place) % RING_SIZE for peer in PEERS[1:]), RING_SIZE]
    start, limit = distances[first], distances[last]
    inside = [p for p in clockwise(OWN, known) if start <= (p.place - OWN.place) % RING_SIZE < limit]
    delegates = table_of(known).delegates(start, limit)
    peers = [peer for _, peer in delegates]
    assert peers[:1] == inside[:1]
    assert [peer for peer in inside if peer in peers] == peers
    assert all((peer.place - OWN.place) % RING_SIZE == distance for distance, peer in delegates)


def test_the_number_of_delegates_grows_with_the_logarithm_of_the_ring() -> None:
    everybody = peers_at(30000, 1024)
    table = RoutingTable(everybody[0], everybody[1], everybody[1:])
    delegates = [peer for _, peer in table.delegates(0, RING_SIZE)]
    assert len(delegates) <= 22
    # Each of doubling rank: the tree is shallow however peers are bunched, while the table is complete.
    assert {everybody[1 << doubling] for doubling in range(10)} <= set(delegates)


@given(peer_sets, places, st.integers(1, 6), st.lists(st.sampled_from(PEERS[1:]), unique=True, max_size=4))
def test_paths_begin_at_distinct_hops_while_there_are_enough_and_avoided_ones_come_last(
    known: set[Peer], place: Place, copies: int, avoid: list[Peer]
) -> None:
    paths = choose_paths(table_of(known), place, copies, avoid)
    candidates = hops_by_brute_force(known, place)
    assert len(paths) == (copies if candidates else 0)
    assert len(set(paths)) == min(copies, len(candidates))
    if set(paths) & set(avoid):
        assert {peer for peer in candidates if peer not in avoid} <= set(paths)


class TestRoutes:
    LIMITS = DeliveryLimits(lost_hop_seconds=2.0)

    @pytest.fixture
    def routes(self) -> Routes:
        routes = Routes(OWN, self.LIMITS)
        routes.update(self.said())
        return routes

    def said(self, known: tuple[Peer, ...] = PEERS[1:]) -> TableChanged:
        return TableChanged(head=known[0], predecessor=known[-1], known=known)

    def best_hop(self, routes: Routes) -> Peer | None:
        table = routes.table()
        assert table is not None
        return table.next_hop(PEERS[5].place)

    def test_there_is_no_table_while_the_peer_is_not_in_a_ring(self, routes: Routes) -> None:
        routes.update(TableChanged(head=None, predecessor=None, known=()))
        assert routes.table() is None

    def test_a_lost_hop_is_left_out_even_when_the_ring_lists_it_anew(self, routes: Routes) -> None:
        routes.lose(PEERS[5], 10.0)
        assert self.best_hop(routes) == PEERS[4]
        routes.update(self.said())
        assert self.best_hop(routes) == PEERS[4]

    def test_a_lost_hop_that_stays_listed_is_used_again_after_its_time(self, routes: Routes) -> None:
        routes.lose(PEERS[5], 10.0)
        assert routes.next_deadline() == 12.0
        routes.restore(11.9)
        assert self.best_hop(routes) == PEERS[4]
        routes.restore(12.0)
        assert self.best_hop(routes) == PEERS[5]
        assert routes.next_deadline() is None

    def test_a_lost_hop_that_the_ring_dropped_and_proved_again_is_used_at_once(self, routes: Routes) -> None:
        routes.lose(PEERS[5], 10.0)
        routes.update(self.said(PEERS[1:5]))
        routes.update(self.said())
        assert self.best_hop(routes) == PEERS[5]

    def test_losing_a_stranger_is_not_remembered(self, routes: Routes) -> None:
        routes.lose(peers_at(40000, 1)[0], 10.0)
        assert routes.next_deadline() is None
