"""A record is good for one name in normal form, by one key, in one swarm, and for a while."""

from __future__ import annotations

import unicodedata
from hashlib import sha256
from typing import Any, Final

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse, PeerFault
from cicada.ids import hidden_address
from cicada.keys.identity import Identity
from cicada.limits import KEYS, NAMES
from cicada.services.namerecords import (
    SignedRecord,
    normal_name,
    place_of_name,
    rank_of,
    read_name,
    sign_name,
)

NOW: Final = 1_790_000_000_000
LEASE_MS: Final = 3_600_000
ALICE: Final = Identity(bytes(range(32)), bytes(range(1, 33)))
BOB: Final = Identity(bytes(range(2, 34)), bytes(range(3, 35)))
AT: Final = "10.0.0.2:50000"
NAME_AT, ADDRESS_AT, KEY_AT, SEQUENCE_AT, ISSUED_AT, EXPIRES_AT, SWARM_AT = range(7)


def signed(name: str = "alice", address: str = AT, swarm: str = "meadow", **times: int) -> SignedRecord:
    given_times = {"sequence": 1, "now_ms": NOW, "expires_ms": NOW + LEASE_MS, **times}
    return sign_name(ALICE, name, address, swarm, **given_times)


def refused(raw: bytes, now_ms: int = NOW, swarm: str = "meadow") -> str:
    with pytest.raises(PeerFault) as caught:
        read_name(raw, now_ms, swarm)
    return caught.value.reason


def altered(at: int, value: Any) -> bytes:
    """The record with another field, signed properly, encoded by another library than the product's."""
    fields = msgpack.unpackb(signed().raw[64:])
    fields[at] = value
    body: bytes = msgpack.packb(fields)
    return ALICE.sign(b"cicada-name-record-1" + body) + body


def test_what_an_owner_signed_is_read_until_the_millisecond_in_which_it_expires() -> None:
    record = read_name(signed().raw, NOW, "meadow").record
    assert (record.name, record.peer_id, record.peer.address) == ("alice", ALICE.peer_id, AT)
    assert read_name(signed().raw, NOW + LEASE_MS - 1, "meadow").record == record
    assert refused(signed().raw, now_ms=NOW + LEASE_MS) == "name-expired"


def test_a_record_of_another_swarm_or_of_a_clock_that_is_wrong_is_refused() -> None:
    skew = int(KEYS.clock_skew * 1000)
    assert refused(signed().raw, swarm="marsh") == "name-swarm"
    assert refused(altered(ISSUED_AT, NOW + skew + 1)) == "name-future"
    assert refused(altered(SEQUENCE_AT, NOW + skew + 1)) == "name-future"
    assert read_name(altered(ISSUED_AT, NOW + skew), NOW, "meadow").record.issued_ms == NOW + skew


def test_nobody_has_a_name_for_longer_than_a_lease_may_be() -> None:
    longest = int(NAMES.lease_max * 1000)
    assert read_name(altered(EXPIRES_AT, NOW + longest), NOW, "meadow").record.name == "alice"
    assert refused(altered(EXPIRES_AT, NOW + longest + 1)) == "name-lease"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (NAME_AT, "Alice"),
        (NAME_AT, "al ice"),
        (NAME_AT, ""),
        (ADDRESS_AT, "10.0.0.2"),
        (ADDRESS_AT, "010.0.0.2:50000"),
        (ADDRESS_AT, hidden_address(BOB.peer_id)),
        (KEY_AT, b"short"),
        (SEQUENCE_AT, -1),
    ],
)
def test_a_record_that_says_what_none_may_say_is_malformed_whoever_signed_it(at: int, value: Any) -> None:
    assert refused(altered(at, value)) == "name-malformed"


def test_an_owner_that_nobody_can_dial_is_named_by_its_key() -> None:
    hidden = hidden_address(ALICE.peer_id)
    assert read_name(altered(ADDRESS_AT, hidden), NOW, "meadow").record.peer.address == hidden


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_record_that_was_changed_anywhere_is_refused(at: int, change: int) -> None:
    raw = bytearray(signed().raw)
    raw[at % len(raw)] ^= change
    assert refused(bytes(raw)) in {"name-signature", "name-malformed"}


def test_the_longest_record_fits_its_limit() -> None:
    longest = sign_name(
        ALICE,
        "a" * NAMES.name_bytes,
        hidden_address(ALICE.peer_id),
        "\U0001f41d" * 64,
        sequence=NOW,
        now_ms=NOW,
        expires_ms=NOW + LEASE_MS,
    )
    assert read_name(longest.raw, NOW, "\U0001f41d" * 64) == longest
    assert NAMES.record_bytes - 80 < len(longest.raw) <= NAMES.record_bytes
    assert refused(bytes(NAMES.record_bytes + 1)) == "name-malformed"


def test_the_signed_bytes_and_the_place_are_those_of_the_document() -> None:
    raw = signed().raw
    key = ALICE.signing_public
    body = msgpack.packb(["alice", AT, key, 1, NOW, NOW + LEASE_MS, "meadow"])
    assert raw == ALICE.sign(b"cicada-name-record-1" + body) + body
    assert place_of_name("alice") == int.from_bytes(sha256(b"cicada-name-1" + b"alice").digest(), "big")
    assert rank_of(signed().record) == sha256(b"cicada-name-1" + key + b"alice").digest()


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("Alice", "alice"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁsh", "fish"),
        ("\u212bngstr\u00f6m", "\u00e5ngstr\u00f6m"),
        ("e\u0301", "\u00e9"),
        ("\uff11\uff12", "12"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
    ],
)
def test_names_that_people_take_for_the_same_are_the_same(typed: str, normal: str) -> None:
    assert normal_name(typed) == normal


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "a b",
        "a\n",
        "a\x00",
        "a\u200d",
        "\u202eecila",
        "a\u00a0b",
        "\ud800",
        "\ue000",
        "a" * 65,
        "é" * 33,
        "\ufdfa" * 4,
    ],
)
def test_what_cannot_be_a_name_is_refused(typed: str) -> None:
    with pytest.raises(Misuse):
        normal_name(typed)


def test_letters_that_look_alike_make_different_names() -> None:
    assert normal_name("\u0430lice") != normal_name("alice")  # the first is Cyrillic


@given(st.text(max_size=20))
def test_a_normal_form_is_its_own_and_that_of_all_that_unicode_calls_equivalent(typed: str) -> None:
    try:
        normal = normal_name(typed)
    except Misuse:
        return
    assert normal_name(normal) == normal
    assert 1 <= len(normal.encode()) <= NAMES.name_bytes
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normal_name(unicodedata.normalize(form, typed)) == normal


def test_every_letter_of_unicode_has_one_normal_form_or_none() -> None:
    for code in (*range(0x3400), *range(0xF900, 0x20000)):  # all but Han and Hangul, which nothing folds
        try:
            normal = normal_name(chr(code))
        except Misuse:
            continue
        assert normal_name(normal) == normal, hex(code)
