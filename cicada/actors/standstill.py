"""A peer that stands still: its actors have no turns and its clock does not advance, while the others of its loop go on.

What SIGSTOP does to a process, and LoopClock to the time of one that was stopped, this does for one peer of many: what
it is sent waits, no deadline of its passes, and when it goes on it reads first what came meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pykka

from cicada.actors.alarm import Alarms, LoopClock
from cicada.actors.loop import LoopActor, LoopDispatcher


class PeerDispatcher:
    """Turns for the actors of one peer, out of those of its loop, until they are withheld."""

    def __init__(self, dispatcher: LoopDispatcher) -> None:
        self.loop = dispatcher.loop
        self.thread = dispatcher.thread
        # No detour while nothing is withheld
        self.schedule: Callable[[LoopActor], None] = dispatcher.schedule
        self._dispatcher = dispatcher
        self._withheld: list[LoopActor] = []

    def withhold(self) -> None:
        """No actor has a turn from now on. Not from inside a turn."""
        self._withheld = self._dispatcher.withdraw(lambda actor: actor.dispatcher is self)
        self.schedule = self._withheld.append

    def resume(self) -> None:
        """Those that have something to do get in line."""
        self.schedule = self._dispatcher.schedule
        withheld, self._withheld = self._withheld, []
        for actor in withheld:
            self.schedule(actor)


class PeerClock:
    """A Clock that runs with its loop's, until it is stopped; ``behind`` seconds are what it has lost by then."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.now: Callable[[], float] = clock.now  # no detour before it is first stopped
        self.wall_ms: Callable[[], int] = clock.wall_ms
        self.behind = 0.0

    def stop(self) -> None:
        """It stands still from now on."""
        now = self.now()
        self.now = lambda: now

    def go_on(self) -> None:
        """It runs on from where it was stopped."""
        self.behind = self._clock.now() - self.now()
        self.now = lambda: self._clock.now() - self.behind


class PeerAlarms:
    """Deadlines on a PeerClock. One that was armed before a standstill rings early, which is harmless."""

    def __init__(self, alarms: Alarms, clock: PeerClock) -> None:
        self._alarms = alarms
        self._clock = clock
        self.cancel: Callable[[pykka.ActorRef[Any]], None] = alarms.cancel

    def arm(self, ref: pykka.ActorRef[Any], at: float) -> None:
        """As Alarms.arm, with ``at`` in seconds of the PeerClock."""
        self._alarms.arm(ref, at + self._clock.behind)


class Standstill:
    """One peer's share in its event loop."""

    def __init__(self, dispatcher: LoopDispatcher, clock: LoopClock, alarms: Alarms) -> None:
        self.dispatcher = PeerDispatcher(dispatcher)
        self.clock = PeerClock(clock)
        self.alarms = PeerAlarms(alarms, self.clock)
        self.is_on = False

    def begin(self) -> None:
        """Stand still. Idempotent. Not from inside an actor's turn."""
        if not self.is_on:
            self.is_on = True
            self.clock.stop()
            self.dispatcher.withhold()

    def end(self) -> None:
        """Go on. Idempotent."""
        if self.is_on:
            self.is_on = False
            self.clock.go_on()
            self.dispatcher.resume()
