"""What is told of trips is a share of them, the same wherever it is decided."""

from __future__ import annotations

from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address
from cicada.wire.ring import RingMessage
from cicada.wire.trips import FAMILIES, KEYS, hop_of, is_sampled, trip_of
from tests.wire.catalogue import MESSAGE_SAMPLES, MESSAGES

OWN, REMOTE = Address("127.0.0.1:1"), Address("127.0.0.1:2")


@given(st.integers(0, 2**64), st.integers(0, 14))
def test_whoever_tells_more_tells_all_that_the_others_tell(key: int, power: int) -> None:
    assert not is_sampled(key, 2 << power) or is_sampled(key, 1 << power)


@pytest.mark.parametrize("sampled", [1, 2, 16, 64])
@pytest.mark.parametrize("step", [1, 2, 64, 1000])
def test_of_neighbouring_numbers_and_of_random_ones_about_that_share_is_told(sampled: int, step: int) -> None:
    random = Random(1)
    for keys in (range(0, 20_000 * step, step), [random.getrandbits(53) for _ in range(20_000)]):
        told = sum(is_sampled(key, sampled) for key in keys)
        assert told == pytest.approx(20_000 / sampled, rel=0.4)


def test_what_decides_is_known_for_exactly_those_messages_that_have_hops() -> None:
    for example in MESSAGE_SAMPLES.values():
        hop = hop_of(example, OWN, REMOTE)
        assert (hop is not None) == (type(example) in KEYS), example
        if hop is not None and trip_of(example):
            assert hop.trip == trip_of(example)
            assert hop.hops >= 0


def test_every_message_that_is_not_of_the_ring_has_a_family() -> None:
    ring = set(get_args(RingMessage))
    lodging = {kind for kind in MESSAGES if kind.__name__.startswith("Lodging")}
    assert set(MESSAGES) - ring - lodging <= FAMILIES.keys()
