"""Own broadcasts from their beginning to what is known of their fate: what peers claim, and what a few of them sign."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from cicada.ids import Address, Peer, place_to_bytes
from cicada.keys.io import CheckStatement, Purpose, SignStatement, StatementSigned
from cicada.limits import BroadcastLimits
from cicada.routing.checks import Checks
from cicada.routing.io import BroadcastSettled, Reason, SendBroadcast
from cicada.routing.stating import said, took
from cicada.routing.timers import Timers
from cicada.wire.routed import Broadcast, BroadcastTaken


class _Announced:
    __slots__ = (
        *("asked", "body", "checked", "claims", "has_left", "is_complete", "number", "sample", "statement"),
    )

    def __init__(self, number: int, asked: SendBroadcast, body: Broadcast) -> None:
        self.number = number
        self.asked = asked
        self.body = body
        self.statement = said(body)
        self.claims: int | None = None  # None: they are not all in
        self.has_left = False
        self.is_complete = False
        self.checked: set[str] = set()
        self.sample: list[Address] = []


class Announcements:
    """Own broadcasts whose fate is open, at most ``own``."""

    def __init__(
        self, own: Peer, boot: int, checks: Checks, limits: BroadcastLimits, counts: Counter[str]
    ) -> None:
        self._own = own
        self._boot = boot
        self._checks = checks
        self._limits = limits
        self._counts = counts
        self._open: dict[bytes, _Announced] = {}
        self._numbers: dict[int, bytes] = {}
        self._timers = Timers()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, id: bytes, asked: SendBroadcast, now: float) -> list[SignStatement | BroadcastSettled]:
        """Have it signed."""
        if id in self._open:
            return []
        body = Broadcast(
            origin=self._own.address,
            origin_boot=self._boot,
            message=asked.id,
            expires_ms=asked.expires_ms,
            payload=asked.payload,
            record=b"",
            signature=b"",
            limit=place_to_bytes(self._own.place),
            hops=0,
        )
        announced = _Announced(asked.id, asked, body)
        question = self._checks.sign(Purpose.BROADCAST, announced.statement, id)
        if question is None or len(self._open) >= self._limits.own:
            return [BroadcastSettled(id=asked.id, reason=Reason.OVERLOADED)]
        self._open[id] = announced
        self._numbers[asked.id] = id
        self._timers.set(asked.id, max(asked.deadline, now))
        return [question]

    def signed(self, id: bytes, answer: StatementSigned) -> Broadcast | None:
        """The body, to be given to all; None when nobody waits for it any more."""
        announced = self._open.get(id)
        if announced is None:
            return None
        announced.body = replace(announced.body, record=answer.record, signature=answer.signature)
        announced.has_left = True
        return announced.body

    def fail(self, id: bytes, reason: Reason) -> list[BroadcastSettled]:
        """It never left."""
        announced = self._close(id)
        return [BroadcastSettled(id=announced.number, reason=reason)]

    def claimed(self, id: bytes, reached: int, is_complete: bool, now: float) -> list[BroadcastSettled]:
        """All claims are in, or waited for long enough. The sample may take a little longer."""
        announced = self._open.get(id)
        if announced is None:
            return []
        announced.claims = reached
        announced.is_complete = is_complete
        self._timers.set(announced.number, min(announced.asked.deadline, now + self._limits.sample_wait))
        return self._settle_when_done(id, announced)

    def on_taken(self, word: BroadcastTaken, now: float) -> CheckStatement | None:
        """Somebody says that it took an own broadcast: have it checked, if that is new and not too much."""
        announced = self._open.get(word.id)
        is_news = announced is not None and word.origin not in announced.checked
        if announced is None or not is_news or len(announced.checked) >= self._limits.samples:
            self._counts["ignored:broadcast-taken"] += 1
            return None
        announced.checked.add(word.origin)
        return self._checks.check(word, self._own, took(word.id, announced.statement), now)

    def believed(self, word: BroadcastTaken) -> list[BroadcastSettled]:
        """Its signature is right."""
        announced = self._open.get(word.id)
        if announced is None:
            return []
        self._counts["sampled"] += 1
        announced.sample.append(Address(word.origin))
        return self._settle_when_done(word.id, announced)

    def fire(self, now: float) -> list[BroadcastSettled]:
        """Settle what was waited for long enough."""
        due = self._timers.pop_due(now, self._limits.own)
        return [self._settle(self._numbers[number]) for number in due]

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return self._timers.next_deadline()

    def _settle_when_done(self, id: bytes, announced: _Announced) -> list[BroadcastSettled]:
        claims = announced.claims
        if claims is None or len(announced.sample) < min(claims, self._limits.sample):
            return []
        return [self._settle(id)]

    def _settle(self, id: bytes) -> BroadcastSettled:
        announced = self._close(id)
        return BroadcastSettled(
            id=announced.number,
            reason=None if announced.has_left else Reason.TIMED_OUT,
            reached=max(announced.claims or 0, len(announced.sample)),
            is_complete=announced.is_complete,
            sample=tuple(announced.sample),
        )

    def _close(self, id: bytes) -> _Announced:
        announced = self._open.pop(id)
        del self._numbers[announced.number]
        self._timers.clear(announced.number)
        return announced
