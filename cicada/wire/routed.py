"""Routed messages: what travels through relays to a place, and broadcasts.

A relay reads ``target`` and ``hops`` and nothing else. ``origin`` is the sender's canonical address: answers are
routed to its place like any other message.
"""

from __future__ import annotations

import msgspec

from cicada.limits import WIRE
from cicada.wire.checks import check_addresses, check_place, check_range, check_size

DIGEST_BYTES = 16


class RoutedBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a relay needs: where to, and how far it has come."""

    target: bytes
    origin: str
    hops: int

    def __post_init__(self) -> None:
        check_place(self.target)
        check_addresses(self.origin)
        check_range("hops", self.hops, 0, WIRE.max_path)
        self._check()

    def _check(self) -> None:
        """Refuses field values that no honest peer sends. Raises ValueError."""


class Contact(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=32):
    """First word to a destination: which boot are you? The session handshake will take its place."""

    request: int


class ContactReply(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=33):
    """Answer to Contact: the destination's boot id."""

    request: int
    boot: int


class Data(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=34):
    """One copy of an application message.

    ``(origin, origin_boot, message)`` identifies the message for ever; ``attempt`` and ``copy`` tell its copies apart.
    ``boot`` names the destination's life: another life answers Restarted rather than risk a second delivery.
    """

    origin_boot: int
    message: int
    boot: int
    attempt: int
    copy: int
    payload: bytes

    def _check(self) -> None:
        check_size("payload", self.payload, WIRE.max_payload)


class DataAck(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=35):
    """The destination's word on a Data. ``status`` is a routing.Verdict value, ``digest`` hashes the payload it got.

    ``data_hops`` is the number of links the copy crossed to get there.
    """

    origin_boot: int
    message: int
    attempt: int
    copy: int
    status: int
    boot: int
    digest: bytes
    data_hops: int

    def _check(self) -> None:
        check_range("digest length", len(self.digest), DIGEST_BYTES, DIGEST_BYTES)


class NoSuchPeer(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=36):
    """From the peer whose arc holds the place: nobody lives at ``place``. ``request`` and ``message`` echo what asked (or 0)."""

    place: bytes
    request: int
    message: int

    def _check(self) -> None:
        check_place(self.place)


class Broadcast(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag=48):
    """A body on its way down the interval tree: the receiver serves the places in (itself, ``limit``)."""

    origin: str
    origin_boot: int
    message: int
    limit: bytes
    hops: int
    payload: bytes

    def __post_init__(self) -> None:
        check_addresses(self.origin)
        check_place(self.limit)
        check_range("hops", self.hops, 0, WIRE.max_path)
        check_size("payload", self.payload, WIRE.max_payload)


RoutedMessage = Contact | ContactReply | Data | DataAck | NoSuchPeer
RouterMessage = RoutedMessage | Broadcast
