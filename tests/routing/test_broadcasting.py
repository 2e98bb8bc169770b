"""Broadcast: the interval tree alone, and what happens when delegates are dead."""

from __future__ import annotations

from math import log2
from random import Random

import pytest

from cicada.chord.io import TableChanged
from cicada.events import BroadcastReceived, MessageDropped
from cicada.ids import RING_SIZE, Peer, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.io import (
    Deliver,
    Forward,
    NextHopLost,
    RoutedReceived,
    RouterOutput,
    SendBroadcast,
    Tell,
)
from cicada.routing.router import Router
from cicada.wire.routed import Broadcast
from tests.routing.swarm import Swarm, peers_at

PEERS = peers_at(34000, 10)
OWN, HEAD = PEERS[:2]


def receptions(swarm: Swarm, origin: Peer) -> list[int]:
    """How often each living peer but the origin got a broadcast."""
    return [len(node.broadcasts) for peer, node in swarm.nodes.items() if node.is_alive and peer != origin]


@pytest.mark.parametrize("candidates", [1, 16])
@pytest.mark.parametrize("number", [*range(2, 21), 32, 33, 64, 100, 150, 200])
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
@pytest.mark.parametrize("candidates", [2, 16])
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
    hop_limit=5, broadcast_ids=3, broadcast_seconds=120.0, broadcast_extensions=2, lost_hop_seconds=2.0
)


def body(limit: int, message: int = 1, hops: int = 1, origin: Peer = PEERS[9]) -> Broadcast:
    return Broadcast(
        origin=origin.address,
        origin_boot=5,
        message=message,
        limit=place_to_bytes(PEERS[limit].place),
        hops=hops,
        payload=b"all",
    )


def receive(router: Router, message: Broadcast, now: float = 0.0) -> list[RouterOutput]:
    return router.handle(RoutedReceived(PEERS[9], message), now)


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
    assert {output.source for output in outputs if isinstance(output, Forward)} == {PEERS[9]}


def test_a_body_that_comes_again_is_dropped(router: Router) -> None:
    receive(router, body(limit=8))
    for limit in (8, 3):
        assert dropped(receive(router, body(limit=limit))) == ["broadcast-duplicate"]
    assert router.counters()["dropped:broadcast-duplicate"] == 2


def test_a_body_that_comes_again_with_a_wider_interval_has_only_the_rest_served(router: Router) -> None:
    first = receive(router, body(limit=2))
    assert shares(first) == [(HEAD, up_to(PEERS[2]))]
    outputs = receive(router, body(limit=8))
    assert not any(isinstance(output, Deliver) for output in outputs)
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
    given = router.handle(SendBroadcast(1, b"all"), 0.0)
    (undelivered,) = (o.message for o in given if isinstance(o, Forward) and o.peer == PEERS[4])
    assert isinstance(undelivered, Broadcast)
    wide = Broadcast(
        origin=undelivered.origin,
        origin_boot=undelivered.origin_boot,
        message=undelivered.message,
        limit=up_to(PEERS[9]),
        hops=undelivered.hops,
        payload=undelivered.payload,
    )
    outputs = router.handle(NextHopLost(PEERS[4], (wide,)), 0.0)
    assert shares(outputs) == [(HEAD, up_to(PEERS[7])), (PEERS[7], up_to(PEERS[9]))]


def test_a_broadcast_that_crossed_too_many_links_is_delivered_but_goes_no_further(router: Router) -> None:
    outputs = receive(router, body(limit=8, hops=5))
    assert isinstance(outputs[0], Deliver)
    assert (shares(outputs), dropped(outputs)) == ([], ["hop-limit"])


def test_a_peer_that_is_not_in_a_ring_neither_begins_nor_passes_on_a_broadcast() -> None:
    router = Router(OWN, 7, rng=Random(1))
    assert dropped(router.handle(SendBroadcast(1, b"all"), 0.0)) == ["not-in-ring"]
    assert dropped(receive(router, body(limit=8))) == ["not-in-ring"]


def test_the_own_broadcast_is_not_begun_twice_nor_delivered_here(router: Router) -> None:
    assert shares(router.handle(SendBroadcast(1, b"all"), 0.0))[-1][1] == up_to(OWN)
    assert router.handle(SendBroadcast(1, b"all"), 0.0) == []
    assert dropped(receive(router, body(limit=8, origin=OWN))) == ["broadcast-came-back"]


def test_only_the_latest_broadcasts_are_remembered_and_none_for_long(router: Router) -> None:
    for message in (1, 2, 3, 4):
        receive(router, body(limit=8, message=message), now=float(message))
    assert dropped(receive(router, body(limit=8, message=2), now=5.0)) == ["broadcast-duplicate"]
    assert isinstance(receive(router, body(limit=8, message=1), now=5.0)[0], Deliver)
    receive(router, body(limit=8, message=9), now=126.0)
    assert isinstance(receive(router, body(limit=8, message=4), now=126.0)[0], Deliver)


def test_limits_are_places_on_the_circle() -> None:
    swarm = Swarm(50)
    swarm.broadcast(swarm.peers[3])
    swarm.run()
    limits = {int.from_bytes(m.limit, "big") for _, _, m in swarm.sent(Broadcast) if isinstance(m, Broadcast)}
    assert limits <= {peer.place for peer in swarm.peers}
    assert max(limits) < RING_SIZE
