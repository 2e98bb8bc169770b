"""Timers and contacts: deadlines, round trips and what is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Place
from cicada.limits import DeliveryLimits
from cicada.routing.contacts import Contacts
from cicada.routing.timers import Timers, earlier

HERE = Place(1)

operations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 5), st.integers(0, 20)),
        st.tuples(st.just("clear"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("pop"), st.integers(1, 3), st.integers(0, 20)),
    ),
    max_size=60,
)


@given(operations)
def test_timers_agree_with_a_dictionary(steps: list[tuple[str, int, int]]) -> None:
    timers = Timers()
    model: dict[int, float] = {}
    for what, key, value in steps:
        if what == "set":
            timers.set(key, float(value))
            model[key] = float(value)
        elif what == "clear":
            timers.clear(key)
            model.pop(key, None)
        else:
            due = sorted((when, key) for key, when in model.items() if when <= value)[:key]
            assert timers.pop_due(float(value), key) == [key for _, key in due]
            for _, gone in due:
                del model[gone]
        assert timers.next_deadline() == min(model.values(), default=None)
        assert len(timers) == len(model)


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [(None, None, None), (1.0, None, 1.0), (None, 2.0, 2.0), (1.0, 2.0, 1.0), (2.0, 1.0, 1.0)],
)
def test_the_earlier_of_two_deadlines_counts(
    one: float | None, other: float | None, first: float | None
) -> None:
    assert earlier(one, other) == first


def test_patience_is_the_round_trip_and_four_deviations() -> None:
    contacts = Contacts(DeliveryLimits(retry_first=1.0, retry_floor=0.1))
    contacts.measured(HERE, 0.1)
    assert contacts.patience(HERE, 1) == pytest.approx(0.3)  # 0.1 + 4 * 0.05


def test_patience_is_bounded_and_doubles_with_each_attempt() -> None:
    contacts = Contacts(DeliveryLimits(retry_first=1.0, retry_floor=0.5, retry_ceiling=3.0))
    assert [contacts.patience(HERE, attempt) for attempt in (1, 2, 3)] == [1.0, 2.0, 3.0]
    for _ in range(50):
        contacts.measured(HERE, 0.001)
    assert [contacts.patience(HERE, attempt) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 3.0]
    contacts.measured(HERE, 60.0)
    assert contacts.patience(HERE, 1) == 3.0


def test_the_destination_not_used_for_longest_is_forgotten_first() -> None:
    contacts = Contacts(DeliveryLimits(contacts=2, retry_floor=0.1))
    for place in (1, 2, 1, 3):
        contacts.measured(Place(place), 0.1)
    assert len(contacts) == 2
    unknown = contacts.patience(Place(4), 1)
    assert [contacts.patience(Place(place), 1) == unknown for place in (1, 2, 3)] == [False, True, False]
