"""Two negotiators, message by message: what they agree on, and everything that they refuse."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.errors import PeerFault
from cicada.events import HandshakeRefused, KeyChanged, PinMade
from cicada.ids import Address, Peer, place_to_bytes
from cicada.keys.identity import Identity
from cicada.keys.io import (
    Answered,
    AnswerRecord,
    Complete,
    FetchRecords,
    LinksChanged,
    Opening,
    PinLearned,
    Prepare,
    RecordsFetched,
    Refused,
    Reply,
    SessionKeys,
    SessionReady,
    TimerFired,
    Told,
)
from cicada.keys.memory import Accepted
from cicada.keys.psks import PreShared
from cicada.keys.succession import sign_succession
from cicada.keys.trust import Trust
from cicada.limits import KEYS, KeyLimits
from cicada.wire.routed import GetRecord
from cicada.wire.security import Identified, Identify, Met, Unidentified
from tests.keys.people import (
    ALICE,
    BOB,
    EVE,
    HIGH,
    LOW,
    THIRD,
    WALL,
    Person,
    altered,
    first_used,
    flipped,
    peers,
    pin,
    raw_record,
)

NOBODY = RecordsFetched(HIGH.place, (), 0)
ONE_KEY, OTHER_KEY = Random(1).randbytes(32), Random(2).randbytes(32)


def alice(**how: object) -> Person:
    return Person(LOW, ALICE, **{"pins": (pin(HIGH, BOB),), **how})  # type: ignore[arg-type]


def bob(**how: object) -> Person:
    return Person(HIGH, BOB, **how)  # type: ignore[arg-type]


def agree(one: Person, other: Person) -> tuple[SessionKeys, SessionKeys]:
    answered = other.answer(one.opening(other.peer))
    assert answered is not None
    assert answered.keys is not None
    keys = one.complete(answered.reply)
    assert isinstance(keys, SessionKeys)
    return keys, answered.keys


def test_both_ends_have_the_same_keys_and_each_others_index_and_life() -> None:
    ours, theirs = agree(alice(), bob())
    assert (ours.seal_key, ours.open_key) == (theirs.open_key, theirs.seal_key)
    assert ours.seal_key != ours.open_key
    assert (ours.index, ours.remote_index) == (theirs.remote_index, theirs.index)
    assert (ours.peer, theirs.peer, ours.boot, theirs.boot) == (HIGH, LOW, 7, 7)
    assert (ours.initiated, theirs.initiated, ours.verified, theirs.verified) == (True, False, True, False)
    assert (ours.trust, theirs.trust) == (Trust.PINNED, Trust.FIRST_CONTACT)
    counter, sealed = ours.cipher().seal(b"header", b"text")
    assert theirs.cipher().open(counter, b"header", sealed) == b"text"


def test_keys_show_in_no_repr() -> None:
    one = alice(shared=(PreShared(address=HIGH.address, outbound=ONE_KEY, inbound=OTHER_KEY),))
    ours, _ = agree(alice(), bob())
    shown = f"{ours!r} {SessionReady(ours)!r} {one.memory!r} {one.memory.identity!r} {one.memory.secrets!r} {ours.cipher()!r}"
    for secret in (ours.seal_key, ours.open_key, *ALICE.seeds, ONE_KEY):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_asked_twice_it_says_the_same_message_1() -> None:
    one = alice()
    assert one.opening(HIGH) == one.opening(HIGH)


def test_without_a_pin_the_address_is_dialled_and_neighbours_are_asked_at_once() -> None:
    one, other = alice(pins=()), bob()
    assert one.do(Prepare(HIGH.place, HIGH.address)) == [FetchRecords(HIGH.place), Identify(HIGH)]
    assert one.do(Prepare(HIGH.place, HIGH.address)) == [
        FetchRecords(HIGH.place)
    ]  # its Router may be another now
    assert one.do(LinksChanged()) == [Identify(HIGH)]
    assert one.do(NOBODY) == []
    assert one.do(Prepare(HIGH.place, HIGH.address)) == []
    (opening,) = one.do(Identified(HIGH, other.memory.own_record.raw()))
    assert isinstance(opening, Opening)
    answered = other.answer(one.contact(opening, HIGH))
    assert answered is not None
    learned, ready = one.do(Complete(HIGH.place, HIGH.address, answered.reply.handshake))
    assert learned == PinLearned(first_used(HIGH, BOB))
    assert isinstance(ready, SessionReady)
    assert (ready.keys.trust, ready.keys.verified, ready.keys.conflict) == (Trust.FIRST_CONTACT, True, False)
    assert one.events == [PinMade(address=HIGH.address, key=BOB.peer_id)]


def test_a_key_that_is_not_found_is_refused_and_may_be_looked_for_again() -> None:
    one = alice(pins=())
    one.do(Prepare(HIGH.place, HIGH.address))
    one.do(NOBODY)
    assert one.do(Unidentified(HIGH, "refused")) == [Refused(HIGH.place, "no-key")]
    assert one.do(Prepare(HIGH.place, HIGH.address)) == [FetchRecords(HIGH.place), Identify(HIGH)]


def test_a_search_that_nobody_answers_ends() -> None:
    one = alice(pins=())
    one.do(Prepare(HIGH.place, HIGH.address))
    assert one.negotiator.next_deadline() == KEYS.handshake_seconds
    one.now = KEYS.handshake_seconds
    assert one.do(TimerFired()) == [Refused(HIGH.place, "timed-out")]
    assert one.negotiator.next_deadline() is None


def test_an_altered_message_1_is_refused_and_the_right_one_still_answered() -> None:
    one, other = alice(), bob(limits=KeyLimits(try_burst=10_000, try_link_burst=10_000))
    contact = one.opening(HIGH)
    for bit in range(0, len(contact.handshake) * 8, 7):
        assert other.answer(altered(contact, bit)) is None
    assert other.answer(replace(contact, origin=THIRD.address)) is None
    assert other.answer(replace(contact, selector=b"selector")) is None
    assert other.answer(replace(contact, target=place_to_bytes(LOW.place))) is None
    assert other.answer(replace(contact, handshake=contact.handshake[:50])) is None
    assert other.answer(contact) is not None


def test_an_altered_message_2_is_ignored_and_the_right_one_still_taken() -> None:
    one, other = alice(), bob()
    answered = other.answer(one.opening(HIGH))
    assert answered is not None
    raw = answered.reply.handshake
    for bit in range(0, len(raw) * 8, 7):
        assert one.complete(replace(answered.reply, handshake=flipped(raw, bit))) is None
    assert isinstance(one.complete(answered.reply), SessionKeys)
    assert one.complete(answered.reply) == Refused(HIGH.place, "unknown-handshake")


def test_the_same_message_1_gets_the_same_answer_and_no_second_session_even_after_a_crash() -> None:
    one, other = alice(), bob()
    contact = one.opening(HIGH)
    first = other.answer(contact)
    other.begin_anew()
    again = other.answer(replace(contact, request=2))
    assert first is not None
    assert again == Answered(replace(first.reply, request=2), None)


def test_a_message_1_that_is_replayed_later_opens_nothing() -> None:
    one, other = alice(), bob()
    contact = one.opening(HIGH)
    assert other.answer(contact) is not None
    other.now = KEYS.answer_seconds + 1
    assert other.answer(contact) is None
    other.begin_anew()
    assert other.answer(contact) is None
    assert other.refusals == {"replayed": 1}


def test_handshakes_of_one_key_rise_in_time_even_when_its_clock_stands_still() -> None:
    one, other = alice(), bob()
    for _ in range(5):
        agree(one, other)
    one.wall_ahead = -60_000
    agree(one, other)


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [(-301_000, "clock-skew"), (301_000, "record-sequence")],  # a record from the future is found out first
    ids=["behind", "ahead"],
)
def test_a_clock_that_is_too_far_off_is_refused(ahead: int, reason: str) -> None:
    one, other = alice(), bob()
    one.wall_ahead = ahead
    assert other.answer(one.opening(HIGH)) is None
    assert other.refusals == {reason: 1}


def test_the_record_must_be_of_the_address_and_the_key_that_is_proven() -> None:
    one, other = alice(), bob()
    one.memory.own_record._raw = raw_record(ALICE, THIRD)
    one.memory.own_record._signed_ms = WALL
    assert other.answer(one.opening(HIGH)) is None
    one = alice()
    one.memory.own_record._raw = raw_record(EVE, LOW)
    one.memory.own_record._signed_ms = WALL
    assert other.answer(one.opening(HIGH)) is None
    assert other.refusals == {"record-address": 1, "record-key": 1}


def test_a_responder_with_another_record_is_refused() -> None:
    one, other = alice(), bob()
    other.memory.own_record._raw = raw_record(EVE, HIGH)
    other.memory.own_record._signed_ms = WALL
    answered = other.answer(one.opening(HIGH))
    assert answered is not None
    assert one.complete(answered.reply) == Refused(HIGH.place, "record-key")


def test_peers_of_another_swarm_agree_on_nothing() -> None:
    assert bob(swarm="another").answer(alice().opening(HIGH)) is None


def test_a_stranger_is_answered_but_its_claim_of_an_address_pins_and_verifies_nothing() -> None:
    one, other = alice(), bob()
    _, theirs = agree(one, other)
    assert theirs.verified is False
    assert other.memory.trust.pins == ()


def test_who_claims_a_pinned_address_with_another_key_is_refused_and_told_of() -> None:
    one, other = alice(), bob(pins=(pin(LOW, EVE),))
    assert other.answer(one.opening(HIGH)) is None
    assert other.events == [
        HandshakeRefused(remote=LOW.address, reason="key-changed"),
        KeyChanged(address=LOW.address, pinned=EVE.peer_id, shown=ALICE.peer_id),
    ]


def test_a_pinned_initiator_is_verified_and_pinned() -> None:
    _, theirs = agree(alice(), bob(pins=(pin(LOW, ALICE),)))
    assert (theirs.verified, theirs.trust) == (True, Trust.PINNED)


def share(one: Peer, other: Peer) -> tuple[PreShared, PreShared]:
    return (
        PreShared(address=other.address, outbound=ONE_KEY, inbound=OTHER_KEY),
        PreShared(address=one.address, outbound=OTHER_KEY, inbound=ONE_KEY),
    )


def test_pre_shared_keys_are_used_and_both_ends_know() -> None:
    ours, theirs = share(LOW, HIGH)
    keys = agree(alice(shared=(ours,)), bob(shared=(theirs,)))
    assert [key.trust for key in keys] == [Trust.PRE_SHARED] * 2
    assert keys[1].verified


def test_without_the_pre_shared_keys_of_both_directions_there_is_no_session() -> None:
    ours, theirs = share(LOW, HIGH)
    wrong = replace(theirs, outbound=bytes(32))
    assert bob(shared=(theirs,)).answer(alice().opening(HIGH)) is None
    assert bob().answer(alice(shared=(ours,)).opening(HIGH)) is None
    one, other = alice(shared=(ours,)), bob(shared=(wrong,))
    answered = other.answer(one.opening(HIGH))
    assert answered is not None  # the key for message 1 is right, the one for message 2 is not
    assert one.complete(answered.reply) is None


def test_two_that_open_at_once_keep_the_handshake_of_the_lower_place() -> None:
    low, high = alice(), bob(pins=(pin(LOW, ALICE),))
    of_low, of_high = low.opening(HIGH), high.opening(LOW)
    assert low.answer(of_high) is None
    assert low.refusals == {"crossed": 1}
    answered = high.answer(of_low)
    assert answered is not None
    assert answered.keys is not None
    assert answered.keys.verified
    low.now = KEYS.handshake_doubt  # it got no answer: theirs is as good
    assert low.answer(of_high) is not None


def test_a_pinned_peer_that_does_not_answer_is_dialled_once_and_left_in_peace_when_its_key_is_the_same() -> (
    None
):
    one, other = alice(), bob()
    contact = one.opening(HIGH)
    assert one.negotiator.next_deadline() == KEYS.handshake_doubt
    one.now = KEYS.handshake_doubt
    assert one.do(TimerFired()) == [Identify(HIGH)]  # it is pinned: nobody else need be asked
    assert one.do(Identified(HIGH, other.memory.own_record.raw())) == []
    assert one.negotiator.next_deadline() == KEYS.handshake_seconds
    assert one.opening(HIGH) == contact
    one.now = KEYS.handshake_seconds
    assert one.do(TimerFired()) == []
    assert one.opening(HIGH) != contact


def doubt(one: Person, shown: bytes, succession: bytes = b"") -> list[object]:
    """Its pinned peer does not answer, and shows another key where it is dialled."""
    one.opening(HIGH)
    one.now = KEYS.handshake_doubt
    assert one.do(TimerFired()) == [Identify(HIGH)]
    assert one.do(Identified(HIGH, shown)) == [FetchRecords(HIGH.place)]  # it may have a succession to show
    return [*one.do(RecordsFetched(HIGH.place, (Told(HIGH.address, shown, succession),), 1))]


def test_a_pinned_peer_that_shows_another_key_where_it_is_dialled_is_key_changed() -> None:
    one = alice()
    assert doubt(one, raw_record(EVE, HIGH)) == [Refused(HIGH.place, "key-changed")]
    assert one.events == [KeyChanged(address=HIGH.address, pinned=BOB.peer_id, shown=EVE.peer_id)]
    assert one.memory.trust.pins == (pin(HIGH, BOB),)


def test_a_pin_follows_a_succession_and_the_handshake_begins_anew() -> None:
    one = alice()
    succession = sign_succession(BOB, EVE.signing_public)
    learned, opening = doubt(one, raw_record(EVE, HIGH), succession)
    assert learned == PinLearned(pin(HIGH, EVE, WALL), BOB.signing_public)
    assert isinstance(opening, Opening)
    assert one.events == [PinMade(address=HIGH.address, key=EVE.peer_id, replaced=BOB.peer_id)]
    assert Person(HIGH, EVE).answer(one.contact(opening, HIGH)) is not None


def test_an_initiator_shows_its_succession_itself() -> None:
    succession = sign_succession(EVE, ALICE.signing_public)
    one, other = alice(succession=succession), bob(pins=(pin(LOW, EVE),))
    _, theirs = agree(one, other)
    assert (theirs.verified, theirs.trust) == (True, Trust.PINNED)
    assert other.memory.trust.pin(LOW.address) == pin(LOW, ALICE, WALL)


def ask(about: Peer) -> AnswerRecord:
    return AnswerRecord(
        GetRecord(
            target=place_to_bytes(LOW.place),
            origin=THIRD.address,
            hops=3,
            request=9,
            about=place_to_bytes(about.place),
        )
    )


def answer_of(one: Person, about: Peer) -> tuple[bytes, bytes]:
    (reply,) = one.do(ask(about))
    assert isinstance(reply, Reply)
    message = reply.message
    assert (message.request, message.target) == (9, place_to_bytes(THIRD.place))
    return message.record, message.succession


def test_it_answers_with_its_own_record_and_with_those_of_whom_it_met() -> None:
    one = alice(succession=b"succession")
    met = raw_record(BOB, HIGH)
    assert answer_of(one, HIGH) == (b"", b"")
    assert one.do(Met(HIGH, met)) == []
    assert answer_of(one, HIGH) == (met, b"")
    assert answer_of(one, LOW) == (one.memory.own_record.raw(), b"succession")
    one.begin_anew()
    assert answer_of(one, HIGH) == (met, b"")
    one.do(Met(THIRD, raw_record(EVE, HIGH)))
    assert answer_of(one, THIRD) == (b"", b"")
    assert one.refusals == {"record-address": 1}


def test_records_of_the_nearest_peers_after_it_are_kept() -> None:
    around = peers(12)
    one = Person(around[4], ALICE, limits=KeyLimits(neighbours=3))
    for peer in around:
        if peer != one.peer:
            one.do(Met(peer, raw_record(BOB, peer)))
    assert [peer for peer in around if peer.place in one.memory.neighbours] == list(around[5:8])


def test_its_own_record_is_signed_anew_each_hour_with_a_higher_sequence() -> None:
    one = alice()
    first = one.memory.own_record.raw()
    one.now = KEYS.record_renewal - 1
    assert one.memory.own_record.raw() is first
    one.now = KEYS.record_renewal
    second = one.memory.own_record.raw()
    sequences = [one.memory.read(raw, LOW.address).sequence for raw in (first, second)]
    assert sequences == [WALL, WALL + int(KEYS.record_renewal * 1000)]


def test_open_handshakes_and_searches_are_bounded() -> None:
    one = alice(pins=(), limits=KeyLimits(handshakes=5))
    refused = [
        output
        for peer in peers(20)
        for output in one.do(Prepare(peer.place, peer.address))
        if isinstance(output, Refused)
    ]
    assert len(refused) == 15
    assert len(one.negotiator) == 5
    assert {output.reason for output in refused} == {"busy"}


def test_what_is_not_right_is_looked_into_so_often_and_costs_nobody_whose_name_it_bears() -> None:
    other = bob(limits=KeyLimits(try_burst=20, accept_key_burst=1, accept_burst=1))
    one = alice()
    for number in range(50):
        assert other.answer(altered(one.opening(HIGH), number)) is None
    assert other.refusals["rate"] == 30
    other.now = 1.0
    assert other.answer(one.opening(HIGH)) is not None


def test_one_key_may_open_so_many_sessions_whatever_address_it_claims() -> None:
    other = bob(limits=KeyLimits(accept_key_burst=5, accept_burst=12))
    many = peers(40)

    def opened(identity: Identity, at: tuple[Peer, ...]) -> int:
        people = [Person(peer, identity, pins=(pin(HIGH, BOB),)) for peer in at]
        return sum(other.answer(person.opening(HIGH)) is not None for person in people)

    assert opened(EVE, many[:20]) == 1  # times of one key rise
    assert other.refusals == {"replayed": 4, "rate": 15}
    assert opened(ALICE, many[:1]) == 1  # an address that EVE claimed
    assert sum(opened(Identity.derive(bytes(32), f"{n}"), many[n : n + 1]) for n in range(20, 40)) == 6


def test_whose_openings_are_counted_is_bounded() -> None:
    other = bob(limits=KeyLimits(accepted_keys=8))
    for number, peer in enumerate(peers(20)):
        other.answer(
            Person(peer, Identity.derive(bytes(32), f"{number}"), pins=(pin(HIGH, BOB),)).opening(HIGH)
        )
    assert len(other.negotiator._answering._by_key) == 8


def test_keys_whose_times_are_remembered_are_bounded_and_never_forgotten_while_a_replay_could_pass() -> None:
    accepted = Accepted(KeyLimits(accepted_keys=2), is_strict=True)
    accepted.note_time(b"1", WALL, WALL)
    accepted.note_time(b"2", WALL + 1, WALL)
    with pytest.raises(PeerFault, match="crowded"):
        accepted.note_time(b"3", WALL, WALL)
    later = WALL + 301_000
    accepted.note_time(b"3", later, later)
    with pytest.raises(PeerFault, match="clock-skew"):
        accepted.note_time(b"1", WALL, later)
    assert len(accepted) == 1


def test_answers_are_kept_as_long_as_the_same_question_may_come_again_and_no_longer() -> None:
    accepted = bob(limits=KeyLimits(answers=3)).memory.accepted
    for number in range(5):
        accepted.note_answer(b"%d" % number, b"answer", float(number))
    assert [accepted.answer_to(b"%d" % number, 5.0) for number in range(5)] == [None, None, *[b"answer"] * 3]
    assert accepted.answer_to(b"4", 4.0 + KEYS.answer_seconds) == b"answer"
    assert accepted.answer_to(b"4", 4.1 + KEYS.answer_seconds) is None
    accepted.note_answer(b"9", b"answer", 100.0)
    assert len(accepted) == 1


def test_no_number_of_made_up_keys_keeps_others_from_opening_sessions() -> None:
    other = bob(limits=KeyLimits(accepted_keys=4))
    strangers = [Person(peer, Identity.derive(bytes(32), peer.address)) for peer in peers(12) if peer != HIGH]
    for one in strangers:
        one.memory.trust.hold(pin(HIGH, BOB))
        assert other.answer(one.opening(HIGH)) is not None
    assert len(other.memory.accepted._times) == 4


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=300), selector=st.binary(max_size=8))
def test_nothing_that_a_stranger_says_makes_it_raise_or_agree(raw: bytes, selector: bytes) -> None:
    one = alice()
    contact = replace(one.opening(HIGH), handshake=raw, selector=selector)
    assert bob().answer(contact) is None
    one.do(Complete(HIGH.place, HIGH.address, raw))
    one.do(Identified(HIGH, raw))
    one.do(Met(HIGH, raw))
    one.do(RecordsFetched(HIGH.place, (Told(Address(LOW.address), raw, raw),), 3))
    assert one.memory.trust.pins == (pin(HIGH, BOB),)
