"""Routed messages: what travels through relays to a place, and broadcasts.

A relay reads ``target`` and ``hops`` and nothing else. ``origin`` is the sender's canonical address: answers
are routed to its place like any other message.
"""

from __future__ import annotations

import msgspec

from cicada.ids import is_canonical
from cicada.wire.fields import (
    AddressText,
    Digest,
    Hops,
    Number,
    Payload,
    PlaceBytes,
    Small,
    Verdict,
    check_addresses,
)


class RoutedBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What a relay needs: where to, and how far it has come."""

    target: PlaceBytes
    origin: AddressText
    hops: Hops

    def __post_init__(
        self,
    ) -> None:  # as check_addresses does, without its call: each relay comes through here
        if not is_canonical(self.origin):
            raise ValueError(f"not a canonical address: {self.origin!r}")


class Contact(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=32):
    """First word to a destination: which boot are you? The session handshake will take its place."""

    request: Number


class ContactReply(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=33):
    """Answer to Contact: the destination's boot id."""

    request: Number
    boot: Number


class Data(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=34):
    """One copy of an application message.

    ``(origin, origin_boot, message)`` identifies the message for ever; ``attempt`` and ``copy`` tell its
    copies apart. ``boot`` names the destination's life: another life refuses it rather than risk a second
    delivery.
    """

    origin_boot: Number
    message: Number
    boot: Number
    attempt: Small
    copy: Small
    payload: Payload


class DataAck(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=35):
    """The destination's word on a Data: ``digest`` hashes the payload it got, ``status`` says what became of it.

    ``data_hops`` is the number of links the copy crossed to get there.
    """

    origin_boot: Number
    message: Number
    attempt: Small
    copy: Small
    status: Verdict
    boot: Number
    digest: Digest
    data_hops: Hops


class NoSuchPeer(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=36):
    """From the peer whose arc holds it: nobody lives at ``place``. ``request`` and ``message`` echo what asked.

    One of the two is 0: it was a Data that asked, or a Contact.
    """

    place: PlaceBytes
    request: Number
    message: Number


class Broadcast(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag=48):
    """A body on its way down the interval tree: the receiver serves the places in (itself, ``limit``)."""

    origin: AddressText
    origin_boot: Number
    message: Number
    limit: PlaceBytes
    hops: Hops
    payload: Payload

    def __post_init__(self) -> None:
        check_addresses(self.origin)


RoutedMessage = Contact | ContactReply | Data | DataAck | NoSuchPeer
RouterMessage = RoutedMessage | Broadcast
