"""Names of things: addresses, places on the ring, peers.

An address is canonical text, ``ip:port`` with a numeric IP (IPv6 in brackets, RFC 5952; v4-mapped folded). A peer that
nobody can dial has a hidden one, ``@`` and its peer id: whoever knows the name knows the key.
A place is the SHA-256 of that text read as a 256-bit unsigned integer, so whoever knows the address knows the place.
"""

from __future__ import annotations

import enum
import hashlib
import ipaddress
from functools import lru_cache
from typing import Final, NamedTuple, NewType, Self

from cicada.errors import Misuse

Address = NewType("Address", str)
Place = NewType("Place", int)

RING_BITS: Final = 256
RING_SIZE: Final = 1 << RING_BITS
PLACE_BYTES: Final = RING_BITS // 8
MAX_PORT: Final = 65535
LONGEST_ADDRESS: Final = len("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
HIDDEN: Final = "@"
_PEER_ID_DIGITS: Final = 64
LONGEST_NAME: Final = len(HIDDEN) + _PEER_ID_DIGITS
_HEX: Final = frozenset("0123456789abcdef")
_REMEMBERED: Final = 1 << 16


def canonical_address(host: str, port: int) -> Address:
    """The canonical text of a numeric ``host`` and ``port``.

    Raises Misuse when ``host`` is not a numeric IP address, has a zone (fe80::1%eth0 means something else on
    every machine), or ``port`` is not in 1..65535.
    """
    try:
        return _canonical_address(host, port)
    except TypeError:
        raise Misuse(f"{host!r} and {port!r} are not an address: use a text and a number") from None


@lru_cache(_REMEMBERED, typed=True)
def _canonical_address(host: str, port: int) -> Address:
    if not 1 <= port <= MAX_PORT:
        raise Misuse(f"port {port} is out of range: use 1 to {MAX_PORT}")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise Misuse(f"{host!r} is not a numeric IP address: resolve host names first") from None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            raise Misuse(f"{host!r} has a zone: use an address that names the same host everywhere")
        if ip.ipv4_mapped is None:
            return Address(f"[{ip.compressed}]:{port}")
        ip = ip.ipv4_mapped
    return Address(f"{ip}:{port}")


def split_address(text: str) -> tuple[str, int]:
    """Host (without brackets) and port of ``host:port`` text. Raises Misuse when it has another form."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > len(str(MAX_PORT)):
        raise Misuse(f"{text!r} is not an address: write host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


@lru_cache(_REMEMBERED)
def is_canonical(text: str) -> bool:
    """Whether ``text`` is exactly the canonical form of an address."""
    try:
        return canonical_address(*split_address(text)) == text
    except Misuse:
        return False


def hidden_address(peer_id: str) -> Address:
    """The address of the peer with this id when nobody can dial it. Raises Misuse when it is not a peer id."""
    if len(peer_id) != _PEER_ID_DIGITS or not _HEX.issuperset(peer_id):
        raise Misuse(f"{peer_id!r} is not a peer id: use the 64 hexadecimal digits that the peer shows")
    return Address(HIDDEN + peer_id)


def is_hidden(address: str) -> bool:
    """Whether an address is that of a peer which nobody can dial."""
    return address.startswith(HIDDEN)


def is_address(text: str) -> bool:
    """Whether ``text`` is exactly the form of an address: one that can be dialled, or a hidden one."""
    if text.startswith(HIDDEN):
        return len(text) == LONGEST_NAME and _HEX.issuperset(text[1:])
    return is_canonical(text)


class Reach(enum.IntEnum):
    """From where an address can be dialled."""

    NOWHERE = 0  # it names no host: unspecified, multicast, reserved
    MACHINE = 1
    NETWORK = 2  # private, link-local and other ranges that are not routed everywhere
    WORLD = 3


@lru_cache(_REMEMBERED)
def reach_of(address: Address) -> Reach:
    """From where an address can be dialled, by its range (the IANA special-purpose registries)."""
    if is_hidden(address):
        return Reach.NOWHERE
    ip = ipaddress.ip_address(split_address(address)[0])
    if ip.is_unspecified or ip.is_multicast or (ip.version == 4 and ip.is_reserved):
        return Reach.NOWHERE
    if ip.is_loopback:
        return Reach.MACHINE
    return Reach.WORLD if ip.is_global else Reach.NETWORK


def is_loopback(address: Address) -> bool:
    """Whether the address can only be reached from this machine."""
    return not is_hidden(address) and ipaddress.ip_address(split_address(address)[0]).is_loopback


def is_unspecified(address: Address) -> bool:
    """Whether the address stands for every interface, so that nobody can dial it."""
    return ipaddress.ip_address(split_address(address)[0]).is_unspecified


class _AddressAndPlace(NamedTuple):
    address: Address
    place: Place


class Peer(_AddressAndPlace):
    """A member of the swarm as the ring names it: an address and the place that follows from it.

    Immutable; two peers are equal when their addresses are. A tuple because tables look peers up all the time, and its
    hash and equality cost no Python call.
    """

    __slots__ = ()

    def __new__(cls, address: Address) -> Self:
        """The peer with this address, whose place is computed: ``peer_at`` remembers it."""
        return super().__new__(cls, address, place_of(address))

    def __repr__(self) -> str:
        return f"Peer({self.address})"

    def __reduce__(self) -> tuple[type[Peer], tuple[Address]]:
        return (Peer, (self.address,))


@lru_cache(_REMEMBERED)
def peer_at(address: Address) -> Peer:
    """The peer with an address. Values are shared, because tables of hundreds of peers name the same few."""
    return Peer(address)


def place_of(address: Address) -> Place:
    """SHA-256 of the address text, as an unsigned integer."""
    return Place(int.from_bytes(hashlib.sha256(address.encode()).digest(), "big"))


def place_to_bytes(place: Place) -> bytes:
    """The 32 big-endian bytes of a place."""
    return place.to_bytes(PLACE_BYTES, "big")


def place_from_bytes(raw: bytes) -> Place:
    """The place that 32 big-endian bytes name."""
    return Place(int.from_bytes(raw, "big"))
