"""Questions to the ring and to replicas, and everything that is to happen later: all have a deadline, and their number is bounded.

Who asks says what is to be done with the answer, which may come at once: a lookup that finds nobody and a replica that does not
answer are answers too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from cicada.ids import Peer, Place
from cicada.limits import NameLimits
from cicada.routing.timers import Timers
from cicada.services.io import Find, Send
from cicada.services.nameio import NameOutput
from cicada.wire.names import GetName, NameHeld, NameKept, NameMessage, PutName

A = TypeVar("A", NameHeld, NameKept)
Owners = tuple[Peer, ...]
Answers = list[tuple[Peer, A | None]]
_AT_ONCE = 256


Late = Callable[[Peer, NameKept, float], None]
"""What to do with an answer that came when nobody waited for it any more."""


class _Question(msgspec.Struct, frozen=True):
    peer: Peer
    kind: type[NameHeld] | type[NameKept]
    then: Callable[[NameHeld | NameKept | None, float], None]
    late: Late | None = None


class Asking:
    """``outputs`` is emptied by whoever carries them out. ``answer_self`` answers what this peer asks itself, as a replica."""

    def __init__(
        self,
        own: Peer,
        limits: NameLimits,
        answer_self: Callable[[GetName | PutName, float], NameHeld | NameKept],
    ) -> None:
        self._own = own
        self._limits = limits
        self._answer_self = answer_self
        self._number = 0
        self._timers = Timers()
        self._later: dict[int, Callable[[float], None]] = {}
        self._finds: dict[int, Callable[[Owners, float], None]] = {}
        self._questions: dict[int, _Question] = {}
        self._silent: dict[int, _Question] = {}  # whose answer may come yet; the oldest first
        self.outputs: list[NameOutput] = []

    @property
    def open(self) -> int:
        """Lookups and questions without an answer so far."""
        return len(self._finds) + len(self._questions)

    def later(self, at: float, then: Callable[[float], None]) -> None:
        """Have ``then`` called at ``at`` or soon after."""
        number = self._next()
        self._later[number] = then
        self._timers.set(number, at)

    def find(self, place: Place, now: float, then: Callable[[Owners, float], None]) -> None:
        """Look up who keeps a place: the owner and his first successors, r together; nobody when that fails."""
        if self.open >= self._limits.waiting:
            then((), now)
            return
        number = self._next()
        self._finds[number] = then
        self._timers.set(number, now + self._limits.find)
        self.outputs.append(Find(number, place, self._limits.replicas))

    def get(
        self, peers: Sequence[Peer], name: str, now: float, then: Callable[[Answers[NameHeld], float], None]
    ) -> None:
        """Ask all of them for their record of a name, and go on when each has answered or failed to."""
        self._gather(peers, lambda number: GetName(number, name), NameHeld, now, then)

    def put(
        self,
        peers: Sequence[Peer],
        record: bytes,
        now: float,
        then: Callable[[Answers[NameKept], float], None] | None = None,
        late: Late | None = None,
    ) -> None:
        """Have all of them keep a record, likewise. ``late``: whose answer came after all."""
        self._gather(peers, lambda number: PutName(number, record), NameKept, now, then, late)

    def say(self, peer: Peer, message: NameMessage) -> None:
        """Send a message that nobody answers."""
        self.outputs.append(Send(0, peer, message))

    # What came of them

    def found(self, number: int, owners: Owners, now: float) -> None:
        """A lookup ended. Without effect when it is not waited for."""
        then = self._finds.pop(number, None)
        if then is not None:
            self._timers.clear(number)
            then(tuple(dict.fromkeys(owners))[: self._limits.replicas], now)

    def answered(self, peer: Peer, answer: NameHeld | NameKept, now: float) -> bool:
        """A replica answered. False: it was not asked that, or too long ago."""
        question = self._questions.get(answer.number) or self._silent.get(answer.number)
        if question is None or question.peer != peer or not isinstance(answer, question.kind):
            return False
        if self._silent.pop(answer.number, None) is None:
            self._close(answer.number, answer, now)
        elif question.late is not None and isinstance(answer, NameKept):
            question.late(peer, answer, now)
        return True

    def undelivered(self, number: int, now: float) -> None:
        """A question did not reach its replica."""
        self._silent.pop(number, None)
        self._close(number, None, now)

    def next_deadline(self) -> float | None:
        """When ``tick`` is to be called next."""
        return self._timers.next_deadline()

    def tick(self, now: float) -> bool:
        """Do what is due, some of it at a time. Whether there may be more."""
        due = self._timers.pop_due(now, _AT_ONCE)
        for number in due:
            then = self._later.pop(number, None)
            if then is not None:
                then(now)
            self.found(number, (), now)
            self._give_up(number, now)
        return len(due) == _AT_ONCE

    # Parts

    def _gather(
        self,
        peers: Sequence[Peer],
        message: Callable[[int], GetName | PutName],
        kind: type[A],
        now: float,
        then: Callable[[Answers[A], float], None] | None,
        late: Late | None = None,
    ) -> None:
        answers: Answers[A] = []

        def heard(peer: Peer, answer: NameHeld | NameKept | None, at: float) -> None:
            answers.append((peer, answer if isinstance(answer, kind) else None))
            if len(answers) == len(peers) and then is not None:
                then(answers, at)

        if not peers and then is not None:
            then(answers, now)
        for peer in peers:
            self._ask(peer, message, kind, now, heard, late)

    def _ask(
        self,
        peer: Peer,
        message: Callable[[int], GetName | PutName],
        kind: type[NameHeld] | type[NameKept],
        now: float,
        heard: Callable[[Peer, NameHeld | NameKept | None, float], None],
        late: Late | None,
    ) -> None:
        if peer == self._own:
            heard(peer, self._answer_self(message(0), now), now)
        elif self.open >= self._limits.waiting:
            heard(peer, None, now)
        else:
            number = self._next()
            then = partial(heard, peer)
            self._questions[number] = _Question(peer, kind, then, late)
            self._timers.set(number, now + self._limits.ask)
            self.outputs.append(Send(number, peer, message(number)))

    def _close(self, number: int, answer: NameHeld | NameKept | None, now: float) -> None:
        question = self._questions.pop(number, None)
        if question is not None:
            self._timers.clear(number)
            question.then(answer, now)

    def _give_up(self, number: int, now: float) -> None:
        """No answer came in time. Where a late one is of use it is known for a while which question it answers."""
        question = self._questions.get(number)
        if question is not None and question.late is not None:
            self._silent[number] = question
            if len(self._silent) > self._limits.waiting:
                del self._silent[next(iter(self._silent))]
        self._close(number, None, now)

    def _next(self) -> int:
        self._number += 1
        return self._number
