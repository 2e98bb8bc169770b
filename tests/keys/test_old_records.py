"""Records of neighbours in a ring that has been calm for days, and on a machine that slept."""

from __future__ import annotations

import itertools

from cicada.ids import Peer, place_to_bytes
from cicada.keys.identity import Identity
from cicada.keys.io import AnswerRecord, Prepare, RecordsFetched, Refused, Reply, TimerFired, Told
from cicada.keys.record import read_record, sign_record
from cicada.limits import KEYS
from cicada.wire.routed import GetRecord
from cicada.wire.security import Identified, Identify, Met, Unidentified
from tests.keys.people import ALICE, BOB, EVE, HIGH, LOW, THIRD, WALL, Person, peers, raw_record

DAY = KEYS.record_seconds


def told(person: Person, about: Peer) -> bytes:
    """What it answers to whoever asks for a record."""
    place = place_to_bytes(about.place)
    question = GetRecord(target=place, origin=THIRD.address, hops=1, request=1, about=place)
    (reply,) = person.do(AnswerRecord(question))
    assert isinstance(reply, Reply)
    return reply.message.record


def signed_now(person: Person, identity: Identity, peer: Peer) -> bytes:
    now = WALL + int(person.now * 1000) + person.wall_ahead
    return sign_record(identity, peer.address, "", now, now)


def wake_until(person: Person, end: float) -> list[Peer]:
    """Whom it asks for a new record, waking when it wants to."""
    asked: list[Peer] = []
    while (due := person.negotiator.next_deadline()) is not None and due <= end:
        person.now = due
        asked += [output.peer for output in person.do(TimerFired()) if isinstance(output, Identify)]
    person.now = end
    return asked


def test_a_record_that_has_expired_is_told_to_nobody_and_counted() -> None:
    one = Person(LOW, ALICE)
    one.do(Met(HIGH, raw_record(BOB, HIGH)))
    one.now = DAY
    assert told(one, HIGH) == b""
    assert one.refusals == {"ignored:record-expired": 1}


def test_neighbours_are_asked_for_new_records_one_by_one_before_theirs_expire() -> None:
    one = Person(LOW, ALICE)
    around = [peer for peer in peers(12) if peer != LOW]
    for peer in around:
        one.do(Met(peer, raw_record(BOB, peer)))
    assert wake_until(one, DAY - KEYS.neighbour_renewal - KEYS.neighbour_retry) == []
    times: list[float] = []
    while len(times) < len(around):
        one.now = one.negotiator.next_deadline() or 0.0
        for output in one.do(TimerFired()):
            assert isinstance(output, Identify)
            times.append(one.now)
            fresh = signed_now(one, BOB, output.peer)
            one.do(Met(output.peer, fresh))
            one.do(Identified(output.peer, fresh))
    assert min(after - before for before, after in itertools.pairwise(times)) >= KEYS.neighbour_pause
    assert one.now < DAY
    one.now = DAY + 1
    assert all(
        read_record(told(one, peer), WALL + int(DAY * 1000), "").address == peer.address for peer in around
    )


def test_a_ring_that_is_calm_for_days_knows_its_neighbours_records() -> None:
    one = Person(LOW, ALICE)
    one.do(Met(HIGH, raw_record(BOB, HIGH)))
    for _ in range(7 * 24):
        for peer in wake_until(one, one.now + 3600.0):
            one.do(Met(peer, signed_now(one, BOB, peer)))
        assert told(one, HIGH) != b""


def test_a_neighbour_that_gives_no_new_record_is_asked_now_and_again_and_then_forgotten() -> None:
    one = Person(LOW, ALICE)
    one.do(Met(HIGH, raw_record(BOB, HIGH)))
    asked = 0
    for _ in range(50):
        for peer in wake_until(one, one.now + 3600.0):
            asked += 1
            one.do(Unidentified(peer, "timeout"))
    assert 20 <= asked <= 37
    assert HIGH.place not in one.memory.neighbours


def test_after_a_days_sleep_the_first_question_has_neighbours_asked_at_once() -> None:
    one = Person(LOW, ALICE)
    one.do(Met(HIGH, raw_record(BOB, HIGH)))
    wake_until(one, 60.0)
    one.wall_ahead = int(DAY * 1000)
    assert told(one, HIGH) == b""
    assert one.negotiator.next_deadline() == one.now
    assert one.do(TimerFired()) == [Identify(HIGH)]
    fresh = signed_now(one, BOB, HIGH)
    assert one.do(Identified(HIGH, fresh)) == []
    assert told(one, HIGH) == fresh


def test_words_of_neighbours_that_are_no_good_are_counted() -> None:
    one = Person(LOW, ALICE)
    one.do(Prepare(HIGH.place, HIGH.address))
    one.do(Unidentified(HIGH, "refused"))
    one.wall_ahead = int(DAY * 1000)
    old = tuple(Told(peer.address, raw_record(EVE, HIGH), b"") for peer in peers(5)[3:])
    assert one.do(RecordsFetched(HIGH.place, old, 2)) == [Refused(HIGH.place, "no-key")]
    assert one.refusals == {"ignored:record-expired": 2, "no-key": 1}
