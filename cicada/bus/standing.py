"""What stands of all that one source has told: the few events whose fold is the present state. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from cicada.events import (
    AddressChanged,
    AnyEvent,
    ChildExited,
    ChildRestarted,
    Escalated,
    FaultEnded,
    FaultStarted,
    FingersChanged,
    LinkClosed,
    LinkOpened,
    LoadEnded,
    LoadInterval,
    LoadStarted,
    PeerStarted,
    PeerStopped,
    PhaseChanged,
    PortMapped,
    PortMappingFailed,
    PortMappingLost,
    PredecessorChanged,
    RelaysChanged,
    RunStateChanged,
    SuccessorsChanged,
    WorkerExited,
    WorkerStarted,
)
from cicada.limits import BUS

E = TypeVar("E")
Told = tuple[str, AnyEvent]
"""Who it is about, and what happened."""

_OUTSIDE: Final = frozenset({"idle", "joining", "alone"})  # phases in which a ring node knows nobody


class _Subject:
    """What stands of one peer, or of the source itself: events by what they are about, and two sets that are told piecewise."""

    __slots__ = ("fingers", "latest", "links")

    def __init__(self) -> None:
        self.latest: dict[object, AnyEvent] = {}
        self.fingers: dict[str, None] = {}
        self.links: dict[str, list[LinkOpened]] = {}

    def events(self) -> Iterator[AnyEvent]:
        """In an order in which they might have happened."""
        end = self.latest.get(PeerStopped)
        yield from (event for event in self.latest.values() if event is not end)
        if self.fingers:
            yield FingersChanged(added=tuple(self.fingers), removed=())
        for links in self.links.values():
            yield from links
        if end is not None:
            yield end

    def leave_ring(self) -> Iterator[AnyEvent]:
        """Its tables are no more: what has to be said, so that nobody believes in them."""
        if _successors(self.latest.get(SuccessorsChanged)):
            yield SuccessorsChanged(successors=())
        if _predecessor(self.latest.get(PredecessorChanged)):
            yield PredecessorChanged(predecessor="")
        if self.fingers:
            yield FingersChanged(added=(), removed=tuple(self.fingers))

    def lose_relays(self) -> Iterator[AnyEvent]:
        """Likewise of its relays."""
        relays = self.latest.get(RelaysChanged)
        if isinstance(relays, RelaysChanged) and relays.relays:
            yield RelaysChanged(relays=())

    def lose_links(self, reason: str) -> Iterator[AnyEvent]:
        """Likewise of its links."""
        for remote, links in self.links.items():
            for left in reversed(range(len(links))):
                yield LinkClosed(remote=remote, reason=reason, left=left)


class Standing:
    """A fold that keeps events instead of a state, so that whoever folds ``events`` has what a fold over everything gives.

    ``heeds`` are the kinds that matter; to ``note`` others does nothing. A part of a peer that ends without a word of its own
    (an actor that failed) leaves behind what nobody will take back: ``note`` returns the events that do, to be told and noted.
    """

    def __init__(self, ended_peers: int = BUS.ended_peers) -> None:
        self._subjects: dict[str, _Subject] = {}
        self._ended: dict[str, None] = {}
        self._ended_max = ended_peers

    def note(self, peer: str, event: AnyEvent) -> tuple[AnyEvent, ...]:
        """Something was told of ``peer`` (empty: the source). Returns what must be told next."""
        heed = _HEED.get(type(event))
        if heed is None:
            return ()
        subject = self._subjects.get(peer)
        if subject is None:
            subject = self._subjects[peer] = _Subject()
        return heed(self, peer, subject, event)

    def events(self) -> Iterator[Told]:
        """The state, peer by peer."""
        for peer, subject in self._subjects.items():
            for event in subject.events():
                yield peer, event

    # What each kind means

    def _keep(self, peer: str, subject: _Subject, event: AnyEvent) -> tuple[AnyEvent, ...]:
        subject.latest[_subject_of(event)] = event
        return ()

    def _start(self, peer: str, subject: _Subject, event: PeerStarted) -> tuple[AnyEvent, ...]:
        self._ended.pop(peer, None)
        fresh = self._subjects[peer] = _Subject()
        fresh.latest[PeerStarted] = event
        return ()

    def _move(self, peer: str, subject: _Subject, event: AddressChanged) -> tuple[AnyEvent, ...]:
        started = subject.latest.get(PeerStarted)
        if isinstance(started, PeerStarted):
            subject.latest[PeerStarted] = replace(started, address=event.address, place=event.place)
        return (*subject.leave_ring(), *subject.lose_relays(), *subject.lose_links("moved"))

    def _stop(self, peer: str, subject: _Subject, event: PeerStopped) -> tuple[AnyEvent, ...]:
        started = subject.latest.get(PeerStarted)
        fresh = self._subjects[peer] = _Subject()
        if started is not None:
            fresh.latest[PeerStarted] = started
        fresh.latest[PeerStopped] = event
        self._ended[peer] = None
        if len(self._ended) > self._ended_max:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self._subjects[oldest]
        return ()

    def _phase(self, peer: str, subject: _Subject, event: PhaseChanged) -> tuple[AnyEvent, ...]:
        subject.latest[PhaseChanged] = event
        return tuple(subject.leave_ring()) if event.phase in _OUTSIDE else ()

    def _fingers(self, peer: str, subject: _Subject, event: FingersChanged) -> tuple[AnyEvent, ...]:
        for removed in event.removed:
            subject.fingers.pop(removed, None)
        subject.fingers.update(dict.fromkeys(event.added))
        return ()

    def _open(self, peer: str, subject: _Subject, event: LinkOpened) -> tuple[AnyEvent, ...]:
        subject.links.setdefault(event.remote, []).append(event)
        return ()

    def _close(self, peer: str, subject: _Subject, event: LinkClosed) -> tuple[AnyEvent, ...]:
        links = subject.links.get(event.remote, [])
        del links[: len(links) - event.left]
        if not links:
            subject.links.pop(event.remote, None)
        return ()

    def _child(self, peer: str, subject: _Subject, event: ChildExited) -> tuple[AnyEvent, ...]:
        match event.child:
            case "ring":
                return tuple(subject.leave_ring())
            case "router":
                return tuple(subject.lose_relays())
            case "transport":
                return tuple(subject.lose_links("its actor ended"))
            case _:
                return ()

    def _fault(self, peer: str, subject: _Subject, event: FaultStarted) -> tuple[AnyEvent, ...]:
        subject.latest[FaultStarted, event.fault] = event
        return ()

    def _heal(self, peer: str, subject: _Subject, event: FaultEnded) -> tuple[AnyEvent, ...]:
        started = subject.latest.pop((FaultStarted, event.fault), None)
        if isinstance(started, FaultStarted) and started.kind == "freeze":
            left = tuple(peer for peer in started.peers if peer not in set(event.peers))
            if left:
                subject.latest[FaultStarted, event.fault] = replace(started, peers=left)
        return ()

    def _load(self, peer: str, subject: _Subject, event: LoadStarted) -> tuple[AnyEvent, ...]:
        subject.latest.pop(LoadInterval, None)
        subject.latest.pop(LoadEnded, None)
        subject.latest.pop(LoadStarted, None)  # so that it comes after others' events, as it did
        subject.latest[LoadStarted] = event
        return ()


_Heed = Callable[[Standing, str, _Subject, Any], tuple[AnyEvent, ...]]
_HEED: Final[dict[type, _Heed]] = {
    PeerStarted: Standing._start,
    AddressChanged: Standing._move,
    PeerStopped: Standing._stop,
    PhaseChanged: Standing._phase,
    FingersChanged: Standing._fingers,
    LinkOpened: Standing._open,
    LinkClosed: Standing._close,
    ChildExited: Standing._child,
    FaultStarted: Standing._fault,
    FaultEnded: Standing._heal,
    LoadStarted: Standing._load,
    **dict.fromkeys(
        (
            *(SuccessorsChanged, PredecessorChanged, Escalated, ChildRestarted, RunStateChanged),
            *(RelaysChanged, PortMapped, PortMappingLost, PortMappingFailed),
            *(WorkerStarted, WorkerExited, LoadInterval, LoadEnded),
        ),
        Standing._keep,
    ),
}

HEEDED: Final[frozenset[type[AnyEvent]]] = frozenset(_HEED)
"""The kinds that the state is a fold over: whoever missed one of these needs another snapshot."""


def _subject_of(event: AnyEvent) -> object:
    """What an event is the latest word on."""
    match event:
        case WorkerStarted(worker=worker) | WorkerExited(worker=worker):
            return WorkerStarted, worker
        case ChildRestarted(child=child):
            return ChildRestarted, child
        case PortMapped() | PortMappingLost() | PortMappingFailed():
            return PortMapped
        case _:
            return type(event)


def _successors(event: AnyEvent | None) -> tuple[str, ...]:
    return event.successors if isinstance(event, SuccessorsChanged) else ()


def _predecessor(event: AnyEvent | None) -> str:
    return event.predecessor if isinstance(event, PredecessorChanged) else ""
