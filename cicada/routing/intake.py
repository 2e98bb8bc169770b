"""Between opening a message and the mailbox: fragments wait for each other, ordered messages for those before them."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from cicada.routing.allowance import Account, Origin
from cicada.routing.io import Verdict
from cicada.routing.ordering import Lines, Turn
from cicada.routing.reassembly import Progress, Reassembly, Whole
from cicada.routing.tickets import Ticket
from cicada.routing.timers import earlier
from cicada.wire.sealed import DataBody


class HandOver(NamedTuple):
    """Let the owner of the mailbox decide about the message, and tell ``judged``."""

    ticket: Ticket
    payload: bytes


class Say(NamedTuple):
    """Acknowledge what came with this verdict."""

    ticket: Ticket
    verdict: Verdict


class Drop(NamedTuple):
    """Count what is not kept."""

    reason: str


Step = HandOver | Say | Drop


class _Early(NamedTuple):
    """An ordered message that is held back. Without ``payload`` it came in fragments, which are where those are."""

    ticket: Ticket
    payload: bytes | None


class Intake:
    """What one peer holds of messages that may not enter its mailbox yet. ``account`` bears all of it."""

    def __init__(self, account: Account) -> None:
        self._reassembly = Reassembly(account)
        self._lines: Lines[_Early] = Lines(account)

    def take(self, ticket: Ticket, body: DataBody, now: float) -> list[Step]:
        """A fragment or an ordered message came."""
        origin = Origin.of(ticket.session)
        if body.parts == 1:
            return self._queue(origin, ticket._replace(after=body.after), body.payload, now)
        progress = self._reassembly.take(origin, ticket.session.trust, body, now)
        whole = Whole(origin, body.message)
        match progress:
            case Progress.HELD:
                return [Say(ticket, Verdict.HELD)]
            case Progress.FINISHED:
                return [Say(ticket, self._reassembly.verdict(whole))]
            case Progress.FULL:
                return [Drop("fragments-full"), Say(ticket, Verdict.BUSY)]
            case Progress.UNFIT:
                return [Drop("fragment-unfit")]
            case Progress.WHOLE:
                after = self._reassembly.after(whole)
                return self._queue(origin, ticket._replace(after=after, in_parts=True), None, now)

    def judged(self, ticket: Ticket, verdict: Verdict, now: float) -> list[Step]:
        """The owner of the mailbox decided about what was handed over."""
        origin = Origin.of(ticket.session)
        if ticket.is_late and verdict is Verdict.BUSY:
            self._reassembly.finish(Whole(origin, ticket.roll.message), Verdict.STALE)
            return [Drop("overtaken")]
        if verdict is Verdict.BUSY:
            self._reassembly.reopen(Whole(origin, ticket.roll.message))
        else:
            self._reassembly.finish(Whole(origin, ticket.roll.message), verdict)
        said = Say(ticket, verdict)
        if ticket.after is None or verdict is not Verdict.DELIVERED:
            return [said]
        early, overtaken = self._lines.entered(origin, ticket.roll.message)
        steps: list[Step] = [said, *[Drop("overtaken")] * overtaken]
        return steps if early is None else steps + self._hand_over(origin, *early, now)

    def expire(self, now: float) -> list[Step]:
        """Give up what makes no progress."""
        fragments, ordered = self._reassembly.expire(now), self._lines.expire(now)
        return [*[Drop("fragments-idle")] * fragments, *[Drop("ordered-idle")] * ordered]

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        return earlier(self._reassembly.next_deadline(), self._lines.next_deadline())

    def _queue(self, origin: Origin, ticket: Ticket, payload: bytes | None, now: float) -> list[Step]:
        if ticket.after is None:
            return self._hand_over(origin, ticket, payload, now)
        size = 0 if payload is None else len(payload)
        early = _Early(ticket._replace(data=replace(ticket.data, body=b"")), payload)
        trust = ticket.session.trust
        turn = self._lines.take(origin, trust, ticket.roll.message, ticket.after, early, size, now)
        whole = Whole(origin, ticket.roll.message)
        match turn:
            case Turn.NEXT:
                return self._hand_over(origin, ticket, payload, now)
            case Turn.LATE:
                return self._hand_over(origin, ticket._replace(is_late=True), payload, now)
            case Turn.EARLY:
                self._reassembly.touch(whole, now)
                return []
            case Turn.AGAIN:  # its sender repeats it, so it should know that it need not
                self._reassembly.touch(whole, now)
                return [Say(ticket, Verdict.WAITING)]
            case Turn.FULL:
                self._reassembly.reopen(whole)
                return [Drop("ordered-full"), Say(ticket, Verdict.BUSY)]

    def _hand_over(self, origin: Origin, ticket: Ticket, payload: bytes | None, now: float) -> list[Step]:
        if payload is None:
            payload = self._reassembly.hand_over(Whole(origin, ticket.roll.message), now)
        return [] if payload is None else [HandOver(ticket, payload)]
