"""What the launcher answers about a swarm and its peers."""

from __future__ import annotations

import msgspec

from cicada.commands.base import Reply
from cicada.commands.faults import FaultRow


class MessageCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Application messages, over all peers since the start."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    dropped: dict[str, int] = msgspec.field(default_factory=dict)


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process. ``cpu_s``: processor time that it has used; ``messages``, ``traffic`` and ``refused`` are as
    in Status, of its peers in this life of the process."""

    name: str
    pid: int
    peers: int
    restarts: int
    rss_bytes: int
    state: str
    cpu_s: float = 0.0
    messages: MessageCounts = MessageCounts()
    traffic: dict[str, int] = msgspec.field(default_factory=dict)
    refused: dict[str, int] = msgspec.field(default_factory=dict)


class GroupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The peers of one group, each counted once: ``joined`` are in the ring and answer; ``joining`` listen and are not in it
    yet, or have not started; of ``suspect`` ones nothing is known (silent, frozen, or waiting for their worker to come
    back); ``dead`` ones have ended or could not start. ``restarts``: of their actors."""

    name: str
    peers: int
    joined: int
    joining: int
    suspect: int
    dead: int
    restarts: int = 0


class TimelineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far the timeline of the configuration is. ``state``: waiting (for the first proof of the ring), running or over.

    Times are seconds from that proof; ``next_s`` and ``upcoming`` are of what is due next (None: nothing is). ``failed``
    could not be done; ``held`` and ``missed`` are of ``expected`` that were looked at, the missed ones in words.
    """

    state: str
    elapsed_s: float
    ends_s: float
    planned: int
    done: int
    failed: int
    expected: int
    held: int
    missed: tuple[str, ...] = ()
    next_s: float | None = None
    upcoming: str = ""


class Status(Reply, frozen=True, kw_only=True, tag=True):
    """The swarm at one instant. ``ring_proven``: every live peer's list and predecessor equal the sorted truth; ``unproven`` says
    what is wrong otherwise. Frozen peers are not dead, and the truth is without them until they are thawed.

    ``rounds`` of stabilize were begun, in the mean over the live peers. ``estimated_size`` and ``churn_per_s`` (members that
    come or go): what the peers in the middle believe of the ring.
    ``refused``: who was not let in or not believed, by reason, over all peers since the start. ``harmful``: how many peers do
    harm on purpose, by behaviour. ``worst``: some of the peers that are not as they should be, the worst first, in words.
    ``traffic``: what crossed the endpoints of the live workers since their start, all frames and bytes of links included.
    """

    run: str
    name: str
    state: str
    launcher_pid: int
    peers: int
    joined: int
    dead: int
    ring_proven: bool
    wrong_successors: int
    wrong_predecessors: int
    workers: tuple[WorkerStatus, ...]
    restarts: int
    messages: MessageCounts
    traffic: dict[str, int]
    rounds: float
    estimated_size: float
    churn_per_s: float
    proven_after_s: float | None
    uptime_s: float
    problems: tuple[str, ...] = ()
    frozen: int = 0
    faults: tuple[FaultRow, ...] = ()
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    harmful: dict[str, int] = msgspec.field(default_factory=dict)
    groups: tuple[GroupStatus, ...] = ()
    worst: tuple[str, ...] = ()
    timeline: TimelineStatus | None = None
    unproven: str = ""


class PeerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One peer. ``behaviour``: what harm it does on purpose."""

    name: str
    address: str
    place: str
    worker: str
    phase: str
    predecessor: str
    successors: tuple[str, ...]
    fingers: int
    restarts: int
    behaviour: str = ""


class Peers(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to GetPeers."""

    rows: tuple[PeerRow, ...]


class LookupResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to Lookup. ``right``: the owner is the one the sorted truth names. ``seconds_per_hop``: how long each peer of the
    route but the first took to answer; empty when the lookup was not iterative, so that nobody can tell."""

    owner: str
    owner_name: str
    place: str
    route: tuple[str, ...]
    hops: int
    seconds: float
    right: bool
    failure: str = ""
    seconds_per_hop: tuple[float, ...] = ()


class SendResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to Send: the receipt. ``copies``: what became of each (intact, altered, lost, unattributed; pending: nobody knows
    yet). ``disjoint``: no relay is known to have had two copies of one attempt."""

    status: str
    reason: str
    attempts: int
    hops: int
    round_trip_s: float
    copies: tuple[str, ...] = ()
    disjoint: bool = True


class BroadcastResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to SendToAll: how many live peers got the body, of how many others; ``bodies`` counts transmissions received."""

    reached: int
    expected: int
    seconds: float
