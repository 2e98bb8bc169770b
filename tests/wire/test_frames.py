"""Frames: the header of a link, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import MalformedMessage
from cicada.limits import WIRE
from cicada.wire.fields import MAX_INDEX
from cicada.wire.frames import HEADER, LENGTH, FrameType, decode_frame, encode_frame, header_of
from cicada.wire.security import PlainCipher


@given(
    st.sampled_from(FrameType),
    st.integers(0, MAX_INDEX),
    st.integers(0, (1 << 64) - 1),
    st.binary(max_size=400),
)
def test_a_frame_survives_the_wire_behind_its_length(
    kind: FrameType, index: int, counter: int, body: bytes
) -> None:
    raw = encode_frame(kind, index, counter, body)
    assert LENGTH.unpack_from(raw) == (len(raw) - LENGTH.size,)
    frame = decode_frame(raw[LENGTH.size :])
    assert (frame.type, frame.index, frame.counter, frame.body) == (kind, index, counter, body)
    assert frame.header == header_of(kind, index, counter)


@pytest.mark.parametrize("kind", [number for number in range(256) if number not in set(FrameType)])
def test_an_unknown_frame_type_is_malformed(kind: int) -> None:
    with pytest.raises(MalformedMessage, match="frame-type"):
        decode_frame(bytes([kind]) + bytes(HEADER.size))


@pytest.mark.parametrize("size", [*range(HEADER.size), WIRE.max_frame + 1])
def test_a_frame_shorter_than_its_header_or_longer_than_the_limit_is_malformed(size: int) -> None:
    with pytest.raises(MalformedMessage, match="frame-size"):
        decode_frame(b"\x04" * size)


@pytest.mark.parametrize("size", [HEADER.size, WIRE.max_frame])
def test_frames_of_the_smallest_and_the_largest_size_are_read(size: int) -> None:
    assert len(decode_frame(b"\x04" * size).body) == size - HEADER.size


@pytest.mark.parametrize(("index", "counter"), [(0, 0), (1, 7), (MAX_INDEX, (1 << 64) - 1)])
def test_the_plain_cipher_changes_nothing(index: int, counter: int) -> None:
    cipher = PlainCipher()
    header = header_of(FrameType.DATA, index, counter)
    assert cipher.open(counter, header, cipher.seal(counter, header, b"body")) == b"body"
