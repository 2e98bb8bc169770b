"""Broadcasts between peers that sign: what bad peers can do about them, what crashes do, and what the origin learns."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from cicada.ids import Peer, place_to_bytes
from cicada.keys.identity import Identity
from cicada.keys.trust import Trust
from cicada.limits import BROADCAST, KEYS
from cicada.routing.io import BroadcastSettled, Reason, RoutedReceived
from cicada.wire.routed import Broadcast, BroadcastAck, BroadcastTaken, RouterMessage
from tests.routing.swarm import Swarm

COUNT = 30
STRANGER = Identity.derive(b"s" * 32, "stranger")


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(COUNT, encrypted=True)


def payloads(swarm: Swarm, origin: Peer) -> Counter[bytes]:
    """What was delivered, and how often, at all living peers but the origin."""
    return Counter(
        deliver.payload
        for peer, node in swarm.nodes.items()
        if peer != origin and node.is_alive
        for deliver in node.broadcasts
    )


def counted(swarm: Swarm) -> Counter[str]:
    total: Counter[str] = Counter()
    for node in swarm.nodes.values():
        total.update(node.router.counters())
    return total


def test_everybody_gets_it_from_a_proven_origin_which_learns_who_took_it(swarm: Swarm) -> None:
    origin = swarm.peers[0]
    id = swarm.broadcast(origin, b"news")
    swarm.run()
    assert payloads(swarm, origin) == {b"news": COUNT - 1}
    ids = {d.peer_id for node in swarm.nodes.values() for d in node.broadcasts}
    assert ids == {swarm.identities[origin].peer_id}
    assert {d.trust for node in swarm.nodes.values() for d in node.broadcasts} == {Trust.FIRST_CONTACT}
    fate = swarm.nodes[origin].announced[id]
    assert (fate.reached, fate.is_complete, fate.reason) == (COUNT - 1, True, None)
    assert len(fate.sample) == len(set(fate.sample)) > 5
    assert set(fate.sample) <= {peer.address for peer in swarm.peers[1:]}
    assert all(not node.learned for node in swarm.nodes.values())


@pytest.mark.parametrize(
    "changed", ["payload", "signature", "record", "expires_ms", "message", "origin_boot"]
)
def test_relays_that_alter_anything_signed_only_delay_it(changed: str) -> None:
    """A third of the peers alter all bodies that they pass on. (With one seed of fifty, one peer hears of it from liars alone
    until the digests end.)"""
    swarm = Swarm(COUNT, encrypted=True, seed=2)
    origin, liars = swarm.peers[0], set(swarm.peers[1::3])

    def alter(sender: Peer, receiver: Peer, message: RouterMessage) -> RouterMessage:
        if sender not in liars or not isinstance(message, Broadcast):
            return message
        value = getattr(message, changed)
        return replace(message, **{changed: value + 1 if isinstance(value, int) else value[:-1] + b"?"})

    swarm.tampers = alter
    swarm.broadcast(origin, b"news")
    swarm.run(seconds=120.0)
    assert payloads(swarm, origin) == {b"news": COUNT - 1}
    reason = "record-malformed" if changed == "record" else "signature"
    assert counted(swarm)[f"dropped:broadcast-{reason}"]


def test_nobody_begins_a_broadcast_in_anothers_name(swarm: Swarm) -> None:
    victim, forger = swarm.peers[3], swarm.peers[5]
    genuine = template(swarm, victim)
    for hops in (1, 2):
        forged = swarm.forge(forger)(replace(genuine, hops=hops))
        for receiver in swarm.peers[6:9]:
            swarm.feed(receiver, RoutedReceived(forger, forged))
    swarm.run()
    assert payloads(swarm, forger) == {}
    counts = counted(swarm)
    assert counts["dropped:broadcast-not-from-origin"] == 3
    assert counts["dropped:broadcast-record-address"] == 3


def template(swarm: Swarm, origin: Peer) -> Broadcast:
    """A body that is not signed yet."""
    return Broadcast(
        origin=origin.address,
        origin_boot=5,
        message=1,
        expires_ms=swarm.wall_ms() + int(BROADCAST.seconds * 1000),
        payload=b"made up",
        record=b"",
        signature=b"",
        limit=place_to_bytes(origin.place),
        hops=1,
    )


@pytest.mark.parametrize(
    ("shift_s", "reason"),
    [
        (-BROADCAST.seconds - KEYS.clock_skew, "broadcast-expired"),
        (KEYS.clock_skew + 1, "broadcast-from-the-future"),
    ],
)
def test_a_body_signed_for_another_time_is_dropped_by_the_first_who_gets_it(
    swarm: Swarm, shift_s: float, reason: str
) -> None:
    origin = swarm.peers[3]
    body = template(swarm, origin)
    body = swarm.forge(origin)(replace(body, expires_ms=body.expires_ms + int(shift_s * 1000)))
    swarm.feed(swarm.peers[4], RoutedReceived(origin, body))
    swarm.run()
    assert payloads(swarm, origin) == {}
    assert counted(swarm)[f"dropped:{reason}"] == 1


def test_a_replay_is_refused_as_long_as_it_is_good_and_after(swarm: Swarm) -> None:
    origin, replayed = swarm.peers[0], swarm.peers[4]
    swarm.broadcast(origin, b"news")
    swarm.run()
    bodies = [message for _, receiver, message in swarm.sent(Broadcast) if receiver == replayed]
    for seconds in (0.0, 60.0, 120.0, KEYS.clock_skew, KEYS.clock_skew, 3600.0):
        swarm.now += seconds
        for body in bodies:
            swarm.feed(replayed, RoutedReceived(swarm.peers[5], replace(body, hops=2)))
        swarm.run()
    assert payloads(swarm, origin) == {b"news": COUNT - 1}


def test_a_peer_that_pinned_another_key_is_the_only_one_to_refuse_it() -> None:
    swarm = Swarm(COUNT, encrypted=True, pins=[(7, 0), (8, 0)])
    origin, doubter, friend = swarm.peers[0], swarm.peers[7], swarm.peers[8]
    swarm.stores[doubter].hold(
        replace(swarm.pin_of(origin), signing_key=STRANGER.signing_public, static_key=STRANGER.static.public)
    )
    swarm.broadcast(origin, b"news")
    swarm.run(seconds=120.0)
    assert payloads(swarm, origin) == {b"news": COUNT - 2}
    assert swarm.nodes[doubter].broadcasts == []
    assert [deliver.trust for deliver in swarm.nodes[friend].broadcasts] == [Trust.PINNED]
    assert swarm.nodes[doubter].router.counters()["dropped:broadcast-key-changed"] >= 1


def test_a_signed_word_that_is_forged_counts_for_nothing(swarm: Swarm) -> None:
    origin = swarm.peers[0]

    def forge(sender: Peer, receiver: Peer, message: RouterMessage) -> RouterMessage:
        if isinstance(message, BroadcastTaken):
            return replace(message, signature=bytes(64))
        return message

    swarm.tampers = forge
    id = swarm.broadcast(origin)
    swarm.run()
    fate = swarm.nodes[origin].announced[id]
    assert (fate.sample, fate.reached) == ((), COUNT - 1)
    assert counted(swarm)["ignored:broadcast-taken-signature"] > 5


def test_claims_are_only_claims_but_the_sample_is_signed(swarm: Swarm) -> None:
    origin, liar = swarm.peers[0], swarm.peers[1]

    def boast(sender: Peer, receiver: Peer, message: RouterMessage) -> RouterMessage:
        if isinstance(message, BroadcastAck) and sender == liar and message.is_done:
            return replace(message, reached=1_000_000)
        return message

    swarm.tampers = boast
    id = swarm.broadcast(origin)
    swarm.run()
    fate = swarm.nodes[origin].announced[id]
    assert fate.reached >= 1_000_000
    assert len(fate.sample) <= COUNT - 1


def test_a_router_that_crashed_goes_on_with_its_own_broadcast_and_nobody_gets_it_twice(swarm: Swarm) -> None:
    origin = swarm.peers[0]
    id = swarm.broadcast(origin, b"news")
    swarm.run(until=lambda: payloads(swarm, origin).total() == COUNT - 1)
    assert id not in swarm.nodes[origin].announced
    swarm.crash_router(origin)
    swarm.run()
    assert payloads(swarm, origin) == {b"news": COUNT - 1}
    fate = swarm.nodes[origin].announced[id]
    assert (fate.reached, fate.is_complete, fate.reason) == (COUNT - 1, True, None)
    assert counted(swarm)["dropped:broadcast-altered"] == 0


def test_a_negotiator_that_crashed_before_it_signed_is_asked_again(swarm: Swarm) -> None:
    origin = swarm.peers[0]
    node = swarm.nodes[origin]
    id = swarm.broadcast(origin, b"news")
    node.negotiator.handle = lambda input, now: []  # type: ignore[method-assign]
    swarm.run(until=lambda: swarm.now > 1.0, seconds=2.0)
    assert payloads(swarm, origin) == {}
    swarm.crash_negotiator(origin)
    swarm.run()
    assert payloads(swarm, origin) == {b"news": COUNT - 1}
    assert node.announced[id].is_complete


def test_a_broadcast_that_nobody_signs_fails_in_time(swarm: Swarm) -> None:
    origin = swarm.peers[0]
    id = swarm.broadcast(origin, timeout=3.0)
    swarm.nodes[origin].negotiator.handle = lambda input, now: []  # type: ignore[method-assign]
    announced = swarm.nodes[origin].announced
    swarm.run(lambda: id in announced)
    assert announced[id] == BroadcastSettled(id=id, reason=Reason.TIMED_OUT)
    assert swarm.now == 3.0


def test_numbers_that_did_not_come_are_seen_by_those_that_did(swarm: Swarm) -> None:
    origin, deaf = swarm.peers[0], swarm.peers[9]
    swarm.swallows = lambda sender, receiver, message: (
        receiver == deaf and isinstance(message, Broadcast) and message.message in (2, 3)
    )
    for number in range(1, 6):
        swarm.broadcast(origin, b"%d" % number)
    swarm.run(seconds=120.0)
    assert swarm.nodes[deaf].router.counters()["broadcasts-missing"] == 2
    assert sorted(deliver.message for deliver in swarm.nodes[deaf].broadcasts) == [1, 4, 5]
