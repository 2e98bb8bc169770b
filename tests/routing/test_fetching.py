"""Whom a Router asks for records, and whose waiting it tells the negotiator of."""

from __future__ import annotations

from random import Random

import pytest

from cicada.chord.io import TableChanged
from cicada.ids import Peer, place_to_bytes
from cicada.keys.io import FetchRecords, RecordsFetched
from cicada.limits import DeliveryLimits
from cicada.routing.io import (
    Abandon,
    Alarm,
    Forward,
    Opening,
    Prepare,
    RoutedReceived,
    RouterOutput,
    SendMessage,
    Settled,
)
from cicada.routing.router import Router
from cicada.wire.routed import GetRecord, NoSuchPeer, RecordIs
from tests.routing.swarm import peers_at

PEERS = peers_at(36000, 10)
OWN, HEAD = PEERS[:2]
THERE = PEERS[7]
BEFORE = PEERS[6], PEERS[5], PEERS[4], PEERS[3]  # the nearest first
LIMITS = DeliveryLimits(attempts=2)


def a_router() -> Router:
    router = Router(OWN, 7, limits=LIMITS, rng=Random(1))
    router.handle(TableChanged(head=HEAD, predecessor=PEERS[-1], known=PEERS[1:]), 0.0)
    return router


def questions(outputs: list[RouterOutput]) -> dict[Peer, GetRecord]:
    """What is asked of whom, each in two copies."""
    found = {}
    for output in outputs:
        if isinstance(output, Forward) and isinstance(output.message, GetRecord):
            asked = next(peer for peer in PEERS if place_to_bytes(peer.place) == output.message.target)
            found[asked] = output.message
    return found


def answer(router: Router, question: GetRecord, origin: Peer, now: float = 0.1) -> list[RouterOutput]:
    record = RecordIs(
        target=place_to_bytes(OWN.place),
        origin=origin.address,
        hops=1,
        request=question.request,
        about=question.about,
        record=b"record",
        succession=b"",
    )
    return router.handle(RoutedReceived(HEAD, record), now)


def fetched(outputs: list[RouterOutput]) -> set[Peer]:
    """Who told something, once it has ended."""
    (ended,) = outputs
    assert isinstance(ended, RecordsFetched)
    assert (ended.place, ended.wanted) == (THERE.place, 3)
    return {peer for peer in PEERS if any(told.origin == peer.address for told in ended.told)}


def test_three_neighbours_and_the_place_itself_are_asked_and_no_other_when_all_answer() -> None:
    router = a_router()
    asked = questions(router.handle(FetchRecords(THERE.place), 0.0))
    assert set(asked) == {THERE, *BEFORE[:3]}
    for peer in BEFORE[:3]:
        assert answer(router, asked[peer], peer) == []
    assert router.handle(Alarm(), LIMITS.fetch_spare) == []  # only the place itself is silent
    assert fetched(answer(router, asked[THERE], THERE)) == {THERE, *BEFORE[:3]}


def test_a_fourth_is_asked_when_two_answers_are_of_one_peer() -> None:
    router = a_router()
    asked = questions(router.handle(FetchRecords(THERE.place), 0.0))
    assert answer(router, asked[THERE], THERE) == []
    assert answer(router, asked[BEFORE[0]], BEFORE[0]) == []
    assert answer(router, asked[BEFORE[1]], BEFORE[0]) == []
    more = questions(answer(router, asked[BEFORE[2]], BEFORE[2]))
    assert set(more) == {BEFORE[3]}
    assert fetched(answer(router, more[BEFORE[3]], BEFORE[3])) == {THERE, BEFORE[0], BEFORE[2], BEFORE[3]}


def test_a_fourth_is_asked_when_one_does_not_answer_in_time_and_no_fifth() -> None:
    router = a_router()
    asked = questions(router.handle(FetchRecords(THERE.place), 0.0))
    for peer in (THERE, *BEFORE[:2]):
        assert answer(router, asked[peer], peer) == []
    assert router.next_deadline() == LIMITS.fetch_spare
    more = questions(router.handle(Alarm(), LIMITS.fetch_spare))
    assert set(more) == {BEFORE[3]}
    assert router.next_deadline() == LIMITS.fetch_seconds
    assert fetched(router.handle(Alarm(), LIMITS.fetch_seconds)) == {THERE, *BEFORE[:2]}


# Who stopped waiting


def send(router: Router, number: int, timeout: float, now: float = 0.0) -> list[RouterOutput]:
    message = SendMessage(id=number, place=THERE.place, payload=b"x", copies=1, deadline=now + timeout)
    return router.handle(message, now)


def test_a_negotiator_is_told_when_the_last_message_for_a_place_stopped_waiting() -> None:
    router = a_router()
    assert send(router, 1, 1.0) == [Prepare(THERE.place, THERE.address[:0])]  # type: ignore[arg-type]
    assert send(router, 2, 2.0) == []
    first = router.handle(Alarm(), 1.0)
    assert [type(output) for output in first if isinstance(output, Settled | Abandon)] == [Settled]
    second = router.handle(Alarm(), 2.0)
    assert [output for output in second if isinstance(output, Abandon)] == [Abandon(THERE.place)]
    assert router.handle(Alarm(), 3.0) == []


def test_a_negotiator_is_told_when_nobody_lives_there() -> None:
    router = a_router()
    send(router, 1, 10.0)
    outputs = router.handle(Opening(THERE.place, b"", b"message 1"), 0.0)
    now = 0.0
    for _ in range(20):
        forward = outputs[0]
        assert isinstance(forward, Forward)
        denied = NoSuchPeer(
            target=place_to_bytes(OWN.place),
            origin=BEFORE[0].address,
            hops=1,
            place=place_to_bytes(THERE.place),
            request=forward.message.request,  # type: ignore[union-attr]
            index=0,
            counter=0,
        )
        ended = router.handle(RoutedReceived(HEAD, denied), now)
        if ended:
            break
        deadline = router.next_deadline()
        assert deadline is not None
        now = deadline
        outputs = router.handle(Alarm(), now)
    assert ended[-1] == Abandon(THERE.place, is_denied=True)


@pytest.mark.parametrize("is_asked_again", [False, True])
def test_who_waits_anew_in_the_same_moment_withdraws_nothing(is_asked_again: bool) -> None:
    router = a_router()
    send(router, 1, 1.0)
    introductions = router._sends.introductions
    introductions.drop(THERE.place, 1)
    if is_asked_again:
        assert introductions.ask(THERE.place, THERE.address, 2, 0.5) == [Prepare(THERE.place, THERE.address)]
    assert introductions.take_abandoned() == ([] if is_asked_again else [Abandon(THERE.place)])
