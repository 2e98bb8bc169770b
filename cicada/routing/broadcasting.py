"""Broadcast down an interval tree (El-Ansary et al. 2003), signed by its origin; then digests, for those whom it did not reach.

A body is believed once the negotiator has checked its signature, and is then taken, delivered and served; whatever comes of the
same broadcast later changes nothing, so that nobody can put another in its place, nor stop it by a forgery that comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from cicada.events import BroadcastReceived, MessageDropped
from cicada.ids import RING_SIZE, Peer, place_from_bytes, place_to_bytes
from cicada.keys.io import CheckStatement, Purpose, SignStatement, StatementChecked, StatementSigned
from cicada.limits import KEYS, WIRE, DeliveryLimits
from cicada.routing.announcing import Announcements
from cicada.routing.broadcastlog import BroadcastLog, Taken, broadcast_id, id_of
from cicada.routing.checks import Checks, Doubt
from cicada.routing.delegating import Delegating
from cicada.routing.digests import Digests
from cicada.routing.io import Deliver, Forward, Reason, RouterOutput, SendBroadcast, Tell
from cicada.routing.paths import peer_named, target_of
from cicada.routing.stating import said, took
from cicada.routing.table import Routes
from cicada.routing.timers import earlier
from cicada.tokens import Shares
from cicada.wire.routed import (
    Broadcast,
    BroadcastAck,
    BroadcastDigest,
    BroadcastMessage,
    BroadcastPull,
    BroadcastTaken,
)


class Broadcasts:
    """All that a peer does about broadcasts, its own and others'. ``counts``: what happened, drops by reason. ``lodgers``: hidden
    peers that get from this one what it takes."""

    def __init__(
        self,
        own: Peer,
        boot: int,
        routes: Routes,
        limits: DeliveryLimits,
        rng: Random,
        lodgers: Callable[[], tuple[Peer, ...]] = lambda: (),
    ) -> None:
        self._own = own
        self._boot = boot
        self._routes = routes
        self._limits = limits.broadcast
        self._rng = rng
        self._lodgers = lodgers
        self.counts: Counter[str] = Counter()
        self._log = BroadcastLog(self._limits)
        self._checks = Checks(self._limits)
        self._shares = Shares(self._limits.check_rate, self._limits.check_burst, self._limits.links)
        self._delegating = Delegating(own, routes, limits, self.counts)
        self._digests = Digests(self._log, routes, self._limits, rng, self.counts, lodgers)
        self._announcements = Announcements(own, boot, self._checks, self._limits, self.counts)

    def __len__(self) -> int:
        return len(self._log)

    def counters(self) -> dict[str, int]:
        """``counts``, and ``broadcasts-missing``: numbers that origins used and this peer never saw."""
        return {**self.counts, "broadcasts-missing": self._log.missing}

    def start(self, asked: SendBroadcast, now: float) -> list[RouterOutput]:
        """Begin a broadcast of this peer. One that was begun already is ignored."""
        id = broadcast_id(self._own.address, self._boot, asked.id)
        if self._log.get(id) is not None:
            return []
        return [*self._announcements.begin(id, asked, now)]

    def on_message(self, message: BroadcastMessage, sender: Peer, now: float) -> list[RouterOutput]:
        """A neighbour says something about broadcasts."""
        match message:
            case Broadcast():
                return self._on_body(message, sender, now)
            case BroadcastAck():
                return self._delegating.on_ack(message, sender, now) + self._claims(now)
            case BroadcastDigest():
                return self._digests.on_digest(message, sender, now)
            case BroadcastPull():
                return self._digests.on_pull(message, sender, now)

    def on_taken(self, word: BroadcastTaken, now: float) -> list[RouterOutput]:
        """A peer says that it took a broadcast of this one."""
        question = self._announcements.on_taken(word, now)
        return [] if question is None else [question]

    def lost(self, message: BroadcastMessage, peer: Peer, now: float) -> list[RouterOutput]:
        """The peer did not get the message. What is no body is asked for again by whoever needs it."""
        if not isinstance(message, Broadcast):
            return []
        return self._delegating.lost(message, peer, now) + self._claims(now)

    def ask_again(self) -> list[SignStatement | CheckStatement]:
        """Another negotiator is at work."""
        return self._checks.again()

    def fire(self, now: float) -> list[RouterOutput]:
        """Whatever is due."""
        outputs = self._delegating.fire(now) + self._claims(now)
        return [*outputs, *self._digests.fire(now), *self._announcements.fire(now)]

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do; None while no broadcast is recent."""
        first = earlier(self._delegating.next_deadline(), self._digests.next_deadline())
        return earlier(first, self._announcements.next_deadline())

    # What the negotiator says

    def signed(self, answer: StatementSigned, now: float) -> tuple[list[RouterOutput], BroadcastTaken | None]:
        """A signature came: what follows, and a word to be routed to the origin of a broadcast."""
        purpose, id = self._checks.signed(answer.ticket) or (None, b"")
        if purpose is Purpose.BROADCAST:
            return self._begin(id, answer, now), None
        taken = self._log.get(id)
        if purpose is None or taken is None:
            return [], None
        self.counts["samples-sent"] += 1
        return [], BroadcastTaken(
            target=target_of(taken.life[1]),
            origin=self._own.address,
            hops=0,
            id=id,
            record=answer.record,
            signature=answer.signature,
        )

    def checked(self, answer: StatementChecked, now: float) -> list[RouterOutput]:
        """It is known whether a statement is authentic."""
        doubt = self._checks.checked(answer.ticket)
        if doubt is None:
            return []
        message = doubt.message
        if isinstance(message, BroadcastTaken):
            if answer.reason:
                self.counts[f"ignored:broadcast-taken-{answer.reason}"] += 1
                return []
            return [*self._announcements.believed(message)]
        if answer.reason:
            return self._drop(f"broadcast-{answer.reason}")
        self._shares.give_back(doubt.sender)
        return self._believe(message, doubt, answer, now)

    # Own broadcasts

    def _begin(self, id: bytes, answer: StatementSigned, now: float) -> list[RouterOutput]:
        body = self._announcements.signed(id, answer)
        if body is None:
            return []
        if self._routes.table() is None:
            return [*self._announcements.fail(id, Reason.NOT_IN_RING), *self._drop("not-in-ring")]
        self._enter(id, body, "", said(body), RING_SIZE, now + self._limits.seconds + KEYS.clock_skew, now)
        outputs = self._delegating.serve(id, body, 0, RING_SIZE, None, 0, now)
        return outputs + self._claims(now) + self._to_lodgers(body)

    def _claims(self, now: float) -> list[RouterOutput]:
        outputs: list[RouterOutput] = []
        while self._delegating.over:
            errand = self._delegating.over.pop()
            outputs += self._announcements.claimed(errand.id, errand.reached, errand.is_complete, now)
        return outputs

    # Others'

    def _on_body(self, body: Broadcast, sender: Peer, now: float) -> list[RouterOutput]:
        id = id_of(body)
        taken = self._log.get(id)
        if body.origin == self._own.address:
            self._digests.refuse(id, now)
            return self._drop("broadcast-came-back")
        if body.hops <= 1 and sender.address != body.origin:
            return self._drop("broadcast-not-from-origin")
        if taken is not None:
            return self._again(taken, body, sender, now)
        if not self._shares.take(sender, now):
            return self._drop("broadcast-rate")
        question = self._checks.check(body, sender, said(body), now)
        return self._drop("broadcast-checks-full") if question is None else [question]

    def _again(self, taken: Taken, body: Broadcast, sender: Peer, now: float) -> list[RouterOutput]:
        """It was taken before: only the rest of a wider interval is served, with what was taken."""
        limit = self._distance(body.limit)
        known = taken.body
        if known is not None and (body.payload != known.payload or body.signature != known.signature):
            return self._drop("broadcast-altered")
        acknowledged = self._delegating.acknowledge(taken.id, body, sender) if limit else []
        if limit <= taken.limit:
            return [*acknowledged, *self._drop("broadcast-duplicate")]
        if known is None:
            return [*acknowledged, *self._drop("broadcast-body-gone")]
        if taken.extensions >= self._limits.extensions:
            return [*acknowledged, *self._drop("broadcast-extended-too-often")]
        start, taken.limit = taken.limit, limit
        taken.extensions += 1
        wider = replace(known, limit=body.limit, hops=body.hops)
        return self._delegating.serve(taken.id, wider, start, limit, sender, 0, now)

    def _believe(
        self, body: Broadcast, doubt: Doubt, answer: StatementChecked, now: float
    ) -> list[RouterOutput]:
        """The body is authentic: take it, unless it is too late, or came by another way meanwhile."""
        id = id_of(body)
        taken = self._log.get(id)
        if taken is not None:
            return self._again(taken, body, doubt.sender, now)
        left, skew = (body.expires_ms - answer.wall_ms) / 1000, KEYS.clock_skew
        refusal = self._log.refusal(body, answer.peer_id, now)
        if left <= -skew:
            refusal = "broadcast-expired"
        elif left > self._limits.seconds + skew:
            refusal = "broadcast-from-the-future"
        if refusal:
            self._digests.refuse(id, now)
            return self._drop(refusal)
        limit = self._distance(body.limit)
        self._enter(id, body, answer.peer_id, doubt.statement, limit, now + left + skew, now)
        self.counts["broadcasts"] += 1
        outputs = [*self._deliver(body, answer), *self._sample(id, doubt.statement)]
        if limit:
            outputs += self._delegating.serve(id, body, 0, limit, doubt.sender, 1, now)
        return outputs + self._to_lodgers(body)

    def _to_lodgers(self, body: Broadcast) -> list[RouterOutput]:
        """They serve nobody, and get it from each of their relays: what is lost one digest later is known."""
        lodgers = [peer for peer in self._lodgers() if peer.address != body.origin]
        self.counts["bodies"] += len(lodgers)
        hops = min(body.hops + 1, WIRE.max_path)
        return [
            Forward(peer, replace(body, limit=place_to_bytes(peer.place), hops=hops), None)
            for peer in lodgers
        ]

    def _enter(
        self,
        id: bytes,
        body: Broadcast,
        peer_id: str,
        statement: bytes,
        limit: int,
        forget_at: float,
        now: float,
    ) -> None:
        taken = self._log.take(id, body, peer_id, statement, forget_at, now)
        taken.limit = limit
        self._digests.begin(taken, now)

    def _sample(self, id: bytes, statement: bytes) -> list[RouterOutput]:
        """Be one of the few who send their signed word, so that some ``sample`` of all do."""
        table = self._routes.table()
        if table is None or self._rng.random() * table.peers() >= self._limits.sample:
            return []
        question = self._checks.sign(Purpose.TAKEN, took(id, statement), id)
        return [] if question is None else [question]

    def _deliver(self, body: Broadcast, answer: StatementChecked) -> list[RouterOutput]:
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
                trust=answer.trust,
                peer_id=answer.peer_id,
            ),
            Tell(BroadcastReceived(origin=origin.address, message=body.message, hops=body.hops)),
        ]

    def _distance(self, limit: bytes) -> int:
        return (place_from_bytes(limit) - self._own.place) % RING_SIZE

    def _drop(self, reason: str) -> list[RouterOutput]:
        self.counts[f"dropped:{reason}"] += 1
        return [Tell(MessageDropped(reason=reason))]
