"""What is made of the records that replicas show, beside the same said slowly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from cicada.keys.identity import Identity
from cicada.services.namerecords import SignedRecord, rank_of, sign_name
from cicada.services.namevotes import Word, behind, count, should_yield
from cicada.sim.names import peer_number

PEOPLE = [Identity(bytes([number]) * 32, bytes([number + 100]) * 32) for number in range(1, 4)]


def record(person: int, sequence: int, *, release: bool = False) -> SignedRecord:
    address = "" if release else "10.0.0.2:5000"
    return sign_name(PEOPLE[person], "alice", address, "", sequence=sequence, now_ms=0, expires_ms=1000)


RECORDS = {
    (person, sequence, release): record(person, sequence, release=release)
    for person in range(3)
    for sequence in range(3)
    for release in (False, True)
}
HELD = st.none() | st.sampled_from(list(RECORDS.values()))
WORDS = st.lists(HELD, max_size=5)


def words(held: Sequence[SignedRecord | None]) -> list[Word]:
    return [Word(peer_number(number), one) for number, one in enumerate(held)]


def slow_leader(held: list[SignedRecord | None]) -> SignedRecord | None:
    """By trying each record shown: nothing newer of its key, no key that more replicas show, no equal one of smaller rank."""
    shown = [one for one in held if one is not None]

    def is_newest(one: SignedRecord) -> bool:
        return not any(
            other.record.signing_key == one.record.signing_key and other.age > one.age for other in shown
        )

    def backing(one: SignedRecord) -> int:
        return sum(other.record.signing_key == one.record.signing_key for other in shown)

    live = [one for one in shown if is_newest(one) and not one.record.is_release]
    best = [
        one
        for one in live
        if all(
            (-backing(one), rank_of(one.record)) <= (-backing(other), rank_of(other.record)) for other in live
        )
    ]
    return best[0] if best else None


@given(WORDS)
def test_the_leader_is_the_one_that_a_slow_search_finds(held: list[SignedRecord | None]) -> None:
    assert count(words(held)).leader == slow_leader(held)


@given(st.lists(HELD, max_size=4))
def test_the_order_of_answers_does_not_matter(held: list[SignedRecord | None]) -> None:
    assert len({repr(count(words(order))) for order in permutations(held)}) == 1


@given(
    st.lists(st.none() | st.sampled_from([RECORDS[0, sequence, False] for sequence in range(3)]), max_size=4)
)
def test_one_replica_with_the_newest_record_outweighs_all_that_show_older_ones_or_none(
    others: list[SignedRecord | None],
) -> None:
    newest = record(0, 9)
    for at in range(len(others) + 1):
        said = words([*others[:at], newest, *others[at:]])
        assert count(said).leader == newest
        assert len(behind(said, newest)) == len(others)


def test_a_release_outweighs_the_records_before_it_and_none_after_it() -> None:
    given_back = RECORDS[0, 1, True]
    assert count(words([RECORDS[0, 0, False], RECORDS[0, 0, False], given_back])).leader is None
    assert count(words([RECORDS[0, 0, False], given_back])).newest == given_back
    assert count(words([RECORDS[0, 2, False], given_back])).leader == RECORDS[0, 2, False]
    assert count(words([RECORDS[1, 0, False], given_back, given_back])).leader == RECORDS[1, 0, False]


def test_a_replica_yields_to_most_or_to_a_smaller_rank_when_all_have_spoken() -> None:
    one, other = sorted((RECORDS[0, 0, False], RECORDS[1, 0, False]), key=lambda held: rank_of(held.record))
    assert should_yield(one, count(words([one, other, other])), 3, 3)
    assert should_yield(other, count(words([one, other])), 2, 2)
    assert not should_yield(one, count(words([one, other])), 2, 2)
    assert not should_yield(other, count(words([one, other])), 3, 2)  # the third may have either
    assert not should_yield(other, count(words([other, other, one])), 3, 3)
    assert not should_yield(one, count(words([one, one, None])), 3, 3)


def test_whoever_names_another_key_is_not_behind() -> None:
    said = words([RECORDS[0, 1, False], RECORDS[1, 0, False], None, RECORDS[0, 0, False]])
    assert behind(said, RECORDS[0, 1, False]) == [peer_number(2), peer_number(3)]
