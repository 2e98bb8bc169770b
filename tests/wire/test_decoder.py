"""Whatever a stranger sends, decoding ends soon, with a legal message or MalformedMessage."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, get_args

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import CicadaError, MalformedMessage
from cicada.ids import is_address
from cicada.limits import KIB, MIB, WIRE
from cicada.wire import fields
from cicada.wire.codec import decode, decode_body, encode
from cicada.wire.frames import Hello, Welcome, decode_frame
from cicada.wire.routed import Data, Lodging, RouterMessage
from cicada.wire.sealed import AckBody, DataBody, SessionAnswer, SessionOpening, decode_sealed, encode_body
from cicada.wire.services import Service
from tests.wire.catalogue import (
    BODIES,
    BODY_SAMPLES,
    HIDDEN,
    MESSAGE_SAMPLES,
    MESSAGES,
    OPTIONAL_ADDRESS,
    PLACE,
    A,
    read_body,
    wire_values,
)
from tests.wire.mutations import MUTATIONS

ROUNDS = int(os.environ.get("CICADA_FUZZ", "20000"))
SEED = 20260101
DATA = wire_values(MESSAGE_SAMPLES["data"])
HELLOS = (BODY_SAMPLES["hello"], BODY_SAMPLES["hello of a hidden peer"])
WHERE_ADDRESSES_STAND = {
    *("predecessor", "successors", "path", "hops"),  # of the ring
    *("home", "candidate", "others", "owner", "route", "ids"),
}
FOUND = wire_values(MESSAGE_SAMPLES["found"])


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
            refused_or(partial(read_body, raw, body))
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
    assert read_body(msgpack.packb([*wire_values(body), "later"]), type(body)) == body


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
    "tag", [0, 12, 31, 41, 47, 49, 55, 61, 127, 1 << 40, -1, "State", None, 1.0, True, [1]], ids=str
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
    for name in ("hops", "index", "counter", "attempt", "copy"):
        refuse(data(name, number))
    accept(data("counter", fields.MAX_NUMBER))


@pytest.mark.parametrize("size", [*range(1, fields.WAY_BYTES), fields.WAY_BYTES + 1])
def test_a_way_of_another_size_is_malformed(size: int) -> None:
    refuse(data("way", bytes([1]) * size))


@pytest.mark.parametrize(
    ("k", "colour", "is_legal"),
    [(4, 3, True), (1, 0, True), (16, 15, True), (4, 4, False), (0, 0, False), (17, 0, False)],
)
def test_a_way_names_one_of_its_colours_which_are_few(k: int, colour: int, is_legal: bool) -> None:
    (accept if is_legal else refuse)(data("way", bytes(17) + bytes((k, colour))))


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
        for values, _ in with_one_address_replaced(sample, address):
            refuse(values)
    for body in HELLOS:
        for values, _ in with_one_address_replaced(body, address):
            refuse_body(values, Hello)


def test_the_name_of_a_hidden_peer_stands_only_where_nobody_is_to_dial_it() -> None:
    seen = Counter[tuple[str, str]]()
    for sample in MESSAGE_SAMPLES.values():
        for values, where in with_one_address_replaced(sample, HIDDEN):
            (accept if where == "origin" else refuse)(values)
            seen[type(sample).__name__, where] += 1
    assert {where for kind, where in seen if where != "origin"} == WHERE_ADDRESSES_STAND
    assert {kind for kind, where in seen if where == "origin"} == {
        kind.__name__ for kind in get_args(RouterMessage) if "origin" in kind.__struct_fields__
    }
    for values, _ in with_one_address_replaced(BODY_SAMPLES["hello"], HIDDEN):
        assert wire_values(decode_body(msgpack.packb(values), Hello)) == values


@pytest.mark.parametrize(
    "name",
    [
        "@",
        HIDDEN[:-1],
        HIDDEN + "0",
        HIDDEN.upper(),
        HIDDEN.replace("f", "g"),
        HIDDEN[1:],
        "@" + HIDDEN,
        HIDDEN[:-1] + "\uff11",
        HIDDEN + ":1",
    ],
)
def test_what_only_looks_like_the_name_of_a_hidden_peer_is_malformed(name: str) -> None:
    refuse(data("origin", name))
    accept(data("origin", HIDDEN))


@pytest.mark.parametrize(
    "lodging",
    [[], [PLACE], [PLACE, A, 0], 7, b"", "x", [A, PLACE], [PLACE, HIDDEN], [PLACE, "x"], [bytes(1), A], {}],
    ids=repr,
)
def test_a_lodging_is_a_place_and_an_address_or_nothing(lodging: Any) -> None:
    if isinstance(lodging, list) and lodging[:1] in ([], [PLACE]) and lodging[1:2] in ([], [A]):
        decoded = decode(
            msgpack.packb(data("lodging", lodging))
        )  # missing fields are empty, later ones ignored
        assert isinstance(decoded, Data)
        assert decoded.lodging == Lodging(*lodging[:2])
    else:
        refuse(data("lodging", lodging))


def with_one_address_replaced(sample: msgspec.Struct, other: Any) -> Iterator[tuple[list[Any], str]]:
    """The values of a sample, once for each address in it, and the name of the field. Fields that may be empty stay, when
    ``other`` is."""
    values = wire_values(sample)
    skipped = len(values) - len(sample.__struct_fields__)
    for place, value in enumerate(values):
        name = sample.__struct_fields__[place - skipped] if place >= skipped else ""
        inner = getattr(sample, name) if name else None
        if isinstance(inner, msgspec.Struct):
            for replaced, within in with_one_address_replaced(inner, other):
                yield [*values[:place], replaced, *values[place + 1 :]], within
        elif isinstance(value, list):
            for entry in range(len(value)):
                yield (
                    [*values[:place], [*value[:entry], other, *value[entry + 1 :]], *values[place + 1 :]],
                    name,
                )
        elif (
            isinstance(value, str)
            and is_address(value)
            and (other != "" or (type(sample), name) not in OPTIONAL_ADDRESS)
        ):
            yield [*values[:place], other, *values[place + 1 :]], name


def test_each_size_limit_admits_its_value_and_refuses_one_more() -> None:
    borders = [
        (data("body", bytes(WIRE.max_sealed)), data("body", bytes(WIRE.max_sealed + 1))),
        (data("tag", bytes(8)), data("tag", bytes(7))),
        ([7, 0, bytes(WIRE.max_extra)], [7, 0, bytes(WIRE.max_extra + 1)]),
        ([*FOUND[:5], [A] * WIRE.max_list, *FOUND[6:]], [*FOUND[:5], [A] * (WIRE.max_list + 1), *FOUND[6:]]),
        ([*FOUND[:6], [A] * WIRE.max_path, 0], [*FOUND[:6], [A] * (WIRE.max_path + 1), 0]),
        ([*FOUND[:6], [A], 0], [*FOUND[:6], [], 0]),
        ([*FOUND[:6], [A, A], 1], [*FOUND[:6], [A, A], 2]),
        ([1, 0, b"", 7, PLACE, [A], 0], [1, 0, b"", 7, PLACE, [], 0]),
        (data("hops", WIRE.max_path), data("hops", WIRE.max_path + 1)),
        (data("lodging", [PLACE, A]), data("lodging", [bytes(31), A])),
        (data("lodging", [b"", ""]), data("lodging", [bytes(33), ""])),
        ([57, 7, bytes(192), [A], PLACE], [57, 7, bytes(193), [A], PLACE]),
        ([58, 7, "full", [A] * WIRE.max_list], [58, 7, "full", [A] * (WIRE.max_list + 1)]),
        ([3, 0, b"", 1, "r" * WIRE.max_text, [A], 0], [3, 0, b"", 1, "r" * (WIRE.max_text + 1), [A], 0]),
    ]
    for legal, illegal in borders:
        accept(legal)
        refuse(illegal)
    for size in (0, 31, 33):
        refuse(data("target", bytes(size)))


def test_a_body_of_before_there_were_services_is_for_the_application() -> None:
    old = [5, 9, 7, 1, b"x", 0, 1, None, []]
    assert decode_sealed(msgpack.packb(old), DataBody).service == Service.APPLICATION
    assert decode_sealed(msgpack.packb([*old, 200]), DataBody).service == 200
    with pytest.raises(MalformedMessage):
        decode_sealed(msgpack.packb([*old, 256]), DataBody)


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


def data(name: str, value: Any) -> list[Any]:
    """A Data with another value in one field."""
    where = 1 + Data.__struct_fields__.index(name)
    return [*DATA[:where], value, *DATA[where + 1 :]]


def accept(values: list[Any]) -> None:
    assert wire_values(decode(msgpack.packb(values))) == values


def refuse(values: Any) -> None:
    with pytest.raises(MalformedMessage):
        decode(msgpack.packb(values))


def refuse_body(values: list[Any], kind: Any) -> None:
    with pytest.raises(MalformedMessage):
        decode_body(msgpack.packb(values), kind)
