"""The gate behind a peer's links: what it lets pass, what it keeps, in which order it lets go, and when it gives up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address
from cicada.limits import FAULT, FaultLimits
from cicada.transport.base import ConnectionId
from cicada.transport.faultgate import Admission, FaultGate, Late
from cicada.transport.faults import NO_FAULTS, FaultRule, FaultTable
from cicada.transport.linkio import Connect, ConnectFailed, Release, Transmit
from cicada.wire.frames import FrameType, encode_frame

OWN, FAR, NEAR = (Address(f"127.0.0.1:{port}") for port in range(1, 4))
LINE, OTHER_LINE = ConnectionId(1), ConnectionId(2)
NOW = 100.0
PASS, KEPT, FULL = Admission.PASS, Admission.KEPT, Admission.FULL


def rule(**effect: float) -> FaultTable:
    return FaultTable((FaultRule(one=frozenset({OWN}), other=frozenset({FAR}), **effect),))  # type: ignore[arg-type]


CUT = FaultTable((FaultRule(one=frozenset({OWN}), other=frozenset({FAR}), cut=True),))


def gate(table: FaultTable, limits: FaultLimits = FAULT) -> FaultGate:
    made = FaultGate(OWN, random.Random(1), limits)
    made.change(table, NOW)
    return made


def frame(
    counter: int, *, remote: Address = FAR, connection: ConnectionId = LINE, index: int = 7, size: int = 10
) -> Transmit:
    return Transmit(connection, encode_frame(FrameType.DATA, index, counter, bytes(size)), remote)


def counters(freed: object) -> list[int]:
    assert isinstance(freed, list)
    return [int.from_bytes(item.frame[9:17], "big") for item in freed if isinstance(item, Transmit)]


def test_frames_for_a_peer_that_no_fault_concerns_pass() -> None:
    made = gate(CUT)
    assert made.admit(frame(1, remote=NEAR), NOW) is PASS
    assert made.dial(NEAR, NOW)
    assert made.next_deadline() is None


def test_over_a_cut_nothing_leaves_and_after_it_everything_does_in_order() -> None:
    made = gate(CUT)
    assert [made.admit(frame(n), NOW + n) for n in range(1, 4)] == [KEPT] * 3
    assert made.due(NOW + 5) == []
    made.change(NO_FAULTS, NOW + 5)
    assert counters(made.due(NOW + 5)) == [1, 2, 3]
    assert not made.is_needed


def test_what_a_cut_held_longer_than_links_wait_is_lost_with_all_that_follows_on_its_link() -> None:
    made = gate(CUT)
    made.admit(frame(1), NOW)
    made.admit(frame(1, index=8), NOW + 5)
    assert made.next_deadline() == NOW + FAULT.patience
    assert made.due(NOW + FAULT.patience) == []
    assert made.admit(frame(2), NOW + FAULT.patience) is KEPT
    made.change(NO_FAULTS, NOW + FAULT.patience + 1)
    freed = made.due(NOW + FAULT.patience + 1)
    assert [(item.frame[5:9], item.connection) for item in freed if isinstance(item, Transmit)] == [
        (b"\0\0\0\x08", LINE)
    ]
    assert made.admit(frame(1, index=9), NOW + FAULT.patience + 1) is PASS
    assert not made.is_needed


def test_a_dial_over_a_cut_is_silent_until_it_times_out() -> None:
    made = gate(CUT)
    assert not made.dial(FAR, NOW)
    assert made.next_deadline() == NOW + FAULT.void_dial
    assert made.due(NOW + 1.9) == []
    assert made.due(NOW + 2.0) == [ConnectFailed(FAR, "timeout")]
    assert made.due(NOW + 9.0) == []


def test_a_dial_that_waits_when_the_cut_is_healed_leaves() -> None:
    made = gate(CUT)
    made.dial(FAR, NOW)
    made.change(NO_FAULTS, NOW + 1)
    assert made.due(NOW + 1) == [Connect(FAR)]
    assert not made.is_needed


def test_delayed_frames_leave_when_their_time_has_come() -> None:
    made = gate(rule(delay=0.5))
    made.admit(frame(1), NOW)
    made.admit(frame(2), NOW + 0.2)
    assert made.next_deadline() == NOW + 0.5
    assert counters(made.due(NOW + 0.4)) == []
    assert counters(made.due(NOW + 0.6)) == [1]
    assert counters(made.due(NOW + 0.7)) == [2]


@given(st.integers(0, 1 << 32), st.lists(st.floats(0.0, 0.5), min_size=1, max_size=30))
def test_jitter_changes_the_order_of_no_link(seed: int, pauses: list[float]) -> None:
    made = FaultGate(OWN, random.Random(seed))
    made.change(rule(delay=0.1, jitter=1.0), NOW)
    now, left = NOW, []
    for counter, pause in enumerate(pauses, 1):
        now += pause
        made.admit(frame(counter), now)
        left += counters(made.due(now))
    left += counters(made.due(now + 2.0))
    assert left == list(range(1, len(pauses) + 1))


def test_a_frame_that_needs_no_delay_any_more_does_not_overtake_those_that_wait() -> None:
    made = gate(rule(delay=5.0))
    made.admit(frame(1), NOW)
    made.change(rule(drop=0.5), NOW + 1)
    assert made.admit(frame(2), NOW + 1) is KEPT
    assert counters(made.due(NOW + 1)) == [1, 2]


def test_what_was_on_its_way_when_the_cut_came_waits_for_its_end() -> None:
    made = gate(rule(delay=1.0))
    made.admit(frame(1), NOW)
    made.change(CUT, NOW + 0.5)
    assert made.due(NOW + 2.0) == []
    made.change(rule(delay=1.0), NOW + 3.0)
    assert counters(made.due(NOW + 4.0)) == [1]


def test_a_link_that_has_too_much_held_back_keeps_the_rest_itself() -> None:
    made = gate(CUT, FaultLimits(max_held=100))
    assert made.admit(frame(1, size=60), NOW) is KEPT
    assert made.admit(frame(2, size=60), NOW) is FULL
    assert made.admit(frame(1, index=8, size=60), NOW) is KEPT


def test_what_the_endpoint_did_not_take_is_offered_again_in_order() -> None:
    made = gate(rule(delay=0.1))
    for counter in (1, 2, 3):
        made.admit(frame(counter), NOW)
    late = [item for item in made.due(NOW + 0.1) if isinstance(item, Late)]
    made.put_back(late[1:], NOW + 0.1)
    assert made.admit(frame(4), NOW + 0.1) is KEPT
    assert made.due(NOW + 0.1) == []
    assert counters(made.due(NOW + 0.1 + FAULT.retry)) == [2, 3]
    assert counters(made.due(NOW + 1.0)) == [4]


def test_what_nobody_ever_takes_is_given_up() -> None:
    made = gate(rule(delay=0.1))
    made.admit(frame(1), NOW)
    (late,) = made.due(NOW + 0.1)
    assert isinstance(late, Late)
    made.put_back([late], NOW + 0.2 + FAULT.patience)
    assert made.due(NOW + 60.0) == []


def test_a_connection_is_released_after_what_is_kept_for_it() -> None:
    made = gate(rule(delay=0.5))
    assert made.release(LINE)
    made.admit(frame(1), NOW)
    assert not made.release(LINE)
    assert made.release(OTHER_LINE)
    freed = made.due(NOW + 0.5)
    assert counters(freed) == [1]
    assert freed[1:] == [Release(LINE)]


def test_a_connection_that_is_used_again_is_not_released() -> None:
    made = gate(rule(delay=0.5))
    made.admit(frame(1), NOW)
    made.release(LINE)
    made.admit(frame(1, index=8), NOW + 0.2)
    assert Release(LINE) not in made.due(NOW + 0.5)
    assert Release(LINE) not in made.due(NOW + 0.7)


def test_what_was_kept_for_a_lost_connection_is_forgotten() -> None:
    made = gate(CUT)
    made.admit(frame(1), NOW)
    made.admit(frame(1, connection=OTHER_LINE), NOW)
    made.forget(LINE)
    made.change(NO_FAULTS, NOW + 1)
    (freed,) = made.due(NOW + 1)
    assert isinstance(freed, Transmit)
    assert freed.connection == OTHER_LINE


def test_at_its_end_a_peer_sends_what_is_late_and_nothing_over_a_cut() -> None:
    cut_and_slow = FaultTable(
        (*CUT.rules, FaultRule(one=frozenset({OWN}), other=frozenset({NEAR}), delay=1.0))
    )
    made = gate(cut_and_slow)
    made.admit(frame(1), NOW)
    made.admit(frame(2, remote=NEAR, index=8), NOW)
    assert counters(made.flush()) == [2]


@pytest.mark.parametrize(("effect", "copies"), [({"drop": 1.0}, 0), ({"duplicate": 1.0}, 2), ({}, 1)])
def test_certain_loss_and_repetition_are_certain(effect: dict[str, float], copies: int) -> None:
    made = gate(rule(**effect))
    assert {made.copies(FAR) for _ in range(50)} == {copies}
    assert made.copies(NEAR) == 1


def test_about_the_share_that_was_asked_for_is_lost_or_repeated() -> None:
    made = gate(rule(drop=0.3, duplicate=0.5))
    drawn = [made.copies(FAR) for _ in range(10_000)]
    assert drawn.count(0) == pytest.approx(3000, abs=200)
    assert drawn.count(2) == pytest.approx(3500, abs=200)
    assert made.admit(frame(1), NOW) is PASS
