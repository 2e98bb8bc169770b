"""Every decoder of the wire is total in the same way, whatever msgspec raises."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack
import msgspec
import pytest

from cicada.errors import MalformedMessage
from cicada.limits import NAMES, WIRE
from cicada.wire.actors import decode_actor
from cicada.wire.channels import LONGEST_CHANNEL_MESSAGE, decode_channel
from cicada.wire.codec import decode, decode_body
from cicada.wire.decoding import total
from cicada.wire.frames import Hello, Refusal, Welcome
from cicada.wire.names import decode_name_message
from cicada.wire.sealed import AckBody, DataBody, SessionAnswer, SessionOpening, decode_sealed
from cicada.wire.services import Reply, Request, decode_service

SEALED: tuple[type[Any], ...] = (DataBody, AckBody, SessionOpening, SessionAnswer)
SERVICES: tuple[type[Any], ...] = (Request, Reply)
DECODERS: list[Any] = [
    pytest.param(decode, WIRE.max_frame, id="messages"),
    *(
        pytest.param(partial(decode_body, kind=kind), WIRE.max_frame, id=kind.__name__)
        for kind in (Hello, Welcome, Refusal)
    ),
    *(pytest.param(partial(decode_sealed, kind=kind), WIRE.max_sealed, id=kind.__name__) for kind in SEALED),
    *(
        pytest.param(partial(decode_service, kind=kind), WIRE.max_message, id=kind.__name__)
        for kind in SERVICES
    ),
    pytest.param(decode_name_message, NAMES.message_bytes, id="names"),
    pytest.param(decode_channel, LONGEST_CHANNEL_MESSAGE, id="channels"),
    pytest.param(decode_actor, WIRE.max_message, id="actors"),
]
DEEP = b"\x91" * 5000


class Word(msgspec.Struct, array_like=True):
    """What a message may hold: a text, and with it anything."""

    text: str
    rest: object = None

    def __post_init__(self) -> None:
        if self.text == "never":
            raise ValueError("a word that is never said")


read_word = total(msgspec.msgpack.Decoder(Word).decode, 10_000, "word")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x91\xa2\xff\xfe", "utf-8"),
        (b"\x92\xa1x" + DEEP, "recursion"),
        (msgpack.packb(["never"]), "never said"),
        (msgpack.packb([7]), "str"),
        (b"", "truncated"),
        (bytes(10_001), "message-size"),
    ],
    ids=["no UTF-8", "nested too deeply", "refused by the message", "another type", "nothing", "too long"],
)
def test_bytes_that_are_something_else_are_malformed_whatever_msgspec_raises(raw: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=rf"(?i){reason}"):
        read_word(raw)


def test_what_is_right_comes_back_and_as_much_as_is_allowed_is_read() -> None:
    longest = msgpack.packb(["x" * 9_996])
    assert len(longest) == 10_000
    assert read_word(longest) == Word("x" * 9_996)


def test_the_reason_quotes_little_of_what_a_stranger_wrote() -> None:
    with pytest.raises(MalformedMessage) as caught:
        total(refuse_at_length, 10, "word")(b"")
    assert caught.value.reason == "word: " + "x" * 200


def refuse_at_length(raw: bytes) -> str:
    raise ValueError("x" * 10_000)


@pytest.mark.parametrize(("decoder", "longest"), DECODERS)
def test_every_decoder_refuses_what_is_too_long_without_reading_it_and_what_is_nested(
    decoder: Callable[[bytes], object], longest: int
) -> None:
    with pytest.raises(MalformedMessage, match=r"^message-size$"):
        decoder(bytes(longest + 1))
    for raw in (b"", DEEP[:longest], b"\x93\x05\x05\xa2\xff\xfe"):
        with pytest.raises(MalformedMessage):
            decoder(raw)
