"""Events travel from publishers over the proxy to subscribers, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import msgspec
import pytest
import zmq

from cicada.bus.proxy import BusProxy
from cicada.bus.publisher import Publisher
from cicada.bus.subscriber import GapDetector, Subscriber, readable
from cicada.bus.topics import topic_of
from cicada.errors import DeliveryTimeout, Misuse, Unavailable
from cicada.events import AnyEvent, Envelope, EventsLost, PeerFaulted, PhaseChanged
from cicada.limits import BusLimits

from .conftest import WAIT, CountingClock, Open, fault, phase, until, until_wanted


async def test_an_event_arrives_with_its_source_peer_sequence_and_time(
    proxy: BusProxy, publisher_of: Open
) -> None:
    publisher = publisher_of("worker-3")
    async with Subscriber(proxy.subscribers) as subscriber:
        await until_wanted(publisher, PhaseChanged)
        publisher.publish("core-7", phase(1))
        assert await subscriber.receive(WAIT) == Envelope(
            source="worker-3",
            sequence=1,
            time_ms=publisher.life + 1,  # its clock ticks whenever it is asked
            peer="core-7",
            event=phase(1),
            life=publisher.life,
        )


async def test_a_late_subscriber_gets_what_comes_from_then_on_and_misses_nothing_of_it(
    proxy: BusProxy, publisher_of: Open
) -> None:
    publisher = publisher_of()
    for number in range(5):
        publisher.publish("a", phase(number))
    async with Subscriber(proxy.subscribers) as subscriber:
        await until_wanted(publisher, PhaseChanged)
        publisher.publish("a", phase(5))
        publisher.publish("a", phase(6))
        got = [await subscriber.receive(WAIT) for _ in range(2)]
    assert [(envelope.sequence, envelope.event) for envelope in got] == [(6, phase(5)), (7, phase(6))]
    assert not subscriber.gaps.missed


async def test_a_second_subscriber_that_comes_later_gets_events_too(
    proxy: BusProxy, publisher_of: Open
) -> None:
    publisher = publisher_of()
    async with Subscriber(proxy.subscribers, [b"ring."]) as first:
        await until_wanted(publisher, PhaseChanged)
        assert not publisher.wants(PeerFaulted)
        async with Subscriber(proxy.subscribers, [b"link."]) as second:
            await until_wanted(publisher, PeerFaulted)
            publisher.publish("a", phase(1))
            publisher.publish("a", fault(1))
            assert (await first.receive(WAIT)).event == phase(1)
            assert (await second.receive(WAIT)).event == fault(1)


async def test_what_nobody_subscribed_to_is_not_even_encoded(proxy: BusProxy, publisher_of: Open) -> None:
    clock = CountingClock()
    publisher = publisher_of(clock=clock)
    clock.asked = 0
    publisher.publish("a", phase(1))
    async with Subscriber(proxy.subscribers, [topic_of(PeerFaulted)]) as subscriber:
        await until_wanted(publisher, PeerFaulted)
        publisher.publish("a", phase(2))
        assert clock.asked == 0
        publisher.publish("a", fault(1))
        assert (await subscriber.receive(WAIT)).event == fault(1)
    assert clock.asked == 1


async def test_when_the_last_subscriber_leaves_the_publisher_stops_encoding(
    proxy: BusProxy, publisher_of: Open
) -> None:
    publisher = publisher_of()
    async with Subscriber(proxy.subscribers):
        await until_wanted(publisher, PhaseChanged)
    await until(lambda: not publisher.wants(PhaseChanged))


async def test_subscribing_to_one_kind_shows_no_gaps_from_the_others(
    proxy: BusProxy, publisher_of: Open
) -> None:
    publisher = publisher_of()
    async with Subscriber(proxy.subscribers, [topic_of(PhaseChanged)]) as subscriber:
        await until_wanted(publisher, PhaseChanged)
        for number in range(5):
            publisher.publish("a", phase(number))
            publisher.publish("a", fault(number))
        got = [(await subscriber.receive(WAIT)).event for _ in range(5)]
    assert got == [phase(number) for number in range(5)]
    assert not subscriber.gaps.missed


async def test_events_of_several_sources_are_all_delivered(proxy: BusProxy, publisher_of: Open) -> None:
    publishers = [publisher_of(f"worker-{index}") for index in range(3)]
    async with Subscriber(proxy.subscribers) as subscriber:
        for publisher in publishers:
            await until_wanted(publisher, PhaseChanged)
        for publisher in publishers:
            publisher.publish("a", phase(1))
        sources = {(await subscriber.receive(WAIT)).source for _ in range(3)}
    assert sources == {"worker-0", "worker-1", "worker-2"}


async def test_a_subscriber_that_is_too_slow_sees_how_many_it_missed(
    folder: Path, publisher_of: Open
) -> None:
    narrow = BusProxy(f"ipc://{folder}/narrow-in", f"ipc://{folder}/narrow-out", limits=BusLimits(queue=10))
    narrow.start()
    try:
        publisher = publisher_of(endpoint=narrow.publishers, limits=BusLimits(queue=100_000))
        async with Subscriber(narrow.subscribers, limits=BusLimits(queue=10)) as subscriber:
            await until_wanted(publisher, PhaseChanged)
            for number in range(20_000):
                publisher.publish("a", PhaseChanged(phase=str(number), reason="x" * 200))
            received, last = 0, 0
            while not subscriber.gaps.missed:
                publisher.publish("a", phase(0))  # shows what was lost before it, if it gets through itself
                with contextlib.suppress(DeliveryTimeout):
                    last = (await subscriber.receive(0.05)).sequence
                    received += 1
            assert received + subscriber.gaps.missed["worker-0"] == last
    finally:
        narrow.stop()


async def test_events_that_find_no_room_are_counted_and_told_when_there_is_room_again(
    folder: Path, publisher_of: Open
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    taker = context.socket(zmq.XSUB)
    try:
        taker.setsockopt(zmq.RCVHWM, 4)
        taker.bind(f"ipc://{folder}/slow")
        publisher = publisher_of(endpoint=f"ipc://{folder}/slow", limits=BusLimits(queue=4))
        taker.send(b"\x01")
        # Only a socket that is used takes its new connections
        await until(lambda: bool(taker.poll(1)) or publisher.wants(PhaseChanged))
        for number in range(100_000):
            publisher.publish("a", PhaseChanged(phase=str(number), reason="x" * 1000))
            if publisher.lost == 10:
                break
        assert publisher.lost == 10
        assert told_losses(taker, publisher) == publisher.lost
    finally:
        context.destroy(linger=0)


def told_losses(taker: zmq.Socket[bytes], publisher: Publisher) -> int:
    """The sum of the losses the publisher told of, by the time that an event gets through to the taker again."""
    told = 0
    give_up = time.monotonic() + WAIT
    while time.monotonic() < give_up:
        publisher.publish("a", fault(1))
        while taker.poll(20):
            event = msgspec.msgpack.decode(taker.recv_multipart()[-1], type=Envelope).event
            if isinstance(event, PeerFaulted):
                return told
            if isinstance(event, EventsLost):
                told += event.count
    pytest.fail("no event got through")


def test_gaps_are_counted_by_source_and_kind() -> None:
    gaps = GapDetector()

    def see(source: str, sequence: int, event: PhaseChanged | PeerFaulted) -> int:
        return gaps.notice(Envelope(source=source, sequence=sequence, time_ms=0, peer="", event=event))

    assert see("a", 5, phase(0)) == 0
    assert see("a", 9, fault(0)) == 0
    assert see("b", 1, phase(0)) == 0
    assert see("a", 6, phase(0)) == 0
    assert see("a", 10, phase(0)) == 3
    assert see("b", 3, phase(0)) == 1
    assert gaps.missed == {"a": 3, "b": 1}


def test_a_source_that_started_again_counts_from_one() -> None:
    gaps = GapDetector()
    for sequence, missed in ((7, 0), (8, 0), (1, 0), (2, 0), (8, 5), (3, 2)):
        envelope = Envelope(source="a", sequence=sequence, time_ms=0, peer="", event=phase(0))
        assert gaps.notice(envelope) == missed


async def test_what_is_no_event_is_counted_and_skipped(proxy: BusProxy, publisher_of: Open) -> None:
    publisher = publisher_of()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stranger = context.socket(zmq.XPUB)
    try:
        stranger.connect(proxy.publishers)
        async with Subscriber(proxy.subscribers) as subscriber:
            await until_wanted(publisher, PhaseChanged)
            assert stranger.poll(int(WAIT * 1000))  # the subscription is there
            for body in (b"", b"\xc1", b"\x91" * 5000, msgspec.msgpack.encode({"event": "Unknown"})):
                stranger.send_multipart([b"ring.PhaseChanged", body])
            reading = asyncio.create_task(subscriber.receive(WAIT))
            await until(lambda: subscriber.malformed == 4)
            publisher.publish("a", phase(1))
            assert (await reading).event == phase(1)
    finally:
        context.destroy(linger=0)


async def test_waiting_for_an_event_that_does_not_come_times_out(proxy: BusProxy) -> None:
    async with Subscriber(proxy.subscribers) as subscriber:
        with pytest.raises(DeliveryTimeout):
            await subscriber.receive(0.01)


async def test_a_subscriber_used_outside_its_context_is_misuse(proxy: BusProxy) -> None:
    with pytest.raises(Misuse):
        await Subscriber(proxy.subscribers).receive(0.01)


async def test_a_busy_subscriber_lets_others_on_its_loop_have_a_turn(
    proxy: BusProxy, publisher_of: Open
) -> None:
    publisher = publisher_of()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Subscriber(proxy.subscribers, limits=BusLimits(batch=8)) as subscriber:
        await until_wanted(publisher, PhaseChanged)
        for number in range(800):
            publisher.publish("a", phase(number))
        await subscriber.receive(WAIT)
        task = asyncio.create_task(other())
        for _ in range(799):
            await subscriber.receive(WAIT)
        task.cancel()
    assert turns >= 799 // 8


async def test_a_subscriber_of_a_stream_wakes_up_once_for_many_events(
    proxy: BusProxy, publisher_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0

    async def counted(socket: zmq.Socket[bytes]) -> None:
        nonlocal waits
        waits += 1
        await readable(socket)

    monkeypatch.setattr("cicada.bus.subscriber.readable", counted)
    publisher, rest = publisher_of(), 0.2
    async with Subscriber(proxy.subscribers, limits=BusLimits(rest=rest)) as subscriber:

        async def take_all() -> list[AnyEvent]:
            return [(await subscriber.receive(WAIT)).event for _ in range(50)]

        await until_wanted(publisher, PhaseChanged)
        began = time.monotonic()
        taking = asyncio.create_task(take_all())
        for number in range(50):
            publisher.publish("a", phase(number))
            await asyncio.sleep(0.002)
        assert await taking == [phase(number) for number in range(50)]
    assert waits <= 1 + (time.monotonic() - began) / rest


async def test_an_event_that_comes_while_a_subscriber_rests_is_in_time(
    proxy: BusProxy, publisher_of: Open
) -> None:
    publisher = publisher_of()
    async with Subscriber(proxy.subscribers, limits=BusLimits(rest=60.0)) as subscriber:
        await until_wanted(publisher, PhaseChanged)
        receiving = asyncio.create_task(subscriber.receive(WAIT))
        await asyncio.sleep(0)  # it waits, and rests once it has this one
        publisher.publish("a", phase(1))
        assert (await receiving).event == phase(1)
        publisher.publish("a", phase(2))
        assert (await subscriber.receive(1.0)).event == phase(2)


async def test_what_is_at_hand_is_taken_without_waiting(proxy: BusProxy, publisher_of: Open) -> None:
    publisher = publisher_of()
    async with Subscriber(proxy.subscribers) as subscriber:
        await until_wanted(publisher, PhaseChanged)
        assert list(subscriber.at_hand()) == []
        publisher.publish("a", phase(1))
        got: list[AnyEvent] = []

        def has_come() -> bool:
            got.extend(one.event for one in subscriber.at_hand())
            return bool(got)

        await until(has_come)
        assert got == [phase(1)]


async def test_a_publisher_can_wait_for_its_first_subscription(proxy: BusProxy, publisher_of: Open) -> None:
    publisher = publisher_of()
    assert not await publisher.subscribed(0.01)
    async with Subscriber(proxy.subscribers) as subscriber:
        assert await publisher.subscribed(WAIT)
        publisher.publish("a", phase(1))
        assert (await subscriber.receive(WAIT)).sequence == 1


async def test_a_publisher_without_a_proxy_neither_blocks_nor_fails(folder: Path, publisher_of: Open) -> None:
    publisher = publisher_of(endpoint=f"ipc://{folder}/nobody")
    for number in range(1000):
        publisher.publish("a", phase(number))
    assert not publisher.wants(PhaseChanged)


async def test_a_closed_publisher_ignores_events_and_may_be_closed_again(publisher_of: Open) -> None:
    publisher = publisher_of()
    publisher.close()
    publisher.publish("a", phase(1))
    publisher.close()
    assert not publisher.wants(PhaseChanged)


def test_an_endpoint_that_cannot_be_bound_is_unavailable(folder: Path) -> None:
    proxy = BusProxy(f"ipc://{folder}/missing/in", f"ipc://{folder}/out")
    with pytest.raises(Unavailable, match="cannot bind"):
        proxy.start()


def test_a_proxy_may_be_stopped_twice_and_started_again(folder: Path) -> None:
    proxy = BusProxy(f"ipc://{folder}/in", f"ipc://{folder}/out")
    for _ in range(2):
        proxy.start()
        proxy.stop()
        proxy.stop()
