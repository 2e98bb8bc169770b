"""Whatever an attacker does to a handshake is refused, changes nothing, and the honest message is accepted afterwards."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterable
from typing import Final

import pytest

from cicada.errors import PeerFault
from cicada.keys.aead import shared_secret
from cicada.keys.noise import MAX_MESSAGE, Handshake, KeyPair, pattern_of
from tests.keys.parties import (
    MESSAGES,
    PSKS,
    STATICS,
    USED,
    about_to_read,
    both,
    is_first_open,
    key,
    messages_between,
    payload_of,
    secret,
    side,
    state_of,
)

AUTHENTICATED: Final = [(name, number) for name, number in MESSAGES if not is_first_open(name, number)]

P: Final = 2**255 - 19
ORDER_8: Final = (
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
)
LOW_ORDER: Final = [
    (number | top << 255).to_bytes(32, "little")
    for number in (0, 1, P - 1, P, P + 1, *(int.from_bytes(point, "little") for point in ORDER_8))
    for top in (0, 1)
]
"""All encodings of the points of order 1, 2, 4 and 8 on the curve and its twist: canonical, above the prime, and with the
top bit, which X25519 ignores."""


def refuse_each(reader: Handshake, forged: Iterable[bytes], honest: bytes, payload: bytes) -> int:
    """How many were refused: all, none changed anything, and the honest message is still good."""
    count = 0
    for message in forged:
        before = state_of(reader)
        with pytest.raises(PeerFault):
            reader.read(message)
        assert state_of(reader) == before
        count += 1
    assert reader.read(honest) == payload
    return count


@pytest.mark.parametrize(("pattern", "number"), MESSAGES)
def test_a_byte_changed_anywhere_is_refused(pattern: str, number: int) -> None:
    writer, reader = about_to_read(pattern, number)
    honest = writer.write(payload_of(number))
    forged = [changed(honest, at, flip) for at in range(len(honest)) for flip in (0x01, 0x80)]
    if not is_first_open(pattern, number):
        assert refuse_each(reader, forged, honest, payload_of(number)) == 2 * len(honest)
        return
    for message in forged:
        deceived = side(pattern, initiator=False)
        deceived.read(message)
        answer = deceived.write(payload_of(1))
        with pytest.raises(PeerFault, match="seal"):
            writer.read(answer)
    honest_side = side(pattern, initiator=False)
    honest_side.read(honest)
    assert writer.read(honest_side.write(payload_of(1))) == payload_of(1)


def changed(message: bytes, at: int, flip: int) -> bytes:
    return message[:at] + bytes([message[at] ^ flip]) + message[at + 1 :]


@pytest.mark.parametrize(("pattern", "number"), MESSAGES)
def test_a_message_cut_off_anywhere_is_refused(pattern: str, number: int) -> None:
    writer, reader = about_to_read(pattern, number)
    honest = writer.write(payload_of(number))
    # The first payload of XX is plain text; what is cut off it is missed by the hash of the next message.
    ends = 32 if is_first_open(pattern, number) else len(honest)
    assert refuse_each(reader, (honest[:end] for end in range(ends)), honest, payload_of(number)) == ends


@pytest.mark.parametrize(("pattern", "number"), AUTHENTICATED)
def test_a_message_with_something_appended_is_refused(pattern: str, number: int) -> None:
    writer, reader = about_to_read(pattern, number)
    honest = writer.write(payload_of(number))
    assert refuse_each(reader, [honest + b"\0", honest + honest], honest, payload_of(number)) == 2


@pytest.mark.parametrize(("pattern", "number"), MESSAGES)
def test_a_message_longer_than_noise_allows_is_refused(pattern: str, number: int) -> None:
    writer, reader = about_to_read(pattern, number)
    honest = writer.write(payload_of(number))
    refuse_each(reader, [honest + bytes(MAX_MESSAGE + 1 - len(honest))], honest, payload_of(number))


@pytest.mark.parametrize(("pattern", "number"), [(name, number) for name, number in MESSAGES if number])
def test_a_message_of_another_handshake_between_the_same_two_is_refused(pattern: str, number: int) -> None:
    other_writer, _ = about_to_read(pattern, number, run="another")
    writer, reader = about_to_read(pattern, number)
    spliced = other_writer.write(payload_of(number))
    refuse_each(reader, [spliced], writer.write(payload_of(number)), payload_of(number))


@pytest.mark.parametrize("pattern", USED)
def test_an_answer_to_a_first_message_that_was_exchanged_on_the_way_is_refused(pattern: str) -> None:
    first, second = both(pattern)
    foreign = side(pattern, initiator=True, run="another").write(payload_of(0))
    first.write(payload_of(0))
    second.read(foreign)
    before = state_of(first)
    with pytest.raises(PeerFault, match="seal"):
        first.read(second.write(payload_of(1)))
    assert state_of(first) == before


@pytest.mark.parametrize(("pattern", "number"), AUTHENTICATED)
def test_a_message_at_another_place_in_the_order_is_refused(pattern: str, number: int) -> None:
    whole = messages_between(*both(pattern))
    _, reader = about_to_read(pattern, number)
    others = [message for at, message in enumerate(whole) if at != number]
    assert refuse_each(reader, others, whole[number], payload_of(number)) == len(whole) - 1


@pytest.mark.parametrize(("pattern", "number"), [(name, number) for name, number in MESSAGES if number])
def test_a_message_sent_back_to_its_writer_is_refused(pattern: str, number: int) -> None:
    whole = messages_between(*both(pattern))
    _, reader = about_to_read(pattern, number)
    refuse_each(reader, [whole[number - 1]], whole[number], payload_of(number))


@pytest.mark.parametrize("pattern", USED)
def test_another_prologue_is_refused(pattern: str) -> None:
    first = side(pattern, initiator=True, prologue=b"link")
    second = side(pattern, initiator=False, prologue=b"session")
    with pytest.raises(PeerFault, match="seal"):
        messages_between(first, second)


@pytest.mark.parametrize("liar", [True, False], ids=["initiator's", "responder's"])
@pytest.mark.parametrize(
    ("pattern", "which", "refused_at"),
    [
        ("XXpsk0", 0, 0),
        ("XXpsk0+psk3", 0, 0),
        ("IKpsk0", 0, 0),
        ("IKpsk0+psk2", 0, 0),
        ("XXpsk0+psk3", 1, 2),
        ("IKpsk0+psk2", 1, 1),
    ],
)
def test_a_wrong_pre_shared_key_is_refused_at_the_first_message_that_it_protects(
    pattern: str, which: int, refused_at: int, liar: bool
) -> None:
    wrong = tuple(secret("wrong") if at == which else psk for at, psk in enumerate(PSKS))
    psks = {True: wrong[: pattern.count("psk")], False: None}
    sides = [side(pattern, initiator=who, psks=psks[who == liar]) for who in (True, False)]
    for number in range(refused_at):
        assert sides[1 - number % 2].read(sides[number % 2].write()) == b""
    message, reader = sides[refused_at % 2].write(), sides[1 - refused_at % 2]
    before = state_of(reader)
    with pytest.raises(PeerFault, match="seal"):
        reader.read(message)
    assert state_of(reader) == before


@pytest.mark.parametrize("pattern", ["XXpsk0+psk3", "IKpsk0+psk2"])
def test_pre_shared_keys_in_the_other_order_are_refused(pattern: str) -> None:
    first = side(pattern, initiator=True, psks=(PSKS[1], PSKS[0]))
    with pytest.raises(PeerFault, match="seal"):
        messages_between(first, side(pattern, initiator=False))


@pytest.mark.parametrize(
    ("ours", "theirs"), [("XX", "XXpsk0"), ("IK", "IKpsk0"), ("XXpsk0", "XXpsk0+psk3"), ("XX", "IK")]
)
def test_sides_that_follow_different_patterns_do_not_agree(ours: str, theirs: str) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        first, second = side(one, initiator=True), side(other, initiator=False)
        with pytest.raises(PeerFault):
            exchange_two(first, second)


def exchange_two(first: Handshake, second: Handshake) -> None:
    """A responder of XX takes any first message that is long enough: what authenticates it comes second."""
    second.read(first.write())
    first.read(second.write())


@pytest.mark.parametrize("pattern", [name for name in USED if name.startswith("IK")])
def test_a_message_for_another_static_key_is_refused(pattern: str) -> None:
    first = side(pattern, initiator=True, remote=key("somebody else").public)
    second = side(pattern, initiator=False)
    honest = side(pattern, initiator=True).write(payload_of(0))
    refuse_each(second, [first.write(payload_of(0))], honest, payload_of(0))


@pytest.mark.parametrize(
    ("pattern", "initiator", "refused_at"),
    [(name, True, len(pattern_of(name).tokens) - 1 if name.startswith("XX") else 0) for name in USED]
    + [(name, False, 1) for name in USED],
)
def test_whoever_shows_a_static_key_without_having_its_private_half_is_refused(
    pattern: str, initiator: bool, refused_at: int
) -> None:
    impostor = KeyPair(secret("not the private half"), STATICS[initiator].public)
    sides = [
        side(pattern, initiator=who, static=impostor if who == initiator else None) for who in (True, False)
    ]
    if pattern.startswith("IK") and not initiator:
        with pytest.raises(PeerFault, match="seal"):
            sides[1].read(sides[0].write())
        return
    messages_between(sides[0], sides[1], until=refused_at)
    message = sides[refused_at % 2].write()
    with pytest.raises(PeerFault, match="seal"):
        sides[1 - refused_at % 2].read(message)


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_with_a_point_of_low_order_there_is_no_shared_secret(point: bytes) -> None:
    with pytest.raises(PeerFault, match="low-order-point"):
        shared_secret(secret("any"), point)


@pytest.mark.parametrize("size", [0, 1, 31, 33])
def test_with_a_key_of_another_length_there_is_no_shared_secret(size: int) -> None:
    with pytest.raises(PeerFault, match="key-size"):
        shared_secret(secret("any"), bytes(size))


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
@pytest.mark.parametrize("initiator", [True, False], ids=["initiator's", "responder's"])
@pytest.mark.parametrize("pattern", USED)
def test_an_ephemeral_key_of_low_order_is_refused(pattern: str, initiator: bool, point: bytes) -> None:
    weak = KeyPair(secret("weak"), point)
    first, second = (
        side(pattern, initiator=who, ephemeral=weak if who == initiator else None) for who in (True, False)
    )
    message = first.write()
    if not initiator:
        second.read(message)
        message = second.write()
        refused_and_unchanged(first, "read", message)
    elif pattern.startswith("IK"):
        refused_and_unchanged(second, "read", message)
    else:
        second.read(message)
        refused_and_unchanged(second, "write", b"")


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
@pytest.mark.parametrize("initiator", [True, False], ids=["initiator's", "responder's"])
@pytest.mark.parametrize("pattern", USED)
def test_a_static_key_of_low_order_is_refused(pattern: str, initiator: bool, point: bytes) -> None:
    weak = KeyPair(secret("weak"), point)
    if pattern.startswith("IK") and not initiator:
        refused_and_unchanged(side(pattern, initiator=True, remote=point), "write", b"")
        return
    sides = [side(pattern, initiator=who, static=weak if who == initiator else None) for who in (True, False)]
    number = 1 if not initiator else 2 if pattern.startswith("XX") else 0
    messages_between(sides[0], sides[1], until=number)
    refused_and_unchanged(sides[1 - number % 2], "read", sides[number % 2].write())


def refused_and_unchanged(handshake: Handshake, verb: str, data: bytes) -> None:
    before = state_of(handshake)
    for _ in range(2):
        with pytest.raises(PeerFault, match="low-order-point"):
            getattr(handshake, verb)(data)
        assert state_of(handshake) == before


@pytest.mark.parametrize("pattern", USED)
def test_a_handshake_is_neither_copied_nor_pickled(pattern: str) -> None:
    first, _ = both(pattern)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            attempt(first)


def test_no_key_shows_in_what_is_printed_of_a_handshake() -> None:
    first, second = both("XXpsk0+psk3")
    messages_between(first, second)
    printed = "".join(map(repr, (first, second, STATICS[True], pattern_of("XXpsk0+psk3"))))
    hidden = [*PSKS, STATICS[True].private, *first.split(), first.derive(b"x")]
    assert [one for one in hidden if one.hex() in printed or repr(one)[2:-1] in printed] == []
    assert STATICS[True].public.hex() in printed
