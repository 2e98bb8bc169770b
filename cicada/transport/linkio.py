"""Inputs and outputs of Links: two closed families. The pump translates endpoint callbacks and tells into inputs, and
carries outputs out in the order given.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from cicada.events import LinkEvent
from cicada.ids import Address, Peer
from cicada.transport.base import ConnectionId
from cicada.wire.codec import Message
from cicada.wire.frames import Frame
from cicada.wire.ring import RingMessage
from cicada.wire.routed import LodgingMessage, RouterMessage
from cicada.wire.security import Identified, Identify, Met, Unidentified


class IndexSource(Protocol):
    """Where indexes come from: the endpoint's ``attach`` and ``detach`` for one receiver. An id source, no I/O."""

    def attach(self) -> int:
        """A fresh random 32-bit index, never 0; frames that bear it will arrive here. Raises Unavailable."""
        ...

    def detach(self, index: int) -> None:
        """Give an index back."""
        ...


class Entropy(Protocol):
    """Where challenges come from: the operating system, except in simulations."""

    def randbytes(self, n: int, /) -> bytes:
        """``n`` bytes that no peer can guess."""
        ...


# Inputs


class SendMessage(msgspec.Struct, frozen=True, gc=False):
    """Send ``message`` to the peer, dialling it when there is no link. ``source`` is the peer a relayed message came
    from (None: this peer), for the fair queues."""

    peer: Peer
    message: Message
    source: Peer | None = None


class Forward(SendMessage, frozen=True, gc=False):
    """The same for a routed message: the Router's output, so that nothing is wrapped twice on its way."""

    peer: Peer
    message: RouterMessage | LodgingMessage
    source: Peer | None = None


class Prove(msgspec.Struct, frozen=True):
    """Find out whether the peer answers at its address. Answered by Proven or Unreachable, at once when the proof is
    kept; askings that wait together get one answer together."""

    peer: Peer


class Need(enum.Enum):
    """What links are kept for."""

    RING = "ring"  # with head and predecessor
    LODGING = "lodging"  # between hidden peers and their relays


class Keep(msgspec.Struct, frozen=True):
    """From now on exactly the links with these peers are pinged and never closed as idle for this need."""

    peers: frozenset[Peer]
    need: Need = Need.RING


class Revoke(msgspec.Struct, frozen=True):
    """Close every link that needed another secret of the swarm than these. What it had not finished goes over a new one."""

    accepted: frozenset[bytes]


class Connected(msgspec.Struct, frozen=True, gc=False):
    """A Connect succeeded: ``connection`` was dialled by our endpoint to exactly ``remote``."""

    remote: Address
    connection: ConnectionId


class ConnectFailed(msgspec.Struct, frozen=True):
    """A Connect failed or timed out."""

    remote: Address
    reason: str


class FramesArrived(msgspec.Struct, frozen=True, gc=False):
    """Frames that arrived together: for our indexes, HELLOs for our address, or UNKNOWNs on a connection we use."""

    connection: ConnectionId
    frames: Sequence[Frame]


class Disconnected(msgspec.Struct, frozen=True):
    """The connection is gone. ``idle``: our endpoint closed it by design, which says nothing about the peers on it."""

    connection: ConnectionId
    reason: str


class NotTaken(msgspec.Struct, frozen=True):
    """The endpoint did not take the frame of a Transmit (backlog full). It will be handed out again a little later."""

    connection: ConnectionId
    frame: bytes


class DialBack(msgspec.Struct, frozen=True):
    """Dial the peer's address, whatever is known of it, because it wants to know whether that can be done. Not answered."""

    peer: Peer


class CloseAll(msgspec.Struct, frozen=True):
    """Say CLOSE on every link and forget everything: this peer ends. Messages that wait are dropped and counted."""

    reason: str


class TimerFired(msgspec.Struct, frozen=True):
    """``next_deadline()`` may have passed. Early, late and double wakes are harmless."""


LinkInput = (
    SendMessage
    | Prove
    | Identify
    | DialBack
    | Keep
    | Revoke
    | Connected
    | ConnectFailed
    | FramesArrived
    | Disconnected
    | NotTaken
    | CloseAll
    | TimerFired
)


# Outputs


class Connect(msgspec.Struct, frozen=True):
    """Have the endpoint connect to ``remote``; answer with Connected or ConnectFailed."""

    remote: Address


class Release(msgspec.Struct, frozen=True):
    """This peer has no more use for the connection."""

    connection: ConnectionId


class Authenticated(msgspec.Struct, frozen=True):
    """A handshake finished on the connection: it is a stranger's no longer."""

    connection: ConnectionId


class DropConnection(msgspec.Struct, frozen=True):
    """Close the connection: what came over it was not even a handshake."""

    connection: ConnectionId
    reason: str


class Transmit(msgspec.Struct, frozen=True, gc=False):
    """Give the bytes of one frame (length prefix included), meant for the peer at ``remote``, to the endpoint.

    When it does not take them, answer NotTaken, and answer NotTaken without trying for all later Transmits on the same
    connection in the same list of outputs: a frame must never overtake an earlier one of its link.
    """

    connection: ConnectionId
    frame: bytes
    remote: Address


class RingReceived(msgspec.Struct, frozen=True, gc=False):
    """A ring message came over a link with ``sender``, whose address is claimed, not proven."""

    sender: Peer
    message: RingMessage


class RoutedReceived(msgspec.Struct, frozen=True, gc=False):
    """A routed message or broadcast came over a link with ``sender``: the Router's input."""

    sender: Peer
    message: RouterMessage


class Proven(msgspec.Struct, frozen=True):
    """Answer to Prove: over a connection dialled to exactly its address, the peer finished a handshake, or showed
    that it holds the link which it had opened."""

    peer: Peer


class LodgingReceived(msgspec.Struct, frozen=True, gc=False):
    """A hidden peer and a relay talk: ``message`` came over a link with ``sender`` on this connection."""

    sender: Peer
    message: LodgingMessage
    connection: ConnectionId


class KeptLost(msgspec.Struct, frozen=True):
    """The last link with a peer that was kept has ended, for whatever reason."""

    peer: Peer


BUSY: Final = "busy"
"""Reason of Unreachable: this peer itself has no room for another dial now. That says nothing about the other one."""


class Unreachable(msgspec.Struct, frozen=True):
    """The peer could not be dialled, its connection broke, its acks stopped, or it broke a rule: no proof is kept. When the
    reason is BUSY nothing is known to be wrong with the peer, and its proof is kept; no other peer can cause that reason by what
    it says.

    ``undelivered`` were sent to it and not acknowledged (they may have arrived), oldest first, then those that still
    waited; the very objects that were given to SendMessage.
    """

    peer: Peer
    undelivered: tuple[Message, ...]
    reason: str


class Dropped(msgspec.Struct, frozen=True):
    """``count`` messages were dropped for good: ``queue-full``, ``too-large``, ``self`` or ``closed``."""

    reason: str
    count: int


class Refused(msgspec.Struct, frozen=True):
    """Somebody was not let in, or not believed: a handshake, a record, a claim. Nothing but counters changed."""

    reason: str


class HopBegun(msgspec.Struct, frozen=True):
    """A message that whoever watches is told of goes to the peer now."""

    peer: Peer
    message: Message


class Emit(msgspec.Struct, frozen=True):
    """Tell whoever watches."""

    event: LinkEvent


LinkOutput = (
    Connect
    | Release
    | Authenticated
    | DropConnection
    | Transmit
    | RingReceived
    | RoutedReceived
    | LodgingReceived
    | KeptLost
    | Proven
    | Identified
    | Unidentified
    | Met
    | Unreachable
    | Dropped
    | Refused
    | HopBegun
    | Emit
)


class LinkRow(msgspec.Struct, frozen=True, kw_only=True):
    """One open link at one instant; sizes in bytes, times in seconds."""

    peer: Peer
    index: int
    connection: ConnectionId
    dialled: bool
    incarnation: int
    sent: int
    received: int
    unacknowledged: int
    queued: int
    round_trip_s: float
    timeout_s: float


class LinksSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All links of one peer at one instant. Nothing in it can be used to change them."""

    links: tuple[LinkRow, ...]
    dialling: tuple[Peer, ...]
    proven: frozenset[Peer]
