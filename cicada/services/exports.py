"""What one peer exports to others: who may ask which actor, and what of that is open."""

from __future__ import annotations

from collections import Counter

import msgspec

from cicada.ids import Peer
from cicada.keys.trust import Trust
from cicada.limits import ACTORS, ActorsLimits
from cicada.routing.shares import may_hold
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
    deadline: float


class _Watcher(msgspec.Struct):
    caller: Caller
    id: int
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
        self._watchers: dict[tuple[Caller, int], _Watcher] = {}
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
        deadlines = [opened.deadline for opened in self._open.values()]
        deadlines += [watcher.deadline for watcher in self._watchers.values()]
        return min(deadlines, default=None)
