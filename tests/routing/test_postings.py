"""Records of hidden peers spread from whoever is nearest before their place, once, when they are authentic, and copies never do."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.ids import Peer, Place, hidden_address, peer_at, place_from_bytes, place_to_bytes
from cicada.keys.io import KeepRecord, RecordKept
from cicada.limits import DELIVERY, LODGING, LodgingLimits
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.postings import Postings
from cicada.routing.table import Routes, RoutingTable
from cicada.wire.routed import Lodging, PutRecord
from tests.routing.swarm import ideal_table, peers_at

MEMBERS: Final = peers_at(30300, 30)
OWN: Final = MEMBERS[0]
SHE: Final = peer_at(hidden_address("5e" * 32))


def table(said: TableChanged) -> RoutingTable:
    routes = Routes(OWN, DELIVERY)
    routes.update(said)
    found = routes.table()
    assert found is not None
    return found


TABLE: Final = table(ideal_table(OWN, MEMBERS))


def put(record: bytes = b"record", about: Place = SHE.place, *, is_copy: bool = False) -> PutRecord:
    return PutRecord(
        target=place_to_bytes(about),
        origin=SHE.address,
        hops=5,
        way=bytes(17) + b"\x04\x01",
        lodging=Lodging(home=MEMBERS[9].address),
        about=place_to_bytes(about),
        record=record,
        is_copy=is_copy,
    )


class Keeper:
    """Postings of OWN, and a negotiator that finds every record authentic, except junk."""

    def __init__(self, limits: LodgingLimits = LODGING, table: RoutingTable | None = TABLE) -> None:
        self.counts: Counter[str] = Counter()
        self.postings = Postings(OWN, self.counts, limits)
        self.table = table
        self.checked = 0

    def take(self, put: PutRecord, now: float, sender: Peer = MEMBERS[29]) -> list[tuple[Peer, PutRecord]]:
        """The copies that leave."""
        copies = []
        for output in self.postings.take(put, sender, now):
            assert isinstance(output, KeepRecord)
            self.checked += 1
            if output.record != b"junk":
                kept = RecordKept(output.ticket, place_from_bytes(put.about), (MEMBERS[9].address,))
                copies += spread(self.postings.kept(kept, self.table, now))
        return copies


def spread(outputs: list[RouterOutput]) -> list[tuple[Peer, PutRecord]]:
    found = []
    for output in outputs:
        assert isinstance(output, Forward)
        assert isinstance(output.message, PutRecord)
        found.append((output.peer, output.message))
    return found


def test_a_record_that_was_checked_is_handed_to_those_after_the_place_as_a_copy() -> None:
    copies = Keeper().take(put(), 0.0)
    assert [peer for peer, _ in copies] == list(MEMBERS[1 : 1 + LODGING.keepers])
    for peer, copy in copies:
        expected = replace(put(), origin=OWN.address, hops=1, way=b"", lodging=None, is_copy=True)
        assert copy == replace(expected, target=place_to_bytes(peer.place))


def test_the_same_record_from_several_relays_spreads_once_and_a_newer_one_at_once() -> None:
    keeper = Keeper()
    assert keeper.take(put(), 0.0)
    assert keeper.take(put(), 0.1) == []
    assert keeper.take(put(b"newer"), 0.2)
    assert keeper.take(put(b"newer"), 0.3) == []
    assert keeper.checked == 2


def test_published_again_after_a_while_it_spreads_again_because_neighbours_come_and_go() -> None:
    keeper = Keeper()
    keeper.take(put(), 0.0)
    assert keeper.take(put(), LODGING.publishing / 2 - 0.1) == []
    assert keeper.take(put(), LODGING.publishing / 2)


def test_copies_are_kept_and_never_spread_and_checked_once_in_a_while() -> None:
    keeper = Keeper()
    for now in (0.0, 0.1, LODGING.publishing / 2 - 0.1, 100.0, 1000.0, 1000.1):
        assert keeper.take(put(is_copy=True), now) == []
        assert keeper.postings.has(SHE.place, now)
    assert keeper.checked == 3


@pytest.mark.parametrize("earlier", [b"record", b"older"])
def test_a_copy_that_came_first_does_not_stop_the_record_from_spreading(earlier: bytes) -> None:
    keeper = Keeper()
    if earlier == b"older":
        assert keeper.take(put(earlier), 99.9)
    keeper.take(put(is_copy=True), 100.0)
    assert len(keeper.take(put(), 100.1)) == LODGING.keepers


def test_outside_the_ring_it_is_kept_and_goes_nowhere() -> None:
    keeper = Keeper(table=None)
    assert keeper.take(put(), 0.0) == []
    assert keeper.postings.has(SHE.place, 0.0)


def test_a_ring_of_one_hands_it_to_nobody() -> None:
    keeper = Keeper(table=table(TableChanged(head=OWN, predecessor=OWN, known=())))
    assert keeper.take(put(), 0.0) == []
    assert keeper.postings.has(SHE.place, 0.0)


def test_it_is_known_that_a_record_was_put_for_as_long_as_a_voucher_lives() -> None:
    keeper = Keeper()
    assert not keeper.postings.has(SHE.place, 0.0)
    keeper.take(put(), 5.0)
    assert keeper.postings.has(SHE.place, 5.0 + LODGING.voucher_seconds - 0.1)
    assert not keeper.postings.has(SHE.place, 5.0 + LODGING.voucher_seconds)
    assert not keeper.postings.has(OWN.place, 5.0)


# Whoever would have others send, or be silent, by what he puts


def test_what_is_not_authentic_goes_nowhere_and_is_not_remembered() -> None:
    keeper = Keeper()
    assert keeper.take(put(b"junk"), 0.0) == []
    assert not keeper.postings.has(SHE.place, 0.0)
    assert len(keeper.postings) == 0
    assert keeper.take(put(), 0.1), "and does not stand in the way of what is"


def test_a_record_put_about_another_place_than_its_own_goes_nowhere() -> None:
    postings = Postings(OWN, Counter())
    (question,) = postings.take(put(about=Place(7)), MEMBERS[29], 0.0)
    assert isinstance(question, KeepRecord)
    assert postings.kept(RecordKept(question.ticket, SHE.place, ()), TABLE, 0.0) == []
    assert not postings.has(SHE.place, 0.0)
    assert not postings.has(Place(7), 0.0)


def test_an_answer_counts_once_and_only_to_what_was_asked() -> None:
    postings = Postings(OWN, Counter())
    (question,) = postings.take(put(), MEMBERS[29], 0.0)
    assert isinstance(question, KeepRecord)
    kept = RecordKept(question.ticket, SHE.place, ())
    assert postings.kept(replace(kept, ticket=question.ticket + 1), TABLE, 0.0) == []
    assert postings.kept(kept, TABLE, 0.0)
    assert postings.kept(kept, TABLE, 100.0) == []


def test_one_neighbour_has_so_many_checked_and_takes_nothing_from_the_others() -> None:
    keeper = Keeper()
    for number in range(10 * LODGING.put_burst):
        keeper.take(put(b"junk", Place(number)), 0.0, MEMBERS[28])
    assert keeper.checked == LODGING.put_burst
    assert keeper.counts == {"dropped:record-rate": 9 * LODGING.put_burst}
    assert keeper.take(put(), 0.0, MEMBERS[29])
    keeper.take(put(b"junk", Place(0)), 1.0 / LODGING.put_rate, MEMBERS[28])
    assert keeper.checked == LODGING.put_burst + 2


def test_of_what_nobody_finds_authentic_little_is_held() -> None:
    limits = LodgingLimits(puts=3)
    postings = Postings(OWN, Counter(), limits)
    tickets = []
    for number in range(5):
        (question,) = postings.take(put(about=Place(number)), MEMBERS[number], 0.0)
        assert isinstance(question, KeepRecord)
        tickets.append(question.ticket)
    spreading = [
        bool(postings.kept(RecordKept(ticket, Place(number), ()), TABLE, 0.0))
        for number, ticket in enumerate(tickets)
    ]
    assert spreading == [False, False, True, True, True]


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.binary(max_size=2), st.booleans(), st.floats(0, 50)), max_size=60
    )
)
def test_whatever_is_put_what_is_remembered_and_what_leaves_stays_bounded(
    puts: list[tuple[int, bytes, bool, float]],
) -> None:
    keeper = Keeper(LodgingLimits(records=4))
    now = 0.0
    order: list[int] = []
    for number, record, is_copy, pause in puts:
        now += pause
        before = keeper.checked
        copies = keeper.take(put(record, Place(number), is_copy=is_copy), now)
        if keeper.checked > before:
            order = [each for each in order if each != number] + [number]
        assert len(keeper.postings) == min(len(order), 4)
        assert len(copies) in (0, LODGING.keepers)
        assert not (copies and is_copy)
        assert all(copy.is_copy and place_from_bytes(copy.about) == number for _, copy in copies)
