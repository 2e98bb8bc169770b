"""Bus events: what happened in a swarm, as values. State is a fold over them.

The publisher wraps each into an Envelope; cores only emit the event itself.
"""

from __future__ import annotations

import msgspec

from cicada.events.base import EVENT_VERSION, Event
from cicada.events.load import LoadEnded, LoadEvent, LoadInterval, LoadStarted, OpInterval, ThresholdChecked
from cicada.events.peer import (
    WHY_DROPPED,
    BroadcastFinished,
    BroadcastReceived,
    BroadcastStarted,
    FingersChanged,
    HandshakeRefused,
    KeyChanged,
    KeyConflict,
    KeyEvent,
    LinkClosed,
    LinkEvent,
    LinkOpened,
    LookupFinished,
    LookupStarted,
    MessageDropped,
    MessageSettled,
    NatEvent,
    PeerFaulted,
    PeerSuspected,
    PhaseChanged,
    PinMade,
    PortMapped,
    PortMappingFailed,
    PortMappingLost,
    PredecessorChanged,
    RelayMisbehaved,
    RelaysChanged,
    RingEvent,
    RoutingEvent,
    SuccessorsChanged,
)
from cicada.events.run import (
    AddressChanged,
    ChildExited,
    ChildRestarted,
    CommandReceived,
    Escalated,
    EventsLost,
    ExpectationChecked,
    FaultEnded,
    FaultStarted,
    PeerStarted,
    PeerStopped,
    RunEvent,
    RunStateChanged,
    ScheduledFaultDone,
    WaveRestarted,
    WorkerExited,
    WorkerStarted,
)
from cicada.events.traffic import (
    CopiesTraced,
    EdgeCount,
    HopTaken,
    PeerMeasured,
    SequencesTold,
    TrafficCounted,
    TrafficEvent,
)

AnyEvent = RingEvent | RoutingEvent | LinkEvent | KeyEvent | NatEvent | RunEvent | LoadEvent | TrafficEvent


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it travels: who, which in order, when."""

    source: str  # publisher: launcher, worker-0, ...
    sequence: int  # per source and kind of event, from 1, without gaps: whoever takes only some kinds still sees gaps
    time_ms: int  # wall clock
    peer: str  # name or address of the peer it is about; empty: the source itself
    event: AnyEvent
    version: int = EVENT_VERSION
    life: int = 0  # of the source; a greater one counts its sequences from 1 again


__all__ = [
    "AddressChanged",
    "AnyEvent",
    "BroadcastFinished",
    "BroadcastReceived",
    "BroadcastStarted",
    "ChildExited",
    "ChildRestarted",
    "CommandReceived",
    "CopiesTraced",
    "EdgeCount",
    "EVENT_VERSION",
    "Envelope",
    "Escalated",
    "Event",
    "EventsLost",
    "ExpectationChecked",
    "FaultEnded",
    "FaultStarted",
    "FingersChanged",
    "HandshakeRefused",
    "HopTaken",
    "KeyChanged",
    "KeyConflict",
    "KeyEvent",
    "LinkClosed",
    "LinkEvent",
    "LinkOpened",
    "LoadEnded",
    "LoadEvent",
    "LoadInterval",
    "LoadStarted",
    "LookupFinished",
    "LookupStarted",
    "MessageDropped",
    "MessageSettled",
    "NatEvent",
    "OpInterval",
    "PeerFaulted",
    "PeerMeasured",
    "PeerStarted",
    "PeerStopped",
    "PeerSuspected",
    "PhaseChanged",
    "PinMade",
    "PortMapped",
    "PortMappingFailed",
    "PortMappingLost",
    "PredecessorChanged",
    "RelayMisbehaved",
    "RelaysChanged",
    "RingEvent",
    "RoutingEvent",
    "RunEvent",
    "RunStateChanged",
    "ScheduledFaultDone",
    "SequencesTold",
    "SuccessorsChanged",
    "ThresholdChecked",
    "TrafficCounted",
    "TrafficEvent",
    "WHY_DROPPED",
    "WaveRestarted",
    "WorkerExited",
    "WorkerStarted",
]
