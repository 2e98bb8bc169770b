"""Messages that have settled, and whose other copies may still be heard of."""

from __future__ import annotations

from collections import Counter

from cicada.limits import DeliveryLimits
from cicada.routing.contacts import Contacts
from cicada.routing.copies import Attempt
from cicada.routing.io import Frame, RouterOutput
from cicada.routing.sessions import Session
from cicada.routing.unsettled import Unsettled
from cicada.wire.sealed import AckBody


class Traces:
    """At most ``traces`` of them, each for ``trace_seconds``. ``frames`` and ``counts`` are those of the messages' Sends."""

    def __init__(
        self, frames: dict[Frame, int], contacts: Contacts, counts: Counter[str], limits: DeliveryLimits
    ) -> None:
        self._frames = frames
        self._contacts = contacts
        self._counts = counts
        self._limits = limits
        self._open: dict[int, tuple[float, Unsettled]] = {}  # oldest first: all wait equally long

    def __len__(self) -> int:
        return len(self._open)

    def follow(self, settled: Unsettled, now: float) -> list[RouterOutput]:
        """A message was delivered. Nothing is followed when all is known; the oldest one ends when there are too many."""
        if settled.is_traced:
            self.forget(settled)
            return []
        self._open[settled.asked.id] = (now + self._limits.trace_seconds, settled)
        return self._end(next(iter(self._open))) if len(self._open) > self._limits.traces else []

    def on_ack(self, id: int, frame: Frame, ack: AckBody, session: Session) -> list[RouterOutput]:
        """A word on a message that has settled: what became of its other copies."""
        _, settled = self._open.get(id, (0.0, None))
        attempt = 0 if settled is None else settled.attempt_of(frame, session)
        if settled is None or not attempt:
            self._counts["ignored:late-ack"] += 1
            return []
        self.hear(settled, settled.attempts[attempt - 1], ack)
        return self._end(id) if settled.is_traced else []

    def hear(self, sending: Unsettled, attempt: Attempt, ack: AckBody) -> None:
        """Take down what a destination says of copies. The way of one that was altered is not taken again."""
        before = attempt.changed
        attempt.hear(ack)
        self._counts["altered"] += attempt.changed - before
        for number, leg in enumerate(attempt.legs):
            if attempt.altered >> number & 1:
                self._contacts.doubt(sending.asked.place, leg.way)

    def forget(self, settled: Unsettled) -> None:
        """Nothing that is said of the message matters any more."""
        for frame in settled.frames:
            self._frames.pop(frame, None)

    def fire(self, now: float) -> list[RouterOutput]:
        """Those whose time is over end, at most ``batch``: what was not heard of is lost."""
        outputs: list[RouterOutput] = []
        for _ in range(self._limits.batch):
            deadline = self.next_deadline()
            if deadline is None or deadline > now:
                break
            outputs += self._end(next(iter(self._open)))
        return outputs

    def next_deadline(self) -> float | None:
        """When the first one's time is over."""
        for until, _ in self._open.values():
            return until
        return None

    def _end(self, id: int) -> list[RouterOutput]:
        _, settled = self._open.pop(id)
        self.forget(settled)
        return [settled.traced()]
