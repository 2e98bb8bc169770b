"""What an application and the machine of channels say to each other. The rest is in ``cicada.services.io``."""

from __future__ import annotations

import msgspec

from cicada.ids import Address, Peer
from cicada.keys.trust import Trust
from cicada.services.io import Find, FoundOwner, Received, Send, Sent, TimerFired


class Join(msgspec.Struct, frozen=True):
    """Input: be a member of a channel. Without effect when it is one already."""

    channel: str


class Leave(msgspec.Struct, frozen=True):
    """Input: be none any more. A peer that owns the channel's place goes on passing messages on."""

    channel: str


class Publish(msgspec.Struct, frozen=True):
    """Input: give a payload to all other members, once each. Answered by Published, or by Dropped."""

    channel: str
    payload: bytes


class Published(msgspec.Struct, frozen=True):
    """Output: it was signed and is on its way, as ``number`` of this membership."""

    channel: str
    number: int


class Carried(msgspec.Struct, frozen=True):
    """Output: another peer has the message of that number, which passes it on: it goes its way without this peer."""

    channel: str
    number: int


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """Output: a message of another member, once and in the order of its origin. ``peer_id``: whose key signed it, empty without
    encryption; ``trust``: how sure it is that this is the peer at ``origin``. ``boot`` tells the origin's memberships apart."""

    channel: str
    origin: Address
    peer_id: str
    number: int
    payload: bytes
    boot: int
    trust: Trust


class Missed(msgspec.Struct, frozen=True):
    """Output: so many messages of a member were waited for and did not come in time. What comes next of it follows them."""

    channel: str
    origin: Address
    peer_id: str
    count: int


class Presence(msgspec.Struct, frozen=True):
    """Output: who is in the channel, approximately and by hearsay: ``members`` in order, at most ``ChannelLimits.names`` of
    ``count``, this peer among them. ``joined`` and ``left`` tell what changed."""

    channel: str
    members: tuple[Address, ...]
    count: int
    joined: tuple[Address, ...]
    left: tuple[Address, ...]


class Connected(msgspec.Struct, frozen=True):
    """Output: a member has a place in the channel's tree, ``depth`` links from the root; None: it looks for one, and what is
    published meanwhile is filled in later."""

    channel: str
    depth: int | None


class Blamed(msgspec.Struct, frozen=True):
    """Output: a peer passed on what nobody signed, or withheld messages."""

    peer: Peer
    reason: str


class Dropped(msgspec.Struct, frozen=True):
    """Output: something was dropped, counted under ``reason``, which ``cicada.events.WHY_DROPPED`` explains."""

    reason: str
    channel: str = ""


ChannelInput = Join | Leave | Publish | Received | Sent | FoundOwner | TimerFired
ChannelOutput = (
    Send | Find | Published | Carried | Delivered | Missed | Presence | Connected | Blamed | Dropped
)
