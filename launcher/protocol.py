"""What the launcher asks of a worker, and what the worker answers: two closed families.

Every command concerns many peers at once. What fails for one peer is part of the reply; the others are not affected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from cicada.bus.snapshot import Part
from cicada.commands import SendResult
from cicada.keys.psks import PreShared
from cicada.routing.behaviour import Behaviour
from cicada.transport.faults import NO_FAULTS, FaultTable
from launcher.load.plan import LoadShare
from launcher.logs.levels import LevelSetting


class WorkerCommand(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of what a worker is asked."""


class SetKeys(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Whose keys peers have that start from now on, and the secrets that those and the running ones use. Answered by Report.

    ``identities`` derives each peer's keys from its address; empty: they are kept in files. Never shown: secrets.
    """

    identities: bytes
    dial: bytes
    accept: tuple[bytes, ...]
    shared: tuple[PreShared, ...]
    encrypt: bool

    def __repr__(self) -> str:
        return "SetKeys()"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("encrypt", self.encrypt)]


class PeerAddress(msgspec.Struct, frozen=True):
    """A peer by name, the address it listens at, and what harm it does on purpose."""

    name: str
    address: str
    behaviour: Behaviour | None = None


class StartPeers(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Create these peers and bind them. They are in no ring yet. Answered by Report."""

    peers: tuple[PeerAddress, ...]


class JoinSeed(msgspec.Struct, frozen=True):
    """A hosted peer, and the address of the member it joins through; empty: it founds the ring."""

    name: str
    seed: str


class JoinPeers(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Have hosted peers enter the ring, all at once, each within ``timeout`` seconds. Answered by Report."""

    joins: tuple[JoinSeed, ...]
    timeout: float


class TakeViews(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Where every hosted peer stands, at this instant. Answered by Views."""


class TellPart(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Wait a moment until these subscriptions are known, and say then what stands of all events that were told. Answered by
    PartTold."""

    heard: tuple[bytes, ...] = ()


class ReadCounters(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Sums over all peers that this worker hosted so far. Answered by Counters."""


class StopPeers(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Have hosted peers leave the ring, within ``timeout`` seconds each, and end. Answered by Report."""

    names: tuple[str, ...]
    timeout: float


class KillPeers(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Drop the actors and links of hosted peers without a farewell. Answered by Report."""

    names: tuple[str, ...]


class SetFaults(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """From now on these faults are in force between peers and no others, and exactly these hosted peers stand still.
    Answered by Report."""

    table: FaultTable = NO_FAULTS
    frozen: tuple[str, ...] = ()


class CrashActors(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Have one actor of each of these peers fail: ``actor`` is transport, ring or router. Answered by Report."""

    names: tuple[str, ...]
    actor: str


class FindOwner(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Ask hosted peer ``via`` who owns a place, in hex. Answered by Owner."""

    via: str
    place: str
    iterative: bool
    timeout: float


class SendOne(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Send from hosted peer ``via`` to an address. Answered by commands.SendResult."""

    via: str
    target: str
    payload: bytes
    duplicates: int | None
    timeout: float


class WatchBroadcast(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Count from now on which hosted peers receive a broadcast with this payload. Answered by Report."""

    payload: bytes


class SendBroadcast(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Broadcast from hosted peer ``via``. Answered by Report."""

    via: str
    payload: bytes


class CountBroadcast(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """How many hosted peers received the broadcast that is watched. Answered by Reached."""


class PrepareLoad(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Account from now on for what hosted peers receive of this load; send nothing yet. Answered by Report.

    The account is kept in the file ``ledger``, where the launcher reads it whatever becomes of the worker. ``began``: when it
    started, on the machine's monotonic clock, if it has.
    """

    share: LoadShare
    ledger: str
    began: float | None = None


class StartLoad(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Begin the share at this instant of the machine's monotonic clock, since every worker is prepared to account for it.
    What was to begin in the first ``skip_s`` seconds is left out: the worker was dead then. Answered by Report."""

    at: float
    skip_s: float = 0.0


class HaltLoad(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Begin nothing more of the share, and wait for what is in flight. Answered by Report."""


class CollectLoad(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """How far the share is. Answered by LoadReport."""


class EndLoad(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Send no more, and forget the account. Answered by Report."""


class SetLevels(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """Log these from another level on, whether they run yet or not. Answered by Report."""

    settings: tuple[LevelSetting, ...]


class Shutdown(WorkerCommand, frozen=True, kw_only=True, tag=True):
    """End all peers without a farewell, since the whole swarm ends, and then the process. Answered by Report."""


TrafficCommand = (
    FindOwner
    | SendOne
    | WatchBroadcast
    | SendBroadcast
    | CountBroadcast
    | PrepareLoad
    | StartLoad
    | HaltLoad
    | CollectLoad
    | EndLoad
)
"""What concerns messages through peers."""

HostingCommand = (
    SetKeys
    | StartPeers
    | JoinPeers
    | TakeViews
    | ReadCounters
    | SetFaults
    | StopPeers
    | KillPeers
    | CrashActors
    | TrafficCommand
    | SetLevels
    | Shutdown
)
"""What concerns peers and their log."""

AnyWorkerCommand = HostingCommand | TellPart


class WorkerReply(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of what a worker answers."""


class Report(WorkerReply, frozen=True, kw_only=True, tag=True):
    """For which peers a command succeeded, and why it failed for the others."""

    done: tuple[str, ...] = ()
    failed: dict[str, str] = {}


class PeerView(msgspec.Struct, frozen=True, kw_only=True):
    """One peer at this instant. ``silent``: why it gave no snapshot; ``failed``: why its supervisor gave up.

    ``rounds`` of stabilize were begun by its present ring node. ``estimated_size`` and ``churn`` (per second) are what it
    believes of the whole ring.
    """

    name: str
    phase: str
    joined: bool
    predecessor: str | None
    successors: tuple[str, ...]
    fingers: int
    restarts: int
    rounds: int = 0
    estimated_size: float = 0.0
    churn: float = 0.0
    silent: str = ""
    failed: str = ""


class Views(WorkerReply, frozen=True, kw_only=True, tag=True):
    """Answer to TakeViews."""

    peers: tuple[PeerView, ...]


class PartTold(WorkerReply, frozen=True, kw_only=True, tag=True):
    """Answer to TellPart."""

    part: Part


class Counters(WorkerReply, frozen=True, kw_only=True, tag=True):
    """Answer to ReadCounters: application messages and drops, who was refused, restarts of actors, what crossed the
    endpoint, and records that no log took."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    dropped: dict[str, int] = {}
    refused: dict[str, int] = {}
    restarts: int = 0
    traffic: dict[str, int] = {}
    unlogged: int = 0


class Owner(WorkerReply, frozen=True, kw_only=True, tag=True):
    """Answer to FindOwner. ``failure`` is empty when the owner was found; ``route`` starts with the asking peer."""

    owner: str = ""
    route: tuple[str, ...] = ()
    hops: int = 0
    seconds: float = 0.0
    failure: str = ""
    seconds_per_hop: tuple[float, ...] = ()


class Reached(WorkerReply, frozen=True, kw_only=True, tag=True):
    """Answer to CountBroadcast: peers that received it."""

    peers: int


class LoadReport(WorkerReply, frozen=True, kw_only=True, tag=True):
    """Answer to CollectLoad. ``finished``: nothing more begins and everything ended. ``lag_s``: the longest that the loop stood
    still since the last report. ``failure``: why the generator is no more."""

    finished: bool
    in_flight: int = 0
    lag_s: float = 0.0
    failure: str = ""


AnyWorkerReply = Report | Views | PartTold | Counters | Owner | SendResult | Reached | LoadReport


def sum_counters(parts: Iterable[Counters]) -> Counters:
    """The counters of several peers, or workers, as one."""
    every = list(parts)
    dropped: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    traffic: Counter[str] = Counter()
    for part in every:
        dropped.update(part.dropped)
        refused.update(part.refused)
        traffic.update(part.traffic)
    return Counters(
        sent=sum(part.sent for part in every),
        delivered=sum(part.delivered for part in every),
        failed=sum(part.failed for part in every),
        dropped=dict(dropped),
        refused=dict(refused),
        restarts=sum(part.restarts for part in every),
        traffic=dict(traffic),
        unlogged=sum(part.unlogged for part in every),
    )
