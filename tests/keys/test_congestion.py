"""First contacts wait for their turn: how many are under way, who is next, and what overload makes of it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.ids import Address, Peer, Place, canonical_address, peer_at
from cicada.keys.congestion import FirstContacts, Window
from cicada.keys.io import (
    Abandon,
    FetchRecords,
    NegotiatorOutput,
    Opening,
    Prepare,
    RecordsFetched,
    Refused,
    TimerFired,
)
from cicada.keys.memory import host_bucket
from cicada.limits import KEYS, KeyLimits
from cicada.tokens import TokenBucket
from cicada.wire.security import Identified, Identify, Unidentified
from tests.keys.people import ALICE, BOB, HIGH, LOW, Person, peers, pin, raw_record

NOWHERE = Address("")
FAST, SLOW, PAUSE = KEYS.window_fast, KEYS.window_slow, KEYS.window_pause
SOME = [peer for peer in peers(40) if peer not in peers(3)]


def contacts(**limits: int) -> FirstContacts:
    made = KeyLimits(**{"window_initial": 4, "window_min": 1, "window_max": 64, **limits})
    return FirstContacts(made, Window(made))


def run_one(first: FirstContacts, began: float, took: float) -> None:
    first.ask(Place(1), NOWHERE, began)
    assert first.begin(began) is not None
    first.end(Place(1), began + took)


def begun(first: FirstContacts, now: float = 0.0) -> list[int]:
    """The places whose turn it is."""
    found = []
    while (candidate := first.begin(now)) is not None:
        found.append(int(candidate.place))
    return found


def ask(first: FirstContacts, places: Iterable[int], now: float = 0.0) -> None:
    for place in places:
        first.ask(Place(place), NOWHERE, now)


def test_each_fast_one_lets_the_window_grow_by_its_reciprocal_up_to_the_most() -> None:
    first = contacts(window_max=5)
    run_one(first, 0.0, FAST)
    assert first.window == 4.25
    run_one(first, 1.0, 0.0)
    assert first.window == 4.25 + 1 / 4.25
    for number in range(20):
        run_one(first, 2.0 + number, 0.0)
    assert first.window == 5.0


def test_a_slow_one_halves_it_once_in_a_while_and_never_below_the_least() -> None:
    first = contacts()
    ask(first, range(3))
    begun(first)
    first.end(Place(0), SLOW + 0.01)
    assert first.window == 2.0
    first.end(Place(1), SLOW + 0.02)
    assert first.window == 2.0  # both were slow for the same reason
    first.end(Place(2), SLOW + 0.02 + PAUSE)
    assert first.window == 1.0
    run_one(first, 100.0, 50.0)
    assert first.window == 1.0


def test_what_is_neither_fast_nor_slow_leaves_it_alone() -> None:
    first = contacts()
    run_one(first, 0.0, (FAST + SLOW) / 2)
    assert first.window == 4.0


@pytest.mark.parametrize(
    ("took", "is_denied", "window"),
    [(0.1, False, 4.0), (9.0, False, 2.0), (9.0, True, 4.0), (0.1, True, 4.0)],
)
def test_one_given_up_is_slow_when_it_was_unless_the_ring_says_that_nobody_lives_there(
    took: float, is_denied: bool, window: float
) -> None:
    first = contacts()
    ask(first, [1])
    begun(first)
    first.abandon(Place(1), took, is_denied=is_denied)
    assert (first.window, first.under_way) == (window, 0)


def test_those_beyond_the_window_wait_and_begin_in_order_whoever_asks_again() -> None:
    first = contacts(window_initial=2)
    ask(first, [5, 3, 9, 1])
    assert begun(first) == [5, 3]
    ask(first, [1, 9])
    first.end(Place(3), 0.7)
    assert begun(first) == [9]
    assert (len(first), Place(1) in first, Place(9) in first) == (1, True, False)


def test_those_for_whom_nobody_waits_are_left_out_and_cost_no_turn() -> None:
    first = contacts(window_initial=1)
    ask(first, range(5))
    ask(first, [4], KEYS.handshake_seconds - 1)
    assert begun(first) == [0]
    first.abandon(Place(1), 0.0, is_denied=False)
    first.end(Place(0), 0.7)
    assert begun(first, KEYS.handshake_seconds) == [4]  # the Router that asked for 2 and 3 crashed
    assert len(first) == 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(("ask", "end", "abandon", "deny")), st.integers(0, 12), st.floats(0, 2)),
        max_size=120,
    )
)
def test_it_does_what_a_plain_list_does_and_begins_no_more_than_the_window(
    steps: list[tuple[str, int, float]],
) -> None:
    first = contacts(window_initial=2, window_max=4)
    waiting: list[int] = []
    under_way: set[int] = set()
    now = 0.0
    for what, place, passed in steps:
        now += passed / 20  # in all less than what a Router asks again after
        if what == "ask" and place not in under_way:
            first.ask(Place(place), NOWHERE, now)
            waiting += [place] if place not in waiting else []
        elif what == "end" and place in under_way:
            first.end(Place(place), now)
            under_way.discard(place)
        elif what in ("abandon", "deny"):
            first.abandon(Place(place), now, is_denied=what == "deny")
            under_way.discard(place)
            waiting = [other for other in waiting if other != place]
        room = max(int(first.window) - len(under_way), 0)
        expected, waiting = waiting[:room], waiting[room:]
        assert begun(first, now) == expected
        under_way.update(expected)
        assert (len(first), first.under_way) == (len(waiting), len(under_way))
        assert 1.0 <= first.window <= 4.0


# The negotiator


def prepare(one: Person, peer: Peer, *, is_renewal: bool = False) -> list[NegotiatorOutput]:
    return one.do(Prepare(peer.place, peer.address, is_renewal))


def refuse(one: Person, peer: Peer) -> list[NegotiatorOutput]:
    """No key is found: that first contact ends, and others begin."""
    one.do(RecordsFetched(peer.place, (), 0))
    return one.do(Unidentified(peer, "refused"))


def search(peer: Peer) -> list[NegotiatorOutput]:
    return [FetchRecords(peer.place), Identify(peer)]


def test_the_next_first_contact_begins_when_one_ends() -> None:
    one = Person(LOW, ALICE, limits=KeyLimits(window_initial=4))
    for peer in SOME[:4]:
        assert prepare(one, peer) == search(peer)
    assert [prepare(one, peer) for peer in SOME[4:6]] == [[], []]
    assert prepare(one, SOME[4]) == []
    one.now = 0.7
    assert refuse(one, SOME[2]) == [Refused(SOME[2].place, "no-key"), *search(SOME[4])]
    assert one.do(Abandon(SOME[0].place)) == search(SOME[5])
    assert len(one.negotiator) == 4


def test_what_waits_and_is_abandoned_never_begins() -> None:
    one = Person(LOW, ALICE, limits=KeyLimits(window_initial=1))
    assert prepare(one, SOME[0]) == search(SOME[0])
    assert [prepare(one, peer) for peer in SOME[1:3]] == [[], []]
    assert one.do(Abandon(SOME[1].place)) == []
    assert refuse(one, SOME[0])[1:] == search(SOME[2])


def test_an_abandoned_handshake_is_forgotten_and_the_next_one_is_another() -> None:
    one = Person(LOW, ALICE, pins=(pin(HIGH, BOB),))
    before = one.opening(HIGH)
    assert one.do(Abandon(HIGH.place)) == []
    assert (len(one.negotiator), one.negotiator.next_deadline()) == (0, None)
    assert one.opening(HIGH) != before


def test_renewals_wait_for_no_first_contact_and_take_no_turn() -> None:
    one = Person(LOW, ALICE, pins=(pin(HIGH, BOB),), limits=KeyLimits(window_initial=1))
    assert prepare(one, SOME[0]) == search(SOME[0])
    assert prepare(one, SOME[1]) == []
    (opening,) = prepare(one, HIGH, is_renewal=True)
    assert isinstance(opening, Opening)
    for peer in SOME[2:]:
        assert prepare(one, peer, is_renewal=True) == search(peer)
    assert refuse(one, SOME[5]) == [Refused(SOME[5].place, "no-key")]
    assert refuse(one, SOME[0])[1:] == search(SOME[1])


def test_when_no_more_can_wait_the_next_is_refused_as_too_busy_and_those_that_wait_may_ask_again() -> None:
    one = Person(LOW, ALICE, limits=KeyLimits(handshakes=6, window_initial=4))
    for peer in SOME[:6]:
        prepare(one, peer)
    assert prepare(one, SOME[6]) == [Refused(SOME[6].place, "busy")]
    assert prepare(one, SOME[6], is_renewal=True) == [Refused(SOME[6].place, "busy")]
    assert prepare(one, SOME[5]) == []
    assert len(one.negotiator) == 6


def test_one_that_times_out_makes_room_and_those_that_wait_look_again_a_little_later() -> None:
    one = Person(LOW, ALICE, pins=(pin(HIGH, BOB),), limits=KeyLimits(window_initial=1, window_min=1))
    one.opening(HIGH)
    one.now = 5.0
    assert prepare(one, SOME[0]) == []
    one.do(TimerFired())
    one.do(Identified(HIGH, raw_record(BOB, HIGH)))
    assert one.negotiator.next_deadline() == 5.0 + KEYS.window_retry
    one.now = KEYS.handshake_seconds
    assert one.do(TimerFired()) == search(SOME[0])
    assert one.negotiator.next_deadline() == 2 * KEYS.handshake_seconds


def test_a_pinned_peer_is_asked_for_by_place_without_asking_anybody_for_its_address() -> None:
    one = Person(LOW, ALICE, pins=(pin(HIGH, BOB),))
    (opening,) = one.do(Prepare(HIGH.place, NOWHERE))
    assert isinstance(opening, Opening)
    one = Person(LOW, ALICE, pins=(pin(HIGH, BOB),))
    one.memory.trust.forget(HIGH.address)
    assert one.do(Prepare(HIGH.place, NOWHERE)) == [FetchRecords(HIGH.place)]


def test_peers_of_one_loop_accept_only_so_many_together_and_answer_the_rest_with_silence() -> None:
    limits = KeyLimits(accept_host_rate=1.0, accept_host_burst=3)
    shared = host_bucket(limits)
    others = [Person(peer, BOB, limits=limits) for peer in SOME[:5]]
    for other in others:
        other.memory.accepting = shared
    pins = tuple(pin(peer, BOB) for peer in SOME[:5])
    one = Person(LOW, ALICE, pins=pins, limits=KeyLimits(window_initial=5))
    openings = [one.opening(other.peer) for other in others]
    answers = [other.answer(opening) for other, opening in zip(others, openings, strict=True)]
    assert [answer is not None for answer in answers] == [True, True, True, False, False]
    assert [dict(other.refusals) for other in others[2:]] == [{}, {"rate": 1}, {"rate": 1}]
    others[4].now = 1.0
    assert others[4].answer(openings[4]) is not None  # the same bytes again
    assert isinstance(Person(LOW, ALICE).memory.accepting, TokenBucket)


# Overload


class Slow:
    """Negotiators on a network that serves one first contact after the other: each takes longer the more are open."""

    def __init__(self, number: int, limits: KeyLimits, service: float) -> None:
        own = [peer_at(canonical_address("127.0.0.1", 41000 + port)) for port in range(number)]
        self.people = [Person(peer, ALICE, limits=limits) for peer in own]
        self.service = service
        self.free_at = 0.0
        self.now = 0.0
        self.open: dict[tuple[int, Peer], float] = {}
        self.most = 0
        self.took: list[float] = []
        self._agenda: list[tuple[float, int, Peer]] = []

    def ask(self, who: int, peer: Peer) -> None:
        self._carry_out(who, prepare(self.people[who], peer))

    def run(self) -> None:
        while self._agenda:
            self.now, who, peer = heapq.heappop(self._agenda)
            person = self.people[who]
            person.now = self.now
            self.took.append(self.now - self.open.pop((who, peer)))
            self._carry_out(who, refuse(person, peer))

    def _carry_out(self, who: int, outputs: list[NegotiatorOutput]) -> None:
        for output in outputs:
            if isinstance(output, Identify):
                self.open[who, output.peer] = self.now
                self.most = max(self.most, len(self.open))
                self.free_at = max(self.free_at, self.now) + self.service
                heapq.heappush(self._agenda, (self.free_at, who, output.peer))


@pytest.mark.parametrize("service", [0.001, 0.005, 0.02])
def test_a_flood_of_first_contacts_settles_with_few_of_them_open_at_any_time(service: float) -> None:
    number, each = 50, 100
    swarm = Slow(number, KeyLimits(handshake_seconds=10_000.0), service)
    for target in range(each):
        peer = peer_at(canonical_address("127.0.0.1", 42000 + target))
        for who in range(number):
            swarm.ask(who, peer)
    assert len(swarm.open) == number * KEYS.window_initial
    swarm.run()
    assert len(swarm.took) == number * each
    assert all(len(person.negotiator) == 0 for person in swarm.people)
    # What is served within a slow one's time, once more until the windows know of it, and at least one each.
    assert swarm.most <= max(2 * SLOW / service, number * KEYS.window_initial)
    late = sorted(swarm.took[len(swarm.took) // 2 :])
    assert late[len(late) // 2] <= max(2 * SLOW, number * KEYS.window_min * service)


def test_peers_of_one_loop_share_a_window_and_the_end_of_one_makes_room_for_another() -> None:
    limits = KeyLimits(window_initial=2, window_min=1)
    window = Window(limits)
    one, other = FirstContacts(limits, window), FirstContacts(limits, window)
    ask(one, range(3))
    ask(other, range(3))
    assert (begun(one), begun(other)) == ([0, 1], [])
    assert other.next_deadline() == KEYS.window_retry
    one.end(Place(0), 0.7)
    assert (begun(other, 0.7), begun(one, 0.7)) == ([0], [])
    one.close()
    assert (window.under_way, len(one), one.next_deadline()) == (1, 0, math.inf)
    assert begun(other, 0.8) == [1]


def test_one_that_is_still_under_way_after_a_second_halves_the_window() -> None:
    first = contacts()
    ask(first, [1])
    begun(first)
    ask(first, [2], SLOW + 0.1)
    assert begun(first, SLOW + 0.1) == [2]
    assert first.window == 2.0


def test_a_negotiator_that_begins_anew_gives_back_what_the_last_one_had_begun() -> None:
    one = Person(LOW, ALICE)
    prepare(one, SOME[0])
    assert one.memory.window.under_way == 1
    one.begin_anew()
    assert one.memory.window.under_way == 0


def test_contacts_that_bad_relays_hold_up_make_room_as_long_as_others_are_fast() -> None:
    window = Window(KEYS)
    before = window.size
    held_up = (KEYS.window_fast + KEYS.window_slow) / 2
    window.finished(held_up, 10.0)
    assert window.size == before, "when all are held up it may be load"
    window.finished(KEYS.window_fast / 2, 10.1)
    grown = window.size
    window.finished(held_up, 10.2)
    assert window.size > grown > before
    window.finished(held_up, 10.3 + KEYS.window_fast)
    assert window.size < grown + 1.0
