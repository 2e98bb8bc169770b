"""Whatever a stranger sends, decoding ends soon, with a legal message or MalformedMessage."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import CicadaError, MalformedMessage
from cicada.ids import is_canonical
from cicada.limits import KIB, MIB, WIRE
from cicada.wire import fields
from cicada.wire.codec import decode, decode_body, encode
from cicada.wire.frames import Hello, Welcome, decode_frame
from cicada.wire.sealed import AckBody, DataBody, SessionAnswer, SessionOpening, decode_sealed, encode_body
from tests.wire.catalogue import (
    BODIES,
    BODY_SAMPLES,
    MESSAGE_SAMPLES,
    MESSAGES,
    OPTIONAL_ADDRESS,
    PLACE,
    A,
    wire_values,
)

ROUNDS = int(os.environ.get("CICADA_FUZZ", "20000"))
SEED = 20260101
DATA = wire_values(MESSAGE_SAMPLES["data"])
FOUND = wire_values(MESSAGE_SAMPLES["found"])
Bytes = Callable[[random.Random, bytes], bytes]


def noise(rng: random.Random, raw: bytes) -> bytes:
    return rng.randbytes(rng.randrange(len(raw) + 32))


def flip(rng: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(rng: random.Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw))]


def repeat(rng: random.Random, raw: bytes) -> bytes:
    start = rng.randrange(len(raw))
    end = rng.randint(start, len(raw))
    return raw[:end] + raw[start:end] * rng.randint(1, 8) + raw[end:]


def claim(rng: random.Random, raw: bytes) -> bytes:
    """A header in the middle that promises far more than follows: str, bin, array, map, ext of 2^32 - 1 entries."""
    where = rng.randrange(len(raw))
    return raw[:where] + bytes([rng.choice((0xDB, 0xC6, 0xDD, 0xDF, 0xC9))]) + b"\xff" * 4 + raw[where:]


def retag(rng: random.Random, raw: bytes) -> bytes:
    return raw[:1] + bytes([rng.randrange(128)]) + raw[2:]


MUTATIONS: tuple[Bytes, ...] = (noise, flip, flip, cut, repeat, claim, retag)


@pytest.mark.sized
@pytest.mark.timeout(1800)
def test_fuzzed_bytes_become_a_legal_message_or_malformed_message() -> None:
    rng = random.Random(SEED)
    valid = [encode(sample) for sample in (*MESSAGE_SAMPLES.values(), *BODY_SAMPLES.values())]
    understood = 0
    for _ in range(ROUNDS):
        raw = rng.choice(MUTATIONS)(rng, rng.choice(valid))
        understood += is_understood(raw)
        for body in BODIES:
            refused_or(partial(decode_body, raw, body))
        refused_or(partial(decode_frame, raw))
    assert 0.01 < understood / ROUNDS < 0.9, "the mutations no longer probe both sides of the border"


def is_understood(raw: bytes) -> bool:
    message = refused_or(partial(decode, raw))
    if message is None:
        return False
    assert decode(encode(message)) == message
    return True


def refused_or(decoding: Callable[[], Any]) -> Any:
    try:
        return decoding()
    except MalformedMessage as error:
        refusal = error
    assert len(refusal.reason) < KIB
    return None


@pytest.mark.parametrize(
    "raw",
    [
        b"\x91" * WIRE.max_frame,
        b"\x81" * WIRE.max_frame,
        b"\xdd\xff\xff\xff\xff" * (WIRE.max_frame // 5),
        b"\x94\x07\x00\xc4\x00" + b"\x91" * (WIRE.max_frame - 5),
        b"\x93\x07\x00" + b"\xdd\xff\xff\xff\xff",
        b"\xdc\xff\x00" + b"\x07" + bytes(WIRE.max_frame - 4),
        msgpack.packb([2, 0, b"", 7, A, [A] * 2000, [A], 0]),
        msgpack.packb([*DATA, {str(n): [n] for n in range(3000)}]),
    ],
    ids=["nested arrays", "nested maps", "endless", "nested tail", "claim", "many", "long list", "big tail"],
)
def test_hostile_shapes_cost_little_time_and_memory(raw: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    refused_or(partial(decode, raw))
    spent = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 0.25
    assert peak < 2 * MIB


def test_refused_addresses_are_not_remembered_at_their_full_length() -> None:
    refuse([1, 0, b"", 7, PLACE, ["first"]])
    tracemalloc.start()
    for number in range(500):
        refuse([1, 0, b"", 7, PLACE, [f"{number}" + "x" * 60_000]])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < MIB


@pytest.mark.parametrize("sample", MESSAGE_SAMPLES.values(), ids=MESSAGE_SAMPLES.keys())
@pytest.mark.parametrize("tail", [[0], [None, "later", b"later"], [[1, [2]], {"a": {"b": 1.5}}]], ids=str)
def test_fields_of_a_later_version_are_ignored(sample: msgspec.Struct, tail: list[Any]) -> None:
    assert decode(msgpack.packb([*wire_values(sample), *tail])) == sample


@pytest.mark.parametrize("body", BODY_SAMPLES.values(), ids=BODY_SAMPLES.keys())
def test_handshake_fields_of_a_later_version_are_ignored(body: Any) -> None:
    assert decode_body(msgpack.packb([*wire_values(body), "later"]), type(body)) == body


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_optional_fields_at_the_end_may_be_missing_and_others_may_not(kind: type[msgspec.Struct]) -> None:
    sample = next(one for one in MESSAGE_SAMPLES.values() if type(one) is kind)
    values = wire_values(sample)
    optional = trailing_defaults(kind)
    for missing in range(1, len(values)):
        if missing <= len(optional):
            expected = msgspec.structs.replace(sample, **dict(optional[-missing:]))
            assert decode(msgpack.packb(values[:-missing])) == expected
        else:
            refuse(values[:-missing])


def trailing_defaults(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """The last fields that have defaults, in order."""
    found: list[tuple[str, Any]] = []
    for field in reversed(msgspec.structs.fields(kind)):
        if field.required:
            break
        found.insert(0, (field.name, field.default))
    return found


@pytest.mark.parametrize(
    "tag", [0, 12, 31, 40, 47, 49, 127, 1 << 40, -1, "State", None, 1.0, True, [1]], ids=str
)
def test_an_unknown_tag_is_malformed(tag: Any) -> None:
    refuse([tag, *DATA[1:]])


@pytest.mark.parametrize("value", [None, 1, "x", b"x", {}, {1: 2}, [], [[]], 1.5], ids=repr)
def test_anything_but_a_tagged_array_is_malformed(value: Any) -> None:
    refuse(value)


@pytest.mark.parametrize(
    "number", [-1, -(1 << 63), 1 << 63, (1 << 64) - 1, 1.0, "1", b"1", None, True], ids=repr
)
def test_a_number_below_zero_beyond_63_bits_or_of_another_type_is_malformed(number: Any) -> None:
    for where in (3, 5, 6, 7, 8):
        refuse([*DATA[:where], number, *DATA[where + 1 :]])
    accept([*DATA[:6], fields.MAX_NUMBER, *DATA[7:]])


@pytest.mark.parametrize("size", [*range(1, fields.WAY_BYTES), fields.WAY_BYTES + 1])
def test_a_way_of_another_size_is_malformed(size: int) -> None:
    refuse([*DATA[:4], bytes([1]) * size, *DATA[5:]])


@pytest.mark.parametrize(
    ("k", "colour", "is_legal"),
    [(4, 3, True), (1, 0, True), (16, 15, True), (4, 4, False), (0, 0, False), (17, 0, False)],
)
def test_a_way_names_one_of_its_colours_which_are_few(k: int, colour: int, is_legal: bool) -> None:
    (accept if is_legal else refuse)([*DATA[:4], bytes(17) + bytes((k, colour)), *DATA[5:]])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:020",
        "127.0.0.01:20",
        "localhost:20",
        "::1:20",
        "[::0001]:20",
        "[::ffff:127.0.0.1]:20",
        "[fe80::1%eth0]:20",
        "127.0.0.1:20 ",
        "127.0.0.1:\uff12\uff10",
        "127.0.0.1:" + "9" * 5000,
        b"127.0.0.1:20",
        7,
    ],
    ids=lambda address: repr(address)[:24],
)
def test_an_address_that_is_not_canonical_is_malformed_wherever_it_stands(address: Any) -> None:
    for sample in MESSAGE_SAMPLES.values():
        for values in with_one_address_replaced(sample, address):
            refuse(values)
    for values in with_one_address_replaced(BODY_SAMPLES["hello"], address):
        refuse_body(values, Hello)


def with_one_address_replaced(sample: msgspec.Struct, other: Any) -> Iterator[list[Any]]:
    """The values of a sample, once for each address in it. Fields that may be empty stay, when ``other`` is."""
    values = wire_values(sample)
    for place, value in enumerate(values):
        if isinstance(value, list):
            for entry in range(len(value)):
                yield [*values[:place], [*value[:entry], other, *value[entry + 1 :]], *values[place + 1 :]]
        elif isinstance(value, str) and is_canonical(value):
            name = sample.__struct_fields__[place - (len(values) - len(sample.__struct_fields__))]
            if other != "" or (type(sample), name) not in OPTIONAL_ADDRESS:
                yield [*values[:place], other, *values[place + 1 :]]


def test_each_size_limit_admits_its_value_and_refuses_one_more() -> None:
    borders = [
        ([*DATA[:10], bytes(WIRE.max_sealed), False], [*DATA[:10], bytes(WIRE.max_sealed + 1), False]),
        ([*DATA[:9], bytes(8), *DATA[10:]], [*DATA[:9], bytes(7), *DATA[10:]]),
        ([7, 0, bytes(WIRE.max_extra)], [7, 0, bytes(WIRE.max_extra + 1)]),
        ([*FOUND[:5], [A] * WIRE.max_list, *FOUND[6:]], [*FOUND[:5], [A] * (WIRE.max_list + 1), *FOUND[6:]]),
        ([*FOUND[:6], [A] * WIRE.max_path, 0], [*FOUND[:6], [A] * (WIRE.max_path + 1), 0]),
        ([*FOUND[:6], [A], 0], [*FOUND[:6], [], 0]),
        ([*FOUND[:6], [A, A], 1], [*FOUND[:6], [A, A], 2]),
        ([1, 0, b"", 7, PLACE, [A], 0], [1, 0, b"", 7, PLACE, [], 0]),
        ([*DATA[:3], WIRE.max_path, *DATA[4:]], [*DATA[:3], WIRE.max_path + 1, *DATA[4:]]),
        ([3, 0, b"", 1, "r" * WIRE.max_text, [A], 0], [3, 0, b"", 1, "r" * (WIRE.max_text + 1), [A], 0]),
    ]
    for legal, illegal in borders:
        accept(legal)
        refuse(illegal)
    for size in (0, 31, 33):
        refuse([34, bytes(size), *DATA[2:]])


@pytest.mark.parametrize("kind", [DataBody, AckBody, SessionOpening, SessionAnswer])
@given(raw=st.binary(max_size=200))
def test_whatever_a_session_holds_decodes_to_a_body_or_is_malformed(kind: Any, raw: bytes) -> None:
    body = refused_or(partial(decode_sealed, raw, kind))
    assert body is None or decode_sealed(encode_body(body), kind) == body


def test_the_longest_payload_fits_into_what_may_be_sealed() -> None:
    longest = fields.MAX_NUMBER
    body = DataBody(
        origin_boot=longest,
        message=longest,
        boot=longest,
        copies=(1 << 16) - 1,
        payload=bytes(WIRE.max_payload),
        part=fields.MAX_PARTS - 1,
        parts=fields.MAX_PARTS,
        after=longest - 1,
    )
    sealed = encode_body(body)
    assert decode_sealed(sealed, DataBody) == body
    assert len(sealed) + WIRE.seal_overhead <= WIRE.max_sealed
    with pytest.raises(MalformedMessage):
        decode_sealed(bytes(WIRE.max_sealed + 1), DataBody)
    with pytest.raises(MalformedMessage):
        decode_sealed(
            encode_body(msgspec.structs.replace(body, payload=bytes(WIRE.max_payload + 1))), DataBody
        )


@pytest.mark.parametrize(
    ("payload", "part", "parts", "after"),
    [
        (b"x", 1, 1, None),
        (bytes(WIRE.max_payload), 2, 2, None),
        (bytes(WIRE.max_payload - 1), 0, 2, None),
        (b"", 1, 2, None),
        (b"x", 0, 0, None),
        (b"x", fields.MAX_PARTS, fields.MAX_PARTS + 1, None),
        (b"x", 0, 1, 9),
    ],
)
def test_fragments_and_orders_that_cannot_be_are_malformed(
    payload: bytes, part: int, parts: int, after: int | None
) -> None:
    legal = [5, 9, 7, 1, b"x", 0, 1, 8]
    assert decode_sealed(msgpack.packb(legal), DataBody).after == 8
    with pytest.raises(MalformedMessage):
        decode_sealed(msgpack.packb([*legal[:4], payload, part, parts, after]), DataBody)


def test_a_message_longer_than_a_frame_is_not_even_looked_at() -> None:
    padded = msgpack.packb([7, 0, b"", bytes(WIRE.max_frame)])
    with pytest.raises(MalformedMessage, match="message-size"):
        decode(padded)
    with pytest.raises(MalformedMessage, match="message-size"):
        decode_body(padded, Welcome)


@pytest.mark.parametrize("index", [0, fields.MAX_INDEX + 1, -1])
def test_a_link_index_outside_32_bits_or_zero_is_malformed(index: int) -> None:
    refuse_body([1, index, 0], Welcome)


def test_bytes_after_the_message_are_malformed() -> None:
    with pytest.raises(MalformedMessage):
        decode(encode(MESSAGE_SAMPLES["notify"]) + b"\x00")


def test_malformed_message_is_a_fault_of_the_peer_that_catches_as_a_cicada_error() -> None:
    with pytest.raises(CicadaError) as caught:
        decode(b"")
    assert isinstance(caught.value, MalformedMessage)
    assert caught.value.reason


def accept(values: list[Any]) -> None:
    assert wire_values(decode(msgpack.packb(values))) == values


def refuse(values: Any) -> None:
    with pytest.raises(MalformedMessage):
        decode(msgpack.packb(values))


def refuse_body(values: list[Any], kind: Any) -> None:
    with pytest.raises(MalformedMessage):
        decode_body(msgpack.packb(values), kind)
