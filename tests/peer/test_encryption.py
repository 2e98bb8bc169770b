"""Peers that encrypt from end to end, over real sockets: who trusts whom, and what crashes and relays can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from random import Random

import pytest

from cicada.actors.host import Host
from cicada.actors.peerkeys import PeerKeys, PinKeeper
from cicada.actors.settings import Settings
from cicada.aio import HostPort, SwarmPeer
from cicada.errors import Misuse, Unavailable
from cicada.ids import Address, canonical_address
from cicada.keys.identity import Identity
from cicada.keys.pins import Pin
from cicada.keys.psks import PreShared, Secrets
from cicada.keys.store import identity_path, keep_pins, load_pins, rotate_identity, trust_path
from cicada.keys.succession import sign_succession
from cicada.keys.trust import TrustStore
from cicada.routing.io import Deliver
from cicada.wire.codec import encode
from cicada.wire.routed import Data
from tests.peer.encrypted import SeenRouter, encrypted, pin_of, ring, seen_routers
from tests.peer.swarm import eventually
from tests.peer.test_aio_peer import closed_port

__all__ = ["seen_routers"]
pytestmark = pytest.mark.usefixtures("seen_routers")

ONE, TWO = (Identity.derive(bytes(32), name) for name in ("one", "two"))


def share(peer: SwarmPeer, shared: PreShared) -> None:
    assert peer._hosted is not None
    memory = peer._hosted._holdings.memory
    assert memory is not None
    memory.secrets = Secrets(shared=(shared,))


async def test_messages_requests_and_replies_say_whose_key_their_sender_has() -> None:
    async with ring(encrypted(), encrypted()) as (a, b):
        a_id, b_id = [(await peer.register(name)).peer_id for peer, name in ((a, "a"), (b, "b"))]
        await a.send(b, b"hello")
        assert (await b.recv(timeout=5)).peer_id == a_id
        asked = asyncio.create_task(a.request(b, b"question"))
        question = await b.recv(timeout=5)
        question.reply(b"answer")
        assert (question.peer_id, (await asked).peer_id) == (a_id, b_id)
        await b.broadcast(b"all of you")
        assert (await a.recv(timeout=5)).peer_id == b_id


async def test_messages_at_first_contact_say_so_at_both_ends_and_to_oneself_are_beyond_doubt() -> None:
    async with ring(*(encrypted() for _ in range(4))) as peers:
        receipt = await peers[0].send(peers[1], b"hello")
        assert (receipt.delivered, receipt.trust, receipt.conflict) == (True, "first-contact", False)
        message = await peers[1].recv(timeout=5)
        assert (message.data, message.trust) == (b"hello", "first-contact")
        by_place = await peers[2].send(peers[1].hash, b"to a place")
        assert (by_place.delivered, by_place.trust) == (True, "first-contact")
        await peers[3].send(peers[3], b"to myself")
        assert (await peers[3].recv(timeout=5)).trust == "pre-shared"


@pytest.mark.parametrize("is_broadcast", [True, False])
async def test_what_somebody_made_up_in_anothers_name_makes_no_message_count_as_delivered(
    is_broadcast: bool,
) -> None:
    """Any member may begin a broadcast in another's name; who has another key may say that it is at the same address."""
    async with ring(encrypted(), encrypted()) as (a, b):
        assert a._hosted is not None
        assert b._hosted is not None
        boot = SeenRouter.by_address[a._hosted.peer.address]._boot
        for number in (*range(1, 20), 1 << 62):
            made_up = Deliver(
                ticket=0,
                origin=a._hosted.peer,
                origin_boot=boot,
                message=number,
                payload=b"made up",
                hops=1,
                broadcast=is_broadcast,
                peer_id="" if is_broadcast else TWO.peer_id,
            )
            b._hosted.tell(made_up)
        assert (await a.send(b, b"honest")).delivered
        received = [(await b.recv(timeout=5)).data for _ in range(21)]
        assert received.count(b"honest") == 1


async def test_what_is_required_and_not_there_fails_with_its_own_reason() -> None:
    async with ring(encrypted(), encrypted()) as (a, b):
        refused = await a.send(b, b"secret", require="pinned")
        assert (refused.status, refused.reason) == ("failed", "less trust than required")
        assert (await a.send(b, b"open", require="first-contact")).delivered
        assert (await b.recv(timeout=5)).data == b"open"
        with pytest.raises(Misuse, match="first-contact, pinned or pre-shared"):
            a.send(b, b"x", require="total")


async def test_a_peer_whose_key_the_user_pinned_is_pinned() -> None:
    b = encrypted(identity=TWO)
    trust = TrustStore.load([pin_of(b.listener, TWO)])
    async with ring(encrypted(identity=ONE, trust=trust), b) as (a, _):
        assert (await a.send(b, b"x", require="pinned")).trust == "pinned"
        assert (await b.recv(timeout=5)).trust == "first-contact"  # b pinned nobody


async def test_pins_that_are_given_later_to_a_store_that_was_empty_count() -> None:
    b, trust = encrypted(identity=TWO), TrustStore()
    async with ring(encrypted(identity=ONE, trust=trust), b) as (a, _):
        trust.hold(pin_of(b.listener, ONE))
        assert (await a.send(b, b"for somebody else")).reason == "key changed"


async def test_peers_that_share_keys_are_pre_shared_both_ways() -> None:
    a, b = SwarmPeer(), SwarmPeer()
    random = Random(1)
    ours, theirs = random.randbytes(32), random.randbytes(32)
    # Ports are chosen first: each has to name the other's address in its secrets.
    of_a, of_b = (canonical_address(*peer.bind()) for peer in (a, b))
    share(a, PreShared(address=of_b, outbound=ours, inbound=theirs))
    share(b, PreShared(address=of_a, outbound=theirs, inbound=ours))
    async with ring(a, b):
        assert (await a.send(b, b"x", require="pre-shared")).trust == "pre-shared"
        assert (await b.recv(timeout=5)).trust == "pre-shared"
        assert (await b.send(a, b"y", require="pre-shared")).delivered


async def test_another_key_at_a_pinned_address_fails_the_receipt_and_raises_nothing() -> None:
    b = encrypted(identity=TWO)
    trust = TrustStore.load([pin_of(b.listener, ONE)])
    async with ring(encrypted(trust=trust), b) as (a, _):
        receipt = await a.send(b, b"for somebody else")
        assert (receipt.status, receipt.reason) == ("failed", "key changed")
        assert b.peek is None


async def test_who_comes_with_another_key_than_the_pinned_one_is_refused_and_counted() -> None:
    a = encrypted(identity=ONE)
    trust = TrustStore.load([pin_of(a.listener, TWO)])
    async with ring(a, encrypted(trust=trust)) as (_, b):
        assert (await a.send(b, b"x", timeout=2.0)).reason == "timed out"
        assert b.stats().refused["key-changed"] >= 1
        assert b.peek is None


async def test_first_contacts_are_handed_out_to_be_kept() -> None:
    pins: list[Pin] = []
    host = Host.current()
    keys = PeerKeys(ONE, TrustStore(), keep=lambda some, _: pins.extend(some))
    hosted = host.start_peer(Settings(keys=lambda address: keys), host="127.0.0.1", port=0)
    a = SwarmPeer()
    a._hosted = hosted
    async with ring(a, encrypted(identity=TWO)) as (_, b):
        assert (await a.send(b, b"x")).delivered

        async def is_pinned() -> bool:
            return bool(pins)

        await eventually(is_pinned, "the pin")
        assert (pins[0].address, pins[0].peer_id) == (canonical_address(*b.listener), TWO.peer_id)
    await hosted.gone


async def test_a_pin_follows_a_succession_and_the_file_of_pins_does_too(tmp_path: Path) -> None:
    host = Host.current()
    old = Identity.derive(bytes(32), "two, before its key was rotated")
    succession = sign_succession(old, TWO.signing_public)
    b, a = SwarmPeer(), SwarmPeer()
    rotated = PeerKeys(TWO, TrustStore(), succession=succession)
    b._hosted = host.start_peer(Settings(keys=lambda address: rotated), host="127.0.0.1", port=0)
    kept = pin_of(b.listener, old)
    file = tmp_path / "pins"
    keep_pins(file, [kept])
    keys = PeerKeys(ONE, TrustStore.load([kept]), keep=partial(keep_pins, file))
    a._hosted = host.start_peer(Settings(keys=lambda address: keys), host="127.0.0.1", port=0)
    async with ring(b, a):
        assert (await a.send(b, b"x", require="pinned")).trust == "pinned"

        async def is_kept() -> bool:
            return [pin.peer_id for pin in load_pins(file)] == [TWO.peer_id]

        await eventually(is_kept, "the pin to be written down")
    await asyncio.gather(a._hosted.gone, b._hosted.gone)


async def test_a_relay_sees_neither_what_is_said_nor_a_key() -> None:
    identities = [Identity.derive(bytes(32), str(number)) for number in range(4)]
    async with ring(*(encrypted(identity=identity) for identity in identities)) as peers:
        payload = b"what only the other end may read"
        sender, *between, target = sorted(peers, key=lambda peer: peer.hash)
        assert (await sender.send(target, payload, duplicates=3)).delivered
        relays = [canonical_address(*peer.listener) for peer in between]
        seen = [message for address in relays for message in SeenRouter.by_address[address].seen]
        assert any(isinstance(message, Data) for message in seen)
        secrets = [secret for identity in identities for secret in identity.seeds]
        for raw in map(encode, seen):
            assert payload not in raw
            assert not any(secret in raw for secret in secrets)


@pytest.mark.parametrize("kind", ["crypto", "router", "transport"])
async def test_a_crash_during_traffic_loses_nothing_that_was_acknowledged(kind: str) -> None:
    async with ring(*(encrypted() for _ in range(5))) as peers:
        victim = peers[2]
        receipts = []
        for number in range(40):
            receipts.append(peers[number % 5].send(victim, b"to %d" % number))
            receipts.append(victim.send(peers[(number + 1) % 5], b"from %d" % number))
            if number in (10, 25):
                victim.crash(kind)
            await asyncio.sleep(0)
        await asyncio.gather(*receipts)
        assert {receipt.reason for receipt in receipts} == {None}
        got = []
        for peer in peers:
            while peer.peek is not None:
                got.append((await peer.recv(timeout=1)).data)
        assert len(got) == len(set(got)) == len(receipts)


async def test_who_was_met_in_an_earlier_life_is_pinned_and_another_key_there_is_refused() -> None:
    b = encrypted(identity=TWO)
    port = closed_port()
    async with ring(SwarmPeer("127.0.0.1", port), b) as (a, _):
        assert (await a.send(b, b"first")).trust == "first-contact"
    path = trust_path(identity_path(canonical_address("127.0.0.1", port)))

    async def is_written() -> bool:
        return path.exists() and bool(load_pins(path))

    await eventually(is_written, "the pin in its file")
    at = b.listener.port
    async with ring(SwarmPeer("127.0.0.1", port), encrypted(at, identity=TWO)) as (a, again):
        assert (await a.send(again, b"again", require="pinned")).trust == "pinned"
    async with ring(SwarmPeer("127.0.0.1", port), encrypted(at, identity=ONE)) as (a, other):
        receipt = await a.send(other, b"for the one that was there")
        assert (receipt.status, receipt.reason) == ("failed", "key changed")


def test_pins_that_come_while_others_are_written_go_together_and_a_full_disk_costs_a_warning() -> None:
    written: list[list[Pin]] = []
    followed: list[dict[Address, bytes]] = []
    jobs: list[Callable[[], None]] = []

    def keep(pins: Iterable[Pin], succeeds: Mapping[Address, bytes]) -> None:
        written.append(list(pins))
        followed.append(dict(succeeds))
        if len(written) == 1:
            keeper(pin(3), b"")
        if len(written) == 2:
            raise Unavailable("the disk is full")

    def pin(number: int) -> Pin:
        return pin_of(HostPort("127.0.0.1", 4000 + number), ONE)

    keeper = PinKeeper(keep, jobs.append)
    for number in (1, 2, 1):
        keeper(pin(number), b"old key" if number == 2 else b"")
    assert len(jobs) == 1
    jobs[0]()
    assert written == [[pin(1), pin(2)], [pin(3)]]
    assert followed == [{pin(2).address: b"old key"}, {}]
    keeper(pin(4), b"")
    assert len(jobs) == 2


async def test_whoever_pinned_the_old_keys_follows_to_new_ones_that_they_signed() -> None:
    at = closed_port()
    address = canonical_address("127.0.0.1", at)
    a = closed_port()
    async with ring(SwarmPeer("127.0.0.1", a), SwarmPeer("127.0.0.1", at)) as (one, other):
        assert (await one.send(other, b"first")).delivered
    path = trust_path(identity_path(canonical_address("127.0.0.1", a)))

    async def is_pinned() -> bool:  # pins are written on a thread
        return len(load_pins(path)) == 1

    await eventually(is_pinned, "the pin to be kept")
    _, new = rotate_identity(identity_path(address))
    async with ring(SwarmPeer("127.0.0.1", a), SwarmPeer("127.0.0.1", at)) as (one, other):
        receipt = await one.send(other, b"again", require="pinned")
        assert (receipt.delivered, receipt.trust) == (True, "pinned")

    async def has_followed() -> bool:
        return [pin.peer_id for pin in load_pins(path)] == [new.peer_id]

    await eventually(has_followed, "the pin to follow")


def test_a_defect_while_pins_are_written_does_not_keep_later_ones_from_being_written() -> None:
    written: list[Pin] = []
    jobs: list[Callable[[], None]] = []

    def keep(pins: Iterable[Pin], succeeds: Mapping[Address, bytes]) -> None:
        written.extend(pins)
        if len(written) == 1:
            raise ValueError("a defect")

    keeper = PinKeeper(keep, jobs.append)
    pins = [pin_of(HostPort("127.0.0.1", 4000 + number), ONE) for number in range(2)]
    keeper(pins[0], b"")
    with pytest.raises(ValueError, match="a defect"):
        jobs[0]()
    keeper(pins[1], b"")
    jobs[1]()
    assert written == pins
