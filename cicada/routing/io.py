"""Inputs and outputs of Router: two closed families. What passes between Router and Links (RoutedReceived, Forward) are
the very values of Links, and between Router and negotiator those of the negotiator, so that nothing is wrapped twice on its
way."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from cicada.chord.io import FindOwner, OwnerFound, OwnerNotFound, TableChanged
from cicada.events import RoutingEvent
from cicada.ids import Address, Peer, Place
from cicada.keys.io import (
    Abandon,
    Answer,
    Answered,
    AnswerRecord,
    CheckStatement,
    Complete,
    FetchRecords,
    KeepRecord,
    Lodge,
    Opening,
    Prepare,
    RecordKept,
    RecordsFetched,
    RecordSigned,
    Refused,
    Reply,
    RouterBound,
    SessionReady,
    SignStatement,
    StatementChecked,
    StatementSigned,
    Vouch,
    Vouched,
)
from cicada.keys.trust import Trust
from cicada.limits import DELIVERY
from cicada.transport.linkio import DialBack, Forward, Keep, RoutedReceived
from cicada.wire.routed import LodgingMessage, RouterMessage
from cicada.wire.services import Service

__all__ = [
    "Abandon",
    "Alarm",
    "Answer",
    "AnswerRecord",
    "Answered",
    "BroadcastSettled",
    "CheckStatement",
    "Complete",
    "Copy",
    "Deliver",
    "DialBack",
    "Fate",
    "FetchRecords",
    "FindOwner",
    "Findable",
    "Forward",
    "Fragment",
    "HaveDialled",
    "Judged",
    "Keep",
    "KeepRecord",
    "LeaveLodging",
    "LifeNamed",
    "LinksLost",
    "Locate",
    "Located",
    "Lodge",
    "Lodged",
    "LodgingHeard",
    "NegotiatorChanged",
    "NextHopLost",
    "NotLodged",
    "Opening",
    "OwnerFound",
    "OwnerNotFound",
    "Prepare",
    "Reason",
    "RecordKept",
    "RecordSigned",
    "RecordsFetched",
    "RelayLost",
    "Refused",
    "Reply",
    "RoomMade",
    "RoutedReceived",
    "RouterInput",
    "RouterOutput",
    "SeekLodging",
    "SendBroadcast",
    "SendMessage",
    "SessionReady",
    "Settled",
    "SignStatement",
    "StatementChecked",
    "StatementSigned",
    "Status",
    "TableChanged",
    "Tell",
    "Traced",
    "Trust",
    "Verdict",
    "Vouch",
    "Vouched",
]


class Verdict(enum.IntEnum):
    """What became of a message at its destination, as its ack says."""

    DELIVERED = 1  # in the application's mailbox
    BUSY = 2  # the mailbox has no room: not taken, may be sent again
    RESTARTED = 3  # addressed to an earlier life of the destination; this life did not take it
    STALE = 4  # overtaken by so many later messages that nobody can tell any more whether it was taken
    ALTERED = 5  # it was changed on its way: nothing in it is known, so it was not taken
    HELD = 6  # a fragment: kept for a while until the others are there
    WAITING = 7  # all of it is here, and kept for a while until one ordered before it is in the mailbox
    FULL = 8  # the mailbox has no room and its owner wants nobody to wait: not taken, not to be sent again
    ROOM = 9  # about no message: a mailbox that had no room has some again
    NO_SERVICE = 10  # for a service that the destination does not offer: not taken


class Status(enum.Enum):
    """How a receipt settled."""

    DELIVERED = "delivered"
    FAILED = "failed"


class Reason(enum.Enum):
    """Why a receipt failed."""

    NO_SUCH_PEER = "no such peer"
    TIMED_OUT = "timed out"
    RESTARTED = "unknown: peer restarted"
    STALE = "unknown: overtaken by too many later messages"
    BUSY = "destination's mailbox is full"
    NOT_IN_RING = "this peer is not in a ring"
    OVERLOADED = "too many messages in flight"
    BACKLOG = "too many messages wait for the destination"
    CLOSED = "this peer was closed"
    KEY_CHANGED = "key changed"
    CONFLICT = "conflict"
    UNTRUSTED = "less trust than required"
    NO_SERVICE = "no-service"


class Fate(enum.StrEnum):
    """What became of one copy."""

    PENDING = "pending"  # nothing is known yet
    INTACT = "intact"  # it arrived as it left
    ALTERED = "altered"  # it arrived changed, and its tag proves which it was
    LOST = "lost"  # no word of it came
    UNATTRIBUTED = "unattributed"  # a copy arrived that does not prove which it was: perhaps this one


Frame = tuple[Place, int, int]
"""A destination, its index of a session, and a counter in it: what names one attempt on the wire. Destinations choose their
indexes as they like."""


class Copy(msgspec.Struct, frozen=True):
    """One copy of one attempt (from 1). ``via`` is the first hop it left by."""

    attempt: int
    colour: int
    via: Address
    fate: Fate


# Inputs


class Fragment(msgspec.Struct, frozen=True):
    """``part``, counted from 0, of the ``parts`` of a message."""

    message: int
    part: int
    parts: int


class SendMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliver ``payload`` to the peer at ``place``. ``copies`` leave per attempt, on as many disjoint ways as far as there are
    relays; 0: one, and more once it was lost.

    ``id`` is unique per boot of this peer, counted from 1; the same id sent again is the same message (a restarted
    Router is given its unsettled messages anew, and the destination's window keeps them single). ``boot`` is then the life of
    the destination that LifeNamed told: it is for no other one. ``address`` is that of the place, where it is known.
    With less trust than ``require`` nothing is sent. ``ordered``: it enters the mailbox after all ordered ones of smaller ids
    to that place that enter it at all. ``fragment``: only that part of it is in ``payload``. One that is not ``patient`` fails
    where it would wait for room in the destination's mailbox. ``service``: whom there it is for.
    """

    id: int
    place: Place
    payload: bytes
    copies: int = 0
    deadline: float
    address: Address = Address("")
    require: Trust = Trust.UNVERIFIED
    ordered: bool = False
    fragment: Fragment | None = None
    patient: bool = True
    service: int = Service.APPLICATION
    boot: int | None = None


class SendBroadcast(msgspec.Struct, frozen=True, kw_only=True):
    """Give ``payload`` to every peer of the ring but this one.

    ``id`` counts the broadcasts of this boot, from 1: others see by it what they missed. The same one said again, to a Router
    that takes over, is the same broadcast. Nobody takes it after ``expires_ms`` (wall clock), nor more than
    ``BroadcastLimits.seconds`` before. BroadcastSettled answers by ``deadline``.
    """

    id: int
    payload: bytes
    expires_ms: int
    deadline: float


class Judged(msgspec.Struct, frozen=True):
    """The owner of the mailbox decided about a Deliver, whose ``ticket`` it names. When it was taken there is room for
    ``credit`` more like it from its sender; with none left, or when it was not taken, RoomMade may follow when there is some."""

    ticket: int
    verdict: Verdict
    credit: int = DELIVERY.credit_first


class RoomMade(msgspec.Struct, frozen=True):
    """The mailbox has room again for so many messages of a sender, whom a Judged had left no credit."""

    peer_id: str
    origin: Address
    credit: int


class NextHopLost(msgspec.Struct, frozen=True):
    """The link with the peer broke or its acks stopped. ``undelivered`` were sent to it and not acknowledged."""

    peer: Peer
    undelivered: tuple[RouterMessage | LodgingMessage, ...] = ()


class SeekLodging(msgspec.Struct, frozen=True):
    """To a hidden peer's Router: find relays, beginning with these members. Answered by Lodged, or by NotLodged at ``deadline``
    (absolute)."""

    seeds: tuple[Peer, ...]
    deadline: float


class LeaveLodging(msgspec.Struct, frozen=True):
    """To a hidden peer's Router: do without relays."""


class HaveDialled(msgspec.Struct, frozen=True):
    """To a hidden peer's Router: have its relays dial this address now and again; empty: no more."""

    candidate: Address


class Located(msgspec.Struct, frozen=True):
    """Answer to Locate."""

    ticket: int
    found: OwnerFound | OwnerNotFound


class LodgingHeard(msgspec.Struct, frozen=True):
    """A hidden peer or a relay said something to this one over their link. ``source``: from where the link was made, as
    Endpoint.source has it."""

    sender: Peer
    message: LodgingMessage
    source: str


class RelayLost(msgspec.Struct, frozen=True):
    """The last link with a relay, or with a peer that lodges here, has ended."""

    peer: Peer


class LinksLost(msgspec.Struct, frozen=True):
    """What carries messages was started anew: there are no links, and nobody was told so."""


class NegotiatorChanged(msgspec.Struct, frozen=True):
    """Another negotiator is at work: it knows nothing of what the last one was asked."""


class Alarm(msgspec.Struct, frozen=True):
    """``next_deadline()`` may have passed."""


RouterInput = (
    SendMessage
    | SendBroadcast
    | RoutedReceived
    | Judged
    | RoomMade
    | NextHopLost
    | TableChanged
    | SeekLodging
    | LeaveLodging
    | HaveDialled
    | FindOwner
    | Located
    | LodgingHeard
    | RelayLost
    | LinksLost
    | NegotiatorChanged
    | Alarm
    | RouterBound
)


# Outputs


class Deliver(msgspec.Struct, frozen=True, kw_only=True):
    """Put the message into the application's mailbox unless it is there already, and answer Judged.

    ``(peer_id, origin, origin_boot, message)`` identifies it; ``trust`` says how sure the origin is. Broadcasts have ``ticket``
    0 and are not answered; they are counted apart from messages. ``is_late``: an ordered one, whose turn is over: it must not be
    put there any more. ``service``: who gets it, if it is not for the mailbox.
    """

    ticket: int
    origin: Peer
    origin_boot: int
    message: int
    payload: bytes
    hops: int
    broadcast: bool = False
    trust: Trust = Trust.UNVERIFIED
    peer_id: str = ""
    is_late: bool = False
    service: int = Service.APPLICATION


class LifeNamed(msgspec.Struct, frozen=True):
    """The next attempt of SendMessage ``id`` names ``boot`` as the life of the destination that it is for. Told before that
    attempt is forwarded, so that whoever says the message again to a Router that takes over can say for whom it is."""

    id: int
    boot: int


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A SendMessage ended. ``hops`` and ``round_trip_s`` are those of the acknowledged copy (0 when failed).

    ``trust`` is that of the session it went by (None: it never left) and ``peer_id`` what its other end proved, ``altered`` the
    number of copies that arrived changed; ``conflict``: neighbours of the destination named another key than the one it proved.
    ``copies``: what is known of each; where one is pending, a Traced follows. ``disjoint``: as far as is known no two copies of
    one attempt shared a relay. ``frames`` name its attempts on the wire, ``answer`` the ack: whose it was, index and counter.
    """

    id: int
    status: Status
    reason: Reason | None
    attempts: int
    hops: int
    round_trip_s: float
    trust: Trust | None = None
    peer_id: str = ""
    altered: int = 0
    conflict: bool = False
    copies: tuple[Copy, ...] = ()
    disjoint: bool = True
    frames: Sequence[Frame] = ()
    answer: tuple[Address, int, int] | None = None


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """What is known in the end of the copies of a message that settled before."""

    id: int
    copies: tuple[Copy, ...]
    disjoint: bool
    altered: int
    frames: Sequence[Frame] = ()
    answer: tuple[Address, int, int] | None = None


class BroadcastSettled(msgspec.Struct, frozen=True, kw_only=True):
    """A SendBroadcast ended. ``reached`` is how many peers have it as those down the tree claim; ``is_complete``: each part of
    the ring was accounted for. ``sample`` are peers whose signed word this one checked. ``reason``: why it never left."""

    id: int
    reason: Reason | None
    reached: int = 0
    is_complete: bool = False
    sample: tuple[Address, ...] = ()


class Locate(msgspec.Struct, frozen=True):
    """Look up who owns ``place``, for a hidden peer that this one serves. Answered by Located."""

    ticket: int
    place: Place


class Lodged(msgspec.Struct, frozen=True):
    """Answer to SeekLodging, and told whenever they change: these members serve this peer, which can send. Findable says whether
    others find it."""

    relays: tuple[Peer, ...]


class Findable(msgspec.Struct, frozen=True):
    """Told whenever it changes: whether others find the record of this hidden peer, and so reach it."""

    is_found: bool


class NotLodged(msgspec.Struct, frozen=True):
    """Answer to SeekLodging: none did in time. ``reason`` names the last one and what it said."""

    reason: str


class Tell(msgspec.Struct, frozen=True):
    """Tell whoever watches."""

    event: RoutingEvent


ToNegotiator = (
    Prepare
    | Abandon
    | Complete
    | Answer
    | AnswerRecord
    | RecordsFetched
    | SignStatement
    | CheckStatement
    | Vouch
    | Lodge
    | KeepRecord
)
RouterOutput = (
    Forward
    | Keep
    | DialBack
    | Deliver
    | LifeNamed
    | Settled
    | Traced
    | BroadcastSettled
    | Lodged
    | NotLodged
    | Findable
    | Locate
    | OwnerFound
    | OwnerNotFound
    | Tell
    | ToNegotiator
)
