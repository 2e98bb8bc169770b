"""The handshakes of links: Noise XX with a peer whose key is not known, IK with one that was met before, psks as shared.

The prologue binds every clear field of HELLO; the payload of message 2 repeats those of WELCOME. Each side shows its
record, whose X25519 key must be the one that the handshake proves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from cicada.errors import PeerFault
from cicada.ids import Address
from cicada.keys.aead import KEY_BYTES
from cicada.keys.ciphers import LinkCipher
from cicada.keys.identity import Entropy
from cicada.keys.memory import Accepted, Memory
from cicada.keys.noise import Handshake, KeyPair
from cicada.keys.psks import SwarmKeys, Terms, Use, secret_id
from cicada.keys.record import Record
from cicada.limits import KEYS
from cicada.wire.codec import encode
from cicada.wire.decoding import UNDECODABLE
from cicada.wire.fields import Handshake as Bytes
from cicada.wire.fields import Number
from cicada.wire.frames import Hello, Welcome
from cicada.wire.security import Answering, Credentials, Dialling, Established

_LABEL: Final = b"cicada link "
_UNKNOWN_KEY, _KNOWN_KEY = "XX", "IK"
_AFRESH: Final = frozenset({"static-key", "clock-skew", "replayed", "crowded"})
"""Refusals of IK after which XX, which assumes nothing, is tried."""


class _Opening(msgspec.Struct, frozen=True, array_like=True):
    """Payload of IK's message 1. ``at_ms`` rises with each of one key, so that a repeated one is known as such."""

    record: Bytes
    at_ms: Number


class _Reply(msgspec.Struct, frozen=True, array_like=True):
    """Payload of message 2. ``welcome``: the clear fields of WELCOME, encoded."""

    record: Bytes
    welcome: Bytes


class LinkHandshakes:
    """The keys of one peer at work on its links."""

    def __init__(self, memory: Memory, *, entropy: Entropy) -> None:
        self._memory = memory
        self._entropy = entropy
        self._accepted = Accepted(memory.limits, is_strict=True)
        self._ids: dict[
            str, str
        ] = {}  # peer ids with which keys are shared, by the address where they were met

    def dial(self, hello: Hello, known: Credentials | None, fresh: bool) -> tuple[Hello, Dialling]:
        """As LinkSecurity promises."""
        peer_id = known.peer_id if known is not None else self._ids.get(hello.dialled, "")
        terms = self._memory.secrets.offer(Use.LINK, Address(hello.dialled), peer_id)
        static = known.static_key if known is not None and not fresh else b""
        base = _KNOWN_KEY if static else _UNKNOWN_KEY
        ephemeral = KeyPair.of(self._entropy.randbytes(32))
        hello = replace(hello, pattern=base, selector=terms.selector(ephemeral.public))
        handshake = self._noise(terms, hello, ephemeral, initiator=True, remote_static=static)
        payload = b""
        if static:
            payload = _encode(_Opening(self.record(), self._memory.next_ms()))
        return replace(hello, noise=handshake.write(payload)), LinkDial(self, hello, handshake, terms)

    def screen(self, hello: Hello) -> None:
        """As LinkSecurity promises."""
        self._terms(hello)

    def answer(self, hello: Hello, welcome: Welcome) -> tuple[Welcome, Answering]:
        """As LinkSecurity promises."""
        terms = self._terms(hello)
        mine = KeyPair.of(self._entropy.randbytes(32))
        handshake = self._noise(terms, hello, mine, initiator=False)
        try:
            payload = handshake.read(hello.noise)
        except PeerFault as fault:
            wrong_key = hello.pattern == _KNOWN_KEY and fault.reason == "seal" and not terms.shared
            raise PeerFault("static-key" if wrong_key else fault.reason) from None
        credentials = None
        if hello.pattern == _KNOWN_KEY:
            credentials = self._opened(payload, hello, handshake, terms)
        reply = _Reply(self.record(), encode(welcome))
        noise = handshake.write(_encode(reply))
        answer = LinkAnswer(self, hello, handshake, terms, credentials)
        return replace(welcome, noise=noise), answer

    def change(self, swarm: SwarmKeys) -> frozenset[bytes]:
        """Handshakes that begin from now on use these keys of the swarm. Returns the names of those accepted."""
        self._memory.secrets.swarm = swarm
        return swarm.accepted_ids

    def should_retry(self, reason: str) -> bool:
        """As LinkSecurity promises."""
        return reason in _AFRESH

    def is_fresh(self, credentials: Credentials) -> bool:
        """As LinkSecurity promises: less than half of the record's life is over."""
        return self._memory.left_ms(credentials.record) > KEYS.record_seconds * 500

    def record(self) -> bytes:
        """This peer's record."""
        return self._memory.own_record.raw()

    def credentials(self, raw: bytes, address: str, static: bytes, terms: Terms) -> Credentials:
        """Whoever proved ``static`` shows this record for ``address``. Raises PeerFault when it may not."""
        record = self._memory.read_any(raw)
        if record.static_key != static:
            raise PeerFault("record-key")
        if record.address != address:
            raise PeerFault("record-address")
        if self._memory.secrets.shared_with(Address(address), record.peer_id) is not None:
            self._ids[address] = record.peer_id
            if len(self._ids) > KEYS.shared_addresses:
                del self._ids[next(iter(self._ids))]
        self._memory.secrets.check(terms, Address(address), record.peer_id)
        return _credentials(raw, record)

    def _terms(self, hello: Hello) -> Terms:
        if hello.pattern not in (_KNOWN_KEY, _UNKNOWN_KEY):
            raise PeerFault("encryption-required" if not hello.pattern else "pattern")
        ephemeral = hello.noise[:KEY_BYTES]
        return self._memory.secrets.find(Use.LINK, hello.selector, ephemeral, Address(hello.own))

    def _opened(self, payload: bytes, hello: Hello, handshake: Handshake, terms: Terms) -> Credentials:
        opening = _decode(payload, _Opening)
        static = handshake.remote_static
        credentials = self.credentials(opening.record, hello.own, static, terms)
        self._accepted.note_time(static, opening.at_ms, self._memory.wall_ms())
        return credentials

    def _noise(
        self,
        terms: Terms,
        hello: Hello,
        ephemeral: KeyPair,
        *,
        initiator: bool,
        remote_static: bytes = b"",
    ) -> Handshake:
        return Handshake(
            terms.pattern(hello.pattern),
            initiator=initiator,
            prologue=_LABEL + encode(replace(hello, noise=b"")),
            ephemeral=ephemeral,
            static=self._memory.identity.static,
            remote_static=remote_static,
            psks=terms.psks,
        )


class LinkDial:
    """The dialler's side, after HELLO."""

    def __init__(self, keys: LinkHandshakes, hello: Hello, handshake: Handshake, terms: Terms) -> None:
        self._keys = keys
        self._hello = hello
        self._handshake = handshake
        self._terms = terms

    def finish(self, welcome: Welcome) -> tuple[Established, bytes]:
        """As Dialling promises."""
        handshake = self._handshake
        reply = _decode(handshake.read(welcome.noise), _Reply)
        if reply.welcome != encode(replace(welcome, noise=b"")):
            raise PeerFault("welcome-altered")
        credentials = self._keys.credentials(
            reply.record, self._hello.dialled, handshake.remote_static, self._terms
        )
        finish = b"" if handshake.is_finished else handshake.write(self._keys.record())
        return _established(handshake, self._terms, credentials, initiator=True), finish


class LinkAnswer:
    """The dialled side, after WELCOME."""

    def __init__(
        self,
        keys: LinkHandshakes,
        hello: Hello,
        handshake: Handshake,
        terms: Terms,
        credentials: Credentials | None,
    ) -> None:
        self._keys = keys
        self._hello = hello
        self._handshake = handshake
        self._terms = terms
        self._credentials = credentials

    @property
    def established(self) -> Established | None:
        """As Answering promises."""
        if self._credentials is None:
            return None
        return _established(self._handshake, self._terms, self._credentials, initiator=False)

    @property
    def is_over(self) -> bool:
        """As Answering promises."""
        return self._handshake.is_finished

    def finish(self, body: bytes) -> Established:
        """As Answering promises."""
        if self._handshake.is_finished:
            raise PeerFault("handshake-order")
        record = self._handshake.read(body)
        credentials = self._keys.credentials(
            record, self._hello.own, self._handshake.remote_static, self._terms
        )
        return _established(self._handshake, self._terms, credentials, initiator=False)


@lru_cache(KEYS.records_remembered)
def _credentials(raw: bytes, record: Record) -> Credentials:
    """One value for all peers of the process that met the same peer: hundreds of tables hold it."""
    return Credentials(raw, record.static_key, record.peer_id, record.sequence)


def _established(
    handshake: Handshake, terms: Terms, credentials: Credentials, *, initiator: bool
) -> Established:
    seal_key, open_key = handshake.split()
    mine, theirs = (b"dialler", b"dialled") if initiator else (b"dialled", b"dialler")
    cipher = LinkCipher(
        seal_key, open_key, handshake.derive(b"proof " + mine), handshake.derive(b"proof " + theirs)
    )
    return Established(cipher, credentials, secret_id(terms.swarm))


_encode = msgspec.msgpack.Encoder().encode
P = TypeVar("P", _Opening, _Reply)


def _decode(payload: bytes, kind: type[P]) -> P:
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except UNDECODABLE:
        raise PeerFault("payload-malformed") from None
