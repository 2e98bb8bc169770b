"""What a process lets in: bursts as they are, of a standing load no more than it carries."""

from __future__ import annotations

from msgspec.structs import replace

from cicada.limits import DELIVERY
from cicada.routing.admission import Admission, Quota

LIMITS = replace(
    DELIVERY,
    pending_here=1000,
    pending_here_bytes=10_000,
    pending_least=20,
    pending_seconds=2.0,
    pending_interval=1.0,
    pending_share=8,
)


def let_in(quota: Quota, count: int, now: float, size: int = 1) -> int:
    return sum(quota.take(size, now) for _ in range(count))


def test_a_burst_is_let_in_as_it_comes() -> None:
    assert let_in(Quota(Admission(LIMITS)), 2000, 0.0) == 889  # eight ninths: another peer may come


def test_another_peer_always_finds_room() -> None:
    admission = Admission(LIMITS)
    flooding = [Quota(admission) for _ in range(5)]
    for _ in range(1000):
        for quota in flooding:
            quota.take(1, 0.0)
    assert all(quota.held > 150 for quota in flooding)
    assert let_in(Quota(admission), 10, 0.0) == 10


def test_a_standing_load_is_let_in_as_fast_as_it_is_delivered() -> None:
    admission = Admission(LIMITS)
    quota = Quota(admission)
    now = 0.0
    for step in range(1000):  # 1,000 a second are offered for 10 s, 100 a second are delivered
        now = step * 0.01
        let_in(quota, 10, now)
        quota.give_back(1, True, now)
    assert admission.most == 200
    assert admission.held <= 200


def test_what_waits_for_a_slow_destination_is_bounded_and_keeps_nothing_else_out() -> None:
    admission = Admission(LIMITS)
    flooding, other = Quota(admission), Quota(admission)
    now = 0.0
    for step in range(300):
        now = step * 0.01
        let_in(flooding, 10, now)
        flooding.waits(flooding.held)
        assert let_in(other, 1, now) == 1
        other.give_back(1, True, now)
    assert 880 <= flooding.held <= 889
    assert admission.most == LIMITS.pending_here


def test_what_fails_is_no_reason_to_let_more_in() -> None:
    admission = Admission(LIMITS)
    quota = Quota(admission)
    for step in range(300):
        let_in(quota, 10, step * 0.01)
        quota.give_back(1, False, step * 0.01)
    assert admission.most == LIMITS.pending_least


def test_when_the_load_is_over_bursts_are_let_in_again() -> None:
    admission = Admission(LIMITS)
    quota = Quota(admission)
    for step in range(300):
        let_in(quota, 10, step * 0.01)
        quota.give_back(1, True, step * 0.01)
    assert admission.most < LIMITS.pending_here
    while quota.held:
        quota.give_back(1, True, 3.0)
    assert admission.most == LIMITS.pending_here
    assert (admission.held, admission.bytes) == (0, 0)


def test_bytes_are_bounded_and_one_large_message_is_always_let_in() -> None:
    quota = Quota(Admission(LIMITS))
    assert quota.take(50_000, 0.0)
    assert not quota.take(1, 0.0)
    quota.give_back(50_000, True, 0.0)
    assert let_in(quota, 20, 0.0, size=1000) == 9
