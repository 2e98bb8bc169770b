"""Messages of channels: there and back, and whatever a stranger sends."""

from __future__ import annotations

import random
from typing import get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import MalformedMessage
from cicada.limits import CHANNEL, KEYS, WIRE
from cicada.wire.channels import (
    Attach,
    Attached,
    ChannelMessage,
    Compare,
    Detach,
    Post,
    Redirected,
    Span,
    Want,
    decode_channel,
    encode_channel,
)

A, B = "127.0.0.1:7001", "@" + "ab" * 32
SPANS = (Span(b"l" * 16, 1, 9), Span(b"m" * 16, 4, 4))
SAMPLES: tuple[ChannelMessage, ...] = (
    Attach(channel="#a", is_root=True, attempt=2, count=3, members=(A, B), spans=SPANS),
    Attach(channel="#a", is_root=False, attempt=0, count=0, members=None, spans=()),
    Attached(channel="#a", path=(A,), count=3, members=(B,), is_new=True, is_more=False),
    Redirected(channel="#ä", to=(A, B)),
    Detach(channel="#a"),
    Post(
        channel="#a",
        origin=B,
        boot=1,
        number=2,
        expires_ms=3,
        quiet_ms=5,
        payload=b"p",
        record=b"r",
        signature=b"s" * 64,
        age_ms=4,
    ),
    Compare(channel="#a", spans=SPANS),
    Want(channel="#a", spans=SPANS),
)


@pytest.mark.parametrize("message", SAMPLES)
def test_what_was_encoded_comes_back(message: ChannelMessage) -> None:
    assert decode_channel(encode_channel(message)) == message


def test_every_class_has_a_sample() -> None:
    assert {type(message) for message in SAMPLES} == set(get_args(ChannelMessage))


def test_the_longest_messages_fit_into_one_frame() -> None:
    names = ("@" + "ff" * 32,) * CHANNEL.names
    spans = tuple(Span(bytes([n]) * 16, 1 << 52, 1 << 52) for n in range(CHANNEL.spans))
    name = "\U0001f600" * CHANNEL.name
    attach = Attach(channel=name, is_root=True, attempt=1, count=CHANNEL.members, members=names, spans=spans)
    post = Post(
        channel=name,
        origin=B,
        boot=1 << 62,
        number=1 << 52,
        expires_ms=1 << 62,
        quiet_ms=1 << 62,
        payload=bytes(CHANNEL.payload),
        record=bytes(KEYS.record_bytes),
        signature=bytes(64),
        age_ms=1 << 62,
    )
    for message in (attach, post):
        assert len(encode_channel(message)) <= WIRE.max_payload
        assert decode_channel(encode_channel(message)) == message


@pytest.mark.parametrize(
    "name", ["", "#a b", "#a\n", "#a\x00", "#\u202e", "#a\u0308", "x" * (CHANNEL.name + 1)]
)
def test_a_name_that_looks_like_another_or_like_nothing_is_refused(name: str) -> None:
    raw = msgpack.packb([4, name])
    with pytest.raises(MalformedMessage):
        decode_channel(raw)


@pytest.mark.parametrize(
    "body",
    [
        [1, "#a", True, 0, 1, ["nobody"], []],
        [1, "#a", True, 0, -1, None, []],
        [2, "#a", [A] * (CHANNEL.depth + 1), 1, None, False, False],
        [3, "#a", ["[::1]:0"]],
        [5, "#a", "x", 1, 1, 1, 1, b"", b"", b"", 0],
        [5, "#a", A, 1, 0, 1, 1, b"", b"", b"", 0],
        [7, "#a", [[b"l" * 16, 5, 4]]],
        [7, "#a", [[b"l" * 15, 1, 4]]],
        [9, "#a"],
    ],
)
def test_values_that_mean_nothing_are_refused(body: list[object]) -> None:
    with pytest.raises(MalformedMessage):
        decode_channel(msgpack.packb(body))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(raw: bytes) -> None:
    try:
        message = decode_channel(raw)
    except MalformedMessage:
        return
    assert decode_channel(encode_channel(message)) == message


def test_changed_messages_are_messages_or_malformed() -> None:
    rng = random.Random(7)
    understood = 0
    for _ in range(4000):
        raw = bytearray(encode_channel(rng.choice(SAMPLES)))
        for _ in range(rng.randint(1, 3)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            message = decode_channel(bytes(raw))
        except MalformedMessage:
            continue
        understood += 1
        assert decode_channel(encode_channel(message)) == message
    assert 0 < understood < 4000


def test_what_is_too_long_is_not_even_read() -> None:
    with pytest.raises(MalformedMessage, match="message-size"):
        decode_channel(bytes(WIRE.max_payload + 1))
