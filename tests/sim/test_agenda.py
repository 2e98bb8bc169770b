"""Virtual time: what is entered happens by time, then in the order of entering."""

from __future__ import annotations

from random import Random

import pytest

from cicada.sim.agenda import Agenda


def noted(agenda: Agenda, notes: list[tuple[float, object]]) -> None:
    """Enter a hundred things at ten times, in a random order."""
    rng = Random(1)
    for number in range(100):
        agenda.enter(float(rng.randrange(10)), lambda one, _: notes.append((agenda.now, one)), number)


def test_things_happen_by_time_and_at_one_time_in_the_order_of_entering() -> None:
    agenda, notes = Agenda(), list[tuple[float, object]]()
    noted(agenda, notes)
    while agenda.step():
        pass
    assert len(notes) == agenda.happened == 100
    assert notes == sorted(notes)


def test_running_to_a_time_lets_happen_what_is_entered_for_it_and_no_more() -> None:
    agenda, notes = Agenda(), list[tuple[float, object]]()
    noted(agenda, notes)
    agenda.run_to(4.0)
    assert {at for at, _ in notes} == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert agenda.now == 4.0
    assert agenda.next_at() == 5.0


def test_time_goes_on_where_nothing_happens_and_never_back() -> None:
    agenda, notes = Agenda(), list[tuple[float, object]]()
    agenda.run_to(7.0)
    assert agenda.now == 7.0
    agenda.enter(3.0, lambda one, other: notes.append((agenda.now, other)), None, "late")
    assert agenda.step()
    assert notes == [(7.0, "late")]
    assert not agenda.step()
    agenda.run_to(5.0)
    assert agenda.now == 7.0


def test_what_is_entered_while_running_happens_in_the_same_run() -> None:
    agenda, notes = Agenda(), list[tuple[float, object]]()

    def again(left: object, _: object) -> None:
        notes.append((agenda.now, left))
        if isinstance(left, int) and left:
            agenda.enter(agenda.now + 1.0, again, left - 1)

    agenda.enter(0.0, again, 3)
    agenda.run_to(2.0)
    assert notes == [(0.0, 3), (1.0, 2), (2.0, 1)]
    assert len(agenda) == 1


def test_going_round_in_circles_at_one_instant_ends_in_an_error() -> None:
    agenda = Agenda()

    def again(one: object, _: object) -> None:
        agenda.enter(agenda.now, again, one)

    agenda.enter(1.0, again, None)
    with pytest.raises(RuntimeError, match=r"at 1\.0 s"):
        agenda.run_to(2.0)


def test_much_may_happen_at_one_instant_when_much_was_entered_for_it() -> None:
    agenda, notes = Agenda(), list[int]()
    for number in range(100_000):
        agenda.enter(1.0, lambda one, _: notes.append(one), number)
    agenda.run_to(2.0)
    assert len(notes) == 100_000
