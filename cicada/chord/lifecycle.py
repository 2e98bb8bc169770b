"""A node's lifecycle: its phases, how it enters and loses a ring, and what one lost neighbour means to every rule."""

from __future__ import annotations

from cicada.chord.io import Joined, LookupFailure
from cicada.chord.joining import Joiner
from cicada.chord.phase import Phase
from cicada.chord.rectifying import Rectifier
from cicada.chord.relaying import Relay
from cicada.chord.ring import Ring
from cicada.chord.searching import Searcher
from cicada.chord.stabilizing import Stabilizer
from cicada.chord.timers import Timer
from cicada.chord.upkeep import Upkeep
from cicada.ids import Peer


class Lifecycle:
    """Holds the rules of one node and sets all that depends on its phase together."""

    __slots__ = ("_was_alone", "joiner", "rectifier", "relay", "ring", "searcher", "stabilizer", "upkeep")

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.joiner = Joiner(ring)
        self.stabilizer = Stabilizer(ring)
        self.rectifier = Rectifier(ring)
        self.relay = Relay(ring)
        self.searcher = Searcher(ring)
        self.upkeep = Upkeep(ring, self.stabilizer, self.rectifier, self.searcher)
        self._was_alone = False

    def become_idle(self, reason: str) -> None:
        """In no ring. Nothing of the last one is kept, because the next one may be another."""
        self._leave_tables()
        self.ring.forget_all()
        self.ring.become(Phase.IDLE, reason)

    def become_joining(self, seeds: tuple[Peer, ...], deadline: float, asked_for: bool, reason: str) -> None:
        self._was_alone = self.ring.phase is Phase.ALONE
        self._leave_tables()
        self.ring.timers.stop_all()
        self.ring.become(Phase.JOINING, reason)
        self.joiner.start(seeds, deadline, asked_for)

    def become_alone(self, reason: str) -> None:
        self.stabilizer.reset()
        self.upkeep.reset()
        self.ring.become(Phase.ALONE, reason)
        self.stabilizer.hasten()

    def become_member(self, reason: str) -> None:
        self.ring.become(Phase.MEMBER, reason)
        if self.joiner.is_asked_for:
            self.ring.outputs.append(Joined())
        self.joiner.stop()
        self.ring.timers.start(Timer.JOIN, None)
        self.ring.timers.hasten(Timer.FIX_FINGERS, self.ring.now + self.ring.timings.fix_fingers_min)
        self.stabilizer.hasten()

    def _leave_tables(self) -> None:
        """Being a member ends: a new life begins, and what this one awaited is void."""
        ring = self.ring
        if ring.phase.is_member:
            ring.incarnation += 1
        ring.successors.clear()
        ring.set_predecessor(None)
        ring.requests.clear()
        self.stabilizer.reset()
        self.rectifier.reset()
        self.searcher.fail_all(LookupFailure.NOT_MEMBER)

    def enter(self) -> None:
        """The head that was found is proven and has answered: copy its list, and be a member (Zave: Join)."""
        ring = self.ring
        entries, predecessor = self.joiner.take_result()
        ring.quarantine.forgive()  # coming from another ring it may have suspected half of this one a moment ago
        ring.adopt(entries[0], entries[1:])
        ring.set_predecessor(predecessor if predecessor is not None and predecessor in ring.proofs else None)
        self.stabilizer.reset()
        self.upkeep.reset()
        self.become_member("joined")
        ring.notify(entries[0])
        if predecessor is not None and ring.predecessor is None:
            self.rectifier.on_notify(predecessor)

    def reconcile(self) -> None:
        """Bring the phase in line with the list."""
        ring = self.ring
        if ring.phase is Phase.ALONE and ring.successors.entries:
            self.become_member("a peer joined")
        elif ring.phase is Phase.MEMBER and not ring.successors.entries:
            self._seek_ring()

    def _seek_ring(self) -> None:
        """All successors are gone: find the ring again through whoever is still known, or be a ring of one."""
        ring = self.ring
        known = ring.proofs.peers()
        near = [ring.predecessor] if ring.predecessor in known else []
        others = ring.rng.sample(known, min(len(known), ring.limits.rejoin_seeds))
        hints = ring.fingers.hints()
        unproven = ring.rng.sample(hints, min(len(hints), ring.limits.rejoin_seeds - len(others)))
        if seeds := (*near, *others, *unproven):
            deadline = ring.now + ring.timings.rejoin_seconds
            self.become_joining(seeds, deadline, False, "lost all successors")
        else:
            self.settle_alone()

    def fail_join(self, reason: str) -> None:
        """The deadline passed: be again what the node was before."""
        self.joiner.fail(reason)
        if self.ring.phase is not Phase.JOINING:
            return
        if self._was_alone:
            self.become_alone(reason)
        else:
            self.become_idle(reason)

    def settle_alone(self) -> None:
        ring = self.ring
        for seed in self.joiner.seeds:
            ring.meet(seed)
        self.joiner.stop()
        if ring.phase.is_member:
            self._leave_tables()
        ring.timers.stop_all()
        self.become_alone("lost all other peers")

    def suspect(self, peer: Peer, reason: str) -> None:
        """The peer does not answer: out of the tables, and remembered."""
        self._after_loss(peer, self.ring.suspect(peer, reason))

    def drop(self, peer: Peer) -> None:
        """The peer lives but is not in the ring: out of the tables without suspicion."""
        self._after_loss(peer, self.ring.forget(peer))

    def pass_over(self, peer: Peer) -> None:
        """The peer cannot be asked for now, which is not its fault: it stays where it is, and nothing waits for it."""
        self._after_loss(peer, False)

    def _after_loss(self, peer: Peer, was_neighbour: bool) -> None:
        """The peer has just left all tables, or may as well have: every rule that counted on it goes on without it."""
        self.joiner.on_gone(peer)
        if self.ring.phase.is_member:
            self.stabilizer.on_gone(peer)
            self.rectifier.on_gone(peer)
            self.searcher.on_gone(peer)
            if was_neighbour:
                self.stabilizer.hasten()
