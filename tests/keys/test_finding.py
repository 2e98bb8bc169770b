"""Whose key is used, by what was proven and what was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address
from cicada.keys.finding import Found, NotFound, Search, Word, decide
from cicada.keys.io import RecordsFetched, Told
from cicada.keys.record import Record
from tests.keys.people import ALICE, BOB, EVE, HIGH, LOW, THIRD, WALL, Person, raw_record, record

TRUE, FALSE = record(BOB, HIGH), record(EVE, HIGH, WALL + 200_000)
NEWER = record(BOB, HIGH, WALL + 9)
BOBS, EVES = BOB.peer_id, EVE.peer_id


def said(*records: Record) -> list[Word]:
    return [Word(one, is_neighbour=True) for one in records]


@pytest.mark.parametrize(
    ("proven", "words", "wanted", "expected"),
    [
        (TRUE, [], 3, Found(TRUE)),
        (TRUE, said(TRUE, TRUE, TRUE), 3, Found(TRUE)),
        (TRUE, said(NEWER), 3, Found(TRUE)),
        (TRUE, said(FALSE), 3, Found(TRUE, (EVES,))),
        (TRUE, said(FALSE, FALSE, FALSE, FALSE), 3, Found(TRUE, (EVES,))),
        (TRUE, [Word(FALSE, is_neighbour=False)], 3, Found(TRUE, (EVES,))),
        (None, said(TRUE, TRUE, TRUE), 3, Found(TRUE)),
        (None, said(TRUE, NEWER, TRUE), 3, Found(NEWER)),
        (None, said(TRUE, TRUE), 3, NotFound("no-key")),
        (None, said(TRUE), 1, Found(TRUE)),
        (None, [], 0, NotFound("no-key")),
        (None, [Word(TRUE, is_neighbour=False)], 0, NotFound("no-key")),
        (
            None,
            [*said(TRUE, TRUE, TRUE), Word(FALSE, is_neighbour=False)],
            3,
            NotFound("conflict", (BOBS, EVES)),
        ),
        (None, said(TRUE, TRUE, TRUE, FALSE), 3, NotFound("conflict", (BOBS, EVES))),
        (None, said(FALSE), 3, NotFound("no-key")),
    ],
)
def test_the_proven_key_wins_and_without_one_enough_neighbours_must_agree(
    proven: Record | None, words: list[Word], wanted: int, expected: Found | NotFound
) -> None:
    found = decide(proven, words, wanted)
    if isinstance(expected, NotFound) and isinstance(found, NotFound):
        assert (found.reason, set(found.named)) == (expected.reason, set(expected.named))
    else:
        assert found == expected


@given(
    honest=st.integers(0, 6),
    liars=st.integers(0, 6),
    ahead=st.integers(0, 200_000),
    is_dialled=st.booleans(),
    wanted=st.integers(0, 3),
)
def test_no_lie_is_ever_used_unless_all_that_answer_tell_the_same_lie(
    honest: int, liars: int, ahead: int, is_dialled: bool, wanted: int
) -> None:
    lie = record(EVE, HIGH, WALL + ahead)
    found = decide(TRUE if is_dialled else None, said(*[TRUE] * honest, *[lie] * liars), wanted)
    if isinstance(found, Found) and found.record.signing_key != BOB.signing_public:
        assert not is_dialled
        assert honest == 0
        assert liars >= max(wanted, 1)
    if honest and liars:
        assert (isinstance(found, NotFound) and found.reason == "conflict") or (
            isinstance(found, Found) and found.named == (EVES,)
        )


def search(address: str = HIGH.address) -> Search:
    return Search(Person(LOW, ALICE).memory, HIGH.place, Address(address), 0.0, is_doubt=False)


def told(*answers: bytes, origin: Address = THIRD.address) -> RecordsFetched:
    return RecordsFetched(HIGH.place, tuple(Told(origin, answer, b"") for answer in answers), 1)


def test_a_search_waits_for_the_dial_and_for_the_neighbours() -> None:
    one = search()
    assert one.verdict() is None
    assert one.fetched(told(raw_record(BOB, HIGH))) is False
    assert one.verdict() is None
    one.dialled(raw_record(BOB, HIGH))
    assert one.verdict() == Found(record(BOB, HIGH))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no record",
        raw_record(BOB, THIRD),
        raw_record(BOB, HIGH, swarm="another"),
        raw_record(BOB, HIGH, WALL + 400_000),
        raw_record(BOB, HIGH)[:-1] + b"x",
    ],
    ids=["none", "garbage", "other address", "other swarm", "from the future", "forged"],
)
def test_what_is_no_record_of_the_place_says_nothing(answer: bytes) -> None:
    one = search()
    one.dialled(None)
    one.fetched(told(answer))
    assert one.verdict() == NotFound("no-key")


def test_a_proof_of_another_address_proves_nothing() -> None:
    one = search()
    one.dialled(raw_record(EVE, THIRD))
    one.fetched(told(raw_record(BOB, HIGH)))
    assert one.verdict() == Found(record(BOB, HIGH))


def test_a_place_without_an_address_is_dialled_where_any_record_of_it_says() -> None:
    assert search("").peer is None
    one = search("")
    assert one.fetched(told(b"", raw_record(EVE, HIGH))) is True
    assert one.peer == HIGH
    assert one.verdict() is None
    one.dialled(raw_record(BOB, HIGH))
    assert one.verdict() == Found(record(BOB, HIGH), (EVES,))


def test_a_place_of_which_nobody_knows_anything_has_no_key() -> None:
    one = search("")
    assert one.fetched(told(b"", b"")) is False
    assert one.verdict() == NotFound("no-key")
