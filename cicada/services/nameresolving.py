"""Whose a name is: all its replicas are asked at once, and those that are behind are told.

The owner of the place alone would be quicker, but then he alone could show an old record.
"""

from __future__ import annotations

from cicada.errors import Misuse
from cicada.keys.memory import WallClock
from cicada.limits import NameLimits
from cicada.services.nameasking import Answers, Asking, Owners
from cicada.services.nameio import Resolve, Resolved
from cicada.services.namekeeper import Keeper
from cicada.services.namerecords import NameRecord, normal_name, place_of_name
from cicada.services.namevotes import Count, behind, count
from cicada.wire.names import NameHeld


class Resolver:
    """Questions of this peer's application. Who asks for the same name meanwhile shares the answer; for ``cached`` seconds a
    record is not asked for again. That there is none is asked anew each time."""

    def __init__(self, wall_ms: WallClock, asking: Asking, keeper: Keeper, limits: NameLimits) -> None:
        self._wall_ms = wall_ms
        self._asking = asking
        self._keeper = keeper
        self._limits = limits
        self._waiting: dict[str, list[int]] = {}
        self._count = 0
        self._cache: dict[str, tuple[NameRecord, float]] = {}

    def resolve(self, asked: Resolve, now: float) -> None:
        """Answer a question, now or later."""
        try:
            name = normal_name(asked.name)
        except Misuse:
            self._tell(asked.request, None, "name-invalid")
            return
        cached = self._cached(name, now)
        if cached is not None:
            self._tell(asked.request, cached)
        elif self._count >= self._limits.waiting:
            self._tell(asked.request, None, "busy")
        else:
            self._count += 1
            self._waiting.setdefault(name, []).append(asked.request)
            if len(self._waiting[name]) == 1:
                self._begin(name, now, is_second=False)

    def forget(self, name: str) -> None:
        """What is remembered of a name may be wrong."""
        self._cache.pop(name, None)

    def _begin(self, name: str, now: float, *, is_second: bool) -> None:
        def found(owners: Owners, now: float) -> None:
            self._asking.get(owners, name, now, answered)

        def answered(answers: Answers[NameHeld], now: float) -> None:
            self._judge(name, answers, now, is_second=is_second)

        self._asking.find(place_of_name(name), now, found)

    def _judge(self, name: str, answers: Answers[NameHeld], now: float, *, is_second: bool) -> None:
        words = self._keeper.words(answers, name)
        counted = count(words)
        if counted.newest is not None:
            self._asking.put(behind(words, counted.newest), counted.newest.raw, now)
        record = counted.leader.record if counted.leader and not counted.is_tied else None
        if record is None and not is_second and (not answers or len(words) < len(answers)):
            self._begin(name, now, is_second=True)  # who did not answer may have it, or be dead and replaced
            return
        reason = "" if record else _reason(counted, len(words), len(answers))
        if record is not None:
            self._remember(record, now)
        for request in self._waiting.pop(name, []):
            self._count -= 1
            self._tell(request, record, reason)

    def _cached(self, name: str, now: float) -> NameRecord | None:
        record, until = self._cache.get(name, (None, 0.0))
        if record is None or now >= until or record.expires_ms <= self._wall_ms():
            self._cache.pop(name, None)
            return None
        return record

    def _remember(self, record: NameRecord, now: float) -> None:
        self._cache.pop(record.name, None)
        self._cache[record.name] = (record, now + self._limits.cached)
        if len(self._cache) > self._limits.cache:
            del self._cache[next(iter(self._cache))]

    def _tell(self, request: int, record: NameRecord | None, reason: str = "") -> None:
        self._asking.outputs.append(Resolved(request, record, reason))


def _reason(counted: Count, answered: int, asked: int) -> str:
    if counted.is_tied:
        return "disputed"
    return "no-such-name" if 2 * answered > asked else "no-answer"
