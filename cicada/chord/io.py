"""Inputs and outputs of RingNode: two closed families. Peers are values, never text, on this side of the wire."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from cicada.events import RingEvent
from cicada.ids import Peer, Place
from cicada.wire.ring import RingMessage


class LookupFailure(enum.Enum):
    """Why a lookup ended without an owner. An expected outcome, so a value."""

    TIMED_OUT = "timed-out"
    NO_ROUTE = "no-route"
    NOT_MEMBER = "not-member"
    HOP_LIMIT = "hop-limit"
    OVERLOADED = "overloaded"
    NOT_GLOBAL = "not-global"  # of a join: members with global addresses take in no others


# Inputs


class CreateRing(msgspec.Struct, frozen=True):
    """Become a ring of one."""


class JoinRing(msgspec.Struct, frozen=True):
    """Enter the ring that ``seeds`` belong to. They are tried in turn, again and again, until ``deadline`` (absolute)."""

    seeds: tuple[Peer, ...]
    deadline: float


class LeaveRing(msgspec.Struct, frozen=True):
    """Say farewell to the neighbours and be gone."""


class MessageReceived(msgspec.Struct, frozen=True):
    """A ring message arrived over a link from ``sender``, who is that peer if it is proven, and else only claims its address:
    links give nobody else the address of a peer that they have proven."""

    sender: Peer
    message: RingMessage


class PeerProven(msgspec.Struct, frozen=True):
    """A dial to the peer's address finished its handshake: it may become head, predecessor, finger, next hop."""

    peer: Peer


BUSY: Final = "busy"
"""Reason of PeerUnreachable: the own links had no room for a dial, which says nothing of the peer."""


class PeerUnreachable(msgspec.Struct, frozen=True):
    """The peer's link broke, its acks stopped, or a dial failed, in a word for ``reason``. ``undelivered`` were sent to it
    and not acknowledged. All but BUSY is a reason to suspect it."""

    peer: Peer
    undelivered: tuple[RingMessage, ...] = ()
    reason: str = ""


class FindOwner(msgspec.Struct, frozen=True):
    """The application asks who owns ``place``. Answered by OwnerFound or OwnerNotFound with the same id."""

    id: int
    place: Place
    iterative: bool = False


class SetExtra(msgspec.Struct, frozen=True):
    """Put ``data`` (at most WIRE.max_extra bytes) on every ring message from now on."""

    data: bytes


class TimerFired(msgspec.Struct, frozen=True):
    """``next_deadline()`` may have passed. Early, late and double wakes are harmless."""


RingInput = (
    CreateRing
    | JoinRing
    | LeaveRing
    | MessageReceived
    | PeerProven
    | PeerUnreachable
    | FindOwner
    | SetExtra
    | TimerFired
)


# Outputs


class SendTo(msgspec.Struct, frozen=True):
    """Send over the link with ``peer``, opening one when there is none."""

    peer: Peer
    message: RingMessage


class Prove(msgspec.Struct, frozen=True):
    """Dial the peer's address; answered by PeerProven or PeerUnreachable. At once when the proof is kept."""

    peer: Peer


class Joined(msgspec.Struct, frozen=True):
    """The node is a member now."""


class JoinFailed(msgspec.Struct, frozen=True):
    """The deadline of JoinRing passed. ``reason`` names the seed and what went wrong."""

    reason: str


class Left(msgspec.Struct, frozen=True):
    """The farewells were given; the node does nothing more."""


class OwnerFound(msgspec.Struct, frozen=True):
    """Answer to FindOwner. ``route`` lists the peers the lookup passed, this one first; ``hops`` is its number of links.
    ``seconds``, of an iterative one: how long each of them but the first took to answer."""

    id: int
    owner: Peer
    predecessor: Peer
    route: tuple[Peer, ...]
    hops: int
    seconds: tuple[float, ...] = ()


class OwnerNotFound(msgspec.Struct, frozen=True):
    """Answer to FindOwner."""

    id: int
    reason: LookupFailure


class TableChanged(msgspec.Struct, frozen=True):
    """What the Router routes by, whenever it changes. All peers in it are proven. Not a member: ``head`` is None and
    ``known`` empty. In a ring of one ``head`` is the peer itself."""

    head: Peer | None
    predecessor: Peer | None
    known: tuple[Peer, ...]


class ExtraReceived(msgspec.Struct, frozen=True):
    """A neighbour's upper layers put ``data`` on a ring message that came straight from it."""

    sender: Peer
    data: bytes


class Refused(msgspec.Struct, frozen=True):
    """So many peers were not let into the tables, put out of them, or not believed, for this reason. One that is named again
    counts again."""

    reason: str
    count: int


class Emit(msgspec.Struct, frozen=True):
    """Tell whoever watches."""

    event: RingEvent


RingOutput = (
    SendTo
    | Prove
    | Joined
    | JoinFailed
    | Left
    | OwnerFound
    | OwnerNotFound
    | TableChanged
    | ExtraReceived
    | Refused
    | Emit
)


class RingSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The node at one instant, for status, proofs and tests. Nothing in it can be used to change the node."""

    peer: Peer
    phase: str
    incarnation: int
    predecessor: Peer | None
    successors: tuple[Peer, ...]
    unverified: tuple[Peer, ...]
    fingers: tuple[Peer, ...]
    quarantined: tuple[Peer, ...]
    stabilize_interval: float
    rounds: int  # of stabilize, begun by this node since it was made
    estimated_size: float  # members of the ring, judged by the own list
    churn: float  # members that come or go in the whole ring, per second, judged by the own list
