"""Which messages may leave now, and what the others wait for: room in their destination's mailbox, their process's window, or
a ring."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from cicada.ids import Place
from cicada.limits import DeliveryLimits
from cicada.routing.credit import Credits, Moment, Turn
from cicada.routing.io import Reason, SendMessage
from cicada.routing.pace import Line, Pace
from cicada.routing.timers import earlier
from cicada.wire.services import MAILBOX


class Departures:
    """For the messages of one peer, by their ids. Fragments, which a window of their own limits, wait for a ring only. What is
    for no mailbox waits for no room in one."""

    def __init__(self, limits: DeliveryLimits, pace: Pace) -> None:
        self._limits = limits
        self.pace = pace
        self._credits = Credits(limits)
        self._line = Line(pace)
        self._parked: dict[int, None] = {}  # until this peer is in a ring
        self._ready: deque[int] = deque()  # may go on at once
        self._ready_since = 0.0
        self._over: list[SendMessage] = []  # since ``next`` was last called

    @property
    def held_back(self) -> int:
        """How many wait for room in the mailboxes of their destinations."""
        return self._credits.waiting

    def needs_credit(self, asked: SendMessage) -> bool:
        """Whether it waits for room in a mailbox, when there is none."""
        return asked.fragment is None and asked.service in MAILBOX

    def ask(self, asked: SendMessage, now: float) -> Turn:
        """Does its destination have room? One that is to wait is named by ``next`` once it has. Asked again it has left already."""
        return self._credits.ask(asked.place, asked.id, now) if self.needs_credit(asked) else Turn.GO

    def has_slot(self, asked: SendMessage) -> bool:
        """Whether the window has room for it. If not it waits, as above."""
        return asked.fragment is not None or self._line.ask(asked.id)

    def park(self, id: int) -> None:
        """It waits until this peer is in a ring."""
        self._parked[id] = None

    def unpark(self, now: float) -> None:
        """This peer is in a ring."""
        if self._parked:
            self.wake(self._parked, now)
            self._parked = {}

    def wake(self, ids: Iterable[int], now: float) -> None:
        """These may go on."""
        if not self._ready:
            self._ready_since = now
        self._ready.extend(ids)

    def heard(self, place: Place, moment: Moment, credit: int, now: float) -> None:
        """A destination's word on how many messages more it would take."""
        self.wake(self._credits.heard(place, moment, credit, now), now)

    def refused(self, asked: SendMessage, now: float) -> None:
        """The destination had no room for it: it waits again."""
        self._credits.refused(asked.place, asked.id, now)
        self._line.over(asked.id)

    def over(self, asked: SendMessage) -> None:
        """It has settled."""
        self._over.append(asked)
        self._parked.pop(asked.id, None)

    def next(self, now: float) -> list[int]:
        """Those that may go on, at most ``batch``; some may have settled."""
        over, self._over = self._over, []
        for asked in over:
            self.wake(self._credits.over(asked.place, asked.id, now), now)
            self._line.over(asked.id)
        if len(self._line):
            self.wake(self._line.next(), now)
        ready = self._ready
        return [ready.popleft() for _ in range(min(len(ready), self._limits.batch))]

    def fire(self, now: float) -> None:
        """Have a message probe each destination that has been silent for long."""
        self.wake(self._credits.fire(now), now)

    def next_deadline(self) -> float | None:
        """When ``next`` or ``fire`` has something to do."""
        return earlier(self._ready_since if self._ready else None, self._credits.next_deadline())

    def obstacle(self, asked: SendMessage) -> Reason | None:
        """What it still waits for; None: for no room."""
        if self._credits.waits(asked.place, asked.id):
            return Reason.BUSY
        return Reason.OVERLOADED if self._line.waits(asked.id) else None

    def close(self) -> None:
        """Nothing of this will be used any more."""
        self._line.close()
