"""The RouterActor: the pump around a peer's Router."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cicada.actors.pump import Pump, Surroundings
from cicada.events import MessageDropped
from cicada.routing import io
from cicada.routing.router import Router
from cicada.transport import linkio


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
            io.Forward: self._forward,
            io.Deliver: self._tell_supervisor,
            io.Settled: self._tell_supervisor,
            io.Tell: self._observe,
        }

    def _forward(self, output: io.Forward) -> None:
        if self.wired is not None:
            self.wired.transport.tell(linkio.SendMessage(output.peer, output.message, output.source))

    def _tell_supervisor(self, output: object) -> None:
        if self.wired is not None:
            self.wired.supervisor.tell(output)

    def _observe(self, output: io.Tell) -> None:
        if type(output.event) is MessageDropped:
            self.around.tally[output.event.reason] += output.event.count
        self.publish(output.event)
