"""Who a peer is: an Ed25519 key that signs and an X25519 key that handshakes prove. The peer id is the hash of the first."""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import Final, Protocol

import nacl.bindings
import nacl.exceptions

from cicada.errors import Misuse, PeerFault
from cicada.keys.noise import KeyPair

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
PUBLIC_BYTES: Final = 32


class Entropy(Protocol):
    """Where secrets come from: the operating system, except in simulations."""

    def randbytes(self, n: int, /) -> bytes:
        """``n`` bytes that nobody can guess."""
        ...


class Identity:
    """The secret keys of one peer, made from two seeds of 32 bytes. Nothing that it shows of itself is secret."""

    __slots__ = ("_signing", "peer_id", "seeds", "signing_public", "static")

    def __init__(self, signing_seed: bytes, static_private: bytes) -> None:
        if len(signing_seed) != SEED_BYTES or len(static_private) != SEED_BYTES:
            raise Misuse(f"an identity is made from two seeds of {SEED_BYTES} bytes")
        self.seeds: tuple[bytes, bytes] = (signing_seed, static_private)
        self.signing_public: bytes
        self.signing_public, self._signing = nacl.bindings.crypto_sign_seed_keypair(signing_seed)
        self.static: KeyPair = KeyPair.of(static_private)
        self.peer_id: str = peer_id_of(self.signing_public)

    @classmethod
    def generate(cls, entropy: Entropy) -> Identity:
        """A new one."""
        return cls(entropy.randbytes(SEED_BYTES), entropy.randbytes(SEED_BYTES))

    @classmethod
    def derive(cls, secret: bytes, name: str) -> Identity:
        """The one that belongs to ``name`` under a secret of 32 bytes: always the same, and telling nothing about others."""
        if len(secret) != SEED_BYTES:
            raise Misuse(f"identities are derived from a secret of {SEED_BYTES} bytes")
        seeds = blake2b(name.encode(), key=secret, person=b"cicada-identity", digest_size=64).digest()
        return cls(seeds[:SEED_BYTES], seeds[SEED_BYTES:])

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature (RFC 8032). What is signed begins with what it is for."""
        return nacl.bindings.crypto_sign(message, self._signing)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"Identity({self.peer_id})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an identity is never pickled: keep its file, or derive it again")


def peer_id_of(signing_public: bytes) -> str:
    """SHA-256 of the Ed25519 public key, in hex."""
    return sha256(signing_public).hexdigest()


def verify(signing_public: bytes, message: bytes, signature: bytes) -> None:
    """Raises PeerFault unless the holder of the key signed the message."""
    if len(signature) != SIGNATURE_BYTES or len(signing_public) != PUBLIC_BYTES:
        raise PeerFault("signature")
    try:
        nacl.bindings.crypto_sign_open(signature + message, signing_public)
    except (nacl.exceptions.CryptoError, RuntimeError):
        raise PeerFault("signature") from None
