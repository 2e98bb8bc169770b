"""What happened in a run, as a fold over its events: on one axis of seconds since its first event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from cicada.events import (
    AnyEvent,
    ChildExited,
    ChildRestarted,
    Envelope,
    Escalated,
    EventsLost,
    ExpectationChecked,
    FaultEnded,
    FaultStarted,
    LoadEnded,
    LoadInterval,
    LoadStarted,
    PeerStarted,
    PeerStopped,
    RunStateChanged,
    ScheduledFaultDone,
    ThresholdChecked,
    WaveRestarted,
    WorkerExited,
)
from cicada.limits import REPORT

WITH_THE_RUN: Final = "ended with the run"
ENDING: Final = frozenset({"stopping", "stopped", "failed"})
E = TypeVar("E")


class At(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """An event, and when in seconds from the run's start; ``peer`` is whom it is about, empty: the source."""

    at_s: float
    event: E
    peer: str = ""


class PeerGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Peers to which the same happened at about the same time: ``what`` is started, a PeerStopped.how, or, since the launcher
    took the swarm down, WITH_THE_RUN, however it did that."""

    what: str
    at_s: float
    until_s: float
    count: int
    named: tuple[str, ...]


class RecordedLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One load as far as it was recorded. ``offset_s`` is where its own second 0 lies in the run; of each threshold
    the last word is kept."""

    load: int
    offset_s: float
    started: LoadStarted | None
    intervals: tuple[LoadInterval, ...]
    thresholds: tuple[At[ThresholdChecked], ...]
    ended: LoadEnded | None


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A run as far as it was recorded. ``start_ms`` is the wall clock of its first event, 0 when there is none."""

    start_ms: int = 0
    seconds: float = 0.0
    states: tuple[At[RunStateChanged], ...] = ()
    loads: tuple[RecordedLoad, ...] = ()
    faults: tuple[At[FaultStarted], ...] = ()
    fault_ends: tuple[At[FaultEnded], ...] = ()
    scheduled: tuple[At[ScheduledFaultDone], ...] = ()
    expectations: tuple[At[ExpectationChecked], ...] = ()
    peers: tuple[PeerGroup, ...] = ()
    workers: tuple[At[WorkerExited], ...] = ()
    exits: tuple[At[ChildExited], ...] = ()
    restarts: tuple[At[ChildRestarted], ...] = ()
    escalations: tuple[At[Escalated], ...] = ()
    waves: tuple[At[WaveRestarted], ...] = ()
    lost: tuple[At[EventsLost], ...] = ()


_OfLoad = LoadStarted | LoadInterval | LoadEnded | ThresholdChecked
_LISTED: Final = frozenset(
    kind
    for several in get_type_hints(RunReport).values()
    for one in get_args(several)
    if get_origin(one) is At
    for kind in get_args(one)
)
FOLDED: Final = frozenset({PeerStarted, PeerStopped, *get_args(_OfLoad), *_LISTED})
"""The kinds of events that a report is made of. Of others it knows when they were."""


def fold(envelopes: Iterable[Envelope]) -> RunReport:
    """The report of these events, in the order in which they were recorded. It holds what they say and nothing else: a
    recording that ends early gives a report that does."""
    run = _Run()
    for envelope in envelopes:
        run.take(envelope)
    return run.report()


@dataclass(slots=True)
class _Load:
    offset_s: float
    started: LoadStarted | None = None
    intervals: list[LoadInterval] = field(default_factory=list)
    thresholds: dict[str, At[ThresholdChecked]] = field(default_factory=dict)
    ended: LoadEnded | None = None

    def report(self, load: int) -> RecordedLoad:
        return RecordedLoad(
            load=load,
            offset_s=self.offset_s,
            started=self.started,
            intervals=tuple(self.intervals),
            thresholds=tuple(self.thresholds.values()),
            ended=self.ended,
        )


class _Run:
    """What was told so far."""

    def __init__(self) -> None:
        self._start_ms = 0
        self._seconds = 0.0
        self._stopping = False
        self._told: dict[type, list[tuple[float, AnyEvent, str]]] = {}
        self._loads: dict[int, _Load] = {}
        self._peers = _Peers()

    def take(self, envelope: Envelope) -> None:
        if not self._start_ms:
            self._start_ms = envelope.time_ms
        at_s = max(0.0, (envelope.time_ms - self._start_ms) / 1000)
        self._seconds = max(self._seconds, at_s)
        match envelope.event:
            case PeerStarted():
                self._peers.add("started", at_s, envelope.peer)
            case PeerStopped(how=how):
                self._peers.add(WITH_THE_RUN if self._stopping else how, at_s, envelope.peer)
            case LoadStarted() | LoadInterval() | LoadEnded() | ThresholdChecked() as event:
                self._take_of_load(event, at_s)
            case event:
                self._stopping |= isinstance(event, RunStateChanged) and event.state in ENDING
                self._told.setdefault(type(event), []).append((at_s, event, envelope.peer))

    def _take_of_load(self, event: _OfLoad, at_s: float) -> None:
        load = self._loads.get(event.load)
        if load is None:
            load = self._loads[event.load] = _Load(max(0.0, at_s - _own_seconds(event)))
        match event:
            case LoadStarted():
                load.started, load.offset_s = event, at_s
            case LoadInterval():
                load.intervals.append(event)
            case ThresholdChecked():
                load.thresholds[event.threshold] = At(at_s=at_s, event=event)
            case LoadEnded():
                load.ended = event

    def _of(self, kind: type[E]) -> tuple[At[E], ...]:
        told = self._told.get(kind, ())
        return tuple(
            At(at_s=at_s, event=event, peer=peer) for at_s, event, peer in told if isinstance(event, kind)
        )

    def report(self) -> RunReport:
        return RunReport(
            start_ms=self._start_ms,
            seconds=self._seconds,
            states=self._of(RunStateChanged),
            loads=tuple(self._loads[load].report(load) for load in sorted(self._loads)),
            faults=self._of(FaultStarted),
            fault_ends=self._of(FaultEnded),
            scheduled=self._of(ScheduledFaultDone),
            expectations=self._of(ExpectationChecked),
            peers=self._peers.groups(),
            workers=self._of(WorkerExited),
            exits=self._of(ChildExited),
            restarts=self._of(ChildRestarted),
            escalations=self._of(Escalated),
            waves=self._of(WaveRestarted),
            lost=self._of(EventsLost),
        )


def _own_seconds(event: _OfLoad) -> float:
    """How long the load runs when this is told, where its beginning was not."""
    match event:
        case LoadInterval():
            return event.end_s
        case LoadEnded():
            return event.seconds
        case _:
            return 0.0


class _Peers:
    """Groups of peers that start or end together."""

    def __init__(self) -> None:
        self._open: dict[str, PeerGroup] = {}
        self._closed: list[PeerGroup] = []

    def add(self, what: str, at_s: float, peer: str) -> None:
        group = self._open.get(what)
        if group is not None and at_s <= group.until_s + REPORT.together:
            named = group.named if len(group.named) >= REPORT.named else (*group.named, peer)
            until_s = max(at_s, group.until_s)
            self._open[what] = PeerGroup(
                what=what, at_s=group.at_s, until_s=until_s, count=group.count + 1, named=named
            )
            return
        if group is not None:
            self._closed.append(group)
        self._open[what] = PeerGroup(what=what, at_s=at_s, until_s=at_s, count=1, named=(peer,))

    def groups(self) -> tuple[PeerGroup, ...]:
        return tuple(sorted([*self._closed, *self._open.values()], key=lambda group: group.at_s))
