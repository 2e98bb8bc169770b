"""Requests of this peer that wait for their replies. A reply counts once, in time, and only from the peer that was asked."""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import Final, NamedTuple

from cicada.ids import Place
from cicada.keys.identity import Entropy
from cicada.limits import REQUEST, RequestLimits

_NUMBER_BYTES: Final = 7  # wire numbers end at 63 bits


class Party(NamedTuple):
    """Who somebody is: by the peer id that was proven; by the place where nobody proves anything and it is empty."""

    peer_id: str
    place: Place

    def is_same(self, other: Party) -> bool:
        """Whether both are the same peer. Who proves the same peer id at another place has moved."""
        return self.peer_id == other.peer_id and (bool(self.peer_id) or self.place == other.place)


class Heard(enum.Enum):
    """What a word about a request means."""

    WAIT = "wait"  # there is no reply yet
    EARLY = "early"  # a reply that came before it is known who was asked: keep it
    ANSWERED = "answered"  # the reply counts: this one, or the one that was kept
    LATE = "late"  # nobody waits for it any more
    STRANGE = (
        "strange"  # nobody was asked that, or it was somebody else: it does not count, nor one that was kept
    )


class _Waiting:
    __slots__ = ("asked", "deadline", "early", "place")

    def __init__(self, place: Place, deadline: float) -> None:
        self.place = place
        self.deadline = deadline
        self.asked: Party | None = None  # who has the request
        self.early: Party | None = None  # who replied before that was known


class Requests:
    """The requests of one peer. Numbers cannot be guessed, so only who was asked can name one."""

    def __init__(self, entropy: Entropy, limits: RequestLimits = REQUEST) -> None:
        self._entropy = entropy
        self._limits = limits
        self._waiting: dict[int, _Waiting] = {}
        self._over: OrderedDict[int, None] = (
            OrderedDict()
        )  # oldest first; so that late replies are known as such

    def __len__(self) -> int:
        """How many wait for a reply."""
        return len(self._waiting)

    def ask(self, place: Place, deadline: float) -> int | None:
        """Begin a request to the peer at ``place``, whose reply is good until ``deadline``. Returns its number; None when too many
        wait already."""
        if len(self._waiting) >= self._limits.pending:
            return None
        number = self._draw()
        while number in self._waiting or number in self._over:
            number = self._draw()
        self._waiting[number] = _Waiting(place, deadline)
        return number

    def sent(self, number: int, peer_id: str, now: float) -> Heard:
        """Its message has settled, in a session with whoever proved ``peer_id``. Says what a reply that was kept is worth."""
        waiting = self._waiting.get(number)
        if waiting is None:
            return Heard.LATE
        waiting.asked = Party(peer_id, waiting.place)
        if waiting.early is None:
            return Heard.WAIT
        early, waiting.early = waiting.early, None
        return self._judge(number, waiting, early, now)

    def replied(self, number: int, replier: Party, now: float) -> Heard:
        """A reply came."""
        waiting = self._waiting.get(number)
        if waiting is None:
            return Heard.LATE if number in self._over else Heard.STRANGE
        if waiting.asked is not None:
            return self._judge(number, waiting, replier, now)
        if waiting.early is not None:
            return Heard.STRANGE
        waiting.early = replier
        return Heard.EARLY

    def forget(self, number: int) -> None:
        """Nobody waits for its reply any more. Idempotent."""
        if self._waiting.pop(number, None) is not None:
            self._over[number] = None
            if len(self._over) > self._limits.remembered:
                self._over.popitem(last=False)

    def _draw(self) -> int:
        return int.from_bytes(self._entropy.randbytes(_NUMBER_BYTES), "big")

    def _judge(self, number: int, waiting: _Waiting, replier: Party, now: float) -> Heard:
        if waiting.asked is None or not waiting.asked.is_same(replier):
            return Heard.STRANGE
        is_late = now > waiting.deadline
        self.forget(number)
        return Heard.LATE if is_late else Heard.ANSWERED
