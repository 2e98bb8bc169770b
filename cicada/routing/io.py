"""Inputs and outputs of Router: two closed families. What passes between Router and Links (RoutedReceived, Forward) are
the very values of Links, and between Router and negotiator those of the negotiator, so that nothing is wrapped twice on its
way."""

from __future__ import annotations

import enum

import msgspec

from cicada.chord.io import TableChanged
from cicada.events import RoutingEvent
from cicada.ids import Address, Peer, Place
from cicada.keys.io import (
    Abandon,
    Answer,
    Answered,
    AnswerRecord,
    Complete,
    FetchRecords,
    Opening,
    Prepare,
    RecordsFetched,
    Refused,
    Reply,
    RouterBound,
    SessionReady,
)
from cicada.keys.trust import Trust
from cicada.transport.linkio import Forward, RoutedReceived
from cicada.wire.routed import RouterMessage

__all__ = [
    "Abandon",
    "Alarm",
    "Answer",
    "AnswerRecord",
    "Answered",
    "Complete",
    "Copy",
    "Deliver",
    "Fate",
    "FetchRecords",
    "Forward",
    "Fragment",
    "Judged",
    "NegotiatorChanged",
    "NextHopLost",
    "Opening",
    "Prepare",
    "Reason",
    "RecordsFetched",
    "Refused",
    "Reply",
    "RoutedReceived",
    "RouterInput",
    "RouterOutput",
    "SendBroadcast",
    "SendMessage",
    "SessionReady",
    "Settled",
    "Status",
    "TableChanged",
    "Tell",
    "Traced",
    "Trust",
    "Verdict",
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
    CLOSED = "this peer was closed"
    KEY_CHANGED = "key changed"
    CONFLICT = "conflict"
    UNTRUSTED = "less trust than required"


class Fate(enum.StrEnum):
    """What became of one copy."""

    PENDING = "pending"  # nothing is known yet
    INTACT = "intact"  # it arrived as it left
    ALTERED = "altered"  # it arrived changed, and its tag proves which it was
    LOST = "lost"  # no word of it came
    UNATTRIBUTED = "unattributed"  # a copy arrived that does not prove which it was: perhaps this one


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
    Router is given its unsettled messages anew, and the destination's window keeps them single). ``address`` is that of the
    place, where it is known. With less trust than ``require`` nothing is sent. ``ordered``: it enters the mailbox after all
    ordered ones of smaller ids to that place that enter it at all. ``fragment``: only that part of it is in ``payload``.
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


class SendBroadcast(msgspec.Struct, frozen=True):
    """Give ``payload`` to every peer of the ring but this one."""

    id: int
    payload: bytes


class Judged(msgspec.Struct, frozen=True):
    """The owner of the mailbox decided about a Deliver, whose ``ticket`` it names."""

    ticket: int
    verdict: Verdict


class NextHopLost(msgspec.Struct, frozen=True):
    """The link with the peer broke or its acks stopped. ``undelivered`` were sent to it and not acknowledged."""

    peer: Peer
    undelivered: tuple[RouterMessage, ...] = ()


class NegotiatorChanged(msgspec.Struct, frozen=True):
    """Another negotiator is at work: it knows nothing of what the last one was asked."""


class Alarm(msgspec.Struct, frozen=True):
    """``next_deadline()`` may have passed."""


RouterInput = (
    SendMessage
    | SendBroadcast
    | RoutedReceived
    | Judged
    | NextHopLost
    | TableChanged
    | NegotiatorChanged
    | Alarm
    | RouterBound
)


# Outputs


class Deliver(msgspec.Struct, frozen=True, kw_only=True):
    """Put the message into the application's mailbox unless it is there already, and answer Judged.

    ``(peer_id, origin, origin_boot, message)`` identifies it; ``trust`` says how sure the origin is. Broadcasts have ``ticket``
    0 and are not answered; nobody proves who began them, so nothing may follow from one for other messages. ``is_late``: an
    ordered one, whose turn is over: it must not be put there any more.
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


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A SendMessage ended. ``hops`` and ``round_trip_s`` are those of the acknowledged copy (0 when failed).

    ``trust`` is that of the session it went by (None: it never left), ``altered`` the number of copies that arrived changed;
    ``conflict``: neighbours of the destination named another key than the one it proved. ``copies``: what is known of each;
    where one is pending, a Traced follows. ``disjoint``: as far as is known no two copies of one attempt shared a relay.
    """

    id: int
    status: Status
    reason: Reason | None
    attempts: int
    hops: int
    round_trip_s: float
    trust: Trust | None = None
    altered: int = 0
    conflict: bool = False
    copies: tuple[Copy, ...] = ()
    disjoint: bool = True


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """What is known in the end of the copies of a message that settled before."""

    id: int
    copies: tuple[Copy, ...]
    disjoint: bool
    altered: int


class Tell(msgspec.Struct, frozen=True):
    """Tell whoever watches."""

    event: RoutingEvent


ToNegotiator = Prepare | Abandon | Complete | Answer | AnswerRecord | RecordsFetched
RouterOutput = Forward | Deliver | Settled | Traced | Tell | ToNegotiator
