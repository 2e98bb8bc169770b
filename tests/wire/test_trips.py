"""What is told of trips is a share of them, the same wherever it is decided."""

from __future__ import annotations

from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.ids import Address
from cicada.wire.ring import FindSuccessor, RingMessage
from cicada.wire.routed import Broadcast, Data
from cicada.wire.trips import FAMILIES, FAMILY, KEYS, Sample, data_key, hop_of, is_sampled, trip_of
from tests.wire.catalogue import MESSAGE_SAMPLES, MESSAGES

OWN, REMOTE = Address("127.0.0.1:1"), Address("127.0.0.1:2")


@given(st.integers(0, 2**64), st.integers(0, 14))
def test_whoever_tells_more_tells_all_that_the_others_tell(key: int, power: int) -> None:
    assert not is_sampled(key, 2 << power) or is_sampled(key, 1 << power)


@pytest.mark.parametrize("sampled", [2, 16, 64])
@pytest.mark.parametrize("step", [1, 2, 64, 1000])
@pytest.mark.parametrize("kind", [FindSuccessor, Broadcast])
def test_of_lookups_and_broadcasts_about_that_share_is_told_however_they_are_numbered(
    kind: type, step: int, sampled: int
) -> None:
    numbered = "request" if kind is FindSuccessor else "message"
    example = next(message for message in MESSAGE_SAMPLES.values() if type(message) is kind)
    keys = [KEYS[kind](replace(example, **{numbered: n})) for n in range(1, 5_000 * step, step)]
    assert sum(is_sampled(key, sampled) for key in keys) == pytest.approx(5_000 / sampled, rel=0.5)


@pytest.mark.parametrize("sampled", [2, 16, 64])
def test_of_messages_about_that_share_is_told_in_one_long_session_and_in_many_short_ones(
    sampled: int,
) -> None:
    random = Random(1)
    index = random.getrandbits(32)
    long = [data_key(index, counter) for counter in range(1, 5_000)]
    short = [data_key(random.getrandbits(32), 1 + n % 3) for n in range(5_000)]
    for keys in (long, short):
        assert sum(is_sampled(key, sampled) for key in keys) == pytest.approx(5_000 / sampled, rel=0.5)


def test_what_decides_is_known_for_exactly_those_messages_that_have_hops() -> None:
    for example in MESSAGE_SAMPLES.values():
        hop = hop_of(example, OWN, REMOTE)
        assert (hop is not None) == (type(example) in KEYS), example
        if hop is not None and trip_of(example):
            assert hop.trip == trip_of(example)
            assert hop.hops >= 0


@pytest.mark.parametrize("share", [1, 2, 64])
def test_a_sample_holds_the_trips_whose_key_says_so_and_no_message_without_one(share: int) -> None:
    sample = Sample()
    sample.choose(share)
    held = 0
    for example in MESSAGE_SAMPLES.values():
        key_of = KEYS.get(type(example))
        for number in range(200):
            message = replace(example, counter=number) if type(example) is Data else example
            assert sample.holds(message) == (key_of is not None and is_sampled(key_of(message), share))
            held += sample.holds(message)
    assert held > 0


def test_every_message_has_a_family() -> None:
    assert set(MESSAGES) <= FAMILY.keys()
    ring = set(get_args(RingMessage))
    assert {FAMILIES[FAMILY[kind]] for kind in ring} == {"ring", "lookup"}
    assert {FAMILIES[FAMILY[kind]] for kind in set(MESSAGES) - ring} == set(FAMILIES) - {"ring"}
