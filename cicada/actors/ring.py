"""The RingActor: the pump around a peer's RingNode. A crash or a new start always means a fresh node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cicada.actors.family import TakeSnapshot, Unreached, Wired
from cicada.actors.pump import Pump, Surroundings
from cicada.chord import io
from cicada.chord.node import RingNode
from cicada.ids import Address, Reach, reach_of
from cicada.nat.beside import Besides
from cicada.routing.behaviour import ring_for
from cicada.transport import linkio
from cicada.wire.ring import State

Incarnations = Iterator[int]
"""Strictly rising numbers for the lives of one peer's RingNodes."""


class RingActor(Pump[RingNode]):
    """Keeps the peer's place in the ring, by the rules of RingNode."""

    def __init__(self, around: Surroundings, incarnations: Incarnations) -> None:
        super().__init__(around, io.TimerFired())
        self._incarnations = incarnations
        self._table: io.TableChanged | None = None
        self._kept: frozenset[Any] = frozenset()
        own = around.own.address
        is_mapped = around.reach is Reach.NETWORK and reach_of(own) is Reach.WORLD
        self._besides = Besides(own) if is_mapped else None

    def make_core(self) -> RingNode:
        around = self.around
        return ring_for(
            around.own,
            next(self._incarnations),
            behaviour=around.behaviour,
            limits=around.ring,
            rng=around.entropy,  # shared: a generator of its own has 2.5 KiB
        )

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        to_transport = self.to_transport.append
        return {
            io.SendTo: lambda output: to_transport(linkio.SendMessage(output.peer, output.message)),
            io.Prove: lambda output: to_transport(linkio.Prove(output.peer)),
            io.TableChanged: self._table_changed,
            io.Emit: lambda output: self.publish(output.event),
            **dict.fromkeys(
                (io.Joined, io.JoinFailed, io.Left, io.OwnerFound, io.OwnerNotFound),
                self.to_supervisor.append,
            ),
            io.Refused: self._refused,
            io.ExtraReceived: lambda output: None,  # nobody rides on ring messages yet
        }

    def specials(self) -> dict[type, Callable[[Any], object]]:
        return {
            TakeSnapshot: self._take_snapshot,
            io.JoinRing: self._begin_anew,
            io.CreateRing: self._begin_anew,
            **({} if self._besides is None else self._watched(self._besides)),
        }

    def _watched(self, besides: Besides) -> dict[type, Callable[[Any], object]]:
        """What tells whether other members are behind the same router, beside what it is to the node."""

        def message(input: io.MessageReceived) -> None:
            said, by = input.message, input.sender
            if type(said) is State and self._table is not None and by in self._table.known:
                named = (Address(each) for each in (said.predecessor, *said.successors))
                besides.on_named(by.address, named, self._clock.now())
            self.feed(input)

        def proven(input: io.PeerProven) -> None:
            besides.on_proven(input.peer.address)
            self.feed(input)

        def unreachable(input: io.PeerUnreachable) -> None:
            if besides.on_unreachable(input.peer.address, input.reason, self._clock.now()):
                self.to_supervisor.append(Unreached(input.peer))
            self.feed(input)

        return {io.MessageReceived: message, io.PeerProven: proven, io.PeerUnreachable: unreachable}

    def on_wired(self, wired: Wired) -> None:
        super().on_wired(wired)
        if self._table is not None:
            self.to_router.append(self._table)

    def _begin_anew(self, input: io.JoinRing | io.CreateRing) -> None:
        """A node lives once: whatever ring it was in, another ring is another life."""
        if self.core.snapshot().phase != "idle":
            self.core = self.make_core()
        self.feed(input)

    def _table_changed(self, output: io.TableChanged) -> None:
        self._table = output
        if self.wired is None:
            return
        self.to_router.append(output)
        self.to_supervisor.append(output)
        kept = frozenset(
            peer for peer in (output.head, output.predecessor) if peer not in (None, self.around.own)
        )
        if kept != self._kept:
            self._kept = kept
            self.to_transport.append(linkio.Keep(kept))

    def _refused(self, output: io.Refused) -> None:
        self.around.refusals[output.reason] += output.count

    def _take_snapshot(self, request: TakeSnapshot) -> None:
        if not request.reply.done():
            request.reply.set_result(self.core.snapshot())
