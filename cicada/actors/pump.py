"""A pump: the actor around a pure core. It feeds what it is told, carries out the outputs in order, and re-arms one alarm."""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from cicada.actors.alarm import Wake
from cicada.actors.family import Crash, Ref, Wired
from cicada.actors.loop import NOT_PLAIN, Dispatcher, LoopActor
from cicada.clock import Clock
from cicada.events import AnyEvent
from cicada.ids import Peer, Reach
from cicada.limits import DELIVERY, RING, DeliveryLimits, RingLimits
from cicada.routing.allowance import Allowance
from cicada.routing.behaviour import Behaviour

if TYPE_CHECKING:
    from cicada.actors.watch import Watch

Publish = Callable[[str, AnyEvent], None]
"""Told ``(peer name, event)`` for each event. Must not block."""


Handlers = dict[type, Callable[[Any], object]]
"""A class to what handles its values."""


class Deadlines(Protocol):
    """Who wakes actors: Alarms, on the clock that goes with it."""

    def arm(self, ref: Ref, at: float, /) -> None: ...

    @property
    def cancel(self) -> Callable[[Ref], None]: ...


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the actors of one peer share: who they are, and the services of their event loop."""

    own: Peer
    name: str
    dispatcher: Dispatcher
    clock: Clock
    alarms: Deadlines
    publish: Publish | None
    tally: Counter[str]  # messages dropped, by reason
    refusals: Counter[str]  # who was not let in or not believed, by reason
    entropy: random.Random
    ring: RingLimits = RING
    allowance: Allowance = msgspec.field(default_factory=Allowance)  # for others' unfinished messages
    delivery: DeliveryLimits = DELIVERY
    behaviour: Behaviour | None = None  # what harm it does on purpose
    watch: Watch | None = None  # what is looked at of it
    reach: Reach | None = (
        None  # the least that an address must have for it to be dialled; None: its own address's
    )


class Core(Protocol):
    """What a pump drives."""

    def handle(self, input: Any, now: float, /) -> Any:
        """Outputs, in the order in which they are to be carried out."""
        ...

    def next_deadline(self) -> float | None:
        """When ``timer`` should be fed, at the latest."""
        ...


C = TypeVar("C", bound=Core)
_SETS: dict[frozenset[type], frozenset[type]] = {}  # one for all actors that are alike: it has 0.7 KiB


class Pump(LoopActor, Generic[C]):
    """Subclasses make the core in ``make_core`` and name in ``carriers`` what carries out each class of output."""

    def __init__(self, around: Surroundings, timer: object) -> None:
        super().__init__(around.dispatcher, around.tally)
        self.around = around
        self._timer = timer
        self._clock = around.clock
        self._instant = 0.0
        self._armed_at = math.inf
        self._carriers: Handlers = {}
        self._specials: Handlers = {}
        self._unusual: frozenset[type] = NOT_PLAIN  # what the core does not take as it is
        self.wired: Wired | None = None
        # What is for the others is gathered and told at the end of the turn, all at once.
        self.to_supervisor: list[Any] = []
        self.to_transport: list[Any] = []
        self.to_ring: list[Any] = []
        self.to_router: list[Any] = []
        self.to_crypto: list[Any] = []

    def make_core(self) -> C:
        """A fresh core. Called at the actor's first turn."""
        raise NotImplementedError

    def carriers(self) -> Handlers:
        """Output class to what carries it out."""
        raise NotImplementedError

    def specials(self) -> Handlers:
        """Messages that are not inputs of the core, and what handles them."""
        return {}

    def on_start(self) -> None:
        self.core = self.make_core()
        self.divert({}, {})

    def divert(self, carriers: Handlers, specials: Handlers) -> None:
        """From now on, in the turn under way too, outputs and messages of these classes go there; all others, and all
        when both are empty, where ``carriers`` and ``specials`` say."""
        own: Handlers = {Wired: self.on_wired, Wake: self._on_wake, Crash: self._on_crash, **self.specials()}
        self._carriers.update({**self.carriers(), **carriers})
        self._specials.clear()
        self._specials.update({**own, **specials})
        unusual = frozenset(NOT_PLAIN.union(self._specials))
        self._unusual = _SETS.setdefault(unusual, unusual)

    def take(self, queue: deque[Any], limit: int) -> None:
        """A turn. All its inputs share one instant: what waits together came together."""
        now = self._instant = self._clock.now()
        unusual, carriers, handle = self._unusual, self._carriers, self.core.handle
        try:
            for _ in range(min(limit, len(queue))):
                item = queue.popleft()
                kind = type(item)
                if kind not in unusual:
                    for output in handle(item, now):
                        carriers[type(output)](output)
                elif kind not in NOT_PLAIN:
                    self._specials.get(kind, self.feed)(item)
                    unusual, handle = self._unusual, self.core.handle  # they may be others now
                elif self.handle_special(item):
                    return
            self.end_turn()
        finally:
            self._hand_out()

    def on_receive(self, message: Any) -> None:
        special = self._specials.get(type(message), self.feed)
        special(message)

    def feed(self, input: object) -> None:
        """One input through the core, within a turn."""
        carriers = self._carriers
        for output in self.core.handle(input, self._instant):
            carriers[type(output)](output)

    def end_turn(self) -> None:
        """Re-arm the alarm."""
        deadline = self.core.next_deadline()
        if deadline is not None and deadline < self._armed_at:
            self._armed_at = deadline
            self.around.alarms.arm(self.actor_ref, deadline)

    def on_wired(self, wired: Wired) -> None:
        """The siblings were started, or some of them anew."""
        self.wired = wired

    def on_stop(self) -> None:
        self.around.alarms.cancel(self.actor_ref)

    def on_failure(self, *_: object) -> None:
        self.around.alarms.cancel(self.actor_ref)

    def publish(self, event: AnyEvent) -> None:
        """Hand an event to whoever watches."""
        if self.around.publish is not None:
            self.around.publish(self.around.name, event)

    def _hand_out(self) -> None:
        """One box after the other, spelled out: every turn of every actor comes through here."""
        wired = self.wired
        if wired is None:
            self._hand_to_nobody()
            return
        if self.to_supervisor:
            wired.supervisor.tell_all(self.to_supervisor)
            self.to_supervisor.clear()
        if self.to_transport:
            wired.transport.tell_all(self.to_transport)
            self.to_transport.clear()
        if self.to_ring:
            wired.ring.tell_all(self.to_ring)
            self.to_ring.clear()
        if self.to_router:
            wired.router.tell_all(self.to_router)
            self.to_router.clear()
        if self.to_crypto:
            wired.crypto.tell_all(self.to_crypto)
            self.to_crypto.clear()

    def _hand_to_nobody(self) -> None:
        for box in (self.to_supervisor, self.to_transport, self.to_ring, self.to_router, self.to_crypto):
            self.around.tally["not-wired"] += len(box)
            box.clear()

    def _on_wake(self, _: Wake) -> None:
        self._armed_at = math.inf
        self.feed(self._timer)

    def _on_crash(self, _: Crash) -> None:
        raise RuntimeError("crash injected by a test")
