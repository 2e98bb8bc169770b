"""What links and whoever holds keys are to each other: handshakes and the ciphers they end in, as protocols, and who was met.
``cicada.keys`` has the real ones; ``Unsecured`` is for simulations and benchmarks.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec.structs import replace

from cicada.errors import PeerFault
from cicada.ids import Peer
from cicada.wire.frames import Hello, Welcome


class Cipher(Protocol):
    """The cipher slot of a link. The nonce is the counter, so no counter may be sealed twice. ``overhead``: bytes that
    sealing adds, at most WIRE.seal_overhead.

    Proofs travel over another connection, so out of order with the rest: they have counters and keys of their own.
    """

    overhead: int

    def seal(self, counter: int, header: bytes, body: bytes, /) -> bytes:
        """Ciphertext of ``body``, bound to ``header``."""
        ...

    def open(self, counter: int, header: bytes, body: bytes, /) -> bytes:
        """Plaintext, or PeerFault when it is not authentic."""
        ...

    def seal_proof(self, counter: int, header: bytes, body: bytes, /) -> bytes:
        """As ``seal``, for PROVE and PROVEN."""
        ...

    def open_proof(self, counter: int, header: bytes, body: bytes, /) -> bytes:
        """As ``open``, for PROVE and PROVEN."""
        ...

    def rest(self) -> None:
        """Nothing but pings for a while: give up what is only kept for speed."""
        ...

    def rekey_seal(self) -> None:
        """From now on ``seal`` uses the next key; the last one is gone."""
        ...

    def rekey_open(self) -> None:
        """From now on ``open`` does."""
        ...


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """Who is at the other end, as its record and its part in the handshake prove. All empty where links are not secured.

    ``record`` is signed bytes; ``sequence`` compares under one ``peer_id`` only.
    """

    record: bytes = b""
    static_key: bytes = b""
    peer_id: str = ""
    sequence: int = 0


NOBODY = Credentials()


class Established(msgspec.Struct, frozen=True):
    """A handshake is finished: seal and open with ``cipher``. ``secret_id`` names the swarm's key that it needed, and tells
    nothing about it; empty where none was needed."""

    cipher: Cipher
    credentials: Credentials
    secret_id: bytes = b""


class Identify(msgspec.Struct, frozen=True):
    """To links: find out who lives at the peer's address. Answered by Identified or Unidentified, at once when a proof is
    kept whose record is fresh."""

    peer: Peer


class Identified(msgspec.Struct, frozen=True):
    """Answer to Identify: over a connection dialled to its address the peer proved the keys in ``record`` (signed bytes, empty
    where links are not secured)."""

    peer: Peer
    record: bytes


class Unidentified(msgspec.Struct, frozen=True):
    """Answer to Identify: nobody proved anything at the address."""

    peer: Peer
    reason: str


class Met(msgspec.Struct, frozen=True, gc=False):
    """From links: a peer answered at its address and proved the keys in ``record``. Not told where links are not secured."""

    peer: Peer
    record: bytes


class Dialling(Protocol):
    """The dialler's side of one handshake, after its HELLO."""

    def finish(self, welcome: Welcome, /) -> tuple[Established, bytes]:
        """The answer came. Returns also the body of FINISH, empty when there is none to send. Raises PeerFault."""
        ...


class Answering(Protocol):
    """The dialled side of one handshake, after its WELCOME."""

    @property
    def established(self) -> Established | None:
        """The result, when no further message is needed."""
        ...

    @property
    def is_over(self) -> bool:
        """Nothing that may still come can finish it."""
        ...

    def finish(self, body: bytes, /) -> Established:
        """FINISH came. Raises PeerFault; unless ``is_over`` then, the right one may still come."""
        ...


class LinkSecurity(Protocol):
    """Makes the handshakes of one peer's links."""

    def dial(self, hello: Hello, known: Credentials | None, fresh: bool, /) -> tuple[Hello, Dialling]:
        """Complete a HELLO. ``known``: who was met at that address last. ``fresh``: assume nothing of it."""
        ...

    def screen(self, hello: Hello, /) -> None:
        """Raises PeerFault when a hash tells already that ``answer`` will refuse the HELLO."""
        ...

    def answer(self, hello: Hello, welcome: Welcome, /) -> tuple[Welcome, Answering]:
        """Complete the answer to a HELLO. Raises PeerFault: its reason goes into the refusal."""
        ...

    def should_retry(self, reason: str, /) -> bool:
        """Whether a dial refused for this reason should try afresh: what it assumed of the other side was wrong."""
        ...

    def is_fresh(self, credentials: Credentials, /) -> bool:
        """Whether the record in them is good, and will be for a while. It may have expired while this machine slept, of which a
        monotonic clock knows nothing."""
        ...


class PlainCipher:
    """Changes nothing: simulations and benchmarks only."""

    overhead = 0

    def seal(self, counter: int, header: bytes, body: bytes) -> bytes:
        return body

    open = seal_proof = open_proof = seal

    def rekey_seal(self) -> None:
        return

    rekey_open = rest = rekey_seal


class Unsecured:
    """No handshake worth the name: everybody is believed. It links with its like only."""

    _established = Established(PlainCipher(), NOBODY)

    def dial(self, hello: Hello, known: Credentials | None, fresh: bool) -> tuple[Hello, Dialling]:
        return hello, _UNSECURED_DIAL

    def screen(self, hello: Hello) -> None:
        if hello.pattern:
            raise PeerFault("not-encrypted")

    def answer(self, hello: Hello, welcome: Welcome) -> tuple[Welcome, Answering]:
        self.screen(hello)
        return replace(welcome), _UnsecuredAnswer(self._established)

    def should_retry(self, reason: str) -> bool:
        return False

    def is_fresh(self, credentials: Credentials) -> bool:
        return True


class _UnsecuredDial:
    def finish(self, welcome: Welcome) -> tuple[Established, bytes]:
        return Unsecured._established, b""


class _UnsecuredAnswer(msgspec.Struct, frozen=True):
    established: Established
    is_over: bool = True

    def finish(self, body: bytes) -> Established:
        raise PeerFault("handshake-order")


_UNSECURED_DIAL = _UnsecuredDial()
