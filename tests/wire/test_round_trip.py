"""What is encoded is decoded, whoever reads it."""

from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import given

from cicada.ids import hidden_address
from cicada.limits import KEYS, LODGING, WIRE
from cicada.wire import fields
from cicada.wire.codec import HandshakeBody, Message, decode, encode
from cicada.wire.frames import HEADER
from cicada.wire.routed import Lodging
from cicada.wire.sealed import SealedBody
from tests.wire.catalogue import (
    BODIES,
    BODY_SAMPLES,
    MESSAGE_SAMPLES,
    MESSAGES,
    any_body,
    any_message,
    read_body,
    tag_of,
    wire_values,
)


@given(any_message)
def test_any_legal_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message)) == message


@given(any_body)
def test_any_legal_body_survives_the_wire(body: HandshakeBody | SealedBody) -> None:
    assert read_body(encode(body), type(body)) == body


@given(any_message)
def test_a_plain_msgpack_reader_finds_the_tag_and_the_fields_in_order(message: Message) -> None:
    assert read_plainly(encode(message)) == wire_values(message)


@given(any_message)
def test_a_plain_msgpack_writer_is_understood(message: Message) -> None:
    assert decode(msgpack.packb(wire_values(message))) == message


def test_every_class_has_a_sample_and_every_tag_is_used_once() -> None:
    assert {type(sample) for sample in MESSAGE_SAMPLES.values()} == set(MESSAGES)
    assert {type(sample) for sample in BODY_SAMPLES.values()} == set(BODIES)
    tags = [tag_of(kind) for kind in MESSAGES]
    assert None not in tags
    assert len(set(tags)) == len(tags)


def test_the_largest_message_of_each_class_fits_in_a_frame_with_room_for_a_seal() -> None:
    address = "[" + ":".join(["ffff"] * 8) + "]:65535"
    largest: dict[type, Any] = {
        str: address,
        Lodging: Lodging(to=bytes(32), home=address),
        int: WIRE.max_path - 1,
        bool: True,
    }
    room_for_ack_and_seal = 64
    for sample in MESSAGE_SAMPLES.values():
        values = {
            name: fill(name, value, largest)
            for name, value in zip(sample.__struct_fields__, sample_values(sample), strict=True)
        }
        raw = encode(type(sample)(**values))
        assert decode(raw) == type(sample)(**values)
        assert len(raw) + HEADER.size + room_for_ack_and_seal <= WIRE.max_frame


def sample_values(sample: Message) -> list[Any]:
    return [getattr(sample, name) for name in sample.__struct_fields__]


def fill(name: str, value: Any, largest: dict[type, Any]) -> Any:
    """The largest legal value of a field."""
    if name == "way":
        return bytes(fields.WAY_BYTES - 2) + b"\x02\x01"
    if name == "lodging":
        return largest[Lodging]
    if name == "origin":
        return hidden_address("f" * 64)
    if isinstance(value, bytes):
        return bytes(
            {
                "payload": WIRE.max_payload,
                "extra": WIRE.max_extra,
                "record": KEYS.record_bytes,
                "voucher": LODGING.voucher_bytes,
                "body": WIRE.max_sealed,
            }.get(name, len(value))
        )
    if isinstance(value, tuple) and value and isinstance(value[0], bytes):
        return (value[0],) * WIRE.max_digest
    if isinstance(value, tuple):
        return (largest[str],) * WIRE.max_list
    if name == "reason":
        return "é" * WIRE.max_text
    return largest[type(value)]


def read_plainly(raw: bytes) -> Any:
    return msgpack.unpackb(raw)
