"""Where hidden peers lodge: by what they signed or sealed; what others say serves answers alone, and nothing about members."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, Peer, hidden_address, peer_at, place_to_bytes
from cicada.limits import LodgingLimits
from cicada.routing.homes import Homes
from cicada.wire.routed import GetRecord, Lodging
from tests.routing.swarm import peers_at

RELAYS: Final = peers_at(30100, 8)
SHE: Final = peer_at(hidden_address("5e" * 32))


def hidden(number: int) -> Peer:
    return peer_at(hidden_address(f"{number:064x}"))


def message(origin: Peer, home: Peer | None = None, to: Peer | None = None) -> GetRecord:
    lodging = Lodging(
        to=b"" if to is None else place_to_bytes(to.place), home="" if home is None else home.address
    )
    return GetRecord(
        target=place_to_bytes(RELAYS[0].place),
        origin=origin.address,
        hops=1,
        lodging=lodging,
        request=1,
        about=bytes(32),
    )


def addresses(*peers: Peer) -> tuple[Address, ...]:
    return tuple(peer.address for peer in peers)


def test_nothing_is_known_of_who_never_said_anything() -> None:
    homes = Homes()
    assert (homes.to(SHE.place), homes.back(SHE.place), len(homes)) == ((), None, 0)


def test_what_nobody_signed_serves_answers_alone() -> None:
    homes = Homes()
    for relay in RELAYS[:3]:
        homes.hear(message(SHE, relay))
    assert homes.to(SHE.place) == ()
    assert homes.back(SHE.place) == RELAYS[2]


def test_answers_go_by_the_relay_that_the_last_message_named_if_it_is_one() -> None:
    homes = Homes()
    homes.learn(SHE.place, addresses(RELAYS[1], RELAYS[2]))
    assert homes.back(SHE.place) == RELAYS[1]
    homes.hear(message(SHE, RELAYS[2]))
    assert homes.back(SHE.place) == RELAYS[2]
    for liar in RELAYS[5:8]:
        homes.hear(message(SHE, liar))
        assert homes.back(SHE.place) == RELAYS[1]
    assert homes.to(SHE.place) == (RELAYS[1], RELAYS[2])


def test_what_a_hidden_peer_says_in_a_session_replaces_what_was_known() -> None:
    homes = Homes()
    homes.learn(SHE.place, addresses(RELAYS[1], RELAYS[2]))
    homes.told(SHE, addresses(RELAYS[3]))
    assert homes.to(SHE.place) == (RELAYS[3],)
    homes.told(SHE, ())
    assert homes.to(SHE.place) == (RELAYS[3],), "it said nothing of that"


def test_who_can_be_dialled_lodges_nowhere_whatever_it_seals() -> None:
    homes = Homes()
    homes.told(RELAYS[3], addresses(RELAYS[4]))
    assert len(homes) == 0


def test_a_message_that_names_no_home_says_nothing() -> None:
    homes = Homes()
    homes.hear(message(SHE, to=hidden(9)))
    homes.hear(GetRecord(target=bytes(32), origin=SHE.address, hops=1, request=1, about=bytes(32)))
    assert len(homes) == 0


def test_nobody_says_where_a_peer_lodges_that_can_be_dialled() -> None:
    """Else a forged origin would have all messages for that peer go by whomever the forger names."""
    homes = Homes()
    homes.hear(message(RELAYS[3], RELAYS[4]))
    assert (homes.to(RELAYS[3].place), homes.back(RELAYS[3].place), len(homes)) == ((), None, 0)


def test_a_relay_that_did_not_take_a_message_is_forgotten_for_that_peer_alone() -> None:
    homes = Homes()
    other = hidden(2)
    for peer in (SHE, other):
        homes.learn(peer.place, addresses(RELAYS[0], RELAYS[1]))
        homes.hear(message(peer, RELAYS[0]))
    homes.lose(message(RELAYS[5], to=SHE), RELAYS[0])
    assert (homes.to(SHE.place), homes.back(SHE.place)) == ((RELAYS[1],), RELAYS[1])
    assert homes.to(other.place) == (RELAYS[0], RELAYS[1])
    homes.lose(message(RELAYS[5]), RELAYS[1])
    homes.lose(message(RELAYS[5], to=hidden(3)), RELAYS[1])
    assert homes.to(SHE.place) == (RELAYS[1],)


@given(calls=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 7), st.booleans()), max_size=80))
def test_it_never_grows_beyond_its_limits_and_what_was_signed_stays_whatever_is_heard(
    calls: list[tuple[int, int, bool]],
) -> None:
    homes = Homes(LodgingLimits(homes=5, hearsay=3))
    signed: dict[int, Peer] = {}
    heard: dict[int, Peer] = {}
    for number, relay, is_signed in calls:
        said = signed if is_signed else heard
        said.pop(number, None)
        said[number] = RELAYS[relay]
        if is_signed:
            homes.learn(hidden(number).place, addresses(RELAYS[relay]))
        else:
            homes.hear(message(hidden(number), RELAYS[relay]))
        assert len(homes) == min(len(signed), 5) + min(len(heard), 3)
    known, told = dict([*signed.items()][-5:]), dict([*heard.items()][-3:])
    for number in range(21):
        place = hidden(number).place
        assert homes.to(place) == ((known[number],) if number in known else ())
        assert homes.back(place) == known.get(number, told.get(number))
