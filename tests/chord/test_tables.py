"""The small tables of a node: timers, tokens, queries, proofs, lives, suspects, the list, admission."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.chord.admission import Admission, Verdict
from cicada.chord.circle import distance
from cicada.chord.lives import Lives
from cicada.chord.phase import REACTIONS, Phase
from cicada.chord.proofs import Proofs
from cicada.chord.quarantine import Quarantine
from cicada.chord.requests import Purpose, Requests, RoundTrips
from cicada.chord.successors import SuccessorList, arrange
from cicada.chord.timers import Timer, Timers
from cicada.ids import place_to_bytes
from cicada.limits import RING_TIMINGS
from cicada.sim.names import peer_number
from cicada.tokens import TokenBucket
from cicada.wire.ring import FindSuccessor, GetState

OWN, *OTHERS = [peer_number(number) for number in range(40)]
CLOCKWISE = sorted(OTHERS, key=lambda peer: distance(OWN.place, peer.place))


def query(request: int) -> GetState:
    return GetState(incarnation=1, request=request)


def test_every_phase_says_what_to_do_with_every_input_and_message() -> None:
    classes = {kind for row in REACTIONS.values() for kind in row}
    assert set(REACTIONS) == set(Phase)
    assert all(set(row) == classes for row in REACTIONS.values())
    assert len(classes) == 9 + 11  # inputs and ring messages


def test_the_earliest_timer_is_the_next_deadline() -> None:
    timers = Timers()
    assert timers.next_deadline() is None
    timers.start(Timer.STABILIZE, 5.0)
    timers.hasten(Timer.STABILIZE, 7.0)
    timers.hasten(Timer.JOIN, 3.0)
    assert timers.next_deadline() == 3.0
    assert timers.take_due(2.9) == []
    assert timers.take_due(5.0) == [Timer.JOIN, Timer.STABILIZE]
    assert timers.next_deadline() is None


def test_a_stopped_timer_never_fires() -> None:
    timers = Timers()
    timers.start(Timer.JOIN, 1.0)
    timers.start(Timer.JOIN, None)
    assert timers.take_due(9.0) == []


@given(st.lists(st.floats(0.0, 3.0), max_size=60))
def test_a_bucket_gives_at_most_its_burst_and_then_its_rate(gaps: list[float]) -> None:
    bucket = TokenBucket(2.0, 3)
    now, taken = 0.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now)
        assert taken <= 3 + 2.0 * now + 1e-6


def test_a_token_is_there_when_the_bucket_said_it_would_be() -> None:
    bucket = TokenBucket(0.3, 1)
    assert bucket.take(0.1)
    ready = bucket.ready_at(0.2)
    assert not bucket.take(ready - 0.01)
    assert bucket.take(ready)


def test_time_outs_follow_the_round_trip_between_floor_and_ceiling() -> None:
    trips = RoundTrips(RING_TIMINGS, 2)
    assert trips.timeout(OWN) == RING_TIMINGS.timeout_first
    for _ in range(50):
        trips.measure(OWN, 0.001)
    assert trips.timeout(OWN) == RING_TIMINGS.timeout_floor
    for _ in range(50):
        trips.measure(OWN, 60.0)
    assert trips.timeout(OWN) == RING_TIMINGS.timeout_ceiling


def test_only_the_peers_timed_last_are_remembered() -> None:
    trips = RoundTrips(RING_TIMINGS, 2)
    for peer in OTHERS[:3]:
        trips.measure(peer, 1.5)
    assert trips.timeout(OTHERS[0]) == RING_TIMINGS.timeout_first
    assert trips.timeout(OTHERS[2]) > RING_TIMINGS.timeout_first


def test_only_the_peer_that_was_asked_can_answer_and_only_once() -> None:
    requests = Requests(RING_TIMINGS, 4)
    requests.add(OTHERS[0], Purpose.ROUND, query(7), 0.0)
    assert requests.answer(7, OTHERS[1], 0.1) is None
    assert requests.answer(8, OTHERS[0], 0.1) is None
    row = requests.answer(7, OTHERS[0], 0.1)
    assert row is not None
    assert row.purpose is Purpose.ROUND
    assert requests.answer(7, OTHERS[0], 0.1) is None


def test_an_unanswered_query_waits_longer_each_time_it_is_repeated() -> None:
    requests = Requests(RING_TIMINGS, 4)
    requests.add(OTHERS[0], Purpose.ROUND, query(7), 0.0)
    first = requests.next_deadline()
    assert first == RING_TIMINGS.timeout_first
    assert requests.overdue(first - 0.01) == []
    assert [row.attempts for row in requests.overdue(first)] == [2]
    second = requests.next_deadline()
    assert second is not None
    assert second - first == 2 * RING_TIMINGS.timeout_first
    requests.drop_peer(OTHERS[0])
    assert requests.next_deadline() is None


def test_the_answer_to_a_repeated_query_tells_no_round_trip() -> None:
    for repeated in (False, True):
        requests = Requests(RING_TIMINGS, 4)
        requests.add(OTHERS[0], Purpose.ROUND, query(7), 0.0)
        if repeated:
            requests.overdue(RING_TIMINGS.timeout_first)
        requests.answer(7, OTHERS[0], 1.9)
        requests.add(OTHERS[0], Purpose.ROUND, query(8), 10.0)
        wait = (requests.next_deadline() or 0.0) - 10.0
        assert (wait == RING_TIMINGS.timeout_first) == repeated


def test_a_dial_is_asked_for_once_and_overdue_when_nobody_answers() -> None:
    proofs = Proofs()
    assert proofs.dial(OTHERS[0], 5.0)
    assert not proofs.dial(OTHERS[0], 9.0)
    assert proofs.overdue(5.0) == [OTHERS[0]]
    proofs.add(OTHERS[0])
    assert OTHERS[0] in proofs
    assert proofs.next_deadline() is None
    proofs.remove(OTHERS[0])
    assert OTHERS[0] not in proofs


def test_pruned_proofs_keep_those_in_use() -> None:
    proofs = Proofs()
    for peer in OTHERS[:6]:
        proofs.add(peer)
    proofs.prune(OTHERS[:2], 6)
    assert len(proofs.peers()) == 6
    proofs.prune(OTHERS[:2], 5)
    assert set(proofs.peers()) == set(OTHERS[:2])


def test_a_former_life_is_not_listened_to() -> None:
    lives = Lives(4)
    lives.hear(OWN, 5, is_member=True)
    assert lives.is_former(OWN, 4)
    assert not lives.is_former(OWN, 5)
    assert not lives.is_former(OWN, 6)


def test_a_join_request_shows_a_new_life_once() -> None:
    lives = Lives(4)
    lives.hear(OWN, 5, is_member=True)
    assert not lives.is_new_life(OWN, 5), "it is a member with this life"
    lives.hear(OWN, 6, is_member=False)
    assert lives.is_new_life(OWN, 6), "it speaks with this life, but as no member"
    assert not lives.is_new_life(OWN, 6)


def test_hearsay_about_a_later_life_does_not_silence_a_peer() -> None:
    lives = Lives(4)
    assert lives.may_be_new(OWN, 1 << 50)
    assert not lives.is_former(OWN, 5)
    assert lives.is_new_life(OWN, 5), "nor does it hide the next one"


def test_suspects_are_avoided_for_a_moment_and_remembered_for_long() -> None:
    quarantine = Quarantine(4, 100.0)
    quarantine.suspect(OWN, 10.0)
    assert quarantine.suspected_within(OWN, 3.0, 12.0)
    assert not quarantine.suspected_within(OWN, 3.0, 13.0)
    assert quarantine.choose(Random(1), 12.0, 3.0) is None
    assert quarantine.choose(Random(1), 14.0, 3.0) == OWN
    assert quarantine.choose(Random(1), 111.0, 3.0) is None
    assert quarantine.peers() == ()


def test_a_suspect_that_speaks_is_avoided_no_longer_but_kept_for_a_visit() -> None:
    quarantine = Quarantine(4, 100.0)
    quarantine.suspect(OWN, 10.0)
    quarantine.heard_from(OWN)
    assert not quarantine.suspected_within(OWN, 3.0, 10.5)
    assert quarantine.peers() == (OWN,)


def test_suspects_that_gave_a_sign_of_life_are_visited_first() -> None:
    quarantine = Quarantine(40, 100.0)
    for peer in OTHERS[:30]:
        quarantine.suspect(peer, 0.0)
    quarantine.meet(OWN, 1.0)
    assert quarantine.choose(Random(1), 10.0, 3.0) == OWN
    assert quarantine.choose(Random(1), 10.0, 3.0) != OWN


def test_the_quarantine_forgets_the_oldest_when_it_is_full() -> None:
    quarantine = Quarantine(3, 100.0)
    for peer in OTHERS[:5]:
        quarantine.suspect(peer, 1.0)
    assert quarantine.peers() == tuple(OTHERS[2:5])


def test_a_list_ends_before_its_owner_and_where_its_order_breaks() -> None:
    assert arrange(OWN, CLOCKWISE[:3], 16) == tuple(CLOCKWISE[:3])
    assert arrange(OWN, (*CLOCKWISE[5:7], OWN, *CLOCKWISE[:3]), 16) == tuple(CLOCKWISE[5:7])
    assert arrange(OWN, (*CLOCKWISE[5:7], *CLOCKWISE[:3]), 16) == tuple(CLOCKWISE[5:7])
    assert arrange(OWN, (CLOCKWISE[0], CLOCKWISE[0], CLOCKWISE[1]), 16) == (CLOCKWISE[0],)
    assert arrange(OWN, CLOCKWISE, 4) == tuple(CLOCKWISE[:4])


def test_adopting_a_list_leaves_out_the_dead_but_never_the_head() -> None:
    successors = SuccessorList(OWN, 4)
    successors.adopt(CLOCKWISE[0], CLOCKWISE[1:6], lambda peer: peer in (CLOCKWISE[0], CLOCKWISE[2]))
    assert successors.entries == (CLOCKWISE[0], CLOCKWISE[1], CLOCKWISE[3], CLOCKWISE[4])
    assert successors.drop(CLOCKWISE[0])
    assert not successors.drop(CLOCKWISE[0])
    assert successors.head == CLOCKWISE[1]


def join_request(number: int) -> FindSuccessor:
    peer = peer_number(number)
    return FindSuccessor(
        incarnation=1, request=number, target=place_to_bytes(peer.place), path=(peer.address,), joining=9
    )


def test_one_joiner_is_admitted_and_the_others_wait_for_the_head_to_change() -> None:
    admission = Admission(2, hold=0.5, max_age=2.0)
    assert admission.request(peer_number(1), join_request(1), 0.0) is Verdict.ANSWER
    assert admission.request(peer_number(1), join_request(1), 0.1) is Verdict.ANSWER, "its answer was lost"
    assert admission.request(peer_number(2), join_request(2), 0.1) is Verdict.PARKED
    assert admission.request(peer_number(3), join_request(3), 0.1) is Verdict.PARKED
    assert admission.request(peer_number(2), join_request(2), 0.2) is Verdict.PARKED, "in place of the first"
    assert admission.request(peer_number(4), join_request(4), 0.2) is Verdict.OVERLOADED
    assert not admission.is_open(0.2)
    admission.release()
    assert admission.is_open(0.2)
    assert [peer for peer, _ in admission.take_all(0.2)] == [peer_number(2), peer_number(3)]


def test_a_joiner_that_never_comes_holds_the_others_up_for_a_bounded_time() -> None:
    admission = Admission(2, hold=0.5, max_age=2.0)
    admission.request(peer_number(1), join_request(1), 0.0)
    assert admission.next_deadline() is None
    admission.request(peer_number(2), join_request(2), 0.1)
    assert admission.next_deadline() == pytest.approx(0.5)
    assert admission.is_open(0.5)


def test_parked_requests_that_nobody_waits_for_any_more_are_dropped() -> None:
    admission = Admission(2, hold=0.5, max_age=2.0)
    admission.request(peer_number(1), join_request(1), 0.0)
    admission.request(peer_number(2), join_request(2), 0.1)
    assert admission.take_all(2.2) == []
