"""The text of key files: a few lines ``name = value`` that a person can read, and keys in hex or base64.

What is wrong is returned as values and raised elsewhere, so that no frame of a traceback holds what was read. No message
shows a value.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import blake2b
from typing import Final

import msgspec
import nacl.pwhash

from cicada.errors import ConfigError, Misuse, Unavailable
from cicada.ids import Address, is_canonical
from cicada.keys.aead import KEY_BYTES
from cicada.keys.identity import Identity
from cicada.keys.jsondoc import Parsed
from cicada.limits import KEYS

VERSION: Final = "1"
IDENTITY: Final = "identity"
SWARM_KEY: Final = "swarm-key"
PASSPHRASE: Final = "passphrase"  # noqa: S105  # the type of a file
KEY_FORMS: Final = "64 hex digits, or 44 characters of base64"

_NAME = re.compile(r"\s*([a-z_]+)\s*=[ \t]*")
_HEX = re.compile(r"[0-9a-fA-F]+")


class StoredIdentity(msgspec.Struct, frozen=True):
    """What an identity file holds. ``address`` is empty when the identity was made for no particular one."""

    identity: Identity
    address: Address = Address("")


class Secret:
    """Text that is secret. Neither its ``repr`` nor a traceback that shows variables tells it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text. Keep it in no variable."""
        return self._text

    def __repr__(self) -> str:
        return "Secret()"


class SwarmSecret:
    """What a swarm key file holds: the key itself, or a passphrase from which it is made."""

    __slots__ = ("_key", "_passphrase")

    def __init__(self, *, key: bytes = b"", passphrase: Secret | None = None) -> None:
        self._key = key
        self._passphrase = passphrase

    def key_for(self, swarm: str) -> bytes:
        """The 32 bytes of the key of the swarm of this name. With a passphrase that takes about a second and
        ``KEYS.passphrase_memory`` bytes; raises Unavailable where there is no such memory."""
        return self._key if self._passphrase is None else stretched(self._passphrase, swarm)

    def __repr__(self) -> str:
        return f"SwarmSecret({'key' if self._passphrase is None else 'passphrase'})"


def identity_text(identity: Identity, address: Address | None = None) -> Secret:
    """An identity file."""
    lines = [
        "# A Cicada identity. Whoever has this file can be this peer: show it to nobody.",
        *_header(IDENTITY),
        *([f"address = {address}"] if address else []),
        f"peer_id = {identity.peer_id}",
        f"signing_seed = {identity.seeds[0].hex()}",
        f"static_seed = {identity.seeds[1].hex()}",
    ]
    return Secret("\n".join(lines) + "\n")


def swarm_key_text(key: bytes) -> Secret:
    """A swarm key file with the key itself. Raises Misuse unless it has 32 bytes."""
    if len(key) != KEY_BYTES:
        raise Misuse(f"a swarm key has {KEY_BYTES} bytes")
    comment = "# The key of a closed Cicada swarm. Whoever has it can join: show it to members only."
    return Secret("\n".join([comment, *_header(SWARM_KEY), f"key = {key.hex()}"]) + "\n")


def passphrase_text(passphrase: Secret) -> Secret:
    """A swarm key file with a passphrase. Raises Misuse when it is too short or cannot stand on a line."""
    problem = _passphrase_problem(passphrase.reveal())
    if problem:
        raise Misuse(f"the passphrase is {problem}")
    comment = "# The passphrase of a closed Cicada swarm. Whoever has it can join: show it to members only."
    lines = [comment, *_header(PASSPHRASE), f"passphrase = {passphrase.reveal()}"]
    return Secret("\n".join(lines) + "\n")


def stretched(passphrase: Secret, swarm: str) -> bytes:
    """The swarm key that a passphrase stands for: Argon2id (RFC 9106) with libsodium's moderate cost, paid once a start.
    The salt is the hash of the swarm's name, so one passphrase gives each swarm another key, and everybody who knows
    both the same. Raises Unavailable where there is not enough memory."""
    size = nacl.pwhash.argon2id.SALTBYTES
    salt = blake2b(swarm.encode(), person=b"cicada-phrase-1", digest_size=size).digest()
    try:
        return nacl.pwhash.argon2id.kdf(
            KEY_BYTES,
            unicodedata.normalize("NFC", passphrase.reveal()).encode(),
            salt,
            opslimit=KEYS.passphrase_passes,
            memlimit=KEYS.passphrase_memory,
        )
    except (MemoryError, RuntimeError):
        needed = f"{KEYS.passphrase_memory >> 20} MiB"
        raise Unavailable(f"a passphrase needs {needed} of memory for a second: use a swarm key") from None


def parse_identity(text: str, file: str) -> Parsed[StoredIdentity]:
    """An identity file, or what is wrong with it."""
    lines = _Lines(text, file, IDENTITY, ("peer_id", "signing_seed", "static_seed"), ("address",))
    signing_seed, static_seed = lines.key("signing_seed"), lines.key("static_seed")
    address = Address(lines.value("address"))
    if address and not is_canonical(address):
        lines.wrong("address", "not an address: numeric IP and port, as 10.0.0.2:50000")
    if not signing_seed or not static_seed:
        return Parsed(errors=lines.errors)
    identity = Identity(signing_seed, static_seed)
    if lines.value("peer_id") not in ("", identity.peer_id):
        lines.wrong("peer_id", f"belongs to another signing_seed: that one makes {identity.peer_id}")
    return Parsed(errors=lines.errors) if lines.errors else Parsed(StoredIdentity(identity, address))


def parse_swarm_key(text: str, file: str) -> Parsed[SwarmSecret]:
    """A swarm key file of either type, or what is wrong with it."""
    if type_of(text) == PASSPHRASE:
        lines = _Lines(text, file, PASSPHRASE, ("passphrase",))
        passphrase = lines.value("passphrase")
        problem = passphrase and _passphrase_problem(passphrase)
        if problem:
            lines.wrong("passphrase", problem)
        return (
            Parsed(errors=lines.errors)
            if lines.errors
            else Parsed(SwarmSecret(passphrase=Secret(passphrase)))
        )
    lines = _Lines(text, file, SWARM_KEY, ("key",))
    key = lines.key("key")
    return Parsed(errors=lines.errors) if lines.errors else Parsed(SwarmSecret(key=key))


def type_of(text: str) -> str:
    """What the line ``type = ...`` of a file says; empty without one."""
    found = re.search(r"^\s*type\s*=\s*([a-z-]+)\s*$", text, re.MULTILINE)
    return found[1] if found else ""


def key_of(text: str) -> bytes | str:
    """The 32 bytes of a key in hex or base64 (either alphabet, padded or not); or what is wrong, in words that do not show
    it."""
    if _HEX.fullmatch(text) and len(text) != 43 and len(text) % 2 == 0:
        raw = bytes.fromhex(text)
        problem = f"{len(raw)} bytes in hex: a key has {KEY_BYTES}"
    else:
        raw = _from_base64(text)
        problem = f"{len(text)} characters that are no key: one is {KEY_BYTES} bytes, as {KEY_FORMS}"
    if len(raw) != KEY_BYTES:
        return problem
    return "a placeholder, not a key" if len(set(raw)) == 1 else raw


def _from_base64(text: str) -> bytes:
    plain = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _passphrase_problem(passphrase: str) -> str:
    if len(passphrase) < KEYS.passphrase_characters:
        return f"shorter than {KEYS.passphrase_characters} characters: five words do well"
    if passphrase != passphrase.strip() or not passphrase.isprintable():
        return "not one line of printable characters without spaces at its ends"
    return ""


def _header(kind: str) -> list[str]:
    return [f"type = {kind}", f"version = {VERSION}"]


class _Lines:
    """The lines of one file, looked through for every mistake."""

    def __init__(
        self, text: str, file: str, kind: str, required: Sequence[str], optional: Sequence[str] = ()
    ) -> None:
        self._file = file
        self._found: dict[str, tuple[str, int, int]] = {}
        self._errors: list[ConfigError] = []
        self._known = ("type", "version", *required, *optional)
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                self._read(line, number)
        self._check_header(kind)
        for name in required:
            if name not in self._found:
                self._errors.append(ConfigError(f"missing: add a line `{name} = ...`", file=file))

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return tuple(sorted(self._errors, key=lambda error: (error.line or 1 << 30, error.column)))

    def value(self, name: str) -> str:
        return self._found[name][0] if name in self._found else ""

    def key(self, name: str) -> bytes:
        """The key on a line; empty when there is none or a wrong one."""
        if not self.value(name):
            return b""
        key = key_of(self.value(name))
        if isinstance(key, str):
            self.wrong(name, key)
            return b""
        return key

    def wrong(self, name: str, words: str) -> None:
        _, line, column = self._found[name]
        self._error(f"{name}: {words}", line, column)

    def _error(self, words: str, line: int, column: int) -> None:
        self._errors.append(ConfigError(words, file=self._file, line=line, column=column))

    def _read(self, line: str, number: int) -> None:
        match = _NAME.match(line)
        if match is None:
            self._error("not a line `name = value`, and no # comment", number, 1)
            return
        name, value, column = match[1], line[match.end() :].rstrip(), match.start(1) + 1
        if name not in self._known:
            near = get_close_matches(name, self._known, n=1)
            hint = f": did you mean {near[0]}?" if near else f": there is {', '.join(self._known)}"
            self._error(f"unknown name{hint}", number, column)
        elif name in self._found:
            self._error(f"{name} a second time: first in line {self._found[name][1]}", number, column)
        elif not value:
            self._found[name] = ("", number, column)
            self._error(f"{name}: nothing after the =", number, column)
        else:
            self._found[name] = (value, number, match.end() + 1)

    def _check_header(self, kind: str) -> None:
        for name, right in (("type", kind), ("version", VERSION)):
            if name not in self._found:
                words = f"missing: add a line `{name} = {right}`"
                self._errors.append(ConfigError(words, file=self._file))
            elif self.value(name) not in ("", right):
                self.wrong(name, f"expected {right}")
