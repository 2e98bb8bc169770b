"""Peers that do harm do it to messages of others only, in the way they are told, and tell of each."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.chord.io import OwnerFound
from cicada.events import RelayMisbehaved
from cicada.ids import Peer
from cicada.limits import TRIAL
from cicada.routing.behaviour import KINDS, BadRouter, Behaviour, LyingRing, ring_for, router_for
from cicada.routing.io import Alarm, Forward, NextHopLost, RoutedReceived, RouterOutput, Tell
from cicada.routing.misdeeds import UNREADABLE, altered
from cicada.routing.router import Router
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start
from cicada.wire.codec import encode
from cicada.wire.routed import Contact, DataAck, LodgingMessage, NoSuchPeer, RouterMessage
from tests.routing.swarm import ideal_table, peers_at
from tests.wire.catalogue import MESSAGE_SAMPLES

PEERS = peers_at(21000, 24)
RELAYS = [kind for kind in KINDS if kind != "lie-in-lookups"]


def relay(kind: str, share: float = 1.0, seed: int = 1) -> Router:
    own = PEERS[0]
    router = router_for(own, 1, behaviour=Behaviour(kind, share), rng=Random(seed))  # type: ignore[arg-type]
    router.handle(ideal_table(own, PEERS), 0.0)
    return router


def question(number: int, origin: Peer = PEERS[5]) -> Contact:
    target = PEERS[2 + number % 20]
    return Contact(
        target=target.place.to_bytes(32, "big"),
        origin=origin.address,
        hops=1,
        request=number + 1,
        selector=b"",
        handshake=bytes(64),
    )


def relayed(router: Router, number: int, now: float = 0.0) -> list[RouterOutput]:
    return router.handle(RoutedReceived(PEERS[5], question(number)), now)


def left(outputs: list[RouterOutput]) -> list[RouterMessage | LodgingMessage]:
    return [output.message for output in outputs if isinstance(output, Forward)]


def told(outputs: list[RouterOutput]) -> list[RelayMisbehaved]:
    events = [output.event for output in outputs if isinstance(output, Tell)]
    return [event for event in events if isinstance(event, RelayMisbehaved)]


def honest(number: int) -> Forward:
    router = Router(PEERS[0], 1, rng=Random(1))
    router.handle(ideal_table(PEERS[0], PEERS), 0.0)
    (forward,) = relayed(router, number)
    assert isinstance(forward, Forward)
    return forward


def test_without_a_behaviour_a_peer_has_the_product_s_own_cores() -> None:
    assert type(router_for(PEERS[0], 1, behaviour=None, rng=Random(1))) is Router
    drops = Behaviour("drop")
    assert type(ring_for(PEERS[0], 1, behaviour=drops, rng=Random(1))) is not LyingRing
    assert type(router_for(PEERS[0], 1, behaviour=drops, rng=Random(1))) is BadRouter


def test_a_dropper_passes_nothing_on_and_tells_what_it_was() -> None:
    outputs = relayed(relay("drop"), 3)
    assert left(outputs) == []
    (event,) = told(outputs)
    assert (event.behaviour, event.message, event.origin) == ("drop", "Contact", PEERS[5].address)
    assert event.target == question(3).target.hex()


def test_a_share_of_five_percent_spares_the_others() -> None:
    router = relay("drop", 0.05)
    passed = sum(len(left(relayed(router, number))) for number in range(4000))
    assert 3700 < passed < 3900


@pytest.mark.parametrize("kind", KINDS)
def test_own_messages_leave_as_honest_ones_do(kind: str) -> None:
    own = PEERS[0]
    bad = router_for(own, 1, behaviour=Behaviour(kind), rng=Random(1))  # type: ignore[arg-type]
    good = Router(own, 1, rng=Random(1))
    for router in (bad, good):
        router.handle(ideal_table(own, PEERS), 0.0)
    mine = NextHopLost(PEERS[1], (question(7, origin=own),))
    assert bad.handle(mine, 0.0) == good.handle(mine, 0.0)
    assert bad.counters() == good.counters()


def test_an_alterer_changes_one_message_into_another_or_lets_it_vanish() -> None:
    router = relay("alter")
    fields: Counter[str] = Counter()
    for number in range(2000):
        outputs = relayed(router, number)
        (event,) = told(outputs)
        fields[event.field] += 1
        if event.field == UNREADABLE:
            assert left(outputs) == []
        else:
            (message,) = left(outputs)
            assert message != honest(number).message
    assert {"target", "origin", "request", "handshake", "hops", UNREADABLE} <= fields.keys()


@given(st.integers(0, 2**32))
def test_an_altered_message_differs_in_the_field_that_is_named(seed: int) -> None:
    rng = Random(seed)
    message = rng.choice([each for each in MESSAGE_SAMPLES.values() if isinstance(each, RouterMessage)])
    changed, field = altered(message, rng)
    if changed is None:
        assert field == UNREADABLE
    elif field == "tag" and type(changed) is not type(message):
        assert encode(changed) != encode(message)
    else:
        assert getattr(changed, field) != getattr(message, field)


def test_a_misrouter_sends_to_anybody_but_the_right_next_hop() -> None:
    router = relay("misroute")
    hops = set()
    for number in range(500):
        outputs = relayed(router, number)
        (forward,) = [output for output in outputs if isinstance(output, Forward)]
        assert forward.peer != honest(number).peer
        assert forward.message == honest(number).message
        hops.add(forward.peer)
    assert len(hops) > len(PEERS) / 2


def test_a_replayer_says_everything_twice_and_old_things_again() -> None:
    router = relay("replay")
    assert left(relayed(router, 0)) == [honest(0).message] * 2
    again = left(relayed(router, 1))
    assert again == [honest(1).message] * 2 + [honest(0).message]


def test_a_delayer_lets_go_when_the_time_is_over_and_keeps_no_more_than_it_may() -> None:
    router = relay("delay")
    for number in range(TRIAL.delayed + 10):
        assert left(relayed(router, number, now=1.0)) == []
    assert router.next_deadline() == 1.0 + TRIAL.delay
    assert left(router.handle(Alarm(), 1.0 + TRIAL.delay / 2)) == []
    freed = left(router.handle(Alarm(), 1.0 + TRIAL.delay))
    assert freed == [honest(number).message for number in range(TRIAL.delayed)]
    assert router.next_deadline() is None


def test_a_liar_denies_peers_that_are_to_be_met() -> None:
    (event, forward) = relayed(relay("lie-in-lookups"), 3)
    assert isinstance(event, Tell)
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, NoSuchPeer)
    assert forward.message.request == 4
    assert forward.message.place == question(3).target


def test_a_liar_in_the_ring_claims_places_and_stays_in_it() -> None:
    swarm = Swarm(3)
    peers = [peer_number(number) for number in range(60)]
    liars = peers[:20]
    for peer in liars:
        swarm.peer(peer).behaviour = Behaviour("lie-in-lookups")
    warm_start(swarm, peers)
    rng = Random(5)
    wrong = 0
    for _ in range(100):
        found = swarm.lookup(rng.choice(peers[20:]), rng.choice(peers).place)
        wrong += isinstance(found, OwnerFound) and found.owner in liars
    assert wrong > 30
    swarm.join(peer_number(60), peers[25])
    swarm.run_until(swarm.is_ideal, 60.0)


@pytest.mark.parametrize("kind", RELAYS)
def test_a_ring_with_bad_relays_stays_a_ring(kind: str) -> None:
    swarm = Swarm(4)
    peers = [peer_number(number) for number in range(40)]
    for peer in peers[:20]:
        swarm.peer(peer).behaviour = Behaviour(kind)  # type: ignore[arg-type]
    warm_start(swarm, peers)
    swarm.run_for(30.0)
    assert swarm.is_ideal()


def test_acks_of_others_are_treated_like_their_messages() -> None:
    ack = next(message for message in MESSAGE_SAMPLES.values() if isinstance(message, DataAck))
    router = relay("drop")
    outputs = router.handle(RoutedReceived(PEERS[3], ack), 0.0)
    assert left(outputs) == []
