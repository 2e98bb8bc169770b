"""A sender's and a receiver's Router with a mailbox between them that is full, over a wire that may lose the word of room."""

from __future__ import annotations

from random import Random

import pytest

from cicada.chord.io import TableChanged
from cicada.keys.plain import PlainNegotiator
from cicada.limits import DELIVERY
from cicada.routing.io import (
    Alarm,
    Deliver,
    Forward,
    Judged,
    Reason,
    RoomMade,
    RoutedReceived,
    RouterInput,
    SendMessage,
    Settled,
    Status,
    Verdict,
)
from cicada.routing.router import Router
from cicada.wire.routed import LodgingBase
from tests.routing.swarm import peers_at

ONE, OTHER = peers_at(34000, 2)
ONE_ID = ""  # peers that do not encrypt prove none


class Pair:
    """Two peers that know each other. What they say crosses at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.routers = {peer: Router(peer, 7, rng=Random(1)) for peer in (ONE, OTHER)}
        self.negotiators = {
            peer: PlainNegotiator(peer, 7, wall_ms=lambda: 0, rng=Random(2)) for peer in (ONE, OTHER)
        }
        self.delivered: list[Deliver] = []
        self.settled: list[Settled] = []
        self.is_cut = False
        for own, other in ((ONE, OTHER), (OTHER, ONE)):
            self.feed(own, TableChanged(head=other, predecessor=other, known=(other,)))

    def feed(self, peer: object, input: RouterInput) -> None:
        assert peer in (ONE, OTHER)
        own = ONE if peer == ONE else OTHER
        for output in self.routers[own].handle(input, self.now):
            if isinstance(output, Forward):
                if not self.is_cut and not isinstance(output.message, LodgingBase):
                    self.feed(output.peer, RoutedReceived(own, output.message))
            elif isinstance(output, Deliver):
                self.delivered.append(output)
            elif isinstance(output, Settled):
                self.settled.append(output)
            else:
                self.negotiate(own, output)

    def negotiate(self, own: object, output: object) -> None:
        negotiator = self.negotiators[ONE if own == ONE else OTHER]
        for answer in negotiator.handle(output, self.now):  # type: ignore[arg-type]
            self.feed(own, answer)

    def send(self, id: int, *, patient: bool = True) -> None:
        self.feed(
            ONE,
            SendMessage(
                id=id,
                place=OTHER.place,
                payload=b"x",
                deadline=60.0,
                address=OTHER.address,
                patient=patient,
            ),
        )

    def judge(self, verdict: Verdict, credit: int) -> None:
        self.feed(OTHER, Judged(self.delivered.pop(0).ticket, verdict, credit))

    def wait(self) -> None:
        """Until something is due."""
        due = self.routers[ONE].next_deadline()
        assert due is not None
        self.now = max(due, self.now)
        self.feed(ONE, Alarm())


@pytest.fixture
def pair() -> Pair:
    """One message was taken, and there is no room for another."""
    pair = Pair()
    pair.send(1)
    pair.judge(Verdict.DELIVERED, 0)
    assert [settled.status for settled in pair.settled] == [Status.DELIVERED]
    return pair


def refused(pair: Pair) -> None:
    """Two messages wait: one was refused, the other never left."""
    pair.send(2)
    pair.judge(Verdict.BUSY, 0)
    pair.send(3)
    assert not pair.delivered


def test_messages_without_credit_wait_until_the_word_that_there_is_room(pair: Pair) -> None:
    refused(pair)
    pair.feed(OTHER, RoomMade(ONE_ID, ONE.address, 1))
    assert [deliver.message for deliver in pair.delivered] == [2]
    pair.judge(Verdict.DELIVERED, 1)
    assert [deliver.message for deliver in pair.delivered] == [3]
    assert pair.now == 0.0


def test_when_the_word_is_lost_a_message_probes(pair: Pair) -> None:
    refused(pair)
    pair.is_cut = True
    pair.feed(OTHER, RoomMade(ONE_ID, ONE.address, 1))
    pair.is_cut = False
    pair.wait()
    assert pair.now == pytest.approx(DELIVERY.probe_first)
    assert [deliver.message for deliver in pair.delivered] == [2]
    pair.judge(Verdict.DELIVERED, 8)
    pair.judge(Verdict.DELIVERED, 8)
    assert [settled.status for settled in pair.settled] == [Status.DELIVERED] * 3


def test_a_sender_that_was_not_told_to_wait_is_not_called_back(pair: Pair) -> None:
    refused(pair)
    pair.feed(OTHER, RoomMade(ONE_ID, OTHER.address, 1))
    assert not pair.delivered


def test_a_message_that_is_refused_for_good_or_will_not_wait_fails_at_once(pair: Pair) -> None:
    pair.send(2)
    pair.judge(Verdict.FULL, 0)
    pair.send(3, patient=False)
    pair.judge(Verdict.BUSY, 0)
    assert [settled.reason for settled in pair.settled[1:]] == [Reason.BUSY] * 2
    assert [settled.attempts for settled in pair.settled[1:]] == [1] * 2


def test_refusals_end_with_the_deadline(pair: Pair) -> None:
    refused(pair)
    while len(pair.settled) < 3:
        pair.wait()
        if pair.delivered:
            pair.judge(Verdict.BUSY, 0)
    assert {settled.reason for settled in pair.settled[1:]} == {Reason.BUSY}
    assert pair.now == 60.0
