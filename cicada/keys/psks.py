"""Secrets that were shared beforehand: the key of a closed swarm, and the keys that two peers agreed on outside of it.

A handshake names the secrets it uses by a **selector**, 8 bytes that only those who hold the first of them can make or
recognise, and that differ each time. Whoever holds none of them is refused by hashing alone: once for each swarm key and
for each peer whose keys are known by its id.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Iterator
from hashlib import blake2s
from typing import Final

import msgspec

from cicada.errors import Misuse, PeerFault
from cicada.ids import Address
from cicada.keys.aead import KEY_BYTES

SELECTOR_BYTES: Final = 8


class PreShared(msgspec.Struct, frozen=True, kw_only=True):
    """The keys shared with one peer, known by its ``address`` or its ``peer_id`` (the other text is empty). What this side
    calls ``outbound`` the other calls ``inbound``. Its ``repr`` shows no key."""

    outbound: bytes
    inbound: bytes
    address: Address = Address("")
    peer_id: str = ""

    def __post_init__(self) -> None:
        if len(self.outbound) != KEY_BYTES or len(self.inbound) != KEY_BYTES:
            raise Misuse(f"a pre-shared key has {KEY_BYTES} bytes")
        if bool(self.address) == bool(self.peer_id):
            raise Misuse("pre-shared keys belong to an address or to a peer id: name one of them")

    @property
    def whose(self) -> str:
        """The address or peer id."""
        return self.address or self.peer_id

    def __repr__(self) -> str:
        return f"PreShared({self.whose})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """msgspec's own would show every field in a traceback that Rich formats. The same below."""
        return [("whose", self.whose)]


class SwarmKeys(msgspec.Struct, frozen=True):
    """The keys of a closed swarm: the one dialled with, and those accepted (during a rotation more than one). An open
    swarm has none."""

    dial: bytes = b""
    accept: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        keys = (self.dial, *self.accept) if self.is_closed else ()
        if any(len(key) != KEY_BYTES for key in keys):
            raise Misuse(f"a swarm key has {KEY_BYTES} bytes")

    @property
    def is_closed(self) -> bool:
        """Whether a key is needed to link with a peer of the swarm."""
        return bool(self.dial or self.accept)

    def __repr__(self) -> str:
        return "SwarmKeys(closed)" if self.is_closed else "SwarmKeys(open)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("is_closed", self.is_closed)]

    @property
    def accepted_ids(self) -> frozenset[bytes]:
        """The names of the keys accepted; an open swarm's links need none, so theirs is empty."""
        return frozenset(map(secret_id, self.accept)) if self.is_closed else frozenset((b"",))


def secret_id(key: bytes) -> bytes:
    """Names a swarm's key without telling anything about it; empty for none."""
    return blake2s(key, person=b"secretid", digest_size=SELECTOR_BYTES).digest() if key else b""


OPEN: Final = SwarmKeys()


class Use(enum.Enum):
    """What a handshake is for. A session does not need the swarm's key: its links had it."""

    LINK = "link"
    SESSION = "session"


class Terms(msgspec.Struct, frozen=True):
    """The secrets of one handshake, and whose they are. ``first`` is the psk0 of the pattern, ``last`` the psk of its last
    message; empty where there is none."""

    first: bytes = b""
    last: bytes = b""
    swarm: bytes = b""
    shared: PreShared | None = None

    def pattern(self, base: str) -> str:
        """The name of the pattern ``XX`` or ``IK`` with these secrets."""
        last = f"psk{3 if base == 'XX' else 2}"
        modifiers = [name for name, psk in (("psk0", self.first), (last, self.last)) if psk]
        return base + "+".join(modifiers)

    @property
    def psks(self) -> tuple[bytes, ...]:
        """For the Handshake."""
        return tuple(psk for psk in (self.first, self.last) if psk)

    def selector(self, ephemeral: bytes) -> bytes:
        """What names the secrets in a handshake with this ephemeral key; empty when there are none."""
        if not self.first:
            return b""
        return blake2s(ephemeral, key=self.first, person=b"selector", digest_size=SELECTOR_BYTES).digest()

    def __repr__(self) -> str:
        return f"Terms({self.pattern('')}, {self.shared})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("pattern", self.pattern("")), ("shared", self.shared)]


class Secrets:
    """All secrets that one peer shares with others."""

    def __init__(self, swarm: SwarmKeys = OPEN, shared: tuple[PreShared, ...] = ()) -> None:
        self.swarm = swarm
        self._by_address = {entry.address: entry for entry in shared if entry.address}
        self._by_peer_id = {entry.peer_id: entry for entry in shared if entry.peer_id}
        self._accepted: dict[bytes, tuple[Terms, ...]] = {}
        if len(self._by_address) + len(self._by_peer_id) != len(shared):
            raise Misuse("a peer stands twice among the pre-shared keys: name each once")

    def __repr__(self) -> str:
        return f"Secrets({self.swarm}, {len(self._by_address) + len(self._by_peer_id)} pre-shared)"

    def shared_with(self, address: Address, peer_id: str = "") -> PreShared | None:
        """The keys shared with a peer. An entry for its id counts more than one for the address where it is."""
        return self._by_peer_id.get(peer_id) or self._by_address.get(address)

    def offer(self, use: Use, address: Address, peer_id: str = "") -> Terms:
        """The terms on which this side begins a handshake with the peer at ``address``, whose id it may know."""
        shared = self.shared_with(address, peer_id)
        swarm = self.swarm.dial if use is Use.LINK else b""
        return _terms(swarm, shared, initiates=True)

    def find(self, use: Use, selector: bytes, ephemeral: bytes, claimed: Address) -> Terms:
        """The terms of a handshake that the peer claiming to be at ``claimed`` begins with ``selector``.

        Raises PeerFault ``pre-shared-key`` when a key is shared with that address and it uses another, or none; and
        ``swarm-key`` when the swarm is closed and it does not have its key.
        """
        for terms in self._acceptable(use, claimed):
            if hmac.compare_digest(terms.selector(ephemeral), selector):
                return terms
        is_shared = claimed in self._by_address
        raise PeerFault("pre-shared-key" if is_shared or not self._needs_swarm_key(use) else "swarm-key")

    def check(self, terms: Terms, address: Address, peer_id: str) -> None:
        """The other side turned out to be ``peer_id``. Raises PeerFault ``pre-shared-key`` when the terms are not those on
        which this peer is talked with: no other pattern will do. (It may have the same keys under its address and its id.)"""
        if _keys(self.shared_with(address, peer_id)) != _keys(terms.shared):
            raise PeerFault("pre-shared-key")

    def _needs_swarm_key(self, use: Use) -> bool:
        return use is Use.LINK and self.swarm.is_closed

    def _acceptable(self, use: Use, claimed: Address) -> Iterator[Terms]:
        for swarm in self.swarm.accept if self._needs_swarm_key(use) else (b"",):
            yield _terms(swarm, self._by_address.get(claimed), initiates=False)
            yield from self._of_peer_ids(swarm)

    def _of_peer_ids(self, swarm: bytes) -> tuple[Terms, ...]:
        """Made once: a stranger's first message is compared with all of them, because it does not say who sent it."""
        if swarm not in self._accepted:
            entries = self._by_peer_id.values()
            self._accepted[swarm] = tuple(_terms(swarm, entry, initiates=False) for entry in entries)
        return self._accepted[swarm]


def _keys(shared: PreShared | None) -> tuple[bytes, bytes] | None:
    return None if shared is None else (shared.outbound, shared.inbound)


def _terms(swarm: bytes, shared: PreShared | None, *, initiates: bool) -> Terms:
    """Both the swarm's key and the shared one go into psk0, so that neither alone opens the handshake."""
    if shared is None:
        return Terms(first=swarm, swarm=swarm)
    first, last = (shared.outbound, shared.inbound) if initiates else (shared.inbound, shared.outbound)
    mixed = blake2s(first, key=swarm, person=b"psk0").digest() if swarm else first
    return Terms(first=mixed, last=last, swarm=swarm, shared=shared)
