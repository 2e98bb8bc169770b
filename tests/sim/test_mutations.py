"""The checker sees: with any one rule of the protocol taken out, histories break, or do not settle, or a story goes wrong.

Every case names a rule and takes it out of the product's own classes; where a second rule would cover for the first,
that one is taken out as well and the case says so. What is left must be caught; the whole product must not be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import pytest

from cicada.chord import joining, successors
from cicada.chord.circle import between, distance, in_open_closed
from cicada.chord.io import CreateRing, MessageReceived, OwnerFound
from cicada.chord.lifecycle import Lifecycle
from cicada.chord.lives import Lives
from cicada.chord.receiving import Receiver
from cicada.chord.rectifying import Rectifier
from cicada.chord.ring import Ring
from cicada.chord.stabilizing import Stabilizer
from cicada.chord.successors import SuccessorList
from cicada.chord.upkeep import Upkeep
from cicada.ids import Peer
from cicada.limits import RingLimits
from cicada.sim.conditions import Conditions
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.wire.ring import FindSuccessor, GetState, Leaving, Notify, RingMessage
from tests.chord.histories import run
from tests.chord.rings import grown

Patch = pytest.MonkeyPatch
Story = Callable[[], None]
SMALL = RingLimits(successors=4, candidates=4, known_peers=32)
SEEDS = range(1, 61)


def nothing(*_: object) -> None:
    """In place of a rule."""


# What must come out well


def histories() -> None:
    """Random histories, as in the proof."""
    for seed in SEEDS:
        run(seed)


def halves() -> None:
    """A ring that is cut in two for a while becomes one again."""
    swarm = Swarm(1, limits=SMALL)
    peers = grown(swarm, 16)
    parts = peers[:8], peers[8:]
    swarm.cut(*parts)
    truths = [swarm.truth_of(part) for part in parts]
    swarm.run_until(lambda: all(truth.is_ideal() for truth in truths), 120.0)
    swarm.run_for(30.0)
    swarm.heal()
    swarm.run_until(swarm.is_ideal, 300.0)


def lost_lists() -> None:
    """Whoever lost all successors finds the ring again."""
    swarm = Swarm(4, limits=SMALL)
    grown(swarm, 14)
    swarm.run_for(60.0)
    for peer in swarm.live()[1 : 1 + SMALL.successors]:
        swarm.crash(peer)
    swarm.run_until(swarm.is_ideal, 20.0)


def lonely_return() -> None:
    """A ring node that comes back as a ring of one, behind the same links, costs nobody a list."""
    swarm = Swarm(5, limits=SMALL)
    peers = grown(swarm, 12)
    swarm.run_for(60.0)
    swarm.peer(peers[5]).enter_ring(CreateRing())
    end = swarm.now + 30.0
    while swarm.now < end:
        swarm.step()
        lengths = [len(swarm.peer(peer).successors) for peer in peers if peer != peers[5]]
        assert min(lengths) >= SMALL.successors - 1


def old_farewell() -> None:
    """What an earlier life of a peer said says nothing of the next one to those who heard that, however late it comes."""
    swarm = Swarm(6, limits=SMALL)
    peers = grown(swarm, 12)
    swarm.run_for(20.0)
    incarnation = swarm.snapshot(peers[5]).incarnation
    swarm.restart_ring(peers[5], peers[0])
    swarm.run_until(swarm.is_ideal, 30.0)
    swarm.run_for(20.0)
    farewell = Leaving(incarnation=incarnation, predecessor="", successors=())
    index = swarm.live().index(peers[5])
    for step in (-1, 1):
        swarm.give(swarm.live()[(index + step) % 12], MessageReceived(peers[5], farewell))
    assert swarm.is_ideal()


def ghostly_suitor() -> None:
    """Whoever cannot be dialled becomes nobody's predecessor, whatever it says."""
    swarm = Swarm(7, limits=SMALL)
    grown(swarm, 12)
    swarm.run_for(20.0)
    ghost, courted = swarm.live()[4:6]
    swarm.crash(ghost)
    swarm.run_until(swarm.is_ideal, 30.0)
    swarm.give(courted, MessageReceived(ghost, Notify(incarnation=1 << 62)))
    end = swarm.now + 20.0
    while swarm.now < end:
        swarm.step()
        assert swarm.peer(courted).predecessor != ghost.address


def whole_tails() -> None:
    """Some time after a join every entry of every list has been dialled."""
    swarm = Swarm(8, limits=RingLimits(successors=4, candidates=1, known_peers=8))
    grown(swarm, 16)
    swarm.run_for(20.0)
    assert not any(snapshot.unverified for snapshot in swarm.snapshots().values())


def former_life() -> None:
    """Whoever hears that a peer joins anew no longer lists its former life."""
    swarm = Swarm(9, limits=SMALL)
    grown(swarm, 12)
    swarm.run_for(20.0)
    before, restarted = swarm.live()[4:6]
    heard = []

    def check(now: float, peer: Peer, input: object, outputs: object) -> None:
        if peer == before and isinstance(input, MessageReceived) and isinstance(input.message, FindSuccessor):
            heard.append(swarm.node(before).snapshot().successors)

    swarm.world.recorders.append(check)
    swarm.restart_ring(restarted, before)
    swarm.run_until(swarm.is_ideal, 10.0)
    assert restarted not in heard[0]


def slow_entry() -> None:
    """Whoever had to dial for long enters with the list of the head that it found, not with what it was told before."""
    swarm = Swarm(10, limits=SMALL, conditions=Conditions(void=(4.0, 4.0)))
    grown(swarm, 16)
    swarm.run_for(30.0)
    joiner = next(
        peer for peer in map(peer_number, range(100, 999)) if swarm.truth.owner(peer.place) == swarm.live()[6]
    )
    following = swarm.live()[6:10]
    swarm.crash(following[0], closes_links=False)
    swarm.join(joiner, swarm.live()[0])
    swarm.run_for(0.2)
    assert swarm.peer(joiner).phase == "joining"
    swarm.crash(following[2])
    swarm.crash(following[3])
    swarm.run_until(lambda: swarm.peer(joiner).phase == "member", 10.0)
    assert swarm.peer(joiner).successors == swarm.truth.successors_of(joiner)


def short_lookups() -> None:
    """Look-ups end at the true owner after few hops."""
    swarm = Swarm(11, limits=SMALL)
    grown(swarm, 40)
    swarm.run_for(30.0)
    for asker in swarm.live():
        place = peer_number(swarm.rng.randrange(1000)).place
        found = swarm.lookup(asker, place)
        assert isinstance(found, OwnerFound)
        assert found.owner == swarm.truth.owner(place)
        assert found.hops <= 8


STORIES = (
    *(histories, halves, lost_lists, lonely_return, old_farewell, ghostly_suitor, whole_tails, former_life),
    *(slow_entry, short_lookups),
)
QUICK = (ghostly_suitor, slow_entry)
"""Told without mutants in every run too: a story that always fails would catch all of its mutants."""


# Rules, each taken out


def stabilize_from_predecessor(patch: Patch) -> None:
    def ask_candidate(self: Stabilizer, peer: Peer) -> None:
        self._finish()

    patch.setattr(Stabilizer, "_ask_candidate", ask_candidate)


def notify(patch: Patch) -> None:
    patch.setattr(Ring, "notify", nothing)


def rectify(patch: Patch) -> None:
    patch.setattr(Rectifier, "on_notify", nothing)


def rectify_asks_the_old_predecessor(patch: Patch) -> None:
    def consider(self: Rectifier, peer: Peer) -> None:
        ring = self._ring
        if ring.is_nearer_predecessor(peer):
            if peer in ring.proofs:
                ring.set_predecessor(peer)
            else:
                ring.prove(peer)

    patch.setattr(Rectifier, "_consider", consider)


def a_predecessor_is_dialled_first(patch: Patch) -> None:
    def consider(self: Rectifier, peer: Peer) -> None:
        if self._ring.is_nearer_predecessor(peer):
            self._ring.set_predecessor(peer)

    patch.setattr(Rectifier, "_consider", consider)


def suspects_are_avoided(patch: Patch) -> None:
    """No rule of Zave's; it covers for two of hers."""
    patch.setattr(Ring, "is_avoided", lambda self, peer: False)


def a_candidate_is_asked_before_it_is_adopted(patch: Patch) -> None:
    def ask_candidate(self: Stabilizer, peer: Peer) -> None:
        self._ring.adopt(peer, self._ring.successors.entries)
        self._ring.notify(peer)
        self._finish()

    suspects_are_avoided(patch)
    patch.setattr(Stabilizer, "_ask_candidate", ask_candidate)


def a_dead_candidate_leaves_the_list_alone(patch: Patch) -> None:
    original = Stabilizer.on_gone

    def on_gone(self: Stabilizer, peer: Peer) -> None:
        if self._round is not None and peer == self._round.candidate:
            self._ring.successors.adopt(peer, self._ring.successors.entries, lambda _: False)
        original(self, peer)

    suspects_are_avoided(patch)
    patch.setattr(Stabilizer, "on_gone", on_gone)


def a_list_is_adopted_in_one_piece(patch: Patch) -> None:
    """The rule of the 2001 paper instead: put the new head in front of the list that is there."""

    def adopt(self: SuccessorList, head: Peer, rest: Iterable[Peer], is_dead: object) -> None:
        self.entries = (head, *(entry for entry in self.entries if entry != head))[: self._limit]

    patch.setattr(SuccessorList, "adopt", adopt)


def a_list_ends_before_its_owner(patch: Patch) -> None:
    def arrange(own: Peer, entries: Iterable[Peer], limit: int) -> tuple[Peer, ...]:
        return tuple(entries)[:limit]

    patch.setattr(successors, "arrange", arrange)
    patch.setattr(joining, "arrange", arrange)


def a_list_has_room_for_r(patch: Patch) -> None:
    original = successors.arrange

    def arrange(own: Peer, entries: Iterable[Peer], limit: int) -> tuple[Peer, ...]:
        return original(own, entries, limit - 1)

    patch.setattr(successors, "arrange", arrange)


def only_a_nearer_head_replaces_the_head(patch: Patch) -> None:
    patch.setattr(Ring, "is_nearer_successor", lambda self, peer: peer != self.peer)


def dead_heads_are_walked_past(patch: Patch) -> None:
    patch.setattr(SuccessorList, "drop", lambda self, peer: False)


def a_lost_peer_leaves_all_tables(patch: Patch) -> None:
    patch.setattr(Lifecycle, "suspect", nothing)


def outside_the_ring_a_node_refuses(patch: Patch) -> None:
    original = Receiver._refuse

    def refuse(self: Receiver, sender: Peer, message: RingMessage) -> None:
        if isinstance(message, GetState):
            self._on_get_state(sender, message)
        else:
            original(self, sender, message)

    patch.setattr(Receiver, "_refuse", refuse)


def a_head_that_lists_nobody_is_no_member(patch: Patch) -> None:
    def on_head_alive(self: Stabilizer, head: Peer, predecessor: Peer | None, rest: list[Peer]) -> None:
        ring = self._ring
        ring.adopt(head, rest)
        if predecessor is not None and ring.is_nearer_successor(predecessor):
            self._ask_candidate(predecessor)
        else:
            ring.notify(head)
            self._finish()

    patch.setattr(Stabilizer, "_on_head_alive", on_head_alive)


def a_join_removes_the_former_life(patch: Patch) -> None:
    patch.setattr(Lives, "is_new_life", lambda self, peer, joining: False)


def a_proven_head_is_asked_before_a_join_ends(patch: Patch) -> None:
    """The list that came with the answer to the look-up instead, however old it is by now."""

    original = Lifecycle.reconcile

    def reconcile(self: Lifecycle) -> None:
        original(self)
        entries = self.joiner._entries
        if entries and entries[0] in self.ring.proofs:
            self.enter()

    patch.setattr(Lifecycle, "reconcile", reconcile)


def suspects_are_visited(patch: Patch) -> None:
    patch.setattr(Upkeep, "visit_suspect", nothing)


def who_lost_all_successors_joins_again(patch: Patch) -> None:
    """Visits to the fingers of a ring of one would find the ring as well, if later."""
    suspects_are_visited(patch)
    patch.setattr(Lifecycle, "_seek_ring", Lifecycle.settle_alone)


def an_arc_includes_its_head(patch: Patch) -> None:
    def owns(self: Ring, place: int) -> bool:
        head = self.successors.head or self.peer
        return self.phase.is_member and between(self.peer.place, place, head.place)

    patch.setattr(Ring, "owns", owns)


def an_arc_begins_behind_its_node(patch: Patch) -> None:
    def owns(self: Ring, place: int) -> bool:
        low = self.predecessor or self.peer
        head = self.successors.head or self.peer
        return self.phase.is_member and in_open_closed(low.place, place, head.place)

    patch.setattr(Ring, "owns", owns)


def a_lookup_never_goes_past_its_place(patch: Patch) -> None:
    def next_hops(self: Ring, place: int, exclude: Collection[Peer], count: int) -> list[Peer]:
        hops = [peer for peer in self.known if peer not in exclude]
        return sorted(hops, key=lambda peer: distance(place, peer.place))[:count]

    patch.setattr(Ring, "next_hops", next_hops)


def an_earlier_life_is_not_heard(patch: Patch) -> None:
    patch.setattr(Lives, "is_former", lambda self, peer, incarnation: False)


def tails_are_dialled(patch: Patch) -> None:
    patch.setattr(Upkeep, "verify_tail", nothing)


CASES: list[tuple[Callable[[Patch], None], Story]] = [
    (stabilize_from_predecessor, histories),
    (notify, histories),
    (rectify, histories),
    (rectify_asks_the_old_predecessor, histories),
    (a_predecessor_is_dialled_first, ghostly_suitor),
    (a_candidate_is_asked_before_it_is_adopted, histories),
    (a_dead_candidate_leaves_the_list_alone, histories),
    (a_list_is_adopted_in_one_piece, histories),
    (a_list_ends_before_its_owner, histories),
    (a_list_has_room_for_r, histories),
    (only_a_nearer_head_replaces_the_head, histories),
    (dead_heads_are_walked_past, histories),
    (a_lost_peer_leaves_all_tables, histories),
    (outside_the_ring_a_node_refuses, histories),
    (a_head_that_lists_nobody_is_no_member, lonely_return),
    (a_join_removes_the_former_life, former_life),
    (a_proven_head_is_asked_before_a_join_ends, slow_entry),
    (suspects_are_visited, halves),
    (who_lost_all_successors_joins_again, lost_lists),
    (an_arc_includes_its_head, histories),
    (an_arc_begins_behind_its_node, histories),
    (a_lookup_never_goes_past_its_place, short_lookups),
    (an_earlier_life_is_not_heard, old_farewell),
    (tails_are_dialled, whole_tails),
]


@pytest.mark.parametrize(
    ("rule", "story"),
    [
        pytest.param(rule, story, id=rule.__name__, marks=[pytest.mark.prove] if number % 4 else [])
        for number, (rule, story) in enumerate(CASES)
    ],
)
def test_without_one_rule_it_is_caught(
    monkeypatch: Patch, rule: Callable[[Patch], None], story: Story
) -> None:
    rule(monkeypatch)
    with pytest.raises((AssertionError, TimeoutError, RuntimeError)) as caught:
        story()
    print(str(caught.value).partition("\n")[0])


@pytest.mark.parametrize(
    "story", [pytest.param(story, marks=[] if story in QUICK else [pytest.mark.prove]) for story in STORIES]
)
def test_with_all_rules_nothing_is_caught(story: Story) -> None:
    story()


@pytest.mark.prove
def test_avoiding_suspects_is_a_help_and_no_rule_that_the_ring_rests_on(monkeypatch: Patch) -> None:
    suspects_are_avoided(monkeypatch)
    histories()
