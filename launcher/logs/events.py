"""What the log says about each event: its level, whose it is, and its words. Pure.

What every message makes (a receipt that says delivered, a broadcast that arrives) is not logged at any level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

import msgspec

from cicada.events import (
    AddressChanged,
    AnyEvent,
    BroadcastFinished,
    BroadcastReceived,
    BroadcastStarted,
    ChildExited,
    ChildRestarted,
    CommandReceived,
    Escalated,
    EventsLost,
    ExpectationChecked,
    FaultEnded,
    FaultStarted,
    FingersChanged,
    HandshakeRefused,
    KeyChanged,
    KeyConflict,
    LinkClosed,
    LinkOpened,
    LoadEnded,
    LoadInterval,
    LoadStarted,
    LookupFinished,
    LookupStarted,
    MessageDropped,
    MessageSettled,
    PeerFaulted,
    PeerStarted,
    PeerStopped,
    PeerSuspected,
    PhaseChanged,
    PinMade,
    PortMapped,
    PortMappingFailed,
    PortMappingLost,
    PredecessorChanged,
    RelayMisbehaved,
    RelaysChanged,
    RunStateChanged,
    ScheduledFaultDone,
    SuccessorsChanged,
    ThresholdChecked,
    TrafficEvent,
    WaveRestarted,
    WorkerExited,
    WorkerStarted,
)
from launcher.logs.records import Detail, Facts, Level

RING: Final = "ring"
ROUTER: Final = "router"
CRYPTO: Final = "crypto"
TRANSPORT: Final = "transport"
SUPERVISOR: Final = "supervisor"
ACTORS: Final = (TRANSPORT, RING, ROUTER, CRYPTO, SUPERVISOR)
"""The actors of a peer, as records and levels name them."""


class Rule(msgspec.Struct, frozen=True):
    """How one kind of event is logged. ``skips`` says of which events nothing is; ``gathers``: equal events that come
    together become one record, because a stranger or an overload can make thousands.
    """

    level: Level
    actor: str
    tell: Callable[[Any], Facts]
    skips: Callable[[Any], bool] | None = None
    gathers: bool = False


_NAMED: Final = 4  # peers in a text; all of them are in the detail

SILENT: Final = frozenset(
    {BroadcastReceived, BroadcastStarted, BroadcastFinished, LookupStarted, *get_args(TrafficEvent)}
)
"""Events that are never logged."""


def _named(peers: Sequence[str]) -> str:
    more = f" and {len(peers) - _NAMED} more" if len(peers) > _NAMED else ""
    return f"{' '.join(peers[:_NAMED])}{more}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _phase(event: PhaseChanged) -> Facts:
    return Facts(text=f"phase {event.phase}{_because(event.reason)}", detail={"phase": event.phase})


def _successors(event: SuccessorsChanged) -> Facts:
    listed = event.successors
    if not listed:
        return Facts(text="no successors")
    return Facts(
        text=f"head {listed[0]}, {len(listed)} in the list", remote=listed[0], detail={"successors": listed}
    )


def _predecessor(event: PredecessorChanged) -> Facts:
    return Facts(text=f"predecessor {event.predecessor or 'unknown'}", remote=event.predecessor)


def _fingers(event: FingersChanged) -> Facts:
    changes = [*(f"+{peer}" for peer in event.added), *(f"-{peer}" for peer in event.removed)]
    return Facts(text=f"fingers {_named(changes)}", detail={"added": event.added, "removed": event.removed})


def _suspected(event: PeerSuspected) -> Facts:
    return Facts(text=f"suspects {event.suspect}{_because(event.reason)}", remote=event.suspect)


def _lookup(event: LookupFinished) -> Facts:
    outcome = f"found {event.owner} over {event.hops} hops" if event.owner else f"failed: {event.reason}"
    return Facts(
        text=f"lookup {event.lookup} of {event.place[:8]} {outcome} after {event.seconds * 1000:.1f} ms",
        lookup=event.lookup,
        remote=event.owner,
        detail={"place": event.place, "hops": event.hops, "seconds": event.seconds},
    )


def _settled(event: MessageSettled) -> Facts:
    return Facts(
        text=f"message {event.message} failed: {event.reason}, after {event.attempts} attempts",
        message=event.message,
        detail={"attempts": event.attempts},
    )


def _dropped(event: MessageDropped) -> Facts:
    what = "a message" if event.count == 1 else f"{event.count} messages"
    return Facts(
        text=f"dropped {what}: {event.reason}", detail={"reason": event.reason, "count": event.count}
    )


def _misbehaved(event: RelayMisbehaved) -> Facts:
    field = f", {event.field}" if event.field else ""
    return Facts(
        text=f"{event.behaviour} on purpose: {event.message} from {event.origin} to {event.target[:8]}{field}",
        remote=event.origin,
        detail={"counter": event.counter, "index": event.index, "attempt": event.attempt, "way": event.way},
    )


def _relays(event: RelaysChanged) -> Facts:
    text = f"reached by {_named(event.relays)}" if event.relays else "reached by no relay"
    return Facts(text=text, detail={"relays": event.relays})


def _opened(event: LinkOpened) -> Facts:
    who = "dialled from here" if event.dialled else "dialled from there"
    return Facts(text=f"link with {event.remote} opened, {who}", remote=event.remote)


def _closed(event: LinkClosed) -> Facts:
    return Facts(text=f"link with {event.remote} closed{_because(event.reason)}", remote=event.remote)


def _faulted(event: PeerFaulted) -> Facts:
    return Facts(text=f"{event.remote} broke a rule{_because(event.reason)}", remote=event.remote)


def _moved(event: AddressChanged) -> Facts:
    return Facts(
        text=f"is reached at {event.address}, no longer at {event.before}",
        detail={"address": event.address, "before": event.before},
    )


def _started(event: PeerStarted) -> Facts:
    return Facts(text=f"listens at {event.address}", detail={"address": event.address, "place": event.place})


def _exited(event: ChildExited) -> Facts:
    return Facts(text=f"{event.child} failed{_because(event.reason)}", detail={"child": event.child})


def _restarted(event: ChildRestarted) -> Facts:
    return Facts(
        text=f"{event.child} is started again, restart {event.restarts}",
        detail={"child": event.child, "restarts": event.restarts},
    )


def _escalated(event: Escalated) -> Facts:
    return Facts(text=f"gave up {event.child}{_because(event.reason)}", detail={"child": event.child})


def _worker_started(event: WorkerStarted) -> Facts:
    detail: dict[str, Detail] = {"worker": event.worker, "pid": event.pid}
    return Facts(text=f"{event.worker} runs as process {event.pid}", detail=detail)


def _worker_exited(event: WorkerExited) -> Facts:
    detail: dict[str, Detail] = {"worker": event.worker, "pid": event.pid, "exit": event.exit}
    return Facts(text=f"{event.worker} (process {event.pid}) ended: {event.exit}", detail=detail)


def _run_state(event: RunStateChanged) -> Facts:
    return Facts(text=f"the swarm is {event.state}{_because(event.detail)}", detail={"state": event.state})


def _command(event: CommandReceived) -> Facts:
    return Facts(text=f"somebody asked for {event.command}", detail={"command": event.command})


def _wave(event: WaveRestarted) -> Facts:
    return Facts(
        text=f"wave {event.wave} of {event.waves} is back: {_named(event.peers)}",
        detail={"peers": event.peers},
    )


def _fault_started(event: FaultStarted) -> Facts:
    against = f" against {_named(event.others)}" if event.others else ""
    lasts = f", for {event.lasts:g} s" if event.lasts is not None else ""
    detail: dict[str, Detail] = {"fault": event.fault, "peers": event.peers, "others": event.others}
    return Facts(
        text=f"fault {event.fault}: {event.kind} {_named(event.peers)}{against}{lasts}", detail=detail
    )


def _fault_ended(event: FaultEnded) -> Facts:
    text = f"fault {event.fault} ({event.kind}) ended for {_named(event.peers)}{_because(event.reason)}"
    return Facts(text=text, detail={"fault": event.fault, "peers": event.peers})


def _scheduled(event: ScheduledFaultDone) -> Facts:
    whom = f" {_named(event.peers)}" if event.peers else f" {event.select}"
    text = f"timeline: {event.do}{whom}, due {event.due_s:g} s after the start{_because(event.problem)}"
    return Facts(text=text, detail={"entry": event.entry, "peers": event.peers})


def _expectation(event: ExpectationChecked) -> Facts:
    verdict = "holds" if event.held else "does not hold"
    return Facts(text=f"expected: {event.check} {verdict} after {event.at_s:g} s: {event.found}")


def _load_started(event: LoadStarted) -> Facts:
    ops = " ".join(f"{name}={share:.0%}" for name, share in event.ops.items())
    return Facts(text=f"load {event.load} begins: {event.model} model, {ops}", detail={"load": event.load})


def _load_interval(event: LoadInterval) -> Facts:
    ended = sum(op.succeeded + op.failed for op in event.ops)
    text = f"load {event.load}: {ended} operations ended in the {event.end_s - event.start_s:.1f} s until {event.end_s:.1f} s"
    return Facts(text=text)


def _load_ended(event: LoadEnded) -> Facts:
    return Facts(
        text=f"load {event.load} {event.outcome}{_because(event.verdict)}", detail={"load": event.load}
    )


def _threshold(event: ThresholdChecked) -> Facts:
    value = "no figure" if event.value is None else f"{event.value:g}"
    verdict = "holds" if event.held else "does not hold"
    return Facts(text=f"threshold {event.threshold} {verdict}: {value}")


def _events_lost(event: EventsLost) -> Facts:
    return Facts(text=f"{event.count} events were not told: {event.reason}", detail={"count": event.count})


def _key_changed(event: KeyChanged) -> Facts:
    text = f"{event.address} shows another key than the pinned one: {event.shown[:16]} instead of {event.pinned[:16]}"
    return Facts(text=text, remote=event.address, detail={"pinned": event.pinned, "shown": event.shown})


def _key_conflict(event: KeyConflict) -> Facts:
    proven = event.proven[:16] or "no key at all"
    text = f"neighbours of {event.address} name other keys of it than it proves, {proven}"
    return Facts(text=text, remote=event.address, detail={"proven": event.proven, "named": event.named})


def _pin_made(event: PinMade) -> Facts:
    text = f"pinned {event.address} to key {event.key[:16]}"
    return Facts(text=text, remote=event.address, detail={"replaced": event.replaced})


def _handshake_refused(event: HandshakeRefused) -> Facts:
    return Facts(text=f"refused a session: {event.reason}", remote=event.remote)


def _mapped(event: PortMapped) -> Facts:
    lease = f"for {event.lease_s:g} s" if event.lease_s else "until it is deleted"
    nat = "" if event.is_global else "; behind another NAT, so not to be advertised"
    text = f"{event.gateway} forwards {event.external} to port {event.port} by {event.protocol} {lease}{nat}"
    return Facts(text=text, remote=event.external)


def _mapping_lost(event: PortMappingLost) -> Facts:
    return Facts(text=f"port {event.port} is not mapped any more: {event.reason}")


def _mapping_failed(event: PortMappingFailed) -> Facts:
    text = f"port {event.port} is not mapped: {event.reason}; {event.advice}"
    return Facts(text=text, detail={"retry_in_s": event.retry_in_s})


RULES: Final[dict[type[AnyEvent], Rule]] = {
    PhaseChanged: Rule(Level.INFO, RING, _phase),
    SuccessorsChanged: Rule(Level.INFO, RING, _successors),
    PredecessorChanged: Rule(Level.INFO, RING, _predecessor),
    FingersChanged: Rule(Level.DEBUG, RING, _fingers),
    PeerSuspected: Rule(Level.WARNING, RING, _suspected),
    LookupFinished: Rule(Level.DEBUG, RING, _lookup),
    MessageSettled: Rule(Level.DEBUG, ROUTER, _settled, skips=lambda event: event.status == "delivered"),
    MessageDropped: Rule(Level.WARNING, ROUTER, _dropped, gathers=True),
    RelayMisbehaved: Rule(Level.DEBUG, ROUTER, _misbehaved),
    RelaysChanged: Rule(Level.INFO, ROUTER, _relays),
    LinkOpened: Rule(Level.DEBUG, TRANSPORT, _opened),
    LinkClosed: Rule(Level.DEBUG, TRANSPORT, _closed),
    PeerFaulted: Rule(Level.WARNING, TRANSPORT, _faulted, gathers=True),
    KeyChanged: Rule(Level.WARNING, CRYPTO, _key_changed),
    KeyConflict: Rule(Level.WARNING, CRYPTO, _key_conflict),
    PinMade: Rule(Level.DEBUG, CRYPTO, _pin_made),
    HandshakeRefused: Rule(Level.WARNING, CRYPTO, _handshake_refused, gathers=True),
    PortMapped: Rule(Level.INFO, SUPERVISOR, _mapped),
    PortMappingLost: Rule(Level.WARNING, SUPERVISOR, _mapping_lost),
    PortMappingFailed: Rule(Level.WARNING, SUPERVISOR, _mapping_failed),
    PeerStarted: Rule(Level.INFO, SUPERVISOR, _started),
    AddressChanged: Rule(Level.INFO, SUPERVISOR, _moved),
    PeerStopped: Rule(Level.INFO, SUPERVISOR, lambda event: Facts(text=f"ended: {event.how}")),
    ChildExited: Rule(Level.WARNING, SUPERVISOR, _exited),
    ChildRestarted: Rule(Level.WARNING, SUPERVISOR, _restarted),
    Escalated: Rule(Level.ERROR, SUPERVISOR, _escalated),
    WorkerStarted: Rule(Level.INFO, SUPERVISOR, _worker_started),
    WorkerExited: Rule(
        Level.WARNING,
        SUPERVISOR,
        _worker_exited,
        skips=lambda event: event.expected and event.exit == "exit 0",
    ),
    RunStateChanged: Rule(Level.INFO, "", _run_state),
    CommandReceived: Rule(Level.INFO, "", _command),
    WaveRestarted: Rule(Level.INFO, "", _wave),
    FaultStarted: Rule(Level.WARNING, "", _fault_started),
    FaultEnded: Rule(Level.INFO, "", _fault_ended),
    ScheduledFaultDone: Rule(Level.INFO, "", _scheduled),
    ExpectationChecked: Rule(Level.INFO, "", _expectation),
    LoadStarted: Rule(Level.INFO, "", _load_started),
    LoadInterval: Rule(Level.DEBUG, "", _load_interval),
    LoadEnded: Rule(Level.INFO, "", _load_ended),
    ThresholdChecked: Rule(Level.INFO, "", _threshold, skips=lambda event: not event.final),
    EventsLost: Rule(Level.WARNING, "", _events_lost),
}
"""Every kind of event that is logged."""
