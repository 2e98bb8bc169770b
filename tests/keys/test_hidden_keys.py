"""A hidden address is the hash of its key: how it is found, what it is trusted, and what a negotiator does for such peers."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, hidden_address, peer_at, place_to_bytes
from cicada.keys.finding import Found, NotFound, Search, Word, decide
from cicada.keys.identity import Identity
from cicada.keys.io import (
    AnswerRecord,
    Complete,
    FetchRecords,
    KeepRecord,
    Lodge,
    NegotiatorOutput,
    Opening,
    Prepare,
    RecordKept,
    RecordsFetched,
    RecordSigned,
    Refused,
    Reply,
    SessionReady,
    Told,
    Vouch,
    Vouched,
)
from cicada.keys.record import Record, read_record, sign_record
from cicada.keys.trust import Trust, TrustStore
from cicada.keys.vouchers import read_voucher, sign_voucher
from cicada.limits import KEYS, LODGING, WIRE
from cicada.wire.routed import GetRecord, RecordIs
from cicada.wire.security import Identified, Unidentified
from tests.keys.people import ALICE, BOB, EVE, HIGH, LOW, THIRD, WALL, Person, first_used, record

SHE: Final = peer_at(hidden_address(ALICE.peer_id))
HE: Final = peer_at(hidden_address(BOB.peer_id))
LIFE: Final = LODGING.voucher_seconds


def voucher(relay: Person, lodger: Address = SHE.address) -> bytes:
    """What a relay signs when it is asked."""
    (vouched,) = relay.do(Vouch(7, lodger))
    assert isinstance(vouched, Vouched)
    assert vouched.ticket == 7
    return vouched.voucher


def lodge(person: Person, *relays: Person) -> bytes:
    """The record of a hidden peer that lodges with these."""
    (signed,) = person.do(Lodge(tuple(voucher(relay, person.peer.address) for relay in relays)))
    assert isinstance(signed, RecordSigned)
    return signed.record


def asked(person: Person, about: int) -> RecordIs:
    question = GetRecord(
        target=place_to_bytes(person.peer.place),
        origin=THIRD.address,
        hops=1,
        request=3,
        about=about.to_bytes(32, "big"),
    )
    (reply,) = person.do(AnswerRecord(question))
    assert isinstance(reply, Reply)
    assert isinstance(reply.message, RecordIs)
    return reply.message


def prepare(person: Person, told: bytes, wanted: int = 1) -> list[NegotiatorOutput]:
    """It looks for her key, and one neighbour of her place says this."""
    assert person.do(Prepare(SHE.place, SHE.address)) == [FetchRecords(SHE.place, is_hidden=True)]
    return person.do(RecordsFetched(SHE.place, (Told(THIRD.address, told, b""),), wanted))


def relay() -> Person:
    return Person(HIGH, BOB)


def hers(sequence: int = WALL) -> Record:
    return read_record(sign_record(ALICE, SHE.address, "", WALL, sequence), WALL, "")


# Finding


@given(
    sequences=st.lists(st.integers(WALL - 1000, WALL + 1000), min_size=1, max_size=5),
    wanted=st.integers(0, 9),
)
def test_one_word_is_enough_for_a_hidden_peer_and_the_newest_counts(
    sequences: list[int], wanted: int
) -> None:
    words = [Word(hers(sequence), is_neighbour=True) for sequence in sequences]
    assert decide(None, words, wanted) == Found(hers(max(sequences)))


def test_nobody_says_anything_of_a_hidden_peer_in_vain() -> None:
    assert decide(None, [], 3) == NotFound("no-key")


def test_a_hidden_peer_is_asked_after_and_never_dialled() -> None:
    search = Search(Person(LOW, EVE).memory, SHE.place, SHE.address, 0.0, is_doubt=False)
    assert search.peer is None
    assert not search.can_be_dialled
    assert search.verdict() is None
    search.fetched(RecordsFetched(SHE.place, (), 3))
    assert search.verdict() == NotFound("no-key")


def test_a_place_turns_out_to_be_a_hidden_peers_by_its_record() -> None:
    search = Search(Person(LOW, EVE).memory, SHE.place, Address(""), 0.0, is_doubt=False)
    raw = sign_record(ALICE, SHE.address, "", WALL, WALL)
    search.fetched(RecordsFetched(SHE.place, (Told(THIRD.address, raw, b""),), 3))
    assert (search.address, search.peer, search.can_be_dialled) == (SHE.address, None, False)
    assert search.verdict() == Found(hers())


# Trust


def test_a_hidden_address_pins_its_key_itself() -> None:
    store = TrustStore()
    assert store.trust(SHE.address) is Trust.PINNED
    assert store.check(hers()) is True
    assert store.learn(hers(), WALL) is None
    assert len(store) == 0


def test_hidden_peers_take_no_room_of_pins() -> None:
    store = TrustStore()
    store.learn(record(BOB, HIGH), WALL)
    for number in range(50):
        one = Identity.derive(bytes(32), f"hidden {number}")
        raw = sign_record(one, hidden_address(one.peer_id), "", WALL, WALL)
        assert store.learn(read_record(raw, WALL, ""), WALL) is None
    assert store.pins == (first_used(HIGH, BOB),)


# The negotiator of a relay, and of a member who keeps records


def test_a_relay_vouches_in_its_own_name_for_a_while() -> None:
    person = relay()
    person.now = 50.0
    found = read_voucher(voucher(person), SHE.address, "", WALL + 50_000)
    assert (found.relay, found.signing_key) == (HIGH.address, BOB.signing_public)
    assert found.expires_ms == WALL + 50_000 + int(LIFE * 1000)


def test_a_record_that_is_kept_is_shown_to_whoever_asks_while_a_voucher_is_good() -> None:
    keeper, raw = Person(LOW, EVE), lodge(Person(SHE, ALICE), relay())
    assert asked(keeper, SHE.place).record == b""
    assert keeper.do(KeepRecord(7, raw)) == [RecordKept(7, SHE.place, (HIGH.address,))]
    assert asked(keeper, SHE.place).record == raw
    assert asked(keeper, HE.place).record == b""
    keeper.now = LIFE
    assert asked(keeper, SHE.place).record == b""


def test_a_record_that_is_not_authentic_is_counted_and_not_kept() -> None:
    keeper, raw = Person(LOW, EVE), lodge(Person(SHE, ALICE), relay())
    for bad in (
        b"",
        b"junk",
        raw[:-1],
        bytes([raw[0] ^ 1]) + raw[1:],
        sign_record(BOB, HIGH.address, "", WALL, WALL),
    ):
        assert keeper.do(KeepRecord(7, bad)) == []
    assert asked(keeper, SHE.place).record == b""
    assert keeper.refusals == {"record-malformed": 3, "record-signature": 1, "record-address": 1}


def test_what_is_kept_survives_the_negotiator() -> None:
    keeper, raw = Person(LOW, EVE), lodge(Person(SHE, ALICE), relay())
    keeper.do(KeepRecord(7, raw))
    keeper.begin_anew()
    assert asked(keeper, SHE.place).record == raw


def test_who_puts_an_older_record_again_is_not_told_that_it_is_kept() -> None:
    keeper, person = Person(LOW, EVE), Person(SHE, ALICE)
    older, newer = lodge(person, relay()), lodge(person, Person(LOW, EVE))
    assert keeper.do(KeepRecord(1, newer)) == [RecordKept(1, SHE.place, (LOW.address,))]
    assert keeper.do(KeepRecord(2, older)) == []
    assert keeper.do(KeepRecord(3, newer)) == [RecordKept(3, SHE.place, (LOW.address,))]
    assert keeper.refusals == {"record-stale": 1}


# The negotiator of a hidden peer


def test_a_hidden_peer_signs_its_record_anew_whenever_its_relays_change() -> None:
    person = Person(SHE, ALICE)
    first = read_record(lodge(person, relay()), WALL, "")
    second = read_record(lodge(person, relay(), Person(LOW, EVE)), WALL, "")
    assert (len(first.vouchers), len(second.vouchers)) == (1, 2)
    assert second.sequence > first.sequence
    none = read_record(lodge(person), WALL, "")
    assert (none.vouchers, none.address) == ((), SHE.address)
    assert none.sequence > second.sequence


def test_what_the_hidden_peer_shows_in_handshakes_has_its_vouchers() -> None:
    person = Person(SHE, ALICE)
    raw = lodge(person, relay())
    assert person.memory.own_record.raw() == raw == asked(person, SHE.place).record


# Sessions


def test_the_opening_says_where_a_hidden_peer_lodges_and_the_session_is_pinned() -> None:
    she, sender = Person(SHE, ALICE), Person(LOW, EVE)
    (opening,) = prepare(sender, lodge(she, relay(), Person(THIRD, EVE)), wanted=3)
    assert isinstance(opening, Opening)
    assert opening.homes == (HIGH.address, THIRD.address)
    answered = she.answer(sender.contact(opening, SHE))
    assert answered is not None
    (ready,) = sender.do(Complete(SHE.place, SHE.address, answered.reply.handshake))
    assert isinstance(ready, SessionReady)
    assert (ready.keys.trust, ready.keys.peer, ready.keys.peer_id) == (Trust.PINNED, SHE, ALICE.peer_id)
    assert len(sender.memory.trust) == 0


def test_whom_a_hidden_peer_contacts_knows_its_key_at_once_and_asks_nobody() -> None:
    she, he = Person(SHE, ALICE), Person(HE, BOB)
    raw = lodge(he, Person(THIRD, EVE))
    assert she.do(Prepare(HE.place, HE.address)) == [FetchRecords(HE.place, is_hidden=True)]
    (opening,) = she.do(RecordsFetched(HE.place, (Told(THIRD.address, raw, b""),), 1))
    assert isinstance(opening, Opening)
    answered = he.answer(she.contact(opening, HE))
    assert answered is not None
    assert answered.keys is not None
    assert (answered.keys.trust, answered.keys.verified) == (Trust.PINNED, True)


def test_whom_a_hidden_peer_contacts_learns_from_its_record_where_it_lodges() -> None:
    she, he = Person(SHE, ALICE), Person(HE, BOB)
    lodge(she, Person(HIGH, EVE), Person(LOW, EVE))
    she.do(Prepare(HE.place, HE.address))
    told = (Told(THIRD.address, lodge(he, Person(THIRD, EVE)), b""),)
    (opening,) = she.do(RecordsFetched(HE.place, told, 1))
    assert isinstance(opening, Opening)
    answered = he.answer(she.contact(opening, HE))
    assert answered is not None
    assert answered.homes == (HIGH.address, LOW.address)


def test_an_opening_to_who_can_be_dialled_names_no_homes() -> None:
    sender = Person(LOW, EVE)
    sender.do(Prepare(HIGH.place, HIGH.address))
    told = RecordsFetched(
        HIGH.place,
        tuple(Told(THIRD.address, sign_record(BOB, HIGH.address, "", WALL, WALL), b"") for _ in "ab"),
        1,
    )
    sender.do(told)
    openings = [output for output in sender.do(Unidentified(HIGH, "refused")) if isinstance(output, Opening)]
    assert [opening.homes for opening in openings] == [()]


def test_a_thiefs_record_for_a_hidden_address_finds_no_key() -> None:
    forged = sign_record(BOB, SHE.address, "", WALL, WALL)
    assert prepare(Person(LOW, EVE), forged) == [Refused(SHE.place, "no-key")]


def test_a_record_without_a_good_voucher_still_has_the_key_but_names_no_home() -> None:
    sender = Person(LOW, EVE)
    stale = sign_voucher(BOB, HIGH.address, "", SHE.address, WALL - int(LIFE * 1000))
    (opening,) = prepare(sender, sign_record(ALICE, SHE.address, "", WALL, WALL, (stale,)))
    assert isinstance(opening, Opening)
    assert opening.homes == ()


def test_the_handshake_of_the_longest_record_fits_into_its_field() -> None:
    swarm = "\N{BUG}" * WIRE.max_text
    address = Address("[2001:fdb8:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
    signed = sign_voucher(BOB, address, swarm, SHE.address, WALL)
    person = Person(SHE, ALICE, swarm=swarm, succession=bytes(KEYS.succession_bytes))
    person.do(Lodge((signed,) * LODGING.relays))
    member = peer_at(address)
    person.do(Prepare(member.place, member.address))
    raw = sign_record(BOB, address, swarm, WALL, WALL)
    told = tuple(Told(THIRD.address, raw, b"") for _ in range(3))
    person.do(RecordsFetched(member.place, told, 1))
    (opening,) = [one for one in person.do(Identified(member, raw)) if isinstance(one, Opening)]
    assert len(opening.handshake) <= WIRE.max_handshake
