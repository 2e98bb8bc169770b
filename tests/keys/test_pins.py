"""Pins: who may change one, what is written of them, what is wrong with a file; and the keys that a peer makes known."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address
from cicada.keys.fingerprint import fingerprint_of
from cicada.keys.identity import Identity
from cicada.keys.pins import (
    FIRST_USE,
    USER,
    By,
    Pin,
    PublicKeys,
    export_text,
    merged,
    parse_export,
    parse_trust,
    trust_text,
    within_limit,
)

ONE, OTHER = Identity.generate(Random(1)), Identity.generate(Random(2))
AT = Address("127.0.0.1:50000")


def pin(
    identity: Identity = ONE, by: By = FIRST_USE, sequence: int = 1, since: int = 1, at: Address = AT
) -> Pin:
    return Pin(
        address=at,
        signing_key=identity.signing_public,
        static_key=identity.static.public,
        by=by,
        sequence=sequence,
        since=since,
    )


def test_the_first_pin_of_an_address_stands() -> None:
    assert merged(None, pin()) == pin()


@pytest.mark.parametrize("stored", [FIRST_USE, USER])
def test_other_keys_on_first_use_change_nothing(stored: By) -> None:
    assert merged(pin(ONE, stored), pin(OTHER, sequence=9)) == pin(ONE, stored)


@pytest.mark.parametrize("stored", [FIRST_USE, USER])
def test_the_user_may_say_that_other_keys_are_right(stored: By) -> None:
    assert merged(pin(ONE, stored), pin(OTHER, USER)) == pin(OTHER, USER)


@pytest.mark.parametrize("stored", [FIRST_USE, USER])
def test_the_holder_of_the_old_key_may_sign_another(stored: By) -> None:
    assert merged(pin(ONE, stored), pin(OTHER), ONE.signing_public) == pin(OTHER, stored)


def test_a_signature_of_another_key_than_the_pinned_one_changes_nothing() -> None:
    assert merged(pin(ONE), pin(OTHER), OTHER.signing_public) == pin(ONE)


def test_another_static_key_is_another_key() -> None:
    changed = msgspec.structs.replace(pin(ONE), static_key=OTHER.static.public)
    assert merged(pin(ONE), changed) == pin(ONE)


@given(st.sampled_from([FIRST_USE, USER]), st.sampled_from([FIRST_USE, USER]), *[st.integers(0, 9)] * 4)
def test_the_same_keys_keep_the_most_that_is_known_of_them_in_either_order(
    a: By, b: By, sequence_a: int, sequence_b: int, since_a: int, since_b: int
) -> None:
    one, other = pin(by=a, sequence=sequence_a, since=since_a), pin(by=b, sequence=sequence_b, since=since_b)
    kept = merged(one, other)
    assert kept == merged(other, one)
    assert (kept.by == USER) == (USER in (a, b))
    assert (kept.sequence, kept.since) == (max(sequence_a, sequence_b), min(since_a, since_b))


def test_a_full_store_forgets_the_oldest_of_first_use_and_none_of_the_users() -> None:
    ages: list[tuple[int, By]] = [(1, USER), (2, FIRST_USE), (3, FIRST_USE), (4, USER), (5, FIRST_USE)]
    pins = [pin(by=by, since=age, at=Address(f"127.0.0.1:{age}")) for age, by in ages]
    kept = within_limit({entry.address: entry for entry in pins}, 3)
    assert sorted(entry.since for entry in kept.values()) == [1, 4, 5]


@given(
    st.lists(
        st.tuples(st.integers(1, 65535), st.sampled_from([FIRST_USE, USER])),
        unique_by=lambda it: it[0],
        max_size=6,
    )
)
def test_pins_are_read_back_from_their_file(entries: list[tuple[int, By]]) -> None:
    pins = tuple(pin(by=by, sequence=port, at=Address(f"[::1]:{port}")) for port, by in entries)
    assert parse_trust(trust_text(pins), "f").value == pins


def trust(**changes: Any) -> str:
    rows = json.loads(trust_text([pin()]))["pins"]
    made = {**rows[0], **changes}
    row = {name: value for name, value in made.items() if value is not None}
    return json.dumps({"type": "cicada-trust", "version": 1, "pins": [row]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "the document: expected an object, got a list"),
        ("{}", 'missing: add "pins", a list'),
        ("{}", 'missing: add "type": "cicada-trust"'),
        ('{"type": "cicada-peer", "version": 1, "pins": []}', 'type: expected "cicada-trust"'),
        ('{"type": "cicada-trust", "version": 2, "pins": []}', "version: expected 1"),
        ('{"type": "cicada-trust", "version": 1, "pins": 3}', "pins: expected a list, got a number"),
        (trust(adress=1), 'pins[0]: unknown field "adress": did you mean "address"?'),
        (trust(address=None), 'pins[0]: missing: add "address"'),
        (trust(address="here"), "pins[0].address: not a numeric IP and a port"),
        (trust(signing_key="ab"), "pins[0].signing_key: expected 32 bytes, as 64 hex digits"),
        (trust(static_key=None), 'pins[0]: missing: add "static_key"'),
        (trust(by="me"), 'pins[0].by: expected "first-use" or "user"'),
        (trust(by=None), 'pins[0]: missing: add "by"'),
        (trust(since=-1), "pins[0].since: expected a whole number from 0 on"),
        (trust(sequence=1.5), "pins[0].sequence: expected a whole number from 0 on"),
        (trust(sequence=True), "pins[0].sequence: expected a whole number from 0 on"),
        (trust_text([pin(), pin(OTHER)]), "pins[1]: 127.0.0.1:50000 is pinned above already"),
    ],
)
def test_a_mistake_in_a_trust_file_is_named(text: str, expected: str) -> None:
    parsed = parse_trust(text, "f")
    assert parsed.value is None
    assert any(expected in str(error) and error.line for error in parsed.errors)


@given(st.text() | st.binary().map(bytes.hex))
def test_any_text_is_a_trust_file_or_has_mistakes(text: str) -> None:
    assert parse_trust(text, "f").errors
    assert parse_export(text, "f").errors


def test_a_long_trust_file_is_read_by_the_same_rules_as_a_wrong_one() -> None:
    pins = tuple(pin(at=Address(f"127.0.0.1:{port}")) for port in range(1, 50))
    spaced = trust_text(pins).replace('"type"', '"ty\\u0070e"')
    assert parse_trust(spaced, "f").value == pins


@pytest.mark.parametrize("address", [AT, None])
def test_keys_that_are_made_known_are_read_back(address: Address | None) -> None:
    known = parse_export(export_text(ONE, address), "f").value
    expected = PublicKeys(
        signing_key=ONE.signing_public, static_key=ONE.static.public, address=address or Address("")
    )
    assert known == expected


def test_what_is_made_known_holds_no_secret() -> None:
    text = export_text(ONE, AT)
    assert not any(seed.hex() in text for seed in ONE.seeds)
    assert fingerprint_of(ONE.peer_id) in text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("address", "127.0.0.1:50001", "somebody changed this file"),
        ("static_key", OTHER.static.public.hex(), "somebody changed this file"),
        ("signing_key", OTHER.signing_public.hex(), "peer_id: belongs to another signing_key"),
        ("fingerprint", fingerprint_of(OTHER.peer_id), "fingerprint: belongs to another signing_key"),
        ("signature", "00" * 64, "somebody changed this file"),
        ("signature", None, 'missing: add "signature"'),
        ("signing_key", "00", "signing_key: expected 32 bytes"),
        ("colour", "red", 'unknown field "colour"'),
        ("type", "cicada-trust", 'type: expected "cicada-peer"'),
    ],
)
def test_a_change_of_what_was_made_known_is_noticed(name: str, value: str | None, expected: str) -> None:
    fields = json.loads(export_text(ONE, AT)) | {name: value}
    text = json.dumps({field: said for field, said in fields.items() if said is not None})
    parsed = parse_export(text, "f")
    assert parsed.value is None
    assert any(expected in str(error) for error in parsed.errors)
