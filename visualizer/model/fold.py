"""The swarm as a fold over its events: each event changes the state a little, and nothing else does.

It takes whatever can be decoded: events about peers that nobody introduced, in any order, with any numbers in them. A copy costs
little, because peers and trips are shared until either side changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from cicada import events as told
from cicada.bus.snapshot import Snapshot
from cicada.bus.tolerant import Unknown
from cicada.events import Envelope
from visualizer.model import load
from visualizer.model.bounds import (
    FAULTS,
    MARKS,
    NAME,
    RELAYS,
    SUCCESSORS,
    TABLE,
    UNKNOWN_KINDS,
    WORKERS,
    amount,
    count,
    instant,
)
from visualizer.model.edges import Edges
from visualizer.model.lines import broadcast_in_words, is_quiet, line_of, lookup_in_words
from visualizer.model.marks import mark_of
from visualizer.model.peers import name_of_target
from visualizer.model.ring import health_of
from visualizer.model.roll import FREEZE, GONE, Roll
from visualizer.model.state import (
    Change,
    FaultView,
    Kind,
    Line,
    Mark,
    PeerView,
    SwarmState,
    copied,
)
from visualizer.model.trips import Trips

OTHERS: Final = "others"
WITH_THE_RUN: Final = "stopped"


class SwarmFold:
    """A swarm as far as its events told."""

    def __init__(self) -> None:
        self._begin(SwarmState())

    def _begin(self, state: SwarmState) -> None:
        self._state = state
        self._roll = Roll(state)
        self._edges = Edges(state)
        self._trips = Trips(state)

    @property
    def state(self) -> SwarmState:
        """The swarm now. Its health is found out when this is read, so read it again after more events."""
        if self._roll.changed:
            self._roll.changed = False
            self._state.health = health_of(self._state)
        return self._state

    @property
    def marks(self) -> list[Mark]:
        """Those of the state."""
        return self._state.marks

    def apply(self, envelope: Envelope) -> Change:
        """One more event. Says what it was about; never raises."""
        state, event = self._state, envelope.event
        state.now_ms = instant(envelope.time_ms, state.now_ms)
        name = envelope.peer
        if name and name not in state.peers:
            name = state.addresses.get(name, name[:NAME])
        handle = _HANDLERS.get(type(event))
        is_news = handle is None or handle(self, event, envelope, name) is not False
        line = line_of(event, name, state.now_ms, self._called)
        if line is not None:
            if self._is_ending and type(event) is told.PeerStopped:
                line = line._replace(text="ended with the run", is_bad=False)
            self._write(event, line, is_news=is_news)
        return Change(event, name, line)

    def reset(self, snapshot: Snapshot) -> None:
        """The state is what the snapshot says and nothing else, but for what only this window remembers: its log, marks, trips
        and counts."""
        before = self._state
        self._begin(
            SwarmState(
                name=snapshot.name[:NAME],
                log=before.log,
                marks=before.marks,
                flights=before.flights,
                trips=before.trips,
                sampled=before.sampled,
                counts=before.counts,
                unknown=before.unknown,
                lost=before.lost,
            )
        )
        for envelope in snapshot.events:
            self._restore(envelope)
        for unknown in snapshot.unknown:
            self.note_unknown(unknown)
        if before.load is not None and self._state.load is not None:
            self._state.load = load.joined(before.load, self._state.load)
        self._state.now_ms = now_ms = instant(snapshot.time_ms, before.now_ms)
        text = f"a snapshot of {len(self._state.peers)} peers was taken"
        self._state.log.append(Line(now_ms, Kind.RUN, "", text, False))

    def _restore(self, envelope: Envelope) -> None:
        """Apply an event of a snapshot: it tells how things are, not what happened, so nothing is said about it."""
        self._state.now_ms = instant(envelope.time_ms, self._state.now_ms)
        handle = _HANDLERS.get(type(envelope.event))
        if handle is not None:
            handle(self, envelope.event, envelope, envelope.peer)

    def note_unknown(self, unknown: Unknown) -> None:
        """An event came whose kind this version does not know."""
        kinds = self._state.unknown
        kind = unknown.kind[:NAME]
        kinds[kind if kind in kinds or len(kinds) < UNKNOWN_KINDS else OTHERS] += 1

    def note_lost(self, events: int) -> None:
        """So many events never came."""
        self._state.lost += count(events)

    def copy(self) -> SwarmFold:
        """The same fold, which from now on goes its own way."""
        other = SwarmFold.__new__(SwarmFold)
        other._state = state = copied(self._state)
        other._roll = self._roll.share(state)
        other._edges = self._edges.share(state)
        other._trips = self._trips.share(state)
        return other

    def _called(self, target: str) -> str:
        return name_of_target(self._state, target)[:NAME]

    def _write(self, event: told.AnyEvent, line: Line, *, is_news: bool) -> None:
        state = self._state
        peer = self._roll.at(line.peer) if line.peer else None
        if peer is not None:
            peer.events.append(line)
        if is_news and not is_quiet(type(event)):
            state.log.append(line)
            mark = mark_of(event, line)
            if mark is not None and not (self._is_ending and line.peer):
                state.marks.append(mark)
                if len(state.marks) > MARKS:
                    del state.marks[: MARKS // 4]

    @property
    def _is_ending(self) -> bool:
        """The launcher takes the swarm down: whoever ends now does so with it, however that is done."""
        return self._state.run_state in ("stopping", "stopped")

    # Peers

    def _present(self, name: str) -> PeerView | None:
        """A peer that says something, to be changed. None: it is unknown or gone."""
        peer = self._roll.at(name)
        if peer is None or peer.state in GONE:
            return None
        self._roll.hear(peer)
        return peer

    def _on_started(self, event: told.PeerStarted, envelope: Envelope, name: str) -> None:
        self._roll.start(name or event.address, event.address, event.place, envelope.source, event.behaviour)

    def _on_moved(self, event: told.AddressChanged, envelope: Envelope, name: str) -> None:
        self._roll.move(name or event.address, event.address, event.place, envelope.source)

    def _on_stopped(self, event: told.PeerStopped, envelope: Envelope, name: str) -> None:
        self._roll.stop(name, WITH_THE_RUN if self._is_ending else event.how)
        self._edges.forget(name)

    def _on_phase(self, event: told.PhaseChanged, envelope: Envelope, name: str) -> None:
        self._present(name)
        self._roll.enter(name, event.phase)

    def _on_successors(self, event: told.SuccessorsChanged, envelope: Envelope, name: str) -> bool:
        peer = self._present(name)
        if peer is None:
            return True
        has_new_head = event.successors[:1] != peer.successors[:1]
        if has_new_head:
            self._roll.changed = True
            self._roll.hear_of(event.successors[0] if event.successors else "")
        peer.successors = event.successors[:SUCCESSORS]
        return has_new_head

    def _on_predecessor(self, event: told.PredecessorChanged, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None:
            self._roll.changed = True
            peer.predecessor = event.predecessor[:NAME]
            self._roll.hear_of(event.predecessor)

    def _on_fingers(self, event: told.FingersChanged, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None:
            peer.fingers.difference_update(event.removed)
            peer.fingers.update(event.added[: TABLE - min(TABLE, len(peer.fingers))])

    def _on_suspected(self, event: told.PeerSuspected, envelope: Envelope, name: str) -> None:
        if self._present(name) is not None:
            self._roll.suspect(event.suspect)

    def _on_opened(self, event: told.LinkOpened, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None and len(peer.links) < TABLE:
            peer.links.add(event.remote)

    def _on_closed(self, event: told.LinkClosed, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None and event.left <= 0:
            peer.links.discard(event.remote)

    def _on_mapped(self, event: told.PortMapped, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None:
            peer.mapped = event.external[:NAME]

    def _on_unmapped(self, event: told.PortMappingLost, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None:
            peer.mapped = ""

    def _on_relays(self, event: told.RelaysChanged, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None:
            peer.relays = event.relays[:RELAYS]

    def _on_measured(self, event: told.PeerMeasured, envelope: Envelope, name: str) -> None:
        peer = self._present(name)
        if peer is not None:
            peer.mailbox, peer.in_flight = count(event.mailbox), count(event.in_flight)
            peer.sent, peer.delivered = amount(event.sent), amount(event.delivered)
            peer.failed, peer.dropped = amount(event.failed), amount(event.dropped)
            peer.round_trip_s = amount(event.round_trip_s)

    # Supervision

    def _on_worker(self, event: told.WorkerStarted, envelope: Envelope, name: str) -> None:
        workers = self._state.workers
        if event.worker in workers or len(workers) < WORKERS:
            workers[event.worker[:NAME]] = count(event.pid)

    def _on_worker_exited(self, event: told.WorkerExited, envelope: Envelope, name: str) -> None:
        self._state.workers.pop(event.worker, None)
        for lost in self._roll.lose(event.worker):
            self._edges.forget(lost)

    def _on_restarted(self, event: told.ChildRestarted, envelope: Envelope, name: str) -> None:
        if name in self._state.peers and event.child != name:
            self._roll.count_actors(name, count(event.restarts))  # one of its actors: the peer itself lives
        else:
            self._roll.bring_back(event.child, count(event.restarts))

    def _on_escalated(self, event: told.Escalated, envelope: Envelope, name: str) -> None:
        self._roll.give_up(event.child)

    # The swarm

    def _on_run_state(self, event: told.RunStateChanged, envelope: Envelope, name: str) -> None:
        self._state.run_state = event.state[:NAME]

    def _on_fault(self, event: told.FaultStarted, envelope: Envelope, name: str) -> None:
        faults = self._state.faults
        if event.fault in faults or len(faults) < FAULTS:
            faults[event.fault] = FaultView(
                number=event.fault,
                kind=event.kind[:NAME],
                peers=frozenset(event.peers),
                others=frozenset(event.others),
                since_ms=self._state.now_ms,
            )
            self._roll.refresh(event.peers)

    def _on_fault_ended(self, event: told.FaultEnded, envelope: Envelope, name: str) -> None:
        fault = self._state.faults.pop(event.fault, None)
        if fault is None:
            return
        left = fault.peers.difference(event.peers)
        if left and event.peers and fault.kind == FREEZE:
            self._state.faults[event.fault] = FaultView(
                fault.number, fault.kind, left, fault.others, fault.since_ms
            )
        self._roll.refresh(fault.peers)

    def _on_lost(self, event: told.EventsLost, envelope: Envelope, name: str) -> None:
        self.note_lost(event.count)

    def _on_load(self, event: told.LoadStarted, envelope: Envelope, name: str) -> None:
        self._state.load = load.begun(event)

    def _on_interval(self, event: told.LoadInterval, envelope: Envelope, name: str) -> None:
        self._state.load = load.gone_on(self._state.load, event)

    def _on_load_ended(self, event: told.LoadEnded, envelope: Envelope, name: str) -> None:
        self._state.load = load.ended(self._state.load, event)

    # Messages

    def _on_settled(self, event: told.MessageSettled, envelope: Envelope, name: str) -> None:
        self._state.counts["delivered" if event.status == "delivered" else "failed"] += 1

    def _on_dropped(self, event: told.MessageDropped, envelope: Envelope, name: str) -> None:
        self._state.counts["dropped"] += count(event.count)

    def _on_broadcast(self, event: told.BroadcastReceived, envelope: Envelope, name: str) -> None:
        self._state.counts["broadcasts received"] += 1

    def _on_broadcast_over(self, event: told.BroadcastFinished, envelope: Envelope, name: str) -> None:
        self._trips.finish(event.trip, broadcast_in_words(event))

    def _on_lookup(self, event: told.LookupFinished, envelope: Envelope, name: str) -> None:
        self._state.counts["lookups" if event.owner else "lookups failed"] += 1
        self._trips.finish(event.trip, lookup_in_words(event, self._called))

    def _on_misbehaved(self, event: told.RelayMisbehaved, envelope: Envelope, name: str) -> None:
        self._state.counts["harmed"] += 1
        peer = self._present(name)
        if peer is not None:
            peer.behaviour = peer.behaviour or event.behaviour[:NAME]
        self._trips.take_harm(event, name)

    def _on_counted(self, event: told.TrafficCounted, envelope: Envelope, name: str) -> None:
        if self._present(name) is not None:
            self._edges.count(name, event)

    def _on_hop(self, event: told.HopTaken, envelope: Envelope, name: str) -> None:
        self._trips.take_hop(event, name)

    def _on_copies(self, event: told.CopiesTraced, envelope: Envelope, name: str) -> None:
        self._trips.take_copies(event, name)


Handler = Callable[[SwarmFold, Any, Envelope, str], bool | None]
"""Changes the state. False: that is no news for the swarm's log."""

_HANDLERS: Final[dict[type, Handler]] = {
    told.PeerStarted: SwarmFold._on_started,
    told.AddressChanged: SwarmFold._on_moved,
    told.PeerStopped: SwarmFold._on_stopped,
    told.PhaseChanged: SwarmFold._on_phase,
    told.SuccessorsChanged: SwarmFold._on_successors,
    told.PredecessorChanged: SwarmFold._on_predecessor,
    told.FingersChanged: SwarmFold._on_fingers,
    told.PeerSuspected: SwarmFold._on_suspected,
    told.LinkOpened: SwarmFold._on_opened,
    told.LinkClosed: SwarmFold._on_closed,
    told.PortMapped: SwarmFold._on_mapped,
    told.PortMappingLost: SwarmFold._on_unmapped,
    told.RelaysChanged: SwarmFold._on_relays,
    told.PeerMeasured: SwarmFold._on_measured,
    told.WorkerStarted: SwarmFold._on_worker,
    told.WorkerExited: SwarmFold._on_worker_exited,
    told.ChildRestarted: SwarmFold._on_restarted,
    told.Escalated: SwarmFold._on_escalated,
    told.RunStateChanged: SwarmFold._on_run_state,
    told.FaultStarted: SwarmFold._on_fault,
    told.FaultEnded: SwarmFold._on_fault_ended,
    told.EventsLost: SwarmFold._on_lost,
    told.LoadStarted: SwarmFold._on_load,
    told.LoadInterval: SwarmFold._on_interval,
    told.LoadEnded: SwarmFold._on_load_ended,
    told.MessageSettled: SwarmFold._on_settled,
    told.MessageDropped: SwarmFold._on_dropped,
    told.BroadcastReceived: SwarmFold._on_broadcast,
    told.BroadcastFinished: SwarmFold._on_broadcast_over,
    told.LookupFinished: SwarmFold._on_lookup,
    told.RelayMisbehaved: SwarmFold._on_misbehaved,
    told.TrafficCounted: SwarmFold._on_counted,
    told.HopTaken: SwarmFold._on_hop,
    told.CopiesTraced: SwarmFold._on_copies,
}


def fold(envelopes: Iterable[Envelope]) -> SwarmFold:
    """The fold of these events, from an empty state."""
    folded = SwarmFold()
    for envelope in envelopes:
        folded.apply(envelope)
    return folded
