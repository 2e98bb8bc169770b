"""Single rules, one node at a time: what it says to whom, and whom it lets into its tables."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from cicada.chord.io import (
    CreateRing,
    Emit,
    ExtraReceived,
    FindOwner,
    JoinRing,
    LeaveRing,
    Left,
    MessageReceived,
    OwnerFound,
    PeerProven,
    PeerUnreachable,
    Prove,
    RingInput,
    RingOutput,
    SendTo,
    SetExtra,
    TableChanged,
    TimerFired,
)
from cicada.chord.node import RingNode
from cicada.events import PeerSuspected
from cicada.ids import Peer, Place
from cicada.limits import RingLimits
from cicada.sim.names import peer_number
from cicada.wire.ring import (
    FindSuccessor,
    Found,
    GetNextHop,
    GetState,
    Leaving,
    LookupFailed,
    NextHop,
    Notify,
    NotMember,
    Nudge,
    RingMessage,
    State,
)

PEERS = sorted(map(peer_number, range(8)), key=lambda peer: peer.place)
"""Clockwise, so that PEERS[0] < PEERS[1] < ... on the circle."""


class Bench:
    """One node whose neighbours are played by the test."""

    def __init__(self, own: Peer, **limits: Any) -> None:
        self.now = 1.0
        self.node = RingNode(own, 1000, limits=RingLimits(**limits), rng=Random(1))
        self.last: list[RingOutput] = []
        self.asked: dict[Peer, int] = {}

    def give(self, input: RingInput) -> list[RingOutput]:
        self.last = self.node.handle(input, self.now)
        self.asked |= {
            output.peer: output.message.request
            for output in self.last
            if isinstance(output, SendTo) and isinstance(output.message, GetState)
        }
        return self.last

    def hear(self, sender: Peer, message: RingMessage) -> list[RingOutput]:
        return self.give(MessageReceived(sender, message))

    def said(self, kind: type[RingMessage]) -> list[tuple[Peer, RingMessage]]:
        """Messages of a kind among the last outputs, with whom they are for."""
        sent = [output for output in self.last if isinstance(output, SendTo)]
        return [(output.peer, output.message) for output in sent if isinstance(output.message, kind)]

    def dialled(self) -> list[Peer]:
        return [output.peer for output in self.last if isinstance(output, Prove)]

    def wake(self, kind: type[RingMessage], limit: float = 60.0) -> RingMessage:
        """Let timers fire until the node sends a message of the kind; returns it."""
        end = self.now + limit
        while self.now < end:
            self.now = max(self.now, self.node.next_deadline() or end)
            self.give(TimerFired())
            if self.said(kind):
                return self.said(kind)[0][1]
        raise AssertionError(f"no {kind.__name__} within {limit} s")

    def answer(self, sender: Peer, predecessor: Peer | None, *successors: Peer) -> list[RingOutput]:
        """Let ``sender`` answer the GetState that it was sent last."""
        state = State(
            incarnation=1,
            request=self.asked.pop(sender),
            predecessor=predecessor.address if predecessor else "",
            successors=tuple(peer.address for peer in successors),
        )
        return self.hear(sender, state)


def member(own: Peer, head: Peer, *rest: Peer, predecessor: Peer, **limits: int) -> Bench:
    """A node that joined between ``predecessor`` and ``head``, and whose first round is over."""
    bench = Bench(own, **limits)
    bench.give(JoinRing((predecessor,), 60.0))
    ((_, asked),) = bench.said(FindSuccessor)
    assert isinstance(asked, FindSuccessor)
    for peer in (head, *rest, predecessor):
        bench.give(PeerProven(peer))
    found = Found(
        incarnation=1,
        request=asked.request,
        predecessor=predecessor.address,
        successors=tuple(peer.address for peer in (head, *rest)),
        path=(own.address, predecessor.address),
        position=0,
    )
    bench.hear(predecessor, found)
    bench.answer(head, predecessor, *rest)
    bench.wake(GetState)
    bench.answer(head, own, *rest)
    assert bench.node.snapshot().successors == (head, *rest)
    assert bench.node.snapshot().predecessor == predecessor
    return bench


def test_nobody_becomes_predecessor_before_a_dial_proved_it() -> None:
    bench = Bench(PEERS[3])
    bench.give(CreateRing())
    bench.hear(PEERS[1], Notify(incarnation=1))
    assert bench.dialled() == [PEERS[1]]
    assert bench.node.snapshot().predecessor is None
    bench.give(PeerProven(PEERS[1]))
    assert bench.node.snapshot().predecessor == PEERS[1]


def test_who_cannot_be_dialled_never_becomes_predecessor() -> None:
    bench = Bench(PEERS[3])
    bench.give(CreateRing())
    bench.hear(PEERS[1], Notify(incarnation=1))
    bench.give(PeerUnreachable(PEERS[1]))
    assert bench.node.snapshot().predecessor is None


def test_a_nearer_peer_replaces_the_predecessor_and_the_old_one_is_nudged() -> None:
    bench = member(PEERS[3], PEERS[5], predecessor=PEERS[1])
    bench.hear(PEERS[2], Notify(incarnation=1))
    bench.give(PeerProven(PEERS[2]))
    assert bench.node.snapshot().predecessor == PEERS[2]
    assert [to for to, _ in bench.said(Nudge)] == [PEERS[1]]


def test_a_farther_peer_replaces_the_predecessor_only_when_that_is_dead() -> None:
    bench = member(PEERS[3], PEERS[5], predecessor=PEERS[2])
    bench.give(PeerProven(PEERS[1]))
    bench.hear(PEERS[1], Notify(incarnation=1))
    assert [to for to, _ in bench.said(GetState)] == [PEERS[2]], "the old predecessor is asked first"
    bench.answer(PEERS[2], PEERS[1], PEERS[3])
    assert bench.node.snapshot().predecessor == PEERS[2]
    bench.hear(PEERS[1], Notify(incarnation=1))
    bench.give(PeerUnreachable(PEERS[2]))
    assert bench.node.snapshot().predecessor == PEERS[1]


def test_a_heads_predecessor_becomes_head_only_when_it_was_dialled_and_answered() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[3], PEERS[6])
    assert PEERS[3] in bench.dialled()
    assert bench.node.snapshot().successors[0] == PEERS[5]
    bench.give(PeerProven(PEERS[3]))
    assert bench.node.snapshot().successors[0] == PEERS[5]
    bench.answer(PEERS[3], PEERS[1], PEERS[5], PEERS[6])
    assert bench.node.snapshot().successors[:3] == (PEERS[3], PEERS[5], PEERS[6])


def test_a_dead_candidate_leaves_the_list_alone_and_the_head_is_notified() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    before = bench.node.snapshot().successors
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[3], PEERS[6])
    bench.give(PeerUnreachable(PEERS[3]))
    assert bench.node.snapshot().successors == before
    assert [to for to, _ in bench.said(Notify)] == [PEERS[5]]


def test_a_candidate_that_became_a_ring_of_one_costs_nobody_its_list() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    before = bench.node.snapshot().successors
    bench.give(PeerProven(PEERS[3]))
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[3], PEERS[6])
    bench.answer(PEERS[3], None)
    assert bench.node.snapshot().successors == before
    assert [to for to, _ in bench.said(Notify)] == [PEERS[5]], "the head learns that it is no predecessor"


def test_a_predecessor_that_became_a_ring_of_one_gives_way_to_a_farther_peer() -> None:
    bench = member(PEERS[3], PEERS[5], predecessor=PEERS[2])
    bench.give(PeerProven(PEERS[1]))
    bench.hear(PEERS[1], Notify(incarnation=1))
    bench.answer(PEERS[2], None)
    assert bench.node.snapshot().predecessor == PEERS[1]


def test_a_join_request_of_a_new_life_removes_the_old_one_first() -> None:
    bench = member(PEERS[1], PEERS[3], PEERS[5], predecessor=PEERS[0])
    target = PEERS[3].place.to_bytes(32, "big")
    request = FindSuccessor(incarnation=7, request=1, target=target, path=(PEERS[3].address,), joining=7)
    bench.hear(PEERS[3], request)
    assert bench.node.snapshot().successors == (PEERS[5],)
    assert PEERS[3] not in bench.node.snapshot().fingers
    ((to, found),) = bench.said(Found)
    assert to == PEERS[3]
    assert isinstance(found, Found)
    assert (found.predecessor, found.successors) == (PEERS[1].address, (PEERS[5].address,))


def test_a_suspect_that_speaks_is_not_avoided_any_more() -> None:
    for speaks in (False, True):
        bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
        bench.give(PeerProven(PEERS[3]))
        bench.give(PeerUnreachable(PEERS[3]))
        bench.wake(GetState)
        if speaks:
            bench.hear(PEERS[3], Notify(incarnation=1))
        bench.answer(PEERS[5], PEERS[3], PEERS[6])
        assert (PEERS[3] in bench.dialled()) == speaks


def test_a_visit_from_a_stranger_is_returned() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    target = PEERS[3].place.to_bytes(32, "big")
    visit = FindSuccessor(incarnation=7, request=1, target=target, path=(PEERS[3].address,))
    bench.hear(PEERS[3], visit)
    assert bench.dialled() == [PEERS[3]]
    bench.give(PeerProven(PEERS[3]))
    assert [to for to, _ in bench.said(FindSuccessor)] == [PEERS[3]]
    bench.hear(PEERS[3], visit)
    assert bench.dialled() == [], "and not for ever"


def test_a_head_that_already_knows_this_node_is_not_notified_again() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[1], PEERS[6])
    assert bench.said(Notify) == []


def test_behind_a_dead_head_the_next_few_are_asked_at_once() -> None:
    bench = member(PEERS[1], PEERS[3], *PEERS[4:8], predecessor=PEERS[0])
    bench.wake(GetState)
    bench.give(PeerUnreachable(PEERS[3]))
    assert [to for to, _ in bench.said(GetState)] == PEERS[4:7]
    bench.answer(PEERS[4], PEERS[3], *PEERS[5:8], PEERS[0])
    assert bench.node.snapshot().successors == (*PEERS[4:8], PEERS[0])


def test_a_nudge_during_a_round_causes_one_more_round_soon() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.wake(GetState)
    for _ in range(3):
        bench.hear(PEERS[5], Nudge(incarnation=1))
    bench.answer(PEERS[5], PEERS[1], PEERS[6])
    start = bench.now
    bench.wake(GetState)
    assert bench.now - start < 0.1
    bench.answer(PEERS[5], PEERS[1], PEERS[6])
    start = bench.now
    bench.wake(GetState)
    assert bench.now - start > 0.2, "one more, not three"


def test_a_head_that_is_no_member_is_walked_past_but_not_suspected() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    request = bench.wake(GetState)
    assert isinstance(request, GetState)
    bench.hear(PEERS[5], NotMember(incarnation=2, request=request.request))
    assert bench.node.snapshot().successors[0] == PEERS[6]
    assert PEERS[5] not in bench.node.snapshot().quarantined


def test_who_answers_while_the_head_before_it_is_silent_is_asked_again_only_as_head() -> None:
    bench = member(PEERS[1], PEERS[3], PEERS[4], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.wake(GetState)
    bench.give(PeerUnreachable(PEERS[3]))
    assert [to for to, _ in bench.said(GetState)] == [PEERS[4], PEERS[5], PEERS[6]]
    bench.answer(PEERS[5], PEERS[4], PEERS[6])
    assert bench.said(GetState) == []
    bench.give(PeerUnreachable(PEERS[4]))
    assert [to for to, _ in bench.said(GetState)] == [PEERS[5]]
    bench.answer(PEERS[5], PEERS[1], PEERS[6])
    assert bench.node.snapshot().successors == (PEERS[5], PEERS[6])


def test_a_silent_head_is_asked_again_and_then_suspected() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.give(PeerProven(PEERS[6]))
    bench.wake(GetState)
    asked = 1
    while PEERS[5] in bench.node.snapshot().successors:
        bench.now = bench.node.next_deadline() or bench.now
        bench.give(TimerFired())
        asked += len([to for to, _ in bench.said(GetState) if to == PEERS[5]])
    assert asked == 3
    assert Emit(PeerSuspected(suspect=PEERS[5].address, reason="silent")) in bench.last
    assert [to for to, _ in bench.said(GetState)] == [PEERS[6]]


def test_a_list_travels_on_by_a_nudge_to_the_predecessor() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[1], PEERS[6], PEERS[7])
    assert [to for to, _ in bench.said(Nudge)] == [PEERS[0]]
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[1], PEERS[6], PEERS[7])
    assert bench.said(Nudge) == []


def test_nudges_bring_rounds_forward_but_never_in_a_storm() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    rounds, start = 0, bench.now
    while bench.now < start + 20.0:
        bench.hear(PEERS[5], Nudge(incarnation=1))
        deadline = bench.node.next_deadline()
        assert deadline is not None
        bench.now = max(bench.now + 0.01, min(deadline, bench.now + 0.05))
        bench.give(TimerFired())
        if bench.said(GetState):
            rounds += 1
            bench.answer(PEERS[5], PEERS[1], PEERS[6])
    assert 20 < rounds <= 16 + 3 * 20 + 20  # burst, rate, and the rounds that were due anyway


def test_entries_are_listed_at_once_and_dialled_in_the_background_a_few_at_a_time() -> None:
    bench = member(PEERS[0], PEERS[1], predecessor=PEERS[7], tail_dials=2)
    bench.wake(GetState)
    bench.answer(PEERS[1], PEERS[0], *PEERS[2:8])
    snapshot = bench.node.snapshot()
    assert snapshot.successors == tuple(PEERS[1:8])
    assert snapshot.unverified == tuple(PEERS[2:7])
    assert bench.dialled() == PEERS[2:4]
    bench.give(PeerProven(PEERS[2]))
    assert bench.dialled() == [PEERS[4]]
    bench.give(PeerUnreachable(PEERS[3]))
    assert PEERS[3] not in bench.node.snapshot().successors


def test_all_peers_to_route_by_are_proven() -> None:
    bench = member(PEERS[0], PEERS[1], predecessor=PEERS[7], tail_dials=1)
    bench.wake(GetState)
    bench.answer(PEERS[1], PEERS[0], *PEERS[2:8])
    bench.give(PeerProven(PEERS[2]))
    (table,) = [output for output in bench.last if isinstance(output, TableChanged)]
    assert table == TableChanged(PEERS[1], PEERS[7], (PEERS[1], PEERS[2], PEERS[7]))


@pytest.mark.parametrize(
    "question",
    [GetState(incarnation=1, request=7), GetNextHop(incarnation=1, request=7, target=bytes(32))],
)
@pytest.mark.parametrize("joining", [False, True])
def test_who_has_not_joined_says_so(question: RingMessage, joining: bool) -> None:
    bench = Bench(PEERS[3])
    if joining:
        bench.give(JoinRing((PEERS[0],), 10.0))
    bench.hear(PEERS[1], question)
    assert bench.said(NotMember) == [(PEERS[1], NotMember(incarnation=1000, request=7))]


def test_a_lookup_through_who_has_not_joined_is_sent_back() -> None:
    bench = Bench(PEERS[3])
    bench.hear(PEERS[1], FindSuccessor(incarnation=1, request=7, target=bytes(32), path=(PEERS[1].address,)))
    ((to, failed),) = bench.said(LookupFailed)
    assert to == PEERS[1]
    assert isinstance(failed, LookupFailed)
    assert failed.reason == "not-member"


def test_a_leaver_is_dropped_at_once_and_its_word_is_only_a_hint() -> None:
    bench = member(PEERS[3], PEERS[5], PEERS[6], predecessor=PEERS[2])
    hints = Leaving(incarnation=1, predecessor=PEERS[1].address, successors=(PEERS[3].address,))
    bench.hear(PEERS[2], hints)
    assert bench.node.snapshot().predecessor is None
    assert bench.dialled() == [PEERS[1]]


def test_a_leaver_tells_its_neighbours_and_is_in_no_ring() -> None:
    bench = member(PEERS[3], PEERS[5], PEERS[6], predecessor=PEERS[2])
    bench.give(LeaveRing())
    assert {to for to, _ in bench.said(Leaving)} >= {PEERS[2], PEERS[5]}
    assert Left() in bench.last
    snapshot = bench.node.snapshot()
    assert (snapshot.phase, snapshot.successors, snapshot.fingers) == ("idle", (), ())
    assert snapshot.incarnation > 1000, "it would come back as a new life"
    assert bench.node.next_deadline() is None


def test_words_of_a_former_life_are_not_listened_to() -> None:
    bench = member(PEERS[3], PEERS[5], predecessor=PEERS[2])
    bench.hear(PEERS[2], Nudge(incarnation=9))
    bench.hear(PEERS[2], Leaving(incarnation=8, predecessor="", successors=()))
    assert bench.node.snapshot().predecessor == PEERS[2]


def test_extra_bytes_ride_on_every_message_and_are_handed_up() -> None:
    bench = member(PEERS[3], PEERS[5], predecessor=PEERS[2])
    bench.give(SetExtra(b"seal"))
    bench.hear(PEERS[5], GetState(incarnation=1, request=1, extra=b"hello"))
    assert ExtraReceived(PEERS[5], b"hello") in bench.last
    assert [message.extra for _, message in bench.said(State)] == [b"seal"]
    bench.hear(PEERS[5], GetState(incarnation=1, request=2))
    assert not any(isinstance(output, ExtraReceived) for output in bench.last)


def test_early_late_and_double_wakes_are_harmless() -> None:
    bench = member(PEERS[3], PEERS[5], predecessor=PEERS[2])
    deadline = bench.node.next_deadline()
    assert deadline is not None
    bench.now = deadline - 0.001
    assert bench.give(TimerFired()) == []
    bench.now = deadline + 30.0
    assert bench.give(TimerFired()) != []
    assert bench.give(TimerFired()) == []


def test_intervals_grow_while_nothing_changes_and_shrink_when_something_does() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.give(PeerProven(PEERS[7]))
    for _ in range(30):
        bench.wake(GetState)
        bench.answer(PEERS[5], PEERS[1], PEERS[6])
    assert bench.node.snapshot().stabilize_interval == 8.0
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[1], PEERS[6], PEERS[7])
    assert bench.node.snapshot().stabilize_interval == 4.0


def test_seeds_that_refuse_at_once_are_asked_in_turn_and_then_left_in_peace_for_a_moment() -> None:
    bench = Bench(PEERS[3])
    bench.give(JoinRing((PEERS[0], PEERS[1]), 60.0))
    for seed in PEERS[:2]:
        ((to, asked),) = bench.said(FindSuccessor)
        assert to == seed
        assert isinstance(asked, FindSuccessor)
        bench.hear(seed, refusal(asked))
    assert bench.said(FindSuccessor) == []
    start = bench.now
    bench.wake(FindSuccessor)
    assert bench.said(FindSuccessor)[0][0] == PEERS[0]
    assert 0.1 < bench.now - start < 1.0


def test_who_lost_the_ring_and_finds_only_others_who_did_becomes_a_ring_of_one() -> None:
    bench = member(PEERS[1], PEERS[5], predecessor=PEERS[0])
    bench.give(PeerUnreachable(PEERS[5]))
    assert bench.node.snapshot().phase == "joining"
    ((to, asked),) = bench.said(FindSuccessor)
    assert to == PEERS[0]
    assert isinstance(asked, FindSuccessor)
    assert asked.joining > 1000, "a new life, so that nobody takes the old entry for it"
    bench.hear(PEERS[0], refusal(asked))
    bench.give(TimerFired())
    assert bench.node.snapshot().phase == "alone"
    assert set(bench.node.snapshot().quarantined) == {PEERS[0], PEERS[5]}


def refusal(asked: FindSuccessor) -> LookupFailed:
    """The answer of a peer that is in no ring."""
    return LookupFailed(
        incarnation=1,
        request=asked.request,
        reason="not-member",
        path=asked.path,
        position=len(asked.path) - 1,
    )


def test_a_lookup_that_got_stuck_is_tried_again_over_another_hop() -> None:
    bench = member(PEERS[0], PEERS[1], *PEERS[2:8], predecessor=PEERS[7])
    bench.give(FindOwner(1, Place(PEERS[0].place - 1)))
    ((first, asked),) = bench.said(FindSuccessor)
    assert isinstance(asked, FindSuccessor)
    stuck = LookupFailed(incarnation=1, request=asked.request, reason="no-route", path=asked.path, position=0)
    bench.hear(first, stuck)
    bench.wake(FindSuccessor)
    assert bench.said(FindSuccessor)[0][0] != first


def test_an_iterative_lookup_asks_the_next_best_when_a_hop_dies() -> None:
    bench = member(PEERS[0], PEERS[1], *PEERS[2:8], predecessor=PEERS[7])
    place = Place(PEERS[0].place - 1)
    bench.give(FindOwner(1, place, iterative=True))
    assert [to for to, _ in bench.said(GetNextHop)] == [PEERS[7]]
    bench.give(PeerUnreachable(PEERS[7]))
    ((second, asked),) = bench.said(GetNextHop)
    assert second == PEERS[6]
    assert isinstance(asked, GetNextHop)
    bench.hear(second, NextHop(incarnation=1, request=asked.request, hops=(PEERS[0].address,), final=True))
    assert OwnerFound(1, PEERS[0], PEERS[6], (PEERS[0], PEERS[6]), 1, (0.0,)) in bench.last
