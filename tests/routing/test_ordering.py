"""Ordered messages: what a sender says comes before, and what a destination does with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, Place
from cicada.keys.trust import Trust
from cicada.limits import TransferLimits
from cicada.routing.allowance import Allowance, Origin
from cicada.routing.ordering import Lines, Order, Turn

LIMITS = TransferLimits(line_messages=4, lines=2, held_overhead=1, line_bytes=1000)
HERE, THERE = Place(1), Place(2)
SENDER, OTHER, THIRD = (Origin(str(number), Address(f"10.0.0.{number}:1"), 7) for number in (1, 2, 3))


class TestOrder:
    def test_each_is_after_the_one_before_it_whose_fate_is_open(self) -> None:
        order = Order()
        for message in (3, 5, 9):
            order.add(HERE, message)
        assert [order.before(message) for message in (3, 5, 9)] == [0, 3, 5]
        assert order.remove(5) == 9
        assert order.before(9) == 3

    def test_destinations_have_an_order_each(self) -> None:
        order = Order()
        order.add(HERE, 1)
        order.add(THERE, 2)
        assert order.before(2) == 0
        assert order.remove(1) is None

    def test_what_is_not_ordered_is_after_nothing_at_all(self) -> None:
        order = Order()
        order.add(HERE, 1)
        assert order.before(2) is None
        assert order.remove(2) is None

    def test_nothing_is_left_of_what_settled(self) -> None:
        order = Order()
        order.add(HERE, 1)
        order.add(HERE, 1)  # a restarted Router is given it anew
        assert order.remove(1) is None
        assert len(order) == 0


class Bench:
    def __init__(self) -> None:
        self.allowance = Allowance(LIMITS)
        self.lines: Lines[str] = Lines(self.allowance.account())

    def take(
        self, message: int, after: int, name: str = "", now: float = 0.0, origin: Origin = SENDER
    ) -> Turn:
        return self.lines.take(
            origin, Trust.PINNED, message, after, name or f"{message} after {after}", 99, now
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_of_a_line_is_next(bench: Bench) -> None:
    assert bench.take(5, 0) is Turn.NEXT


def test_one_that_overtook_is_held_back_until_the_one_before_it_entered(bench: Bench) -> None:
    assert bench.take(6, 5) is Turn.EARLY
    assert bench.take(5, 0) is Turn.NEXT
    assert bench.lines.entered(SENDER, 5) == ("6 after 5", 0)
    assert (len(bench.lines), bench.allowance.used) == (0, 0)


def test_until_the_mailbox_took_one_the_next_has_to_wait(bench: Bench) -> None:
    assert bench.take(5, 0) is Turn.NEXT
    assert bench.take(6, 5) is Turn.EARLY


def test_those_behind_it_enter_one_by_one(bench: Bench) -> None:
    for message in (8, 7, 6):
        assert bench.take(message, message - 1) is Turn.EARLY
    for message in (5, 6, 7):
        assert bench.lines.entered(SENDER, message) == (f"{message + 1} after {message}", 0)
    assert bench.lines.entered(SENDER, 8) == (None, 0)


def test_a_gap_is_left_out_when_its_sender_says_so_and_is_late_from_then_on(bench: Bench) -> None:
    assert bench.take(6, 5) is Turn.EARLY
    assert bench.take(6, 0, "again") is Turn.NEXT
    assert bench.lines.entered(SENDER, 6) == (None, 0)
    assert bench.take(5, 0) is Turn.LATE


def test_a_repetition_takes_the_place_of_what_is_held_back(bench: Bench) -> None:
    bench.take(6, 5, "first")
    assert bench.take(6, 5, "second") is Turn.AGAIN
    assert bench.lines.entered(SENDER, 5) == ("second", 0)


def test_a_repetition_may_name_an_earlier_one(bench: Bench) -> None:
    bench.take(9, 8)
    assert bench.take(9, 4, "again") is Turn.AGAIN
    assert bench.lines.entered(SENDER, 4) == ("again", 0)


def test_what_is_held_back_and_then_overtaken_is_given_up(bench: Bench) -> None:
    bench.take(6, 5)
    assert bench.take(7, 0) is Turn.NEXT
    assert bench.lines.entered(SENDER, 7) == (None, 1)
    assert bench.allowance.used == 0


def test_a_line_has_a_limit_and_others_are_none_of_its_business(bench: Bench) -> None:
    turns = [bench.take(message, message - 1) for message in range(6, 12)]
    assert turns == [Turn.EARLY] * 4 + [Turn.FULL] * 2
    assert bench.take(6, 5, origin=OTHER) is Turn.EARLY


def test_a_line_has_a_limit_of_bytes_too(bench: Bench) -> None:
    turns = [
        bench.lines.take(SENDER, Trust.PINNED, message, message - 1, "", size, 0.0)
        for message, size in ((6, 500), (7, 500), (8, 400))
    ]
    assert turns == [Turn.EARLY, Turn.FULL, Turn.EARLY]
    bench.lines.entered(SENDER, 5)
    assert bench.lines.take(SENDER, Trust.PINNED, 9, 8, "", 400, 0.0) is Turn.EARLY


def test_a_line_that_holds_nothing_makes_room_and_one_that_does_stays(bench: Bench) -> None:
    bench.take(6, 5)
    bench.take(3, 0, origin=OTHER)
    assert bench.take(1, 0, origin=THIRD) is Turn.NEXT
    assert bench.take(6, 5) is Turn.AGAIN
    bench.take(9, 8, origin=THIRD)
    assert bench.take(3, 0, origin=OTHER) is Turn.FULL


def test_what_its_sender_does_not_repeat_is_given_up_in_time(bench: Bench) -> None:
    bench.take(6, 5, now=0.0)
    bench.take(7, 6, now=1.0)
    bench.take(6, 5, now=2.0)
    assert bench.lines.expire(1.0 + LIMITS.idle) == 1
    assert bench.lines.next_deadline() == 2.0 + LIMITS.idle
    assert bench.lines.expire(2.0 + LIMITS.idle) == 1
    assert (bench.lines.next_deadline(), bench.allowance.used) == (None, 0)


def test_who_repeats_for_ever_with_other_words_is_bounded(bench: Bench) -> None:
    for after in range(100_000, 90_000, -1):
        bench.take(200_000, after)
    bench.take(200_001, 200_000)
    assert bench.lines.entered(SENDER, 90_001) == ("200000 after 90001", 0)


@dataclass
class Dialogue:
    """A sender and a destination; what leaves arrives in any order, any number of times, or never."""

    order: Order = field(default_factory=Order)
    lines: Lines[int] = field(default_factory=lambda: Lines(Allowance().account()))
    open: list[int] = field(default_factory=list)
    mailbox: list[int] = field(default_factory=list)
    under_way: list[tuple[int, int]] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)
    loses_acks: bool = False

    def send(self, message: int) -> None:
        self.order.add(HERE, message)
        self.open.append(message)
        self.repeat(message)

    def repeat(self, message: int) -> None:
        before = self.order.before(message)
        assert before is not None
        self.under_way.append((message, before))

    def fail(self, message: int) -> None:
        self.open.remove(message)
        self.failed.add(message)
        behind = self.order.remove(message)
        if behind is not None:
            self.repeat(behind)

    def arrive(self, which: int) -> None:
        message, after = self.under_way[which]
        turn = self.lines.take(SENDER, Trust.PINNED, message, after, message, 0, 0.0)
        if turn is Turn.NEXT:
            self.enter(message)
        elif turn is Turn.LATE and message in self.mailbox:
            self.acknowledge(message)

    def acknowledge(self, message: int) -> None:
        if message in self.open and not self.loses_acks:
            self.open.remove(message)
            self.order.remove(message)

    def enter(self, message: int) -> None:
        self.mailbox.append(message)
        self.acknowledge(message)
        then, _ = self.lines.entered(SENDER, message)
        if then is not None:
            self.enter(then)


@given(st.data())
def test_whatever_is_lost_or_overtakes_mail_is_in_order_and_only_failures_are_missing(
    data: st.DataObject,
) -> None:
    dialogue = Dialogue()
    for message in range(1, 1 + data.draw(st.integers(1, 12))):
        dialogue.send(message)
        for _ in range(data.draw(st.integers(0, 3))):
            dialogue.loses_acks = data.draw(st.booleans())
            dialogue.arrive(data.draw(st.integers(0, len(dialogue.under_way) - 1)))
        if dialogue.open and data.draw(st.integers(0, 4)) == 0:
            dialogue.fail(data.draw(st.sampled_from(dialogue.open)))
    dialogue.loses_acks = False
    while dialogue.open:  # what is not given up is repeated until it is there
        for message in reversed(dialogue.open.copy()):
            if message in dialogue.open:
                dialogue.repeat(message)
                dialogue.arrive(len(dialogue.under_way) - 1)
    assert dialogue.mailbox == sorted(set(dialogue.mailbox))
    assert len(dialogue.order) == 0
    sent = {message for message, _ in dialogue.under_way}
    assert sent - set(dialogue.mailbox) <= dialogue.failed
