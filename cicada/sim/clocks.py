"""The clock of one simulated peer: another one than its neighbours', and it stands still while the peer is frozen."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from cicada.sim.agenda import Agenda

EPOCH_MS = 1_700_000_000_000  # wall clocks stand near here when a run begins
_SPAN = 1 << 17  # seconds by which the clocks of two peers may differ


class PeerClock:
    """Monotonic seconds that leave out stalls, as actors.alarm.LoopClock has them, and a wall clock that does not."""

    __slots__ = ("_agenda", "_incarnation", "_shift", "_stopped_at", "_wall")

    def __init__(self, agenda: Agenda, rng: Random) -> None:
        self._agenda = agenda
        self._wall = rng.randrange(_SPAN)
        self._shift = float(self._wall)
        self._stopped_at: float | None = None
        self._incarnation = 0

    def now(self) -> float:
        """Monotonic seconds."""
        return self._agenda.now + self._shift if self._stopped_at is None else self._stopped_at

    def stop(self) -> None:
        """The peer does not get to run from now on."""
        self._stopped_at = self.now()

    def go_on(self) -> None:
        """It does again; in between there was nothing. Without effect while it runs."""
        if self._stopped_at is None:
            return
        stopped_at, self._stopped_at = self._stopped_at, None
        self._shift = stopped_at - self._agenda.now
        while self.now() < stopped_at:  # rounding must not turn it back
            self._shift = math.nextafter(self._shift, math.inf)

    def when(self, deadline: float) -> float:
        """The virtual time, not before now, at which the clock shows ``deadline`` or a trifle more, but never less."""
        at = deadline - self._shift
        while at + self._shift < deadline:
            at = math.nextafter(at, math.inf)
        return max(at, self._agenda.now)

    def new_incarnation(self) -> int:
        """Wall-clock milliseconds, and always more than the last."""
        wall = EPOCH_MS + int((self._agenda.now + self._wall) * 1000)
        self._incarnation = max(wall, self._incarnation + 1)
        return self._incarnation


class PeerAlarm:
    """Wakes something when the peer's clock shows a deadline: one entry in the agenda, however often it is set."""

    __slots__ = ("_agenda", "_at", "_clock", "_due")

    def __init__(self, agenda: Agenda, clock: PeerClock, due: Callable[[], None]) -> None:
        self._agenda = agenda
        self._clock = clock
        self._due = due
        self._at = math.inf

    def set(self, deadline: float | None) -> None:
        """Call ``due`` at this time of the peer's clock, or earlier: whoever is woken looks and sets the alarm again."""
        if deadline is None:
            return
        at = self._clock.when(deadline)
        if at < self._at:
            self._at = at
            self._agenda.enter(at, _ring, self, at)

    def cancel(self) -> None:
        """Do not wake anybody."""
        self._at = math.inf

    def ring(self, at: float) -> None:
        """The agenda has come to an entry; an earlier one may have been made since."""
        if at == self._at:
            self._at = math.inf
            self._due()


def _ring(alarm: PeerAlarm, at: float) -> None:
    alarm.ring(at)
