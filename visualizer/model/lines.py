"""What the log says about each event, in plain words and with peers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from cicada.events import (
    WHY_DROPPED,
    AddressChanged,
    AnyEvent,
    BroadcastFinished,
    BroadcastReceived,
    BroadcastStarted,
    ChildExited,
    ChildRestarted,
    CommandReceived,
    CopiesTraced,
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
    WaveRestarted,
    WorkerExited,
    WorkerStarted,
)
from visualizer.model.bounds import TEXT, WORDS
from visualizer.model.state import Kind, Line

Called = Callable[[str], str]
"""The name of the peer at an address; the address when there is none."""


class Rule(NamedTuple):
    """How one kind of event is told. ``is_bad``: somebody ought to look at it; ``quiet``: so many come that only the peer's own
    last events show them; ``skips``: of these nothing is said."""

    kind: Kind
    tell: Callable[[Any, Called], str]
    is_bad: Callable[[Any], bool]
    quiet: bool = False
    skips: Callable[[Any], bool] | None = None


_PHASES: Final = {
    "idle": "is in no ring",
    "joining": "joins",
    "alone": "is a ring of its own",
    "member": "is in the ring",
}
_PLAIN: Final = frozenset({"join", "joined", "created"})
"""Reasons for a phase that say no more than the phase."""


def line_of(event: AnyEvent, peer: str, time_ms: int, called: Called) -> Line | None:
    """What is said about an event of ``peer``. None: nothing, because every message or second makes one of its kind."""
    rule = RULES.get(type(event))
    if rule is None or (rule.skips is not None and rule.skips(event)):
        return None
    return Line(time_ms, rule.kind, peer, rule.tell(event, called)[:TEXT], rule.is_bad(event))


def is_quiet(kind: type) -> bool:
    """Whether the swarm's log leaves out lines of this kind of event."""
    return RULES[kind].quiet


def _never(_: object) -> bool:
    return False


def _always(_: object) -> bool:
    return True


def _because(reason: str) -> str:
    return f": {reason[:WORDS]}" if reason else ""


def _named(peers: Sequence[str]) -> str:
    shown = " ".join(peers[:3])
    return f"{shown} and {len(peers) - 3} more" if len(peers) > 3 else shown


def _phase(event: PhaseChanged, _: Called) -> str:
    words = _PHASES.get(event.phase, event.phase[:WORDS])
    return words if event.reason in _PLAIN else f"{words}{_because(event.reason)}"


def _successors(event: SuccessorsChanged, called: Called) -> str:
    listed = event.successors
    return f"successor {called(listed[0])}, {len(listed)} in the list" if listed else "has no successor"


def _predecessor(event: PredecessorChanged, called: Called) -> str:
    return f"predecessor {called(event.predecessor)}" if event.predecessor else "has no predecessor"


def _fingers(event: FingersChanged, called: Called) -> str:
    changes = [f"+{called(peer)}" for peer in event.added[:4]]
    changes += [f"-{called(peer)}" for peer in event.removed[:4]]
    return f"fingers {_named(changes)}"


def lookup_in_words(event: LookupFinished, called: Called) -> str:
    """How a lookup ended."""
    if not event.owner:
        return f"failed{_because(event.reason)}"
    hops = "1 hop" if event.hops == 1 else f"{event.hops} hops"
    return f"{called(event.owner)} owns it, {hops}, {event.seconds * 1000:.1f} ms"


def _asked(event: LookupStarted, _: Called) -> str:
    return f"looks up {event.place[:8]}{', asking each peer on the way' if event.iterative else ''}"


def _lookup(event: LookupFinished, called: Called) -> str:
    return f"lookup of {event.place[:8]}: {lookup_in_words(event, called)}"


def _settled(event: MessageSettled, _: Called) -> str:
    tries = "1 attempt" if event.attempts == 1 else f"{event.attempts} attempts"
    return f"message {event.message} failed{_because(event.reason)}, after {tries}"


def _dropped(event: MessageDropped, _: Called) -> str:
    what = "a message" if event.count == 1 else f"{event.count} messages"
    return f"dropped {what}{_because(WHY_DROPPED.get(event.reason, event.reason))}"


def _copies(event: CopiesTraced, called: Called) -> str:
    whole = sum(fate == "intact" for fate in event.fates)
    fates = [f"copy {index} {fate}" for index, fate in enumerate(event.fates[:10]) if fate != "intact"]
    told = f": {', '.join(fates)}" if fates else ""
    return f"message {event.message} to {called(event.target)[:WORDS]}: {whole} of {len(event.fates)} copies intact{told}"


def _broadcast(event: BroadcastReceived, called: Called) -> str:
    return f"broadcast {event.message} of {called(event.origin)} arrived over {event.hops} hops"


def broadcast_in_words(event: BroadcastFinished) -> str:
    """How a broadcast ended."""
    if event.reason:
        return f"never left{_because(event.reason)}"
    peers = "1 peer has it" if event.reached == 1 else f"{event.reached} peers have it"
    return peers if event.complete else f"{peers}, and a part of the ring did not answer"


def _relays(event: RelaysChanged, called: Called) -> str:
    if not event.relays:
        return "is reached by no relay"
    return f"is reached by {_named([called(relay) for relay in event.relays[:8]])}"


def _misbehaved(event: RelayMisbehaved, called: Called) -> str:
    field = f", its {event.field}" if event.field else ""
    return f"did harm on purpose ({event.behaviour}): {event.message} of {called(event.origin)}{field}"


def _opened(event: LinkOpened, called: Called) -> str:
    return f"link with {called(event.remote)} opened"


def _closed(event: LinkClosed, called: Called) -> str:
    return f"link with {called(event.remote)} closed{_because(event.reason)}"


def _exited(event: WorkerExited, _: Called) -> str:
    told = ", as it was told" if event.expected else ""
    return f"{event.worker} (process {event.pid}) ended: {event.exit}{told}"


def _fault_started(event: FaultStarted, _: Called) -> str:
    against = f" against {_named(event.others)}" if event.others else ""
    lasts = f", for {event.lasts:g} s" if event.lasts is not None else ""
    return f"fault {event.fault}: {event.kind} {_named(event.peers)}{against}{lasts}"


def _fault_ended(event: FaultEnded, _: Called) -> str:
    return f"fault {event.fault} ({event.kind}) ended for {_named(event.peers)}{_because(event.reason)}"


def _scheduled(event: ScheduledFaultDone, _: Called) -> str:
    whom = _named(event.peers) or event.select
    return f"timeline: {event.do} {whom}, due at {event.due_s:g} s{_because(event.problem)}"


def _expectation(event: ExpectationChecked, _: Called) -> str:
    verdict = "holds" if event.held else "does not hold"
    return f"expected: {event.check} {verdict}{_because(event.found)}"


def _load_started(event: LoadStarted, _: Called) -> str:
    ops = ", ".join(f"{share:.0%} {name}" for name, share in event.ops.items())
    return f"load {event.load} begins: {event.model}, {ops}"


def _threshold(event: ThresholdChecked, _: Called) -> str:
    value = "no figure" if event.value is None else f"{event.value:g}"
    return f"threshold {event.threshold} {'holds' if event.held else 'does not hold'}: {value}"


def _key_conflict(event: KeyConflict, called: Called) -> str:
    return f"neighbours of {called(event.address)} name another key of it than it proves"


def _mapped(event: PortMapped, _: Called) -> str:
    beyond = "" if event.is_global else ", behind another NAT"
    return (
        f"port {event.port} is mapped to {event.external or 'an unknown address'} by {event.protocol}{beyond}"
    )


def _unmapped(event: PortMappingFailed, _: Called) -> str:
    return f"port {event.port} is not mapped{_because(event.reason)}; {event.advice}"


_EXPECTED: Final = frozenset({"broadcast-duplicate", "broadcast-came-back"})
"""Reasons to drop a message that are no trouble: broadcasts come by several ways."""

RULES: Final[dict[type, Rule]] = {
    PhaseChanged: Rule(Kind.RING, _phase, _never),
    SuccessorsChanged: Rule(Kind.RING, _successors, lambda event: not event.successors),
    PredecessorChanged: Rule(Kind.RING, _predecessor, _never),
    FingersChanged: Rule(Kind.RING, _fingers, _never, quiet=True),
    PeerSuspected: Rule(
        Kind.RING, lambda e, called: f"suspects {called(e.suspect)}{_because(e.reason)}", _always
    ),
    LookupStarted: Rule(Kind.LOOKUP, _asked, _never, quiet=True),
    LookupFinished: Rule(Kind.LOOKUP, _lookup, lambda event: not event.owner),
    MessageSettled: Rule(Kind.DATA, _settled, _always, skips=lambda event: event.status == "delivered"),
    MessageDropped: Rule(Kind.DATA, _dropped, lambda event: event.reason not in _EXPECTED),
    CopiesTraced: Rule(
        Kind.DATA, _copies, lambda event: any(fate in ("altered", "lost") for fate in event.fates)
    ),
    BroadcastStarted: Rule(
        Kind.BROADCAST, lambda e, called: f"broadcasts {e.bytes} bytes, broadcast {e.message}", _never
    ),
    BroadcastFinished: Rule(
        Kind.BROADCAST,
        lambda e, called: f"broadcast {e.message}: {broadcast_in_words(e)}",
        lambda event: event.reason != "" or not event.complete,
    ),
    RelaysChanged: Rule(Kind.NAT, _relays, _never),
    BroadcastReceived: Rule(Kind.BROADCAST, _broadcast, _never, quiet=True),
    RelayMisbehaved: Rule(Kind.FAULT, _misbehaved, _always, quiet=True),
    LinkOpened: Rule(Kind.LINK, _opened, _never, quiet=True),
    LinkClosed: Rule(Kind.LINK, _closed, _never, quiet=True),
    PeerFaulted: Rule(
        Kind.LINK, lambda e, called: f"{called(e.remote)} broke a rule{_because(e.reason)}", _always
    ),
    KeyChanged: Rule(
        Kind.KEY, lambda e, called: f"{called(e.address)} shows another key than the pinned one", _always
    ),
    KeyConflict: Rule(Kind.KEY, _key_conflict, _always),
    PinMade: Rule(Kind.KEY, lambda e, called: f"pinned the key of {called(e.address)}", _never, quiet=True),
    HandshakeRefused: Rule(
        Kind.KEY, lambda e, called: f"refused a session with {called(e.remote)}{_because(e.reason)}", _always
    ),
    PortMapped: Rule(Kind.NAT, _mapped, lambda event: not event.is_global),
    PortMappingLost: Rule(
        Kind.NAT, lambda e, called: f"port {e.port} is not mapped any more{_because(e.reason)}", _always
    ),
    PortMappingFailed: Rule(Kind.NAT, _unmapped, _always),
    PeerStarted: Rule(Kind.RUN, lambda e, called: f"listens at {e.address}", _never),
    AddressChanged: Rule(
        Kind.NAT, lambda e, called: f"is reached at {e.address}, no longer at {e.before}", _never
    ),
    PeerStopped: Rule(
        Kind.RUN, lambda e, called: f"ended: {e.how}", lambda event: event.how in ("killed", "failed")
    ),
    ChildExited: Rule(Kind.RUN, lambda e, called: f"{e.child} failed{_because(e.reason)}", _always),
    ChildRestarted: Rule(
        Kind.RUN, lambda e, called: f"{e.child} is started again, restart {e.restarts}", _always
    ),
    Escalated: Rule(Kind.RUN, lambda e, called: f"gave up {e.child}{_because(e.reason)}", _always),
    WorkerStarted: Rule(Kind.RUN, lambda e, called: f"{e.worker} runs as process {e.pid}", _never),
    WorkerExited: Rule(Kind.RUN, _exited, lambda event: not event.expected),
    RunStateChanged: Rule(
        Kind.RUN,
        lambda e, called: f"the swarm is {e.state}{_because(e.detail)}",
        lambda event: event.state in ("degraded", "failed"),
    ),
    CommandReceived: Rule(Kind.RUN, lambda e, called: f"somebody asked for {e.command}", _never),
    WaveRestarted: Rule(
        Kind.RUN, lambda e, called: f"wave {e.wave} of {e.waves} is back: {_named(e.peers)}", _never
    ),
    FaultStarted: Rule(Kind.FAULT, _fault_started, _always),
    FaultEnded: Rule(Kind.FAULT, _fault_ended, _never),
    ScheduledFaultDone: Rule(Kind.FAULT, _scheduled, lambda event: event.problem != ""),
    ExpectationChecked: Rule(Kind.RUN, _expectation, lambda event: not event.held),
    LoadStarted: Rule(Kind.LOAD, _load_started, _never),
    LoadEnded: Rule(
        Kind.LOAD,
        lambda e, called: f"load {e.load} {e.outcome}{_because(e.verdict)}",
        lambda event: event.outcome not in ("finished", "stopped"),
    ),
    ThresholdChecked: Rule(
        Kind.LOAD, _threshold, lambda event: not event.held, skips=lambda event: not event.final
    ),
    EventsLost: Rule(
        Kind.RUN, lambda e, called: f"{e.count} events were not told{_because(e.reason)}", _always
    ),
}
"""Every kind of event that is told. HopTaken, TrafficCounted, PeerMeasured and LoadInterval are drawn instead."""
