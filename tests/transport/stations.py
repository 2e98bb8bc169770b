"""A peer's TransportActor on an endpoint under test, with a listener in the place of its other actors."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from cicada.actors.alarm import Alarms, LoopClock
from cicada.actors.family import Crash, Ref, Wired
from cicada.actors.loop import LoopActor, LoopDispatcher
from cicada.actors.pump import Surroundings
from cicada.actors.transport import Attachment, TransportActor
from cicada.chord.io import MessageReceived, PeerProven, PeerUnreachable
from cicada.events import AnyEvent
from cicada.ids import Address, Peer, peer_at
from cicada.transport.base import Endpoint
from cicada.transport.faults import FaultTable
from cicada.transport.linkio import Prove, SendMessage
from cicada.wire.ring import Notify
from tests.securities import secured
from tests.transport.endpoints import PATIENCE, free_address


class Memory:
    """What a peer's ring would have been told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Address, int]] = []
        self.proven: list[Peer] = []
        self.unreachable: list[PeerUnreachable] = []
        self.changed = asyncio.Event()


class Ear(LoopActor):
    """Stands where ring, router and supervisor do, and remembers."""

    def __init__(self, dispatcher: LoopDispatcher, memory: Memory) -> None:
        super().__init__(dispatcher)
        self._memory = memory

    def on_receive(self, message: Any) -> None:
        memory = self._memory
        if isinstance(message, MessageReceived):
            memory.heard.append((message.sender.address, message.message.incarnation))
        elif isinstance(message, PeerProven):
            memory.proven.append(message.peer)
        elif isinstance(message, PeerUnreachable):
            memory.unreachable.append(message)
        memory.changed.set()


class Stations:
    """Makes stations on one event loop, and ends them all."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.dispatcher = LoopDispatcher(loop)
        self.clock = LoopClock(loop)
        self.alarms = Alarms(self.clock, loop)
        self._made: list[Station] = []

    def on(self, endpoint: Endpoint) -> Station:
        """A new peer, hosted by this endpoint."""
        station = Station(self, endpoint)
        self._made.append(station)
        return station

    def set_faults(self, table: FaultTable) -> None:
        """At everybody, as the launcher does."""
        for station in self._made:
            station.attachment.set_faults(table)

    async def close(self) -> None:
        refs = [ref for station in self._made for ref in station.refs]
        for ref in refs:
            ref.stop(block=False)
        while any(ref.is_alive() for ref in refs):
            await asyncio.sleep(0)
        self.alarms.close()
        self.clock.close()


class Station:
    """One peer."""

    def __init__(self, stations: Stations, endpoint: Endpoint) -> None:
        self.address = free_address()
        self.peer = peer_at(self.address)
        self.attachment = Attachment(endpoint)
        self.events: list[AnyEvent] = []
        self.tally: Counter[str] = Counter()
        endpoint.listen(self.address, self.attachment)
        around = Surroundings(
            own=self.peer,
            name=self.address,
            dispatcher=stations.dispatcher,
            clock=stations.clock,
            alarms=stations.alarms,
            publish=lambda _, event: self.events.append(event),
            tally=self.tally,
            refusals=Counter(),
            entropy=random.SystemRandom(),
        )
        self.memory = Memory()
        ear = Ear.start(stations.dispatcher, self.memory)
        self._around = around
        self._ear = ear
        self.refs: list[Ref] = [ear]
        self.restart()

    def restart(self) -> None:
        """A new TransportActor in the place of the old one, as after a crash."""
        if len(self.refs) > 1:
            self.refs[-1].tell(Crash())
            self.attachment.reset()
        self.transport = TransportActor.start(
            self._around, self.attachment, len(self.refs), "", secured(self.peer.address)
        )
        self.refs.append(self.transport)
        self.transport.tell(Wired(self._ear, self.transport, self._ear, self._ear, self._ear))

    def send(self, to: Station, *numbers: int) -> None:
        """Messages that bear these numbers."""
        self.transport.tell_all([SendMessage(to.peer, Notify(incarnation=number)) for number in numbers])

    def prove(self, other: Station) -> None:
        self.transport.tell(Prove(other.peer))

    def heard_from(self, other: Station) -> list[int]:
        """The numbers of the messages that came from there, in order."""
        return [number for source, number in self.memory.heard if source == other.address]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something this peer's other actors would be told."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.memory.changed.clear()
                await self.memory.changed.wait()
