"""Records of hidden peers that a member keeps for others: only authentic ones, the newest, and the nearest before its place."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import PeerFault
from cicada.ids import RING_SIZE, Peer, hidden_address, peer_at
from cicada.keys.hidden import HiddenRecords, good_vouchers, homes_in
from cicada.keys.identity import Identity
from cicada.keys.record import read_record, sign_record
from cicada.keys.vouchers import sign_voucher
from cicada.limits import LODGING, LodgingLimits
from tests.keys.people import BOB, EVE, HIGH, LOW, THIRD, WALL

LIFE_MS: Final = int(LODGING.voucher_seconds * 1000)
RELAYS: Final = {LOW: BOB, HIGH: EVE}
LODGERS: Final = [Identity.derive(bytes(32), f"lodger {number}") for number in range(24)]
ONE: Final = LODGERS[0]


def hidden(identity: Identity) -> Peer:
    return peer_at(hidden_address(identity.peer_id))


def vouchers(identity: Identity, now_ms: int = WALL, swarm: str = "") -> tuple[bytes, ...]:
    own = hidden(identity).address
    return tuple(sign_voucher(key, relay.address, swarm, own, now_ms) for relay, key in RELAYS.items())


def lodged(identity: Identity, sequence: int = WALL, signed: tuple[bytes, ...] | None = None) -> bytes:
    own = hidden(identity).address
    return sign_record(
        identity, own, "", WALL, sequence, vouchers(identity) if signed is None else signed[: LODGING.relays]
    )


def keeper(records: int = LODGING.records, own: Peer = THIRD) -> HiddenRecords:
    return HiddenRecords(own, "", LodgingLimits(records=records))


def refused(records: HiddenRecords, raw: bytes, now_ms: int = WALL) -> str:
    with pytest.raises(PeerFault) as caught:
        records.put(raw, now_ms)
    return caught.value.reason


def test_a_record_is_kept_as_it_came_until_its_last_voucher_ends() -> None:
    records, place = keeper(), hidden(ONE).place
    late = sign_voucher(BOB, LOW.address, "", hidden(ONE).address, WALL + 5000)
    raw = lodged(ONE, signed=(*vouchers(ONE), late))
    records.put(raw, WALL)
    assert records.get(place, WALL + LIFE_MS + 4999) == raw
    assert records.get(place, WALL + LIFE_MS + 5000) == b""
    assert len(records) == 0


def test_nobody_knows_what_was_never_put() -> None:
    assert keeper().get(hidden(ONE).place, WALL) == b""


def test_the_newer_one_wins_and_an_older_one_is_refused() -> None:
    records, place = keeper(), hidden(ONE).place
    first, second = lodged(ONE, WALL), lodged(ONE, WALL + 1)
    records.put(first, WALL)
    records.put(second, WALL)
    assert records.get(place, WALL) == second
    assert refused(records, first) == "record-stale"
    records.put(second, WALL)
    assert (records.get(place, WALL), len(records)) == (second, 1)


def test_only_hidden_peers_records_with_a_good_voucher_are_kept() -> None:
    records = keeper()
    own = hidden(ONE).address
    assert refused(records, sign_record(BOB, LOW.address, "", WALL, WALL)) == "record-address"
    assert refused(records, lodged(ONE, signed=())) == "no-voucher"
    assert refused(records, lodged(ONE, signed=vouchers(EVE))) == "voucher-signature"
    assert refused(records, lodged(ONE, signed=vouchers(ONE, WALL - LIFE_MS))) == "voucher-expired"
    assert refused(records, lodged(ONE, signed=vouchers(ONE, swarm="other"))) == "voucher-signature"
    assert refused(records, sign_record(EVE, own, "", WALL, WALL, vouchers(ONE))) == "record-malformed"
    assert refused(records, sign_record(ONE, own, "other", WALL, WALL, vouchers(ONE))) == "record-swarm"
    assert refused(records, lodged(ONE)[:-1]) == "record-malformed"
    assert len(records) == 0


def test_one_good_voucher_among_bad_ones_is_enough_and_names_the_only_home() -> None:
    good = vouchers(ONE)[0]
    raw = lodged(ONE, signed=(b"junk", good, vouchers(EVE)[1]))
    record = read_record(raw, WALL, "")
    assert [voucher.relay for voucher in good_vouchers(record, "", WALL)] == [LOW.address]
    assert homes_in(record, "", WALL) == (LOW.address,)
    keeper().put(raw, WALL)


def test_homes_are_named_once_in_their_order_and_none_when_no_voucher_is_good() -> None:
    first, second = vouchers(ONE)
    assert homes_in(read_record(lodged(ONE, signed=(second, first, second)), WALL, ""), "", WALL) == (
        HIGH.address,
        LOW.address,
    )
    record = read_record(lodged(ONE), WALL, "")
    assert homes_in(record, "", WALL + LIFE_MS) == ()
    assert homes_in(read_record(lodged(ONE, signed=()), WALL, ""), "", WALL) == ()


@given(order=st.permutations(range(len(LODGERS))), room=st.integers(1, 12))
def test_however_many_come_the_nearest_before_the_own_place_stay(order: list[int], room: int) -> None:
    records = keeper(room)
    for number in order:
        records.put(lodged(LODGERS[number]), WALL)
    places = sorted((hidden(one).place for one in LODGERS), key=lambda p: (THIRD.place - p) % RING_SIZE)
    assert len(records) == room
    assert all(records.get(place, WALL) for place in places[:room])
    assert not any(records.get(place, WALL) for place in places[room:])


def test_records_whose_time_is_over_make_room_first() -> None:
    records = keeper(2)
    by_distance = sorted(LODGERS, key=lambda one: (THIRD.place - hidden(one).place) % RING_SIZE)
    near, middle, far = by_distance[0], by_distance[1], by_distance[-1]
    records.put(lodged(near, signed=vouchers(near, WALL - LIFE_MS + 1)), WALL)
    records.put(lodged(far), WALL)
    records.put(lodged(middle), WALL + 1)
    assert records.get(hidden(far).place, WALL + 1)
    assert records.get(hidden(middle).place, WALL + 1)
    assert not records.get(hidden(near).place, WALL + 1)
