"""What lies between two peers: how long it takes, what it loses, whether it leads anywhere."""

from __future__ import annotations

from itertools import count
from random import Random

from cicada.ids import Address, Peer
from cicada.limits import LinkLimits
from cicada.sim.conditions import Conditions, Cut, Rule
from cicada.sim.lanes import Lane


class Paths:
    """The conditions of all pairs, the cuts, and the draws that follow from them."""

    def __init__(self, rng: Random, conditions: Conditions, limits: LinkLimits) -> None:
        self.rng = rng
        self._random = rng.random
        self._conditions = conditions
        self._between: dict[tuple[Address, Address], Conditions] = {}
        self._rule: Rule | None = None
        self._limits = limits
        self._numbers = count(1)
        self.cuts: dict[int, Cut] = {}

    def set(self, conditions: Conditions) -> None:
        """All pairs but those set apart are like this."""
        self._conditions = conditions

    def set_between(self, one: Peer, other: Peer, conditions: Conditions | None) -> None:
        """This pair is like this, both ways; None: like all others."""
        for pair in ((one.address, other.address), (other.address, one.address)):
            if conditions is None:
                self._between.pop(pair, None)
            else:
                self._between[pair] = conditions

    def set_where(self, rule: Rule | None) -> None:
        """Pairs that are not set apart are as the rule says; where it says nothing, like all others."""
        self._rule = rule

    def of(self, one: Peer, other: Peer) -> Conditions:
        """The conditions of a pair."""
        found = self._between.get((one.address, other.address)) if self._between else None
        if found is None and self._rule is not None:
            found = self._rule(one, other)
        return self._conditions if found is None else found

    def cut(self, cut: Cut) -> int:
        """Nothing passes where ``cut`` says so. Returns a number to heal it by."""
        number = next(self._numbers)
        self.cuts[number] = cut
        return number

    def heal(self, number: int | None) -> None:
        """Undo one cut, or all."""
        if number is None:
            self.cuts.clear()
        else:
            self.cuts.pop(number, None)

    def leads(self, sender: Peer, receiver: Peer) -> bool:
        """Whether anything gets from the one to the other."""
        return not any(cut(sender, receiver) for cut in self.cuts.values())

    def answers(self, lane: Lane) -> bool:
        """Whether the receiver would answer."""
        one, other, receiver = lane.sender.peer, lane.receiver.peer, lane.receiver
        return receiver.is_up and not receiver.is_frozen and self.leads(one, other) and self.leads(other, one)

    def latency(self, lane: Lane) -> float:
        """One way for what is not lost, in seconds."""
        return lane.low + lane.span * self._random()

    def is_lost(self, lane: Lane) -> bool:
        """Whether this transmission is lost."""
        return self._random() < lane.conditions.loss

    def trip(self, lane: Lane) -> float:
        """One way for something that is repeated until it gets through, in seconds."""
        seconds, wait = self.latency(lane), lane.conditions.retransmission
        while self.is_lost(lane) and seconds < self._limits.dial_timeout:
            seconds += wait
            wait *= 2
        return seconds

    def silence(self, lane: Lane) -> float:
        """How long it takes a dial to fail, in seconds."""
        conditions, receiver = lane.conditions, lane.receiver
        is_refused = not (receiver.is_up or receiver.has_vanished) and self.leads(
            lane.sender.peer, receiver.peer
        )
        span = conditions.refusal if is_refused and conditions.refusal is not None else conditions.void
        return self.rng.uniform(*span)
