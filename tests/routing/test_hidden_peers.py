"""Peers that nobody can dial, end to end: they send, receive and are found, by two or three relays, while relays die and lie."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from cicada.chord.io import FindOwner, LookupFailure, OwnerFound, OwnerNotFound
from cicada.ids import Place, hidden_address, is_hidden, peer_at, place_from_bytes
from cicada.keys.trust import Trust
from cicada.limits import LODGING, DeliveryLimits
from cicada.routing.io import LeaveLodging, Reason, SeekLodging, Status
from cicada.wire.routed import (
    Broadcast,
    Data,
)
from tests.routing.sheltered import Sheltered, delivered, exchange, mail
from tests.routing.swarm import clockwise

MEMBERS: Final = 20


@pytest.fixture
def swarm() -> Sheltered:
    swarm = Sheltered(MEMBERS, 3)
    assert swarm.is_settled()
    return swarm


# Lodging


def test_each_hidden_peer_has_three_relays_and_its_record_is_with_those_around_its_place(
    swarm: Sheltered,
) -> None:
    swarm.run(seconds=1.0)
    for peer in swarm.hidden:
        assert len(set(swarm.relays(peer))) == LODGING.relays
        assert swarm.kept[peer] == frozenset(swarm.relays(peer))
        for relay in swarm.relays(peer):
            assert peer in swarm.kept[relay]
        memory = swarm.nodes[peer].memory
        assert memory is not None
        around = [clockwise(peer, swarm.peers)[-1], *clockwise(peer, swarm.peers)[: LODGING.keepers]]
        kept = [swarm.nodes[member].memory.hidden.get(peer.place, swarm.wall_ms()) for member in around]  # type: ignore[union-attr]
        assert kept == [memory.own_record.raw()] * len(around)


def test_a_hidden_peer_is_in_no_table_and_nobody_dials_it(swarm: Sheltered) -> None:
    for one in swarm.hidden:
        for other in (swarm.peers[3], *swarm.hidden):
            if other != one:
                swarm.send(one, other.place, address=other.address)
                swarm.send(other, one.place, address=one.address)
    swarm.broadcast(swarm.peers[2])
    swarm.run(seconds=5.0)
    assert swarm.undialled == []
    for member in swarm.peers:
        table = swarm.nodes[member].router._routes.table()
        assert table is not None
        assert not any(is_hidden(peer.address) for peer in table.last_before(0, 1000))


def test_with_fewer_members_than_relays_wanted_all_serve() -> None:
    swarm = Sheltered(2, 2)
    assert all(set(swarm.relays(peer)) == set(swarm.peers) for peer in swarm.hidden)
    exchange(swarm, swarm.hidden[0], swarm.hidden[1])


def test_a_ring_of_one_serves_too() -> None:
    swarm = Sheltered(1, 2)
    assert [swarm.relays(peer) for peer in swarm.hidden] == [(swarm.peers[0],)] * 2
    exchange(swarm, swarm.peers[0], swarm.hidden[0])
    swarm = Sheltered(1, 2, seed=2)
    exchange(swarm, swarm.hidden[0], swarm.hidden[1])


def test_a_dead_swarm_is_given_up_at_the_deadline() -> None:
    swarm = Sheltered(3, 0)
    for member in swarm.peers:
        swarm.kill(member)
    peer = swarm.hide("late")
    swarm.run(seconds=11.0)
    ((who, reason),) = swarm.unlodged
    assert who == peer
    assert swarm.peers[0].address in reason


# Messages


def test_a_member_and_a_hidden_peer_send_to_each_other(swarm: Sheltered) -> None:
    exchange(swarm, swarm.peers[7], swarm.hidden[0])


def test_two_hidden_peers_send_to_each_other_with_pinned_trust(swarm: Sheltered) -> None:
    one, other, _ = swarm.hidden
    exchange(swarm, one, other)
    assert {deliver.trust for deliver in swarm.nodes[other].mailbox} == {Trust.PINNED}
    assert {deliver.origin for deliver in swarm.nodes[other].mailbox} == {one}


def test_a_relay_and_its_lodger_send_to_each_other_over_their_link(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    relay = swarm.relays(peer)[1]
    exchange(swarm, relay, peer)
    hops = {swarm.settled[id].hops for id in swarm.settled}
    assert hops == {1}


def test_a_relay_sends_its_lodger_one_copy_however_many_are_asked_for(swarm: Sheltered) -> None:
    """All would cross the same link."""
    peer = swarm.hidden[0]
    relay = swarm.relays(peer)[1]
    id = swarm.send(relay, peer.place, copies=4, address=peer.address)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]
    assert [(by, to) for by, to, _ in swarm.sent(Data) if by == relay] == [(relay, peer)]


def test_whoever_lives_just_before_the_hidden_place_can_send_there(swarm: Sheltered) -> None:
    peer = swarm.hidden[1]
    before = clockwise(peer, swarm.peers)[-1]
    exchange(swarm, before, peer)


def test_to_a_hidden_peer_without_saying_its_address_it_takes_the_place_alone(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    ids = [swarm.send(swarm.peers[5], peer.place), swarm.send(swarm.hidden[1], peer.place)]
    swarm.run_until_settled(ids)
    assert delivered(swarm, ids) == [True, True]


def test_a_hidden_peer_that_never_was_is_said_not_to_be_there(swarm: Sheltered) -> None:
    nobody = peer_at(hidden_address("ab" * 32))
    ids = [swarm.send(swarm.peers[4], nobody.place, address=nobody.address, timeout=30.0)]
    ids.append(swarm.send(swarm.hidden[0], nobody.place, address=nobody.address, timeout=30.0))
    swarm.run_until_settled(ids)
    assert {swarm.settled[id].status for id in ids} == {Status.FAILED}
    assert {swarm.settled[id].reason for id in ids} <= {Reason.NO_SUCH_PEER, Reason.TIMED_OUT}


def test_more_trust_than_a_hidden_address_gives_is_not_to_be_had(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    pinned = swarm.send(swarm.peers[5], peer.place, address=peer.address, require=Trust.PINNED)
    shared = swarm.send(swarm.peers[5], peer.place, address=peer.address, require=Trust.PRE_SHARED)
    swarm.run_until_settled([pinned, shared])
    assert delivered(swarm, [pinned, shared]) == [True, False]


def test_copies_for_a_hidden_peer_go_by_different_relays(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    sender = next(member for member in swarm.peers if member not in swarm.relays(peer))
    exchange(swarm, sender, peer)
    swarm.wire.clear()
    id = swarm.send(sender, peer.place, copies=3, address=peer.address)
    swarm.run_until_settled([id])
    swarm.run(seconds=1.0)
    last = [by for by, to, message in swarm.sent(Data) if to == peer and isinstance(message, Data)]
    assert set(last) == set(swarm.relays(peer))
    assert len(last) == 3


def test_a_large_message_arrives_in_fragments(swarm: Sheltered) -> None:
    one, other, _ = swarm.hidden
    payload = bytes(range(256)) * 1024
    id = swarm.send(one, other.place, payload, address=other.address, timeout=60.0)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]
    assert [len(deliver.payload) for deliver in swarm.nodes[other].mailbox] == [len(payload)]


def test_ordered_messages_come_in_order(swarm: Sheltered) -> None:
    one, other, _ = swarm.hidden
    ids = [
        swarm.send(one, other.place, str(number).encode(), address=other.address, ordered=True)
        for number in range(30)
    ]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    assert mail(swarm, other) == [str(number).encode() for number in range(30)]


def test_a_lossy_network_delays_and_duplicates_nothing() -> None:
    swarm = Sheltered(MEMBERS, 3, loss=0.05, seed=4)
    pairs = [
        (swarm.peers[3], swarm.hidden[0]),
        (swarm.hidden[0], swarm.hidden[1]),
        (swarm.hidden[2], swarm.peers[8]),
    ]
    ids = [
        swarm.send(one, other.place, str(number).encode(), address=other.address, timeout=40.0)
        for number in range(15)
        for one, other in pairs
    ]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    assert set(swarm.deliveries().values()) == {1}


# Relays that die


@pytest.mark.parametrize("victim", range(3))
def test_when_a_relay_dies_messages_go_by_another_and_it_is_replaced(swarm: Sheltered, victim: int) -> None:
    sender, peer = swarm.peers[9], swarm.hidden[0]
    if swarm.relays(peer)[victim] == sender:
        sender = swarm.peers[10]
    exchange(swarm, sender, peer)
    dead = swarm.relays(peer)[victim]
    swarm.kill(dead)
    ids = [swarm.send(sender, peer.place, address=peer.address) for _ in range(10)]
    ids += [swarm.send(peer, sender.place, address=sender.address) for _ in range(10)]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    swarm.run(seconds=10.0)
    assert dead not in swarm.relays(peer)
    assert len(swarm.relays(peer)) == LODGING.relays


def test_all_relays_die_at_once_and_it_is_reached_again_within_15_seconds(swarm: Sheltered) -> None:
    sender, peer = swarm.hidden[1], swarm.hidden[0]
    exchange(swarm, sender, peer)
    began = swarm.now
    for relay in swarm.relays(peer):
        swarm.kill(relay)
    swarm.settle_ring()
    id = swarm.send(sender, peer.place, address=peer.address, timeout=15.0)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]
    assert swarm.now - began < 15.0
    assert all(swarm.nodes[relay].is_alive for relay in swarm.relays(peer))


def test_a_sender_that_knows_dead_relays_alone_finds_the_new_ones(swarm: Sheltered) -> None:
    sender, peer = swarm.peers[9], swarm.hidden[0]
    exchange(swarm, sender, peer)
    for relay in swarm.relays(peer):
        if relay != sender:
            swarm.kill(relay)
    swarm.settle_ring()
    swarm.run(seconds=10.0)
    id = swarm.send(sender, peer.place, address=peer.address, timeout=20.0)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]


def test_a_link_that_breaks_is_not_a_relay_that_died(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    relay = swarm.relays(peer)[0]
    swarm.cut(peer, relay)
    assert relay not in swarm.relays(peer)
    assert swarm.nodes[relay].router._shelter.lodgers.at(peer.place) is None
    swarm.run(seconds=2.0)
    assert len(swarm.relays(peer)) == LODGING.relays
    exchange(swarm, swarm.peers[7], peer)


def test_a_relay_whose_router_crashed_is_noticed_when_its_voucher_is_renewed(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    relay = swarm.relays(peer)[0]
    swarm.crash_router(relay)
    ids = [swarm.send(swarm.peers[7], peer.place, address=peer.address) for _ in range(5)]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    swarm.run(seconds=LODGING.renewal + 10.0)
    assert swarm.nodes[relay].router._shelter.lodgers.at(peer.place) == peer


def test_a_hidden_peer_whose_router_crashed_goes_on_with_what_was_open(swarm: Sheltered) -> None:
    one, other, _ = swarm.hidden
    exchange(swarm, one, other)
    id = swarm.send(one, other.place, b"survives", address=other.address)
    swarm.restart_hidden_router(one)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]
    assert mail(swarm, other).count(b"survives") == 1
    id = swarm.send(other, one.place, b"and back", address=one.address)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]


@pytest.mark.prove
def test_vouchers_are_renewed_for_hours_and_old_ones_are_nowhere(swarm: Sheltered) -> None:
    swarm.run(seconds=2 * 3600.0)
    for peer in swarm.hidden:
        assert swarm.is_published(peer)
        assert len(swarm.relays(peer)) == LODGING.relays
    ids = [swarm.send(swarm.peers[7], peer.place, address=peer.address) for peer in swarm.hidden]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))


def test_who_left_is_reached_by_nobody_and_its_former_relays_say_that_it_does_not_lodge_there(
    swarm: Sheltered,
) -> None:
    sender, peer = swarm.peers[9], swarm.hidden[0]
    exchange(swarm, sender, peer)
    relays = swarm.relays(peer)
    swarm.feed(peer, LeaveLodging())
    for relay in relays:
        swarm.cut(peer, relay)
    id = swarm.send(sender, peer.place, address=peer.address, timeout=8.0)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [False]
    assert swarm.counted(*swarm.peers)["dropped:not-lodging"] > 0
    swarm.feed(peer, SeekLodging(swarm.peers[:1], swarm.now + 10.0))
    swarm.run(swarm.is_settled, 20.0)
    id = swarm.send(sender, peer.place, address=peer.address, timeout=20.0)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]


# Broadcasts


def test_broadcasts_of_members_reach_hidden_peers_once_and_delegate_nothing_to_them(swarm: Sheltered) -> None:
    id = swarm.broadcast(swarm.peers[4], b"news")
    swarm.run(seconds=30.0)
    got = Counter(
        deliver.payload
        for peer in swarm.nodes
        for deliver in swarm.nodes[peer].broadcasts
        if peer in swarm.hidden
    )
    assert got == {b"news": len(swarm.hidden)}
    assert swarm.nodes[swarm.peers[4]].announced[id].is_complete
    assert swarm.nodes[swarm.peers[4]].announced[id].reached >= MEMBERS - 1
    for _, to, message in swarm.sent(Broadcast):
        if is_hidden(to.address):
            assert isinstance(message, Broadcast)
            assert place_from_bytes(message.limit) == to.place


def test_a_hidden_peers_broadcast_reaches_every_member_and_the_other_hidden_ones(swarm: Sheltered) -> None:
    origin = swarm.hidden[0]
    swarm.broadcast(origin, b"from behind")
    swarm.run(seconds=30.0)
    without = [
        peer
        for peer, node in swarm.nodes.items()
        if peer != origin and [deliver.payload for deliver in node.broadcasts] != [b"from behind"]
    ]
    assert without == []
    assert swarm.nodes[origin].broadcasts == []


# Lookups


def test_a_hidden_peer_looks_up_through_its_relays(swarm: Sheltered) -> None:
    peer, place = swarm.hidden[0], Place(swarm.peers[12].place - 1)
    for id in range(1, 7):
        swarm.feed(peer, FindOwner(id, place, False))
    swarm.run(seconds=1.0)
    for id in range(1, 7):
        found = swarm.found[id]
        assert isinstance(found, OwnerFound)
        assert found.owner == swarm.peers[12]
        assert found.route[0] == peer
        assert found.route[1] in swarm.relays(peer)


def test_a_lookup_goes_to_another_relay_when_the_first_dies_and_fails_when_there_is_none(
    swarm: Sheltered,
) -> None:
    peer = swarm.hidden[0]
    relays = swarm.relays(peer)
    for relay in relays[:2]:
        swarm.kill(relay)
    for id in range(1, 4):
        swarm.feed(peer, FindOwner(id, swarm.peers[12].place, False))
    swarm.run(seconds=3.0)
    assert all(isinstance(swarm.found[id], OwnerFound) for id in range(1, 4))
    swarm.feed(peer, LeaveLodging())
    swarm.feed(peer, FindOwner(4, swarm.peers[12].place, False))
    assert swarm.found[4] == OwnerNotFound(4, LookupFailure.NOT_MEMBER)


# Without colours


def test_where_nothing_is_coloured_hidden_peers_are_reached_too() -> None:
    swarm = Sheltered(MEMBERS, 2, limits=DeliveryLimits(coloured=False))
    exchange(swarm, swarm.hidden[0], swarm.hidden[1])


@pytest.mark.parametrize("seed", range(8))
def test_who_is_findable_is_kept_where_senders_look_and_is_reached_at_once(seed: int) -> None:
    swarm = Sheltered(24, 0, seed=seed)
    hidden = swarm.hide("late")
    swarm.run(lambda: bool(swarm.relays(hidden)), 10.0)
    assert not swarm.is_published(hidden)
    swarm.run(lambda: swarm.findable.get(hidden, False), 10.0)
    keepers = [peer for peer in swarm.peers if swarm.keeps(peer, hidden)]
    assert clockwise(hidden, swarm.peers)[-1] in keepers
    ids = [swarm.send(peer, hidden.place, b"x", address=hidden.address) for peer in swarm.peers]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
