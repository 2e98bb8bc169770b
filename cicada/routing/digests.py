"""Digests after the tree: whoever has something recent tells a successor and a finger, and who lacks it pulls (Plumtree's lazy
push; Leitao, Pereira and Rodrigues 2007). Acks do not see peers that take a body and keep it to themselves; this needs no acks.

Without anything recent nobody says anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from math import ceil, log2
from random import Random

from msgspec.structs import replace

from cicada.ids import Peer, place_to_bytes
from cicada.limits import WIRE, BroadcastLimits
from cicada.routing.broadcastlog import BroadcastLog, Taken
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.table import Routes, RoutingTable
from cicada.tokens import Shares
from cicada.wire.routed import BroadcastDigest, BroadcastPull

_JITTER = 0.25
_NEAREST = 16  # r: so many successors are told in turn


class Digests:
    """Rounds of digests about what is in ``log``, and the answers to those of others."""

    def __init__(
        self,
        log: BroadcastLog,
        routes: Routes,
        limits: BroadcastLimits,
        rng: Random,
        counts: Counter[str],
        lodgers: Callable[[], tuple[Peer, ...]] = lambda: (),
    ) -> None:
        self._log = log
        self._routes = routes
        self._limits = limits
        self._rng = rng
        self._counts = counts
        self._lodgers = lodgers
        self._shares = Shares(limits.digest_rate, limits.digest_burst, limits.links)
        self._pulled: dict[bytes, float] = {}
        self._asked: dict[tuple[bytes, Peer], float] = {}
        self._turn = 0
        self._round_at: float | None = None

    def begin(self, taken: Taken, now: float) -> None:
        """Have it in digests from the next round on."""
        table = self._routes.table()
        peers = 2 if table is None else max(2, table.peers())
        taken.rounds = self._limits.round_factor * ceil(log2(peers))
        if self._round_at is None:
            self._round_at = now + self._pause()

    def refuse(self, id: bytes, now: float) -> None:
        """This one is not to be pulled again: it can never be taken."""
        self._note_pull(id, now + self._limits.log_seconds)

    def on_digest(self, digest: BroadcastDigest, sender: Peer, now: float) -> list[RouterOutput]:
        """Pull what this peer lacks, and say what the sender lacks."""
        if not self._shares.take(sender, now):
            return self._refuse_rate()
        lacking = [id for id in dict.fromkeys(digest.ids) if self._may_pull(id, sender, now)]
        outputs: list[RouterOutput] = []
        if lacking:
            for id in lacking:
                self._note_pull(id, now + self._limits.round)
                self._asked[id, sender] = now + self._limits.ask_again
                if len(self._asked) > self._limits.ids:
                    del self._asked[next(iter(self._asked))]
            self._counts["pulls"] += 1
            outputs.append(Forward(sender, BroadcastPull(ids=tuple(lacking)), None))
        more = () if digest.is_answer else self._more_than(digest, now)
        if more:
            outputs.append(self._digest(sender, more, is_answer=True))
        return outputs

    def on_pull(self, pull: BroadcastPull, sender: Peer, now: float) -> list[RouterOutput]:
        """Send bodies, up to ``pull_bytes``."""
        if not self._shares.take(sender, now):
            return self._refuse_rate()
        room = self._limits.pull_bytes
        outputs: list[RouterOutput] = []
        limit = place_to_bytes(sender.place)
        for taken in filter(None, map(self._log.get, dict.fromkeys(pull.ids))):
            taken.quiet = 0
            body = taken.body
            if body is None or len(body.payload) > room:
                continue
            room -= len(body.payload)
            outputs.append(
                Forward(sender, replace(body, limit=limit, hops=min(body.hops + 1, WIRE.max_path)), None)
            )
        self._counts["bodies"] += len(outputs)
        self._counts["pulled-from-here"] += len(outputs)
        return outputs

    def fire(self, now: float) -> list[RouterOutput]:
        """The next round, when it is due."""
        if self._round_at is None or now < self._round_at:
            return []
        self._round_at = None
        self._log.expire(now)
        self._pulled = {id: until for id, until in self._pulled.items() if until > now}
        self._asked = {name: until for name, until in self._asked.items() if until > now}
        recent = self._recent()
        if not recent:
            return []
        self._round_at = now + self._pause()
        told = [taken for taken in recent if self._is_settled(taken, now)]
        for taken in told:
            taken.rounds -= 1
            taken.quiet += 1
        table = self._routes.table()
        if table is None or not told:
            return []
        ids = tuple(taken.id for taken in told)
        return [self._digest(peer, ids) for peer in (*self._partners(table), *self._lodgers())]

    def next_deadline(self) -> float | None:
        """When the next round is due; None while there is nothing to tell."""
        return self._round_at

    def _more_than(self, digest: BroadcastDigest, now: float) -> tuple[bytes, ...]:
        named = set(digest.ids)
        return tuple(t.id for t in self._recent() if t.id not in named and self._is_settled(t, now))

    def _may_pull(self, id: bytes, sender: Peer, now: float) -> bool:
        """Who announces what it does not give must not keep this peer from asking others."""
        if self._log.get(id) is not None or self._pulled.get(id, now) > now:
            return False
        return self._asked.get((id, sender), now) <= now

    def _recent(self) -> list[Taken]:
        """The newest that are in digests yet."""
        limits = self._limits
        active = (t for t in self._log.kept() if t.rounds > 0 and t.quiet < limits.quiet_rounds)
        return list(islice(active, limits.digest_ids))

    def _is_settled(self, taken: Taken, now: float) -> bool:
        """Whether it came so long ago that the tree has done what it can: who has not got it lacks it."""
        return now - taken.entered_at >= self._limits.settled

    def _partners(self, table: RoutingTable) -> tuple[Peer, ...]:
        """A successor and a finger. Another successor each time: one that keeps it to itself hides only the next.

        Fingers are those of the tree, with which there are links already.
        """
        successors = table.next_ones(_NEAREST)
        if not successors:
            return ()
        successor = successors[self._turn % min(len(successors), self._limits.quiet_rounds)]
        self._turn += 1
        fingers = table.spread_out()
        finger = fingers[self._rng.randrange(len(fingers))]
        return (successor,) if finger == successor else (successor, finger)

    def _digest(self, peer: Peer, ids: tuple[bytes, ...], *, is_answer: bool = False) -> Forward:
        self._counts["digests"] += 1
        return Forward(peer, BroadcastDigest(ids=ids, is_answer=is_answer), None)

    def _note_pull(self, id: bytes, until: float) -> None:
        self._pulled[id] = until
        if len(self._pulled) > self._limits.ids:
            del self._pulled[next(iter(self._pulled))]

    def _refuse_rate(self) -> list[RouterOutput]:
        self._counts["dropped:broadcast-digest-rate"] += 1
        return []

    def _pause(self) -> float:
        return self._limits.round * self._rng.uniform(1 - _JITTER, 1 + _JITTER)
