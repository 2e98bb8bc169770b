"""Sampled messages, hop by hop: what they took, what harmed them, what belongs together, how they spread."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cicada.events import AnyEvent, BroadcastFinished, CopiesTraced, HopTaken, LookupFinished, RelayMisbehaved
from cicada.ids import Address, place_of
from cicada.wire.trips import broadcast_trip
from visualizer.model.fold import SwarmFold
from visualizer.model.state import Flight, Kind, Trip

from .tellings import at, folded, ring, told

TRIP = "core-0/1"


def hop(
    start: int,
    end: int,
    *,
    at_us: int = 0,
    hops: int = 1,
    copy: int = 0,
    kind: str = "data",
    trip: str = TRIP,
    attempt: int = 1,
    sampled: int = 1,
) -> tuple[AnyEvent, str]:
    event = HopTaken(
        trip=trip,
        kind=kind,
        remote=at(end),
        origin=at(0),
        target=at(9),
        hops=hops,
        at_us=at_us,
        copy=copy,
        attempt=attempt,
        sampled=sampled,
    )
    return event, f"core-{start}"


def traced(*fates: str, trips: tuple[str, ...] = (), attempts: tuple[int, ...] = ()) -> tuple[AnyEvent, str]:
    event = CopiesTraced(message=1, trip=TRIP, target=at(9), fates=fates, trips=trips, attempts=attempts)
    return event, "core-0"


def harm(
    relay: int, behaviour: str, field: str = "", *, attempt: int = 1, message: str = "Data"
) -> tuple[AnyEvent, str]:
    event = RelayMisbehaved(
        behaviour=behaviour,
        message=message,
        origin=at(0),
        target="ab",
        trip=TRIP,
        field=field,
        attempt=attempt,
        index=77,
    )
    return event, f"core-{relay}"


def after(*events: tuple[AnyEvent, str]) -> SwarmFold:
    return folded([*ring(10), *(told(event, peer) for event, peer in events)])


def trip_of(fold: SwarmFold, name: str = TRIP) -> Trip:
    return fold.state.trips[name]


def fates(flights: list[Flight]) -> list[tuple[str, str, str]]:
    return [(flight.start, flight.end, flight.fate) for flight in flights]


def test_a_hop_is_a_flight_between_names() -> None:
    fold = after(hop(0, 4, at_us=12, sampled=20))
    flight = fold.state.flights[-1]
    assert (flight.trip, flight.kind, flight.start, flight.end) == (TRIP, Kind.DATA, "core-0", "core-4")
    assert trip_of(fold).flights == [flight]
    assert (trip_of(fold).origin, trip_of(fold).target) == ("core-0", "core-9")
    assert fold.state.sampled == 20


def test_a_relay_that_alters_a_copy_is_seen_on_what_it_sends_on_and_not_before() -> None:
    fold = after(
        *(hop(0, 4), hop(0, 5, copy=1), hop(4, 6, hops=2), harm(4, "alter", "body"), hop(6, 9, hops=3)),
        *(hop(5, 9, copy=1, hops=2), hop(9, 0, kind="receipt", hops=9)),
    )
    expected = [
        *(("core-0", "core-4", ""), ("core-0", "core-5", ""), ("core-4", "core-6", "altered")),
        *(("core-6", "core-9", "altered"), ("core-5", "core-9", ""), ("core-9", "core-0", "")),
    ]
    assert fates(trip_of(fold).flights) == expected
    assert fates(list(fold.state.flights)) == expected


def test_a_relay_that_drops_a_copy_is_where_its_flight_ends() -> None:
    for how in (harm(4, "drop"), harm(4, "alter", "unreadable")):
        fold = after(hop(0, 5), hop(0, 4, copy=1), how)
        assert fates(trip_of(fold).flights) == [("core-0", "core-5", ""), ("core-0", "core-4", "lost")]


def test_a_copy_that_is_late_or_sent_astray_is_still_as_it_was() -> None:
    fold = after(hop(0, 4), harm(4, "delay"), harm(4, "misroute"), hop(4, 6, hops=2))
    assert {fate for _, _, fate in fates(trip_of(fold).flights)} == {""}


def test_a_dropped_receipt_is_lost_and_the_message_is_not() -> None:
    fold = after(hop(0, 4), hop(4, 9, hops=2), hop(9, 4, kind="receipt"), harm(4, "drop", message="DataAck"))
    assert [fate for _, _, fate in fates(trip_of(fold).flights)] == ["", "", "lost"]


def test_what_goes_to_a_place_goes_to_the_peer_that_is_there() -> None:
    for target, name in ((f"{place_of(Address(at(3))):064x}", "core-3"), ("ab" * 32, "ab" * 32)):
        event, peer = hop(0, 4)
        assert isinstance(event, HopTaken)
        assert trip_of(after((replace(event, target=target), peer))).target == name


def test_the_senders_word_shows_the_last_hop_of_a_lost_copy() -> None:
    fold = after(hop(0, 4), hop(4, 6, hops=2), hop(0, 5, copy=1), traced("lost", "intact"))
    assert trip_of(fold).fates == ("lost", "intact")
    assert trip_of(fold).outcome == "1 of 2 copies intact"
    assert fates(trip_of(fold).flights) == [
        ("core-0", "core-4", ""),
        ("core-4", "core-6", "lost"),
        ("core-0", "core-5", ""),
    ]


def test_the_relays_word_is_more_exact_than_the_senders() -> None:
    fold = after(hop(0, 4), harm(4, "alter", "body"), hop(4, 6, hops=2), hop(6, 9, hops=3), traced("altered"))
    assert [fate for _, _, fate in fates(trip_of(fold).flights)] == ["", "altered", "altered"]


def test_attempts_and_receipts_are_one_trip_once_the_sender_says_so() -> None:
    fold = after(
        *(hop(0, 4), hop(0, 5, trip="core-0/2", attempt=2), hop(9, 0, trip="core-9/1", kind="receipt")),
        traced("lost", "intact", trips=(TRIP, "core-0/2", "core-9/1"), attempts=(1, 2)),
        hop(5, 9, trip="core-0/2", attempt=2, hops=2),
    )
    assert list(fold.state.trips) == [TRIP]
    assert {flight.trip for flight in fold.state.flights} == {TRIP}
    assert fates(trip_of(fold).flights) == [
        *(("core-0", "core-4", "lost"), ("core-0", "core-5", ""), ("core-9", "core-0", "")),
        ("core-5", "core-9", ""),
    ]
    assert trip_of(fold).kind is Kind.DATA


def test_a_message_whose_receipt_was_seen_first_is_a_message() -> None:
    assert trip_of(after(hop(9, 0, kind="receipt"), hop(0, 4))).kind is Kind.DATA


def test_a_lookup_says_how_it_ended() -> None:
    found = LookupFinished(place="ab", owner=at(3), hops=2, seconds=0.0123, trip=TRIP)
    lost = LookupFinished(place="ab", owner="", hops=0, seconds=1.0, reason="timed out", trip=TRIP)
    begun = hop(0, 4, kind="lookup")
    assert trip_of(after(begun, (found, "core-0"))).outcome == "core-3 owns it, 2 hops, 12.3 ms"
    assert trip_of(after(begun, (lost, "core-0"))).outcome == "failed: timed out"


@pytest.mark.parametrize(
    ("reached", "complete", "reason", "words"),
    [
        (9, True, "", "9 peers have it"),
        (1, False, "", "1 peer has it, and a part of the ring did not answer"),
        (0, False, "not in a ring", "never left: not in a ring"),
    ],
)
def test_a_broadcast_says_how_it_ended(reached: int, complete: bool, reason: str, words: str) -> None:
    trip = broadcast_trip(at(0), 31)
    over = BroadcastFinished(message=31, reached=reached, complete=complete, reason=reason, trip=trip)
    fold = after(hop(0, 1, kind="broadcast", trip=trip), (over, "core-0"))
    assert trip_of(fold, trip).outcome == words
    assert fold.state.log[-1].text == f"broadcast 31: {words}"


def test_only_what_an_altering_peer_passes_on_of_a_broadcast_is_altered() -> None:
    fold = after(
        hop(0, 1, kind="broadcast"),
        hop(0, 2, kind="broadcast"),
        harm(1, "alter", "payload"),
        harm(2, "drop"),
        hop(1, 3, kind="broadcast", hops=2),
        hop(0, 4, kind="broadcast"),
    )
    assert [flight.fate for flight in trip_of(fold).flights] == ["", "", "altered", ""]


def test_what_happens_to_a_copy_of_the_fold_is_nothing_to_the_trips_of_the_original() -> None:
    fold = after(hop(0, 4))
    copied = fold.copy()
    copied.apply(told(*hop(4, 6, hops=2)))
    copied.apply(told(*harm(4, "drop")))
    assert len(trip_of(fold).flights) == 1
    assert fates(list(fold.state.flights)) == [("core-0", "core-4", "")]
    assert fates(trip_of(copied).flights)[0] == ("core-0", "core-4", "lost")
