"""The CryptoActor: the pump around a peer's negotiator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from cicada.actors.family import Wired
from cicada.actors.pump import Pump, Surroundings
from cicada.keys import io
from cicada.keys.negotiator import Negotiator
from cicada.keys.plain import PlainNegotiator
from cicada.wire.security import Identify

AnyNegotiator = Negotiator | PlainNegotiator


class CryptoActor(Pump[AnyNegotiator]):
    """Agrees on sessions with other peers, by the rules of Negotiator. ``make`` gives each of its lives its core."""

    def __init__(self, around: Surroundings, make: Callable[[], AnyNegotiator]) -> None:
        super().__init__(around, io.TimerFired())
        self._make = make

    def make_core(self) -> AnyNegotiator:
        return self._make()

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        return {
            **dict.fromkeys(get_args(io.RouterBound), self.to_router.append),
            Identify: self.to_transport.append,
            io.PinLearned: self.to_supervisor.append,
            io.NotTaken: self._not_taken,
            io.Emit: lambda output: self.publish(output.event),
        }

    def on_wired(self, wired: Wired) -> None:
        are_new = self.wired is not None and self.wired.transport != wired.transport
        super().on_wired(wired)
        if are_new:
            self.feed(io.LinksChanged())

    def _not_taken(self, output: io.NotTaken) -> None:
        self.around.refusals[output.reason] += 1
