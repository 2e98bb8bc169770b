"""What stands between a peer's links and the endpoint while faults concern the peer. Without faults it is not there:
the actor's outputs and messages then go the usual ways, and pay nothing.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

import msgspec

from cicada.actors.family import Ref
from cicada.actors.pump import Handlers, Surroundings
from cicada.transport import linkio
from cicada.transport.base import ConnectionId
from cicada.transport.faultgate import Admission, FaultGate, Late
from cicada.transport.faults import FaultTable


class FaultsChanged(msgspec.Struct, frozen=True):
    """To a TransportActor: these are the faults from now on."""

    table: FaultTable


class Passage(msgspec.Struct, frozen=True):
    """To a TransportActor, from its obstruction's timer: something that was held back may be due."""


class Obstructed(Protocol):
    """The actor whose way it stands in: ``carry_*`` do what happens without faults."""

    around: Surroundings

    @property
    def actor_ref(self) -> Ref: ...

    def feed(self, input: object) -> None:
        """One input through the links."""
        ...

    def carry_frame(self, output: linkio.Transmit) -> None: ...

    def carry_late(self, output: linkio.Transmit) -> bool:
        """Give a frame to the endpoint that the links count as sent. False: it did not take it."""
        ...

    def carry_connect(self, output: linkio.Connect) -> None: ...

    def carry_release(self, output: linkio.Release) -> None: ...

    def hand_back(self, output: linkio.Transmit) -> None:
        """The links keep this frame and offer it again."""
        ...

    def is_behind(self, connection: ConnectionId) -> bool:
        """A frame of this connection was handed back in this turn, so those after it must be too."""
        ...

    def clear_the_way(self) -> None:
        """No fault concerns the peer any more, and nothing is held back."""
        ...


class Obstruction:
    """The gate, and the timer that opens it."""

    def __init__(self, actor: Obstructed) -> None:
        self._actor = actor
        self._ref: Ref = actor.actor_ref
        self._around = actor.around
        self._gate = FaultGate(actor.around.own.address, actor.around.entropy)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def carriers(self) -> Handlers:
        """Which outputs of the links come here."""
        return {
            linkio.Transmit: self._on_transmit,
            linkio.Connect: self._on_connect,
            linkio.Release: self._on_release,
        }

    def specials(self) -> Handlers:
        """Which messages come here before the links see them."""
        return {
            linkio.SendMessage: self._on_message,
            linkio.Forward: self._on_message,
            linkio.Disconnected: self._on_disconnected,
            Passage: lambda _: self._let_pass(),
        }

    def change(self, table: FaultTable) -> None:
        """Other faults from now on."""
        self._gate.change(table, self._around.clock.now())
        self._let_pass()

    def end(self) -> None:
        """The actor ends: what is only late leaves now, what is cut off never."""
        if self._timer is not None:
            self._timer.cancel()
        for output in self._gate.flush():
            self._actor.carry_late(output)

    def _on_message(self, message: linkio.SendMessage) -> None:
        copies = self._gate.copies(message.peer.address)
        if not copies:
            self._around.tally["fault"] += 1
        for _ in range(copies):
            self._actor.feed(message)

    def _on_transmit(self, output: linkio.Transmit) -> None:
        if self._actor.is_behind(output.connection):
            self._actor.hand_back(output)
            return
        match self._gate.admit(output, self._around.clock.now()):
            case Admission.PASS:
                self._actor.carry_frame(output)
            case Admission.FULL:
                self._actor.hand_back(output)
            case Admission.KEPT:
                self._arm()

    def _on_connect(self, output: linkio.Connect) -> None:
        if self._gate.dial(output.remote, self._around.clock.now()):
            self._actor.carry_connect(output)
        else:
            self._arm()

    def _on_release(self, output: linkio.Release) -> None:
        if self._gate.release(output.connection):
            self._actor.carry_release(output)

    def _on_disconnected(self, event: linkio.Disconnected) -> None:
        self._gate.forget(event.connection)
        self._actor.feed(event)

    def _let_pass(self) -> None:
        now = self._around.clock.now()
        refused: dict[ConnectionId, list[Late]] = {}
        for freed in self._gate.due(now):
            match freed:
                case Late(connection=connection):
                    if connection in refused or not self._actor.carry_late(freed):
                        refused.setdefault(connection, []).append(freed)
                case linkio.ConnectFailed():
                    self._actor.feed(freed)
                case linkio.Connect():
                    self._actor.carry_connect(freed)
                case linkio.Release(connection):
                    if connection not in refused or self._gate.release(connection):
                        self._actor.carry_release(freed)
        for late in refused.values():
            self._gate.put_back(late, now)
        if self._gate.is_needed:
            self._arm()
        else:
            self._actor.clear_the_way()

    def _arm(self) -> None:
        deadline = self._gate.next_deadline()
        if deadline is None or deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        delay = max(0.001, deadline - self._around.clock.now())
        self._timer = self._around.dispatcher.loop.call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._ref.tell(Passage())
