"""Serving an interval: it is shared among delegates, who acknowledge, and whose claims are added up for whoever asked.

A delegate that cannot be reached, or does not acknowledge, has its interval served by others: by those inside it that are known
and, where this peer does not know who comes next, by the peer before it, which has seen the broadcast, but not with so wide an
interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from itertools import count

from msgspec.structs import replace

from cicada.ids import RING_SIZE, Peer, place_from_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.broadcastlog import id_of
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.table import Routes, RoutingTable
from cicada.routing.timers import Timers, earlier
from cicada.wire.fields import MAX_NUMBER
from cicada.wire.routed import Broadcast, BroadcastAck


class Errand:
    """An interval of ``body`` that this peer serves, for ``source`` or, when that is None, on its own account. ``reached``
    counts peers that are claimed to have it; ``is_complete``: no part of the interval was given up."""

    __slots__ = (
        *(
            "body",
            "given_up",
            "id",
            "is_complete",
            "is_over",
            "is_own",
            "number",
            "open",
            "reached",
            "source",
        ),
    )

    def __init__(self, number: int, id: bytes, body: Broadcast, source: Peer | None, reached: int) -> None:
        self.number = number
        self.id = id
        self.body = body
        self.source = source
        self.reached = reached
        self.open = 0
        self.is_complete = True
        self.is_over = False
        self.is_own = False
        self.given_up: set[Peer] = set()


class _Delegate:
    __slots__ = ("body", "errand", "is_taken", "number", "peer", "tries")

    def __init__(self, number: int, errand: Errand, peer: Peer, body: Broadcast) -> None:
        self.number = number
        self.errand = errand
        self.peer = peer
        self.body = body
        self.tries = 1
        self.is_taken = False


class Delegating:
    """All intervals that this peer serves. At most ``delegates`` are waited for; more are served and not counted."""

    def __init__(self, own: Peer, routes: Routes, limits: DeliveryLimits, counts: Counter[str]) -> None:
        self._own = own
        self._routes = routes
        self._limits = limits.broadcast
        self._hop_limit = limits.hop_limit
        self._batch = limits.batch
        self._counts = counts
        self._numbers = count(1)
        self._errands: dict[int, Errand] = {}
        self._asked: dict[tuple[bytes, Peer, bytes], Errand] = {}
        self._reported: dict[tuple[bytes, Peer, bytes], int] = {}
        self._delegates: dict[int, _Delegate] = {}
        self._named: dict[tuple[bytes, Peer, bytes], int] = {}
        self._retries = Timers()
        self._ends = Timers()
        self.over: list[Errand] = []
        """Own errands that ended, for whoever waits for them: taken away by him."""

    def __len__(self) -> int:
        return len(self._errands) + len(self._delegates)

    def serve(
        self,
        id: bytes,
        body: Broadcast,
        start: int,
        limit: int,
        source: Peer | None,
        reached: int,
        now: float,
    ) -> list[RouterOutput]:
        """Serve the distances in [start, limit). ``reached``: peers that have it, to begin with."""
        errand = Errand(next(self._numbers), id, body, source, reached)
        errand.is_own = source is None
        outputs = self._share(errand, start, limit, now)
        if errand.open:
            self._errands[errand.number] = errand
            if source is not None:
                self._asked[id, source, body.limit] = errand
            patience = self._limits.report - self._limits.report_step * body.hops
            self._ends.set(errand.number, now + max(patience, self._limits.report_min))
            return [*self._acknowledge(errand), *outputs]
        return outputs + self._end(errand)

    def acknowledge(self, id: bytes, body: Broadcast, sender: Peer) -> list[RouterOutput]:
        """The body came again and asks for nothing more: say how far the errand is, what came of it, or that there is none."""
        errand = self._asked.get((id, sender, body.limit))
        if errand is not None:
            return self._acknowledge(errand)
        reached = self._reported.get((id, sender, body.limit), 0)
        return [Forward(sender, BroadcastAck(id=id, limit=body.limit, reached=reached, is_done=True), None)]

    def on_ack(self, ack: BroadcastAck, sender: Peer, now: float) -> list[RouterOutput]:
        """A delegate says that it took its interval, or what became of it."""
        number = self._named.get((ack.id, sender, ack.limit))
        if number is None:
            self._counts["ignored:broadcast-ack"] += 1
            return []
        delegate = self._delegates[number]
        if not ack.is_done:
            delegate.is_taken = True
            self._retries.clear(number)
            return []
        errand = delegate.errand
        errand.reached = min(errand.reached + ack.reached, MAX_NUMBER)
        return self._close(delegate)

    def lost(self, body: Broadcast, peer: Peer, now: float) -> list[RouterOutput]:
        """A body did not reach the peer: have others serve its interval."""
        id = id_of(body)
        number = self._named.get((id, peer, body.limit))
        if number is not None:
            return self._hand_over(self._delegates[number], now)
        errand = Errand(next(self._numbers), id, replace(body, hops=max(body.hops - 1, 0)), None, 0)
        errand.given_up.add(
            peer
        )  # sent by an earlier life, or in answer to a pull: then there is nothing to serve
        start = (peer.place - self._own.place) % RING_SIZE
        return self._share(errand, start, self._limit_of(body), now)

    def fire(self, now: float) -> list[RouterOutput]:
        """Ask again who is silent, and report what was waited for long enough."""
        outputs: list[RouterOutput] = []
        for number in self._retries.pop_due(now, self._batch):
            delegate = self._delegates[number]
            if delegate.tries >= self._limits.tries:
                self._counts["silent-delegates"] += 1
                outputs += self._hand_over(delegate, now)
                continue
            delegate.tries += 1
            self._retries.set(number, now + self._limits.retry)
            self._counts["bodies"] += 1
            outputs.append(Forward(delegate.peer, delegate.body, None))
        for number in self._ends.pop_due(now, self._batch):
            errand = self._errands[number]
            errand.is_complete = False
            self._counts["claims-incomplete"] += 1
            outputs += self._end(errand)
        return outputs

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return earlier(self._retries.next_deadline(), self._ends.next_deadline())

    def _share(self, errand: Errand, start: int, limit: int, now: float) -> list[RouterOutput]:
        """Share the distances in [start, limit) out."""
        table = self._routes.table()
        if start >= limit:
            return []
        if table is None or errand.body.hops >= self._hop_limit:
            errand.is_complete = False
            self._counts["dropped:not-in-ring" if table is None else "dropped:hop-limit"] += 1
            return []
        shares = shares_of(table, start, limit, errand.given_up)
        if not shares:
            return []
        ends = [distance for distance, _ in shares[1:]] + [limit]
        outputs: list[RouterOutput] = []
        for (_, peer), end in zip(shares, ends, strict=True):
            body = replace(
                errand.body,
                limit=table.place(end).to_bytes(len(errand.body.limit), "big"),
                hops=errand.body.hops + 1,
            )
            self._open(errand, peer, body, now)
            outputs.append(Forward(peer, body, errand.source))
        self._counts["bodies"] += len(outputs)
        return outputs

    def _open(self, errand: Errand, peer: Peer, body: Broadcast, now: float) -> None:
        name = (errand.id, peer, body.limit)
        if len(self._delegates) >= self._limits.delegates or name in self._named:
            errand.is_complete = False
            self._counts["delegates-not-awaited"] += 1
            return
        number = next(self._numbers)
        self._delegates[number] = _Delegate(number, errand, peer, body)
        self._named[name] = number
        self._retries.set(number, now + self._limits.first_wait)
        errand.open += 1

    def _hand_over(self, delegate: _Delegate, now: float) -> list[RouterOutput]:
        errand = delegate.errand
        self._forget(delegate)
        self._counts["hand-overs"] += 1
        outputs: list[RouterOutput] = []
        errand.given_up.add(delegate.peer)
        if len(errand.given_up) > self._limits.given_up:
            errand.is_complete = False
        else:
            start, limit = (delegate.peer.place - self._own.place) % RING_SIZE, self._limit_of(delegate.body)
            outputs = self._share(errand, start, limit if limit > start else RING_SIZE, now)
        return outputs + self._settle(errand)

    def _close(self, delegate: _Delegate) -> list[RouterOutput]:
        self._forget(delegate)
        return self._settle(delegate.errand)

    def _forget(self, delegate: _Delegate) -> None:
        del self._delegates[delegate.number]
        del self._named[delegate.errand.id, delegate.peer, delegate.body.limit]
        self._retries.clear(delegate.number)
        delegate.errand.open -= 1

    def _settle(self, errand: Errand) -> list[RouterOutput]:
        return [] if errand.open or errand.is_over else self._end(errand)

    def _end(self, errand: Errand) -> list[RouterOutput]:
        """All is known that will be. Delegates that never acknowledged are still asked again; the others are done with."""
        errand.is_over = True
        self._errands.pop(errand.number, None)
        if errand.source is not None:
            name = (errand.id, errand.source, errand.body.limit)
            self._asked.pop(name, None)
            self._reported[name] = errand.reached
            if len(self._reported) > self._limits.ids:
                del self._reported[next(iter(self._reported))]
        self._ends.clear(errand.number)
        if errand.open:
            for delegate in [d for d in self._delegates.values() if d.errand is errand and d.is_taken]:
                self._forget(delegate)
        if errand.is_own:
            self.over.append(errand)
        return self._acknowledge(errand)

    def _acknowledge(self, errand: Errand) -> list[RouterOutput]:
        if errand.source is None:
            return []
        ack = BroadcastAck(
            id=errand.id,
            limit=errand.body.limit,
            reached=errand.reached if errand.is_over else 0,
            is_done=errand.is_over,
        )
        return [Forward(errand.source, ack, None)]

    def _limit_of(self, body: Broadcast) -> int:
        return (place_from_bytes(body.limit) - self._own.place) % RING_SIZE or RING_SIZE


def shares_of(
    table: RoutingTable, start: int, limit: int, given_up: Collection[Peer]
) -> list[tuple[int, Peer]]:
    """Who serves the distances in [start, limit), and from where on, none of ``given_up``."""
    shares = [*table.delegates(start, limit)]
    if given_up:
        shares = _without(table, shares, limit, given_up)
    before = table.before(start) if start > table.arc else None
    while before is not None and before in given_up:
        before = table.before(table.distance(before.place))
    if before is not None:  # it may know peers between start and the first delegate that this one does not
        shares.insert(0, (start, before))
    return shares


def _without(
    table: RoutingTable, shares: list[tuple[int, Peer]], limit: int, given_up: Collection[Peer]
) -> list[tuple[int, Peer]]:
    """In place of each one that was given up, the next known peer before the next share, if there is one."""
    kept: list[tuple[int, Peer]] = []
    for position, (distance, peer) in enumerate(shares):
        end = shares[position + 1][0] if position + 1 < len(shares) else limit
        share: tuple[int, Peer] | None = (distance, peer)
        while share is not None and share[1] in given_up:
            share = next(iter(table.delegates(share[0] + 1, end)), None)
        if share is not None:
            kept.append(share)
    return kept
