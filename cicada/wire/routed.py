"""Routed messages: what travels through relays to a place, and broadcasts.

A relay reads ``target``, ``hops`` and ``way`` and nothing else. ``origin`` is the sender's canonical address: answers
are routed to its place like any other message.
"""

from __future__ import annotations

import msgspec

from cicada.ids import is_canonical
from cicada.wire.fields import (
    TAG_BYTES,
    AddressText,
    BroadcastIds,
    Digest,
    Handshake,
    Hops,
    Index,
    Number,
    Payload,
    PlaceBytes,
    RecordBytes,
    Sealed,
    Selector,
    Signature,
    Small,
    Succession,
    Tag,
    Way,
    check_addresses,
    check_way,
)


class RoutedBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What a relay needs: where to, how far it has come, and over peers of which colour."""

    target: PlaceBytes
    origin: AddressText
    hops: Hops
    way: Way = b""

    def __post_init__(
        self,
    ) -> None:  # as check_addresses does, without its call: each relay comes through here
        if not is_canonical(self.origin):
            raise ValueError(f"not a canonical address: {self.origin!r}")
        if self.way:
            check_way(self.way)


class Contact(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=32):
    """Opens a session: Noise message 1, whose prologue binds both addresses and the selector.

    Sent again it is the same ``handshake`` under another ``request``.
    """

    request: Number
    selector: Selector
    handshake: Handshake


class ContactReply(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=33):
    """Answer to Contact: Noise message 2."""

    request: Number
    handshake: Handshake


class Data(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=34):
    """One copy of an application message: ``body`` is a DataBody, sealed under ``counter`` of the session that the
    destination knows by ``index``.

    ``attempt`` and ``copy`` tell the copies of a message apart. The copies of one attempt are sealed once: they have one
    counter and the same body. The next attempt has a new one. ``tag`` binds what is outside the body, from ``counter`` to
    ``copy`` and the way, to the session: no relay can make one copy pass for another. Anybody may set ``strayed``, and the
    first relay does that passes the copy to a peer of another colour.
    """

    index: Index
    counter: Number
    attempt: Small
    copy: Small
    tag: Tag = bytes(TAG_BYTES)
    body: Sealed
    strayed: bool = False


class DataAck(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=35):
    """The destination's word on a Data: ``body`` is an AckBody, sealed in the same session.

    ``attempt`` and ``copy`` are those of the Data, for relays; nobody trusts them.
    """

    index: Index
    counter: Number
    attempt: Small
    copy: Small
    body: Sealed


class NoSuchPeer(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=36):
    """From the peer whose arc holds it: nobody lives at ``place``. It echoes ``request`` of what asked or, when that was a
    Data, its ``index`` and ``counter``; what does not apply is 0.
    """

    place: PlaceBytes
    request: Number
    index: Number
    counter: Number


class NoSuchSession(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=37):
    """A hint to the origin of a Data: here no session has its ``index``. Anybody could say so: it ends nothing, and at
    most makes the other side negotiate anew."""

    index: Index
    counter: Number


class GetRecord(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=38):
    """To whoever owns ``target`` or the arc around it: which record do you have of the peer at ``about``?"""

    request: Number
    about: PlaceBytes


class RecordIs(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=39):
    """Answer to GetRecord. ``record`` is empty when there is none. ``succession`` comes from the peer itself, when its key
    took the place of another."""

    request: Number
    about: PlaceBytes
    record: RecordBytes
    succession: Succession


class BroadcastTaken(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=52):
    """To the origin of a broadcast, from one of a few peers: its signed word that it took it. ``origin`` is who took it,
    ``record`` its record."""

    id: Digest
    record: RecordBytes
    signature: Signature


class BroadcastBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What neighbours say to each other about broadcasts. None of it is relayed as it is."""


class Broadcast(BroadcastBase, frozen=True, array_like=True, kw_only=True, tag=48):
    """A body on its way down the interval tree: the receiver serves the places in (itself, ``limit``), none when that is its
    own place. All but ``limit`` and ``hops`` is signed by the origin, with the swarm's name; ``message`` counts its
    broadcasts, ``expires_ms`` is by its wall clock.
    """

    origin: AddressText
    origin_boot: Number
    message: Number
    expires_ms: Number
    payload: Payload
    record: RecordBytes
    signature: Signature
    limit: PlaceBytes
    hops: Hops

    def __post_init__(self) -> None:
        check_addresses(self.origin)


class BroadcastAck(BroadcastBase, frozen=True, array_like=True, kw_only=True, tag=49):
    """To whoever sent a body with this ``limit``: it was taken and its interval is being served. When that is done:
    ``is_done``, and ``reached``, which claims how many peers in it have it, the sender included. A peer that had it
    before counts nobody twice: it says 0."""

    id: Digest
    limit: PlaceBytes
    reached: Number
    is_done: bool


class BroadcastDigest(BroadcastBase, frozen=True, array_like=True, kw_only=True, tag=50):
    """Which broadcasts the sender has of late (IHAVE). Whoever lacks some pulls them; whoever has more says so in a digest of
    its own, which ``is_answer``."""

    ids: BroadcastIds
    is_answer: bool


class BroadcastPull(BroadcastBase, frozen=True, array_like=True, kw_only=True, tag=51):
    """Asks for the bodies of these (GRAFT). Each comes with the asker's own place as its limit."""

    ids: BroadcastIds


RoutedMessage = (
    Contact
    | ContactReply
    | Data
    | DataAck
    | NoSuchPeer
    | NoSuchSession
    | GetRecord
    | RecordIs
    | BroadcastTaken
)
BroadcastMessage = Broadcast | BroadcastAck | BroadcastDigest | BroadcastPull
RouterMessage = RoutedMessage | BroadcastMessage
