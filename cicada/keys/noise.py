"""The Noise protocol framework, revision 34 (noiseprotocol.org/noise.html): handshakes of two messages and more, with any
pre-shared keys, for the one suite 25519_ChaChaPoly_BLAKE2s.

What it leaves to others: when to send what, and the nonces of transport messages, which travel through networks that
lose and reorder.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import blake2s
from typing import Final

import msgspec

from cicada.errors import Misuse, PeerFault
from cicada.keys.aead import KEY_BYTES, TAG_BYTES, open_sealed, public_of, seal, shared_secret

HASH_BYTES: Final = 32
MAX_MESSAGE: Final = 65_535
"""Bytes of the longest Noise message."""

# Noise section 7.5: public keys that are known before, and the tokens of each message.
_PATTERNS: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "NN": ("", "", ("e", "e ee")),
    "NK": ("", "s", ("e es", "e ee")),
    "NX": ("", "", ("e", "e ee s es")),
    "KN": ("s", "", ("e", "e ee se")),
    "KK": ("s", "s", ("e es ss", "e ee se")),
    "KX": ("s", "", ("e", "e ee se s es")),
    "XN": ("", "", ("e", "e ee", "s se")),
    "XK": ("", "s", ("e es", "e ee", "s se")),
    "XX": ("", "", ("e", "e ee s es", "s se")),
    "IN": ("", "", ("e s", "e ee se")),
    "IK": ("", "s", ("e es s ss", "e ee se")),
    "IX": ("", "", ("e s", "e ee se s es")),
}


class KeyPair(msgspec.Struct, frozen=True):
    """An X25519 key. Its ``repr`` shows the public half only."""

    private: bytes
    public: bytes

    @classmethod
    def of(cls, private: bytes) -> KeyPair:
        """The pair of 32 private bytes."""
        return cls(private, public_of(private))

    def __repr__(self) -> str:
        return f"KeyPair({self.public.hex()})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """msgspec's own would show the private half."""
        return [("public", self.public.hex())]


class Pattern(msgspec.Struct, frozen=True):
    """A handshake pattern with its modifiers: ``tokens`` of each message, the initiator's first."""

    name: str
    known_initiator: bool
    known_responder: bool
    tokens: tuple[tuple[str, ...], ...]
    has_psk: bool


@lru_cache(64)
def pattern_of(name: str) -> Pattern:
    """The pattern of a name such as ``XX`` or ``IKpsk0+psk2``. Raises Misuse for others."""
    base, modifiers = name[:2], name[2:]
    if base not in _PATTERNS:
        raise Misuse(f"{name!r} is no Noise pattern known here: use one of {', '.join(_PATTERNS)}")
    initiator, responder, texts = _PATTERNS[base]
    messages = [text.split() for text in texts]
    named = modifiers.split("+") if modifiers else []
    for modifier in named:
        if modifier not in [f"psk{number}" for number in range(len(messages) + 1)]:
            raise Misuse(f"{modifier!r} does not modify {base}: psk0 to psk{len(messages)} do")
        if modifier == "psk0":
            messages[0].insert(0, "psk")
        else:
            messages[int(modifier[-1]) - 1].append("psk")
    if named != sorted(set(named)):
        raise Misuse(
            f"the modifiers of {name!r} stand in the order of their numbers, each once (Noise section 8)"
        )
    tokens = tuple(tuple(message) for message in messages)
    return Pattern(name, bool(initiator), bool(responder), tokens, bool(modifiers))


class _Symmetric:
    """Noise section 5.2: the chaining key, the transcript's hash and, once there is one, the handshake's cipher."""

    __slots__ = ("chain", "hash", "key", "nonce")

    def __init__(self, protocol: bytes, prologue: bytes) -> None:
        padded = protocol.ljust(HASH_BYTES, b"\0")
        self.hash = padded if len(protocol) <= HASH_BYTES else blake2s(protocol).digest()
        self.chain = self.hash
        self.key = b""
        self.nonce = 0
        self.mix_hash(prologue)

    @property
    def values(self) -> tuple[bytes, bytes, bytes, int]:
        """All of it, to come back to."""
        return self.chain, self.hash, self.key, self.nonce

    def mix_hash(self, data: bytes) -> None:
        self.hash = blake2s(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        self.chain, self.key = _hkdf2(self.chain, secret)
        self.nonce = 0

    def mix_key_and_hash(self, secret: bytes) -> None:
        self.chain, mixed, self.key = _hkdf3(self.chain, secret)
        self.nonce = 0
        self.mix_hash(mixed)

    def seal(self, plaintext: bytes) -> bytes:
        sealed = plaintext
        if self.key:
            sealed = seal(self.key, self.nonce, self.hash, plaintext)
            self.nonce += 1
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        plaintext = sealed
        if self.key:
            plaintext = open_sealed(self.key, self.nonce, self.hash, sealed)
            self.nonce += 1
        self.mix_hash(sealed)
        return plaintext


class Handshake:
    """One side of a handshake. ``write`` and ``read`` take turns; when ``is_finished``, ``split`` gives the keys.

    What raises changes nothing: after a message that cannot be read, the right one may still come.
    ``psks``: one of 32 bytes for each psk of the pattern, in its order. ``ephemeral`` must be fresh from the entropy source:
    two handshakes with the same one seal under the same keys and nonces. For the same reason a handshake is never copied.
    ``remote_static``: where the pattern begins with it, and only there.
    """

    __slots__ = (
        "_ephemeral", "_initiates", "_pattern", "_psks", "_remote_ephemeral", "_state", "_static", "_turn",
        "remote_static",
    )  # fmt: skip

    remote_static: bytes
    """The other side's static key, once it is known; empty before."""

    def __init__(
        self,
        pattern: str,
        *,
        initiator: bool,
        prologue: bytes,
        ephemeral: KeyPair,
        static: KeyPair | None = None,
        remote_static: bytes = b"",
        psks: tuple[bytes, ...] = (),
    ) -> None:
        self._pattern = pattern_of(pattern)
        self._initiates = initiator
        self._ephemeral = ephemeral
        self._static = static
        self.remote_static = remote_static
        self._remote_ephemeral = b""
        self._psks = psks
        self._turn = 0
        known = self._pattern.known_responder if initiator else self._pattern.known_initiator
        if len(remote_static) != (KEY_BYTES if known else 0):
            need = f"needs the {KEY_BYTES} bytes of" if known else "learns, and is not told,"
            raise Misuse(f"{pattern} {need} the other side's static key")
        if any(len(psk) != KEY_BYTES for psk in psks):
            raise Misuse(f"a pre-shared key has {KEY_BYTES} bytes")
        if len(psks) != sum(tokens.count("psk") for tokens in self._pattern.tokens):
            raise Misuse(f"{pattern} needs another number of pre-shared keys than {len(psks)}")
        self._state = _Symmetric(f"Noise_{pattern}_25519_ChaChaPoly_BLAKE2s".encode(), prologue)
        if self._pattern.known_initiator:
            self._state.mix_hash(self._public() if initiator else remote_static)
        if self._pattern.known_responder:
            self._state.mix_hash(remote_static if initiator else self._public())

    def __repr__(self) -> str:
        return f"Handshake({self._pattern.name}, message {self._turn})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a handshake is neither copied nor pickled: it would seal twice under one nonce")

    @property
    def is_finished(self) -> bool:
        """Every message was written or read."""
        return self._turn == len(self._pattern.tokens)

    @property
    def hash(self) -> bytes:
        """The hash of all that was exchanged (Noise section 11.2): equal on both sides, and not secret."""
        return self._state.hash

    def write(self, payload: bytes = b"") -> bytes:
        """The next message, with ``payload`` as secret as the pattern makes it at this point (Noise section 7.7).

        Raises Misuse when it does not fit, and PeerFault when the other side's key, which was known or read before, is of low
        order.
        """
        tokens = self._tokens(self._initiates)
        before = self._state.values, self._psks, self._remote_ephemeral, self.remote_static
        try:
            message = b"".join([self._write_token(token) for token in tokens])
            message += self._state.seal(payload)
            if len(message) > MAX_MESSAGE:
                raise Misuse(f"a Noise message of {len(message)} bytes is too long: at most {MAX_MESSAGE}")
        except BaseException:
            self._restore(before)
            raise
        self._turn += 1
        return message

    def read(self, message: bytes) -> bytes:
        """The payload of the other side's next message. Raises PeerFault, and then nothing changed."""
        tokens = self._tokens(not self._initiates)
        if len(message) > MAX_MESSAGE:
            raise PeerFault("handshake-size")
        before = self._state.values, self._psks, self._remote_ephemeral, self.remote_static
        try:
            rest = message
            for token in tokens:
                rest = self._read_token(token, rest)
            payload = self._state.open(rest)
        except BaseException:
            self._restore(before)
            raise
        self._turn += 1
        return payload

    def split(self) -> tuple[bytes, bytes]:
        """The key that this side seals with, and the one that it opens with."""
        if not self.is_finished:
            raise Misuse("the handshake is not finished: exchange its messages first")
        first, second = _hkdf2(self._state.chain, b"")
        return (first, second) if self._initiates else (second, first)

    def derive(self, label: bytes) -> bytes:
        """A further secret of both sides, independent of those of ``split`` and of other labels."""
        if not self.is_finished:
            raise Misuse("the handshake is not finished: exchange its messages first")
        return hmac.digest(self._state.chain, b"cicada " + label, blake2s)

    def _restore(
        self, before: tuple[tuple[bytes, bytes, bytes, int], tuple[bytes, ...], bytes, bytes]
    ) -> None:
        state, self._psks, self._remote_ephemeral, self.remote_static = before
        self._state.chain, self._state.hash, self._state.key, self._state.nonce = state

    def _tokens(self, by_initiator: bool) -> tuple[str, ...]:
        if self.is_finished or by_initiator != (self._turn % 2 == 0):
            raise Misuse("it is not this side's turn")
        return self._pattern.tokens[self._turn]

    def _write_token(self, token: str) -> bytes:
        if token == "e":
            self._mix_ephemeral(self._ephemeral.public)
            return self._ephemeral.public
        if token == "s":
            return self._state.seal(self._public())
        self._mix(token)
        return b""

    def _read_token(self, token: str, rest: bytes) -> bytes:
        if token == "e":
            self._remote_ephemeral, rest = _cut(rest, KEY_BYTES)
            self._mix_ephemeral(self._remote_ephemeral)
        elif token == "s":
            sealed, rest = _cut(rest, KEY_BYTES + (TAG_BYTES if self._state.key else 0))
            self.remote_static = self._state.open(sealed)
        else:
            self._mix(token)
        return rest

    def _mix_ephemeral(self, public: bytes) -> None:
        self._state.mix_hash(public)
        if self._pattern.has_psk:
            self._state.mix_key(public)

    def _mix(self, token: str) -> None:
        if token == "psk":
            self._state.mix_key_and_hash(self._psks[0])
            self._psks = self._psks[1:]
            return
        mine, theirs = (token[0], token[1]) if self._initiates else (token[1], token[0])
        private = self._ephemeral.private if mine == "e" else self._private()
        public = self._remote_ephemeral if theirs == "e" else self.remote_static
        self._state.mix_key(shared_secret(private, public))

    def _private(self) -> bytes:
        return self._require_static().private

    def _public(self) -> bytes:
        return self._require_static().public

    def _require_static(self) -> KeyPair:
        if self._static is None:
            raise Misuse(f"{self._pattern.name} needs this side's static key")
        return self._static


def _cut(message: bytes, size: int) -> tuple[bytes, bytes]:
    if len(message) < size:
        raise PeerFault("handshake-size")
    return message[:size], message[size:]


def _hkdf2(chain: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """Noise section 4.3, two outputs."""
    extracted = hmac.digest(chain, secret, blake2s)
    first = hmac.digest(extracted, b"\x01", blake2s)
    return first, hmac.digest(extracted, first + b"\x02", blake2s)


def _hkdf3(chain: bytes, secret: bytes) -> tuple[bytes, bytes, bytes]:
    """The same, three outputs."""
    extracted = hmac.digest(chain, secret, blake2s)
    first = hmac.digest(extracted, b"\x01", blake2s)
    second = hmac.digest(extracted, first + b"\x02", blake2s)
    return first, second, hmac.digest(extracted, second + b"\x03", blake2s)
