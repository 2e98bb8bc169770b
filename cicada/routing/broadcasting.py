"""Broadcast down an interval tree (El-Ansary et al. 2003): one body for each peer of the ring.

A peer that is given the places in (itself, limit) shares them among known peers inside: each serves up to the next one.
The interval of a delegate that cannot be reached is served by the sender and, where the sender does not know who comes
next, by the peer before the dead one: it has seen the broadcast, but not with so wide an interval.
"""

from __future__ import annotations

from collections import Counter

from cicada.events import BroadcastReceived, MessageDropped
from cicada.ids import RING_SIZE, Peer, place_from_bytes, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.io import Deliver, Forward, RouterOutput, SendBroadcast, Tell
from cicada.routing.paths import peer_named
from cicada.routing.table import Routes
from cicada.wire.routed import Broadcast

_Key = tuple[str, int, int]


class _Served:
    """How far this peer has served a broadcast, as a distance, and how often that grew."""

    __slots__ = ("extensions", "limit", "seen_at")

    def __init__(self, limit: int, seen_at: float) -> None:
        self.limit = limit
        self.seen_at = seen_at
        self.extensions = 0


class Broadcasts:
    """The broadcasts seen of late, at most ``broadcast_ids``, each for ``broadcast_seconds``."""

    def __init__(self, own: Peer, boot: int, routes: Routes, limits: DeliveryLimits) -> None:
        self._own = own
        self._boot = boot
        self._routes = routes
        self._limits = limits
        self._seen: dict[_Key, _Served] = {}
        self.counts: Counter[str] = Counter()
        """Bodies sent, hand-overs, broadcasts delivered, and drops by reason."""

    def __len__(self) -> int:
        return len(self._seen)

    def start(self, asked: SendBroadcast, now: float) -> list[RouterOutput]:
        """Begin a broadcast of this peer. An id that was begun already is ignored."""
        body = Broadcast(
            origin=self._own.address,
            origin_boot=self._boot,
            message=asked.id,
            limit=place_to_bytes(self._own.place),
            hops=0,
            payload=asked.payload,
        )
        key = _key(body)
        if key in self._seen:
            return []
        if self._routes.table() is None:
            return self._drop("not-in-ring")
        self._remember(key, RING_SIZE, now)
        return self._serve(body, 0, RING_SIZE, None)

    def on_broadcast(self, body: Broadcast, sender: Peer, now: float) -> list[RouterOutput]:
        """A body arrived: deliver it once, and serve what was not served yet of its interval."""
        if body.origin == self._own.address:
            return self._drop("broadcast-came-back")
        limit = (place_from_bytes(body.limit) - self._own.place) % RING_SIZE
        served = self._seen.get(_key(body))
        if served is None:
            self._remember(_key(body), limit, now)
            self.counts["broadcasts"] += 1
            return [*self._deliver(body), *self._serve(body, 0, limit, sender)]
        if limit <= served.limit:
            return self._drop("broadcast-duplicate")
        if served.extensions >= self._limits.broadcast_extensions:
            return self._drop("broadcast-extended-too-often")
        start, served.limit = served.limit, limit
        served.extensions += 1
        return self._serve(body, start, limit, sender)

    def hand_over(self, body: Broadcast, lost: Peer) -> list[RouterOutput]:
        """``lost`` did not take the body: have others serve its interval."""
        start = (lost.place - self._own.place) % RING_SIZE
        limit = (place_from_bytes(body.limit) - self._own.place) % RING_SIZE or RING_SIZE
        self.counts["hand-overs"] += 1
        return self._serve(body, start, limit, None)

    def _serve(self, body: Broadcast, start: int, limit: int, source: Peer | None) -> list[RouterOutput]:
        """Share the distances in [start, limit) out."""
        table = self._routes.table()
        if start >= limit:
            return []
        if table is None:
            return self._drop("not-in-ring")
        if body.hops >= self._limits.hop_limit:
            return self._drop("hop-limit")
        shares = [*table.delegates(start, limit)]
        before = table.before(start) if start > table.arc else None
        if (
            before is not None
        ):  # it may know peers between start and the first delegate that this one does not
            shares.insert(0, (start, before))
        if not shares:
            return []
        ends = [distance for distance, _ in shares[1:]] + [limit]
        self.counts["bodies"] += len(shares)
        return [
            Forward(peer, self._body(body, table.place(end)), source)
            for (_, peer), end in zip(shares, ends, strict=True)
        ]

    def _body(self, body: Broadcast, limit: int) -> Broadcast:
        return Broadcast(
            origin=body.origin,
            origin_boot=body.origin_boot,
            message=body.message,
            limit=limit.to_bytes(len(body.limit), "big"),
            hops=body.hops + 1,
            payload=body.payload,
        )

    def _deliver(self, body: Broadcast) -> list[RouterOutput]:
        origin = peer_named(body.origin)
        return [
            Deliver(
                ticket=0,
                origin=origin,
                origin_boot=body.origin_boot,
                message=body.message,
                payload=body.payload,
                hops=body.hops,
                broadcast=True,
            ),
            Tell(BroadcastReceived(origin=origin.address, message=body.message, hops=body.hops)),
        ]

    def _drop(self, reason: str) -> list[RouterOutput]:
        self.counts[f"dropped:{reason}"] += 1
        return [Tell(MessageDropped(reason=reason))]

    def _remember(self, key: _Key, limit: int, now: float) -> None:
        self._seen[key] = _Served(limit, now)
        while len(self._seen) > self._limits.broadcast_ids:
            del self._seen[next(iter(self._seen))]
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest].seen_at <= self._limits.broadcast_seconds:
                return
            del self._seen[oldest]


def _key(body: Broadcast) -> _Key:
    return (body.origin, body.origin_boot, body.message)
