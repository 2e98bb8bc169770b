"""What peers say about exported actors: every message survives the wire, and bytes of strangers are a message or malformed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import MalformedMessage
from cicada.limits import ACTORS, WIRE
from cicada.wire.actors import (
    ENVELOPE,
    ActorEnded,
    ActorFailed,
    ActorReplied,
    ActorRequest,
    ActorResponse,
    ActorTook,
    AskActor,
    TellActor,
    WatchActor,
    decode_actor,
    encode_actor,
)
from cicada.wire.fields import MAX_NUMBER

NUMBERS = st.integers(0, MAX_NUMBER)
NAMES = st.text(min_size=1, max_size=ACTORS.max_name)
BODIES = st.binary(max_size=100)
REASONS = st.text(max_size=ACTORS.max_reason)
KINDS = st.sampled_from(["refused", "malformed", "full", "ended", "failed"])
MESSAGES: st.SearchStrategy[ActorRequest | ActorResponse] = st.one_of(
    st.builds(TellActor, NUMBERS, NAMES, BODIES),
    st.builds(AskActor, NUMBERS, NAMES, BODIES, st.integers(1, ACTORS.longest_ask_ms)),
    st.builds(WatchActor, NUMBERS, NAMES),
    st.builds(ActorTook, NUMBERS, NUMBERS),
    st.builds(ActorReplied, NUMBERS, BODIES),
    st.builds(ActorFailed, NUMBERS, KINDS, REASONS),
    st.builds(ActorEnded, NUMBERS, st.booleans(), REASONS),
)


@given(MESSAGES)
def test_every_message_survives_the_wire(message: ActorRequest | ActorResponse) -> None:
    assert decode_actor(encode_actor(message)) == message


@given(st.one_of(st.binary(max_size=60), MESSAGES.map(encode_actor).flatmap(lambda raw: st.just(raw[:-1]))))
def test_other_bytes_are_malformed_and_nothing_else(raw: bytes) -> None:
    with suppress(MalformedMessage):
        assert encode_actor(decode_actor(raw))


def test_the_longest_body_fits_into_a_message_and_one_byte_more_is_malformed() -> None:
    body = bytes(WIRE.max_message - ENVELOPE)
    longest = AskActor(MAX_NUMBER, "\U0001f980" * ACTORS.max_name, body, ACTORS.longest_ask_ms)
    raw = encode_actor(longest)
    assert len(raw) <= WIRE.max_message
    assert decode_actor(raw) == longest
    with pytest.raises(MalformedMessage):
        decode_actor(encode_actor(ActorReplied(1, body + b"x")))


def test_a_name_that_is_none_and_a_time_out_that_is_none_are_malformed() -> None:
    for message in (
        WatchActor(1, ""),
        AskActor(1, "a", b"", 0),
        WatchActor(-1, "a"),
        WatchActor(1, "a" * 65),
    ):
        with pytest.raises(MalformedMessage):
            decode_actor(encode_actor(message))
