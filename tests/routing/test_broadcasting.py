"""Broadcast: the interval tree, what happens when delegates are dead or silent, and which bodies are believed."""

from __future__ import annotations

from math import log2
from random import Random

import pytest
from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.events import BroadcastReceived, MessageDropped
from cicada.ids import RING_SIZE, Peer, place_to_bytes
from cicada.keys.trust import Trust
from cicada.limits import BROADCAST, KEYS, BroadcastLimits, DeliveryLimits
from cicada.routing.broadcastlog import id_of
from cicada.routing.io import (
    Alarm,
    BroadcastSettled,
    CheckStatement,
    Deliver,
    Forward,
    NegotiatorChanged,
    NextHopLost,
    Reason,
    RoutedReceived,
    RouterOutput,
    SendBroadcast,
    SignStatement,
    StatementChecked,
    StatementSigned,
    Tell,
)
from cicada.routing.router import Router
from cicada.wire.routed import Broadcast, BroadcastAck
from tests.routing.swarm import Swarm, peers_at

PEERS = peers_at(34000, 10)
OWN, HEAD = PEERS[:2]


def receptions(swarm: Swarm, origin: Peer) -> list[int]:
    """How often each living peer but the origin got a broadcast."""
    return [len(node.broadcasts) for peer, node in swarm.nodes.items() if node.is_alive and peer != origin]


@pytest.mark.parametrize("candidates", [1, 16])
@pytest.mark.parametrize(
    "number",
    [*range(2, 21), 32, 33, 64, *(pytest.param(n, marks=pytest.mark.prove) for n in (100, 150, 200))],
)
def test_a_broadcast_reaches_every_peer_once_with_one_body_each_in_a_shallow_tree(
    number: int, candidates: int
) -> None:
    swarm = Swarm(number, candidates=candidates)
    for origin in swarm.random.sample(swarm.peers, min(number, 4)):
        swarm.wire.clear()
        for node in swarm.nodes.values():
            node.broadcasts.clear()
        swarm.broadcast(origin, b"news")
        swarm.run()
        assert receptions(swarm, origin) == [1] * (number - 1)
        assert swarm.nodes[origin].broadcasts == []
        assert len(swarm.sent(Broadcast)) == number - 1
        delivered = [deliver for node in swarm.nodes.values() for deliver in node.broadcasts]
        assert max(deliver.hops for deliver in delivered) <= log2(number) + 1
        assert {(deliver.origin, deliver.payload) for deliver in delivered} == {(origin, b"news")}


def test_watchers_are_told_of_each_broadcast_with_its_depth() -> None:
    swarm = Swarm(10)
    number = swarm.broadcast(swarm.peers[0])
    swarm.run()
    told = {peer: event for peer, event in swarm.events if isinstance(event, BroadcastReceived)}
    assert told == {
        peer: BroadcastReceived(
            origin=swarm.peers[0].address, message=number, hops=swarm.nodes[peer].broadcasts[0].hops
        )
        for peer in swarm.peers[1:]
    }


@pytest.mark.parametrize("number", [2, 3, 5, 20])
def test_every_single_dead_delegate_is_worked_around(number: int) -> None:
    for dead in range(1, number):
        swarm = Swarm(number)
        swarm.kill(swarm.peers[dead])
        swarm.broadcast(swarm.peers[0])
        swarm.run()
        assert receptions(swarm, swarm.peers[0]) == [1] * (number - 2)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("candidates", [pytest.param(2, marks=pytest.mark.prove), 16])
def test_a_broadcast_reaches_all_the_living_although_nobody_knows_who_died(
    share: float, candidates: int
) -> None:
    for seed in range(5):
        swarm = Swarm(120, seed=seed, candidates=candidates)
        for peer in swarm.random.sample(swarm.peers[1:], int(120 * share)):
            swarm.kill(peer)
        swarm.broadcast(swarm.peers[0])
        swarm.run()
        living = sum(node.is_alive for node in swarm.nodes.values())
        assert receptions(swarm, swarm.peers[0]) == [1] * (living - 1), f"seed {seed}"
        assert len(swarm.sent(Broadcast)) <= 120 * 5


def test_a_ring_of_one_broadcasts_to_nobody() -> None:
    swarm = Swarm(1)
    swarm.broadcast(swarm.peers[0])
    assert swarm.wire == []


@pytest.fixture
def router() -> Router:
    router = Router(OWN, 7, limits=LIMITS, rng=Random(1))
    router.handle(TableChanged(head=HEAD, predecessor=PEERS[-1], known=PEERS[1:]), 0.0)
    return router


LIMITS = DeliveryLimits(
    hop_limit=5, lost_hop_seconds=2.0, broadcast=BroadcastLimits(ids=6, extensions=2, sample=0)
)
WALL = 1_800_000_000_000
SKEW = int(KEYS.clock_skew * 1000)
LIFE = int(BROADCAST.seconds * 1000)


def body(limit: int, message: int = 1, hops: int = 1, origin: Peer = PEERS[9]) -> Broadcast:
    return Broadcast(
        origin=origin.address,
        origin_boot=5,
        message=message,
        expires_ms=WALL + LIFE,
        payload=b"all",
        record=b"record",
        signature=b"signature",
        limit=place_to_bytes(PEERS[limit].place),
        hops=hops,
    )


def receive(
    router: Router,
    message: Broadcast,
    now: float = 0.0,
    sender: Peer = PEERS[9],
    reason: str = "",
    wall_ms: int = WALL,
) -> list[RouterOutput]:
    """What follows from a body, when the negotiator answers at once."""
    outputs: list[RouterOutput] = []
    for output in router.handle(RoutedReceived(sender, message), now):
        if isinstance(output, CheckStatement):
            outputs += router.handle(checked(output, reason, wall_ms), now)
        else:
            outputs.append(output)
    return outputs


def checked(question: CheckStatement, reason: str = "", wall_ms: int = WALL) -> StatementChecked:
    return StatementChecked(
        ticket=question.ticket, reason=reason, wall_ms=wall_ms, trust=Trust.PINNED, peer_id="id"
    )


def announce(router: Router, now: float = 0.0, id: int = 1) -> list[RouterOutput]:
    """What follows from an own broadcast, when the negotiator answers at once."""
    asked = SendBroadcast(id=id, payload=b"all", expires_ms=WALL + LIFE, deadline=now + 15.0)
    outputs: list[RouterOutput] = []
    for output in router.handle(asked, now):
        if isinstance(output, SignStatement):
            outputs += router.handle(StatementSigned(output.ticket, b"record", b"signature"), now)
        else:
            outputs.append(output)
    return outputs


def acks(outputs: list[RouterOutput]) -> list[tuple[Peer, int, bool]]:
    """To whom, how many it claims, and whether that is all."""
    return [
        (output.peer, output.message.reached, output.message.is_done)
        for output in outputs
        if isinstance(output, Forward) and isinstance(output.message, BroadcastAck)
    ]


def ack(
    router: Router, given: Forward, reached: int, is_done: bool = True, now: float = 0.0
) -> list[RouterOutput]:
    """A delegate answers."""
    assert isinstance(given.message, Broadcast)
    word = BroadcastAck(id=id_of(given.message), limit=given.message.limit, reached=reached, is_done=is_done)
    return router.handle(RoutedReceived(given.peer, word), now)


def given_to(outputs: list[RouterOutput], *peers: Peer) -> list[Forward]:
    """The bodies among the outputs, or those to these peers."""
    return [
        output
        for output in outputs
        if isinstance(output, Forward)
        and isinstance(output.message, Broadcast)
        and (not peers or output.peer in peers)
    ]


def delivered(outputs: list[RouterOutput]) -> list[Deliver]:
    return [output for output in outputs if isinstance(output, Deliver)]


def shares(outputs: list[RouterOutput]) -> list[tuple[Peer, bytes]]:
    """Who is to serve up to where."""
    return [
        (output.peer, output.message.limit)
        for output in outputs
        if isinstance(output, Forward) and isinstance(output.message, Broadcast)
    ]


def up_to(peer: Peer) -> bytes:
    return place_to_bytes(peer.place)


def dropped(outputs: list[RouterOutput]) -> list[str]:
    return [o.event.reason for o in outputs if isinstance(o, Tell) and isinstance(o.event, MessageDropped)]


def test_each_share_ends_where_the_next_begins_and_the_last_at_the_limit(router: Router) -> None:
    outputs = receive(router, body(limit=8))
    assert isinstance(outputs[0], Deliver)
    assert (outputs[0].ticket, outputs[0].broadcast) == (0, True)
    given = shares(outputs)
    assert given[0][0] == HEAD
    assert [limit for _, limit in given] == [*(up_to(peer) for peer, _ in given[1:]), up_to(PEERS[8])]
    assert {output.source for output in given_to(outputs)} == {PEERS[9]}


def test_a_body_that_comes_again_is_dropped(router: Router) -> None:
    receive(router, body(limit=8))
    for limit in (8, 3):
        assert dropped(receive(router, body(limit=limit))) == ["broadcast-duplicate"]
    assert router.counters()["dropped:broadcast-duplicate"] == 2


def test_a_body_that_comes_again_with_a_wider_interval_has_only_the_rest_served(router: Router) -> None:
    first = receive(router, body(limit=2))
    assert shares(first) == [(HEAD, up_to(PEERS[2]))]
    outputs = receive(router, body(limit=8))
    assert delivered(outputs) == []
    # Who lives between the head and the old limit is for the last known peer before it to say.
    assert shares(outputs)[:2] == [(HEAD, up_to(PEERS[2])), (PEERS[2], up_to(shares(outputs)[2][0]))]
    assert shares(outputs)[-1][1] == up_to(PEERS[8])
    assert dropped(receive(router, body(limit=8))) == ["broadcast-duplicate"]


def test_an_interval_is_widened_only_so_often(router: Router) -> None:
    for limit in (2, 3, 4):
        assert dropped(receive(router, body(limit=limit))) == []
    assert dropped(receive(router, body(limit=5))) == ["broadcast-extended-too-often"]


def test_an_interval_that_ends_at_the_receiver_itself_is_empty(router: Router) -> None:
    outputs = receive(router, body(limit=0))
    assert isinstance(outputs[0], Deliver)
    assert shares(outputs) == []


def test_the_interval_of_a_lost_head_goes_to_those_who_come_after_it(router: Router) -> None:
    given = receive(router, body(limit=4))
    undelivered = [o.message for o in given if isinstance(o, Forward) and o.peer == HEAD]
    outputs = router.handle(NextHopLost(HEAD, tuple(undelivered)), 0.0)
    assert undelivered[0].limit == up_to(PEERS[2])  # type: ignore[union-attr]
    assert shares(outputs) == []  # nobody else is known in there, and this peer is the last before it
    assert router.counters()["hand-overs"] == 1


def test_the_interval_of_a_lost_delegate_goes_to_the_peer_before_it_and_those_inside() -> None:
    router = Router(OWN, 7, limits=LIMITS, rng=Random(1))
    known = (PEERS[1], PEERS[4], PEERS[7])
    router.handle(TableChanged(head=HEAD, predecessor=PEERS[-1], known=known), 0.0)
    given = announce(router)
    (undelivered,) = (o.message for o in given if isinstance(o, Forward) and o.peer == PEERS[4])
    assert isinstance(undelivered, Broadcast)
    wide = replace(undelivered, limit=up_to(PEERS[9]))
    outputs = router.handle(NextHopLost(PEERS[4], (wide,)), 0.0)
    assert shares(outputs) == [(HEAD, up_to(PEERS[7])), (PEERS[7], up_to(PEERS[9]))]


def test_a_broadcast_that_crossed_too_many_links_is_delivered_but_goes_no_further(router: Router) -> None:
    outputs = receive(router, body(limit=8, hops=5))
    assert isinstance(outputs[0], Deliver)
    assert shares(outputs) == []
    assert router.counters()["dropped:hop-limit"] == 1


def test_a_peer_that_is_not_in_a_ring_neither_begins_nor_passes_on_a_broadcast() -> None:
    router = Router(OWN, 7, rng=Random(1))
    settled, told = announce(router)
    assert settled == BroadcastSettled(id=1, reason=Reason.NOT_IN_RING)
    assert dropped([told]) == ["not-in-ring"]
    assert shares(receive(router, body(limit=8))) == []
    assert router.counters()["dropped:not-in-ring"] == 2


def test_the_own_broadcast_is_not_begun_twice_nor_delivered_here(router: Router) -> None:
    assert shares(announce(router))[-1][1] == up_to(OWN)
    assert announce(router) == []
    assert dropped(receive(router, body(limit=8, origin=OWN))) == ["broadcast-came-back"]


def test_what_had_to_be_forgotten_is_refused_and_never_delivered_again(router: Router) -> None:
    for message in (1, 2, 3, 4, 5):
        assert delivered(receive(router, body(limit=8, message=message), now=float(message)))
    assert dropped(receive(router, body(limit=8, message=3), now=6.0)) == ["broadcast-duplicate"]
    for message in (1, 2):
        assert dropped(receive(router, body(limit=8, message=message), now=6.0)) == ["broadcast-below-floor"]
    assert delivered(receive(router, body(limit=8, message=6), now=6.0))


@pytest.mark.parametrize(
    ("late_ms", "reason"),
    [
        (0, None),
        (LIFE + SKEW - 1, None),
        (LIFE + SKEW, "broadcast-expired"),
        (-SKEW, None),
        (-SKEW - 1, "broadcast-from-the-future"),
    ],
)
def test_a_body_is_good_for_as_long_as_its_origin_signed_give_or_take_two_clocks(
    router: Router, late_ms: int, reason: str | None
) -> None:
    outputs = receive(router, body(limit=8), wall_ms=WALL + late_ms)
    assert dropped(outputs) == ([] if reason is None else [reason])
    assert len(delivered(outputs)) == (reason is None)


def test_one_that_was_forgotten_because_it_expired_is_refused_as_expired(router: Router) -> None:
    assert delivered(receive(router, body(limit=8)))
    later = (LIFE + SKEW) / 1000
    assert delivered(receive(router, body(limit=8, message=2), now=later, wall_ms=WALL))
    again = receive(router, body(limit=8), now=later, wall_ms=WALL + LIFE + SKEW)
    assert dropped(again) == ["broadcast-expired"]


@pytest.mark.parametrize("reason", ["signature", "record-address", "key-changed"])
def test_a_body_that_is_not_authentic_is_neither_taken_nor_passed_on_and_does_not_stop_the_real_one(
    router: Router, reason: str
) -> None:
    forged = replace(body(limit=8), payload=b"forged")
    outputs = receive(router, forged, reason=reason)
    assert dropped(outputs) == [f"broadcast-{reason}"]
    assert len(outputs) == 1
    honest = receive(router, body(limit=8))
    assert [deliver.payload for deliver in delivered(honest)] == [b"all"]
    assert shares(honest)


def test_a_forgery_that_is_still_being_checked_does_not_stop_the_real_one(router: Router) -> None:
    forged = replace(body(limit=8), payload=b"forged", signature=b"another")
    (first,) = router.handle(RoutedReceived(PEERS[9], forged), 0.0)
    (second,) = router.handle(RoutedReceived(PEERS[9], body(limit=8)), 0.0)
    assert isinstance(first, CheckStatement)
    assert isinstance(second, CheckStatement)
    assert first.digest != second.digest
    assert dropped(router.handle(checked(first, "signature"), 0.0)) == ["broadcast-signature"]
    assert [d.payload for d in delivered(router.handle(checked(second), 0.0))] == [b"all"]
    assert router.handle(checked(second), 0.0) == []


def test_what_comes_in_the_name_of_one_that_was_taken_is_dropped_unchecked(router: Router) -> None:
    receive(router, body(limit=8))
    for other in (replace(body(limit=8), payload=b"other"), replace(body(limit=8), signature=b"other")):
        outputs = router.handle(RoutedReceived(PEERS[9], other), 0.0)
        assert dropped(outputs) == ["broadcast-altered"]
        assert len(outputs) == 1


def test_only_its_origin_may_begin_a_broadcast(router: Router) -> None:
    assert dropped(receive(router, body(limit=8), sender=PEERS[3])) == ["broadcast-not-from-origin"]
    assert dropped(receive(router, body(limit=8, hops=0), sender=PEERS[3])) == ["broadcast-not-from-origin"]
    assert delivered(receive(router, body(limit=8, hops=2), sender=PEERS[3]))


def test_the_application_is_told_who_signed_and_how_sure_that_is(router: Router) -> None:
    (deliver,) = delivered(receive(router, body(limit=8)))
    assert (deliver.peer_id, deliver.trust) == ("id", Trust.PINNED)


def test_a_link_that_floods_with_forgeries_is_not_listened_to_and_others_are(router: Router) -> None:
    asked = [
        receive(router, body(limit=8, message=number), reason="signature")
        for number in range(BROADCAST.check_burst + 10)
    ]
    assert [dropped(outputs) for outputs in asked[-10:]] == [["broadcast-rate"]] * 10
    assert delivered(receive(router, body(limit=8, message=999, hops=2), sender=PEERS[3]))
    assert delivered(receive(router, body(limit=8, message=999_999), now=1.0))


def test_what_is_authentic_costs_a_link_nothing(router: Router) -> None:
    for number in range(1, 2 * BROADCAST.check_burst):
        assert delivered(receive(router, body(limit=8, message=number)))


def test_another_negotiator_is_asked_again_about_what_the_last_one_forgot(router: Router) -> None:
    (question,) = router.handle(RoutedReceived(PEERS[9], body(limit=8)), 0.0)
    asked = SendBroadcast(id=1, payload=b"all", expires_ms=WALL + LIFE, deadline=15.0)
    (unsigned,) = router.handle(asked, 0.0)
    assert router.handle(NegotiatorChanged(), 0.0) == [unsigned, question]


# Acks


def test_a_peer_with_nobody_to_serve_says_at_once_that_it_is_done(router: Router) -> None:
    assert acks(receive(router, body(limit=1))) == [(PEERS[9], 1, True)]


def test_claims_are_added_up_and_reported_once_all_are_in(router: Router) -> None:
    outputs = receive(router, body(limit=8))
    assert acks(outputs) == [(PEERS[9], 0, False)]
    given = given_to(outputs)
    assert len(given) > 2
    for forward in given[:-1]:
        assert ack(router, forward, reached=0, is_done=False) == []
        assert ack(router, forward, reached=2) == []
    assert acks(ack(router, given[-1], reached=5)) == [(PEERS[9], 1 + 2 * (len(given) - 1) + 5, True)]


def test_an_ack_from_who_was_not_asked_or_for_another_interval_counts_nothing(router: Router) -> None:
    given = given_to(receive(router, body(limit=8)))
    assert ack(router, Forward(PEERS[9], given[0].message, None), reached=99) == []
    wrong = replace(given[0].message, limit=up_to(PEERS[0]))
    assert ack(router, Forward(given[0].peer, wrong, None), reached=99) == []
    assert router.counters()["ignored:broadcast-ack"] == 2


def test_a_body_that_comes_again_is_acknowledged_again_and_counts_nobody_twice(router: Router) -> None:
    given = given_to(receive(router, body(limit=8)))
    assert acks(receive(router, body(limit=8))) == [(PEERS[9], 0, False)]
    for forward in given:
        ack(router, forward, reached=1)
    assert acks(receive(router, body(limit=8))) == [(PEERS[9], 1 + len(given), True)]
    assert acks(receive(router, body(limit=8, hops=2), sender=PEERS[3])) == [(PEERS[3], 0, True)]


def test_a_silent_delegate_is_asked_four_times_and_then_others_serve_its_interval(router: Router) -> None:
    outputs = announce(router)
    silent = given_to(outputs)[-1]
    for forward in given_to(outputs)[:-1]:
        ack(router, forward, reached=1)
    now, repeats = 0.0, 0
    while not (handed := given_to(outputs := fire(router), *set(PEERS) - {silent.peer})):
        repeats += len(given_to(outputs, silent.peer))
        now = router.next_deadline() or 0.0
        assert now < 60.0
    assert repeats == BROADCAST.tries - 1
    assert [limit for _, limit in shares(outputs)][-1] == silent.message.limit  # type: ignore[union-attr]
    assert silent.peer not in {forward.peer for forward in handed}
    assert router.counters()["silent-delegates"] == 1


def fire(router: Router) -> list[RouterOutput]:
    """What happens at the next deadline."""
    deadline = router.next_deadline()
    assert deadline is not None
    return router.handle(Alarm(), deadline)


def test_a_delegate_that_took_it_is_not_asked_again(router: Router) -> None:
    for forward in given_to(announce(router)):
        ack(router, forward, reached=0, is_done=False)
    outputs: list[RouterOutput] = []
    while router.next_deadline() is not None:
        outputs += fire(router)
    assert given_to(outputs) == []
    assert [o for o in outputs if isinstance(o, BroadcastSettled)] == [
        BroadcastSettled(id=1, reason=None, reached=0, is_complete=False)
    ]


def test_whoever_is_asked_reports_before_whoever_asked_gives_up_waiting() -> None:
    waits: list[float | None] = []
    for hops in (1, 2, 3):
        router = Router(OWN, 7, limits=LIMITS, rng=Random(1))
        router.handle(TableChanged(head=HEAD, predecessor=PEERS[-1], known=PEERS[1:]), 0.0)
        for forward in given_to(receive(router, body(limit=8, hops=hops))):
            ack(router, forward, reached=0, is_done=False)
        reports: list[tuple[Peer, int, bool]] = []
        while not reports:
            due = router.next_deadline()
            reports = acks(fire(router))
        assert reports == [(PEERS[9], 1, True)]
        waits.append(due)
    assert waits == [BROADCAST.report - hops * BROADCAST.report_step for hops in (1, 2, 3)]


def test_limits_are_places_on_the_circle() -> None:
    swarm = Swarm(50)
    swarm.broadcast(swarm.peers[3])
    swarm.run()
    limits = {int.from_bytes(m.limit, "big") for _, _, m in swarm.sent(Broadcast) if isinstance(m, Broadcast)}
    assert limits <= {peer.place for peer in swarm.peers}
    assert max(limits) < RING_SIZE
