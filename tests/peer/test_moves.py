"""Peers that move to another address: nothing that was asked of them is left without an answer, and they come to rest."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from cicada.actors.family import Crash
from cicada.actors.host import Host
from cicada.aio import NameRecord, SwarmPeer
from cicada.chord.io import LookupFailure, RingSnapshot
from cicada.errors import DeliveryTimeout, NotBound, RingNotReady
from cicada.ids import Address, canonical_address, is_hidden
from cicada.keys.identity import Identity
from cicada.limits import ACTOR, BROADCAST, NAT
from cicada.nat.io import Mapped, MappingLost
from cicada.nat.reachability import Become, CannotBe, Connecting, DialledIn, Reachability, TimerFired, Watch
from cicada.routing.broadcastlog import id_of
from cicada.routing.io import HaveDialled, LifeNamed, RouterInput, RouterOutput
from cicada.routing.router import Router
from cicada.wire.routed import Broadcast
from tests.peer.encrypted import SeenRouter, encrypted, ring, seen_routers
from tests.peer.moving import at, decide, hidden, hide, hosted_of, mover, moves_of, told, until
from tests.peer.swarm import PATIENCE_S, eventually, proven, swarm
from tests.peer.test_aio_peer import closed_port

__all__ = ["seen_routers"]

NOBODY = Address("")
LOCAL = Address("192.168.77.10:50000")
ELSEWHERE = "9.9.9.9"
ANSWERED_S = 2.0  # far less than any time-out of what is asked here


def free_address() -> Address:
    return canonical_address("127.0.0.1", closed_port())


def mapped(address: Address) -> Mapped:
    host, _, port = address.rpartition(":")
    return Mapped(
        port=50000,
        protocol="upnp",
        gateway="192.168.77.1",
        external_ip=host,
        external_port=int(port),
        lease_s=3600.0,
        is_global=True,
    )


# Everything that was asked gets an answer


@pytest.mark.parametrize("turns", [0, 4])
async def test_what_the_directory_is_asked_while_its_peer_moves_is_answered(turns: int) -> None:
    async with mover(3) as (peer, others):
        await others[0].register("ann")
        asked = [
            asyncio.create_task(peer.resolve("ann", PATIENCE_S)),
            asyncio.create_task(peer.register("ben", timeout=PATIENCE_S)),
        ]
        for _ in range(turns):
            await asyncio.sleep(0)
        decide(peer, Become(hidden(peer)))
        async with asyncio.timeout(PATIENCE_S / 2):  # registering is tried again by itself after two seconds
            answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(answer, NameRecord | RingNotReady) for answer in answers), answers

        async def is_registered() -> bool:
            with suppress(RingNotReady):
                return (await peer.register("ben", timeout=PATIENCE_S)).address == hidden(peer)
            return False

        await eventually(is_registered, "the name to be registered from there")


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 6, 8])
async def test_a_peer_that_is_killed_while_it_moves_answers_all_that_was_asked(turns: int) -> None:
    async with mover(3) as (peer, others):
        admission = Host.current().admission
        silent = others[1]
        silent.trial.freeze()
        receipts = [peer.send(silent, b"before", timeout=PATIENCE_S)]
        broadcasts = [peer.broadcast(b"before", timeout=PATIENCE_S)]
        decide(peer, Become(hidden(peer)))
        receipts += [peer.send(silent, b"meanwhile", timeout=PATIENCE_S)]
        broadcasts += [peer.broadcast(b"meanwhile", timeout=PATIENCE_S)]
        requests = [
            asyncio.create_task(request)
            for request in (
                peer.lookup(silent, timeout=PATIENCE_S),
                peer.disconnect(timeout=PATIENCE_S),
                peer.connect(others[0], timeout=PATIENCE_S),
                peer.snapshot(timeout=PATIENCE_S),
            )
        ]
        for _ in range(1 + turns):
            await asyncio.sleep(0)
        peer.kill()
        async with asyncio.timeout(ANSWERED_S):
            await asyncio.gather(*receipts, *broadcasts, hosted_of(peer).gone)
            found, left, joined, looked = await asyncio.gather(*requests, return_exceptions=True)
        assert all(receipt.status == "failed" for receipt in receipts)
        assert all(not broadcast.complete for broadcast in broadcasts)
        assert found is LookupFailure.NOT_MEMBER
        assert left is None
        assert isinstance(joined, RingNotReady | None)
        assert isinstance(looked, NotBound | RingSnapshot)
        assert (admission.held, admission.bytes) == (0, 0)
        with pytest.raises(NotBound):
            peer.send(silent, b"after")


async def test_a_peer_whose_supervisor_fails_while_it_moves_answers_all_that_was_asked() -> None:
    async with mover(3) as (peer, others):
        admission = Host.current().admission
        others[1].trial.freeze()
        receipts = [peer.send(others[1], b"before", timeout=PATIENCE_S)]
        decide(peer, Become(hidden(peer)))
        hosted_of(peer)._home.supervisor.tell(object())
        receipts += [peer.send(others[1], b"meanwhile", timeout=PATIENCE_S)]
        async with asyncio.timeout(ANSWERED_S):
            await asyncio.gather(*receipts, hosted_of(peer).gone)
        assert {receipt.reason for receipt in receipts} == {"this peer was closed"}
        assert (admission.held, admission.bytes) == (0, 0)
        assert "supervisor failed" in peer.failed


async def test_what_a_supervisor_that_failed_did_not_get_to_is_answered() -> None:
    async with mover(3) as (peer, others):
        requests = [
            asyncio.create_task(request)
            for request in (
                peer.lookup(others[0], timeout=PATIENCE_S),
                peer.disconnect(timeout=PATIENCE_S),
                peer.connect(others[0], timeout=PATIENCE_S),
                peer.snapshot(timeout=PATIENCE_S),
            )
        ]
        hosted_of(peer)._home.supervisor.tell(object())
        receipt, broadcast = peer.send(others[0], b"behind it"), peer.broadcast(b"behind it")
        async with asyncio.timeout(ANSWERED_S):
            found, left, joined, looked = await asyncio.gather(*requests, return_exceptions=True)
            await asyncio.gather(receipt, broadcast)
        assert (receipt.reason, broadcast.reason) == ("this peer was closed",) * 2
        # whoever asked when it had failed already is told just that
        assert found is LookupFailure.NOT_MEMBER or isinstance(found, NotBound)
        assert left is None or isinstance(left, NotBound)
        assert isinstance(joined, RingNotReady | NotBound)
        assert isinstance(looked, NotBound)


async def test_what_is_asked_in_a_move_is_bounded_and_the_rest_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cicada.actors.moves.ACTOR", replace(ACTOR, inbox=2, inbox_reserve=1))
    async with mover(3) as (peer, others):
        decide(peer, Become(hidden(peer)))
        receipts = [peer.send(others[0], b"%d" % number) for number in range(5)]
        await asyncio.gather(*receipts)
        assert [receipt.delivered for receipt in receipts] == [True] * 3 + [False] * 2
        assert receipts[-1].reason == "too many messages in flight"
        assert peer.stats().dropped["inbox-full"] == 2


async def test_messages_on_their_way_leave_again_from_the_new_address_and_arrive_once() -> None:
    async with mover(3) as (peer, others):
        others[0].trial.freeze()
        receipts = [peer.send(others[0], b"%d" % number, timeout=PATIENCE_S) for number in range(20)]
        await hide(peer)
        others[0].trial.thaw()
        await asyncio.gather(*receipts)
        assert all(receipt.delivered for receipt in receipts)
        got = [(await others[0].recv(timeout=1)).data for _ in receipts]
        assert sorted(got) == sorted(b"%d" % number for number in range(20))


async def test_no_two_lives_take_a_message_though_its_sender_moved() -> None:
    identity = Identity.derive(bytes(32), "there")
    there = encrypted(identity=identity)
    async with ring(encrypted(), encrypted(), there, encrypted()) as (one, _, there, peer):
        assert (await peer.send(there, b"first")).delivered
        there.trial.freeze()
        receipt = peer.send(there, b"second", timeout=PATIENCE_S)
        outstanding = hosted_of(peer)._fixtures.correspondence._outstanding
        await until(lambda: any(each.boot for each in outstanding.values()), "the message to leave")
        await hide(peer)
        there.kill()
        async with encrypted(there.listener[1], identity=identity) as reborn:
            await reborn.connect(one, timeout=PATIENCE_S)
            assert (await receipt).reason == "unknown: peer restarted"
            assert (await peer.send(reborn, b"third", timeout=PATIENCE_S)).delivered
            assert (await reborn.recv(timeout=1)).data == b"third"


async def test_for_whom_a_message_is_stays_known_when_the_supervisor_it_was_told_has_ended() -> None:
    async with mover(3) as (peer, others):
        others[1].trial.freeze()
        receipt = peer.send(others[1], b"x", timeout=PATIENCE_S)
        correspondence = hosted_of(peer)._fixtures.correspondence
        await until(lambda: correspondence._outstanding, "the message to begin")
        (id,) = correspondence._outstanding
        supervisor = hosted_of(peer)._home.supervisor
        await hide(peer)
        supervisor.tell(LifeNamed(id, 77))
        assert correspondence._outstanding[id].boot == 77
        peer.kill()
        assert (await receipt).reason == "this peer was closed"


# Races


async def test_an_address_that_changes_as_soon_as_it_was_dialled_is_not_where_the_peer_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with mover(4) as (peer, others):
        await hide(peer)
        first, second = free_address(), free_address()
        moves = moves_of(peer)
        moves._reachability = Reachability(peer.address, LOCAL, peer.address)
        moves.consider(mapped(first))
        moves.consider(DialledIn(first, ELSEWHERE))
        moves.consider(mapped(second))
        meanwhile = peer.send(others[1], b"not forgotten", timeout=PATIENCE_S)
        await until(lambda: moves._watchpost and moves._watchpost.candidate == second, "the second watch")
        assert is_hidden(peer.address)
        assert (await meanwhile).delivered
        assert (await peer.send(others[0], b"not deaf", timeout=PATIENCE_S)).delivered
        assert "cannot be at" not in caplog.text
        moves.consider(DialledIn(second, ELSEWHERE))
        await at(peer, second)
        await proven([peer, *others])
        assert (await others[0].send(peer, b"there", timeout=PATIENCE_S)).delivered


async def test_a_mapping_that_comes_back_while_the_peer_hides_is_watched_once_it_is_hidden() -> None:
    async with mover(4) as (peer, _):
        await hide(peer)
        name, outside = peer.address, free_address()
        moves = moves_of(peer)
        reachability = moves._reachability = Reachability(name, LOCAL, name)
        moves.consider(mapped(outside))
        moves.consider(DialledIn(outside, ELSEWHERE))
        await at(peer, outside)
        moves.consider(MappingLost(port=50000, reason="router-restarted"))
        reachability._hide_at = 0.0
        moves.consider(TimerFired())
        moves.consider(mapped(outside))
        await at(peer, name)
        assert moves._watchpost is not None
        assert moves._watchpost.candidate == outside
        moves.consider(DialledIn(outside, ELSEWHERE))
        await at(peer, outside)


async def test_a_peer_that_moves_on_before_it_has_arrived_still_finds_its_ring() -> None:
    async with mover(3) as (peer, others):
        address = free_address()
        decide(peer, Become(hidden(peer)))
        decide(peer, Become(address))
        await at(peer, address)
        await proven([peer, *others])


async def test_who_left_and_moves_then_belongs_with_nobody() -> None:
    async with mover(3) as (peer, _):
        await hide(peer)
        await until(lambda: len(peer.peers) == 3, "three relays")
        await peer.disconnect()
        address = free_address()
        decide(peer, Become(address))
        await at(peer, address)
        assert (await peer.snapshot()).phase == "alone"
        assert hosted_of(peer).fellows == ()


async def test_a_peer_that_cannot_listen_where_it_is_to_be_stays_and_says_so() -> None:
    identity = Identity.generate(Host.current().entropy)
    async with swarm(3) as members:
        twins = [SwarmPeer("127.0.0.1", 0, identity=identity, map_ports=False) for _ in range(2)]
        try:
            first, second = twins
            await first.connect(members[0])
            await hide(first)
            before, reachability = second.address, told(second)
            reachability.answer(Connecting, Become(hidden(second)))
            await second.connect(members[0])
            assert second.address == before
            assert reachability.heard[-1] == CannotBe(first.address, before)
            assert (await second.send(members[1], b"from where it was", timeout=PATIENCE_S)).delivered
        finally:
            for twin in twins:
                twin.kill()


# What goes along


async def test_a_router_that_was_started_anew_has_the_same_address_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[Address] = []

    class Listening(Router):
        def handle(self, input: RouterInput, now: float) -> list[RouterOutput]:
            if isinstance(input, HaveDialled) and input.candidate:
                said.append(input.candidate)
            return super().handle(input, now)

    monkeypatch.setattr("cicada.routing.behaviour.Router", Listening)
    async with mover(3) as (peer, _):
        await hide(peer)
        candidate = free_address()
        decide(peer, Watch(candidate))
        await until(lambda: said, "the Router to be told")
        peer.crash("router")
        await until(lambda: len(said) == 2, "the next Router to be told")
        assert set(said) == {candidate}


async def test_a_watch_that_fails_is_opened_again_and_ends_with_the_peer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cicada.actors.moves.NAT", replace(NAT, reopening=0.01))
    async with mover(2) as (peer, _):
        await hide(peer)
        decide(peer, Watch(free_address()))
        moves = moves_of(peer)
        first = moves._watchpost
        assert first is not None
        first._actor.tell(Crash())
        await until(lambda: moves._watchpost not in (None, first), "another watch")
        assert moves._watchpost is not None
        again = moves._watchpost._actor
        decide(peer, Watch(NOBODY))
        await until(lambda: not again.is_alive() and moves._watchpost is None, "the watch to end")


async def test_a_peer_that_moved_is_not_given_what_it_broadcast_itself() -> None:
    async with mover(5) as (peer, others):
        assert (await peer.broadcast(b"mine")).reached == 5
        await hide(peer)
        await until(lambda: peer.stats().dropped.get("broadcast-came-back"), "its broadcast to come back")
        for other in others:
            assert (await other.recv(timeout=1)).data == b"mine"
        with pytest.raises(DeliveryTimeout):
            await peer.recv(timeout=0.0)


@pytest.mark.usefixtures("seen_routers")
async def test_a_broadcast_that_left_before_a_move_is_not_begun_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cicada.actors.correspondence.BROADCAST", replace(BROADCAST, leaving=0.0))
    async with mover(3) as (peer, others):
        others[0].trial.freeze()  # so that it stays open
        receipt = peer.broadcast(b"news", timeout=PATIENCE_S)
        assert (await others[1].recv(timeout=5)).data == b"news"
        assert not receipt.settled
        await hide(peer)
        assert (await receipt).reason is None
        others[0].trial.thaw()
        assert (await others[0].recv(timeout=PATIENCE_S)).data == b"news"
        await until(lambda: len(peer.peers) >= 2, "relays, without which it is in no ring")
        assert (await peer.broadcast(b"after", timeout=PATIENCE_S)).reason is None
        assert (await others[0].recv(timeout=PATIENCE_S)).data == b"after"
        bodies = {
            (id_of(message), message.payload)
            for router in SeenRouter.by_address.values()
            for message in router.seen
            if isinstance(message, Broadcast)
        }
        assert sorted(payload for _, payload in bodies) == [b"after", b"news"]


async def test_who_enters_a_swarm_out_in_the_world_takes_nobody_of_its_old_one_along() -> None:
    async with mover(3) as (peer, old), swarm(4) as world:
        told(peer).answer(Connecting, Become(hidden(peer)))
        await peer.connect(world[0], timeout=PATIENCE_S)
        assert is_hidden(peer.address)
        await until(lambda: len(peer.peers) == 3, "three relays")
        assert set(peer.peers) <= {member.listener for member in world}
        assert (await world[1].send(peer, b"welcome", timeout=PATIENCE_S)).delivered
        assert not set(peer.peers) & {member.listener for member in old}


@pytest.mark.parametrize("create", [True, False])
async def test_a_peer_that_moves_without_others_is_a_ring_of_one_only_where_it_was_bound_as_one(
    create: bool,
) -> None:
    peer = SwarmPeer(identity="ephemeral", map_ports=False)
    try:
        peer.bind(create=create)
        before = peer.address
        await hide(peer)
        decide(peer, Become(before))
        await at(peer, before)
        assert ((await peer.snapshot()).phase == "idle") is not create
        peer.create()
        await hide(peer)
        decide(peer, Become(before))
        await at(peer, before)
        assert (await peer.snapshot()).phase != "idle"
    finally:
        peer.kill()
