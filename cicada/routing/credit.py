"""Credit: a sender does not send into a mailbox that is full, as TCP does not into a closed window (RFC 9293, 3.8.6).

Acks say how many messages more their destination would take from this sender. What exceeds that waits here, in order. When the
destination has room again it says so; because that word may be lost, one message probes from time to time.
"""

from __future__ import annotations

import enum
from itertools import chain, islice
from typing import Final

from cicada.ids import Place
from cicada.limits import DeliveryLimits
from cicada.routing.timers import Timers

Moment = tuple[float, int]
"""When a session began and the counter of a word in it: later words have greater ones."""


_NEVER: Final[Moment] = (0.0, -1)


class Turn(enum.Enum):
    """What a message may do."""

    GO = "go"
    WAIT = "wait"
    FULL = "full"  # not even wait: too many do


class _Gate:
    """The messages for one destination: ``out`` have left and are not settled, ``again`` were refused, ``fresh`` have never
    left; these two wait, oldest first."""

    __slots__ = ("again", "credit", "fresh", "heard", "out", "pause")

    def __init__(self, credit: int, pause: float) -> None:
        self.credit = credit
        self.heard = _NEVER
        self.out: set[int] = set()
        self.again: dict[int, None] = {}
        self.fresh: dict[int, None] = {}
        self.pause = pause  # before the next probe, in seconds

    def holds(self, id: int) -> bool:
        """Whether the message waits."""
        return id in self.fresh or id in self.again

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self.again or self.fresh)

    def remove(self, id: int) -> None:
        """Have it wait no more."""
        del (self.again if id in self.again else self.fresh)[id]

    def first(self, count: int) -> list[int]:
        """Those whose turn it is."""
        return list(islice(chain(self.again, self.fresh), max(count, 0)))


class Credits:
    """The sender's side, for all destinations. What may go from now on is returned, for the caller to send.

    A destination is remembered while messages for it are on their way or wait, at most ``waiting_sends`` each. The first
    ``credit_first`` of them do not wait for its word.
    """

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self._gates: dict[Place, _Gate] = {}
        self._probes = Timers()
        self.waiting = 0
        """Messages that wait, for all destinations."""

    def __len__(self) -> int:
        return len(self._gates)

    def ask(self, place: Place, id: int, now: float) -> Turn:
        """May the message go? If it is to wait, it will be among those that may go later. Asked again it has gone already."""
        gate = self._gates.get(place)
        if gate is None:
            gate = self._gates[place] = _Gate(self._limits.credit_first, self._limits.probe_first)
        if id in gate.out:
            return Turn.GO
        if gate.holds(id):
            return Turn.WAIT
        if gate.is_empty and len(gate.out) < gate.credit:
            gate.out.add(id)
            return Turn.GO
        if len(gate.fresh) >= self._limits.waiting_sends:
            return Turn.FULL
        gate.fresh[id] = None
        self.waiting += 1
        self._arm(place, gate, now)
        return Turn.WAIT

    def waits(self, place: Place, id: int) -> bool:
        """Whether the message waits for room at its destination, which said that there is none."""
        gate = self._gates.get(place)
        return gate is not None and gate.holds(id) and gate.heard != _NEVER

    def refused(self, place: Place, id: int, now: float) -> None:
        """The destination had no room for the message, so it waits again, before those that never left."""
        gate = self._gates.get(place)
        if gate is None or id not in gate.out:
            return
        gate.out.discard(id)
        gate.again[id] = None
        self.waiting += 1
        self._arm(place, gate, now)

    def over(self, place: Place, id: int, now: float) -> list[int]:
        """The message is settled."""
        gate = self._gates.get(place)
        if gate is None:
            return []
        gate.out.discard(id)
        if gate.holds(id):
            self._leave(gate, id)
        if gate.out or not gate.is_empty:
            return self._let_go(place, gate, now)
        del self._gates[place]
        self._probes.clear(place)
        return []

    def heard(self, place: Place, order: Moment, credit: int, now: float) -> list[int]:
        """The destination's word on how many more it would take. One that was overtaken by a later one says nothing."""
        gate = self._gates.get(place)
        if gate is None or order <= gate.heard:
            return []
        gate.heard = order
        if credit:
            gate.pause = self._limits.probe_first
        elif not gate.credit:
            gate.pause = min(2.0 * gate.pause, self._limits.probe_ceiling)
        gate.credit = credit
        return self._let_go(place, gate, now)

    def fire(self, now: float) -> list[int]:
        """The probes that are due, at most ``batch``."""
        due: list[int] = []
        for place in self._probes.pop_due(now, self._limits.batch):
            gate = self._gates[Place(place)]
            (id,) = gate.first(1)
            self._leave(gate, id)
            gate.out.add(id)
            due.append(id)
        return due

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return self._probes.next_deadline()

    def _let_go(self, place: Place, gate: _Gate, now: float) -> list[int]:
        going = gate.first(gate.credit - len(gate.out))
        for id in going:
            self._leave(gate, id)
        gate.out.update(going)
        self._arm(place, gate, now)
        return going

    def _leave(self, gate: _Gate, id: int) -> None:
        gate.remove(id)
        self.waiting -= 1

    def _arm(self, place: Place, gate: _Gate, now: float) -> None:
        """A probe is due only while nothing that is on its way could bring the destination's word."""
        if gate.out or gate.is_empty:
            self._probes.clear(place)
        elif not self._probes.is_set(place):
            self._probes.set(place, now + gate.pause)
