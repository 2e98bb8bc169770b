"""Messages about names come back as they went, and whatever a stranger sends is a legal message or MalformedMessage."""

from __future__ import annotations

import random
from typing import Final

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import MalformedMessage
from cicada.limits import NAMES
from cicada.wire.names import (
    GetName,
    NameHeld,
    NameKept,
    NameMessage,
    PutName,
    Verdict,
    decode_name_message,
    encode_name_message,
)
from tests.keys.fuzzing import ROUNDS, cut, flip_bit, noise, overwrite

RECORD: Final = bytes(range(200))
SAMPLES: Final[tuple[NameMessage, ...]] = (
    GetName(7, "alice"),
    NameHeld(7, RECORD),
    NameHeld(7, b""),
    PutName(8, RECORD),
    NameKept(8, Verdict.KEPT),
    NameKept(8, Verdict.TAKEN, RECORD),
)
NUMBERS = st.integers(0, (1 << 63) - 1)
RECORDS = st.binary(max_size=NAMES.record_bytes)
MESSAGES = st.one_of(
    st.builds(GetName, NUMBERS, st.text(min_size=1, max_size=NAMES.name_bytes)),
    st.builds(NameHeld, NUMBERS, RECORDS),
    st.builds(PutName, NUMBERS, RECORDS),
    st.builds(NameKept, NUMBERS, st.sampled_from(Verdict), RECORDS),
)


@given(MESSAGES)
def test_every_message_comes_back_as_it_went_and_fits_its_limit(message: NameMessage) -> None:
    raw = encode_name_message(message)
    assert decode_name_message(raw) == message
    assert len(raw) <= NAMES.message_bytes


def test_the_bytes_are_those_of_the_document() -> None:
    assert encode_name_message(GetName(7, "alice")) == msgpack.packb([1, 7, "alice"])
    assert encode_name_message(NameHeld(7, RECORD)) == msgpack.packb([2, 7, RECORD])
    assert encode_name_message(PutName(8, RECORD)) == msgpack.packb([3, 8, RECORD])
    assert encode_name_message(NameKept(8, Verdict.TAKEN, RECORD)) == msgpack.packb([4, 8, 1, RECORD])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        msgpack.packb([1, 7]),
        msgpack.packb([1, 7, ""]),
        msgpack.packb([1, -1, "alice"]),
        msgpack.packb([1, 1 << 63, "alice"]),
        msgpack.packb([1, 7, "a" * (NAMES.name_bytes + 1)]),
        msgpack.packb([2, 7, bytes(NAMES.record_bytes + 1)]),
        msgpack.packb([4, 7, 99, b""]),
        msgpack.packb([5, 7, b""]),
        msgpack.packb([1, 7, "alice"]) + b"\x00",
        b"\x91" * 600,
        bytes(NAMES.message_bytes + 1),
    ],
)
def test_what_is_no_message_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_name_message(raw)


def test_whatever_becomes_of_honest_bytes_is_a_legal_message_or_malformed() -> None:
    rng = random.Random(20261127)
    malformed = 0
    for _ in range(ROUNDS):
        raw = encode_name_message(rng.choice(SAMPLES))
        changed = rng.choice((noise, flip_bit, overwrite, cut))(rng, raw)
        try:
            message = decode_name_message(changed)
        except MalformedMessage:
            malformed += 1
            continue
        assert decode_name_message(encode_name_message(message)) == message
    assert ROUNDS // 10 < malformed < ROUNDS
