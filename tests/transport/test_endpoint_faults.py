"""Faults between peers on real endpoints, both kinds: dialled, accepted and worker-local connections alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cicada.events import LinkClosed, PeerFaulted
from cicada.transport.faults import NO_FAULTS, FaultRule, FaultTable
from tests.transport.endpoints import World, eventually
from tests.transport.stations import Station, Stations

COHOSTED = pytest.mark.parametrize("cohosted", [False, True], ids=["two workers", "one worker"])


@pytest.fixture
async def stations(world: World) -> AsyncIterator[Stations]:
    made = Stations()
    yield made
    await made.close()


def between(one: Station, other: Station, **effect: float) -> FaultTable:
    sides = {"one": frozenset({one.address}), "other": frozenset({other.address})}
    return FaultTable((FaultRule(**sides, **effect),))  # type: ignore[arg-type]


async def linked(world: World, stations: Stations, cohosted: bool) -> tuple[Station, Station]:
    """Two peers with a link that the first dialled."""
    near_end = world.endpoint()
    far_end = near_end if cohosted else world.endpoint()
    near, far = stations.on(near_end), stations.on(far_end)
    near.send(far, 1)
    await far.until(lambda: far.heard_from(near) == [1])
    return near, far


async def everything_sent_has_arrived(stations: Stations, near: Station, far: Station) -> None:
    """Bystanders hosted beside each talk over the same connections, behind whatever was sent before."""
    beside_near, beside_far = (stations.on(station.attachment.endpoint) for station in (near, far))
    beside_near.send(far, 1)
    await far.until(lambda: far.heard_from(beside_near) == [1])
    far.send(beside_near, 2)
    await beside_near.until(lambda: beside_near.heard_from(far) == [2])
    beside_far.send(near, 3)
    await near.until(lambda: near.heard_from(beside_far) == [3])


def faults_seen(*peers: Station) -> list[PeerFaulted | LinkClosed]:
    return [event for peer in peers for event in peer.events if isinstance(event, PeerFaulted | LinkClosed)]


@COHOSTED
async def test_a_cut_silences_an_open_link_both_ways_and_its_end_brings_everything_in_order(
    world: World, stations: Stations, cohosted: bool
) -> None:
    near, far = await linked(world, stations, cohosted)
    stations.set_faults(between(near, far, cut=True))
    near.send(far, 2, 3)
    far.send(near, 4)
    await everything_sent_has_arrived(stations, near, far)
    assert (far.heard_from(near), near.heard_from(far)) == ([1], [])
    stations.set_faults(NO_FAULTS)
    near.send(far, 5)
    await far.until(lambda: far.heard_from(near) == [1, 2, 3, 5])
    await near.until(lambda: near.heard_from(far) == [4])
    assert faults_seen(near, far) == []


async def test_a_link_over_a_cut_times_out_and_hands_back_what_it_had_not_delivered(
    world: World, stations: Stations
) -> None:
    near, far = await linked(world, stations, cohosted=False)
    stations.set_faults(between(near, far, cut=True))
    near.send(far, 2)
    await near.until(lambda: bool(near.memory.unreachable))
    (lost,) = near.memory.unreachable
    assert lost.peer == far.peer
    assert lost.undelivered[-1].incarnation == 2  # behind the first, whose ack was held back too
    assert far.heard_from(near) == [1]


async def test_a_dial_over_a_cut_is_silent_and_times_out(world: World, stations: Stations) -> None:
    near, far = stations.on(world.endpoint()), stations.on(world.endpoint())
    stations.set_faults(between(near, far, cut=True))
    begun = asyncio.get_running_loop().time()
    near.prove(far)
    await near.until(lambda: bool(near.memory.unreachable))
    assert asyncio.get_running_loop().time() - begun >= 1.9
    assert near.attachment.endpoint.counters().get("connections.dialled", 0) == 0


@COHOSTED
async def test_a_dial_that_waits_is_answered_when_the_cut_ends(
    world: World, stations: Stations, cohosted: bool
) -> None:
    near_end = world.endpoint()
    near, far = stations.on(near_end), stations.on(near_end if cohosted else world.endpoint())
    stations.set_faults(between(near, far, cut=True))
    near.prove(far)
    stations.set_faults(NO_FAULTS)
    await near.until(lambda: near.memory.proven == [far.peer])


async def test_of_two_peers_that_share_a_connection_only_the_one_that_was_cut_off_is_silent(
    world: World, stations: Stations
) -> None:
    near_end, far_end = world.endpoint(), world.endpoint()
    cut, whole, far = stations.on(near_end), stations.on(near_end), stations.on(far_end)
    cut.send(far, 1)
    whole.send(far, 1)
    await far.until(lambda: len(far.memory.heard) == 2)
    assert near_end.counters()["connections.dialled"] == 1
    stations.set_faults(between(cut, far, cut=True))
    cut.send(far, 2)
    far.send(cut, 3)
    whole.send(far, 2)
    far.send(whole, 3)
    await far.until(lambda: far.heard_from(whole) == [1, 2])
    await whole.until(lambda: whole.heard_from(far) == [3])
    assert (far.heard_from(cut), cut.heard_from(far)) == ([1], [])


@COHOSTED
async def test_delayed_messages_take_that_long_and_keep_their_order(
    world: World, stations: Stations, cohosted: bool
) -> None:
    near, far = await linked(world, stations, cohosted)
    stations.set_faults(between(near, far, delay=0.2, jitter=0.05))
    begun = asyncio.get_running_loop().time()
    near.send(far, *range(2, 40))
    await far.until(lambda: len(far.heard_from(near)) == 39)
    assert 0.19 <= asyncio.get_running_loop().time() - begun < 1.0
    assert far.heard_from(near) == list(range(1, 40))
    assert faults_seen(near, far) == []


@COHOSTED
async def test_dropped_messages_are_lost_and_cost_no_link(
    world: World, stations: Stations, cohosted: bool
) -> None:
    near, far = await linked(world, stations, cohosted)
    stations.set_faults(between(near, far, drop=1.0))
    near.send(far, 2, 3)
    stations.set_faults(NO_FAULTS)
    near.send(far, 4)
    await far.until(lambda: far.heard_from(near) == [1, 4])
    assert near.tally["fault"] == 2
    assert faults_seen(near, far) == []


@COHOSTED
async def test_duplicated_messages_come_twice_and_cost_no_link(
    world: World, stations: Stations, cohosted: bool
) -> None:
    near, far = await linked(world, stations, cohosted)
    stations.set_faults(between(near, far, duplicate=1.0))
    near.send(far, 2, 3)
    await far.until(lambda: far.heard_from(near) == [1, 2, 2, 3, 3])
    assert faults_seen(near, far) == []


async def test_a_peer_that_ends_says_so_in_spite_of_a_delay(world: World, stations: Stations) -> None:
    near, far = await linked(world, stations, cohosted=False)
    stations.set_faults(between(near, far, delay=5.0))
    near.transport.stop(block=False)
    await eventually(lambda: bool(faults_seen(far)))
    assert [(type(event), event.reason) for event in faults_seen(far)] == [(LinkClosed, "closed by peer")]


async def test_a_crashed_transport_starts_again_under_the_same_faults(
    world: World, stations: Stations
) -> None:
    near, far = await linked(world, stations, cohosted=False)
    stations.set_faults(between(near, far, drop=1.0))
    near.restart()
    near.send(far, 2)
    await eventually(lambda: near.tally["fault"] == 1)
    await everything_sent_has_arrived(stations, near, far)
    assert far.heard_from(near) == [1]
