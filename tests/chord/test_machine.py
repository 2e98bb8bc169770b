"""Hypothesis plays with a few nodes: whatever it does to them, they keep the ring's shape and find together again."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cicada.chord.io import PeerUnreachable, TimerFired
from cicada.limits import RingLimits
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm

NODES = 5
NUMBERS = st.integers(0, NODES - 1)


class FewNodes(RuleBasedStateMachine):
    """Up to five nodes that come, go, die, restart, freeze and suspect each other wrongly, at any moment of each other's work."""

    @initialize(seed=st.integers(0, 1 << 16))
    def begin(self, seed: int) -> None:
        self.swarm = Swarm(seed, limits=RingLimits(successors=3, candidates=2, known_peers=8))
        self.swarm.create(peer_number(0))

    @rule(number=NUMBERS, through=NUMBERS)
    def join(self, number: int, through: int) -> None:
        peer, seed = peer_number(number), peer_number(through)
        if not self.swarm.peer(peer).is_up and self.swarm.is_live(seed):
            self.swarm.join(peer, seed)

    @rule(number=NUMBERS, closes_links=st.booleans())
    def crash(self, number: int, closes_links: bool) -> None:
        if self.swarm.is_live(peer_number(number)) and len(self.swarm.live()) > 1:
            self.swarm.crash(peer_number(number), closes_links=closes_links)

    @rule(number=NUMBERS, through=NUMBERS)
    def restart_behind_links(self, number: int, through: int) -> None:
        if {peer_number(number), peer_number(through)} <= set(self.swarm.live()) and number != through:
            self.swarm.restart_ring(peer_number(number), peer_number(through))

    @rule(number=NUMBERS)
    def leave(self, number: int) -> None:
        if self.swarm.is_live(peer_number(number)) and len(self.swarm.live()) > 1:
            self.swarm.leave(peer_number(number))

    @rule(number=NUMBERS, suspect=NUMBERS)
    def suspect_wrongly(self, number: int, suspect: int) -> None:
        if number != suspect and self.swarm.is_live(peer_number(number)):
            self.swarm.give(peer_number(number), PeerUnreachable(peer_number(suspect)))

    @rule(number=NUMBERS)
    def freeze_or_thaw(self, number: int) -> None:
        peer = peer_number(number)
        if self.swarm.peer(peer).is_frozen:
            self.swarm.thaw(peer)
        elif self.swarm.is_live(peer) and len(self.swarm.live()) > 1:
            self.swarm.freeze(peer)

    @rule(steps=st.integers(1, 40))
    def work(self, steps: int) -> None:
        for _ in range(steps):
            self.swarm.step()

    @rule(number=NUMBERS)
    def wake_early(self, number: int) -> None:
        if self.swarm.is_live(peer_number(number)):
            self.swarm.give(peer_number(number), TimerFired())

    @invariant()
    def lists_are_in_order_and_within_bounds(self) -> None:
        for peer, snapshot in self.swarm.snapshots().items() if hasattr(self, "swarm") else ():
            steps = [(entry.place - peer.place) % (1 << 256) for entry in snapshot.successors]
            assert steps == sorted(set(steps))
            assert 0 not in steps
            assert len(steps) <= 3
            assert snapshot.predecessor != peer

    @invariant()
    def phases_and_tables_agree(self) -> None:
        for peer, snapshot in self.swarm.snapshots().items() if hasattr(self, "swarm") else ():
            assert (snapshot.phase == "member") == bool(snapshot.successors)
            table = self.swarm.peer(peer).table
            if snapshot.phase in ("idle", "joining"):
                assert (table.head, table.known) == (None, ())
            if snapshot.phase == "alone":
                assert table.head == peer

    @precondition(lambda self: len(self.swarm.members()) > 1)
    @rule()
    def become_one_ring(self) -> None:
        members = self.swarm.members()
        for peer in map(peer_number, range(NODES)):
            if self.swarm.peer(peer).is_frozen:
                self.swarm.thaw(peer)
        self.swarm.run_for(40.0)
        for peer, snapshot in self.swarm.snapshots().items():
            if snapshot.phase == "idle":
                self.swarm.crash(peer)
        if set(members) & set(self.swarm.live()):
            self.swarm.run_until(self.swarm.is_ideal, 900.0)


TestFewNodes = FewNodes.TestCase
TestFewNodes.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
