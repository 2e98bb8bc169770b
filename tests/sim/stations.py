"""Stations that note what the network tells them, without cores."""

from __future__ import annotations

from random import Random

from cicada.ids import Address, Peer
from cicada.sim.agenda import Action, Agenda
from cicada.sim.conditions import Conditions
from cicada.sim.lanes import Lane
from cicada.sim.names import peer_number
from cicada.sim.network import Network
from cicada.wire.codec import Message
from cicada.wire.ring import Nudge, RingMessage

Note = tuple[float, str, Peer, object]


def message(number: int) -> RingMessage:
    """A message that can be told from others."""
    return Nudge(incarnation=number)


class Noter:
    """Notes (time, what, other peer, detail)."""

    def __init__(self, peer: Peer, agenda: Agenda) -> None:
        self.peer = peer
        self.life = 1
        self.is_up = True
        self.is_frozen = self.has_vanished = False
        self.lanes: dict[Address, Lane] = {}
        self.notes: list[Note] = []
        self.pending: list[tuple[Action, object, object]] = []
        self._agenda = agenda

    def local(self) -> float:
        return self._agenda.now

    def postpone(self, action: Action, one: object, other: object) -> None:
        self.pending.append((action, one, other))

    def receive(self, sender: Peer, message: Message) -> None:
        self._note("received", sender, getattr(message, "incarnation", 0))

    def on_proven(self, peer: Peer) -> None:
        self._note("proven", peer, None)

    def on_unreachable(self, peer: Peer, undelivered: tuple[Message, ...]) -> None:
        self._note("unreachable", peer, [getattr(message, "incarnation", 0) for message in undelivered])

    def _note(self, what: str, other: Peer, detail: object) -> None:
        self.notes.append((self._agenda.now, what, other, detail))

    def heard(self) -> list[object]:
        """The numbers of the messages received, in order."""
        return [detail for _, what, _, detail in self.notes if what == "received"]

    def lost(self) -> list[object]:
        """What came back, report by report."""
        return [detail for _, what, _, detail in self.notes if what == "unreachable"]


class Pair:
    """Two stations and the network between them. A constant latency makes times exact."""

    def __init__(self, conditions: Conditions | None = None, *, seed: int = 1) -> None:
        self.agenda = Agenda()
        self.stations: dict[Address, Noter] = {}
        self.conditions = conditions or Conditions(latency=(0.01, 0.01), void=(0.5, 0.5))
        self.network = Network(self.agenda, self.stations, self.find, Random(seed), self.conditions)
        self.one = self.find(peer_number(1))
        self.other = self.find(peer_number(2))

    def find(self, peer: Peer) -> Noter:
        return self.stations.setdefault(peer.address, Noter(peer, self.agenda))

    def send(self, *numbers: int) -> None:
        """From one to the other."""
        for number in numbers:
            self.network.send(self.one, self.other.peer, message(number))

    def answer(self, *numbers: int) -> None:
        """From the other to one."""
        for number in numbers:
            self.network.send(self.other, self.one.peer, message(number))

    def run(self, seconds: float) -> None:
        self.agenda.run_to(self.agenda.now + seconds)

    def linked(self) -> Pair:
        """Have a link that one dialled, and forget what was noted."""
        self.send(0)
        self.run(0.5)
        for station in (self.one, self.other):
            station.notes.clear()
        return self

    def end(self, station: Noter, *, closes_links: bool = True, says_so: bool = False) -> None:
        station.life += 1
        station.is_up = False
        station.has_vanished = not closes_links
        self.network.end(station, closes_links=closes_links, says_so=says_so)

    def begin(self, station: Noter) -> None:
        station.life += 1
        station.is_up = True
        station.has_vanished = False

    def thaw(self, station: Noter) -> None:
        station.is_frozen = False
        pending, station.pending = station.pending, []
        for action, one, other in pending:
            self.agenda.enter(self.agenda.now, action, one, other)
