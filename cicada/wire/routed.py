"""Routed messages: what travels through relays to a place, and broadcasts.

A relay reads ``target``, ``hops`` and ``way`` and nothing else. ``origin`` is the sender's address: answers are routed to
its place like any other message. To and from peers that nobody can dial messages go by their relays: ``lodging`` says by which.
"""

from __future__ import annotations

import msgspec

from cicada.ids import PLACE_BYTES, is_address, is_canonical
from cicada.wire.fields import (
    TAG_BYTES,
    Addresses,
    AddressText,
    BroadcastIds,
    Digest,
    Handshake,
    HiddenPlace,
    Hops,
    Index,
    NameText,
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
    Text,
    VoucherBytes,
    Way,
    check_addresses,
    check_names,
    check_way,
)


class Lodging(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a hidden end of a message is. ``to``: the peer at ``target`` is to pass it on to the hidden one at this place;
    empty when the target itself is meant. ``home``: the origin is hidden, and lodges with the peer at this address; a hint like
    ``origin``, which nobody has to believe. Empty when it is not."""

    to: HiddenPlace = b""
    home: AddressText = ""

    def __post_init__(self) -> None:
        if self.to and len(self.to) != PLACE_BYTES:
            raise ValueError(f"not a place: {self.to.hex()}")
        if self.home:
            check_addresses(self.home)


class RoutedBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What a relay needs: where to, how far it has come, and over peers of which colour."""

    target: PlaceBytes
    origin: NameText
    hops: Hops
    way: Way = b""
    lodging: Lodging | None = None

    def __post_init__(
        self,
    ) -> None:  # as check_names does, without its calls: each relay comes through here
        if not is_canonical(self.origin) and not is_address(self.origin):
            raise ValueError(f"not an address: {self.origin!r}")
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


class PutRecord(RoutedBase, frozen=True, array_like=True, kw_only=True, tag=40):
    """To whoever owns ``target`` or the arc around it: keep this record of the hidden peer at ``about``, which says where it
    lodges. Who is nearest before its place passes it on to its own successors: not when it ``is_copy``."""

    about: PlaceBytes
    record: RecordBytes
    is_copy: bool = False


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

    origin: NameText
    origin_boot: Number
    message: Number
    expires_ms: Number
    payload: Payload
    record: RecordBytes
    signature: Signature
    limit: PlaceBytes
    hops: Hops

    def __post_init__(self) -> None:
        check_names(self.origin)


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


class LodgingBase(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What a peer that nobody can dial and a member say to each other over the link that the first one keeps."""

    request: Number


class LodgingRequest(LodgingBase, frozen=True, array_like=True, kw_only=True, tag=56):
    """Pass on to me, over this link, what is for my hidden address. ``candidate``: also find out whether you can dial me at this
    address; empty: do not."""

    candidate: AddressText = ""

    def __post_init__(self) -> None:
        if self.candidate:
            check_addresses(self.candidate)


class LodgingGranted(LodgingBase, frozen=True, array_like=True, kw_only=True, tag=57):
    """Answer to LodgingRequest: it will, and signs it. ``others`` are members that may be asked too; ``gap`` is the mean distance
    between members, as far as this one can see."""

    voucher: VoucherBytes
    others: Addresses
    gap: PlaceBytes

    def __post_init__(self) -> None:
        check_addresses(*self.others)


class LodgingRefused(LodgingBase, frozen=True, array_like=True, kw_only=True, tag=58):
    """Answer to LodgingRequest: it will not (``full``, ``crowded``, ``not-member``). ``others`` may. With ``request`` 0 it answers
    nothing: it did serve that peer, and does no longer."""

    reason: Text
    others: Addresses

    def __post_init__(self) -> None:
        check_addresses(*self.others)


class LodgingFind(LodgingBase, frozen=True, array_like=True, kw_only=True, tag=59):
    """From a hidden peer to a relay: who owns ``place``?"""

    place: PlaceBytes


class LodgingFound(LodgingBase, frozen=True, array_like=True, kw_only=True, tag=60):
    """Answer to LodgingFind: ``owner``, whose predecessor is named too, and the peers that the relay's lookup passed. All are empty
    when there is a ``reason`` instead."""

    owner: AddressText
    predecessor: AddressText
    route: Addresses
    hops: Hops
    reason: Text = ""

    def __post_init__(self) -> None:
        check_addresses(*self.route)
        if not self.reason:
            check_addresses(self.owner, self.predecessor)


RoutedMessage = (
    Contact
    | ContactReply
    | Data
    | DataAck
    | NoSuchPeer
    | NoSuchSession
    | GetRecord
    | RecordIs
    | PutRecord
    | BroadcastTaken
)
BroadcastMessage = Broadcast | BroadcastAck | BroadcastDigest | BroadcastPull
RouterMessage = RoutedMessage | BroadcastMessage
LodgingMessage = LodgingRequest | LodgingGranted | LodgingRefused | LodgingFind | LodgingFound
