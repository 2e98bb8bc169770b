"""A mailbox's store: bounds, fair turns, dropping the oldest, and who is called back when there is room."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.errors import Misuse
from cicada.limits import DELIVERY
from cicada.routing.mailstore import DROP_OLDEST, MailboxPolicy, MailStore

SMALL = replace(DELIVERY, credit_quantum=3)


def store(messages: int = 9, bytes: int = 1000, on_full: str = "block") -> MailStore[str, str]:
    return MailStore(MailboxPolicy(on_full=on_full, messages=messages, bytes=bytes), SMALL)


def fill(mails: MailStore[str, str], lane: str, size: int = 1) -> int:
    """Put in as many as are admitted; how many."""
    count = 0
    while mails.admits(lane, size):
        count += 1
        mails.put(lane, size, f"{lane}{count}")
    return count


def test_senders_are_read_in_turn_and_each_in_its_order() -> None:
    mails = store()
    for lane, item in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")):
        mails.put(lane, 1, item)
    assert mails.peek() == "a1"
    assert [mails.pop() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert mails.peek() is None


def test_one_sender_leaves_room_for_the_next() -> None:
    mails = store(messages=90)
    assert fill(mails, "flood") == 80
    assert mails.admits("other", 1)
    assert not mails.admits("flood", 1)


def test_bytes_are_bounded_too_and_an_empty_mailbox_takes_any_message() -> None:
    mails = store(bytes=90)
    assert mails.admits("a", 5000)
    mails.put("a", 5000, "large")
    assert not mails.admits("b", 1)
    mails.pop()
    assert fill(mails, "a", 20) == 4
    assert mails.bytes == 80


def test_messages_without_bytes_are_bounded_by_their_number() -> None:
    mails = store(messages=9)
    assert fill(mails, "a", 0) == 8
    assert mails.credit("b", 0) == 1


def test_dropping_the_oldest_hits_whoever_holds_most() -> None:
    mails = store(messages=4, on_full=DROP_OLDEST)
    for lane, item in (("b", "b1"), ("a", "a1"), ("a", "a2"), ("a", "a3")):
        assert mails.put(lane, 1, item) == 0
    assert mails.put("c", 1, "c1") == 1
    assert mails.put("a", 1, "a4") == 1
    assert sorted(mails.pop() for _ in range(len(mails))) == ["a3", "a4", "b1", "c1"]


def test_dropping_the_oldest_makes_room_for_bytes_and_credit_never_ends() -> None:
    mails = store(messages=9, bytes=10, on_full=DROP_OLDEST)
    for number in range(5):
        mails.put("a", 2, f"a{number}")
    assert mails.put("b", 5, "b") == 3
    assert mails.bytes == 9
    assert mails.credit("a", 2) > 0


def test_who_is_not_to_wait_always_has_credit() -> None:
    for on_full in ("error", DROP_OLDEST):
        mails = store(on_full=on_full)
        for _ in range(9):
            mails.put("a", 1, "a")
        assert mails.credit("a", 1) == SMALL.credit_quantum
        mails.pop()
        assert mails.recalls() == []


def test_credit_is_what_is_admitted_one_by_one() -> None:
    mails = store(messages=50, bytes=400)
    fill(mails, "b", 3)
    for size in (1, 7, 30):
        told = mails.credit("a", size)
        other = store(messages=50, bytes=400)
        fill(other, "b", 3)
        assert fill(other, "a", size) == told


def test_who_had_no_credit_is_called_back_once_when_there_is_room_worth_a_word() -> None:
    mails = store(messages=90)
    fill(mails, "a")
    assert mails.credit("a", 1) == 0
    words = []
    while len(mails):
        mails.pop()
        words += mails.recalls()
    assert [lane for lane, _ in words] == ["a"]
    assert words[0][1] >= SMALL.credit_quantum


def test_an_empty_mailbox_calls_everybody_back() -> None:
    mails = store(messages=1)
    mails.put("a", 1, "a1")
    lanes = [str(number) for number in range(20)]
    assert [mails.credit(lane, 1) for lane in lanes] == [0] * 20
    mails.pop()
    assert [lane for lane, _ in mails.recalls()] == lanes


def test_a_sender_over_its_share_does_not_keep_others_from_being_called_back() -> None:
    mails = store(messages=9)
    fill(mails, "a")
    fill(mails, "b")
    waiting = [mails.credit(lane, 1) for lane in ("a", "b", "c", "d", "e", "f")]
    assert waiting == [0] * 6
    called: list[object] = []
    while len(mails) > 5:
        mails.pop()
        called += [lane for lane, _ in mails.recalls()]
    assert {"c", "d", "e", "f"} <= set(called)


@pytest.mark.parametrize(
    "fault", [{"on_full": "panic"}, {"messages": 0}, {"bytes": 0}, {"messages": 1 << 30}]
)
def test_a_policy_that_cannot_be_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        MailboxPolicy(**fault)  # type: ignore[arg-type]


@given(
    steps=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40), st.booleans()), max_size=200),
    on_full=st.sampled_from(["block", DROP_OLDEST]),
)
def test_bounds_hold_nothing_is_lost_and_lanes_keep_their_order(
    steps: list[tuple[str, int, bool]], on_full: str
) -> None:
    mails = store(messages=12, bytes=100, on_full=on_full)
    put: Counter[str] = Counter()
    read: dict[str, int] = {}
    gone = 0
    for lane, size, is_read in steps:
        if is_read and len(mails):
            item = mails.pop()
            assert int(item[1:]) > read.get(item[0], 0)
            read[item[0]] = int(item[1:])
            gone += 1
        elif mails.admits(lane, size):
            put[lane] += 1
            gone += mails.put(lane, size, f"{lane}{put[lane]}")
        assert len(mails) <= 12
        assert mails.bytes <= 100
        assert put.total() == gone + len(mails)
