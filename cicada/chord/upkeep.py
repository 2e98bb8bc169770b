"""Upkeep: verify the tail of the list, fill the fingers, visit suspects. All of it bounded, none of it urgent."""

from __future__ import annotations

from cicada.chord.circle import between, distance, finger_start
from cicada.chord.lookups import Lookup, Wanted
from cicada.chord.phase import Phase
from cicada.chord.rectifying import Rectifier
from cicada.chord.ring import Ring
from cicada.chord.searching import Searcher
from cicada.chord.stabilizing import Stabilizer
from cicada.chord.timers import Timer
from cicada.ids import RING_BITS, Address, Peer, peer_at
from cicada.tokens import TokenBucket
from cicada.wire.ring import Found

VISIT_RATE = "visit-rate"
"""Why visits are not returned."""


class Upkeep:
    """Background work of one member."""

    __slots__ = (
        *("_dial_tokens", "_interval", "_news", "_next", "_rectifier", "_ring", "_searcher", "_stabilizer"),
        *("_visit_tokens", "_visited", "_visiting", "visits"),
    )

    def __init__(self, ring: Ring, stabilizer: Stabilizer, rectifier: Rectifier, searcher: Searcher) -> None:
        self._ring = ring
        self._stabilizer = stabilizer
        self._rectifier = rectifier
        self._searcher = searcher
        self._dial_tokens = TokenBucket(ring.timings.finger_dial_rate, ring.timings.finger_dial_burst)
        self._visit_tokens = TokenBucket(ring.timings.visit_rate, ring.timings.visit_burst)
        self._interval = ring.timings.fix_fingers_min
        self._next = 0
        self._news = False
        self._visiting: Peer | None = None
        self._visited: Peer | None = None
        self.visits = 0

    def reset(self) -> None:
        """Begin anew: this node has just entered a ring."""
        self._interval = self._ring.timings.fix_fingers_min
        self._visiting = None

    def verify_tail(self) -> None:
        """Dial unproven entries, nearest first, a few at a time. The list does not wait for them.

        Not before a round changed nothing: while a ring forms, most entries are soon replaced by nearer ones.
        """
        ring = self._ring
        if not self._stabilizer.is_settled:
            return
        for entry in ring.proofs.unproven(ring.successors.entries):
            if ring.proofs.dials >= ring.limits.tail_dials:
                return
            ring.prove(entry)

    def learn(self, addresses: tuple[str, ...]) -> None:
        """Somebody named peers: those that would improve the fingers are dialled in their turn."""
        ring = self._ring
        self._news |= ring.learn(addresses)
        if ring.fingers.has_hints and not ring.timers.is_running(Timer.DIAL_FINGERS):
            ring.timers.start(Timer.DIAL_FINGERS, self._dial_tokens.ready_at(ring.now))

    def dial_finger(self) -> None:
        """A token is due: dial the hint that the table needs most."""
        ring = self._ring
        while ring.fingers.has_hints and self._dial_tokens.take(ring.now):
            hint = ring.fingers.take_hint()
            if hint is None:
                return
            if hint in ring.proofs:
                ring.mark_proven(hint)
            else:
                ring.prove(hint)
        if ring.fingers.has_hints:
            ring.timers.start(Timer.DIAL_FINGERS, self._dial_tokens.ready_at(ring.now))

    def fix_fingers(self) -> None:
        """Look up the beginning of the next finger interval; rarely, when the last turns brought nothing new."""
        ring, timings = self._ring, self._ring.timings
        if self._news:
            self._interval = max(timings.fix_fingers_min, self._interval / 2)
        else:
            self._interval = min(timings.fix_fingers_max, self._interval * timings.growth)
        self._news = False
        entries = ring.successors.entries
        is_whole = not ring.successors.is_full(entries)  # then the ring needs no fingers
        lowest = RING_BITS if is_whole else distance(ring.peer.place, entries[-1].place).bit_length()
        self._interval = min(self._interval, self._freshness(RING_BITS - lowest))
        jitter = 1.0 - timings.jitter * ring.rng.random()
        ring.timers.start(Timer.FIX_FINGERS, ring.now + self._interval * jitter)
        if lowest < RING_BITS:
            self._next = self._next - 1 if lowest < self._next <= RING_BITS else RING_BITS
            self._searcher.find_fingers(finger_start(ring.peer.place, self._next - 1))

    def _freshness(self, intervals: int) -> float:
        """The pause that keeps all but ``stale_fingers`` of the fingers alive: each interval has its turn before so many of
        its peers are expected to have gone (Mahajan, Castro and Rowstron 2003)."""
        timings = self._ring.timings
        loss = self._ring.estimates.loss(self._ring.successors.entries, self._ring.now)
        if loss == 0.0 or intervals == 0:
            return timings.fix_fingers_max
        return max(timings.fix_fingers_min, timings.stale_fingers / loss / intervals)

    def visit_suspect(self) -> None:
        """Once per round, sometimes: visit a stranger, or dial a suspect, in case it is alive, and perhaps in another
        ring by now.

        A ring of one has nothing better to do, and does it every round.
        """
        ring = self._ring
        if ring.phase is not Phase.ALONE and ring.rng.random() >= ring.timings.quarantine_probe:
            return
        suspect = self._stranger() or ring.quarantine.choose(ring.rng, ring.now, ring.timings.suspect_hold)
        if suspect is not None:
            self.visit(suspect)

    def visit(self, stranger: Peer) -> None:
        """Dial a peer and ask it about this node's place."""
        self.visits += 1
        self._visiting = stranger
        if stranger in self._ring.proofs:
            self.on_proven(stranger)
        else:
            self._ring.prove(stranger)

    def on_proven(self, peer: Peer) -> None:
        """A dial succeeded."""
        if peer == self._visiting:
            self._visiting = None
            self._visited = peer
            self._searcher.find_in_other_ring(peer)

    def on_visitor(self, visitor: Peer) -> None:
        """A peer asks about its own place, as visitors do: return the visit, unless this is the return.

        A visitor may claim any address, so there is a rate: dials are few, and whoever lives there is left in peace.
        """
        ring = self._ring
        if visitor in (*ring.known, self._visited, self._visiting) or not ring.places.admits(visitor):
            return
        if not self._visit_tokens.take(ring.now):
            ring.refuse(VISIT_RATE)
            return
        ring.meet(visitor, is_stranger=visitor not in ring.proofs)
        self.visit(visitor)

    def on_lookup(self, row: Lookup, found: Found) -> tuple[Peer, ...]:
        """A lookup that upkeep began was answered. Returns through whom this node must join another ring, if any."""
        if row.wanted is not Wanted.MERGE:
            return ()
        ring = self._ring
        owner = peer_at(Address(found.successors[0]))
        predecessor = peer_at(Address(found.predecessor))
        if ring.peer in (owner, predecessor):
            ring.quarantine.release(row.tried[-1])  # it finds this node: one ring
            return ()
        if not (ring.places.admits(owner) and ring.places.admits(predecessor)):
            return ()
        theirs = {predecessor, *(peer_at(Address(address)) for address in found.successors)}
        ours = {ring.peer, *ring.successors.entries}
        is_whole = not ring.successors.is_full(ring.successors.entries)
        are_whole = not ring.successors.is_full(theirs - {predecessor})
        if theirs.isdisjoint(ours) and (is_whole or are_whole):
            yields = is_whole and (not are_whole or _yields(ours, theirs))
            return tuple(dict.fromkeys((row.tried[-1], predecessor, owner))) if yields else ()
        self._offer(predecessor, owner)
        return ()

    def _stranger(self) -> Peer | None:
        """A finger that the list does not hold although it holds the whole ring: it is in another one, or gone.

        Nobody suspects it, so without a visit two rings that know each other by fingers alone would stay apart.
        """
        ring = self._ring
        entries = ring.successors.entries
        if ring.successors.is_full(entries):
            return None
        strangers = [
            peer for peer in ring.fingers.peers() if peer not in entries and peer != ring.predecessor
        ]
        return ring.rng.choice(strangers) if strangers else None

    def _offer(self, predecessor: Peer, owner: Peer) -> None:
        """Take the place between two members that do not know this node, by the rules of stabilize and rectify."""
        ring = self._ring
        if ring.is_nearer_successor(owner):
            self._stabilizer.consider(owner)
        else:
            ring.notify(owner)
        if between(predecessor.place, ring.peer.place, owner.place):
            self._rectifier.on_notify(predecessor)


def _yields(ours: set[Peer], theirs: set[Peer]) -> bool:
    """Whether the members of our ring join theirs, one by one, instead of the other way round. Both are whole rings.

    A list that is not full holds its whole ring. Linking such a ring into a larger one would cost members of the
    larger one their lists, so the smaller dissolves; of equal ones, the one whose lowest place is higher.
    """
    if len(ours) != len(theirs):
        return len(ours) < len(theirs)
    return min(peer.place for peer in ours) > min(peer.place for peer in theirs)
