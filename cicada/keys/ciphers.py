"""What seals after a handshake: a link's frames in strict order, a session's in any order but each once."""

from __future__ import annotations

import hmac
from hashlib import blake2b
from typing import ClassVar, Final

from cicada.errors import Misuse, PeerFault
from cicada.keys.aead import TAG_BYTES, Keyed, open_sealed, opener_of, rekeyed, seal, sealer_of
from cicada.limits import KEYS
from cicada.wire.fields import TAG_BYTES as COPY_TAG_BYTES


class _Cipher:
    """What both ciphers must never do: seal in two processes, or from two copies, under the same counters."""

    __slots__ = ("_forks",)

    forks: ClassVar[int] = 0

    def __init__(self) -> None:
        self._forks = _Cipher.forks

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a cipher is neither copied nor pickled: it would seal twice under one nonce")

    def _refuse_in_a_fork(self) -> None:
        if self._forks != _Cipher.forks:
            raise Misuse(
                "this process was forked from the one that has the session: connect a peer of its own"
            )


def forget_after_fork() -> None:
    """This process is the child of a fork: ciphers made before belong to its parent, and refuse to seal here."""
    _Cipher.forks += 1


class LinkCipher(_Cipher):
    """The cipher slot of one link. The nonce is the frame's counter, which rises strictly: ``seal`` and ``seal_proof`` raise
    Misuse otherwise, and in a child of the process that has the link. ``open`` and ``open_proof`` raise PeerFault ``seal``,
    and leave it to the link to see that counters rise.

    Frames of proofs travel over another connection and so out of order with the rest: they have keys of their own, that
    never change.
    """

    __slots__ = (
        "_open_key", "_open_proof_key", "_opener", "_seal_key", "_seal_proof_key", "_sealed", "_sealed_proof",
        "_sealer", "_uses",
    )  # fmt: skip

    overhead = TAG_BYTES

    def __init__(
        self, seal_key: bytes, open_key: bytes, seal_proof_key: bytes, open_proof_key: bytes
    ) -> None:
        super().__init__()
        self._seal_key = seal_key
        self._open_key = open_key
        self._seal_proof_key = seal_proof_key
        self._open_proof_key = open_proof_key
        self._sealed = -1
        self._sealed_proof = -1
        self._sealer: Keyed | None = None
        self._opener: Keyed | None = None
        self._uses = 0

    def __repr__(self) -> str:
        return f"LinkCipher(sealed={self._sealed})"

    def seal(self, counter: int, header: bytes, body: bytes) -> bytes:
        if self._forks != _Cipher.forks:
            self._refuse_in_a_fork()
        if counter <= self._sealed:
            raise Misuse(f"counter {counter} of a link was sealed before: counters rise")
        self._sealed = counter
        if self._sealer is not None:
            return self._sealer(counter, header, body)
        self._used()
        return seal(self._seal_key, counter, header, body)

    def open(self, counter: int, header: bytes, body: bytes) -> bytes:
        if self._opener is not None:
            return self._opener(counter, header, body)
        plaintext = open_sealed(self._open_key, counter, header, body)
        self._used()
        return plaintext

    def rest(self) -> None:
        """The link is calm: its keys need not be set up for speed."""
        self._sealer = self._opener = None
        self._uses = 0

    def _used(self) -> None:
        self._uses += 1
        if self._uses > KEYS.keyed_after:
            self._sealer, self._opener = sealer_of(self._seal_key), opener_of(self._open_key)

    def seal_proof(self, counter: int, header: bytes, body: bytes) -> bytes:
        self._refuse_in_a_fork()
        if counter <= self._sealed_proof:
            raise Misuse(f"counter {counter} of a link's proofs was sealed before: counters rise")
        self._sealed_proof = counter
        return seal(self._seal_proof_key, counter, header, body)

    def open_proof(self, counter: int, header: bytes, body: bytes) -> bytes:
        return open_sealed(self._open_proof_key, counter, header, body)

    def rekey_seal(self) -> None:
        """What this side seals from now on cannot be opened with what it sealed with until now."""
        self._seal_key = rekeyed(self._seal_key)
        self.rest()

    def rekey_open(self) -> None:
        """The other side did that."""
        self._open_key = rekeyed(self._open_key)
        self.rest()


class ReplayWindow:
    """Which counters, from 1 up, were seen over the last KEYS.replay_window of them (RFC 6479 in purpose; one integer here)."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0

    def check(self, counter: int) -> None:
        """Raises PeerFault ``replayed`` or ``too-old``; changes nothing."""
        behind = self._highest - counter
        if behind >= KEYS.replay_window:
            raise PeerFault("too-old")
        if behind >= 0 and self._seen >> behind & 1:
            raise PeerFault("replayed")

    def mark(self, counter: int) -> None:
        """The counter, which ``check`` let pass, was authentic."""
        ahead = counter - self._highest
        if ahead > 0:
            kept = self._seen << ahead if ahead < KEYS.replay_window else 0
            self._seen = (kept | 1) & _WINDOW_MASK
            self._highest = counter
        else:
            self._seen |= 1 << -ahead


_WINDOW_MASK: Final = (1 << KEYS.replay_window) - 1


class SessionCipher(_Cipher):
    """Seals what one side of a session sends and opens what it receives, each counter once."""

    __slots__ = ("_open_copies", "_open_key", "_seal_copies", "_seal_key", "_sent", "_window", "received")

    def __init__(self, seal_key: bytes, open_key: bytes) -> None:
        super().__init__()
        self._seal_key = seal_key
        self._open_key = open_key
        self._seal_copies = _copies_key(seal_key)
        self._open_copies = _copies_key(open_key)
        self._sent = 0
        self._window = ReplayWindow()
        self.received = 0
        """How many were opened."""

    def seal(self, header: bytes, body: bytes) -> tuple[int, bytes]:
        """The counter, and ``body`` sealed under it. Raises Misuse in a forked child, and when the counters are used up:
        sessions are renewed long before."""
        self._refuse_in_a_fork()
        if self._sent >= KEYS.session_frames:
            raise Misuse("a session's counters are used up: it had to be renewed before")
        self._sent += 1
        return self._sent, seal(self._seal_key, self._sent, header, body)

    def open(self, counter: int, header: bytes, body: bytes) -> bytes:
        """The plaintext. Raises PeerFault ``counter``, ``replayed``, ``too-old`` or ``seal``, and then nothing changed."""
        if not 1 <= counter <= KEYS.session_frames:
            raise PeerFault("counter")
        self._window.check(counter)
        plaintext = open_sealed(self._open_key, counter, header, body)
        self._window.mark(counter)
        self.received += 1
        return plaintext

    def tag(self, copy: bytes) -> bytes:
        """What only the two ends can put on a copy of what this side sends, which ``copy`` describes."""
        return _tag(self._seal_copies, copy)

    def fits(self, tag: bytes, copy: bytes) -> bool:
        """Whether the other end put ``tag`` on this copy."""
        return hmac.compare_digest(tag, _tag(self._open_copies, copy))

    @property
    def sent(self) -> int:
        """How many were sealed."""
        return self._sent

    def __repr__(self) -> str:
        return f"SessionCipher(sent={self._sent}, received={self.received})"


def _copies_key(key: bytes) -> bytes:
    """A further key, from which nothing follows about ``key``."""
    return blake2b(key=key, person=b"cicada copies", digest_size=32).digest()


def _tag(key: bytes, copy: bytes) -> bytes:
    return blake2b(copy, key=key, digest_size=COPY_TAG_BYTES).digest()


class PlainSession:
    """No encryption, for simulations and measurements: counters and the window are kept, bodies travel in clear, and anybody
    could make the tags."""

    __slots__ = ("_window", "received", "sent")

    def __init__(self) -> None:
        self._window = ReplayWindow()
        self.sent = 0
        self.received = 0

    def seal(self, header: bytes, body: bytes) -> tuple[int, bytes]:
        """The next counter, and ``body``."""
        self.sent += 1
        return self.sent, body

    def open(self, counter: int, header: bytes, body: bytes) -> bytes:
        """``body``. Raises PeerFault ``counter``, ``replayed`` or ``too-old``."""
        if not 1 <= counter <= KEYS.session_frames:
            raise PeerFault("counter")
        self._window.check(counter)
        self._window.mark(counter)
        self.received += 1
        return body

    def tag(self, copy: bytes) -> bytes:
        """A checksum of what describes the copy."""
        return _tag(b"", copy)

    def fits(self, tag: bytes, copy: bytes) -> bool:
        """Whether it is that."""
        return tag == _tag(b"", copy)
