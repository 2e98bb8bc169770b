"""What may be asked of a running swarm's launcher, and what it answers: two closed families.

The command line, the visualizer and applications send these through control.RemoteRef. A **selector** names peers:
``core-3`` (a peer), ``worker-1`` (a worker), ``core`` or ``core:10%`` (of a group), ``10%`` or ``all`` (of the swarm);
``core-3,core-7`` are several of these.
"""

from __future__ import annotations

from cicada.commands.base import (
    Command,
    Done,
    Refused,
    Reply,
)
from cicada.commands.faults import (
    AnyFault,
    Delay,
    Drop,
    Duplicate,
    Fault,
    FaultList,
    FaultRow,
    Freeze,
    GetFaults,
    Heal,
    PairFault,
    Partition,
    Thaw,
)
from cicada.commands.load import (
    GetLoad,
    Latency,
    LoadProgress,
    LoadResult,
    OpResult,
    RunLoad,
    Stage,
    StopLoad,
    Threshold,
    ThresholdResult,
)
from cicada.commands.replies import (
    BroadcastResult,
    GroupStatus,
    LookupResult,
    MessageCounts,
    PeerRow,
    Peers,
    SendResult,
    Status,
    TimelineStatus,
    WorkerStatus,
)
from cicada.commands.requests import (
    Add,
    Crash,
    Down,
    GetPeers,
    GetStatus,
    Join,
    Kill,
    Lookup,
    Restart,
    RotateSwarmKey,
    RotationPhase,
    Scale,
    Send,
    SendToAll,
    SetLogLevel,
    Stop,
)

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
    | StopLoad
    | AnyFault
    | Thaw
    | Heal
    | GetFaults
    | Down
    | RotateSwarmKey
)

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

__all__ = [
    "Add",
    "AnyCommand",
    "AnyFault",
    "AnyReply",
    "BroadcastResult",
    "Command",
    "Crash",
    "Delay",
    "Done",
    "Down",
    "Drop",
    "Duplicate",
    "Fault",
    "FaultList",
    "FaultRow",
    "Freeze",
    "GetFaults",
    "GetLoad",
    "GetPeers",
    "GetStatus",
    "Heal",
    "Join",
    "Kill",
    "Latency",
    "LoadProgress",
    "LoadResult",
    "Lookup",
    "LookupResult",
    "GroupStatus",
    "MessageCounts",
    "OpResult",
    "PairFault",
    "Partition",
    "PeerRow",
    "Peers",
    "Refused",
    "Reply",
    "Restart",
    "RotateSwarmKey",
    "RotationPhase",
    "RunLoad",
    "Scale",
    "Send",
    "SendResult",
    "SendToAll",
    "SetLogLevel",
    "Stage",
    "Status",
    "Stop",
    "StopLoad",
    "Thaw",
    "TimelineStatus",
    "Threshold",
    "ThresholdResult",
    "WorkerStatus",
]
