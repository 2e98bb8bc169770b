"""Pins: made at first use, changed by the old key's signature or the user alone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cicada.errors import Misuse, PeerFault
from cicada.ids import canonical_address, peer_at
from cicada.keys.succession import read_succession, sign_succession
from cicada.keys.trust import Trust, TrustStore
from cicada.limits import KeyLimits
from tests.keys.people import ALICE, BOB, EVE, HIGH, LOW, WALL, first_used, flipped, pin, record


def test_trust_is_ordered_and_named_in_words() -> None:
    assert [trust.word for trust in sorted(Trust)] == ["unverified", "first-contact", "pinned", "pre-shared"]
    assert [Trust.required(trust.word) for trust in sorted(Trust)[1:]] == sorted(Trust)[1:]
    assert Trust.required(None) is Trust.UNVERIFIED
    for word in ("unverified", "", "PINNED"):
        with pytest.raises(Misuse, match="first-contact, pinned or pre-shared"):
            Trust.required(word)


def test_first_use_pins_a_key_and_is_first_contact_for_this_life() -> None:
    store = TrustStore()
    assert store.check(record(BOB, HIGH)) is False
    assert store.learn(record(BOB, HIGH), WALL) == first_used(HIGH, BOB)
    assert store.check(record(BOB, HIGH)) is True
    assert store.trust(HIGH.address) is Trust.FIRST_CONTACT
    again = TrustStore.load(store.pins)
    assert again.trust(HIGH.address) is Trust.PINNED
    assert again.trust(LOW.address) is Trust.FIRST_CONTACT


def test_another_key_at_a_pinned_address_is_refused_whatever_its_sequence() -> None:
    store = TrustStore.load([pin(HIGH, BOB)])
    with pytest.raises(PeerFault, match="key-changed"):
        store.check(record(EVE, HIGH, WALL + 200_000))
    assert store.pins == (pin(HIGH, BOB),)


def test_the_old_key_can_sign_a_new_one_in_and_nobody_else_can() -> None:
    store = TrustStore.load([pin(HIGH, BOB)])
    for forged in (
        sign_succession(EVE, EVE.signing_public),
        sign_succession(BOB, ALICE.signing_public),
        b"",
    ):
        with pytest.raises(PeerFault, match="key-changed"):
            store.check(record(EVE, HIGH), forged)
    assert store.check(record(EVE, HIGH), sign_succession(BOB, EVE.signing_public)) is True
    assert store.learn(record(EVE, HIGH), WALL) == pin(HIGH, EVE, WALL)
    assert store.trust(HIGH.address) is Trust.PINNED
    with pytest.raises(PeerFault, match="key-changed"):
        store.check(record(BOB, HIGH))


def test_an_older_word_of_the_same_key_about_another_static_key_is_stale() -> None:
    store = TrustStore.load([replace(pin(HIGH, BOB, WALL), static_key=bytes(32))])
    with pytest.raises(PeerFault, match="record-stale"):
        store.check(record(BOB, HIGH, WALL - 1))
    assert store.check(record(BOB, HIGH, WALL)) is True


def test_an_older_record_changes_no_pin_and_a_newer_one_does() -> None:
    store = TrustStore.load([pin(HIGH, BOB, WALL)])
    assert store.learn(record(BOB, HIGH, WALL - 5), WALL) is None
    assert store.learn(record(BOB, HIGH, WALL), WALL) is None
    assert store.learn(record(BOB, HIGH, WALL + 5), WALL) == pin(HIGH, BOB, WALL + 5)


def test_pins_of_first_contacts_make_way_and_held_ones_never_do() -> None:
    limits = KeyLimits(pins=3)
    store = TrustStore.load([pin(LOW, ALICE)], limits)
    others = [peer_at(canonical_address("127.0.0.1", port)) for port in range(5000, 5010)]
    for other in others:
        assert store.learn(record(BOB, other), WALL) is not None
    assert {held.address for held in store.pins} == {LOW.address, others[-1].address, others[-2].address}
    for other in others[:2]:
        store.hold(pin(other, BOB))
    assert len(store) == 3
    with pytest.raises(Misuse, match="more than 3 pins"):
        store.hold(pin(others[5], BOB))
    assert store.learn(record(EVE, others[6]), WALL) is None
    assert store.check(record(EVE, others[6])) is False


def test_what_the_user_says_counts_at_once() -> None:
    store = TrustStore()
    store.learn(record(BOB, HIGH), WALL)
    store.hold(pin(HIGH, EVE))
    assert store.check(record(EVE, HIGH)) is True
    assert store.trust(HIGH.address) is Trust.PINNED
    store.forget(HIGH.address)
    assert store.check(record(BOB, HIGH)) is False


def test_a_succession_with_any_bit_changed_is_none() -> None:
    good = sign_succession(ALICE, BOB.signing_public)
    assert read_succession(good) == (ALICE.signing_public, BOB.signing_public)
    for bit in range(len(good) * 8):
        with pytest.raises(PeerFault, match="succession"):
            read_succession(flipped(good, bit))
    for raw in (b"", good + b"\0", good[:-1], bytes(4096)):
        with pytest.raises(PeerFault, match="succession"):
            read_succession(raw)
