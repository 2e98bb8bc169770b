"""Colours of hosts, and the choice of next hops by them, against an oracle that looks at every peer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from hashlib import blake2b
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.hosts import by_ip
from cicada.ids import RING_SIZE, Peer, Place, canonical_address, peer_at
from cicada.limits import DeliveryLimits
from cicada.routing.colours import Way, colour_of, parse_way, ways_back
from cicada.routing.paths import Leg, Ways
from cicada.routing.table import RoutingTable
from tests.routing.swarm import clockwise, peers_at

PEERS = peers_at(31000, 120)
OWN = PEERS[0]
ALL = RoutingTable(OWN, PEERS[1], PEERS[1:])
SOME = clockwise(OWN, PEERS)[:5] + clockwise(OWN, PEERS)[20::10]
FEW = RoutingTable(OWN, SOME[0], SOME)
NOWHERE = Place((PEERS[90].place + 1) % RING_SIZE)

ways = st.builds(
    lambda seed, attempt, k, colour: Way(seed, attempt, k, colour % k),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 255),
    st.integers(1, 20),
    st.integers(0, 19),
)


def has_colour(peer: Peer, way: Way) -> bool:
    return colour_of(way.seed, way.attempt, peer.address.encode(), way.k) == way.colour


def towards(known: Collection[Peer], place: int) -> list[Peer]:
    """Those that make progress, best first."""
    before = [peer for peer in clockwise(OWN, known) if _distance(peer) <= (place - OWN.place) % RING_SIZE]
    return before[::-1]


def _distance(peer: Peer) -> int:
    return (peer.place - OWN.place) % RING_SIZE


@given(way=ways)
def test_a_way_is_19_bytes_and_reads_back_as_what_it_was(way: Way) -> None:
    assert len(way.pack()) == 19
    assert parse_way(way.pack()) == way


def test_a_colour_is_what_the_wire_reference_says() -> None:
    seed, host = bytes(range(16)), b"203.0.114.0/24"
    number = int.from_bytes(blake2b(host + b"\x03", digest_size=8, key=seed).digest(), "big")
    assert [colour_of(seed, 3, host, k) for k in (1, 4, 6)] == [0, number % 4, number % 6]
    assert colour_of(seed, 3 + 256, host, 4) == number % 4


def test_colours_share_the_peers_evenly_and_another_seed_or_attempt_deals_anew() -> None:
    rng = Random(1)
    seeds = [rng.randbytes(16) for _ in range(50)]
    dealt = Counter(colour_of(seed, 1, peer.address.encode(), 4) for seed in seeds for peer in PEERS)
    assert all(abs(count - 1500) < 150 for count in dealt.values())
    for other in ((seeds[1], 1), (seeds[0], 2)):
        same = sum(
            colour_of(seeds[0], 1, peer.address.encode(), 4) == colour_of(*other, peer.address.encode(), 4)
            for peer in PEERS
        )
        assert 15 <= same <= 45, "a quarter of 120, by chance"


@given(way=ways, place=st.sampled_from([*PEERS[1:]]))
def test_the_destination_is_exempt_whatever_its_colour(way: Way, place: Peer) -> None:
    assert ALL.coloured_hop(place.place, way.pack()) == place


@given(way=ways, place=st.integers(0, RING_SIZE - 1))
def test_a_large_table_gives_the_best_progress_of_the_colour(way: Way, place: int) -> None:
    candidates = towards(PEERS, place)[: 8 * way.k]
    if candidates and candidates[0].place == place:
        return
    expected = next((peer for peer in candidates if has_colour(peer, way)), None)
    assert ALL.coloured_hop(place, way.pack()) == expected
    assert ALL.coloured_hop(place, way.pack()) == expected, "remembered"
    assert ALL.coloured_relay(place, way.pack()) == expected


@given(way=ways, place=st.integers(0, RING_SIZE - 1))
def test_a_small_table_keeps_the_colour_only_where_that_costs_at_most_half_the_way(
    way: Way, place: int
) -> None:
    chosen = FEW.coloured_hop(place, way.pack())
    candidates = towards(SOME, place)
    if chosen is None or chosen.place == place:
        return
    assert has_colour(chosen, way)
    left, best = (((place - peer.place) % RING_SIZE) for peer in (chosen, candidates[0]))
    assert len(SOME) >= 4 * way.k or left <= 2 * max(best, _distance(SOME[-1]))


@given(way=ways, excluded=st.sets(st.sampled_from(PEERS[1:]), max_size=30))
def test_an_excluded_peer_is_never_chosen(way: Way, excluded: set[Peer]) -> None:
    for hop in (
        ALL.coloured_relay(NOWHERE, way.pack(), excluded),
        ALL.coloured_beyond(NOWHERE, way.pack(), excluded),
    ):
        assert hop is None or (hop not in excluded and has_colour(hop, way))


def test_peers_of_one_host_have_one_colour() -> None:
    peers = [
        peer_at(canonical_address(f"127.0.0.{host}", 20000 + port))
        for host in range(1, 9)
        for port in range(4)
    ]
    own, *others = peers
    table = RoutingTable(own, clockwise(own, others)[0], others, host_of=by_ip)
    rng = Random(2)
    for _ in range(50):
        place = Place(rng.getrandbits(256))
        hosts = []
        for way in Ways(DeliveryLimits(), rng).draw(2):
            hop = table.coloured_relay(place, way)
            hosts.append(None if hop is None else by_ip(hop.address))
        assert hosts[0] != hosts[1] or hosts[0] is None


@pytest.mark.parametrize("copies", range(1, 17))
def test_copies_leave_by_different_relays_each_of_its_colour_as_far_as_there_are(copies: int) -> None:
    rng = Random(copies)
    for target in rng.sample(PEERS[1:], 20):
        legs = Ways(DeliveryLimits(), rng).fresh(ALL, target.place, copies)
        assert len(legs) == copies
        assert legs[0].hop == target
        for leg in legs[1:]:
            assert leg.hop != target
            assert leg.strayed != has_colour(leg.hop, parse_way(leg.way))
        kept = [leg.hop for leg in legs if not leg.strayed]
        assert len(set(kept)) == len(kept)
        assert sum(leg.strayed for leg in legs) <= copies // 4


def test_without_direct_copies_even_a_known_destination_is_reached_over_relays() -> None:
    legs = Ways(DeliveryLimits(direct=False), Random(1)).fresh(ALL, PEERS[50].place, 4)
    assert PEERS[50] not in {leg.hop for leg in legs}
    assert len({leg.hop for leg in legs}) == 4


def test_a_destination_just_ahead_is_reached_the_long_way_round_where_no_relay_lies_before_it() -> None:
    legs = Ways(DeliveryLimits(), Random(1)).fresh(ALL, PEERS[1].place, 4)
    assert legs[0].hop == PEERS[1]
    assert len({leg.hop for leg in legs}) == 4
    assert not any(leg.strayed for leg in legs)
    assert all(_distance(leg.hop) > _distance(PEERS[60]) for leg in legs[1:]), "nearest behind this peer"


def test_a_place_that_is_nobodys_is_not_looked_for_the_long_way_round() -> None:
    assert Ways(DeliveryLimits(), Random(1)).fresh(ALL, Place((OWN.place + 1) % RING_SIZE), 4) == ()


def test_peers_to_avoid_come_last_within_a_colour() -> None:
    choose = Ways(DeliveryLimits(), Random(1))
    drawn = choose.draw(4)
    first = choose.along(ALL, NOWHERE, drawn)
    second = choose.along(ALL, NOWHERE, drawn, [leg.hop for leg in first])
    assert not {leg.hop for leg in first} & {leg.hop for leg in second}
    everybody = choose.along(ALL, NOWHERE, drawn, PEERS)
    assert everybody == first, "better than none"


def test_the_comparison_scheme_excludes_first_hops_and_colours_nothing() -> None:
    legs = Ways(DeliveryLimits(coloured=False), Random(1)).fresh(ALL, NOWHERE, 3)
    assert legs == tuple(Leg(peer, b"") for peer in towards(PEERS, NOWHERE)[:3])


@given(way=ways, count=st.integers(1, 50))
def test_answers_come_back_on_the_same_way_then_beside_it_then_by_another_colouring(
    way: Way, count: int
) -> None:
    back = ways_back(way.pack(), count)
    assert back[0] == way.pack()
    assert len(set(back)) == len(back) == min(count, 2 * way.k)
    parsed = [parse_way(raw) for raw in back]
    assert {one.seed for one in parsed} == {way.seed}
    assert {one.colour for one in parsed[: way.k]} == set(range(way.k)) or count < way.k
    assert all((one.attempt == way.attempt) == (number < way.k) for number, one in enumerate(parsed))
