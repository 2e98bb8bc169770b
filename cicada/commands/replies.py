"""What the launcher answers about a swarm and its peers."""

from __future__ import annotations

import msgspec

from cicada.commands.base import Reply
from cicada.commands.faults import FaultRow


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process."""

    name: str
    pid: int
    peers: int
    restarts: int
    rss_bytes: int
    state: str


class MessageCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Application messages, over all peers since the start."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    dropped: dict[str, int] = msgspec.field(default_factory=dict)


class Status(Reply, frozen=True, kw_only=True, tag=True):
    """The swarm at one instant. ``ring_proven``: every live peer's list and predecessor equal the sorted truth. Frozen
    peers are not dead, and the truth is without them until they are thawed.

    ``rounds`` of stabilize were begun, in the mean over the live peers. ``estimated_size`` and ``churn_per_s`` (members that
    come or go): what the peers in the middle believe of the ring.
    ``refused``: who was not let in or not believed, by reason, over all peers since the start. ``harmful``: how many peers do
    harm on purpose, by behaviour.
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
    """Answer to Lookup. ``right``: the owner is the one the sorted truth names."""

    owner: str
    owner_name: str
    place: str
    route: tuple[str, ...]
    hops: int
    seconds: float
    right: bool
    failure: str = ""


class SendResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to Send: the receipt."""

    status: str
    reason: str
    attempts: int
    hops: int
    round_trip_s: float


class BroadcastResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to SendToAll: how many live peers got the body, of how many others; ``bodies`` counts transmissions received."""

    reached: int
    expected: int
    seconds: float
