"""A wall clock that was wrong when a peer started, and is set right while it runs."""

from __future__ import annotations

import pytest

from cicada.errors import PeerFault
from cicada.keys.memory import Accepted
from cicada.keys.record import read_record
from cicada.limits import KEYS
from tests.keys.people import ALICE, BOB, HIGH, LOW, WALL, Person, pin

HOURS = 2 * 3600 * 1000
SKEW = int(KEYS.clock_skew * 1000)


def test_records_and_handshakes_of_a_peer_whose_fast_clock_was_set_right_are_taken_at_once() -> None:
    one, other = Person(LOW, ALICE, pins=(pin(HIGH, BOB),)), Person(HIGH, BOB)
    one.wall_ahead = HOURS
    one.memory.own_record.raw()
    assert other.answer(one.opening(HIGH)) is None
    one.wall_ahead = 0
    one.now = other.now = KEYS.handshake_seconds
    one.begin_anew()
    raw = one.memory.own_record.raw()
    assert read_record(raw, WALL + int(one.now * 1000), "").sequence == WALL + int(one.now * 1000)
    assert one.memory.own_record.raw() is raw
    assert other.answer(one.opening(HIGH)) is not None


def test_peers_whose_clocks_were_all_fast_agree_again_when_they_are_set_right() -> None:
    one, other = Person(LOW, ALICE, pins=(pin(HIGH, BOB),)), Person(HIGH, BOB)
    one.wall_ahead = other.wall_ahead = HOURS
    assert other.answer(one.opening(HIGH)) is not None
    one.wall_ahead = other.wall_ahead = 0
    one.begin_anew()
    assert other.answer(one.opening(HIGH)) is not None


@pytest.mark.parametrize("back", [1, SKEW - 1])
def test_a_clock_that_falls_by_less_than_others_bear_leaves_the_record_and_lets_times_rise(back: int) -> None:
    one = Person(LOW, ALICE)
    first, began = one.memory.own_record.raw(), one.memory.next_ms()
    one.wall_ahead = -back
    assert one.memory.next_ms() > began
    assert one.memory.own_record.raw() is first
    one.memory.own_record.lodge(())
    second = one.memory.read(one.memory.own_record.raw(), LOW.address)
    assert second.sequence > one.memory.read(first, LOW.address).sequence


def test_what_must_know_each_copy_forgets_no_time_of_the_future() -> None:
    strict = Accepted(KEYS, is_strict=True)
    strict.note_time(b"key", WALL + HOURS, WALL + HOURS)
    with pytest.raises(PeerFault, match="replayed"):
        strict.note_time(b"key", WALL, WALL)
