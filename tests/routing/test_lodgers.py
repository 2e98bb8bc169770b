"""Being a relay: whom a member takes in, how many, and whom it dials for them."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, Peer, hidden_address, peer_at, place_from_bytes
from cicada.keys.io import Vouch, Vouched
from cicada.limits import DELIVERY, LODGING
from cicada.routing.io import DialBack, Forward, Keep, LodgingHeard, RouterOutput
from cicada.routing.lodgers import Lodgers
from cicada.routing.table import Routes
from cicada.transport.linkio import Need
from cicada.wire.routed import LodgingGranted, LodgingRefused, LodgingRequest
from tests.routing.swarm import ideal_table, peers_at

MEMBERS: Final = peers_at(30200, 30)
OWN: Final = MEMBERS[0]
SOURCES: Final = [f"203.0.114.{number}" for number in range(40)]


def hidden(number: int) -> Peer:
    return peer_at(hidden_address(f"{number:064x}"))


def lodgers(own: Peer = OWN, members: tuple[Peer, ...] = MEMBERS) -> Lodgers:
    routes = Routes(own, DELIVERY)
    if members:
        routes.update(ideal_table(own, members))
    return Lodgers(own, routes, Random(1))


def ask(
    house: Lodgers,
    peer: Peer,
    source: str = SOURCES[0],
    request: int = 1,
    candidate: str = "",
    now: float = 0.0,
) -> list[RouterOutput]:
    asked = LodgingRequest(request=request, candidate=candidate)
    return house.on_request(LodgingHeard(peer, asked, source), asked, now)


def refusal(outputs: list[RouterOutput]) -> LodgingRefused:
    (forward,) = outputs
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, LodgingRefused)
    return forward.message


def is_taken(outputs: list[RouterOutput]) -> bool:
    return any(isinstance(output, Vouch) for output in outputs)


def test_a_hidden_peer_is_kept_and_gets_the_voucher_others_to_ask_and_the_gap() -> None:
    house = lodgers()
    keep, vouch = ask(house, hidden(1), request=44)
    assert keep == Keep(frozenset({hidden(1)}), Need.LODGING)
    assert isinstance(vouch, Vouch)
    assert vouch.lodger == hidden(1).address
    (forward,) = house.on_vouched(Vouched(vouch.ticket, b"signed"))
    assert isinstance(forward, Forward)
    granted = forward.message
    assert isinstance(granted, LodgingGranted)
    assert (forward.peer, granted.request, granted.voucher) == (hidden(1), 44, b"signed")
    assert len(granted.others) == LODGING.named == len(set(granted.others))
    assert set(granted.others) <= {peer.address for peer in MEMBERS[1:]}
    routes = Routes(OWN, DELIVERY)
    routes.update(ideal_table(OWN, MEMBERS))
    table = routes.table()
    assert table is not None
    assert place_from_bytes(granted.gap) == table.mean_gap()
    assert house.at(hidden(1).place) == hidden(1)
    assert house.at(hidden(2).place) is None


def test_a_ring_of_one_names_the_widest_gap_and_nobody_else() -> None:
    house = lodgers(members=(OWN,))
    vouch = ask(house, hidden(1))[-1]
    assert isinstance(vouch, Vouch)
    (forward,) = house.on_vouched(Vouched(vouch.ticket, b"signed"))
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, LodgingGranted)
    assert (forward.message.others, forward.message.gap) == ((), b"\xff" * 32)


def test_a_lodger_that_asks_again_gets_a_new_voucher_and_keeps_its_place() -> None:
    house = lodgers()
    first = ask(house, hidden(1))[-1]
    (again,) = ask(house, hidden(1), request=2)
    assert isinstance(first, Vouch)
    assert isinstance(again, Vouch)
    assert again.ticket != first.ticket
    assert len(house) == 1


def test_who_asks_again_keeps_its_place_when_all_are_taken() -> None:
    house = lodgers()
    for number in range(LODGING.lodgers):
        assert is_taken(ask(house, hidden(number), "local"))
    assert is_taken(ask(house, hidden(0), "local"))
    refused = refusal(ask(house, hidden(999), "local", request=5, now=1.0))
    assert (refused.reason, refused.request) == ("full", 5)
    assert len(refused.others) == LODGING.named
    assert len(house) == LODGING.lodgers
    assert house.counts == {"lodging-refused:full": 1}


def test_one_source_has_four_places_and_this_machine_as_many_as_there_are() -> None:
    house = lodgers()
    for number in range(LODGING.lodgers_per_source):
        assert is_taken(ask(house, hidden(number), SOURCES[0]))
    assert refusal(ask(house, hidden(50), SOURCES[0])).reason == "crowded"
    assert is_taken(ask(house, hidden(0), SOURCES[0]))
    assert is_taken(ask(house, hidden(51), SOURCES[1]))
    for number, source in enumerate(("local", "127.0.0.1", "127.3.2.1", "::1") * 3):
        assert is_taken(ask(house, hidden(100 + number), source))
    house.on_lost(hidden(0))
    assert is_taken(ask(house, hidden(50), SOURCES[0]))


@pytest.mark.parametrize("source", ["", "2001:db8:1::/64", "junk"])
def test_a_source_that_is_no_address_of_this_machine_is_held_to_its_places(source: str) -> None:
    house = lodgers()
    for number in range(LODGING.lodgers_per_source):
        assert is_taken(ask(house, hidden(number), source))
    assert refusal(ask(house, hidden(50), source)).reason == "crowded"


def test_when_all_places_are_taken_the_first_of_the_newcomers_makes_way_and_is_told() -> None:
    house = lodgers()
    for number in range(LODGING.lodgers):
        ask(house, hidden(number), "local")
    ask(
        house, hidden(LODGING.lodgers - LODGING.newcomers), "local", now=1.0
    )  # asking again makes nobody older
    early = LODGING.newcomer_seconds - 0.1
    assert refusal(ask(house, hidden(100), "local", now=early)).reason == "full"
    late = LODGING.newcomer_seconds
    for turn in range(LODGING.newcomers):
        first = hidden(LODGING.lodgers - LODGING.newcomers + turn)
        keep, told, vouch = ask(house, hidden(100 + turn), "local", now=late)
        assert isinstance(keep, Keep)
        assert isinstance(vouch, Vouch)
        assert first not in keep.peers
        assert hidden(100 + turn) in keep.peers
        assert isinstance(told, Forward)
        assert isinstance(told.message, LodgingRefused)
        assert (told.peer, told.message.request, told.message.reason) == (first, 0, "full")
    assert refusal(ask(house, hidden(200), "local", now=late)).reason == "full"
    assert all(house.at(hidden(n).place) for n in range(LODGING.lodgers - LODGING.newcomers))


def test_who_has_all_places_of_its_source_makes_nobody_go() -> None:
    house = lodgers()
    for number in range(LODGING.lodgers):
        ask(house, hidden(number), SOURCES[0] if number < LODGING.lodgers_per_source else "local")
    assert refusal(ask(house, hidden(99), SOURCES[0], now=LODGING.newcomer_seconds)).reason == "crowded"
    assert len(house) == LODGING.lodgers


@given(asks=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 29), st.booleans()), max_size=150))
def test_however_they_come_and_go_the_places_are_bounded(asks: list[tuple[int, int, bool]]) -> None:
    house = lodgers()
    sources: dict[int, str] = {}
    for number, source, leaves in asks:
        if leaves:
            house.on_lost(hidden(number))
            sources.pop(number, None)
        elif is_taken(ask(house, hidden(number), SOURCES[source])):
            sources[number] = SOURCES[source]
        assert len(house) == len(sources) <= LODGING.lodgers
        beside = list(sources.values())
        assert all(beside.count(each) <= LODGING.lodgers_per_source for each in beside)


def test_only_members_take_in_and_only_hidden_peers_are_taken_in() -> None:
    assert refusal(ask(lodgers(members=()), hidden(1))).reason == "not-member"
    assert refusal(ask(lodgers(members=()), hidden(1))).others == ()
    assert refusal(ask(lodgers(), MEMBERS[4])).reason == "not-hidden"
    assert refusal(ask(lodgers(own=hidden(7), members=()), hidden(1))).reason == "not-hidden"


def test_who_leaves_is_not_kept_and_gets_no_voucher_that_was_being_signed() -> None:
    house = lodgers()
    vouch = ask(house, hidden(1))[-1]
    ask(house, hidden(2))
    assert house.on_lost(hidden(1)) == [Keep(frozenset({hidden(2)}), Need.LODGING)]
    assert house.on_lost(hidden(1)) == []
    assert house.on_lost(MEMBERS[3]) == []
    assert isinstance(vouch, Vouch)
    assert house.on_vouched(Vouched(vouch.ticket, b"signed")) == []
    assert house.on_vouched(Vouched(4711, b"signed")) == []


def test_without_any_link_nobody_lodges_here() -> None:
    house = lodgers()
    ask(house, hidden(1))
    assert house.on_links_lost() == [Keep(frozenset(), Need.LODGING)]
    assert house.on_links_lost() == []
    assert len(house) == 0
    assert is_taken(ask(house, hidden(1)))


@pytest.mark.parametrize("peer", [hidden(7), MEMBERS[4]], ids=["hidden", "member"])
def test_one_source_that_asks_too_often_leaves_others_their_answers(peer: Peer) -> None:
    house = lodgers()
    for number in range(LODGING.lodgers_per_source):
        ask(house, hidden(number), SOURCES[0])
    answered = sum(bool(ask(house, peer, SOURCES[0])) for _ in range(1000))
    assert answered == LODGING.stranger_burst - LODGING.lodgers_per_source
    assert house.counts["dropped:lodging-rate"] == 1000 - answered
    assert is_taken(ask(house, hidden(100), SOURCES[1]))
    assert is_taken(ask(house, hidden(101), "local"))
    assert ask(house, hidden(0), SOURCES[0])  # it lodges here: it has a rate of its own


def test_one_peer_of_this_machine_that_asks_too_often_leaves_the_others_their_answers() -> None:
    house = lodgers()
    for _ in range(1000):
        ask(house, MEMBERS[4], "127.0.0.1")
    assert is_taken(ask(house, hidden(1), "127.0.0.1"))


def test_who_does_not_ask_again_before_its_voucher_ends_has_no_place_any_more() -> None:
    """Its link may stand: it lives, and lodges elsewhere."""
    house = lodgers()
    for number in range(LODGING.lodgers):
        ask(house, hidden(number), "local")
    half = LODGING.voucher_seconds / 2
    ask(house, hidden(0), "local", now=half)
    assert len(house) == LODGING.lodgers
    keep, vouch = ask(house, hidden(99), "local", now=2 * half)
    assert keep == Keep(frozenset({hidden(0), hidden(99)}), Need.LODGING)
    assert isinstance(vouch, Vouch)
    keep, _ = ask(house, MEMBERS[3], now=4 * half)
    assert keep == Keep(frozenset(), Need.LODGING)


def test_vouchers_that_nobody_signs_are_forgotten() -> None:
    house = lodgers()
    first = ask(house, hidden(1))[-1]
    for number in range(2 * LODGING.lodgers):
        assert is_taken(ask(house, hidden(1), request=number, now=number / LODGING.request_rate))
    assert isinstance(first, Vouch)
    assert house.on_vouched(Vouched(first.ticket, b"signed")) == []


@pytest.mark.parametrize(
    ("candidate", "source", "is_dialled"),
    [
        ("203.0.114.7:50000", "203.0.114.7", True),
        ("203.0.114.7:50000", "203.0.114.8", False),
        ("203.0.114.7:50000", "127.0.0.1", False),
        ("203.0.114.7:50000", "local", False),
        ("127.0.0.1:50000", "local", True),
        ("127.0.0.2:50000", "127.0.0.1", True),
        ("127.0.0.1:50000", "203.0.114.7", False),
        ("203.0.114.7:50000", "", False),
        ("[2001:db8::7]:50000", "2001:db8::/64", False),
    ],
)
def test_a_candidate_is_dialled_back_only_when_it_is_of_the_host_that_asks(
    candidate: str, source: str, is_dialled: bool
) -> None:
    outputs = ask(lodgers(), hidden(1), source, candidate=candidate)
    dialled = [output for output in outputs if isinstance(output, DialBack)]
    assert dialled == ([DialBack(peer_at(Address(candidate)))] if is_dialled else [])
    assert is_taken(outputs)


def test_nobody_has_more_dialled_at_one_source_by_coming_again_or_as_another_one() -> None:
    house = lodgers()
    dialled = 0
    for number in range(60):
        peer = hidden(number % 6)
        outputs = ask(house, peer, SOURCES[0], candidate=f"{SOURCES[0]}:{5000 + number}", now=number / 100)
        dialled += sum(isinstance(output, DialBack) for output in outputs)
        house.on_lost(peer)
    assert dialled == LODGING.lodgers_per_source
    outputs = ask(house, hidden(9), SOURCES[1], candidate=f"{SOURCES[1]}:5000", now=0.6)
    assert any(isinstance(output, DialBack) for output in outputs)


def test_no_hidden_peer_is_named_to_others() -> None:
    house = lodgers()
    for number in range(10):
        ask(house, hidden(number), SOURCES[number])
    named = refusal(ask(house, MEMBERS[3])).others
    assert set(named) <= {peer.address for peer in MEMBERS}
