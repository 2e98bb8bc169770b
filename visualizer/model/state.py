"""What is known of a swarm: plain values that the fold keeps and everything else reads."""

from __future__ import annotations

import copy
import enum
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from cicada.events import AnyEvent

REMEMBERED_LINES = 2_000
REMEMBERED_EVENTS_OF_PEER = 20
FLIGHTS = 4_096


class PeerState(enum.Enum):
    """What a peer is doing. Each has a colour and a shape of its own."""

    STARTING = "starting"  # listens, in no ring
    JOINING = "joining"
    MEMBER = "member"
    ALONE = "alone"  # a ring of one
    SUSPECT = "suspect"  # others took it out of their tables, and nobody said that it ended
    FROZEN = "frozen"
    RESTARTING = "restarting"  # its worker or it died and is being brought back
    LEFT = "left"
    DEAD = "dead"

    @property
    def is_live(self) -> bool:
        """Whether it counts in the true ring."""
        return self in (PeerState.MEMBER, PeerState.ALONE)


@dataclass(slots=True)
class PeerView:
    """One peer. Neighbours and tables are addresses, as the events name them."""

    name: str
    address: str
    place: int  # in [0, 2**256)
    group: str
    worker: str
    state: PeerState = PeerState.STARTING
    behaviour: str = ""  # what harm it does on purpose
    mapped: str = ""  # the external address of its mapped port
    predecessor: str = ""
    successors: tuple[str, ...] = ()
    fingers: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    restarts: int = 0
    mailbox: int = 0
    in_flight: int = 0
    sent: float = 0.0  # application messages a second
    delivered: float = 0.0
    failed: float = 0.0
    dropped: float = 0.0
    round_trip_s: float = 0.0
    since_ms: int = 0  # when its state began
    events: deque[Line] = field(default_factory=lambda: deque(maxlen=REMEMBERED_EVENTS_OF_PEER))
    relays: tuple[str, ...] = ()  # members that a hidden peer is reached by
    phase: PeerState = PeerState.STARTING  # what its ring says of itself, whatever holds it up at present

    @property
    def hidden(self) -> bool:
        """Nobody can dial it: it lodges with relays and is in no ring table."""
        return self.address.startswith("@")


class Kind(enum.Enum):
    """Kinds of lines and of messages, each of which can be switched off."""

    RING = "ring"
    LOOKUP = "lookup"
    DATA = "data"
    RECEIPT = "receipt"
    BROADCAST = "broadcast"
    LINK = "link"
    KEY = "key"
    NAT = "nat"
    RUN = "run"
    FAULT = "fault"
    LOAD = "load"


class Line(NamedTuple):
    """One line of the event log."""

    time_ms: int
    kind: Kind
    peer: str  # name; empty: the swarm
    text: str
    is_bad: bool  # somebody ought to look at it


class Flight(NamedTuple):
    """One hop of a sampled message, from a peer's name to another's. ``fate``: empty, altered or lost as far as is known."""

    trip: str
    kind: Kind
    start: str
    end: str
    at_us: int
    copy: int
    attempt: int
    hops: int
    fate: str = ""


@dataclass(slots=True)
class Trip:
    """A sampled message: its hops by copy, in order, and how it ended."""

    trip: str
    kind: Kind
    origin: str
    target: str
    flights: list[Flight] = field(default_factory=list)
    fates: tuple[str, ...] = ()  # of its copies: intact, altered, lost, unattributed
    outcome: str = ""
    harmed: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict)
    """By copy and attempt: altered or lost, and how many links it had crossed when a relay did that."""
    altered_by: set[str] = field(default_factory=set)
    """Peers that pass a broadcast on altered."""


class WrongLink(NamedTuple):
    """A member whose successor is not the next live member. ``seen`` is the address it names (empty: none), ``due`` a name."""

    peer: str
    seen: str
    due: str


@dataclass(slots=True)
class Health:
    """How right the ring is: members are compared with the sorted truth."""

    members: int = 0
    right_heads: int = 0
    right_predecessors: int = 0
    wrong: tuple[WrongLink, ...] = ()

    @property
    def convergence(self) -> float:
        """The share of heads and predecessors that are right; 1 in a ring of nobody, of which nobody should be told that it is
        right."""
        return (self.right_heads + self.right_predecessors) / (2 * self.members) if self.members else 1.0


@dataclass(slots=True)
class Edge:
    """What goes from one peer to another, by names: messages a second by kind, as last counted."""

    start: str
    end: str
    rates: dict[str, float]
    at_ms: int

    @property
    def rate(self) -> float:
        """All of it."""
        return sum(self.rates.values())


class Mark(NamedTuple):
    """Something on the timeline: a fault, its end, a death, a restart, a load's beginning or end, a missed expectation."""

    time_ms: int
    kind: Kind
    text: str
    is_bad: bool


@dataclass(slots=True)
class FaultView:
    """A fault in force."""

    number: int
    kind: str
    peers: frozenset[str]
    others: frozenset[str]
    since_ms: int


@dataclass(slots=True)
class LoadView:
    """The load that runs, or ran last."""

    number: int
    running: bool = True
    target: float = 0.0
    rate: float = 0.0
    succeeded: int = 0
    failed: int = 0
    dropped: int = 0
    outcome: str = ""


class Change(NamedTuple):
    """What one event was about, for whoever shows it: the fold returns it."""

    event: AnyEvent | None
    peer: str
    line: Line | None


@dataclass(slots=True)
class SwarmState:
    """The whole swarm at one instant. Only the fold changes it."""

    name: str = ""
    run_state: str = ""
    now_ms: int = 0  # of the last event
    peers: dict[str, PeerView] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)  # pids
    faults: dict[int, FaultView] = field(default_factory=dict)
    load: LoadView | None = None
    health: Health = field(default_factory=Health)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    flights: deque[Flight] = field(default_factory=lambda: deque(maxlen=FLIGHTS))
    trips: dict[str, Trip] = field(default_factory=dict)  # the latest, bounded
    log: deque[Line] = field(default_factory=lambda: deque(maxlen=REMEMBERED_LINES))
    marks: list[Mark] = field(default_factory=list)
    sampled: int = 1  # one message of so many is shown
    counts: Counter[str] = field(
        default_factory=Counter
    )  # messages settled, failed, dropped ... as counted by events
    unknown: Counter[str] = field(default_factory=Counter)  # kinds of events that this version does not know
    lost: int = 0  # events that never came
    addresses: dict[str, str] = field(default_factory=dict)  # names of peers by every address that named them
    places: dict[int, str] = field(default_factory=dict)  # the same by place


def copied(state: SwarmState) -> SwarmState:
    """Another state of the same values, in collections of its own. Peers, trips, edges and faults are the same ones: whoever
    changes one puts another in its place."""
    other = copy.copy(state)
    other.peers, other.workers = state.peers.copy(), state.workers.copy()
    other.faults, other.edges, other.trips = state.faults.copy(), state.edges.copy(), state.trips.copy()
    other.flights, other.log, other.marks = state.flights.copy(), state.log.copy(), state.marks.copy()
    other.counts, other.unknown = state.counts.copy(), state.unknown.copy()
    other.addresses, other.places = state.addresses.copy(), state.places.copy()
    return other
