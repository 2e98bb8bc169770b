"""The bytes of every message, body and frame are fixed. ``pytest --rewrite tests/wire`` writes the files anew."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Final

import msgpack
import pytest

from cicada.wire.codec import decode, encode
from cicada.wire.frames import LINK_ACK, FrameType, decode_frame, encode_frame
from tests.wire.catalogue import (
    BODIES,
    BODY_SAMPLES,
    MESSAGE_SAMPLES,
    MESSAGES,
    read_body,
    tag_of,
    wire_values,
)

FOLDER: Final = Path(__file__).parent.parent / "vectors"
FRAME_SAMPLES: Final[dict[str, tuple[FrameType, int, int, bytes]]] = {
    "hello": (FrameType.HELLO, 0, 0, encode(BODY_SAMPLES["hello"])),
    "hello in clear": (FrameType.HELLO, 0, 0, encode(BODY_SAMPLES["hello in clear"])),
    "welcome": (FrameType.WELCOME, 0xFFFFFFFF, 0, encode(BODY_SAMPLES["welcome"])),
    "refused": (FrameType.REFUSED, 1, 0, encode(BODY_SAMPLES["refusal"])),
    "data with an ack": (
        FrameType.DATA,
        0x01020304,
        1,
        LINK_ACK.pack(7, 49_000) + encode(MESSAGE_SAMPLES["data"]),
    ),
    "data without an ack": (
        FrameType.DATA,
        2,
        1 << 40,
        LINK_ACK.pack(0, 0) + encode(MESSAGE_SAMPLES["notify"]),
    ),
    "ack": (FrameType.ACK, 2, 3, LINK_ACK.pack(1 << 33, 0)),
    "ping": (FrameType.PING, 2, 4, LINK_ACK.pack(0, 0)),
    "prove": (FrameType.PROVE, 2, 1 << 63, bytes(range(16))),
    "proven": (FrameType.PROVEN, 2, (1 << 63) + 1, bytes(range(16))),
    "close": (FrameType.CLOSE, 2, (1 << 63) - 1, LINK_ACK.pack(9, 1)),
    "unknown": (FrameType.UNKNOWN, 0xDEADBEEF, 0, b""),
    "finish": (FrameType.FINISH, 7, 0, bytes(range(64))),
    "rekey": (FrameType.REKEY, 2, 5, LINK_ACK.pack(0, 0)),
}


def described(values: list[Any]) -> list[Any]:
    """Values as JSON can hold them: bytes as ``{"hex": ...}``."""
    return [described_one(value) for value in values]


def described_one(value: Any) -> Any:
    if isinstance(value, list):
        return described(value)
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def message_vectors() -> dict[str, Any]:
    return {
        name: {
            "class": type(sample).__name__,
            "tag": tag_of(type(sample)),
            "fields": dict(zip(sample.__struct_fields__, described(field_values(sample)), strict=True)),
            "bytes": encode(sample).hex(),
        }
        for name, sample in (*MESSAGE_SAMPLES.items(), *BODY_SAMPLES.items())
    }


def frame_vectors() -> dict[str, Any]:
    return {
        name: {
            "type": kind.name,
            "index": index,
            "counter": counter,
            "body": body.hex(),
            "bytes": encode_frame(kind, index, counter, body).hex(),
        }
        for name, (kind, index, counter, body) in FRAME_SAMPLES.items()
    }


def field_values(sample: Any) -> list[Any]:
    values = wire_values(sample)
    return values if tag_of(type(sample)) is None else values[1:]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return found


def stored(name: str) -> list[Any]:
    """The vectors of a file as test parameters; none while the file is not there."""
    path = FOLDER / name
    return [pytest.param(value, id=key) for key, value in read(name).items()] if path.exists() else []


@pytest.mark.parametrize(
    ("name", "vectors"), [("messages.json", message_vectors), ("frames.json", frame_vectors)]
)
def test_the_stored_vectors_are_what_the_code_writes(name: str, vectors: Any, rewrite: bool) -> None:
    if rewrite:
        (FOLDER / name).write_text(json.dumps(vectors(), indent=1) + "\n")
    assert read(name) == vectors()


def test_the_vectors_cover_every_class_and_every_frame_type() -> None:
    assert {kind.__name__ for kind in (*MESSAGES, *BODIES)} == {
        one["class"] for one in read("messages.json").values()
    }
    assert {kind.name for kind in FrameType} == {one["type"] for one in read("frames.json").values()}


@pytest.mark.parametrize("vector", stored("messages.json"))
def test_a_stored_message_decodes_to_its_fields_and_encodes_to_its_bytes(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["bytes"])
    bodies = {kind.__name__: kind for kind in BODIES}
    message: Any = read_body(raw, bodies[vector["class"]]) if vector["tag"] is None else decode(raw)
    assert type(message).__name__ == vector["class"]
    found = dict(zip(message.__struct_fields__, described(field_values(message)), strict=True))
    assert found == vector["fields"]
    assert encode(message) == raw


@pytest.mark.parametrize("vector", stored("messages.json"))
def test_plain_msgpack_reads_a_stored_message(vector: dict[str, Any]) -> None:
    head = [] if vector["tag"] is None else [vector["tag"]]
    assert described(msgpack.unpackb(bytes.fromhex(vector["bytes"]))) == [*head, *vector["fields"].values()]


@pytest.mark.parametrize("vector", stored("frames.json"))
def test_a_stored_frame_is_its_header_and_body_big_endian_after_its_length(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["bytes"])
    kind = FrameType[vector["type"]]
    length, number, index, counter = struct.unpack_from(">IBIQ", raw)
    assert (length, number, index, counter) == (len(raw) - 4, kind, vector["index"], vector["counter"])
    frame = decode_frame(raw[4:])
    assert (frame.type, frame.index, frame.counter) == (kind, index, counter)
    assert frame.header == raw[4:17]
    assert frame.body.hex() == vector["body"] == raw[17:].hex()
