"""The asyncio SwarmPeer, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from cicada.aio import HostPort, Lookup, Message, SwarmPeer
from cicada.errors import DeliveryTimeout, Misuse, NotBound, PayloadTooLarge, RingNotReady, Unavailable
from cicada.ids import Address, canonical_address, place_of
from cicada.keys.keytext import swarm_key_text
from cicada.keys.store import ENTROPY, create_secret, identity_for, identity_path
from cicada.limits import WIRE, RingLimits
from tests.peer.swarm import eventually, proven, swarm


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_message_reaches_the_peer_it_was_sent_to_and_its_receipt_says_so() -> None:
    async with swarm(3) as (a, b, c):
        receipt = await a.send(b.listener, "hello")
        message = await b.recv(timeout=5)
        assert (message.source, message.data, message.kind) == (a.listener, b"hello", "message")
        assert receipt.delivered
        assert receipt.hops >= 1
        assert 0 < receipt.round_trip_s < 5
        assert c.peek is None


async def test_a_message_unpacks_as_source_data_and_more() -> None:
    async with swarm(2) as (a, b):
        await asyncio.gather(a.send(b, b"one"), a.send(b, b"two"))
        first = await b.recv(timeout=5)
        source, data, more = first
        assert source == a.listener
        assert data in (b"one", b"two")
        assert more is True
        assert (await b.recv(timeout=5)).more is False


async def test_a_place_an_address_and_a_peer_are_all_targets() -> None:
    async with swarm(3) as (a, b, _):
        for target in (b, b.listener, b.hash, ("localhost", b.listener.port)):
            assert (await a.send(target, b"x")).delivered, target


async def test_a_peer_can_send_to_itself() -> None:
    async with swarm(1) as (a,):
        assert (await a.send(a, b"note to self")).delivered
        assert (await a.recv(timeout=5)).data == b"note to self"


async def test_an_address_nobody_owns_settles_as_no_such_peer() -> None:
    async with swarm(3) as (a, *_):
        receipt = await a.send(("127.0.0.1", closed_port()), b"anyone?")
        assert (receipt.status, receipt.reason) == ("failed", "no such peer")


async def test_every_other_peer_gets_a_broadcast_once() -> None:
    async with swarm(12) as peers:
        await peers[3].broadcast("all of you")
        messages = await asyncio.gather(*(peer.recv(timeout=5) for peer in peers if peer is not peers[3]))
        assert {(m.kind, m.data, m.source) for m in messages} == {
            ("broadcast", b"all of you", peers[3].listener)
        }
        assert peers[3].peek is None


async def test_a_lookup_names_the_true_owner_from_every_peer_both_ways() -> None:
    async with swarm(8) as peers:
        ring = sorted(peers, key=lambda peer: peer.hash)
        for value in ("apple", "pear", b"quince"):
            for asking in peers:
                for iterative in (False, True):
                    found = await asking.lookup(value, iterative=iterative)
                    assert isinstance(found, Lookup)
                    owner = next((peer for peer in ring if peer.hash >= found.place), ring[0])
                    assert found.owner == owner.listener


async def test_a_route_begins_here_and_ends_at_the_owner() -> None:
    async with swarm(8) as peers:
        route = await peers[0].get_route(peers[5].listener)
        assert route[0] == peers[0].listener
        assert route[-1] == peers[5].listener
        assert len(set(route)) == len(route)


async def test_a_bound_peer_is_a_ring_of_one() -> None:
    async with swarm(1) as (alone,):
        found = await alone.lookup("anything")
        assert isinstance(found, Lookup)
        assert found.owner == alone.listener
        await alone.broadcast(b"echo?")
        assert alone.peek is None


async def test_recv_times_out_and_says_so() -> None:
    async with swarm(1) as (alone,):
        with pytest.raises(DeliveryTimeout, match="no message within"):
            await alone.recv(timeout=0.05)


async def test_iterating_yields_messages_until_the_peer_is_closed() -> None:
    async with swarm(2) as (a, b):
        got: list[bytes] = []

        async def listen() -> None:
            got.extend([message.data async for message in b])

        listening = asyncio.create_task(listen())
        await asyncio.gather(*(a.send(b, str(number)) for number in range(5)))
        await b.close()
        await asyncio.wait_for(listening, 5)
        assert sorted(got) == [b"0", b"1", b"2", b"3", b"4"]


async def test_use_before_bind_is_refused_at_once() -> None:
    peer = SwarmPeer()
    with pytest.raises(NotBound, match="call bind"):
        peer.send(("127.0.0.1", 1), b"x")
    with pytest.raises(NotBound, match="call bind"):
        await peer.connect("127.0.0.1", 1)
    with pytest.raises(NotBound, match="call bind"):
        await peer.recv(1)
    with pytest.raises(NotBound, match="call bind"):
        _ = peer.listener


async def test_use_after_close_is_refused_at_once() -> None:
    async with SwarmPeer("127.0.0.1", 0) as peer:
        pass
    with pytest.raises(NotBound, match="closed"):
        peer.send(("127.0.0.1", 1), b"x")
    with pytest.raises(NotBound, match="closed"):
        peer.bind()
    await peer.close()


async def test_binding_twice_is_refused() -> None:
    async with swarm(1) as (peer,):
        with pytest.raises(Misuse, match="already bound"):
            peer.bind()


async def test_a_port_in_use_is_named() -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            SwarmPeer("127.0.0.1", port)


async def test_every_interface_is_no_address_that_others_could_dial() -> None:
    with pytest.raises(Misuse, match="external_ip"):
        SwarmPeer("::", 0)


async def test_links_that_are_not_encrypted_do_not_leave_this_machine() -> None:
    with pytest.raises(Misuse, match="not a loopback address"):
        SwarmPeer(encrypt=False).bind("127.0.0.1", 0, external_ip="10.0.0.1")
    async with SwarmPeer("127.0.0.1", 0, encrypt=False) as one:  # nothing was left of the other
        assert one.listener.host == "127.0.0.1"


async def test_a_peer_comes_back_to_its_address_with_the_same_keys(tmp_path: Path) -> None:
    port = closed_port()
    records = []
    for _ in range(2):
        async with SwarmPeer("127.0.0.1", port) as one:
            records.append(identity_for(Address(f"127.0.0.1:{port}")).peer_id)
            assert one.listener.port == port
    assert records[0] == records[1]
    assert identity_path(Address(f"127.0.0.1:{port}")).exists()


async def test_peers_of_a_closed_swarm_link_and_one_without_the_key_is_told_why(tmp_path: Path) -> None:
    key_file, wrong = tmp_path / "swarm.key", tmp_path / "wrong.key"
    for path in (key_file, wrong):
        create_secret(path, swarm_key_text(ENTROPY.randbytes(32)))
    async with (
        SwarmPeer("127.0.0.1", 0, swarm_keys=key_file) as one,
        SwarmPeer("127.0.0.1", 0, swarm_keys=key_file) as two,
        SwarmPeer("127.0.0.1", 0, swarm_keys=wrong) as stranger,
        SwarmPeer("127.0.0.1", 0) as keyless,
    ):
        await two.connect(one)
        assert (await two.send(one, b"inside")).delivered
        for outsider in (stranger, keyless):
            with pytest.raises(RingNotReady, match="lacks the key of its closed swarm"):
                await outsider.connect(one, timeout=0.8)


async def test_connecting_to_a_dead_address_says_what_was_tried() -> None:
    port = closed_port()
    async with swarm(1) as (alone,):
        with pytest.raises(RingNotReady, match=f"127.0.0.1:{port}"):
            await alone.connect("127.0.0.1", port, timeout=1)
        assert isinstance(await alone.lookup("x"), Lookup), "it is a ring of one again"


async def test_connecting_to_itself_is_refused() -> None:
    async with swarm(1) as (alone,):
        with pytest.raises(Misuse, match="itself"):
            await alone.connect(alone)


async def test_a_payload_that_is_too_large_is_refused_with_both_sizes() -> None:
    async with swarm(1) as (peer,):
        with pytest.raises(PayloadTooLarge) as refused:
            peer.send(peer, bytes(WIRE.max_message + 1))
        assert (refused.value.size, refused.value.max) == (WIRE.max_message + 1, WIRE.max_message)
        assert (await peer.send(peer, bytes(WIRE.max_message))).delivered


async def test_a_broadcast_has_no_fragments_and_is_refused_when_it_would_need_them() -> None:
    async with swarm(1) as (peer,):
        with pytest.raises(PayloadTooLarge) as refused:
            await peer.broadcast(bytes(WIRE.max_payload + 1))
        assert (refused.value.size, refused.value.max) == (WIRE.max_payload + 1, WIRE.max_payload)


@pytest.mark.parametrize("duplicates", [-1, 16, 1000])
async def test_duplicates_out_of_range_are_refused(duplicates: int) -> None:
    async with swarm(1) as (peer,):
        with pytest.raises(Misuse, match="duplicates"):
            peer.send(peer, b"x", duplicates=duplicates)


async def test_duplicates_still_arrive_once() -> None:
    async with swarm(8) as peers:
        assert (await peers[0].send(peers[5], b"once", duplicates=3)).delivered
        assert (await peers[5].recv(timeout=5)).data == b"once"
        assert (await peers[0].send(peers[5], b"after")).delivered
        assert (await peers[5].recv(timeout=5)).data == b"after"


async def test_disconnect_leaves_the_ring_whole_and_the_peer_alone() -> None:
    async with swarm(6) as peers:
        leaver, *rest = peers
        await leaver.disconnect()
        await proven(rest)
        found = await leaver.lookup("x")
        assert isinstance(found, Lookup)
        assert found.owner == leaver.listener
        await leaver.connect(rest[0])
        await proven(peers)


async def test_a_ring_heals_after_the_abrupt_death_of_any_one_of_five() -> None:
    for victim in range(5):
        async with swarm(5) as peers:
            dead = peers.pop(victim)
            dead.kill()
            await proven(peers)
            for peer in peers:
                found = await peer.lookup(dead.listener)
                assert isinstance(found, Lookup)
                assert found.owner != dead.listener


async def test_hooks_run_off_the_loop_and_see_what_happens() -> None:
    loop_thread = threading.get_ident()
    seen: list[tuple[str, object]] = []
    threads: set[int] = set()
    new = threading.Event()

    def note(name: str, *arguments: object) -> None:
        threads.add(threading.get_ident())
        seen.append((name, arguments[-1]))
        if name == "new_peer":
            new.set()

    hooked = SwarmPeer(
        "127.0.0.1",
        0,
        hooks={
            "send": lambda target, data: note("send", target, data),
            "recv": lambda message: note("recv", message),
            "new_peer": lambda address: note("new_peer", address),
        },
    )
    async with hooked, SwarmPeer("127.0.0.1", 0) as other:
        await other.connect(hooked)
        assert await asyncio.to_thread(new.wait, 5)
        await hooked.send(other, b"out")
        await other.send(hooked, b"in")
        await hooked.recv(timeout=5)

        async def all_seen() -> bool:
            return len(seen) == 3

        await eventually(all_seen, "the hooks to run")
    assert ("new_peer", other.listener) in seen
    assert ("send", b"out") in seen
    assert any(name == "recv" and isinstance(got, Message) and got.data == b"in" for name, got in seen)
    assert loop_thread not in threads


async def test_an_unknown_hook_is_refused() -> None:
    with pytest.raises(Misuse, match="on_message"):
        SwarmPeer(hooks={"on_message": print})


async def test_stats_count_what_was_sent() -> None:
    async with swarm(2) as (a, b):
        await a.send(b, b"x")
        await a.send(("127.0.0.1", closed_port()), b"x", timeout=0.3)
        assert (a.stats().sent, a.stats().delivered, a.stats().failed) == (2, 1, 1)


async def test_hash_is_the_place_of_the_listener() -> None:
    async with swarm(1) as (peer,):
        assert peer.hash == place_of(canonical_address(*peer.listener))
        assert isinstance(peer.listener, HostPort)


async def test_ipv6_loopback_works_where_the_machine_has_it() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with SwarmPeer("::1", 0) as a, SwarmPeer("::1", 0) as b:
        await b.connect(a)
        assert (await b.send(a, b"six")).delivered


async def test_peers_on_one_host_list_each_other_beyond_r_and_count_whom_they_have_no_place_for() -> None:
    ring = RingLimits(successors=2, group_hosts=True, places_per_host=6)
    peers = [SwarmPeer("127.0.0.1", 0, ring=ring) for _ in range(12)]
    try:
        await asyncio.gather(*(peer.connect(peers[0]) for peer in peers[1:]))
        clockwise = sorted(peers, key=lambda peer: peer.hash)

        async def lists_are_right() -> bool:
            snapshots = await asyncio.gather(*(peer.snapshot() for peer in clockwise))
            return all(
                [peer.place for peer in snapshot.successors]
                == [clockwise[(position + step) % 12].hash for step in range(1, 9)]
                for position, snapshot in enumerate(snapshots)
            )

        async def somebody_was_refused() -> bool:
            return any(peer.stats().refused.get("host-cap") for peer in peers)

        await eventually(lists_are_right, "lists of 4r peers of the one host")
        await eventually(somebody_was_refused, "a peer that has no place any more")
    finally:
        for peer in peers:
            peer.kill()
