"""How many copies leave with each attempt, by which ways, and how often anything may be sent again."""

from __future__ import annotations

from cicada.limits import DeliveryLimits
from cicada.routing.contacts import Contacts
from cicada.routing.paths import Leg, Ways
from cicada.routing.table import RoutingTable
from cicada.routing.unsettled import Unsettled


class RetryBudget:
    """Lets a sender repeat at most so many of its recent messages, so that what is slow is not buried under repetitions.

    Each message sent earns ``retry_share`` of a retry, while destinations are busy or round trips rise
    ``retry_share_pressed``, and each second ``retry_rate`` of them; at most ``retry_burst`` are saved.
    """

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self._tokens = float(limits.retry_burst)
        self._updated = 0.0
        self._pressed_until = -1.0

    def sent(self, now: float) -> None:
        """A message left for the first time."""
        limits = self._limits
        self._gain(limits.retry_share_pressed if now < self._pressed_until else limits.retry_share)

    def press(self, now: float) -> None:
        """A destination was busy, or a round trip has risen."""
        self._pressed_until = now + self._limits.pressed_seconds

    def take(self, now: float) -> bool:
        """Whether one retry may leave now."""
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def ready_at(self, now: float) -> float:
        """When one may, at the latest."""
        self._refill(now)
        # The margin outweighs rounding: whoever wakes at this time must find the token whole.
        return now + max(1.0 - self._tokens, 0.0) / self._limits.retry_rate + 1e-6

    def _refill(self, now: float) -> None:
        self._gain(max(now - self._updated, 0.0) * self._limits.retry_rate)
        self._updated = now

    def _gain(self, tokens: float) -> None:
        self._tokens = min(self._tokens + tokens, float(self._limits.retry_burst))


class Attempts:
    """Chooses the legs of each attempt of one peer's messages."""

    def __init__(self, ways: Ways, contacts: Contacts, limits: DeliveryLimits) -> None:
        self._ways = ways
        self._contacts = contacts
        self._limits = limits
        self.budget = RetryBudget(limits)

    def legs(self, sending: Unsettled, table: RoutingTable, now: float) -> tuple[Leg, ...]:
        """For the next attempt; empty when no known peer makes progress.

        A busy destination is asked again on the same ways. By default the first copy takes a way that has proven good, if
        there is one; any other attempt takes ways that nobody took before, over other first hops.
        """
        asked, last = sending.asked, sending.legs
        if sending.is_busy:
            return self._ways.along(table, asked.place, tuple(leg.way for leg in last), sending.avoid)
        sending.avoid = tuple(leg.hop for leg in last)
        copies = asked.copies or self._by_default(sending.losses)
        proven = self._contacts.proven_way(asked.place, now) if not asked.copies and not last else b""
        if proven:
            return self._ways.along(table, asked.place, (proven,))
        attempt = len(sending.attempts) + 1
        return self._ways.fresh(table, asked.place, copies, attempt, sending.avoid)

    def lost(self, sending: Unsettled) -> None:
        """No word of the last attempt came, or none of its copies arrived intact. Only that may raise the number of copies:
        not when the destination is busy, nor, once, when answers have begun to take longer than they used to."""
        place = sending.asked.place
        for leg in sending.legs:
            self._contacts.doubt(place, leg.way)
        if self._contacts.is_rising(place) and not sending.is_excused:
            sending.is_excused = True
        else:
            sending.losses += 1

    def _by_default(self, losses: int) -> int:
        rising = self._limits.copies_rising
        return rising[min(losses, len(rising) - 1)]
