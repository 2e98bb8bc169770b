"""The RouterActor: the pump around a peer's Router."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from cicada.actors.family import Wired
from cicada.actors.pump import Pump, Surroundings
from cicada.actors.watch import tell_copies
from cicada.events import MessageDropped
from cicada.hosts import naming
from cicada.routing import io
from cicada.routing.admission import Quota
from cicada.routing.behaviour import router_for
from cicada.routing.router import Router


class RouterActor(Pump[Router]):
    """Sends, relays and receives routed messages, by the rules of Router."""

    bulk = frozenset({io.RoutedReceived})

    def __init__(self, around: Surroundings, boot: int, quota: Quota) -> None:
        super().__init__(around, io.Alarm())
        self._boot = boot
        self._account = around.allowance.account()
        self._quota = quota

    def make_core(self) -> Router:
        return router_for(
            self.around.own,
            self._boot,
            behaviour=self.around.behaviour,
            limits=self.around.delivery,
            rng=self.around.entropy,  # shared: a generator of its own has 2.5 KiB
            entropy=self.around.entropy,
            host_of=naming(self.around.ring.group_hosts),
            account=self._account,
            pace=self._quota.pace,
        )

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        return {
            **dict.fromkeys((io.Forward, io.Keep, io.DialBack), self.to_transport.append),
            io.Deliver: self.to_supervisor.append,
            io.LifeNamed: self.to_supervisor.append,
            io.Settled: self._copies,
            io.Traced: self._copies,
            io.BroadcastSettled: self.to_supervisor.append,
            **dict.fromkeys(
                (io.Lodged, io.NotLodged, io.Findable, io.Locate, io.OwnerFound, io.OwnerNotFound),
                self.to_supervisor.append,
            ),
            io.Tell: self._observe,
            **dict.fromkeys(get_args(io.ToNegotiator), self.to_crypto.append),
        }

    def end_turn(self) -> None:
        self._quota.waits(self.core.held_back)
        super().end_turn()

    def on_stop(self) -> None:
        super().on_stop()
        self._leave_others_be()

    def on_failure(self, *reason: object) -> None:
        super().on_failure(*reason)
        self._leave_others_be()

    def on_wired(self, wired: Wired) -> None:
        is_new = self.wired is None or self.wired.crypto != wired.crypto
        has_no_links = self.wired is not None and self.wired.transport != wired.transport
        super().on_wired(wired)
        if has_no_links:
            self.feed(io.LinksLost())
        if is_new:
            self.feed(io.NegotiatorChanged())

    def _leave_others_be(self) -> None:
        """Give back what is shared with others of the process."""
        self._quota.waits(0)
        self._account.close()
        if hasattr(self, "core"):  # it may have failed before it had one
            self.core.close()

    def _copies(self, output: io.Settled | io.Traced) -> None:
        watch = self.around.watch
        if watch is not None and watch.copies:
            tell_copies(self.around, watch, output)
        self.to_supervisor.append(output)

    def _observe(self, output: io.Tell) -> None:
        if type(output.event) is MessageDropped:
            self.around.tally[output.event.reason] += output.event.count
        self.publish(output.event)
