"""Zave's corrected Chord (correctChord.als, 2016, and "How to make Chord correct"): each rule, and where ours departs.

u is the node under test, h its head, p the head's predecessor, r the length of a list. What a rule says depends only on
the order in which those concerned stand on the circle, so the tests go through all orders.
"""

from __future__ import annotations

from itertools import combinations, product, takewhile

from cicada.chord.io import CreateRing, JoinRing, MessageReceived, PeerProven, PeerUnreachable
from cicada.ids import Peer
from cicada.limits import RingLimits
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.wire.ring import GetState, Notify, Nudge
from tests.paper.stages import Stage, clockwise, member, ring, stage, strangers

R = 3
U, *OTHERS = clockwise(8)
LAST = OTHERS[-1]


def between(low: Peer, peer: Peer, high: Peer) -> bool:
    """Zave's words: strictly inside, clockwise; between(a, x, a) is true for every x but a."""
    if low.place < high.place:
        return low.place < peer.place < high.place
    return low.place < peer.place or peer.place < high.place


def behind(peer: Peer) -> list[Peer]:
    """Those of the others that follow a peer on the way to u."""
    return OTHERS[OTHERS.index(peer) + 1 :]


# Join


def test_a_joiner_copies_its_place_in_one_step_and_nobody_else_changes() -> None:
    """Join(j): between(m, j, head of m), then succ(j) := succ(m) and prdc(j) := m at once; no other state changes.

    Amended: the list is the head's own, [h] + succ(h), asked for when a dial has proven h. A dial may take seconds, in
    which the list of m grows old; so Join and the first StabilizeFromSuccessor are one step.
    """
    swarm = ring(9, 1, limits=RingLimits(successors=R))
    (joiner,) = strangers(1)
    before = swarm.snapshots()

    swarm.join(joiner, swarm.live()[0])
    swarm.run_until(lambda: swarm.peer(joiner).phase == "member", 10.0)

    after = swarm.snapshots()
    entered, m = after.pop(joiner), swarm.live()[swarm.live().index(joiner) - 1]
    head = before[m].successors[0]
    assert entered.successors == (head, *before[head].successors[: R - 1])
    assert entered.predecessor == m
    for peer, snapshot in after.items():
        assert snapshot.successors == before[peer].successors
        assert snapshot.predecessor == before[peer].predecessor


def test_a_joiner_enters_with_the_list_that_its_head_has_by_then() -> None:
    """Join, as amended above: what m told when it was asked is not what the joiner enters with."""
    joiner = stage(U, successors=R)
    joiner.answers[OTHERS[1]] = LAST, (OTHERS[3], OTHERS[4])
    joiner.enter(LAST, OTHERS[1], OTHERS[2], OTHERS[5])
    assert joiner.successors == (OTHERS[1], OTHERS[3], OTHERS[4])


def test_a_joiner_enters_only_where_it_lies_between() -> None:
    """Join(j) needs between(m, j, head of m). With m its own head, a ring of one, that is so for every j."""
    for m, head in product(OTHERS, repeat=2):
        joiner = stage(U, successors=R)
        joiner.answers[head] = m, ()
        joiner.enter(m, head)
        assert (joiner.node.snapshot().phase == "member") == between(m, U, head), (m, head)


# StabilizeFromSuccessor


def test_a_live_head_s_list_is_taken_over_whole() -> None:
    """StabilizeFromSuccessor, h alive: succ(u) := [h] + succ(h) without its last, whatever u listed before.

    Amended: a list that comes round to u stops before u. Zave's rings have more than r members, so none comes that far.
    """
    for head in OTHERS[:4]:
        nearer, farther = OTHERS[: OTHERS.index(head)], behind(head)
        for rest in combinations([*farther, U, *nearer], R):
            node = member(U, LAST, head, *farther[: R - 1], successors=R)
            node.answers[head] = U, rest

            node.round()

            before_u = takewhile(farther.__contains__, rest)
            assert node.successors == (head, *before_u)[:R]


def test_the_head_s_predecessor_is_asked_if_it_lies_between_and_else_the_head_is_notified() -> None:
    """StabilizeFromSuccessor, h alive: if between(u, p, h) StabilizeFromPredecessor is next, else u notifies h.

    Amended: a head that names u itself is not notified, because it would change nothing.
    """
    predecessors: list[Peer | None] = [None, U, *OTHERS]
    for head, p in product(OTHERS[:-1], predecessors):
        node = member(U, LAST, head, successors=R)
        node.answers |= dict.fromkeys(OTHERS, (None, (LAST,))) | {head: (p, (LAST,))}

        node.round()

        is_better = p is not None and between(U, p, head)
        assert node.sent(GetState) == ([head, p] if is_better else [head]), (head, p)
        assert node.sent(Notify) == ([p] if is_better else [] if p == U else [head]), (head, p)


def test_dead_heads_are_walked_past_within_one_round_and_the_first_live_one_is_notified() -> None:
    """StabilizeFromSuccessor, h dead: succ(u) := rest(succ(u)), then the new head is notified.

    Amended: Zave takes one dead entry a step; a round here goes on until a live head answers, so that one failure of
    many neighbours costs one interval.
    """
    for dead in range(1, 5):
        node = member(U, LAST, *OTHERS[:5], successors=5)
        node.dead = set(OTHERS[:dead])
        node.answers |= dict.fromkeys(OTHERS[dead:5], (OTHERS[0], (LAST, U)))

        node.round()

        assert node.successors == (OTHERS[dead], LAST)
        assert node.sent(Notify) == [OTHERS[dead]]


def test_a_dead_head_is_taken_out_and_nothing_is_put_in_its_stead() -> None:
    """StabilizeFromSuccessor, h dead: Zave pads the list with the identifier after the last, to be corrected later.

    Amended: the list is shorter until the new head answers. An identifier that nobody named is nobody to be dialled.
    """
    node = member(U, LAST, *OTHERS[:4], successors=4)
    node.dead = {OTHERS[0]}
    node.mute = set(OTHERS[1:4])
    node.answers |= dict.fromkeys(OTHERS[1:4], (U, (LAST,)))

    node.round()
    while_it_waits = node.successors
    node.speak(OTHERS[1])

    assert while_it_waits == tuple(OTHERS[1:4])
    assert node.successors == (OTHERS[1], LAST)


# StabilizeFromPredecessor

CANDIDATES = list(combinations(OTHERS[:-1], 2))
"""A head's predecessor and the head."""


def test_a_live_candidate_becomes_head_with_its_whole_list_and_is_notified() -> None:
    """StabilizeFromPredecessor, p alive: succ(u) := [p] + succ(p) without its last, then u notifies p."""
    for p, head in CANDIDATES:
        node = member(U, LAST, head, *behind(head)[: R - 1], successors=R)
        node.answers |= {head: (p, tuple(behind(head))), p: (LAST, tuple(behind(p)))}
        node.round()
        assert node.successors == (p, *behind(p)[: R - 1])
        assert node.sent(Notify) == [p]


def test_a_dead_candidate_changes_nothing_wherever_it_lies_and_the_head_is_notified() -> None:
    """StabilizeFromPredecessor, p dead: succ(u) stays as the head's answer made it; u notifies h, which then rectifies."""
    for p, head in CANDIDATES:
        node = member(U, LAST, head, *behind(head)[: R - 1], successors=R)
        node.answers[head] = p, (LAST,)
        node.dead = {p}
        node.round()
        assert node.successors == (head, LAST)
        assert node.sent(Notify) == [head]


def test_a_candidate_of_a_smaller_ring_costs_nobody_a_list() -> None:
    """StabilizeFromPredecessor, amended: u with a full list leaves p to the head if the list of p is shorter than a
    newcomer's would be. It holds all of another, smaller ring, whose members join this one instead.

    Zave has one ring only. A list that is not full itself loses nothing by p, which then is adopted.
    """
    p, *mine = OTHERS[1:6]
    for length, own in product(range(4), (3, 4)):
        node = member(U, LAST, *mine[:own], successors=4)
        node.answers |= {mine[0]: (p, tuple(mine[1:own])), p: (None, tuple(mine[:length]))}
        node.round()
        is_adopted = length >= 3 or (length > 0 and own < 4)
        assert node.successors == ((p, *mine[:length]) if is_adopted else tuple(mine[:own]))
        assert node.sent(Notify) == [p if is_adopted else mine[0]]


def test_between_question_and_answer_of_a_candidate_no_message_changes_the_head() -> None:
    """StabilizeFromPredecessor is only taken if between(u, p, head of u) still holds when p answers.

    Amended: heads change in rounds, one round runs at a time, and what else may happen is that the head dies, which
    leaves p between. So the answer is never refused; it is looked at again all the same.
    """
    p, nearer, head = OTHERS[2], OTHERS[0], OTHERS[4]
    for head_dies in (False, True):
        node = member(U, LAST, head, LAST, successors=R)
        node.answers |= {head: (p, (LAST,)), p: (U, (head, LAST)), LAST: (None, ())}
        node.mute = {p}
        node.round()
        rounds = node.node.rounds

        node.hear(nearer, Notify(incarnation=1))
        node.hear(nearer, Nudge(incarnation=1))
        if head_dies:
            node.give(PeerUnreachable(head))
        node.run_to(node.now + 0.5)
        while_it_waits = node.successors
        rounds_then = node.node.rounds
        node.speak(p)

        assert rounds_then == rounds, "one round at a time"
        assert while_it_waits == ((LAST,) if head_dies else (head, LAST))
        assert node.successors == (p, *(() if head_dies else (head,)), LAST)


def test_an_answer_that_comes_after_its_round_changes_nothing() -> None:
    """An answered query is atomic (Zave's assumption). In practice one may be answered when nobody waits any more."""
    p, head = OTHERS[2], OTHERS[4]
    node = member(U, LAST, head, LAST, successors=R)
    node.answers |= {head: (p, (LAST,)), p: (U, (head, LAST))}
    node.mute = {p}
    node.round()
    node.give(PeerUnreachable(p))
    given_up = node.successors

    node.speak(p)

    assert node.successors == given_up == (head, LAST)


# Rectify

NOTIFIED = [(old, new) for old, new in product(OTHERS[1:], repeat=2) if old != new]


def notified(old: Peer, new: Peer, *dead: Peer) -> Stage:
    """u with the predecessor ``old`` is notified by ``new``."""
    node = member(U, old, OTHERS[0], successors=R)
    node.answers[old] = None, (U,)
    node.dead = set(dead)
    node.hear(new, Notify(incarnation=1))
    return node


def test_a_notifier_between_predecessor_and_node_is_adopted_unasked() -> None:
    """Rectify, first case: if between(prdc(h), u, h) then prdc(h) := u, and the old predecessor is not asked."""
    for old, new in NOTIFIED:
        node = notified(old, new)
        is_nearer = between(old, new, U)
        assert node.predecessor == (new if is_nearer else old)
        assert node.sent(GetState) == ([] if is_nearer else [old])


def test_a_farther_notifier_is_adopted_if_the_old_predecessor_is_dead() -> None:
    """Rectify, second case: the old predecessor is asked, is dead, and so prdc(h) := u."""
    for old, new in NOTIFIED:
        node = notified(old, new, old)
        assert node.predecessor == new


def test_a_farther_notifier_whose_claim_was_refuted_has_none_left() -> None:
    """Rectify, third case: the old predecessor lives, so nothing changes; nor does it when that dies a moment later."""
    for old, new in NOTIFIED:
        node = notified(old, new)
        node.give(PeerUnreachable(old))
        assert node.predecessor == (new if between(old, new, U) else None)


def test_a_notifier_that_cannot_be_dialled_is_never_adopted() -> None:
    """Rectify, amended: a dial to its address proves who notifies. Zave's members do not lie about who they are."""
    for old, new in NOTIFIED:
        assert notified(old, new, new).predecessor == old
        assert notified(old, new, old, new).predecessor is (old if between(old, new, U) else None)


# What holds for all rules


def test_between_wraps_and_so_a_ring_of_one_takes_in_whoever_comes() -> None:
    """between(a, x, a) is true for every x but a: by this a lone node rectifies, and finds its first successor."""
    for other in OTHERS:
        node = stage(U, successors=R)
        node.give(CreateRing())
        node.answers[other] = U, (U,)

        node.hear(other, Notify(incarnation=1))
        node.round()

        assert node.predecessor == other
        assert node.successors == (other,)


def test_a_node_routes_by_nobody_that_it_has_not_dialled_itself() -> None:
    """Never adopt a node you have not heard from. Amended: it must have answered a dial to its address (design, 4)."""
    swarm = Swarm(3, limits=RingLimits(successors=R, candidates=2, known_peers=16))
    proven: dict[Peer, set[Peer]] = {}

    def check(now: float, peer: Peer, input: object, outputs: object) -> None:
        known = proven.setdefault(peer, set())
        if isinstance(input, JoinRing):
            known.clear()
        elif isinstance(input, PeerProven):
            known.add(input.peer)
        elif isinstance(input, PeerUnreachable):
            known.discard(input.peer)
        elif isinstance(input, MessageReceived):
            table = swarm.peer(peer).table
            assert {table.head, table.predecessor, *table.known} <= {*known, peer, None}

    swarm.world.recorders.append(check)
    swarm.create(peer_number(0))
    for number in range(1, 24):
        swarm.join(peer_number(number), peer_number(0))
    swarm.run_until(swarm.is_ideal, 30.0)
    for victim in swarm.live()[3:6]:
        swarm.crash(victim, closes_links=False)
    swarm.restart_ring(swarm.live()[9], swarm.live()[0])
    swarm.run_until(swarm.is_ideal, 60.0)
    assert len(proven) == 24


def test_lists_are_whole_before_their_tails_have_been_dialled() -> None:
    """Amended: entries behind the head are adopted undialled, with the list they come in.

    Waiting for every dial, no ring became ideal; leaving out who was not dialled yet, lists held 3 to 8 of 16.
    """
    swarm = Swarm(4)
    swarm.create(peer_number(0))
    for number in range(1, 24):
        swarm.join(peer_number(number), peer_number(0))

    swarm.run_until(swarm.is_ideal, 30.0)
    undialled = sum(len(snapshot.unverified) for snapshot in swarm.snapshots().values())
    swarm.run_for(10.0)

    assert undialled > 0
    assert not any(snapshot.unverified for snapshot in swarm.snapshots().values())
