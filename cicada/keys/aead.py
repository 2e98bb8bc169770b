"""ChaCha20-Poly1305 (RFC 8439) with explicit 64-bit nonces as Noise section 12 lays them out, and the operations on
Curve25519. From PyNaCl; sealing from ``cryptography`` where it is installed (extra ``fast``), which costs a third.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Final

import nacl.bindings
import nacl.exceptions

from cicada.errors import Misuse, PeerFault

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
MAX_NONCE: Final = (1 << 64) - 1
"""Reserved by Noise for rekeying: nothing else is ever sealed under it."""

Seal = Callable[[bytes, int, bytes, bytes], bytes]
"""``(key, nonce, associated data, text) -> result``."""

_nonce = struct.Struct("<4xQ").pack


def seal_by_nacl(key: bytes, nonce: int, header: bytes, plaintext: bytes) -> bytes:
    """Ciphertext and tag, 16 bytes longer than ``plaintext``; ``header`` is authenticated with it."""
    return nacl.bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, header, _nonce(nonce), key)


def open_by_nacl(key: bytes, nonce: int, header: bytes, ciphertext: bytes) -> bytes:
    """The plaintext. Raises PeerFault when it was not sealed with this key, nonce and header."""
    if len(ciphertext) < TAG_BYTES:
        raise PeerFault("seal")
    try:
        return nacl.bindings.crypto_aead_chacha20poly1305_ietf_decrypt(ciphertext, header, _nonce(nonce), key)
    except nacl.exceptions.CryptoError:
        raise PeerFault("seal") from None


Keyed = Callable[[int, bytes, bytes], bytes]
"""``(nonce, associated data, text) -> result``, under a key that is set up already."""

Keying = Callable[[bytes], Keyed]
"""Sets a key up."""


def _accelerated() -> tuple[Seal, Seal, Keying, Keying]:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    except ImportError:
        return seal_by_nacl, open_by_nacl, partial(partial, seal_by_nacl), partial(partial, open_by_nacl)

    def seal(key: bytes, nonce: int, header: bytes, plaintext: bytes) -> bytes:
        return ChaCha20Poly1305(key).encrypt(_nonce(nonce), plaintext, header)

    def open(key: bytes, nonce: int, header: bytes, ciphertext: bytes) -> bytes:
        try:
            return ChaCha20Poly1305(key).decrypt(_nonce(nonce), ciphertext, header)
        except InvalidTag:
            raise PeerFault("seal") from None

    def sealer(key: bytes) -> Keyed:
        encrypt, nonce_of = ChaCha20Poly1305(key).encrypt, _nonce
        return lambda nonce, header, plaintext: encrypt(nonce_of(nonce), plaintext, header)

    def opener(key: bytes) -> Keyed:
        decrypt, nonce_of = ChaCha20Poly1305(key).decrypt, _nonce

        def open_keyed(nonce: int, header: bytes, ciphertext: bytes) -> bytes:
            try:
                return decrypt(nonce_of(nonce), ciphertext, header)
            except InvalidTag:
                raise PeerFault("seal") from None

        return open_keyed

    return seal, open, sealer, opener


seal, open_sealed, sealer_of, opener_of = _accelerated()
"""``seal(key, nonce, header, plaintext)`` and its inverse, which raises PeerFault; and both for a key that is used often.
With ``cryptography`` a key that is set up takes 2.6 KiB, and setting it up takes as long as sealing 1 KiB."""


def rekeyed(key: bytes) -> bytes:
    """The key that follows (Noise section 4.2, REKEY): the old one cannot be found from it."""
    return seal(key, MAX_NONCE, b"", bytes(KEY_BYTES))[:KEY_BYTES]


def public_of(private: bytes) -> bytes:
    """The X25519 public key of a private one of 32 bytes (RFC 7748). Raises Misuse for another length."""
    _check_private(private)
    return nacl.bindings.crypto_scalarmult_base(private)


def shared_secret(private: bytes, public: bytes) -> bytes:
    """X25519. Raises PeerFault when ``public`` has not 32 bytes, or is a point of low order, with which everybody shares the
    same secret."""
    _check_private(private)
    if len(public) != KEY_BYTES:
        raise PeerFault("key-size")
    try:
        return nacl.bindings.crypto_scalarmult(private, public)
    except (nacl.exceptions.CryptoError, RuntimeError):  # PyNaCl has a bare RuntimeError for it
        raise PeerFault("low-order-point") from None


def _check_private(private: bytes) -> None:
    """PyNaCl hands X25519's arguments to C as they come: what is too short would be read past its end."""
    if len(private) != KEY_BYTES:
        raise Misuse(f"a private X25519 key has {KEY_BYTES} bytes")
