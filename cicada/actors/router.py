"""The RouterActor: the pump around a peer's Router."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cicada.actors.pump import Pump, Surroundings
from cicada.events import MessageDropped
from cicada.routing import io
from cicada.routing.router import Router


class RouterActor(Pump[Router]):
    """Sends, relays and receives routed messages, by the rules of Router."""

    def __init__(self, around: Surroundings, boot: int) -> None:
        super().__init__(around, io.Alarm())
        self._boot = boot

    def make_core(self) -> Router:
        seed = int.from_bytes(self.around.entropy.randbytes(8), "big")
        return Router(self.around.own, self._boot, rng=random.Random(seed))

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        return {
            io.Forward: self.to_transport.append,
            io.Deliver: self.to_supervisor.append,
            io.Settled: self.to_supervisor.append,
            io.Tell: self._observe,
        }

    def _observe(self, output: io.Tell) -> None:
        if type(output.event) is MessageDropped:
            self.around.tally[output.event.reason] += output.event.count
        self.publish(output.event)
