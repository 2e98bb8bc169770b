"""Fingerprints: pronounceable, the same for the same peer, forgiving about how they are typed and about nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse
from cicada.keys.fingerprint import fingerprint_of, read_fingerprint

PEER_ID = "7f000001" + "3f54dcc1" + "3f760723" + "d87a0fb0" + "00" * 16
"""The first four numbers are the paper's: 127.0.0.1, 63.84.220.193, 63.118.7.35, and one of ours."""


def test_the_words_are_those_of_the_paper() -> None:
    words = fingerprint_of(PEER_ID).split("-")
    assert "-".join(words[:2]) == "lusab-babad"
    assert "-".join(words[2:4]) == "gutih-tugad"
    assert "-".join(words[4:6]) == "gutuk-bisog"
    assert len(words) == 8


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_two_peers_have_the_same_fingerprint_only_when_the_first_128_bits_agree(
    one: bytes, other: bytes
) -> None:
    left, right = (fingerprint_of(half.hex() + "00" * 16) for half in (one, other))
    assert (left == right) == (one == other)


def test_typed_by_a_person_it_is_the_same() -> None:
    told = fingerprint_of(PEER_ID)
    assert read_fingerprint(f"  {told.upper().replace('-', ' ')} ") == told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lusab-babad", "8 words, this one 2"),
        ("lusab-" * 8 + "babad", "8 words, this one 9"),
        ("lusab babad gutih tugad lusab babad gutih tugax", "word 8"),
        ("lusab lusac", "word 2"),
        ("", "this one 0"),
    ],
)
def test_anything_else_is_refused_with_the_word_that_is_wrong(text: str, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        read_fingerprint(text)


@pytest.mark.parametrize("text", ["", "ab", "G" * 64, "A" * 64, "a" * 63])
def test_only_a_peer_id_has_a_fingerprint(text: str) -> None:
    with pytest.raises(Misuse, match="64 hex digits"):
        fingerprint_of(text)
