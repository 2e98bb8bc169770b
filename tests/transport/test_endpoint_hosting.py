"""What both endpoints promise about strangers, hints, hosting and their own end (cicada/transport/base.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from cicada.errors import Misuse, Unavailable
from cicada.ids import Address
from cicada.transport.base import ConnectionId
from cicada.wire.codec import decode_body
from cicada.wire.frames import Frame, FrameType, Refusal, encode_frame
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


async def test_an_unknown_address_in_a_hello_is_refused(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    address = free_address()
    listening.listen(address, Recorder())
    caller = Recorder()
    index = dialling.attach(caller)
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.connected))
    dialling.send(caller.connected[0][1], hello_to("127.0.0.1:9", index))
    await caller.until(lambda: bool(caller.frames))
    frame = caller.frames[0][1]
    assert frame.type is FrameType.REFUSED
    assert decode_body(frame.body, Refusal).reason == "unknown-address"
    assert listening.counters()["refused.unknown-address"] == 1
    assert not caller.gone


@pytest.mark.parametrize(
    "greeting",
    [
        encode_frame(FrameType.HELLO, 0, 0, b"\xc1"),
        encode_frame(FrameType.HELLO, 5, 0, hello_to("127.0.0.1:9")[17:]),
    ],
    ids=["not-a-hello", "with-an-index"],
)
async def test_a_malformed_hello_closes_the_connection(world: World, greeting: bytes) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    address = free_address()
    listening.listen(address, Recorder())
    caller = Recorder()
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.connected))
    dialling.send(caller.connected[0][1], greeting)
    await caller.until(lambda: bool(caller.gone))


async def test_a_hello_on_a_connection_we_dialled_closes_it(world: World) -> None:
    pair = await pair_in(world)
    pair.listening.send(pair.far_connection, hello_to(pair.address))
    await pair.near.until(lambda: bool(pair.near.gone))
    assert pair.near.gone == [(pair.near_connection, "hello-misplaced")]


async def test_a_forgotten_index_is_answered_unknown_to_all_who_use_the_connection(world: World) -> None:
    pair = await pair_in(world)
    companion, outsider = Recorder(), Recorder()
    pair.dialling.attach(outsider)
    pair.dialling.connect(pair.address, companion)
    await companion.until(lambda: bool(companion.connected))
    pair.listening.detach(pair.far_index)
    pair.say(b"lost")
    for receiver in (pair.near, companion):
        await receiver.until(lambda receiver=receiver: bool(receiver.frames))  # type: ignore[misc]
        assert receiver.frames[0][1].type is FrameType.UNKNOWN
        assert receiver.frames[0][1].index == pair.far_index
    assert not outsider.frames
    assert not pair.far.frames


async def test_unknown_is_never_answered_and_never_routed_by_its_index(world: World) -> None:
    pair = await pair_in(world)
    bystander = Recorder()
    index = pair.listening.attach(bystander)
    pair.dialling.send(pair.near_connection, encode_frame(FrameType.UNKNOWN, index, 0, b""))
    pair.dialling.send(pair.near_connection, encode_frame(FrameType.UNKNOWN, 99, 0, b""))
    pair.say(b"after")
    await pair.far.until(lambda: b"after" in pair.far.bodies())
    pair.answer(b"answer")
    await pair.near.until(lambda: bool(pair.near.frames))
    assert pair.near.bodies() == [b"answer"]
    assert not bystander.frames


async def test_hints_are_limited(world: World) -> None:
    pair = await pair_in(world, hints_per_second=3)
    for _ in range(50):
        pair.dialling.send(pair.near_connection, encode_frame(FrameType.DATA, 99, 1, b""))
    pair.say(b"after")
    await pair.far.until(lambda: bool(pair.far.frames))
    pair.answer(b"answer")
    await pair.near.until(lambda: b"answer" in pair.near.bodies())
    answers = sum(frame.type is FrameType.UNKNOWN for _, frame in pair.near.frames)
    assert 1 <= answers <= 6  # 3 a second, and a second may end between the frames
    assert pair.listening.counters()["hints-suppressed"] >= 44


async def test_a_failing_receiver_costs_that_call_only(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    pair = await pair_in(world)

    def fail_on_second(_connection: ConnectionId, frame: Frame) -> None:
        if frame.counter == 2:
            raise RuntimeError("boom")

    pair.far.react = fail_on_second
    for counter in (1, 2, 3):
        pair.say(b"", counter)
        await pair.far.until(lambda counter=counter: len(pair.far.frames) == counter)  # type: ignore[misc]
    assert pair.listening.counters()["receiver-failed"] == 1
    assert "boom" in caplog.text
    assert not pair.far.gone


async def test_a_connection_dropped_by_a_receiver_delivers_nothing_more(world: World) -> None:
    pair = await pair_in(world)
    pair.far.react = lambda connection, frame: pair.listening.drop(connection, "enough")
    pair.say(b"", 1)
    await pair.far.until(lambda: bool(pair.far.frames))
    for counter in (2, 3):
        pair.say(b"", counter)
    await pair.far.until(lambda: bool(pair.far.gone))
    assert len(pair.far.frames) == 1


async def test_frames_that_arrive_together_are_told_together_and_those_of_others_apart(world: World) -> None:
    pair = await pair_in(world)
    other = Recorder()
    elsewhere = pair.listening.attach(other)
    calls: list[tuple[Recorder, int]] = []
    for recorder in (pair.far, other):
        tell = recorder.on_frames

        def counted(
            connection: ConnectionId, frames: Sequence[Frame], recorder: Recorder = recorder, tell: Any = tell
        ) -> None:
            calls.append((recorder, len(frames)))
            tell(connection, frames)

        recorder.on_frames = counted  # type: ignore[method-assign]
    pair.say(b"", 1)
    pair.say(b"", 2)
    pair.dialling.send(pair.near_connection, encode_frame(FrameType.DATA, elsewhere, 1, b""))
    pair.say(b"", 3)
    await pair.far.until(lambda: len(pair.far.frames) == 3)
    assert calls == [(pair.far, 2), (other, 1), (pair.far, 1)]


async def test_a_peer_of_the_same_worker_is_reached_by_the_same_rules(world: World) -> None:
    endpoint = world.endpoint()
    pair = await Pair(endpoint, endpoint).open()
    assert pair.near_connection != pair.far_connection
    pair.say(b"there")
    await pair.far.until(lambda: pair.far.bodies() == [b"there"])
    pair.answer(b"back")
    await pair.near.until(lambda: pair.near.bodies() == [b"back"])
    assert endpoint.counters().get("connections.dialled", 0) == 0
    endpoint.unlisten(pair.address)
    await pair.near.until(lambda: bool(pair.near.gone))
    assert pair.near.gone == [(pair.near_connection, "closed")]


async def test_peers_of_one_worker_never_displace_each_other_as_strangers(world: World) -> None:
    endpoint = world.endpoint(unauthenticated_per_source=2)
    caller = Recorder()
    for port in range(6):
        address = free_address()
        endpoint.listen(address, Recorder())
        endpoint.connect(address, caller)
        await caller.until(lambda port=port: len(caller.connected) == port + 1)  # type: ignore[misc]
    assert endpoint.counters().get("closed.strangers-per-source", 0) == 0
    assert not caller.gone


@pytest.mark.parametrize("cohosted", [False, True])
async def test_a_full_backlog_refuses_and_costs_others_nothing(world: World, cohosted: bool) -> None:
    pair = await (
        cohosted_pair_in(world, max_connection_backlog=10_000)
        if cohosted
        else pair_in(world, max_connection_backlog=10_000)
    )
    taken = 0
    while pair.say(b"x" * 1000):
        taken += 1
    assert taken == 9
    assert pair.dialling.counters()["unsent.backlog-full"] == 1
    await pair.far.until(lambda: len(pair.far.frames) == taken)
    assert pair.say(b"room again")
    await pair.far.until(lambda: len(pair.far.frames) == taken + 1)


async def test_a_stranger_has_little_time(world: World) -> None:
    listening, dialling = world.endpoint(unauthenticated_seconds=0.1), world.endpoint()
    address = free_address()
    listening.listen(address, Recorder())
    caller = Recorder()
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.gone))
    assert listening.counters()["closed.stranger-timeout"] == 1


async def test_who_is_authenticated_stays(world: World) -> None:
    pair = await pair_in(world, unauthenticated_seconds=0.1)
    stranger = Recorder()
    world.endpoint().connect(pair.address, stranger)
    await stranger.until(lambda: bool(stranger.gone))  # it came later, and its time is over
    assert not pair.near.gone
    assert pair.say(b"x" * 60_000)
    await pair.far.until(lambda: bool(pair.far.frames))
    pair.listening.release(pair.far_connection, pair.far)
    await pair.near.until(lambda: bool(pair.near.gone))
    assert not pair.far.gone


async def test_an_accepted_connection_nobody_uses_is_a_strangers_again(world: World) -> None:
    pair = await pair_in(world)
    pair.say(b"x" * 5000)
    await pair.far.until(lambda: bool(pair.far.frames))
    pair.listening.release(pair.far_connection, pair.far)
    pair.say(b"x" * 5000)
    await pair.near.until(lambda: bool(pair.near.gone))
    assert pair.listening.counters()["closed.frame-size"] == 1


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([encode_frame(FrameType.DATA, 3, 1, b"x" * 5000)], "frame-size"),
        ([encode_frame(FrameType.DATA, 3, 1, b"x" * 3000)] * 10, "stranger-bytes"),
    ],
    ids=["long", "many"],
)
async def test_a_stranger_may_say_little(world: World, frames: list[bytes], reason: str) -> None:
    listening = world.endpoint(unauthenticated_bytes=20_000)
    dialling = world.endpoint()
    address = free_address()
    listening.listen(address, Recorder())
    caller = Recorder()
    dialling.connect(address, caller)
    await caller.until(lambda: bool(caller.connected))
    for frame in frames:
        dialling.send(caller.connected[0][1], frame)
    await caller.until(lambda: bool(caller.gone))
    assert listening.counters()[f"closed.{reason}"] == 1


async def test_an_authentication_that_comes_too_late_is_told_of_the_end(world: World) -> None:
    pair = await pair_in(world)
    pair.listening.drop(pair.far_connection, "test")
    newcomer = Recorder()
    pair.listening.authenticated(pair.far_connection, newcomer)
    await newcomer.until(lambda: bool(newcomer.gone))


async def test_forgetting_a_receiver_frees_all_it_held(world: World) -> None:
    pair = await pair_in(world, unused_seconds=0.05, max_indexes=1)
    pair.dialling.forget(pair.near)
    pair.dialling.attach(Recorder())
    await eventually(lambda: pair.dialling.counters().get("closed.unused", 0) == 1)
    assert not pair.near.gone
    pair.listening.forget(pair.far)
    pair.listening.attach(Recorder())
    pair.listening.listen(pair.address, Recorder())


async def test_forgetting_a_receiver_ends_the_connections_accepted_for_it(world: World) -> None:
    pair = await pair_in(world)
    pair.say(b"before")
    await pair.far.until(lambda: bool(pair.far.frames))
    pair.answer(b"last words")
    pair.listening.forget(pair.far)
    await pair.near.until(lambda: bool(pair.near.gone))
    assert pair.near.bodies() == [b"last words"]
    assert pair.near.gone == [(pair.near_connection, "closed")]
    assert not pair.far.gone


async def test_a_receiver_forgotten_while_it_dials_is_not_called(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    address = free_address()
    listening.listen(address, Recorder())
    leaver, stayer = Recorder(), Recorder()
    dialling.connect(address, leaver)
    dialling.connect(address, stayer)
    dialling.forget(leaver)
    await stayer.until(lambda: bool(stayer.connected))
    assert not leaver.connected


async def test_an_address_is_hosted_once(world: World) -> None:
    endpoint = world.endpoint()
    address = free_address()
    endpoint.listen(address, Recorder())
    with pytest.raises(Misuse, match=address):
        endpoint.listen(address, Recorder())


async def test_a_taken_address_is_unavailable_and_named(world: World) -> None:
    first, second = world.endpoint(), world.endpoint()
    address = free_address()
    first.listen(address, Recorder())
    with pytest.raises(Unavailable, match=rf"{address}.*EADDRINUSE.*another port"):
        second.listen(address, Recorder())


async def test_an_address_can_be_hosted_again_at_once(world: World) -> None:
    first, second = world.endpoint(), world.endpoint()
    address = free_address()
    for _ in range(20):
        first.listen(address, Recorder())
        first.unlisten(address)
    first.unlisten(address)
    receiver = Recorder()
    first.listen(address, receiver)
    caller = Recorder()
    second.connect(address, caller)
    await caller.until(lambda: bool(caller.connected))
    second.send(caller.connected[0][1], hello_to(address))
    await receiver.until(lambda: bool(receiver.frames))


async def test_hellos_name_the_advertised_address_of_a_mapped_port(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    bound = free_address()
    receiver, caller = Recorder(), Recorder()
    listening.listen(Address("198.51.100.7:4000"), receiver, bind_to=bound)
    dialling.connect(bound, caller)
    await caller.until(lambda: bool(caller.connected))
    dialling.send(caller.connected[0][1], hello_to("198.51.100.7:4000"))
    await receiver.until(lambda: bool(receiver.frames))


async def test_indexes_are_fresh_never_zero_and_bounded(world: World) -> None:
    endpoint = world.endpoint(max_indexes=100)
    indexes = {endpoint.attach(Recorder()) for _ in range(100)}
    assert len(indexes) == 100
    assert all(0 < index < 1 << 32 for index in indexes)
    with pytest.raises(Unavailable):
        endpoint.attach(Recorder())
    endpoint.detach(indexes.pop())
    endpoint.attach(Recorder())


async def test_a_closed_endpoint_calls_nobody_and_refuses_everything(world: World) -> None:
    pair = await pair_in(world)
    pair.dialling.connect(pair.address, pair.near)
    pair.dialling.drop(pair.near_connection, "test")
    pair.dialling.close()
    pair.dialling.close()
    await pair.far.until(lambda: bool(pair.far.gone))
    await asyncio.sleep(0)  # callbacks come from the next turn of the loop
    assert len(pair.near.connected) == 1
    assert not pair.near.gone
    assert not pair.say(b"closed")
    with pytest.raises(Misuse, match="closed"):
        pair.dialling.listen(free_address(), Recorder())


async def test_closing_sends_what_was_said_before(world: World) -> None:
    pair = await pair_in(world)
    pair.say(b"last words")
    pair.dialling.close()
    await pair.far.until(lambda: bool(pair.far.gone))
    assert pair.far.bodies() == [b"last words"]
