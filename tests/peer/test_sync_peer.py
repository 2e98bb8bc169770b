"""The sync SwarmPeer: the same peer without a visible event loop."""

from __future__ import annotations

import threading
from random import SystemRandom

import pytest

from cicada import SwarmPeer
from cicada.errors import DeliveryTimeout, Misuse, NotBound
from cicada.keys.identity import Identity
from cicada.keys.trust import TrustStore
from tests.peer.encrypted import pin_of


def test_two_peers_exchange_a_message_without_a_visible_loop() -> None:
    with SwarmPeer() as a, SwarmPeer() as b:
        a.bind()
        b.bind()
        b.connect(a.listener)
        receipt = a.send(b, "hello!").result(10)
        assert receipt.delivered
        assert b.recv(timeout=5).data == b"hello!"
        a.broadcast("all of you")
        assert b.recv(timeout=5).kind == "broadcast"


def test_a_sync_peer_pins_and_requires_trust_as_the_other_one_does() -> None:
    identity = Identity.generate(SystemRandom())
    with SwarmPeer("127.0.0.1", 0, identity=identity) as b:
        trust = TrustStore.load([pin_of(b.listener, identity)])
        with SwarmPeer("127.0.0.1", 0, trust=trust) as a:
            b.connect(a.listener)
            assert a.send(b, "pinned", require="pinned").result(10).trust == "pinned"
            assert b.send(a, "unknown", require="pinned").result(10).reason == "less trust than required"
            assert b.recv(timeout=5).trust == "first-contact"


def test_the_constructor_binds_when_given_an_address() -> None:
    with SwarmPeer("127.0.0.1", 0) as peer:
        assert peer.listener.port > 0
        assert peer.hash > 0


def test_the_loop_thread_ends_with_the_last_peer_and_starts_again() -> None:
    for _ in range(2):
        with SwarmPeer("127.0.0.1", 0):
            assert "cicada-loop" in [thread.name for thread in threading.enumerate()]
        assert "cicada-loop" not in [thread.name for thread in threading.enumerate()]


def test_iteration_ends_when_the_peer_is_closed() -> None:
    with SwarmPeer("127.0.0.1", 0) as peer:
        peer.send(peer, b"one").result(5)
        got: list[bytes] = []
        first = threading.Event()

        def listen() -> None:
            for message in peer:
                got.append(message.data)
                first.set()

        thread = threading.Thread(target=listen)
        thread.start()
        assert first.wait(5)
        peer.close()
        thread.join(5)
        assert not thread.is_alive()
        assert got == [b"one"]


def test_recv_times_out() -> None:
    with SwarmPeer("127.0.0.1", 0) as peer, pytest.raises(DeliveryTimeout):
        peer.recv(timeout=0.05)


def test_use_before_bind_is_refused_at_once() -> None:
    peer = SwarmPeer()
    with pytest.raises(NotBound, match="call bind"):
        peer.send(("127.0.0.1", 1), b"x")
    with pytest.raises(NotBound, match="call bind"):
        peer.recv()
    peer.close()
    with pytest.raises(NotBound, match="closed"):
        peer.bind()


def test_lookup_route_peek_and_peers_work() -> None:
    with SwarmPeer("127.0.0.1", 0) as a, SwarmPeer("127.0.0.1", 0) as b:
        b.connect(a)
        assert b.get_route(a)[-1] == a.listener
        assert b.peers == (a.listener,)
        assert b.peek is None
        a.send(b, b"look").result(5)
        assert getattr(b.peek, "data", None) == b"look"
        assert b.recv(timeout=1).data == b"look"
        b.disconnect()
        assert b.get_route(b)[-1] == b.listener


def test_a_hook_may_use_the_peer_because_it_runs_off_the_loop() -> None:
    done = threading.Event()
    hooked = SwarmPeer(hooks={"new_peer": lambda address: done.set() if hooked.peers else None})
    with SwarmPeer("127.0.0.1", 0) as other, hooked:
        hooked.bind()
        other.connect(hooked)
        assert done.wait(5)


def test_a_receipt_waited_for_on_a_loop_is_refused() -> None:
    import asyncio

    async def wait_wrongly() -> None:
        from cicada.aio import SwarmPeer as AsyncPeer

        async with AsyncPeer("127.0.0.1", 0) as peer:
            receipt = peer.send(peer, b"x")
            with pytest.raises(Misuse, match="await"):
                receipt.result(1)
            assert (await receipt).delivered

    asyncio.run(wait_wrongly())
