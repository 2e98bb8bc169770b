"""What may be asked of a running swarm's launcher, and what it answers: two closed families.

The command line, the visualizer and applications send these through control.RemoteRef. A **selector** names peers:
``core-3`` (a peer), ``worker-1`` (a worker), ``core`` or ``core:10%`` (of a group), ``10%`` or ``all`` (of the swarm).
"""

from __future__ import annotations

import enum
from typing import Literal

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all commands."""


class GetStatus(Command, frozen=True, kw_only=True, tag=True):
    """Status of the swarm, with fresh snapshots of every live peer compared with the sorted truth."""


class GetPeers(Command, frozen=True, kw_only=True, tag=True):
    """One row for each peer that the selector names."""

    select: str = "all"


class Join(Command, frozen=True, kw_only=True, tag=True):
    """Have peers that are not in the ring join it."""

    select: str = "all"


class Lookup(Command, frozen=True, kw_only=True, tag=True):
    """Who owns ``value`` (an address, a peer's name, or a place in hex), as seen from peer ``via`` (empty: any)."""

    value: str
    via: str = ""
    iterative: bool = False


class Send(Command, frozen=True, kw_only=True, tag=True):
    """Send from peer ``via`` (empty: any) to a name or address, and wait for the receipt."""

    target: str
    payload: bytes
    via: str = ""
    duplicates: int | None = None
    timeout: float = 10.0


class SendToAll(Command, frozen=True, kw_only=True, tag=True):
    """Broadcast from peer ``via`` (empty: any), and count who got it within ``timeout`` seconds."""

    payload: bytes
    via: str = ""
    timeout: float = 5.0


class Kill(Command, frozen=True, kw_only=True, tag=True):
    """End peers, which stay dead until Restart. ``hard``: without a farewell. A worker gets SIGKILL and is supervised back."""

    select: str
    hard: bool = False


class Stop(Command, frozen=True, kw_only=True, tag=True):
    """Have peers leave the ring and end. They stay stopped until Restart."""

    select: str


class Restart(Command, frozen=True, kw_only=True, tag=True):
    """Start peers again (stopping them first when they live), under the same names and addresses, and join them.

    ``rolling``: ``at_once`` peers after the others (0: a tenth of them), each time once the ring is proven. When it is not
    within ``timeout`` seconds after a wave, the rest is left as it is and the answer is Refused.
    """

    select: str
    rolling: bool = False
    at_once: int = 0
    timeout: float = 60.0


class Crash(Command, frozen=True, kw_only=True, tag=True):
    """Have one actor of each peer fail (``transport``, ``ring`` or ``router``), as a defect would. Supervision brings it back."""

    select: str
    actor: str


class Add(Command, frozen=True, kw_only=True, tag=True):
    """Start and join ``count`` more peers of a group."""

    group: str
    count: int = 1


class Scale(Command, frozen=True, kw_only=True, tag=True):
    """Have exactly ``count`` peers of a group: add, or stop those with the highest numbers."""

    group: str
    count: int


class SetLogLevel(Command, frozen=True, kw_only=True, tag=True):
    """Log the selected peers from ``level`` on, of every actor or of one (``transport``, ``ring``, ``router``,
    ``supervisor``). It holds until it is changed, also for a peer that is restarted. A worker's name and ``all`` mean
    what the processes say of themselves too.
    """

    select: str
    level: Literal["debug", "info", "warning", "error"]
    actor: Literal["", "transport", "ring", "router", "crypto", "supervisor"] = ""


class RotationPhase(enum.Enum):
    """How far the change of a swarm's key is: both keys are accepted; the new one is dialled with; the old one is refused
    and its links close. ``now`` is the last of them at once, for a key that leaked."""

    ACCEPT = "accept"
    DIAL = "dial"
    FINISH = "finish"
    NOW = "now"


class RotateSwarmKey(Command, frozen=True, kw_only=True, tag=True):
    """Enter a phase of the change to the key in ``file``, which the launcher reads. Answered by Done."""

    file: str
    phase: RotationPhase


class RunLoad(Command, frozen=True, kw_only=True, tag=True):
    """Open-loop load: acknowledged messages between random pairs, ``rate`` a second in all, until ``count`` or ``duration``.
    Peers that do harm on purpose neither send nor are sent to; nor are those outside ``group``, if it is given."""

    rate: float
    count: int | None = None
    duration: float | None = None
    payload: int = 64
    timeout: float = 10.0
    seed: int = 0
    duplicates: int | None = None
    group: str = ""


class GetLoad(Command, frozen=True, kw_only=True, tag=True):
    """How far the load is that runs. Refused when none does."""


class Fault(Command, frozen=True, kw_only=True):
    """Base of the faults. One is in force until it is ended, or for ``lasts`` seconds. Answered by FaultList."""

    lasts: float | None = None


class Freeze(Fault, frozen=True, kw_only=True, tag=True):
    """Have peers stand still: they read and answer nothing, and their clocks stop. A worker's process is stopped."""

    select: str


class PairFault(Fault, frozen=True, kw_only=True):
    """Base of the faults between two sides, both ways. Selectors are resolved when the fault is set; ``other`` empty:
    everybody who is not of ``one``."""

    one: str
    other: str = ""


class Partition(PairFault, frozen=True, kw_only=True, tag=True):
    """Neither side hears anything of the other: links fall silent, dials find a void."""


class Delay(PairFault, frozen=True, kw_only=True, tag=True):
    """Everything takes ``seconds`` longer one way, and up to ``jitter`` seconds more. The order on each link stays."""

    seconds: float
    jitter: float = 0.0


class Drop(PairFault, frozen=True, kw_only=True, tag=True):
    """``percent`` of the messages are lost before a link takes them. Links, which ride TCP, stay whole."""

    percent: float


class Duplicate(PairFault, frozen=True, kw_only=True, tag=True):
    """``percent`` of the messages are sent twice."""

    percent: float


AnyFault = Freeze | Partition | Delay | Drop | Duplicate


class Thaw(Command, frozen=True, kw_only=True, tag=True):
    """Have frozen peers and workers go on. Answered by Done."""

    select: str


class Heal(Command, frozen=True, kw_only=True, tag=True):
    """End the faults between these two sides, named as when they were set; ``one`` alone: all in which it is a side; none
    named: all. Answered by FaultList with those that ended."""

    one: str = ""
    other: str = ""


class GetFaults(Command, frozen=True, kw_only=True, tag=True):
    """The faults in force. Answered by FaultList."""


class Down(Command, frozen=True, kw_only=True, tag=True):
    """End the swarm, gracefully."""


AnyCommand = (
    GetStatus
    | GetPeers
    | Join
    | Lookup
    | Send
    | SendToAll
    | Kill
    | Stop
    | Restart
    | Crash
    | Add
    | Scale
    | SetLogLevel
    | RunLoad
    | GetLoad
    | AnyFault
    | Thaw
    | Heal
    | GetFaults
    | Down
    | RotateSwarmKey
)


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all replies."""


class Refused(Reply, frozen=True, kw_only=True, tag=True):
    """The command could not be carried out: what is wrong and what to do. ``misuse``: whoever asked must ask otherwise."""

    reason: str
    misuse: bool = False


class Done(Reply, frozen=True, kw_only=True, tag=True):
    """Carried out; ``peers`` names those concerned."""

    peers: tuple[str, ...] = ()


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
    dropped: dict[str, int] = {}


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault in force. ``kind`` is the command's name in small letters; ``peers`` are those frozen, or of side ``one``;
    ``others`` those of the other side. ``seconds``, ``jitter`` and ``percent`` as in the command, 0 where it has none."""

    fault: int
    kind: str
    one: str
    other: str
    peers: tuple[str, ...]
    others: tuple[str, ...]
    seconds: float
    jitter: float
    percent: float
    age_s: float
    left_s: float | None


class FaultList(Reply, frozen=True, kw_only=True, tag=True):
    """Faults, oldest first."""

    rows: tuple[FaultRow, ...]


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
    refused: dict[str, int] = {}
    harmful: dict[str, int] = {}


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


class LoadProgress(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to GetLoad: messages so far, of those ``planned``; ``seconds`` have passed since the first could leave."""

    planned: int
    sent: int
    acknowledged: int
    failed: int
    seconds: float


class LoadResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to RunLoad; latencies in seconds from the intended start to the receipt, within a thousandth.

    ``delivered``, ``duplicated``, ``altered`` and ``wrong_peer`` are counted where messages arrive, ``failed`` and
    ``acknowledged`` where their receipts settle. ``lost`` reached nobody, though their receipts settled;
    ``acknowledged_lost`` are those among them whose receipts say delivered. ``late_starts``: the generator was behind.

    A worker that dies loses nothing of the account. ``died`` names it; what it would have sent later is missing from
    ``sent``, of those ``planned``. ``unfinished`` are messages whose receipts never settled, because their sender's
    process died; they are not among the lost. ``died_with_worker`` were acknowledged and lay in a mailbox when their
    receiver's process was killed; they are not among the lost either.

    ``copies``: what became of all copies that left, as the receipts say: intact, altered, lost, unattributed.
    """

    sent: int
    delivered: int
    lost: int
    failed: int
    duplicated: int
    altered: int
    wrong_peer: int
    rate: float
    achieved_rate: float
    seconds: float
    latency_p50_s: float
    latency_p99_s: float
    latency_max_s: float
    hops_mean: float
    hops_p99: float
    hops_max: int
    failures: dict[str, int]
    acknowledged: int = 0
    acknowledged_lost: int = 0
    late_starts: int = 0
    planned: int = 0
    unfinished: int = 0
    died_with_worker: int = 0
    died: tuple[str, ...] = ()
    copies: dict[str, int] = {}


AnyReply = (
    Refused
    | Done
    | Status
    | Peers
    | LookupResult
    | SendResult
    | BroadcastResult
    | LoadProgress
    | LoadResult
    | FaultList
)
