"""Whose names are, as far as the directory said."""

from __future__ import annotations

import enum
from typing import NamedTuple

from samples.chat.io import Found, LookUp
from samples.chat.limits import ChatLimits


class Standing(enum.Enum):
    """What is known of who uses a name."""

    UNKNOWN = "not known whose it is"
    VERIFIED = "its owner"
    FALSE = "not its owner"


class _Answer(NamedTuple):
    owner: str
    is_known: bool
    at: float


class Names:
    """The directory's answers, the latest ``limits.names`` of them, and what it is being asked."""

    def __init__(self, limits: ChatLimits) -> None:
        self._limits = limits
        self._answers: dict[str, _Answer] = {}
        self._asked: set[str] = set()

    def standing(self, name: str, peer_id: str) -> Standing:
        """What the last answer says of that peer under that name."""
        answer = self._answers.get(name)
        if answer is None or not answer.owner:
            return Standing.UNKNOWN
        return Standing.VERIFIED if answer.owner == peer_id else Standing.FALSE

    def ask(self, name: str, peer_id: str, now: float) -> list[LookUp]:
        """Ask for a name that is used in a channel, unless that was done a while ago."""
        verified = self.standing(name, peer_id) is Standing.VERIFIED
        return self.ask_anew(name, now, self._limits.believed if verified else self._limits.doubt)

    def ask_anew(self, name: str, now: float, within: float) -> list[LookUp]:
        """Ask, unless there is an answer of the last ``within`` seconds, or one is on its way, or too many are."""
        if self.is_answered(name, now, within) or name in self._asked:
            return []
        if len(self._asked) >= self._limits.lookups:
            return []
        self._asked.add(name)
        return [LookUp(name)]

    def is_answered(self, name: str, now: float, within: float) -> bool:
        """Whether there is an answer, of whatever kind, of the last ``within`` seconds."""
        answer = self._answers.get(name)
        return answer is not None and now - answer.at <= within

    def found(self, found: Found, now: float) -> None:
        """The answer came. One that says nothing does not undo what was known."""
        self._asked.discard(found.name)
        before = self._answers.pop(found.name, None)
        owner = before.owner if found.problem and before is not None else found.owner
        self._answers[found.name] = _Answer(owner, not found.problem, now)
        while len(self._answers) > self._limits.names:
            del self._answers[next(iter(self._answers))]

    def is_known(self, name: str) -> bool:
        """Whether the last question for the name was answered at all."""
        answer = self._answers.get(name)
        return answer is not None and answer.is_known
