"""Actors that a peer exports are told, asked and watched by other peers, as far as they are trusted."""

from __future__ import annotations

import asyncio
import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import cicada
from cicada.actors import LoopDispatcher
from cicada.aio import SwarmPeer
from cicada.embedding import swarmactors
from cicada.embedding.swarmactors import SwarmCall, SwarmRef
from cicada.errors import CicadaError, DeliveryTimeout, Misuse, NotBound, Unavailable
from cicada.keys.identity import Identity
from cicada.limits import ActorsLimits
from cicada.peer import SyncSwarmRef
from tests.actors.calls import Add, AnyAnswer, AnyCall, Fail, Later, Release, Released, Server, Sum
from tests.actors.probes import PATIENCE, eventually, stop
from tests.peer.swarm import swarm

Ref = SwarmRef[AnyCall, AnyAnswer]


class Keeper(Server):
    """Keeps who it was asked by."""

    def on_receive(self, message: Any) -> None:
        super().on_receive(message)
        self.heard[-1] = message


def ref_to(peer: SwarmPeer, target: SwarmPeer, name: str = "server") -> Ref:
    return peer.actor(target, name, commands=AnyCall, replies=AnyAnswer)


def served(peer: SwarmPeer, heard: list[Any], require: str | None = None) -> Any:
    ref = Keeper.start(peer.dispatcher, heard)
    peer.export(ref, "server", commands=AnyCall, replies=AnyAnswer, require=require)
    return ref


async def test_an_exported_actor_is_asked_and_told_and_knows_by_whom() -> None:
    heard: list[Any] = []
    async with swarm(3) as (server, client, other):
        actor = served(server, heard)
        ref = ref_to(client, server)
        assert await ref.ask(Add(1, 2)) == Sum(3)
        await ref.tell(Add(3, 4))
        assert await ref_to(other, server).ask(Add(2, 2)) == Sum(4)
        call = next(call for call in heard if call.command == Add(3, 4))
        assert isinstance(call, SwarmCall)
        assert (call.source, call.trust) == (client.listener, "first-contact")
        assert len(call.peer_id) == 64
        answers = await asyncio.gather(*(ref.ask(Add(n, n)) for n in range(50)))
        assert answers == [Sum(2 * n) for n in range(50)]
        waiting = asyncio.create_task(ref.ask(Later(), timeout=PATIENCE))
        await eventually(lambda: any(call.command == Later() for call in heard))
        assert await ref.ask(Release()) == Released(1)
        assert await waiting == Released(1)
        await stop(actor)


async def test_less_trust_than_an_export_requires_finds_no_actor() -> None:
    heard: list[Any] = []
    async with swarm(2) as (server, client):
        actor = served(server, heard, require="pinned")
        with pytest.raises(
            Unavailable, match="no actor 'server' is exported to a peer with trust 'first-contact'"
        ):
            await ref_to(client, server).ask(Add(1, 2))
        with pytest.raises(Unavailable, match="no actor 'none'"):
            await ref_to(client, server, "none").tell(Add(1, 2))
        assert heard == []
        assert server.stats().refused["actor-refused"] == 2
        await stop(actor)


async def test_a_peer_that_exports_nothing_is_said_to_be_so() -> None:
    async with swarm(2) as (server, client):
        with pytest.raises(Unavailable, match="no-service"):
            await ref_to(client, server).ask(Add(1, 2))


async def test_what_goes_wrong_at_the_actor_is_said_where_it_was_asked() -> None:
    async with swarm(2) as (server, client):
        actor = served(server, [])
        ref = ref_to(client, server)
        with pytest.raises(Misuse, match="knows no str"):
            await ref.ask("nonsense")  # type: ignore[arg-type]
        with pytest.raises(DeliveryTimeout):
            await ref.ask(Later(), timeout=0.1)
        watching = asyncio.create_task(ref.watch())
        waiting = asyncio.create_task(ref.ask(Later(), timeout=PATIENCE))
        await ref.ask(Add(1, 1))
        with pytest.raises(CicadaError, match="told to fail"):
            await ref.ask(Fail())
        with pytest.raises(Unavailable):
            await waiting
        terminated = await asyncio.wait_for(watching, PATIENCE)
        assert terminated.failed
        assert "told to fail" in terminated.reason
        with pytest.raises(Unavailable, match="no actor"):
            await ref.ask(Add(1, 1))
        assert not actor.is_alive()
        again = served(server, [])  # the name is free
        assert await ref.ask(Add(1, 1)) == Sum(2)
        await stop(again)


async def test_whoever_watches_hears_that_an_export_was_closed_and_nobody_can_stop_the_actor() -> None:
    async with swarm(2) as (server, client):
        actor = Server.start(server.dispatcher, [])
        exported = server.export(actor, "server", commands=AnyCall, replies=AnyAnswer, require=None)
        with pytest.raises(Misuse, match="already"):
            server.export(actor, "server", commands=AnyCall, replies=AnyAnswer)
        ref = ref_to(client, server)
        watching = asyncio.create_task(ref.watch())
        assert await ref.ask(Add(1, 1)) == Sum(2)
        await ref.ask(Release())
        exported.close()
        exported.close()
        assert not exported.is_open
        terminated = await asyncio.wait_for(watching, PATIENCE)
        assert (terminated.failed, terminated.reason) == (False, "it is exported no more")
        assert not hasattr(ref, "stop")
        assert actor.is_alive()
        await stop(actor)


async def test_whoever_asks_or_watches_hears_that_its_own_peer_has_ended() -> None:
    heard: list[Any] = []
    async with swarm(2) as (server, client):
        actor = served(server, heard)
        ref = ref_to(client, server)
        watching = asyncio.create_task(ref.watch())
        await ref.ask(Add(1, 1))
        asking = asyncio.create_task(ref.ask(Later(), timeout=PATIENCE * 10))
        await eventually(lambda: has_later(heard))
        own = Server.start(client.dispatcher, [])
        exported = client.export(own, "own", commands=AnyCall, replies=AnyAnswer)
        await client.close()
        for waiting in (watching, asking):
            with pytest.raises(NotBound, match="closed"):
                await asyncio.wait_for(waiting, PATIENCE)
        assert not exported.is_open
        for verb in (ref.ask(Add(1, 1)), ref.tell(Add(1, 1)), ref.watch()):
            with pytest.raises(NotBound, match="closed"):
                await verb
        with pytest.raises(NotBound, match="closed"):
            client.export(own, "late", commands=AnyCall, replies=AnyAnswer)
        exported.close()
        await stop(own)
        await stop(actor)


async def test_a_place_has_no_actors() -> None:
    async with SwarmPeer("127.0.0.1", 0) as peer:
        with pytest.raises(Misuse, match="a place has no actors"):
            peer.actor(7, "server", commands=AnyCall, replies=AnyAnswer)
        ref = Server.start(LoopDispatcher(), [])
        with pytest.raises(Misuse, match="characters"):
            peer.export(ref, "x" * 65, commands=AnyCall, replies=AnyAnswer)
        await stop(ref)


async def test_a_reference_goes_on_with_a_peer_that_was_killed_and_came_back() -> None:
    identity = Identity.generate(random.SystemRandom())
    async with SwarmPeer("127.0.0.1", 0) as client:
        port = 0
        ref: Ref | None = None
        for _ in range(3):
            server = SwarmPeer("127.0.0.1", port, identity=identity)
            port = server.listener.port
            await server.connect(client)
            heard: list[Any] = []
            actor = served(server, heard)
            ref = ref or ref_to(client, server)
            assert await insistent(ref) == Sum(3)
            waiting = asyncio.create_task(ref.ask(Later(), timeout=0.5))
            await eventually(lambda: has_later(heard))  # noqa: B023  waited for here
            server.kill()
            with pytest.raises((DeliveryTimeout, Unavailable)):
                await waiting
            await stop(actor)


def has_later(heard: list[Any]) -> bool:
    return any(call.command == Later() for call in heard)


async def insistent(ref: Ref) -> AnyAnswer:
    """The first that is asked of a peer after its restart may be sent in a session of its former life."""
    with contextlib.suppress(Unavailable):
        return await ref.ask(Add(1, 2), timeout=PATIENCE)
    return await ref.ask(Add(1, 2), timeout=PATIENCE)


async def test_the_death_of_a_watched_actors_peer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarmactors, "ACTORS", ActorsLimits(watch_interval=0.3))
    async with swarm(2) as (server, client):
        actor = served(server, [])
        ref = ref_to(client, server)
        watching = asyncio.create_task(ref.watch())
        await ref.ask(Add(1, 1))
        server.kill()
        terminated = await asyncio.wait_for(watching, PATIENCE)
        assert terminated.failed
        assert "does not answer" in terminated.reason
        await stop(actor)


def test_the_sync_peer_asks_and_exports_too() -> None:
    with cicada.SwarmPeer("127.0.0.1", 0) as server, cicada.SwarmPeer("127.0.0.1", 0) as client:
        client.connect(server)
        heard: list[Any] = []
        actor = Keeper.start(server.dispatcher, heard)
        exported = server.export(actor, "server", commands=AnyCall, replies=AnyAnswer, require=None)
        ref: SyncSwarmRef[AnyCall, AnyAnswer] = client.actor(
            server, "server", commands=AnyCall, replies=AnyAnswer
        )
        ref.tell(Add(1, 1))
        assert ref.ask(Add(2, 3)) == Sum(5)
        with pytest.raises(DeliveryTimeout):
            ref.watch(timeout=0.05)
        assert exported.is_open
        other = server.export(actor, "other", commands=AnyCall, replies=AnyAnswer, require=None)
        of_other: SyncSwarmRef[AnyCall, AnyAnswer] = client.actor(
            server, "other", commands=AnyCall, replies=AnyAnswer
        )
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(of_other.ask, Later(), PATIENCE)
            while Later() not in [call.command for call in heard]:
                assert not asking.done()
            other.close()
            with pytest.raises(Unavailable, match="exported no more"):
                asking.result(PATIENCE)
        other.close()
        assert not other.is_open
        actor.stop()
        with pytest.raises(Unavailable, match="no actor"):
            ref.ask(Add(2, 3))
