"""What seals after a handshake: a link's frames in strict order, a session's in any order but each once."""

from __future__ import annotations

from typing import Final

from cicada.errors import Misuse, PeerFault
from cicada.keys.aead import TAG_BYTES, open_sealed, rekeyed, seal
from cicada.limits import KEYS


class LinkCipher:
    """The cipher slot of one link. The nonce is the frame's counter, which the link lets rise strictly.

    Frames of proofs travel over another connection and so out of order with the rest: they have keys of their own, that
    never change.
    """

    __slots__ = ("_open_key", "_open_proof_key", "_seal_key", "_seal_proof_key")

    overhead = TAG_BYTES

    def __init__(
        self, seal_key: bytes, open_key: bytes, seal_proof_key: bytes, open_proof_key: bytes
    ) -> None:
        self._seal_key = seal_key
        self._open_key = open_key
        self._seal_proof_key = seal_proof_key
        self._open_proof_key = open_proof_key

    def seal(self, counter: int, header: bytes, body: bytes) -> bytes:
        return seal(self._seal_key, counter, header, body)

    def open(self, counter: int, header: bytes, body: bytes) -> bytes:
        return open_sealed(self._open_key, counter, header, body)

    def seal_proof(self, counter: int, header: bytes, body: bytes) -> bytes:
        return seal(self._seal_proof_key, counter, header, body)

    def open_proof(self, counter: int, header: bytes, body: bytes) -> bytes:
        return open_sealed(self._open_proof_key, counter, header, body)

    def rekey_seal(self) -> None:
        """What this side seals from now on cannot be opened with what it sealed with until now."""
        self._seal_key = rekeyed(self._seal_key)

    def rekey_open(self) -> None:
        """The other side did that."""
        self._open_key = rekeyed(self._open_key)


class ReplayWindow:
    """Which counters were seen, over the last KEYS.replay_window of them (RFC 6479 in purpose; one integer here)."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0

    def check(self, counter: int) -> None:
        """Raises PeerFault ``replayed`` or ``too-old``; changes nothing."""
        behind = self._highest - counter
        if behind >= KEYS.replay_window:
            raise PeerFault("too-old")
        if counter < 1 or (behind >= 0 and self._seen >> behind & 1):
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


class SessionCipher:
    """Seals what one side of a session sends and opens what it receives, each counter once.

    ``has_forked`` turns true in a child of a forked process, which must never seal: its parent uses the same counters.
    """

    __slots__ = ("_open_key", "_seal_key", "_sent", "_window", "received")

    has_forked = False

    def __init__(self, seal_key: bytes, open_key: bytes) -> None:
        self._seal_key = seal_key
        self._open_key = open_key
        self._sent = 0
        self._window = ReplayWindow()
        self.received = 0
        """How many were opened."""

    def seal(self, header: bytes, body: bytes) -> tuple[int, bytes]:
        """The counter, and ``body`` sealed under it. Raises Misuse in a forked child, and when the counters are used up:
        sessions are renewed long before."""
        if SessionCipher.has_forked:
            raise Misuse(
                "this process was forked from the one that has the session: connect a peer of its own"
            )
        if self._sent >= KEYS.session_frames:
            raise Misuse("a session's counters are used up: it had to be renewed before")
        self._sent += 1
        return self._sent, seal(self._seal_key, self._sent, header, body)

    def open(self, counter: int, header: bytes, body: bytes) -> bytes:
        """The plaintext. Raises PeerFault ``replayed``, ``too-old`` or ``seal``, and then nothing changed."""
        self._window.check(counter)
        plaintext = open_sealed(self._open_key, counter, header, body)
        self._window.mark(counter)
        self.received += 1
        return plaintext

    @property
    def sent(self) -> int:
        """How many were sealed."""
        return self._sent

    def __repr__(self) -> str:
        return f"SessionCipher(sent={self._sent}, received={self.received})"


class PlainSession:
    """No encryption, for simulations and measurements: counters and the window are kept, bodies travel in clear."""

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
        """``body``. Raises PeerFault ``replayed`` or ``too-old``."""
        self._window.check(counter)
        self._window.mark(counter)
        self.received += 1
        return body
