"""What one peer exports to others: who may ask which actor, and what of that is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import takewhile

import msgspec

from cicada.ids import Peer
from cicada.keys.trust import Trust
from cicada.limits import ACTORS, ActorsLimits
from cicada.routing.shares import may_hold
from cicada.routing.timers import Timers, earlier
from cicada.wire.actors import (
    ActorEnded,
    ActorFailed,
    ActorReplied,
    ActorRequest,
    ActorResponse,
    ActorTook,
    AskActor,
    FailureKind,
    WatchActor,
)

Caller = tuple[Peer, str]
"""A peer and its proven peer id; that is empty without encryption."""


class Offered(msgspec.Struct, frozen=True):
    """Input: an actor is exported as ``name`` to peers with that much trust. ``life`` tells it from others of that name."""

    name: str
    life: int
    require: Trust


class Withdrawn(msgspec.Struct, frozen=True):
    """Input: it is not any more. ``failed``: because it failed."""

    name: str
    failed: bool
    reason: str


class Requested(msgspec.Struct, frozen=True):
    """Input: a peer wants something of an actor."""

    caller: Caller
    trust: Trust
    request: ActorRequest


class Replied(msgspec.Struct, frozen=True):
    """Input: the actor replied to the ask that Carry named by ``ticket``."""

    ticket: int
    body: bytes


class Accepted(msgspec.Struct, frozen=True):
    """Input: the tell that Carry named by ``ticket`` lies in the inbox."""

    ticket: int


class Refused(msgspec.Struct, frozen=True):
    """Input: nothing came of what Carry named by ``ticket``."""

    ticket: int
    kind: FailureKind
    reason: str


class TimerFired(msgspec.Struct, frozen=True):
    """Input: the deadline has passed."""


class Carry(msgspec.Struct, frozen=True):
    """Output: give the command to the actor, then feed Accepted, Replied or Refused with this ticket."""

    ticket: int
    name: str
    caller: Caller
    trust: Trust
    body: bytes
    is_ask: bool


class Respond(msgspec.Struct, frozen=True):
    """Output: send this."""

    to: Peer
    response: ActorResponse


ExportInput = Offered | Withdrawn | Requested | Replied | Accepted | Refused | TimerFired
ExportOutput = Carry | Respond


class _Open(msgspec.Struct):
    caller: Caller
    id: int
    name: str
    is_ask: bool


class _Watcher(msgspec.Struct):
    caller: Caller
    id: int  # of its last WatchActor
    name: str
    deadline: float


class Exports:
    """Bounded: ``limits.pending`` requests and ``limits.watchers``, of which one peer holds no more than its share.

    ``refusals`` counts what was refused or came to nothing, by reason.
    """

    def __init__(self, limits: ActorsLimits = ACTORS) -> None:
        self._limits = limits
        self._offers: dict[str, Offered] = {}
        self._open: dict[int, _Open] = {}
        self._due = Timers()  # when each of them is given up
        self._watchers: dict[tuple[Caller, str], _Watcher] = {}  # all live as long, so the first ends first
        self._held: Counter[tuple[type, Caller]] = Counter()
        self._tickets = 0
        self.refusals: Counter[str] = Counter()

    def __len__(self) -> int:
        """Requests that wait for their actor."""
        return len(self._open)

    @property
    def watchers(self) -> int:
        """Who will hear of the end of an actor."""
        return len(self._watchers)

    def offers(self, name: str) -> bool:
        """Whether an actor is exported by that name."""
        return name in self._offers

    def handle(self, input: ExportInput, now: float) -> list[ExportOutput]:
        match input:
            case Offered(name=name):
                self._offers[name] = input
                return []
            case Withdrawn():
                return self._on_withdrawn(input)
            case Requested():
                return self._on_request(input, now)
            case Replied(ticket=ticket, body=body):
                return self._close(ticket, lambda opened: ActorReplied(opened.id, body))
            case Accepted(ticket=ticket):
                return self._close(
                    ticket, lambda opened: ActorTook(opened.id, self._offers[opened.name].life)
                )
            case Refused(ticket=ticket, kind=kind, reason=reason):
                return self._on_refused(ticket, kind, reason)
            case TimerFired():
                return self._on_timer(now)

    def next_deadline(self) -> float | None:
        """When the first of all is forgotten."""
        watcher = next(iter(self._watchers.values()), None)
        return earlier(self._due.next_deadline(), None if watcher is None else watcher.deadline)

    def _on_withdrawn(self, withdrawn: Withdrawn) -> list[ExportOutput]:
        if self._offers.pop(withdrawn.name, None) is None:
            return []
        outputs: list[ExportOutput] = []
        for ticket in [ticket for ticket, opened in self._open.items() if opened.name == withdrawn.name]:
            outputs += self._on_refused(ticket, "ended", withdrawn.reason)
        for key in [key for key, watcher in self._watchers.items() if watcher.name == withdrawn.name]:
            watcher = self._forget(key)
            ended = ActorEnded(watcher.id, withdrawn.failed, withdrawn.reason[: self._limits.max_reason])
            outputs.append(Respond(watcher.caller[0], ended))
        return outputs

    def _on_request(self, requested: Requested, now: float) -> list[ExportOutput]:
        request, caller = requested.request, requested.caller
        offer = self._offers.get(request.name)
        if offer is None or requested.trust < offer.require:  # the same word: who may not ask learns no names
            reason = f"no actor {request.name!r} is exported to a peer with trust {requested.trust.word!r}"
            return [self._refusal(caller, request.id, "refused", reason)]
        if isinstance(request, WatchActor):
            return self._on_watch(caller, request, offer, now)
        if not self._has_room(_Open, caller, len(self._open), self._limits.pending):
            return [self._refusal(caller, request.id, "full", "too many requests wait for actors here")]
        self._tickets += 1
        is_ask = isinstance(request, AskActor)
        patience = request.timeout / 1000 if isinstance(request, AskActor) else self._limits.tell_timeout
        self._open[self._tickets] = _Open(caller, request.id, request.name, is_ask)
        self._due.set(self._tickets, now + patience)
        self._held[_Open, caller] += 1
        return [Carry(self._tickets, request.name, caller, requested.trust, request.body, is_ask)]

    def _on_watch(
        self, caller: Caller, request: WatchActor, offer: Offered, now: float
    ) -> list[ExportOutput]:
        key = (caller, request.name)
        if key not in self._watchers:
            if not self._has_room(_Watcher, caller, len(self._watchers), self._limits.watchers):
                return [self._refusal(caller, request.id, "full", "too many watch actors here")]
            self._held[_Watcher, caller] += 1
        self._watchers.pop(key, None)
        self._watchers[key] = _Watcher(caller, request.id, request.name, now + self._limits.watch_expiry)
        return [Respond(caller[0], ActorTook(request.id, offer.life))]

    def _on_refused(self, ticket: int, kind: FailureKind, reason: str) -> list[ExportOutput]:
        opened = self._take(ticket)
        return [] if opened is None else [self._refusal(opened.caller, opened.id, kind, reason)]

    def _on_timer(self, now: float) -> list[ExportOutput]:
        for ticket in self._due.pop_due(now, self._limits.pending):
            self._take(ticket)
            self.refusals["timed-out"] += 1
        for key in [*takewhile(lambda key: self._watchers[key].deadline <= now, self._watchers)]:
            self._forget(key)
        return []

    def _close(self, ticket: int, respond: Callable[[_Open], ActorResponse]) -> list[ExportOutput]:
        opened = self._take(ticket)
        if opened is None:
            self.refusals["late-reply"] += 1
            return []
        return [Respond(opened.caller[0], respond(opened))]

    def _refusal(self, caller: Caller, id: int, kind: FailureKind, reason: str) -> Respond:
        self.refusals[kind] += 1
        return Respond(caller[0], ActorFailed(id, kind, reason[: self._limits.max_reason]))

    def _has_room(self, kind: type, caller: Caller, used: int, capacity: int) -> bool:
        return may_hold(self._held[kind, caller], 1, used, capacity, self._limits.share)

    def _take(self, ticket: int) -> _Open | None:
        opened = self._open.pop(ticket, None)
        if opened is not None:
            self._due.clear(ticket)
            self._release(_Open, opened.caller)
        return opened

    def _forget(self, key: tuple[Caller, str]) -> _Watcher:
        watcher = self._watchers.pop(key)
        self._release(_Watcher, watcher.caller)
        return watcher

    def _release(self, kind: type, caller: Caller) -> None:
        self._held[kind, caller] -= 1
        if not self._held[kind, caller]:
            del self._held[kind, caller]
