"""What waits for the negotiator, which has the keys: signatures to be checked, and statements to be signed.

Nobody can have more looked into than his share: what was right is not charged for.
"""

from __future__ import annotations

from typing import NamedTuple

from cicada.ids import Address, Peer
from cicada.keys.io import CheckStatement, Purpose, SignStatement
from cicada.limits import BroadcastLimits
from cicada.wire.routed import Broadcast, BroadcastTaken


class Doubt(NamedTuple):
    """A message of ``sender`` whose signature is being checked, and the hash of what it states."""

    message: Broadcast | BroadcastTaken
    sender: Peer
    statement: bytes
    until: float


class Checks:
    """Open questions to the negotiator, at most ``checks`` of either kind, about messages of at most ``check_bytes``."""

    def __init__(self, limits: BroadcastLimits) -> None:
        self._limits = limits
        self._last = 0
        self._bytes = 0
        self._doubts: dict[int, Doubt] = {}
        self._unsigned: dict[int, tuple[SignStatement, bytes]] = {}

    def __len__(self) -> int:
        return len(self._doubts) + len(self._unsigned)

    def check(
        self, message: Broadcast | BroadcastTaken, sender: Peer, statement: bytes, now: float
    ) -> CheckStatement | None:
        """Have the message checked; None when too many wait for that."""
        self._give_up(now)
        size = _size(message)
        if len(self._doubts) >= self._limits.checks or self._bytes + size > self._limits.check_bytes:
            return None
        self._last += 1
        self._bytes += size
        doubt = self._doubts[self._last] = Doubt(message, sender, statement, now + self._limits.check_seconds)
        return _question(self._last, doubt)

    def checked(self, ticket: int) -> Doubt | None:
        """The answer came, which counts once."""
        doubt = self._doubts.pop(ticket, None)
        if doubt is not None:
            self._bytes -= _size(doubt.message)
        return doubt

    def sign(self, purpose: Purpose, statement: bytes, id: bytes) -> SignStatement | None:
        """Have a statement about the broadcast ``id`` signed; None when too much waits."""
        if len(self._unsigned) >= self._limits.checks:
            return None
        self._last += 1
        question = SignStatement(self._last, purpose, statement)
        self._unsigned[self._last] = (question, id)
        return question

    def signed(self, ticket: int) -> tuple[Purpose, bytes] | None:
        """The signature came: for what, and of which broadcast."""
        question, id = self._unsigned.pop(ticket, (None, b""))
        return None if question is None else (question.purpose, id)

    def again(self) -> list[SignStatement | CheckStatement]:
        """All open questions, for a negotiator that knows of none."""
        questions: list[SignStatement | CheckStatement] = [
            question for question, _ in self._unsigned.values()
        ]
        return questions + [_question(ticket, doubt) for ticket, doubt in self._doubts.items()]

    def _give_up(self, now: float) -> None:
        while self._doubts:
            ticket = next(iter(self._doubts))
            if self._doubts[ticket].until > now:
                return
            self.checked(ticket)


def _question(ticket: int, doubt: Doubt) -> CheckStatement:
    message = doubt.message
    return CheckStatement(
        ticket=ticket,
        purpose=Purpose.BROADCAST if isinstance(message, Broadcast) else Purpose.TAKEN,
        digest=doubt.statement,
        origin=Address(message.origin),
        record=message.record,
        signature=message.signature,
    )


def _size(message: Broadcast | BroadcastTaken) -> int:
    return len(message.payload) if isinstance(message, Broadcast) else 0
