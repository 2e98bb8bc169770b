"""What both endpoints promise (cicada/transport/base.py)."""

from __future__ import annotations

import asyncio

import pytest

from cicada.errors import Misuse
from cicada.limits import WIRE
from cicada.transport.base import ConnectionId
from cicada.wire.frames import HEADER, Frame, FrameType
from tests.transport.endpoints import (
    Pair,
    Recorder,
    World,
    cohosted_pair_in,
    eventually,
    free_address,
    hello_to,
    pair_in,
)


async def test_a_hello_reaches_the_receiver_of_the_dialled_address(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    receivers = [Recorder(), Recorder(), Recorder()]
    addresses = [free_address() for _ in receivers]
    for address, receiver in zip(addresses, receivers, strict=True):
        listening.listen(address, receiver)
    caller = Recorder()
    dialling.connect(addresses[1], caller)
    await caller.until(lambda: bool(caller.connected))
    dialling.send(caller.connected[0][1], hello_to(addresses[1]))
    await receivers[1].until(lambda: bool(receivers[1].frames))
    assert receivers[1].frames[0][1].type is FrameType.HELLO
    assert not receivers[0].frames
    assert not receivers[2].frames


async def test_frames_travel_both_ways_to_the_owner_of_their_index(world: World) -> None:
    pair = await pair_in(world)
    bystander = Recorder()
    pair.listening.attach(bystander)
    pair.say(b"there")
    await pair.far.until(lambda: pair.far.bodies() == [b"there"])
    pair.answer(b"and back")
    await pair.near.until(lambda: pair.near.bodies() == [b"and back"])
    assert not bystander.frames


async def test_a_frame_arrives_with_type_index_counter_and_authenticated_header(world: World) -> None:
    pair = await pair_in(world)
    pair.say(b"body", counter=1 << 40)
    await pair.far.until(lambda: bool(pair.far.frames))
    frame = pair.far.frames[0][1]
    assert frame == Frame(
        FrameType.DATA,
        pair.far_index,
        1 << 40,
        HEADER.pack(FrameType.DATA, pair.far_index, 1 << 40),
        b"body",
    )


@pytest.mark.parametrize("cohosted", [False, True])
async def test_thousands_of_frames_arrive_once_and_in_order(world: World, cohosted: bool) -> None:
    pair = await (cohosted_pair_in(world) if cohosted else pair_in(world))
    count = 5000
    for counter in range(1, count + 1):
        while not pair.say(b"x" * (counter % 300), counter):
            await asyncio.sleep(0)
        if counter % 500 == 0:
            await asyncio.sleep(0)
    await pair.far.until(lambda: len(pair.far.frames) >= count)
    assert [frame.counter for _, frame in pair.far.frames] == list(range(1, count + 1))
    assert [len(body) for body in pair.far.bodies()] == [counter % 300 for counter in range(1, count + 1)]


@pytest.mark.parametrize("cohosted", [False, True])
async def test_frames_of_the_greatest_size_arrive_whole(world: World, cohosted: bool) -> None:
    pair = await (cohosted_pair_in(world) if cohosted else pair_in(world))
    bodies = [bytes([n]) * (WIRE.max_frame - HEADER.size) for n in range(20)]
    for body in bodies:
        while not pair.say(body):
            await asyncio.sleep(0.001)
    await pair.far.until(lambda: len(pair.far.frames) == len(bodies))
    assert pair.far.bodies() == bodies


async def test_a_frame_no_peer_would_accept_is_the_callers_fault(world: World) -> None:
    pair = await pair_in(world)
    with pytest.raises(Misuse, match="at most"):
        pair.say(b"x" * (WIRE.max_frame - HEADER.size + 1))


@pytest.mark.parametrize("cohosted", [False, True])
async def test_frames_sent_in_one_turn_leave_together(world: World, cohosted: bool) -> None:
    pair = await (cohosted_pair_in(world) if cohosted else pair_in(world))
    before = pair.dialling.counters()
    for counter in range(1, 101):
        pair.say(b"x" * 100, counter)
    await pair.far.until(lambda: len(pair.far.frames) == 100)
    after = pair.dialling.counters()
    assert after["frames.sent"] - before["frames.sent"] == 100
    assert after["chunks.sent"] - before["chunks.sent"] == 1
    assert after["bytes.sent"] - before["bytes.sent"] == 100 * (4 + 13 + 100)


@pytest.mark.parametrize("cohosted", [False, True])
async def test_no_receiver_is_called_from_inside_a_call(world: World, cohosted: bool) -> None:
    pair = await (cohosted_pair_in(world) if cohosted else pair_in(world))
    pair.say(b"later")
    pair.dialling.connect(pair.address, pair.near)
    pair.dialling.drop(pair.near_connection, "test")
    assert len(pair.near.connected) == 1
    assert not pair.near.gone
    assert not pair.far.frames
    await pair.near.until(lambda: bool(pair.near.gone))
    assert pair.near.gone == [(pair.near_connection, "test")]


async def test_many_receivers_share_one_dialled_connection(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    address = free_address()
    listening.listen(address, Recorder())
    callers = [Recorder() for _ in range(20)]
    for caller in callers:
        dialling.connect(address, caller)
    for caller in callers:
        await caller.until(lambda caller=caller: bool(caller.connected))  # type: ignore[misc]
    late = Recorder()
    dialling.connect(address, late)
    await late.until(lambda: bool(late.connected))
    assert len({caller.connected[0] for caller in [*callers, late]}) == 1
    assert dialling.counters()["connections.dialled"] == 1
    await eventually(lambda: listening.counters().get("connections.accepted", 0) == 1)


async def test_connecting_twice_before_the_answer_gives_one_answer(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    address = free_address()
    listening.listen(address, Recorder())
    caller, other = Recorder(), Recorder()
    dialling.connect(address, caller)
    dialling.connect(address, caller)
    dialling.connect(address, other)
    await other.until(lambda: bool(other.connected))
    assert len(caller.connected) == 1


async def an_unused_connection_ends(world: World, pair: Pair) -> None:
    """Wait until a connection that ``pair`` dials now, and nobody uses, was closed for that."""
    elsewhere, other, caller = free_address(), Recorder(), Recorder()
    listening = world.endpoint()
    listening.listen(elsewhere, other)
    pair.dialling.connect(elsewhere, caller)
    await caller.until(lambda: bool(caller.connected))
    pair.dialling.release(caller.connected[0][1], caller)
    await eventually(lambda: listening.counters().get("closed.closed", 0) == 1)


async def test_a_dialled_connection_is_closed_once_nobody_uses_it(world: World) -> None:
    pair = await pair_in(world, unused_seconds=0.05)
    second = Recorder()
    pair.dialling.connect(pair.address, second)
    await second.until(lambda: bool(second.connected))
    pair.dialling.release(pair.near_connection, pair.near)
    pair.dialling.release(pair.near_connection, pair.near)
    await an_unused_connection_ends(world, pair)
    assert second.gone == []
    pair.dialling.release(pair.near_connection, second)
    await pair.far.until(lambda: bool(pair.far.gone))
    assert pair.far.gone == [(pair.far_connection, "closed")]
    assert pair.near.gone == []
    assert not pair.say(b"too late")


async def test_a_connection_used_again_in_time_stays(world: World) -> None:
    pair = await pair_in(world, unused_seconds=0.2)
    pair.dialling.release(pair.near_connection, pair.near)
    pair.dialling.connect(pair.address, pair.near)
    await pair.near.until(lambda: len(pair.near.connected) == 2)
    await an_unused_connection_ends(world, pair)
    assert pair.near.connected[1] == pair.near.connected[0]
    assert pair.say(b"still here")
    await pair.far.until(lambda: pair.far.bodies() == [b"still here"])


async def test_a_dead_address_is_refused_soon(world: World) -> None:
    caller = Recorder()
    dialling = world.endpoint()
    address = free_address()
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.failed), timeout=1.0)
    assert caller.failed == [(address, "refused")]
    assert not caller.connected


async def test_an_address_can_be_dialled_again_after_a_refusal(world: World) -> None:
    caller = Recorder()
    dialling, listening = world.endpoint(), world.endpoint()
    address = free_address()
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.failed))
    listening.listen(address, Recorder())
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.connected))


@pytest.mark.parametrize("cohosted", [False, True])
async def test_both_sides_hear_the_end_of_a_connection(world: World, cohosted: bool) -> None:
    pair = await (cohosted_pair_in(world) if cohosted else pair_in(world))
    pair.listening.drop(pair.far_connection, "misbehaved")
    await pair.near.until(lambda: bool(pair.near.gone))
    await pair.far.until(lambda: bool(pair.far.gone))
    assert pair.near.gone == [(pair.near_connection, "closed")]
    assert pair.far.gone == [(pair.far_connection, "misbehaved")]
    assert not pair.say(b"nobody there")


async def test_what_was_sent_before_the_end_arrives_before_the_end_is_heard(world: World) -> None:
    pair = await pair_in(world, unused_seconds=0.02)
    for counter in range(1, 201):
        pair.say(b"farewell", counter)
    pair.dialling.release(pair.near_connection, pair.near)
    await pair.far.until(lambda: bool(pair.far.gone))
    assert len(pair.far.frames) == 200


async def test_a_redial_right_after_the_end_works_every_time(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    address = free_address()
    far, near = Recorder(), Recorder()
    listening.listen(address, far)
    seen: set[ConnectionId] = set()
    for round in range(1, 101):
        dialling.connect(address, near)
        await near.until(lambda round=round: len(near.connected) == round)  # type: ignore[misc]
        connection = near.connected[-1][1]
        seen.add(connection)
        dialling.send(connection, hello_to(address))
        await far.until(lambda round=round: len(far.frames) == round)  # type: ignore[misc]
        if round % 2:
            listening.drop(far.frames[-1][0], "test")
        else:
            dialling.drop(connection, "test")
        await near.until(lambda round=round: len(near.gone) == round)  # type: ignore[misc]
    assert len(seen) == 100
    assert not near.failed
