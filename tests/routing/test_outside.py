"""How a hidden peer sends without being in the ring, and how others send to it: tables of relays, ways to homes, lookups."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.chord.io import FindOwner, LookupFailure, OwnerFound, OwnerNotFound
from cicada.ids import RING_SIZE, Peer, Place, hidden_address, peer_at, place_to_bytes
from cicada.limits import DELIVERY, LODGING, DeliveryLimits, LodgingLimits
from cicada.routing.finding import FindsForOthers, OwnFinds
from cicada.routing.homes import Homes
from cicada.routing.io import Forward, Locate, Located, RouterOutput
from cicada.routing.paths import Leg, Ways
from cicada.routing.table import OutsideTable, Routes, RoutingTable
from cicada.wire.routed import GetRecord, Lodging, LodgingFind, LodgingFound
from tests.routing.swarm import ideal_table, peers_at

MEMBERS: Final = peers_at(30600, 40)
OWN: Final = MEMBERS[0]
HIDDEN: Final = peer_at(hidden_address("5e" * 32))
RELAYS: Final = (MEMBERS[3], MEMBERS[17], MEMBERS[30])
GAP: Final = RING_SIZE // 40
places = st.integers(0, RING_SIZE - 1).map(Place)


def outside(*relays: Peer, gap: int = GAP) -> OutsideTable:
    return OutsideTable(HIDDEN, relays or RELAYS, gap)


def member_table() -> RoutingTable:
    routes = Routes(OWN, DELIVERY)
    routes.update(ideal_table(OWN, MEMBERS))
    table = routes.table()
    assert table is not None
    return table


def ways(
    homes: tuple[Peer, ...] = RELAYS, limits: DeliveryLimits = DELIVERY, lodger: Peer | None = None
) -> Ways:
    known = Homes()
    known.learn(HIDDEN.place, tuple(home.address for home in homes))
    return Ways(limits, Random(1), known, lambda place: lodger if place == HIDDEN.place else None)


# The table of a hidden peer


@given(place=places, relays=st.integers(1, 3))
def test_from_outside_there_is_a_relay_for_every_place_and_no_place_is_nobodys(
    place: Place, relays: int
) -> None:
    table = outside(*RELAYS[:relays])
    assert table.next_hop(place) in RELAYS[:relays]
    assert not table.nobody_at(place)
    hops = table.next_hops(place, 10)
    assert sorted(hops, key=RELAYS.index) == list(RELAYS[:relays])
    assert table.next_hops(place, 1) == hops[:1]
    assert set(table.next_hops(place, 10, exclude=hops[:1])) == set(hops[1:])


def test_a_relay_itself_is_reached_without_another() -> None:
    for relay in RELAYS:
        assert outside().next_hop(relay.place) == relay
        assert outside().next_hops(relay.place, 1) == (relay,)


@given(place=places, seed=st.binary(min_size=16, max_size=16), attempt=st.integers(1, 6))
def test_each_colour_has_a_relay_of_its_own_and_another_at_the_next_attempt(
    place: Place, seed: bytes, attempt: int
) -> None:
    def relay(attempt: int, colour: int) -> Peer | None:
        return outside().coloured_relay(place, seed + bytes((attempt, 4, colour)))

    assert {relay(attempt, colour) for colour in range(3)} == set(RELAYS)
    assert relay(attempt, 0) != relay(attempt + 1, 0)


def test_excluded_relays_are_not_taken_and_without_any_there_is_none() -> None:
    way = bytes(16) + bytes((1, 2, 0))
    assert outside().coloured_relay(5, way, exclude=RELAYS[:2]) == RELAYS[2]
    assert outside().coloured_relay(5, way, exclude=RELAYS) is None


def test_the_size_of_the_ring_is_what_the_relays_say() -> None:
    assert (outside().mean_gap(), outside().peers()) == (GAP, 40)
    assert outside(gap=0).peers() > 10**9


def test_routes_of_a_hidden_peer_are_its_relays_whatever_a_ring_says() -> None:
    routes = Routes(HIDDEN, DELIVERY)
    assert routes.table() is None
    routes.update(ideal_table(OWN, MEMBERS))
    assert routes.table() is None
    routes.lodge(RELAYS, GAP)
    table = routes.table()
    assert table is not None
    assert len(table) == len(RELAYS)
    routes.lodge((), 0)
    assert routes.table() is None


# Ways to homes


def homes_of(legs: tuple[Leg, ...]) -> list[Peer | None]:
    return [leg.home for leg in legs]


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_the_copies_of_the_first_attempt_go_to_different_relays(copies: int) -> None:
    legs = ways().fresh(member_table(), HIDDEN.place, copies)
    assert len(legs) == copies
    assert len(set(homes_of(legs))) == copies
    assert set(homes_of(legs)) <= set(RELAYS)


def test_another_attempt_begins_with_another_relay_and_has_the_place_itself_among_them() -> None:
    to = ways()
    firsts = [homes_of(to.fresh(member_table(), HIDDEN.place, 1, attempt))[0] for attempt in range(1, 7)]
    assert all(one != other for one, other in pairwise(firsts))
    assert set(firsts) == {*RELAYS, None}
    assert firsts[0] is not None
    later = homes_of(to.fresh(member_table(), HIDDEN.place, 4, 2))
    assert sorted(map(str, later)) == sorted(map(str, (*RELAYS, None)))


def test_more_copies_than_relays_go_to_them_in_turn() -> None:
    legs = ways(RELAYS[:2]).fresh(member_table(), HIDDEN.place, 4)
    assert sorted(homes_of(legs), key=str) == sorted(RELAYS[:2] * 2, key=str)


def test_a_relay_that_is_known_is_the_first_hop_itself() -> None:
    table = member_table()
    known = table.next_ones(1)[0]
    (leg,) = ways((known,)).fresh(table, HIDDEN.place, 1)
    assert (leg.hop, leg.home) == (known, known)


def test_a_leg_says_where_to_and_for_whom() -> None:
    question = GetRecord(
        target=place_to_bytes(HIDDEN.place), origin=OWN.address, hops=1, request=1, about=bytes(32)
    )
    taken = Leg(MEMBERS[1], b"", home=RELAYS[0]).take(question)
    assert isinstance(taken.message, GetRecord)
    assert taken.message.target == place_to_bytes(RELAYS[0].place)
    assert taken.message.lodging == Lodging(to=place_to_bytes(HIDDEN.place))
    plain = Leg(MEMBERS[1], b"").take(question)
    assert isinstance(plain.message, GetRecord)
    assert (plain.message.target, plain.message.lodging) == (question.target, None)


def test_who_lodges_here_gets_one_copy_over_its_link_however_many_were_asked_for() -> None:
    legs = ways(lodger=HIDDEN).fresh(member_table(), HIDDEN.place, 3)
    assert [(leg.hop, leg.home) for leg in legs] == [(HIDDEN, None)]


def test_relays_of_which_the_own_arc_says_that_they_are_gone_are_passed_by() -> None:
    table = member_table()
    nearest = table.next_ones(1)[0]
    gone = next(
        peer for peer in peers_at(31000, 3000) if table.nobody_at(peer.place)
    )  # strictly between the own peer and its head
    assert (gone.place - OWN.place) % RING_SIZE < (nearest.place - OWN.place) % RING_SIZE
    assert set(homes_of(ways((gone, RELAYS[0])).fresh(table, HIDDEN.place, 2))) == {RELAYS[0]}
    assert set(homes_of(ways((gone, OWN)).fresh(table, HIDDEN.place, 2))) == {None}


@pytest.mark.parametrize("changes", [{"coloured": False}, {"direct": False}])
def test_in_measurements_too_there_is_a_leg_for_each_copy(changes: dict[str, bool]) -> None:
    legs = ways(limits=DeliveryLimits(**changes)).fresh(member_table(), HIDDEN.place, 3)  # type: ignore[arg-type]
    assert set(homes_of(legs)) == set(RELAYS)
    assert all(leg.hop in MEMBERS for leg in legs)


# Lookups


def find(id: int) -> FindOwner:
    return FindOwner(id, Place(1000 + id), False)


def asked(outputs: list[RouterOutput]) -> tuple[Peer, LodgingFind]:
    (forward,) = outputs
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, LodgingFind)
    return forward.peer, forward.message


def found(request: int, reason: str = "") -> LodgingFound:
    owner, before = ("", "") if reason else (MEMBERS[5].address, MEMBERS[4].address)
    return LodgingFound(
        request=request, owner=owner, predecessor=before, route=(MEMBERS[3].address,), hops=1, reason=reason
    )


def test_a_lookup_is_asked_of_a_relay_and_answered_with_the_own_peer_before_its_route() -> None:
    finds = OwnFinds()
    relay, question = asked(finds.begin(find(7), RELAYS))
    assert question.place == place_to_bytes(find(7).place)
    assert finds.end(HIDDEN, relay, found(question.request)) == [
        OwnerFound(7, MEMBERS[5], MEMBERS[4], (HIDDEN, MEMBERS[3]), 2)
    ]
    assert finds.end(HIDDEN, relay, found(question.request)) == []
    assert len(finds) == 0


def test_different_relays_are_asked_in_turn() -> None:
    finds = OwnFinds()
    assert {asked(finds.begin(find(id), RELAYS))[0] for id in range(3)} == set(RELAYS)


def test_nobody_answers_for_a_relay_that_was_asked() -> None:
    finds = OwnFinds()
    relay, question = asked(finds.begin(find(7), RELAYS))
    stranger = next(each for each in RELAYS if each != relay)
    assert finds.end(HIDDEN, stranger, found(question.request)) == []
    assert finds.end(HIDDEN, relay, found(question.request + 1)) == []
    assert len(finds) == 1


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("timed-out", LookupFailure.TIMED_OUT),
        ("not-member", LookupFailure.NOT_MEMBER),
        ("??", LookupFailure.NO_ROUTE),
    ],
)
def test_why_a_lookup_failed_is_passed_on(reason: str, failure: LookupFailure) -> None:
    finds = OwnFinds()
    relay, question = asked(finds.begin(find(7), RELAYS))
    assert finds.end(HIDDEN, relay, found(question.request, reason)) == [OwnerNotFound(7, failure)]


def test_what_a_lost_relay_had_not_answered_is_asked_of_another_or_fails() -> None:
    finds = OwnFinds()
    relay, _ = asked(finds.begin(find(7), RELAYS))
    left = tuple(each for each in RELAYS if each != relay)
    assert finds.lose(left[0], RELAYS) == []
    again, question = asked(finds.lose(relay, left))
    assert again in left
    assert question.place == place_to_bytes(find(7).place)
    assert finds.lose(again, ()) == [OwnerNotFound(7, LookupFailure.NOT_MEMBER)]


def test_lookups_that_are_open_are_bounded_at_both_ends() -> None:
    limits = LodgingLimits(finds=4)
    own, others = OwnFinds(limits), FindsForOthers(limits)
    refused = []
    for id in range(6):
        refused += [output for output in own.begin(find(id), RELAYS) if isinstance(output, OwnerNotFound)]
        others.begin(HIDDEN, LodgingFind(request=id, place=bytes(32)))
        assert len(own) <= 4
        assert len(others) <= 4
    assert refused == [OwnerNotFound(id, LookupFailure.OVERLOADED) for id in range(2)]


def test_a_relay_looks_up_and_tells_whoever_asked() -> None:
    finds = FindsForOthers()
    (locate,) = finds.begin(HIDDEN, LodgingFind(request=7, place=place_to_bytes(Place(9))))
    assert locate == Locate(1, Place(9))
    route = tuple(MEMBERS[number % 40] for number in range(LODGING.route + 5))
    answer = OwnerFound(3, MEMBERS[5], MEMBERS[4], route, 20)
    (forward,) = finds.end(Located(1, answer))
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, LodgingFound)
    assert (forward.peer, forward.message.request, forward.message.owner) == (HIDDEN, 7, MEMBERS[5].address)
    assert len(forward.message.route) == LODGING.route
    assert finds.end(Located(1, answer)) == []


def test_a_relay_says_why_it_found_nobody() -> None:
    finds = FindsForOthers()
    finds.begin(HIDDEN, LodgingFind(request=7, place=bytes(32)))
    (forward,) = finds.end(Located(1, OwnerNotFound(3, LookupFailure.HOP_LIMIT)))
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, LodgingFound)
    assert (forward.message.reason, forward.message.owner, forward.message.route) == ("hop-limit", "", ())
