"""What happens to one peer: its ring, its messages, its links, its keys, its mapped ports."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cicada.events.base import Event

# Ring


class PhaseChanged(Event, frozen=True, kw_only=True, tag=True):
    """A RingNode entered another phase."""

    phase: str
    reason: str = ""


class SuccessorsChanged(Event, frozen=True, kw_only=True, tag=True):
    """The whole successor list, head first, by address."""

    successors: tuple[str, ...]


class PredecessorChanged(Event, frozen=True, kw_only=True, tag=True):
    """Empty: none known."""

    predecessor: str


class FingersChanged(Event, frozen=True, kw_only=True, tag=True):
    """Peers that entered and left the finger table."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


class PeerSuspected(Event, frozen=True, kw_only=True, tag=True):
    """A peer was taken out of all tables and put into quarantine."""

    suspect: str
    reason: str


class LookupStarted(Event, frozen=True, kw_only=True, tag=True):
    """This peer was asked who owns ``place`` (hex). ``lookup`` as in LookupFinished."""

    place: str
    lookup: int
    iterative: bool


class LookupFinished(Event, frozen=True, kw_only=True, tag=True):
    """A lookup that this peer asked for ended. ``owner`` is empty when it failed, and ``reason`` says why.

    ``lookup`` is its number at this peer, ``trip`` what HopTaken calls it (empty: it never left).
    """

    place: str
    owner: str
    hops: int
    seconds: float
    reason: str = ""
    lookup: int = 0
    trip: str = ""


RingEvent = (
    PhaseChanged
    | SuccessorsChanged
    | PredecessorChanged
    | FingersChanged
    | PeerSuspected
    | LookupStarted
    | LookupFinished
)


# Routing


class MessageSettled(Event, frozen=True, kw_only=True, tag=True):
    """A receipt of this peer settled."""

    message: int
    status: str
    reason: str
    attempts: int
    hops: int
    round_trip_s: float
    trust: str = ""
    altered: int = 0
    conflict: bool = False
    copies: int = 0
    disjoint: bool = True


class MessageDropped(Event, frozen=True, kw_only=True, tag=True):
    """This peer dropped a message on its way, or refused it."""

    reason: str
    count: int = 1


WHY_DROPPED: Final[Mapping[str, str]] = MappingProxyType(
    {
        # at the sender
        "sends-refused": "send raised MailboxFull: its process had more on its way than it can carry",
        "not-in-ring": "this peer was in no ring",
        # at relays
        "queue-full": "a link could not carry it in time, and its source held more than its share of what waited",
        "no-route": "no known peer was nearer to its destination, while the ring was in repair",
        "hop-limit": "it had crossed too many links",
        "answer-to-nobody": "an answer to a peer that has gone",
        "hidden": "it was for a peer that nobody can dial, and did not say by which relay",
        "lodging-rate": "a peer that nobody can dial asked its relay too often",
        "record-rate": "a neighbour passed on too many records of peers that nobody can dial",
        "not-lodging": "it was for a peer that nobody can dial, which does not lodge here, or does so no more",
        "inbox-full": "an actor of this peer was too far behind",
        "too-large": "its encoding does not fit into a frame",
        "self": "a link to this peer itself was asked for",
        "closed": "this peer ended while it waited",
        "actor-ended": "an actor of this peer ended while it waited",
        "actor-restarting": "an actor of this peer was being started again",
        "not-wired": "the actors of this peer did not know each other yet",
        "fault": "a fault that somebody set",
        # at the destination
        "mailbox-full": "the mailbox had no room for a message of its sender, who waits or fails, as the owner chose",
        "mailbox-overwritten": "acknowledged, and dropped unread for a later one, as the owner chose (drop-oldest)",
        "reply-late": "nobody waited any more for a reply to that request, or it had one",
        "reply-strange": "a reply to something that this peer did not ask, or did not ask its sender",
        "no-service": "it was for a service that this peer does not offer",
        "service-full": "the service that it was for had no room for it",
        "origins-full": "too many senders are remembered, so as to take nothing twice, for one more",
        "tickets-full": "too many messages waited for the mailbox's owner to judge them",
        "altered": "a copy that was changed on its way",
        "malformed": "what was sealed in it is no message",
        "too-old": "overtaken by so many of its session that nobody can tell whether it came before",
        "foreign-session": "it named a session with somebody else",
        "no-such-session": "it named a session that is not known here: its sender negotiates anew",
        "broadcast-duplicate": "a broadcast that had come before",
        "broadcast-came-back": "an own broadcast",
        "fragments-full": "a fragment for which its sender, or all of them together, had no room left",
        "fragment-unfit": "a fragment that contradicts others of its message",
        "fragments-idle": "a message of which some fragments never came",
        "ordered-full": "an ordered message that came early, when no more could be held back",
        "ordered-idle": "an ordered message that the one before it kept waiting too long",
        "overtaken": "an ordered message that came after a later one",
        # broadcasts
        "broadcast-extended-too-often": "a broadcast whose interval was handed over too often",
        "broadcast-altered": "another text under the name of a broadcast that was taken",
        "broadcast-body-gone": "a broadcast to be passed on that is not kept any more",
        "broadcast-not-from-origin": "it came from another peer than the one whose first word it was said to be",
        "broadcast-rate": "its link had brought too many that were not right",
        "broadcast-checks-full": "too many signatures waited to be checked",
        "broadcast-digest-rate": "a link announced or asked too often",
        "broadcast-expired": "nobody takes it any more",
        "broadcast-from-the-future": "signed for longer than broadcasts are, or by a clock that is ahead",
        "broadcast-below-floor": "older than what is remembered of its origin",
        "broadcast-crowded": "too many lives of its origin, or origins, are remembered",
        "broadcast-signature": "its origin did not sign it",
        "broadcast-key-changed": "signed with another key than the one that is pinned to its origin's address",
        "broadcast-record-address": "its origin's record is about another address",
        "broadcast-record-expired": "its origin's record is too old",
        "broadcast-record-malformed": "its origin's record cannot be read",
        "broadcast-record-sequence": "its origin's record is older than one that is known",
        "broadcast-record-signature": "its origin did not sign its record",
        "broadcast-record-swarm": "its origin's record is for another swarm",
        # services
        "service-malformed": "for channels or names, and not what peers say to each other about these",
        "channel-not-joined": "published in a channel that this peer has not joined",
        "channel-too-large": "published with more bytes than a message of a channel may have",
        "channel-unknown": "about a channel that this peer neither joined nor serves",
        "channels-full": "about one channel more than this peer, or whoever named it, may have here",
        "channel-stranger": "a message of a channel from a peer that is no neighbour in it and was not asked",
        "channel-flood": "its origin published more than its share",
        "channel-asks": "a peer asked more about channels than its share",
        "channel-useless": "a neighbour in a channel brought too many messages that were not new",
        "channel-signature": "its origin did not sign it, or the record it came with; who passed it on is no neighbour any more",
        "channel-refused": "its origin's record or key is not the one that is known here",
        "channel-expired": "nobody takes it any more, or its origin's clock is ahead",
        "channel-crowded": "too many lives of its origin, or origins, are remembered in the channel",
        "channel-banned": "from a peer that passed on what nobody signed, or withheld messages",
        "channel-late": "it came after later ones of its origin had to be delivered",
        "channel-slow": "a neighbour in a channel did not take messages as fast as they came: it attaches anew and is filled in",
    }
)
"""Every reason for which a message, or one of its copies, is dropped or refused, and what it means. Counted by peer, and shown by
``cicada status``."""


class BroadcastReceived(Event, frozen=True, kw_only=True, tag=True):
    """A broadcast reached this peer for the first time."""

    origin: str
    message: int
    hops: int


class BroadcastStarted(Event, frozen=True, kw_only=True, tag=True):
    """This peer gives something to all others. ``message`` as in BroadcastReceived."""

    message: int
    bytes: int


class BroadcastFinished(Event, frozen=True, kw_only=True, tag=True):
    """A broadcast of this peer settled: ``reached`` peers have it, as those down the tree claim. ``complete``: each part of the
    ring was accounted for. ``reason``: why it never left. ``trip`` as in HopTaken."""

    message: int
    reached: int
    complete: bool
    reason: str = ""
    trip: str = ""


class RelaysChanged(Event, frozen=True, kw_only=True, tag=True):
    """This peer, which nobody can dial, is reached by these members now. None: by nobody, or it needs none any more."""

    relays: tuple[str, ...]


class RelayMisbehaved(Event, frozen=True, kw_only=True, tag=True):
    """This peer, which was told to do harm, did so to a message of others: its class, and what its header said before.

    ``target`` and ``way`` are hex; ``counter``, ``index``, ``attempt``: 0, ``way``: empty where it has none. ``field``: what
    was altered, ``unreadable`` when nothing left. ``trip`` as in HopTaken.
    """

    behaviour: str
    message: str
    origin: str
    target: str
    counter: int = 0
    index: int = 0
    attempt: int = 0
    way: str = ""
    field: str = ""
    trip: str = ""


RoutingEvent = (
    MessageSettled
    | MessageDropped
    | BroadcastStarted
    | BroadcastReceived
    | BroadcastFinished
    | RelaysChanged
    | RelayMisbehaved
)


# Links


class LinkOpened(Event, frozen=True, kw_only=True, tag=True):
    """A handshake with ``remote`` finished; ``dialled``: by this side."""

    remote: str
    dialled: bool


class LinkClosed(Event, frozen=True, kw_only=True, tag=True):
    """A link ended. ``left``: so many others with ``remote`` are open still, as after two peers dialled each other."""

    remote: str
    reason: str
    left: int = 0


class PeerFaulted(Event, frozen=True, kw_only=True, tag=True):
    """A remote broke a rule and lost its link or connection."""

    remote: str
    reason: str


LinkEvent = LinkOpened | LinkClosed | PeerFaulted


# Keys


class KeyChanged(Event, frozen=True, kw_only=True, tag=True):
    """The peer at a pinned address shows another key than the pinned one. Fingerprints are peer ids."""

    address: str
    pinned: str
    shown: str


class KeyConflict(Event, frozen=True, kw_only=True, tag=True):
    """Neighbours of a peer name other keys of it than it proved (``proven``, empty when it could not be dialled)."""

    address: str
    proven: str
    named: tuple[str, ...]


class PinMade(Event, frozen=True, kw_only=True, tag=True):
    """A key was pinned to an address, at first use or because the old key signed the new one (``replaced``)."""

    address: str
    key: str
    replaced: str = ""


class HandshakeRefused(Event, frozen=True, kw_only=True, tag=True):
    """This peer did not take a session's handshake from whoever says that it is ``remote``. A few a minute are told of, and all are
    counted, by reason, among the refusals that `cicada status` shows."""

    remote: str
    reason: str


KeyEvent = KeyChanged | KeyConflict | PinMade | HandshakeRefused


# Port mapping


class PortMapped(Event, frozen=True, kw_only=True, tag=True):
    """The router forwards ``external`` (``ip:port``; the IP may be unknown, so empty) to ``port``, for ``lease_s`` (0: always).

    Not ``is_global``: that address is behind another NAT.
    """

    port: int
    protocol: str
    gateway: str
    external: str
    lease_s: float
    is_global: bool


class PortMappingLost(Event, frozen=True, kw_only=True, tag=True):
    """A mapping is gone, or nobody knows whether it stands. It is made again as soon as possible."""

    port: int
    reason: str


class PortMappingFailed(Event, frozen=True, kw_only=True, tag=True):
    """No router maps the port at present. It is tried again within ``retry_in_s``."""

    port: int
    reason: str
    advice: str
    retry_in_s: float


NatEvent = PortMapped | PortMappingLost | PortMappingFailed
