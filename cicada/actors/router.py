"""The RouterActor: the pump around a peer's Router."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, get_args

from cicada.actors.family import Wired
from cicada.actors.pump import Pump, Surroundings
from cicada.events import MessageDropped
from cicada.hosts import naming
from cicada.routing import io
from cicada.routing.behaviour import router_for
from cicada.routing.router import Router


class RouterActor(Pump[Router]):
    """Sends, relays and receives routed messages, by the rules of Router."""

    def __init__(self, around: Surroundings, boot: int) -> None:
        super().__init__(around, io.Alarm())
        self._boot = boot
        self._account = around.allowance.account()

    def make_core(self) -> Router:
        seed = int.from_bytes(self.around.entropy.randbytes(8), "big")
        return router_for(
            self.around.own,
            self._boot,
            behaviour=self.around.behaviour,
            limits=self.around.delivery,
            rng=random.Random(seed),
            entropy=self.around.entropy,
            host_of=naming(self.around.ring.group_hosts),
            account=self._account,
        )

    def on_stop(self) -> None:
        super().on_stop()
        self._account.close()

    def on_failure(self, *what: object) -> None:
        super().on_failure(*what)
        self._account.close()

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        return {
            io.Forward: self.to_transport.append,
            io.Deliver: self.to_supervisor.append,
            io.Settled: self.to_supervisor.append,
            io.Traced: self.to_supervisor.append,
            io.Tell: self._observe,
            **dict.fromkeys(get_args(io.ToNegotiator), self.to_crypto.append),
        }

    def on_wired(self, wired: Wired) -> None:
        is_new = self.wired is None or self.wired.crypto != wired.crypto
        super().on_wired(wired)
        if is_new:
            self.feed(io.NegotiatorChanged())

    def _observe(self, output: io.Tell) -> None:
        if type(output.event) is MessageDropped:
            self.around.tally[output.event.reason] += output.event.count
        self.publish(output.event)
