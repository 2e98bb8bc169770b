"""Gap waves: everybody gets in, quickly, and nobody is in anybody's way."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, Peer, canonical_address, peer_at
from launcher.readiness import owner_of
from launcher.waves import Wave, gap_wave, one_seed_wave, rolling_waves, seeded_wave

peers = st.integers(1, 65535).map(lambda port: peer_at(canonical_address("127.0.0.1", port)))
some_peers = st.sets(peers, max_size=60)


def all_waves(members: Collection[Peer], joiners: Collection[Peer]) -> list[Wave]:
    present = set(members)
    waves = []
    while wave := gap_wave(present, joiners, {}):
        waves.append(wave)
        present |= {joining.peer for joining in wave}
    return waves


def predecessor_among(members: Collection[Peer], peer: Peer) -> Peer:
    """The naive way: the member from which the way clockwise to ``peer`` is shortest."""
    return min(members, key=lambda member: (peer.place - member.place) % (1 << 256))


@given(some_peers, some_peers)
def test_everybody_joins_exactly_once(members: set[Peer], joiners: set[Peer]) -> None:
    joined = [joining.peer for wave in all_waves(members, joiners) for joining in wave]
    assert sorted(joined, key=lambda peer: peer.place) == sorted(
        joiners - members, key=lambda peer: peer.place
    )


@given(some_peers, some_peers)
def test_every_seed_is_the_joiners_predecessor_among_those_already_in(
    members: set[Peer], joiners: set[Peer]
) -> None:
    present = set(members)
    for wave in all_waves(members, joiners):
        for joining in wave:
            if present:
                assert joining.seed == predecessor_among(present, joining.peer)
            else:
                assert joining.seed is None
        present |= {joining.peer for joining in wave}


@given(some_peers, some_peers)
def test_no_gap_admits_two_joiners_in_one_wave(members: set[Peer], joiners: set[Peer]) -> None:
    for wave in all_waves(members, joiners):
        seeds = [joining.seed for joining in wave]
        assert len(set(seeds)) == len(seeds)


def test_from_nothing_the_waves_double() -> None:
    joiners = {peer_at(canonical_address("127.0.0.1", 20000 + index)) for index in range(200)}
    sizes = [len(wave) for wave in all_waves(set(), joiners)]
    assert sizes[:6] == [1, 1, 2, 4, 8, 16]
    assert len(sizes) <= math.ceil(math.log2(200)) + 2


def test_only_the_first_member_of_a_ring_has_no_seed() -> None:
    joiners = {peer_at(canonical_address("127.0.0.1", 20000 + index)) for index in range(30)}
    seedless = [joining for wave in all_waves(set(), joiners) for joining in wave if joining.seed is None]
    assert len(seedless) == 1


@given(st.sets(peers, min_size=2, max_size=40), peers, st.integers(0, 5))
def test_who_failed_before_tries_another_member(members: set[Peer], joiner: Peer, failures: int) -> None:
    members = members - {joiner}
    (joining,) = gap_wave(members, [joiner], {joiner: failures})
    in_order = sorted(members, key=lambda peer: (joiner.place - peer.place) % (1 << 256))
    assert joining.seed == in_order[failures % len(in_order)]


@given(st.lists(peers, unique=True, min_size=1, max_size=40))
def test_without_waves_all_join_at_once_through_one_address(joiners: list[Peer]) -> None:
    first = one_seed_wave([], joiners, {})
    assert [(joining.peer, joining.seed) for joining in first] == [(joiners[0], None)]
    second = one_seed_wave([joiners[0]], joiners, {})
    assert [joining.peer for joining in second] == joiners[1:]
    assert {joining.seed for joining in second} <= {joiners[0]}
    assert one_seed_wave(joiners, joiners, {}) == ()


def test_the_owner_of_a_place_is_the_first_peer_at_or_after_it() -> None:
    addresses = [canonical_address("127.0.0.1", 20000 + index) for index in range(9)]
    ring = sorted(addresses, key=lambda address: peer_at(address).place)
    for index, address in enumerate(ring):
        assert owner_of(peer_at(address).place, addresses) == address
        assert owner_of(peer_at(address).place - 1, addresses) == address
        assert owner_of(peer_at(address).place + 1, addresses) == ring[(index + 1) % len(ring)]
    assert owner_of(0, list[Address]()) is None


@given(some_peers, st.integers(1, 70))
def test_a_rolling_restart_has_everybody_once_and_never_more_at_once(
    everybody: set[Peer], at_once: int
) -> None:
    waves = rolling_waves(everybody, at_once)
    assert sorted(peer.address for wave in waves for peer in wave) == sorted(p.address for p in everybody)
    assert all(1 <= len(wave) <= at_once for wave in waves)
    assert len(waves) == math.ceil(len(everybody) / at_once)


@given(some_peers, st.integers(1, 70))
def test_neighbours_are_in_one_wave_only_when_all_are(everybody: set[Peer], at_once: int) -> None:
    waves = rolling_waves(everybody, at_once)
    ring = sorted(everybody, key=lambda peer: peer.place)
    wave_of = {peer: number for number, wave in enumerate(waves) for peer in wave}
    if len(waves) > 1:
        assert all(wave_of[one] != wave_of[other] for one, other in pairwise(ring))


@given(some_peers, some_peers, peers)
def test_whoever_has_a_seed_of_choice_joins_through_it_at_once(
    members: set[Peer], joiners: set[Peer], seed: Peer
) -> None:
    chosen = {peer: seed for peer in joiners if peer not in members}
    wave = seeded_wave(members | joiners, chosen)
    assert {joining.peer for joining in wave} == joiners - members
    assert {joining.seed for joining in wave} <= {seed}
