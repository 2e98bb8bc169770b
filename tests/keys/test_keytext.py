"""Identity files and swarm key files: what is written is read back, and what is wrong is named without being shown."""

from __future__ import annotations

from hashlib import blake2b
from random import Random
from typing import Any

import nacl.pwhash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse, Unavailable
from cicada.ids import Address
from cicada.keys.identity import Identity
from cicada.keys.jsondoc import Parsed
from cicada.keys.keytext import (
    Secret,
    SwarmSecret,
    identity_text,
    key_of,
    parse_identity,
    parse_swarm_key,
    passphrase_text,
    stretched,
    swarm_key_text,
    type_of,
)

IDENTITY = Identity.generate(Random(1))
AT = Address("127.0.0.1:50000")
KEY = Random(2).randbytes(32)
PHRASE = "seven small cicadas sing"


def mistakes(parsed: Parsed[Any]) -> list[str]:
    assert (parsed.value is None) == bool(parsed.errors)
    return [str(error) for error in parsed.errors]


def edited(text: Secret, old: str, new: str) -> str:
    assert old in text.reveal()
    return text.reveal().replace(old, new)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.sampled_from([AT, None]))
def test_an_identity_is_read_back_from_its_file(
    signing: bytes, static: bytes, address: Address | None
) -> None:
    if len(set(signing)) == 1 or len(set(static)) == 1:
        return  # all bytes alike are a placeholder
    identity = Identity(signing, static)
    stored = parse_identity(identity_text(identity, address).reveal(), "f").value
    assert stored is not None
    assert (stored.identity.seeds, stored.address) == (identity.seeds, address or "")


def test_an_identity_file_says_what_it_is_and_whose() -> None:
    lines = identity_text(IDENTITY, AT).reveal().splitlines()
    assert lines[0].startswith("# A Cicada identity")
    assert lines[1:5] == [
        "type = identity",
        "version = 1",
        f"address = {AT}",
        f"peer_id = {IDENTITY.peer_id}",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("type = identity\n", "", ["f: missing: add a line `type = identity`"]),
        ("type = identity", "type = swarm-key", ["f:2:8: type: expected identity"]),
        ("version = 1", "version = 2", ["f:3:11: version: expected 1"]),
        ("address = 127.0.0.1:50000", "address = here", ["f:4:11: address: not an address: numeric IP and port"]),
        ("version = 1", "version = 1\nversion = 1", ["f:4:1: version a second time: first in line 3"]),
        ("static_seed", "static_sed", ["f:7:1: unknown name: did you mean static_seed?", "f: missing: add a line `static_seed"]),
        ("version = 1", "version = 1\nhello", ["f:4:1: not a line `name = value`"]),
        ("peer_id = ", "peer_id =\n#", ["f:5:1: peer_id: nothing after the ="]),
        ("signing_seed = ", "signing_seed = ab", ["f:6:16: signing_seed: 33 bytes in hex: a key has 32"]),
        ("peer_id = ", "peer_id = 00", [f"f:5:11: peer_id: belongs to another signing_seed: that one makes {IDENTITY.peer_id}"]),
    ],
)  # fmt: skip
def test_a_mistake_in_an_identity_file_is_named(old: str, new: str, expected: list[str]) -> None:
    found = mistakes(parse_identity(edited(identity_text(IDENTITY, AT), old, new), "f"))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))
    assert not any(seed.hex()[:16] in line for seed in IDENTITY.seeds for line in found)


def test_no_mistakes_hide_each_other() -> None:
    found = mistakes(parse_identity("type = swarm-key\nsigning_seed = x\ncolor = red\naddress = y", "f"))
    assert [line.split(": ")[0] for line in found] == ["f:1:8", "f:2:16", "f:3:1", "f:4:11", "f", "f", "f"]


@given(st.text())
def test_any_text_is_an_identity_or_has_mistakes(text: str) -> None:
    assert mistakes(parse_identity(text, "f"))
    assert mistakes(parse_swarm_key(text, "f"))


def test_a_swarm_key_is_read_back_and_is_the_same_for_every_swarm() -> None:
    text = swarm_key_text(KEY).reveal()
    secret = parse_swarm_key(text, "f").value
    assert secret is not None
    assert type_of(text) == "swarm-key"
    assert secret.key_for("office") == secret.key_for("home") == KEY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type = swarm-key\nversion = 1\nkey = abcd\n", "f:3:7: key: 2 bytes in hex: a key has 32"),
        ("type = swarm-key\nversion = 1\n", "f: missing: add a line `key = ...`"),
        (PHRASE, "f:1:1: not a line `name = value`"),
        ("type = swarm-key\nversion = 1\npassphrase = seven small cicadas sing", "f:3:1: unknown name"),
        (
            "type = passphrase\nversion = 1\npassphrase = short",
            "f:3:14: passphrase: shorter than 16 characters",
        ),
        ("type = passphrase\nversion = 1\nkey = " + KEY.hex(), "f:3:1: unknown name"),
    ],
)
def test_a_mistake_in_a_swarm_key_file_is_named(text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in mistakes(parse_swarm_key(text, "f")))


def test_a_passphrase_gives_every_swarm_a_key_of_its_own_as_anybody_can_compute() -> None:
    secret = parse_swarm_key(passphrase_text(Secret(PHRASE)).reveal(), "f").value
    assert secret is not None
    key = secret.key_for("office")
    salt = blake2b(b"office", digest_size=16, person=b"cicada-phrase-1").digest()
    assert key == nacl.pwhash.argon2id.kdf(
        32,
        PHRASE.encode(),
        salt,
        opslimit=nacl.pwhash.argon2id.OPSLIMIT_MODERATE,
        memlimit=nacl.pwhash.argon2id.MEMLIMIT_MODERATE,
    )


def asked_of_argon(monkeypatch: pytest.MonkeyPatch, *cases: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    """Text and salt that Argon2id gets for each passphrase and swarm."""
    asked: list[tuple[bytes, bytes]] = []

    def note(size: int, text: bytes, salt: bytes, **_: object) -> bytes:
        asked.append((text, salt))
        return bytes(size)

    monkeypatch.setattr(nacl.pwhash.argon2id, "kdf", note)
    for phrase, swarm in cases:
        stretched(Secret(phrase), swarm)
    return asked


def test_letters_that_look_the_same_are_the_same_in_a_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    composed, apart = "caf\u00e9 " * 4, "cafe\u0301 " * 4
    one, other = asked_of_argon(monkeypatch, (composed, "s"), (apart, "s"))
    assert composed != apart
    assert one == other


def test_one_passphrase_has_another_salt_in_every_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    (text, salt), (same, other) = asked_of_argon(monkeypatch, (PHRASE, "office"), (PHRASE, "home"))
    assert text == same
    assert salt != other


def test_without_the_memory_for_a_passphrase_there_is_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(nacl.pwhash.argon2id, "kdf", refuse)
    with pytest.raises(Unavailable, match="256 MiB"):
        stretched(Secret(PHRASE), "s")


@pytest.mark.parametrize("phrase", ["", "short", " " + PHRASE, PHRASE + "\n", PHRASE + "\nkey = x"])
def test_a_passphrase_that_would_not_be_read_back_is_not_written(phrase: str) -> None:
    with pytest.raises(Misuse, match="the passphrase is"):
        passphrase_text(Secret(phrase))


@given(st.text(min_size=16, max_size=40))
def test_a_passphrase_that_is_written_is_read_back(phrase: str) -> None:
    try:
        text = passphrase_text(Secret(phrase)).reveal()
    except Misuse:
        return
    assert text.endswith(f"passphrase = {phrase}\n")
    assert parse_swarm_key(text, "f").errors == ()


@given(st.binary(max_size=40))
def test_hex_of_32_bytes_is_a_key_and_of_no_other_length(raw: bytes) -> None:
    key = key_of(raw.hex())
    assert (key == raw) == (len(raw) == 32 and len(set(raw)) > 1)


def test_a_wrong_swarm_key_is_not_written() -> None:
    with pytest.raises(Misuse):
        swarm_key_text(KEY[:31])


def test_nothing_that_holds_a_secret_shows_it() -> None:
    shown = repr(
        [
            Secret(PHRASE),
            SwarmSecret(key=KEY),
            SwarmSecret(passphrase=Secret(PHRASE)),
            identity_text(IDENTITY),
        ]
    )
    assert shown == "[Secret(), SwarmSecret(key), SwarmSecret(passphrase), Secret()]"
