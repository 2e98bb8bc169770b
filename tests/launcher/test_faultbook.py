"""The book of faults: what is set, what ends by which words or at which time, and what workers are told."""

from __future__ import annotations

import math

import pytest

from cicada.commands import AnyFault, Delay, Drop, Duplicate, Freeze, Partition
from cicada.errors import Misuse
from cicada.ids import Address
from launcher.faults.book import ActiveFault, FaultBook, check

NOW = 50.0
NAMES = tuple(f"core-{number}" for number in range(6))


def address_of(name: str) -> Address:
    return Address(f"127.0.0.1:{1000 + int(name.removeprefix('core-'))}")


def pair(book: FaultBook, fault: AnyFault) -> ActiveFault:
    return book.enter(fault, peers=NAMES[:2], others=NAMES[2:4], now=NOW)


def numbers(ended: list[ActiveFault]) -> list[int]:
    return [active.number for active in ended]


def test_the_table_has_the_addresses_and_the_effect_of_every_fault_between_peers() -> None:
    book = FaultBook()
    for fault in (
        Partition(one="a", other="b"),
        Delay(one="a", other="b", seconds=0.5, jitter=0.1),
        Drop(one="a", other="b", percent=10.0),
        Duplicate(one="a", other="b", percent=20.0),
    ):
        pair(book, fault)
    book.enter(Freeze(select="core-5"), peers=("core-5",), now=NOW)
    table = book.table(address_of)
    assert len(table.rules) == 4
    verdict = table.verdict(address_of("core-0"), address_of("core-3"))
    assert (verdict.cut, verdict.delay, verdict.jitter) == (True, 0.5, 0.1)
    assert verdict.drop == pytest.approx(0.1)
    assert verdict.duplicate == pytest.approx(0.2)
    assert not table.about(address_of("core-5")).rules


def test_a_row_says_everything_about_a_fault() -> None:
    book = FaultBook()
    pair(book, Delay(one="a", other="b", seconds=0.5, jitter=0.1, lasts=30.0))
    book.enter(Freeze(select="worker-1"), peers=NAMES[:3], workers=("worker-1",), now=NOW + 5)
    delay, freeze = book.rows(NOW + 10)
    assert (delay.fault, delay.kind, delay.one, delay.other) == (1, "delay", "a", "b")
    assert (delay.peers, delay.others, delay.seconds, delay.jitter) == (NAMES[:2], NAMES[2:4], 0.5, 0.1)
    assert (delay.age_s, delay.left_s) == (10.0, 20.0)
    assert (freeze.fault, freeze.kind, freeze.one, freeze.other, freeze.left_s) == (
        *(2, "freeze", "worker-1", ""),
        None,
    )


@pytest.mark.parametrize(
    ("one", "other", "ended"),
    [
        ("", "", [1, 2, 3]),
        ("a", "b", [1, 2]),
        ("b", "a", [1, 2]),
        ("a", "", [1, 2, 3]),
        ("b", "", [1, 2]),
        ("a", "c", []),
        ("c", "", []),
    ],
)
def test_faults_end_by_the_names_of_their_sides_either_way_round(
    one: str, other: str, ended: list[int]
) -> None:
    book = FaultBook()
    pair(book, Partition(one="a", other="b"))
    pair(book, Drop(one="b", other="a", percent=5.0))
    pair(book, Partition(one="a"))
    book.enter(Freeze(select="a"), peers=("core-1",), now=NOW)
    assert numbers(book.end_between(one, other)) == ended
    assert [row.fault for row in book.rows(NOW)] == [n for n in (1, 2, 3, 4) if n not in ended]


def test_a_fault_that_was_to_last_ends_when_its_time_is_over_and_no_other_does() -> None:
    book = FaultBook()
    assert book.next_end() == math.inf
    pair(book, Partition(one="a", other="b"))
    pair(book, Partition(one="a", other="b", lasts=5.0))
    book.enter(Freeze(select="a", lasts=3.0), peers=("core-1",), now=NOW)
    assert book.next_end() == NOW + 3.0
    assert numbers(book.end_due(NOW + 2.9)) == []
    assert numbers(book.end_due(NOW + 5.0)) == [2, 3]
    assert book.next_end() == math.inf


def test_a_freeze_can_be_ended_for_some_of_its_peers() -> None:
    book = FaultBook()
    book.enter(Freeze(select="core"), peers=NAMES[:3], now=NOW)
    (part,) = book.end_freezes({"core-1", "core-9"}, ())
    assert part.peers == ("core-1",)
    assert book.frozen_peers == {"core-0", "core-2"}
    (rest,) = book.end_freezes(set(NAMES), ())
    assert rest.peers == ("core-0", "core-2")
    assert book.rows(0.0) == ()


def test_a_peer_that_two_freezes_name_stands_still_until_both_have_ended() -> None:
    book = FaultBook()
    book.enter(Freeze(select="core-1", lasts=1.0), peers=("core-1",), now=NOW)
    book.enter(Freeze(select="core"), peers=NAMES[:2], now=NOW)
    book.end_due(NOW + 1.0)
    assert book.frozen_peers == {"core-0", "core-1"}


def test_a_frozen_worker_is_thawed_as_a_whole_only() -> None:
    book = FaultBook()
    book.enter(Freeze(select="worker-1"), peers=NAMES[:3], workers=("worker-1",), now=NOW)
    assert book.frozen_workers == {"worker-1"}
    assert not book.frozen_peers
    assert book.end_freezes(set(NAMES), ()) == []
    (ended,) = book.end_freezes((), {"worker-1"})
    assert ended.peers == NAMES[:3]
    assert book.rows(0.0) == ()


def test_of_two_frozen_workers_one_goes_on_and_the_other_stands_still() -> None:
    book = FaultBook()
    both = ("worker-0", "worker-1")
    book.enter(Freeze(select=",".join(both)), peers=NAMES[:4], workers=both, now=NOW)
    (part,) = book.end_freezes(set(NAMES[:2]), {"worker-0"})
    assert (part.peers, part.workers) == (NAMES[:2], ("worker-0",))
    assert book.frozen_workers == {"worker-1"}
    (row,) = book.rows(NOW)
    assert row.peers == NAMES[2:4]
    (rest,) = book.end_freezes((), {"worker-1"})
    assert rest.peers == NAMES[2:4]
    assert book.rows(NOW) == ()


def test_a_frozen_worker_without_peers_can_be_thawed_too() -> None:
    book = FaultBook()
    book.enter(Freeze(select="worker-1"), peers=(), workers=("worker-1",), now=NOW)
    assert numbers(book.end_freezes((), {"worker-1"})) == [1]
    assert book.rows(0.0) == ()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Freeze(select="a", lasts=0.0), "cannot last 0 s"),
        (Freeze(select="a", lasts=math.inf), "cannot last"),
        (Freeze(select="a", lasts=math.nan), "cannot last"),
        (Drop(one="a", percent=0.0), "0%"),
        (Drop(one="a", percent=math.nan), "nan%"),
        (Duplicate(one="a", percent=100.1), "at most 100%"),
        (Delay(one="a", seconds=0.0), "more than 0"),
        (Delay(one="a", seconds=-0.1, jitter=1.0), "more than 0"),
        (Delay(one="a", seconds=50.0, jitter=11.0), "at most 60 s"),
        (Delay(one="a", seconds=math.nan), "more than 0"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(fault: AnyFault, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        check(fault)


@pytest.mark.parametrize(
    "fault",
    [
        Freeze(select="a", lasts=0.1),
        Partition(one="a"),
        Drop(one="a", percent=100.0),
        Delay(one="a", seconds=0.0, jitter=0.1),
        Delay(one="a", seconds=60.0),
    ],
)
def test_numbers_at_their_bounds_are_taken(fault: AnyFault) -> None:
    check(fault)
