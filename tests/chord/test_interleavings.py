"""Random histories of joins, crashes, restarts, leaves and lost links, with the ring's invariant checked after each step."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest

from cicada.chord.io import JoinRing
from cicada.chord.ring import Ring
from cicada.chord.successors import SuccessorList
from cicada.ids import Address, Peer, place_of
from cicada.limits import RingLimits
from cicada.sim.invariants import count_principals, violations
from tests.chord.harness import Swarm, grown, peer_number

STEPS = int(os.environ.get("CICADA_STEPS", "100000"))
SEED = int(os.environ.get("CICADA_SEED", "1"))
SUCCESSORS = 3
LIMITS = RingLimits(successors=SUCCESSORS, candidates=2, known_peers=16)
PEERS = 14
HISTORY = 2500  # steps of one swarm; a fresh one follows, so that beginnings are covered often


def lists_of(swarm: Swarm) -> dict[int, tuple[int, ...]]:
    """Members and their lists, as the checker wants them."""
    return {
        int(peer.place): tuple(int(entry.place) for entry in snapshot.successors)
        for peer, snapshot in swarm.members().items()
    }


class History:
    """One swarm and the disturbances it meets."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        slow = self.rng.random() < 0.5
        self.swarm = Swarm(
            seed, limits=LIMITS, latency=(0.001, 0.1 if slow else 0.005), dial=(0.05, 2.0 if slow else 0.2)
        )
        grown(self.swarm, 2 * SUCCESSORS)
        self.done: Counter[str] = Counter()

    def disturb(self) -> None:
        """Do one thing to the swarm, if that stays within what Zave's theorem covers."""
        outside = [number for number in range(PEERS) if peer_number(number) not in self.swarm.nodes]
        kind = self.rng.choice(("join", "crash", "leave", "restart", "restart behind links"))
        if kind == "join" and outside:
            self.swarm.join(peer_number(self.rng.choice(outside)), *self._seeds())
            self.done[kind] += 1
            return
        victim = self.rng.choice(sorted(self.swarm.nodes, key=lambda peer: peer.address))
        if kind == "join" or not self._may_lose(victim):
            return
        self.done[kind] += 1
        if kind == "leave":
            self.swarm.leave(victim)
        elif kind == "restart behind links":
            self.swarm.restart_node(victim, *self._seeds(victim))
        else:
            self.swarm.crash(victim, closes_links=self.rng.random() < 0.5)
            if kind == "restart":
                self.swarm.join(victim, *self._seeds(victim))

    def settle(self) -> None:
        """Leave the swarm in peace; it must become ideal."""
        swarm = self.swarm
        swarm.run_for(31.0)  # joins through seeds that died meanwhile end
        for peer, snapshot in swarm.snapshots().items():
            if snapshot.phase == "idle":
                swarm.give(peer, JoinRing(tuple(self._seeds(peer)), swarm.now + 30.0))
        swarm.run_until(swarm.is_ideal, 60.0)

    def _seeds(self, *but: Peer) -> list[Peer]:
        live = sorted(set(self.swarm.members()) - set(but), key=lambda peer: peer.address)
        return self.rng.sample(live, min(2, len(live)))

    def _may_lose(self, victim: Peer) -> bool:
        """Fail is covered only while all keep a live successor and r + 1 principals remain.

        Zave's answers are adopted in the instant they are given; here they travel. So a list that is on its way, and
        may be adopted when it arrives, must survive the loss too; and news of a life that ended, which may reach a
        neighbour when the next life is in the ring already, counts as if it had arrived.
        """
        without = lists_of(self.swarm)
        without.pop(victim.place, None)
        for receiver, lost in self.swarm.losses_under_way():
            if receiver.place in without:
                kept = tuple(entry for entry in without[receiver.place] if entry != lost.place)
                without[receiver.place] = kept
        for receiver, sender, state in self.swarm.states_under_way():
            listed = (int(sender.place), *(int(place_of(Address(text))) for text in state.successors))
            entries = listed[:SUCCESSORS]
            if receiver != victim and not any(
                entry in without for entry in entries if entry != receiver.place
            ):
                return False
        return count_principals(without) > SUCCESSORS and not violations(without)


def run(seed: int, steps: int) -> Counter[str]:
    """One history; fails at the first step that breaks the ring."""
    history = History(seed)
    previous: dict[int, tuple[int, ...]] = {}
    for step in range(steps):
        if history.rng.random() < 0.02:
            history.disturb()
        if not history.swarm.step():
            break
        lists = lists_of(history.swarm)
        if lists != previous:
            broken = violations(lists)
            assert not broken, (
                f"step {step}: {broken}; replay: CICADA_SEED={seed} CICADA_STEPS={HISTORY} "
                "pytest tests/chord/test_interleavings.py"
            )
            previous = lists
    history.settle()
    return history.done


@pytest.mark.sized
@pytest.mark.timeout(max(120, STEPS // 500))
def test_the_invariant_holds_after_every_step_of_random_histories() -> None:
    print(f"CICADA_SEED={SEED} CICADA_STEPS={STEPS}")
    done: Counter[str] = Counter()
    for number in range(max(1, STEPS // HISTORY)):
        done += run(SEED + number, min(STEPS, HISTORY))
    print(dict(done))
    if STEPS >= 10 * HISTORY:
        assert min(done[kind] for kind in ("join", "crash", "leave", "restart", "restart behind links")) >= 10


def adopt_as_in_2001(self: SuccessorList, head: Peer, rest: Iterable[Peer], is_dead: object) -> None:
    """The rule of the 2001 paper: put the new head in front of the list that is there."""
    self.entries = (head, *(entry for entry in self.entries if entry != head))[:SUCCESSORS]


def any_is_nearer(self: Ring, peer: Peer) -> bool:
    """Takes whoever its head names for a better head."""
    return peer != self.peer


def run_some(seeds: range) -> None:
    for seed in seeds:
        run(seed, HISTORY)


@pytest.mark.parametrize(
    ("part", "name", "broken_rule"),
    [(SuccessorList, "adopt", adopt_as_in_2001), (Ring, "is_nearer_successor", any_is_nearer)],
)
def test_a_broken_rule_is_caught(
    monkeypatch: pytest.MonkeyPatch, part: type, name: str, broken_rule: object
) -> None:
    monkeypatch.setattr(part, name, broken_rule)
    with pytest.raises(AssertionError):
        run_some(range(1, 6))


def test_a_history_is_the_same_every_time_it_is_run() -> None:
    first, second = History(SEED), History(SEED)
    for history in (first, second):
        for _ in range(300):
            if history.rng.random() < 0.05:
                history.disturb()
            history.swarm.step()
    assert first.swarm.now == second.swarm.now
    assert first.swarm.sent == second.swarm.sent
    assert first.swarm.snapshots() == second.swarm.snapshots()
