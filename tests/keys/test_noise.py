"""The Noise handshakes do what the specification says: by its vectors, and against a program written by others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest
from noise.connection import Keypair, NoiseConnection

from cicada.errors import Misuse
from cicada.keys.aead import open_sealed, rekeyed, seal
from cicada.keys.noise import MAX_MESSAGE, Handshake, KeyPair, pattern_of
from tests.keys.parties import (
    PROLOGUE,
    PSKS,
    STATICS,
    USED,
    both,
    messages_between,
    payload_of,
    secret,
    side,
    terms_named,
)

SUITE: Final = "25519_ChaChaPoly_BLAKE2s"
SHARED: Final = Path(os.environ.get("CICADA_SHARED", Path(__file__).parents[2].parent / "shared"))
VECTORS_FILE: Final = SHARED / "vectors" / "noise_25519_chachapoly_blake2s.json"
VECTORS: Final = json.loads(VECTORS_FILE.read_text())["vectors"] if VECTORS_FILE.exists() else []


def named(vector: Any) -> str:
    return str(vector["protocol_name"].split("_")[1]) if vector else "absent"


def bytes_of(vector: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(vector.get(name, ""))


def side_of(vector: dict[str, Any], who: str) -> Handshake:
    static = bytes_of(vector, f"{who}_static")
    return Handshake(
        named(vector),
        initiator=who == "init",
        prologue=bytes_of(vector, f"{who}_prologue"),
        ephemeral=KeyPair.of(bytes_of(vector, f"{who}_ephemeral")),
        static=KeyPair.of(static) if static else None,
        remote_static=bytes_of(vector, f"{who}_remote_static"),
        psks=tuple(bytes.fromhex(psk) for psk in vector.get(f"{who}_psks", ())),
    )


@pytest.mark.skipif(not VECTORS, reason="the official vectors are not beside the repository (CICADA_SHARED)")
@pytest.mark.parametrize("vector", VECTORS or [None], ids=named)
def test_the_official_vectors_come_out_byte_for_byte(vector: dict[str, Any]) -> None:
    sides = side_of(vector, "init"), side_of(vector, "resp")
    for number, message in enumerate(vector["messages"]):
        writer, reader = sides[number % 2], sides[1 - number % 2]
        text, expected = bytes_of(message, "payload"), bytes_of(message, "ciphertext")
        if not writer.is_finished:
            assert writer.write(text) == expected
            assert reader.read(expected) == text
        else:
            nonce = (number - len(pattern_of(named(vector)).tokens)) // 2
            assert seal(writer.split()[0], nonce, b"", text) == expected
            assert open_sealed(reader.split()[1], nonce, b"", expected) == text
    assert sides[0].is_finished
    assert sides[0].hash == sides[1].hash == (bytes_of(vector, "handshake_hash") or sides[0].hash)


@pytest.mark.skipif(not VECTORS, reason="the official vectors are not beside the repository (CICADA_SHARED)")
def test_the_official_vectors_are_all_there() -> None:
    assert len(VECTORS) == 33
    assert sum("handshake_hash" in vector for vector in VECTORS) == 20
    assert {"XX", "IK", "IKpsk0+psk2", "XXpsk0+psk3"} < {named(vector) for vector in VECTORS}


# Against the package noiseprotocol, an implementation by others over another library.


def stranger(pattern: str, *, initiator: bool) -> NoiseConnection:
    """The other side, as noiseprotocol plays it."""
    connection = NoiseConnection.from_name(f"Noise_{pattern}_{SUITE}".encode())
    (connection.set_as_initiator if initiator else connection.set_as_responder)()
    connection.set_prologue(PROLOGUE)
    connection.set_keypair_from_private_bytes(Keypair.STATIC, STATICS[initiator].private)
    if initiator and pattern.startswith("IK"):
        connection.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, STATICS[False].public)
    if "psk" in pattern:
        connection.set_psks(psks=list(PSKS[: pattern.count("psk")]))
    connection.start_handshake()
    return connection


def handshaken(pattern: str, *, initiator: bool) -> tuple[Handshake, NoiseConnection]:
    """This side and the stranger after their handshake; ``initiator``: this side is."""
    ours, theirs = side(pattern, initiator=initiator), stranger(pattern, initiator=not initiator)
    for number in range(len(pattern_of(pattern).tokens)):
        if initiator == (number % 2 == 0):
            assert theirs.read_message(ours.write(payload_of(number))) == payload_of(number)
        else:
            assert ours.read(bytes(theirs.write_message(payload_of(number)))) == payload_of(number)
    return ours, theirs


@pytest.fixture(params=[True, False], ids=["as initiator", "as responder"])
def role(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("pattern", USED)
def test_a_handshake_with_another_implementation_ends_with_the_same_hash(pattern: str, role: bool) -> None:
    ours, theirs = handshaken(pattern, initiator=role)
    assert ours.is_finished
    assert ours.hash == theirs.get_handshake_hash()
    assert ours.remote_static == STATICS[not role].public


@pytest.mark.parametrize("pattern", USED)
def test_transport_messages_pass_between_the_implementations(pattern: str, role: bool) -> None:
    ours, theirs = handshaken(pattern, initiator=role)
    seal_key, open_key = ours.split()
    for nonce in range(5):
        text = secret(f"message {nonce}") * nonce
        assert theirs.decrypt(seal(seal_key, nonce, b"", text)) == text
        assert open_sealed(open_key, nonce, b"", theirs.encrypt(text)) == text


def test_both_implementations_rekey_alike(role: bool) -> None:
    ours, theirs = handshaken("XX", initiator=role)
    seal_key, open_key = ours.split()
    for nonce in range(3):
        theirs.rekey_inbound_cipher()
        theirs.rekey_outbound_cipher()
        seal_key, open_key = rekeyed(seal_key), rekeyed(open_key)
        assert theirs.decrypt(seal(seal_key, nonce, b"", b"after")) == b"after"
        assert open_sealed(open_key, nonce, b"", theirs.encrypt(b"after")) == b"after"


# What both sides have in the end.


@pytest.mark.parametrize("pattern", USED)
def test_both_sides_hold_mirrored_keys_that_differ_by_direction(pattern: str) -> None:
    first, second = both(pattern)
    messages_between(first, second)
    assert first.split() == tuple(reversed(second.split()))
    assert len({*first.split()}) == 2
    assert first.hash == second.hash


@pytest.mark.parametrize("pattern", USED)
def test_further_secrets_are_shared_and_differ_by_label_and_from_the_keys(pattern: str) -> None:
    first, second = both(pattern)
    messages_between(first, second)
    labels = (b"", b"proof", b"proof2")
    assert [first.derive(label) for label in labels] == [second.derive(label) for label in labels]
    assert len({*first.split(), *(first.derive(label) for label in labels)}) == 5


@pytest.mark.parametrize("pattern", USED)
def test_fresh_ephemeral_keys_change_every_secret(pattern: str) -> None:
    runs = [both(pattern, run) for run in ("one", "other")]
    for sides in runs:
        messages_between(*sides)
    secrets = [secret for first, _ in runs for secret in (*first.split(), first.derive(b"x"), first.hash)]
    assert len(set(secrets)) == 8


def test_each_terms_name_the_pattern_and_hand_over_its_secrets() -> None:
    for pattern in USED:
        terms = terms_named(pattern)
        assert terms.pattern(pattern[:2]) == pattern
        assert len(terms.psks) == pattern.count("psk")


# What the caller may not do.


NO_PATTERNS: Final = (
    "|X|ZZ|xx|XXfallback|XXpsk4|IKpsk3|XXpsk|XXpsk00|XXpsk01|XX0|XXpsk\u00b2|XXpsk0+|XX+psk0|XXpsk0+3|XXpsk0+psk0|"
    "XXpsk3+psk0|XXpsk-1|XXpsk0psk3"
)


@pytest.mark.parametrize("name", NO_PATTERNS.split("|"))
def test_a_name_that_is_no_pattern_is_misuse(name: str) -> None:
    with pytest.raises(Misuse):
        pattern_of(name)


@pytest.mark.parametrize("exchanged", range(4))
@pytest.mark.parametrize("pattern", ["XX", "IK"])
def test_speaking_out_of_turn_is_misuse(pattern: str, exchanged: int) -> None:
    sides = both(pattern)
    exchanged = len(messages_between(*sides, until=exchanged))
    for number, handshake in enumerate(sides):
        if handshake.is_finished or exchanged % 2 == number:
            with pytest.raises(Misuse, match="turn"):
                handshake.read(bytes(100))
        if handshake.is_finished or exchanged % 2 != number:
            with pytest.raises(Misuse, match="turn"):
                handshake.write()


def test_keys_are_not_given_before_the_end() -> None:
    first, second = both("XXpsk0+psk3")
    messages_between(first, second, until=2)
    for unfinished in (first, second):
        with pytest.raises(Misuse, match="not finished"):
            unfinished.split()
        with pytest.raises(Misuse, match="not finished"):
            unfinished.derive(b"proof")


@pytest.mark.parametrize("psks", [(), PSKS[:1], (*PSKS, PSKS[0]), (PSKS[0], b"short"), (PSKS[0], b"")])
def test_another_number_or_length_of_pre_shared_keys_is_misuse(psks: tuple[bytes, ...]) -> None:
    with pytest.raises(Misuse, match="pre-shared key"):
        side("XXpsk0+psk3", initiator=True, psks=psks)


@pytest.mark.parametrize("remote", [b"", bytes(31), bytes(33)])
def test_a_pattern_for_known_keys_needs_one(remote: bytes) -> None:
    with pytest.raises(Misuse, match="needs the 32 bytes"):
        side("IK", initiator=True, remote=remote)


@pytest.mark.parametrize("pattern", ["XX", "IK"])
def test_a_key_that_the_pattern_would_overwrite_is_misuse(pattern: str) -> None:
    with pytest.raises(Misuse, match="learns"):
        Handshake(
            pattern,
            initiator=pattern == "XX",
            prologue=b"",
            ephemeral=STATICS[True],
            static=STATICS[False],
            remote_static=STATICS[True].public,
        )


def test_a_missing_static_key_is_misuse_and_leaves_the_handshake_as_it_was() -> None:
    first = side("XX", initiator=True)
    nameless = Handshake("XX", initiator=False, prologue=PROLOGUE, ephemeral=STATICS[False])
    nameless.read(first.write())
    before = nameless.hash
    with pytest.raises(Misuse, match="static key"):
        nameless.write()
    assert nameless.hash == before


@pytest.mark.parametrize("pattern", USED)
def test_the_longest_message_passes_and_a_longer_one_is_misuse_that_changes_nothing(pattern: str) -> None:
    first, second = both(pattern)
    room = MAX_MESSAGE - len(both(pattern)[0].write())
    with pytest.raises(Misuse, match="too long"):
        first.write(bytes(room + 1))
    message = first.write(bytes(room))
    assert len(message) == MAX_MESSAGE
    assert second.read(message) == bytes(room)
    messages_between(*both(pattern))


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_a_private_key_of_another_length_is_misuse(size: int) -> None:
    with pytest.raises(Misuse, match="32 bytes"):
        KeyPair.of(bytes(size))
