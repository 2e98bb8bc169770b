"""The table of requests, by examples, and against an oracle that remembers everything."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cicada.ids import Place
from cicada.limits import RequestLimits
from cicada.services.requests import Heard, Party, Requests

HERE, ELSEWHERE = Place(7), Place(8)
ASKED = Party("a" * 64, HERE)
MOVED = Party("a" * 64, ELSEWHERE)
LIAR = Party("b" * 64, HERE)
LIMITS = RequestLimits(pending=3, remembered=2)


@pytest.fixture
def requests() -> Requests:
    return Requests(Random(1), LIMITS)


def ask(requests: Requests, deadline: float = 10.0) -> int:
    number = requests.ask(HERE, deadline)
    assert number is not None
    return number


def test_a_reply_from_who_was_asked_counts_once(requests: Requests) -> None:
    number = ask(requests)
    assert requests.sent(number, ASKED.peer_id, 1.0) is Heard.WAIT
    assert requests.replied(number, ASKED, 2.0) is Heard.ANSWERED
    assert requests.replied(number, ASKED, 2.1) is Heard.LATE
    assert len(requests) == 0


def test_a_reply_that_overtakes_the_ack_of_its_request_counts_when_that_has_come(requests: Requests) -> None:
    number = ask(requests)
    assert requests.replied(number, ASKED, 1.0) is Heard.EARLY
    assert requests.replied(number, ASKED, 1.1) is Heard.STRANGE, "one is enough"
    assert requests.sent(number, ASKED.peer_id, 2.0) is Heard.ANSWERED


def test_an_early_reply_of_somebody_else_keeps_the_right_one_from_nothing(requests: Requests) -> None:
    number = ask(requests)
    assert requests.replied(number, LIAR, 1.0) is Heard.EARLY
    assert requests.sent(number, ASKED.peer_id, 2.0) is Heard.STRANGE
    assert requests.replied(number, ASKED, 3.0) is Heard.ANSWERED


def test_who_proves_another_key_is_not_who_was_asked_and_who_moved_is(requests: Requests) -> None:
    for replier, heard in ((LIAR, Heard.STRANGE), (Party("", HERE), Heard.STRANGE), (MOVED, Heard.ANSWERED)):
        number = ask(requests)
        requests.sent(number, ASKED.peer_id, 1.0)
        assert requests.replied(number, replier, 2.0) is heard
        requests.forget(number)


def test_where_nobody_proves_anything_the_place_counts(requests: Requests) -> None:
    number = ask(requests)
    requests.sent(number, "", 1.0)
    assert requests.replied(number, Party("", ELSEWHERE), 2.0) is Heard.STRANGE
    assert requests.replied(number, Party("", HERE), 2.0) is Heard.ANSWERED


def test_after_its_deadline_a_reply_is_late(requests: Requests) -> None:
    number = ask(requests, deadline=5.0)
    requests.sent(number, ASKED.peer_id, 1.0)
    assert requests.replied(number, ASKED, 5.1) is Heard.LATE


def test_what_is_forgotten_is_answered_late_and_what_was_never_asked_strangely(requests: Requests) -> None:
    number = ask(requests)
    requests.forget(number)
    requests.forget(number)
    assert requests.replied(number, ASKED, 1.0) is Heard.LATE
    assert requests.sent(number, ASKED.peer_id, 1.0) is Heard.LATE
    assert requests.replied(number + 1, ASKED, 1.0) is Heard.STRANGE


def test_so_many_wait_and_no_more(requests: Requests) -> None:
    numbers = [ask(requests) for _ in range(LIMITS.pending)]
    assert requests.ask(HERE, 10.0) is None
    requests.forget(numbers[0])
    assert requests.ask(HERE, 10.0) is not None


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_no_number_comes_twice_and_none_tells_the_next(seed: int, count: int) -> None:
    requests = Requests(Random(seed))
    numbers = [requests.ask(HERE, 1.0) for _ in range(count)]
    assert len({*numbers}) == count
    assert all(number is not None and 0 <= number < 2**63 for number in numbers)


class Everything(RuleBasedStateMachine):
    """Asks, settles, replies and forgets in any order; the oracle keeps all that ever happened to each request."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = Requests(Random(3), RequestLimits(pending=3, remembered=1000))
        self.now = 0.0
        self.deadlines: dict[int, float] = {}
        self.sent: dict[int, str] = {}
        self.early: dict[int, Party] = {}
        self.over: set[int] = set()

    @rule(seconds=st.sampled_from([1.0, 4.0]))
    def ask(self, seconds: float) -> None:
        number = self.requests.ask(HERE, self.now + seconds)
        assert (number is None) == (len(self.deadlines) - len(self.over) == 3)
        if number is not None:
            self.deadlines[number] = self.now + seconds

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.deadlines)
    @rule(data=st.data(), replier=st.sampled_from([ASKED, MOVED, LIAR]))
    def reply(self, data: st.DataObject, replier: Party) -> None:
        number = data.draw(st.sampled_from([*self.deadlines]))
        heard = self.requests.replied(number, replier, self.now)
        if number in self.over:
            assert heard is Heard.LATE
        elif number in self.sent:
            self._judged(number, replier, heard)
        else:
            assert heard is (Heard.STRANGE if number in self.early else Heard.EARLY)
            self.early.setdefault(number, replier)

    @precondition(lambda self: {*self.deadlines} - {*self.sent} - self.over)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted({*self.deadlines} - {*self.sent} - self.over)))
        heard = self.requests.sent(number, ASKED.peer_id, self.now)
        self.sent[number] = ASKED.peer_id
        if number in self.early:
            self._judged(number, self.early[number], heard)
        else:
            assert heard is Heard.WAIT

    @precondition(lambda self: self.deadlines)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([*self.deadlines]))
        self.requests.forget(number)
        self.over.add(number)

    @invariant()
    def as_many_wait_as_are_not_over(self) -> None:
        assert len(self.requests) == len(self.deadlines) - len(self.over)

    def _judged(self, number: int, replier: Party, heard: Heard) -> None:
        if replier.peer_id != ASKED.peer_id:
            assert heard is Heard.STRANGE
            return
        assert heard is (Heard.LATE if self.now > self.deadlines[number] else Heard.ANSWERED)
        self.over.add(number)


TestEverything = Everything.TestCase
