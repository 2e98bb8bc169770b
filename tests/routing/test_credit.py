"""The sender's side of credit, by example and against a mailbox in virtual time that loses what it says."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.ids import Place
from cicada.limits import DELIVERY
from cicada.routing.credit import Credits, Turn

LIMITS = replace(DELIVERY, credit_first=2, waiting_sends=3, probe_first=0.5, probe_ceiling=2.0)
HERE, THERE = Place(7), Place(8)


def asked(credits: Credits, count: int, first: int = 1) -> list[Turn]:
    return [credits.ask(HERE, id, 0.0) for id in range(first, first + count)]


def test_the_first_messages_leave_before_the_destination_has_said_anything() -> None:
    credits = Credits(LIMITS)
    assert asked(credits, 6) == [Turn.GO, Turn.GO, Turn.WAIT, Turn.WAIT, Turn.WAIT, Turn.FULL]
    assert credits.ask(THERE, 9, 0.0) is Turn.GO  # another destination is not concerned


def test_a_message_that_asks_again_has_gone_already() -> None:
    credits = Credits(LIMITS)
    asked(credits, 3)
    assert credits.ask(HERE, 1, 0.0) is Turn.GO
    assert credits.ask(HERE, 3, 0.0) is Turn.WAIT


def test_credit_lets_as_many_go_as_it_covers_beside_those_on_their_way() -> None:
    credits = Credits(LIMITS)
    asked(credits, 5)
    assert credits.over(HERE, 1, 0.1) == [3]
    assert credits.heard(HERE, (0.0, 1), 3, 0.1) == [4]  # 2 and 3 are on their way
    assert credits.heard(HERE, (0.0, 2), 9, 0.1) == [5]


def test_a_word_that_was_overtaken_says_nothing() -> None:
    credits = Credits(LIMITS)
    asked(credits, 4)
    assert credits.heard(HERE, (0.0, 5), 2, 0.1) == []
    assert credits.heard(HERE, (0.0, 4), 9, 0.1) == []
    assert credits.heard(HERE, (1.0, 0), 9, 0.1) == [3, 4]  # a later session's first word


def test_what_was_refused_goes_before_what_never_left() -> None:
    credits = Credits(LIMITS)
    asked(credits, 4)
    credits.heard(HERE, (0.0, 1), 0, 0.1)
    credits.refused(HERE, 1, 0.1)
    credits.refused(HERE, 2, 0.1)
    assert all(credits.waits(HERE, id) for id in range(1, 5))
    assert sorted(credits.heard(HERE, (0.0, 2), 2, 0.2)) == [1, 2]
    assert credits.waits(HERE, 3)


def test_probes_come_ever_more_slowly_one_at_a_time() -> None:
    credits = Credits(LIMITS)
    asked(credits, 4)
    for id in (2, 1):
        credits.heard(HERE, (0.0, id), 0, 0.0)
        credits.refused(HERE, id, 0.0)
    now, gaps = 0.0, []
    for counter in range(10, 14):
        due = credits.next_deadline()
        assert due is not None
        gaps.append(due - now)
        now = due
        (probe,) = credits.fire(now)
        assert credits.next_deadline() is None  # its answer is awaited
        credits.heard(HERE, (0.0, counter), 0, now)
        credits.refused(HERE, probe, now)
    assert gaps == pytest.approx([0.5, 1.0, 2.0, 2.0])


def test_a_probe_that_nobody_answered_is_followed_by_another() -> None:
    credits = Credits(LIMITS)
    asked(credits, 3)
    credits.heard(HERE, (0.0, 1), 0, 0.0)
    assert credits.over(HERE, 1, 0.0) == []
    assert credits.over(HERE, 2, 0.0) == []
    assert credits.fire(0.5) == [3]
    assert credits.over(HERE, 3, 1.0) == []
    assert len(credits) == 0


def test_nothing_is_remembered_of_a_destination_for_which_nothing_is_open() -> None:
    credits = Credits(LIMITS)
    asked(credits, 5)
    for id in range(1, 6):
        credits.over(HERE, id, 0.0)
    assert len(credits) == 0
    assert credits.next_deadline() is None
    assert credits.heard(HERE, (0.0, 9), 5, 0.0) == []


@given(seed=st.integers(0, 10_000), room=st.integers(1, 6), loss=st.sampled_from([0.0, 0.3, 0.9]))
def test_every_message_gets_through_whatever_words_are_lost(seed: int, room: int, loss: float) -> None:
    chance, credits = Random(seed), Credits(replace(LIMITS, waiting_sends=100))
    held, counter, now, delivered = 0, 0, 0.0, 0
    going = [id for id in range(40) if credits.ask(HERE, id, now) is Turn.GO]
    while delivered < 40:
        now += 0.1
        assert now < 400.0, "somebody waits for ever"
        going += credits.fire(now)
        chance.shuffle(going)
        for id in going[:]:
            going.remove(id)
            counter += 1
            fits = held < room
            held += fits
            if fits:
                delivered += 1
                going += credits.over(HERE, id, now)
            else:
                credits.refused(HERE, id, now)
            going += credits.heard(HERE, (0.0, counter), room - held, now)
        if held:
            held -= 1
            counter += 1
            if chance.random() >= loss:
                going += credits.heard(HERE, (0.0, counter), room - held, now)
    assert len(credits) == 0
