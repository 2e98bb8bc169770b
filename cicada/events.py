"""Bus events: what happened in a swarm, as values. State is a fold over them.

The publisher wraps each into an Envelope; cores only emit the event itself.
"""

from __future__ import annotations

import msgspec

EVENT_VERSION = 1
"""Rises when an event changes its meaning. Fields may be appended with defaults without a new version."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events. The tag is the class name."""


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


class LookupFinished(Event, frozen=True, kw_only=True, tag=True):
    """A lookup that this peer asked for ended. ``owner`` is empty when it failed, and ``reason`` says why.

    ``lookup`` is its number at this peer.
    """

    place: str
    owner: str
    hops: int
    seconds: float
    reason: str = ""
    lookup: int = 0


RingEvent = (
    PhaseChanged | SuccessorsChanged | PredecessorChanged | FingersChanged | PeerSuspected | LookupFinished
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


class BroadcastReceived(Event, frozen=True, kw_only=True, tag=True):
    """A broadcast reached this peer for the first time."""

    origin: str
    message: int
    hops: int


class RelayMisbehaved(Event, frozen=True, kw_only=True, tag=True):
    """This peer, which was told to do harm, did so to a message of others: its class, and what its header said before.

    ``target`` and ``way`` are hex; ``counter``, ``index``, ``attempt``: 0, ``way``: empty where it has none. ``field``: what
    was altered, ``unreadable`` when nothing left.
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


RoutingEvent = MessageSettled | MessageDropped | BroadcastReceived | RelayMisbehaved


# Links


class LinkOpened(Event, frozen=True, kw_only=True, tag=True):
    """A handshake with ``remote`` finished; ``dialled``: by this side."""

    remote: str
    dialled: bool


class LinkClosed(Event, frozen=True, kw_only=True, tag=True):
    """A link ended."""

    remote: str
    reason: str


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
    """This peer did not take a session's handshake from whoever says that it is ``remote``."""

    remote: str
    reason: str


KeyEvent = KeyChanged | KeyConflict | PinMade | HandshakeRefused


# Supervision and the run


class PeerStarted(Event, frozen=True, kw_only=True, tag=True):
    """A peer listens at ``address``."""

    address: str
    place: str


class PeerStopped(Event, frozen=True, kw_only=True, tag=True):
    """A peer ended: ``how`` is left, killed, stopped or failed."""

    how: str


class ChildExited(Event, frozen=True, kw_only=True, tag=True):
    """A supervised actor or worker ended without being asked to."""

    child: str
    reason: str


class ChildRestarted(Event, frozen=True, kw_only=True, tag=True):
    """Supervision started it again; ``restarts`` counts since the supervisor began."""

    child: str
    restarts: int


class Escalated(Event, frozen=True, kw_only=True, tag=True):
    """A supervisor gave up: more failures within its window than its intensity allows."""

    child: str
    reason: str


class WorkerStarted(Event, frozen=True, kw_only=True, tag=True):
    """A worker process is up."""

    worker: str
    pid: int


class WorkerExited(Event, frozen=True, kw_only=True, tag=True):
    """A worker process ended; ``expected``: it was told to."""

    worker: str
    pid: int
    exit: str
    expected: bool


class RunStateChanged(Event, frozen=True, kw_only=True, tag=True):
    """The swarm as a whole: starting, joining, proven, degraded, stopping, stopped, failed."""

    state: str
    detail: str = ""


class WaveRestarted(Event, frozen=True, kw_only=True, tag=True):
    """A wave of a rolling restart is back; the next waits for the proof of the ring. Counts from 1."""

    wave: int
    waves: int
    peers: tuple[str, ...]


class FaultStarted(Event, frozen=True, kw_only=True, tag=True):
    """Somebody set a fault. Numbers count from 1 in each run; the fields are those of commands.FaultRow, ``lasts`` in
    seconds (None: until it is ended)."""

    fault: int
    kind: str
    one: str
    other: str
    peers: tuple[str, ...]
    others: tuple[str, ...]
    seconds: float
    jitter: float
    percent: float
    lasts: float | None


class FaultEnded(Event, frozen=True, kw_only=True, tag=True):
    """A fault ended, or for these of its ``peers`` only. ``reason``: healed, thawed, expired, or worker-ended."""

    fault: int
    kind: str
    peers: tuple[str, ...]
    reason: str


class CommandReceived(Event, frozen=True, kw_only=True, tag=True):
    """Somebody asked the launcher to do something to the swarm."""

    command: str


class EventsLost(Event, frozen=True, kw_only=True, tag=True):
    """This publisher or recorder lost events since it last said so: nobody took them fast enough, or the file was full."""

    count: int
    reason: str


RunEvent = (
    PeerStarted
    | PeerStopped
    | ChildExited
    | ChildRestarted
    | Escalated
    | WorkerStarted
    | WorkerExited
    | RunStateChanged
    | WaveRestarted
    | FaultStarted
    | FaultEnded
    | CommandReceived
    | EventsLost
)

AnyEvent = RingEvent | RoutingEvent | LinkEvent | KeyEvent | RunEvent


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it travels: who, which in order, when."""

    source: str  # publisher: launcher, worker-0, ...
    sequence: int  # per source and kind of event, from 1, without gaps: whoever takes only some kinds still sees gaps
    time_ms: int  # wall clock
    peer: str  # name or address of the peer it is about; empty: the source itself
    event: AnyEvent
    version: int = EVENT_VERSION
