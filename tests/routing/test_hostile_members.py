"""Hidden peers among members that die, lie, swallow, alter and flood: none is cut off, and only what is proven is believed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cicada.ids import Peer, Place, hidden_address, is_hidden, peer_at, place_from_bytes, place_to_bytes
from cicada.limits import LODGING, WIRE
from cicada.routing.homes import Homes
from cicada.routing.io import NextHopLost, RoutedReceived
from cicada.wire.routed import (
    Contact,
    Data,
    DataAck,
    GetRecord,
    Lodging,
    NoSuchPeer,
    PutRecord,
    RoutedBase,
    RouterMessage,
)
from tests.routing.sheltered import Sheltered, delivered, exchange, mail, place_in
from tests.routing.swarm import clockwise


@pytest.fixture
def swarm() -> Sheltered:
    swarm = Sheltered(20, 3)
    assert swarm.is_settled()
    return swarm


def test_its_record_is_found_although_the_nearest_to_its_place_die(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    swarm.run(seconds=1.0)
    sender = next(each for each in swarm.peers if each not in swarm.relays(peer))
    around = [clockwise(peer, swarm.peers)[-1], *clockwise(peer, swarm.peers)[:3]]
    for member in around:
        if member not in (sender, *swarm.relays(peer)):
            swarm.kill(member)
    swarm.settle_ring()
    id = swarm.send(sender, peer.place, address=peer.address, timeout=15.0)
    swarm.run_until_settled([id])
    assert delivered(swarm, [id]) == [True]


def test_members_that_come_between_get_the_record_when_it_is_published_again(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    before = clockwise(peer, swarm.peers)[-1]
    node = swarm.nodes[before]
    assert node.memory is not None
    node.memory.hidden = type(node.memory.hidden)(before, "")
    assert not swarm.is_published(peer)
    swarm.run(seconds=LODGING.publishing + 1.0)
    assert swarm.is_published(peer)


def test_a_relay_that_swallows_what_is_for_its_lodgers_is_passed_by(swarm: Sheltered) -> None:
    sender, peer = swarm.peers[9], swarm.hidden[0]
    bad = next(relay for relay in swarm.relays(peer) if relay != sender)

    def swallows(by: Peer, to: Peer, message: RouterMessage) -> bool:
        return by == bad and is_hidden(to.address) and isinstance(message, RoutedBase)

    swarm.swallows = swallows
    ids = [swarm.send(sender, peer.place, address=peer.address, timeout=20.0) for _ in range(20)]
    ids += [swarm.send(peer, sender.place, address=sender.address, timeout=20.0) for _ in range(20)]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))


def test_a_relay_that_alters_what_it_passes_on_is_passed_by(swarm: Sheltered) -> None:
    sender, peer = swarm.peers[9], swarm.hidden[0]
    bad = next(relay for relay in swarm.relays(peer) if relay != sender)

    def tampers(by: Peer, to: Peer, message: RouterMessage) -> RouterMessage:
        if by == bad and isinstance(message, Data):
            return replace(message, body=message.body[:-1] + bytes([message.body[-1] ^ 1]))
        return message

    swarm.tampers = tampers
    ids = [
        swarm.send(sender, peer.place, str(number).encode(), address=peer.address, timeout=20.0)
        for number in range(20)
    ]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    assert sorted(mail(swarm, peer), key=int) == [str(number).encode() for number in range(20)]


def data_for(peer: Peer, relay: Peer, origin: Peer, home: Peer | None = None) -> Data:
    return Data(
        target=place_to_bytes(relay.place),
        origin=origin.address,
        hops=1,
        lodging=Lodging(to=place_to_bytes(peer.place), home="" if home is None else home.address),
        index=1,
        counter=1,
        attempt=1,
        copy=0,
        body=b"made up by somebody",
    )


def test_what_is_for_somebody_who_does_not_lodge_here_is_dropped_and_counted(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    stranger = next(each for each in swarm.peers if each not in swarm.relays(peer))
    for to in (peer, peer_at(hidden_address("cd" * 32)), swarm.peers[4]):
        before = len(swarm.wire)
        swarm.feed(stranger, RoutedReceived(swarm.peers[1], data_for(to, stranger, swarm.peers[1])))
        assert len(swarm.wire) == before
    assert swarm.counted(stranger)["dropped:not-lodging"] == 3


def test_what_came_back_from_a_hidden_peer_is_dropped_and_counted(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    relay = swarm.relays(peer)[0]
    lost = data_for(peer, relay, swarm.peers[1])
    before = len(swarm.wire)
    swarm.feed(relay, NextHopLost(peer, (lost,)))
    assert len(swarm.wire) == before
    assert swarm.counted(relay)["dropped:not-lodging"] == 1


def test_what_is_for_a_hidden_place_and_names_no_relay_is_dropped_by_whoever_keeps_its_record(
    swarm: Sheltered,
) -> None:
    peer, before = next(
        (peer, before)
        for peer in swarm.hidden
        if (before := clockwise(peer, swarm.peers)[-1]) not in swarm.relays(peer)
    )
    # it keeps the record, and has heard nothing of where that peer lodges
    swarm.nodes[before].router._shelter.homes = Homes()
    data = replace(data_for(peer, peer, swarm.peers[1]), lodging=None)
    swarm.feed(before, RoutedReceived(swarm.peers[1], data))
    assert swarm.counted(before)["dropped:hidden"] == 1
    assert not swarm.sent(NoSuchPeer)


def test_a_forged_home_costs_an_answer_and_no_message(swarm: Sheltered) -> None:
    """Somebody says in the name of a hidden peer, and of a member, that they lodge with a peer that takes all and gives nothing."""
    peer = swarm.hidden[0]
    liar, sender, member = [each for each in swarm.peers[:6] if each not in swarm.relays(peer)][:3]
    swarm.swallows = lambda by, to, message: by == liar
    exchange(swarm, sender, peer)
    exchange_ids = [swarm.send(sender, member.place, address=member.address)]
    swarm.run_until_settled(exchange_ids)
    for forged in (peer, member):
        for kind in (Contact, GetRecord):
            message: Contact | GetRecord
            common = {
                "target": place_to_bytes(sender.place),
                "origin": forged.address,
                "hops": 1,
                "request": 1,
                "lodging": Lodging(home=liar.address),
            }
            if kind is Contact:
                message = Contact(selector=b"", handshake=bytes(96), **common)  # type: ignore[arg-type]
            else:
                message = GetRecord(about=bytes(32), **common)  # type: ignore[arg-type]
            swarm.feed(sender, RoutedReceived(liar, message))
    swarm.wire.clear()
    ids = [swarm.send(sender, each.place, address=each.address) for each in (peer, member) for _ in range(5)]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    assert not [message for by, to, message in swarm.sent(Data) if to == liar and place_in(message)]  # type: ignore[arg-type]


def stranger_to(swarm: Sheltered, peer: Peer) -> Peer:
    """A member that neither serves that hidden peer nor keeps its record."""
    return next(
        each for each in clockwise(peer, swarm.peers)[LODGING.keepers : -1] if each not in swarm.relays(peer)
    )


def lies(sender: Peer, origin: Peer, homes: list[Peer]) -> list[GetRecord]:
    """Forged messages to the sender, by which the origin lodges with each of these."""
    return [
        GetRecord(
            target=place_to_bytes(sender.place),
            origin=origin.address,
            hops=1,
            request=1,
            about=bytes(32),
            lodging=Lodging(home=home.address),
        )
        for home in homes
    ]


def test_whom_a_hidden_peer_contacted_sends_back_by_its_relays_whatever_was_forged(swarm: Sheltered) -> None:
    """It has fetched no record: what it knows is what came with the contact."""
    peer = swarm.hidden[0]
    sender = stranger_to(swarm, peer)
    liars = [each for each in swarm.peers if each not in (sender, *swarm.relays(peer))][:3]
    swarm.swallows = lambda by, to, message: by in liars and place_in(message) == peer.place  # type: ignore[arg-type]
    first = swarm.send(peer, sender.place, address=sender.address)
    swarm.run_until_settled([first])
    for lie in lies(sender, peer, liars):
        swarm.feed(sender, RoutedReceived(liars[0], lie))
    for number in range(LODGING.homes + 1):
        swarm.feed(
            sender,
            RoutedReceived(liars[0], *lies(sender, peer_at(hidden_address(f"{number:064x}")), liars[:1])),
        )
    swarm.wire.clear()
    ids = [swarm.send(sender, peer.place, address=peer.address) for _ in range(6)]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    by = {place_from_bytes(message.target) for _, _, message in swarm.sent(Data) if place_in(message)}  # type: ignore[arg-type,union-attr]
    assert by <= {relay.place for relay in swarm.relays(peer)}


def test_a_relay_that_says_in_the_acks_it_passes_on_that_others_serve_is_not_believed(
    swarm: Sheltered,
) -> None:
    sender, peer = swarm.peers[9], swarm.hidden[0]
    liar = next(each for each in swarm.peers if each not in (sender, *swarm.relays(peer)))

    def tampers(by: Peer, to: Peer, message: RouterMessage) -> RouterMessage:
        if isinstance(message, DataAck | Data | GetRecord | Contact) and message.origin == peer.address:
            return replace(message, lodging=Lodging(home=liar.address))
        return message

    exchange(swarm, sender, peer)
    swarm.tampers = tampers
    ids = [swarm.send(sender, peer.place, address=peer.address) for _ in range(6)]
    swarm.run_until_settled(ids)
    assert all(delivered(swarm, ids))
    assert set(swarm.nodes[sender].router._shelter.homes.to(peer.place)) == set(swarm.relays(peer))


@pytest.mark.parametrize("speaks", ["it sends", "it acknowledges"])
def test_what_a_hidden_peer_seals_says_where_it_lodges_now(swarm: Sheltered, speaks: str) -> None:
    peer = swarm.hidden[0]
    before = swarm.relays(peer)
    sender = stranger_to(swarm, peer)
    exchange(swarm, sender, peer)
    for relay in before[:2]:
        swarm.cut(peer, relay)
    swarm.run(swarm.is_settled, 10.0)
    homes = swarm.nodes[sender].router._shelter.homes
    assert set(homes.to(peer.place)) == set(before) != set(swarm.relays(peer))
    one, other = (peer, sender) if speaks == "it sends" else (sender, peer)
    id = swarm.send(one, other.place, address=other.address)
    swarm.run_until_settled([id])
    swarm.run(seconds=1.0)
    assert set(homes.to(peer.place)) == set(swarm.relays(peer))


def test_messages_that_have_come_too_far_cost_a_hidden_peer_no_relay(swarm: Sheltered) -> None:
    peer, stranger = (
        swarm.hidden[0],
        next(each for each in swarm.peers if each not in swarm.relays(swarm.hidden[0])),
    )
    before = swarm.relays(peer)
    swarm.wire.clear()
    for relay in before:
        stale = replace(data_for(peer, relay, stranger), hops=WIRE.max_path)
        swarm.feed(relay, RoutedReceived(stranger, stale))
    assert not [to for _, to, _ in swarm.wire if to == peer]
    assert swarm.counted(*before)["dropped:hop-limit"] == len(before)


def test_a_flood_of_records_that_are_none_leaves_all_as_it_was(swarm: Sheltered) -> None:
    """Nobody hands one on, and the records of those who live there are found as before."""
    peer, sender = swarm.hidden[0], swarm.peers[9]
    before = clockwise(peer, swarm.peers)[-1]
    evil = next(each for each in swarm.peers if each not in (before, sender, *swarm.relays(peer)))
    swarm.wire.clear()
    for number in range(2 * LODGING.records):
        place = peer.place if number % 2 else Place(swarm.random.getrandbits(256))
        junk = PutRecord(
            target=place_to_bytes(before.place),
            origin=evil.address,
            hops=1,
            about=place_to_bytes(place),
            record=b"junk",
        )
        swarm.feed(before, RoutedReceived(evil, junk))
    swarm.run(seconds=1.0)
    assert not [put for _, _, put in swarm.sent(PutRecord) if put.record == b"junk"]  # type: ignore[union-attr]
    assert swarm.is_published(peer)
    exchange(swarm, sender, peer)


@pytest.mark.parametrize("about", ["own", "other"])
def test_a_record_is_never_handed_on_by_a_hidden_peer_and_never_comes_back_to_it(
    swarm: Sheltered, about: str
) -> None:
    peer, other = swarm.hidden[0], swarm.hidden[1]
    swarm.wire.clear()
    swarm.run(seconds=LODGING.publishing * 2)
    puts = swarm.sent(PutRecord)
    assert puts
    assert not [to for _, to, _ in puts if is_hidden(to.address)]
    relay = swarm.relays(peer)[0]
    place = peer.place if about == "own" else other.place
    forged = PutRecord(
        target=place_to_bytes(relay.place),
        origin=swarm.peers[3].address,
        hops=1,
        lodging=Lodging(to=place_to_bytes(peer.place)),
        about=place_to_bytes(place),
        record=b"junk",
    )
    swarm.wire.clear()
    swarm.feed(relay, RoutedReceived(swarm.peers[3], forged))
    swarm.run(seconds=1.0)
    assert [(by, to) for by, to, put in swarm.sent(PutRecord) if put.record == b"junk"] == []  # type: ignore[union-attr]


def test_a_hidden_peer_relays_for_nobody(swarm: Sheltered) -> None:
    peer = swarm.hidden[0]
    relay = swarm.relays(peer)[0]
    asked = GetRecord(
        target=place_to_bytes(swarm.peers[11].place),
        origin=swarm.peers[3].address,
        hops=1,
        request=1,
        about=bytes(32),
    )
    swarm.wire.clear()
    swarm.feed(peer, RoutedReceived(relay, asked))
    swarm.run(seconds=1.0)
    assert [to for by, to, _ in swarm.wire if by == peer and to not in swarm.relays(peer)] == []
