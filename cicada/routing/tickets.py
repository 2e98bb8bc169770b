"""Messages handed to the owner of the mailbox, until it has judged them."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from cicada.limits import DeliveryLimits
from cicada.routing.copies import Roll
from cicada.routing.sessions import Session
from cicada.wire.routed import Data

_TICKET_BITS = 62


class Ticket(NamedTuple):
    """What an ack needs: the Data as it came, in which session, and what is known of its attempt. And what Intake
    needs: the message before it, when it is ordered, and whether it came ``in_parts`` or too late. ``service``: who gets it."""

    session: Session
    data: Data
    roll: Roll
    after: int | None = None
    in_parts: bool = False
    is_late: bool = False
    service: int = 0


class Tickets:
    """Acks that wait for a verdict, at most ``tickets`` and none older than ``ticket_seconds``.

    Numbers begin at a random one, so a verdict meant for an earlier life of the Router finds nothing here.
    """

    def __init__(self, limits: DeliveryLimits, rng: Random) -> None:
        self._limits = limits
        self._last = 1 + rng.getrandbits(_TICKET_BITS)
        self._waiting: dict[int, tuple[float, Ticket]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def issue(self, ticket: Ticket, now: float) -> int | None:
        """The ticket's number; None when there are too many."""
        self._discard_old(now)
        if len(self._waiting) >= self._limits.tickets:
            return None
        self._last += 1
        self._waiting[self._last] = (now, ticket)
        return self._last

    def redeem(self, number: int) -> Ticket | None:
        """The ticket, once; None when it is unknown, old or redeemed."""
        _, ticket = self._waiting.pop(number, (0.0, None))
        return ticket

    def _discard_old(self, now: float) -> None:
        while self._waiting:
            number = next(iter(self._waiting))
            if now - self._waiting[number][0] <= self._limits.ticket_seconds:
                return
            del self._waiting[number]
