"""Messages handed to the owner of the mailbox, until it has judged them."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from cicada.ids import Peer
from cicada.limits import DeliveryLimits
from cicada.routing.io import Deliver, Verdict
from cicada.routing.paths import peer_named, target_of
from cicada.routing.sending import digest_of
from cicada.wire.routed import Data, DataAck

_TICKET_BITS = 62


class Tickets:
    """Acks that wait for a verdict, at most ``tickets`` and none older than ``ticket_seconds``.

    Numbers begin at a random one, so a verdict meant for an earlier life of the Router finds nothing here.
    """

    def __init__(self, own: Peer, boot: int, limits: DeliveryLimits, rng: Random) -> None:
        self._own = own
        self._boot = boot
        self._limits = limits
        self._last = 1 + rng.getrandbits(_TICKET_BITS)
        self._waiting: dict[int, tuple[float, DataAck]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def issue(self, data: Data, now: float) -> Deliver | None:
        """The message with a new ticket; None when there are too many."""
        self._discard_old(now)
        if len(self._waiting) >= self._limits.tickets:
            return None
        self._last += 1
        self._waiting[self._last] = (now, self.ack(data, Verdict.DELIVERED))
        return Deliver(
            ticket=self._last,
            origin=peer_named(data.origin),
            origin_boot=data.origin_boot,
            message=data.message,
            payload=data.payload,
            hops=data.hops,
        )

    def redeem(self, ticket: int, verdict: Verdict) -> DataAck | None:
        """The ack that says the verdict; None when the ticket is unknown, old or redeemed."""
        waiting = self._waiting.pop(ticket, None)
        if waiting is None:
            return None
        _, ack = waiting
        return ack if verdict is Verdict.DELIVERED else replace(ack, status=verdict)

    def ack(self, data: Data, verdict: Verdict) -> DataAck:
        """What this peer answers to ``data``."""
        return DataAck(
            target=target_of(data.origin),
            origin=self._own.address,
            hops=0,
            origin_boot=data.origin_boot,
            message=data.message,
            attempt=data.attempt,
            copy=data.copy,
            status=verdict,
            boot=self._boot,
            digest=digest_of(data.payload),
            data_hops=data.hops,
        )

    def _discard_old(self, now: float) -> None:
        while self._waiting:
            ticket = next(iter(self._waiting))
            if now - self._waiting[ticket][0] <= self._limits.ticket_seconds:
                return
            del self._waiting[ticket]
