"""Stabilize: ask the head for its list, then its predecessor for a better head (Zave's two stabilize rules).

A round ends when a live head, and its predecessor if that lies between, have answered. Heads that do not answer are
walked past within the round. One round runs at a time; whatever else asks for one causes one more after it.
"""

from __future__ import annotations

from cicada.chord.requests import Purpose
from cicada.chord.ring import Ring
from cicada.chord.timers import Timer
from cicada.ids import Address, Peer, peer_at
from cicada.tokens import TokenBucket
from cicada.wire.ring import State


class _Round:
    """A round under way."""

    __slots__ = ("asked", "before", "candidate", "heard", "width")

    def __init__(self, before: tuple[Peer, ...]) -> None:
        self.before = before
        self.asked: set[Peer] = set()  # heads and heads to be, as long as their answers are awaited
        self.heard: set[Peer] = set()  # that answered while a head before them was still to
        self.candidate: Peer | None = None  # the head's predecessor, as long as its answer is awaited
        self.width = 1


class Stabilizer:
    """Runs the rounds of one member and decides when the next one comes."""

    __slots__ = ("_again", "_offer", "_reactive", "_ring", "_round", "_unsettled", "interval", "rounds")

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._reactive = TokenBucket(ring.timings.reactive_rate, ring.timings.reactive_burst)
        self.interval = ring.timings.stabilize_joining
        self.rounds = 0
        self.reset()

    def reset(self) -> None:
        """Forget the round; intervals are short until a round changes nothing."""
        self._round: _Round | None = None
        self._again = False
        self._offer: Peer | None = None
        self._unsettled = True
        self.interval = self._ring.timings.stabilize_joining

    @property
    def is_settled(self) -> bool:
        """Whether a round has changed nothing since this node entered the ring."""
        return not self._unsettled

    def hasten(self) -> None:
        """Have a round soon, as soon as the budget for unscheduled rounds allows."""
        if self._round is not None:
            self._again = True
            return
        ring = self._ring
        jitter = ring.rng.uniform(0.0, ring.timings.reactive_jitter)
        ring.timers.hasten(Timer.STABILIZE, self._reactive.ready_at(ring.now) + jitter)

    def consider(self, peer: Peer) -> None:
        """Somebody named a member between this node and its head: ask it, as if the head had named it."""
        self._offer = peer
        self.hasten()

    def begin(self) -> None:
        """The timer fired: start a round, unless one runs."""
        if self._round is not None:
            self._again = True
            return
        self.rounds += 1
        self._reactive.take(self._ring.now)
        self._round = _Round(self._ring.successors.entries)
        offer, self._offer = self._offer, None
        if offer is not None and self._ring.is_nearer_successor(offer):
            self._ask_candidate(offer)
        else:
            self._ask_heads()

    def on_state(self, sender: Peer, message: State) -> None:
        """A peer answered this round's question."""
        if self._round is None:
            return
        self._round.asked.discard(sender)
        rest = [peer_at(Address(address)) for address in message.successors]
        predecessor = peer_at(Address(message.predecessor)) if message.predecessor else None
        if sender == self._round.candidate:
            self._on_candidate_alive(sender, predecessor, rest)
        elif sender == self._ring.successors.head and self._round.candidate is None:
            self._on_head_alive(sender, predecessor, rest)
        else:
            self._round.heard.add(sender)
            self._ask_heads()

    def on_proven(self, peer: Peer) -> None:
        """A dial of this round succeeded: now the peer may be asked."""
        if self._round is not None and (peer in self._round.asked or peer == self._round.candidate):
            self._ring.ask(peer, Purpose.ROUND)

    def on_gone(self, peer: Peer) -> None:
        """The peer has just left all tables: walk past it if it was to answer this round."""
        if self._round is None:
            return
        if peer == self._round.candidate:
            # Zave: a dead candidate leaves the list alone. The notified head finds out about its predecessor.
            self._round.candidate = None
            if self._ring.successors.head is not None:
                self._ring.notify(self._ring.successors.head)
            self._finish()
        elif peer in self._round.asked:
            self._round.asked.discard(peer)
            self._round.width = self._ring.limits.walk_width
            self._ask_heads()

    def _ask_heads(self) -> None:
        """Ask the head, and behind a dead one the next few, so that waiting for dead ones is waited once."""
        ring, current = self._ring, self._round
        if current is None or current.candidate is not None:
            return
        if ring.successors.head is None:
            self._ask_predecessor()
            return
        head = ring.successors.head
        for entry in ring.successors.entries[: current.width]:
            if entry not in current.asked and (entry == head or entry not in current.heard):
                current.asked.add(entry)
                self._ask(entry)

    def _ask_predecessor(self) -> None:
        """Alone: the node is its own head, so its predecessor is what a head would name."""
        if self._ring.predecessor is not None:
            self._ask_candidate(self._ring.predecessor)
        else:
            self._finish()

    def _on_head_alive(self, head: Peer, predecessor: Peer | None, rest: list[Peer]) -> None:
        ring = self._ring
        if not rest and len(ring.successors.entries) > 1:
            # It lists nobody, so it began anew and is a ring of its own: dead for this one, until it joins again.
            ring.forget(head)
            self._ask_heads()
            return
        ring.adopt(head, rest)
        if predecessor is not None and ring.is_nearer_successor(predecessor):
            if not ring.is_avoided(predecessor):
                self._ask_candidate(predecessor)
                return
            ring.notify(head)
        elif predecessor != ring.peer:
            ring.notify(head)
        self._finish()

    def _ask_candidate(self, peer: Peer) -> None:
        if self._round is not None:
            self._round.candidate = peer
            self._ask(peer)

    def _on_candidate_alive(self, candidate: Peer, predecessor: Peer | None, rest: list[Peer]) -> None:
        ring = self._ring
        head = ring.successors.head
        if head is not None and self._costs_the_list(candidate, rest):
            ring.notify(head)
        elif rest and ring.is_nearer_successor(candidate):  # the head may have changed since it was asked
            ring.adopt(candidate, rest)
            if predecessor != ring.peer:
                ring.notify(candidate)
        self._finish()

    def _costs_the_list(self, candidate: Peer, rest: list[Peer]) -> bool:
        """Whether a candidate's list is that of a smaller ring: a ring of one, or one that a list holds while this is
        larger. It joins when it finds this ring. A newcomer of this ring has filled its list by its next round.
        """
        successors = self._ring.successors
        is_short = not successors.is_full((candidate, *rest))
        return not rest or (is_short and successors.is_full(successors.entries))

    def _ask(self, peer: Peer) -> None:
        if peer in self._ring.proofs:
            self._ring.ask(peer, Purpose.ROUND)
        else:
            self._ring.prove(peer)

    def _finish(self) -> None:
        current, self._round = self._round, None
        entries = self._ring.successors.entries
        if current is None:
            return
        self._adapt(entries != current.before)
        ring = self._ring
        jitter = 1.0 - ring.timings.jitter * ring.rng.random()
        ring.timers.hasten(Timer.STABILIZE, ring.now + self.interval * jitter)
        if self._again or self._offer is not None or entries[:1] != current.before[:1]:
            self._again = False
            self.hasten()

    def _adapt(self, changed: bool) -> None:
        """Often while things change, rarely while they do not (Ghinita and Teo 2006, by the design's figures)."""
        timings = self._ring.timings
        if self._unsettled:
            self._unsettled = changed
            self.interval = timings.stabilize_joining if changed else timings.stabilize_min
        elif changed:
            self.interval = max(timings.stabilize_min, self.interval / 2)
        else:
            self.interval = min(timings.stabilize_max, self.interval * timings.growth)
