"""The own links have no room for a dial: what a node makes of that, and what it must not make of it."""

from __future__ import annotations

from collections.abc import Callable

from cicada.chord.io import (
    FindOwner,
    JoinFailed,
    JoinRing,
    OwnerNotFound,
    PeerProven,
    PeerUnreachable,
    TimerFired,
)
from cicada.limits import RING_TIMINGS
from cicada.wire.ring import FindSuccessor, GetState, LookupFailed, Notify
from tests.chord.test_claims import visits
from tests.chord.test_rules import PEERS, Bench, member


def wait(bench: Bench, until: Callable[[], bool], limit: float = 30.0) -> None:
    end = bench.now + limit
    while not until():
        assert bench.now < end
        bench.now = max(bench.now, bench.node.next_deadline() or end)
        bench.give(TimerFired())


def test_whom_this_peer_is_too_busy_to_dial_is_not_suspected() -> None:
    bench = member(PEERS[1], PEERS[3], PEERS[5], predecessor=PEERS[0])
    before = bench.node.snapshot()
    for peer in (PEERS[3], PEERS[5], PEERS[0], PEERS[7]):
        bench.give(PeerUnreachable(peer, (), "busy"))
    after = bench.node.snapshot()
    assert (after.successors, after.predecessor) == (before.successors, before.predecessor)
    assert after.quarantined == ()


def test_a_dial_that_this_peer_was_too_busy_for_is_made_a_little_later() -> None:
    bench = member(PEERS[3], PEERS[5], predecessor=PEERS[1])
    bench.hear(PEERS[2], Notify(incarnation=1))
    bench.give(PeerUnreachable(PEERS[2], (), "busy"))
    assert bench.dialled() == [], "not at once, or it would go round in a storm"
    wait(bench, lambda: PEERS[2] in bench.dialled(), 1.0)
    bench.give(PeerProven(PEERS[2]))
    assert bench.node.snapshot().predecessor == PEERS[2]


def test_a_peer_that_is_busy_for_long_goes_on_without_a_suspicion() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.wake(GetState)
    bench.answer(PEERS[5], PEERS[3], PEERS[6])
    dials = 0
    end = bench.now + 2 * RING_TIMINGS.prove_timeout
    while bench.now < end:
        for peer in bench.dialled():
            dials += 1
            bench.give(PeerUnreachable(peer, (), "busy"))
        if PEERS[5] in bench.asked:
            bench.answer(PEERS[5], PEERS[1], PEERS[6])
        bench.now = max(bench.now, bench.node.next_deadline() or end)
        bench.give(TimerFired())
    snapshot = bench.node.snapshot()
    assert snapshot.successors == (PEERS[5], PEERS[6])
    assert snapshot.quarantined == ()
    assert 2 <= dials <= 2 * RING_TIMINGS.prove_timeout / RING_TIMINGS.retry_pause + 2


def test_a_question_that_could_not_be_put_is_not_held_against_whom_it_was_for() -> None:
    bench = member(PEERS[1], PEERS[3], PEERS[5], predecessor=PEERS[0])
    asked = bench.wake(GetState)
    assert isinstance(asked, GetState)
    for _ in range(3 * RING_TIMINGS.query_attempts):
        bench.give(PeerUnreachable(PEERS[3], (asked,), "busy"))
        asked = bench.wake(GetState)
    assert bench.node.snapshot().quarantined == ()
    assert bench.node.snapshot().successors == (PEERS[3], PEERS[5])
    bench.answer(PEERS[3], PEERS[1], PEERS[5], PEERS[6])
    assert bench.node.snapshot().successors == (PEERS[3], PEERS[5], PEERS[6])


def test_a_lookup_that_could_not_be_passed_on_is_sent_back_as_overloaded() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.hear(PEERS[3], visits(PEERS[7], PEERS[3]))
    ((hop, passed),) = bench.said(FindSuccessor)
    assert isinstance(passed, FindSuccessor)
    bench.give(PeerUnreachable(hop, (passed,), "busy"))
    ((to, failed),) = bench.said(LookupFailed)
    assert isinstance(failed, LookupFailed)
    assert (to, failed.reason, failed.path) == (PEERS[3], "overloaded", passed.path[:-1])


def test_an_own_lookup_is_tried_again_a_little_later_and_fails_as_overloaded() -> None:
    bench = member(PEERS[1], PEERS[5], PEERS[6], predecessor=PEERS[0])
    bench.give(FindOwner(1, PEERS[7].place))
    for _ in range(RING_TIMINGS.lookup_attempts):
        ((hop, message),) = bench.said(FindSuccessor)
        bench.give(PeerUnreachable(hop, (message,), "busy"))
        if any(isinstance(output, OwnerNotFound) for output in bench.last):
            break
        assert bench.said(FindSuccessor) == []
        bench.wake(FindSuccessor, 1.0)
    assert [output.reason.value for output in bench.last if isinstance(output, OwnerNotFound)] == [
        "overloaded"
    ]


def test_a_joiner_that_is_too_busy_to_dial_its_seed_says_so() -> None:
    bench = Bench(PEERS[3])
    bench.give(JoinRing((PEERS[0],), 3.0))
    while not any(isinstance(output, JoinFailed) for output in bench.last):
        for to, message in bench.said(FindSuccessor):
            bench.give(PeerUnreachable(to, (message,), "busy"))
        bench.now = max(bench.now, bench.node.next_deadline() or bench.now)
        bench.give(TimerFired())
    (failed,) = [output for output in bench.last if isinstance(output, JoinFailed)]
    assert "too many dials" in failed.reason
