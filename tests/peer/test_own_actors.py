"""An application's own actors are told a peer's messages, and live and end with the peer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pykka
import pytest

import cicada
from cicada.actors import ActorRef, BlockingActor, Child, LoopActor, Restart, Strategy, Supervisor
from cicada.aio import Message, SwarmPeer
from cicada.errors import Misuse, NotBound
from cicada.events import AnyEvent, ChildExited, ChildRestarted, Escalated, PeerStopped
from tests.actors.probes import PATIENCE, BlockingProbe, Probe, ended, eventually, fail
from tests.peer.swarm import swarm


class Ledger(LoopActor):
    """Writes down what it is told, and fails at ``crash``, the first time in its life and its successors'."""

    def __init__(self, peer: SwarmPeer, book: list[bytes], crashes: list[bytes]) -> None:
        super().__init__(peer.dispatcher)
        self.book = book
        self.crashes = crashes

    def on_receive(self, message: Message) -> None:
        if message.data in self.crashes:
            self.crashes.remove(message.data)
            raise ValueError(f"failed at {message.data!r}")
        self.book.append(message.data)


async def test_a_supervised_subscriber_that_crashes_under_traffic_loses_nothing_and_keeps_the_order() -> None:
    book: list[bytes] = []
    sent = [b"%d" % number for number in range(200)]
    async with swarm(2) as (sender, receiver):

        def start() -> pykka.ActorRef[Any]:
            ref = Ledger.start(receiver, book, crashes)
            receiver.subscribe(ref)
            return ref

        crashes = [b"20", b"21", b"150"]
        family = await receiver.supervise(Supervisor(Child("ledger", start), backoff_s=0.0))
        receipts = [sender.send(receiver, data, ordered=True) for data in sent]
        assert {(await receipt).delivered for receipt in receipts} == {True}
        await eventually(lambda: len(book) == len(sent))
        assert book == sent
        assert family.restarts == 3


async def test_actors_of_the_application_end_with_the_peer_last_started_first() -> None:
    log: list[str] = []
    async with SwarmPeer("127.0.0.1", 0) as peer:
        dispatcher = peer.dispatcher
        family = await peer.supervise(
            Supervisor(
                Child("loop", lambda: Probe.start(dispatcher, on_stop=lambda: log.append("loop"))),
                Child("thread", lambda: BlockingProbe.start(on_stop=lambda: log.append("thread"))),
            )
        )
        assert family.ref("loop").is_alive()
        assert family.ref("thread").is_alive()
    assert log == ["thread", "loop"]
    assert not family.is_running
    assert await family.ended() == ""
    with pytest.raises(NotBound, match="loop does not run"):
        family.ref("loop")


async def test_exits_and_restarts_are_among_the_events_of_the_peer() -> None:
    events: list[AnyEvent] = []
    async with SwarmPeer("127.0.0.1", 0, publish=lambda name, event: events.append(event)) as peer:
        dispatcher = peer.dispatcher
        family = await peer.supervise(
            Supervisor(Child("worker", lambda: Probe.start(dispatcher)), backoff_s=0.0)
        )
        family.ref("worker").tell(fail)
        await eventually(lambda: family.restarts == 1)
        assert ChildExited(child="worker", reason="ValueError: told to fail") in events
        assert ChildRestarted(child="worker", restarts=1) in events


async def test_a_family_that_keeps_failing_ends_its_peer_as_failed() -> None:
    events: list[AnyEvent] = []
    peer = SwarmPeer("127.0.0.1", 0, name="anna", publish=lambda name, event: events.append(event))
    dispatcher = peer.dispatcher
    family = await peer.supervise(
        Supervisor(
            Child("sound", lambda: Probe.start(dispatcher)),
            Child("broken", lambda: Probe.start(dispatcher, on_start=lambda: fail(None))),
            max_restarts=2,
            backoff_s=0.0,
        )
    )
    assert "after 2 restarts" in await family.ended()
    await eventually(lambda: not peer.bound)
    assert "the application's actors kept failing: broken failed" in peer.failed
    assert [event.child for event in events if isinstance(event, Escalated)] == ["anna"]
    assert PeerStopped(how="failed") in events
    await peer.close()


async def test_names_of_the_peers_own_actors_are_not_for_the_application() -> None:
    async with SwarmPeer("127.0.0.1", 0) as peer:
        with pytest.raises(Misuse, match="router"):
            await peer.supervise(Supervisor(Child("router", lambda: Probe.start(peer.dispatcher))))


async def test_a_supervisor_needs_no_peer() -> None:
    events: list[AnyEvent] = []
    started: list[str] = []

    def probe(name: str) -> pykka.ActorRef[Any]:
        return BlockingProbe.start(on_start=lambda: started.append(name))

    async with Supervisor(
        Child("first", lambda: probe("first")),
        Child("second", lambda: probe("second")),
        strategy=Strategy.REST_FOR_ONE,
        backoff_s=0.0,
        on_event=events.append,
    ) as family:
        await eventually(lambda: sorted(started) == ["first", "second"])
        family.ref("first").tell(fail)
        await eventually(lambda: family.restarts == 2 and len(started) == 4)
        with pytest.raises(Misuse, match="no child is called"):
            family.ref("third")
        with pytest.raises(Misuse, match="started before"):
            await family.start()
    assert [event.child for event in events if isinstance(event, ChildRestarted)] == ["first", "second"]


async def test_a_faulty_listener_costs_no_restart(caplog: pytest.LogCaptureFixture) -> None:
    def listen(event: AnyEvent) -> None:
        raise RuntimeError("cannot listen")

    async with Supervisor(Child("worker", BlockingProbe.start), backoff_s=0.0, on_event=listen) as family:
        family.ref("worker").tell(fail)
        await eventually(lambda: family.restarts == 1)
    assert "cannot listen" in caplog.text


async def test_a_child_that_is_never_restarted_stays_away_and_the_family_lives_on() -> None:
    async with Supervisor(
        Child("once", BlockingProbe.start, Restart.NEVER), Child("other", BlockingProbe.start)
    ) as family:
        gone = family.ref("once")
        gone.tell(fail)
        await ended(gone)
        await eventually(lambda: _is_away(family, "once"))
        assert family.ref("other").is_alive()


def _is_away(family: Supervisor, child: str) -> bool:
    try:
        family.ref(child)
    except NotBound:
        return True
    return False


async def test_messages_that_nobody_handled_can_be_received_after_the_peer_was_closed() -> None:
    async with swarm(2) as (sender, receiver):
        failing = Ledger.start(receiver, [], [b"1"])
        subscription = receiver.subscribe(failing, prefetch=1)
        for data in (b"1", b"2"):
            assert (await sender.send(receiver, data)).delivered
        await subscription.ended()
        await receiver.close()
        assert [(await receiver.recv(1)).data for _ in range(2)] == [b"1", b"2"]


class Echo(BlockingActor):
    """Answers each message through its sync peer, from its own thread."""

    def __init__(self, peer: cicada.SwarmPeer) -> None:
        super().__init__()
        self.peer = peer

    def on_receive(self, message: Message) -> None:
        self.peer.send(message.source, b"echo of " + message.data)


def test_the_sync_peer_has_the_same_and_its_actors_may_use_it() -> None:
    with cicada.SwarmPeer("127.0.0.1", 0) as first, cicada.SwarmPeer("127.0.0.1", 0) as second:
        second.connect(first)

        def start() -> pykka.ActorRef[Any]:
            ref: Any = Echo.start(second)
            threading.Thread(target=second.subscribe, args=(ref,)).start()
            return ref  # type: ignore[no-any-return]

        family = second.supervise(Supervisor(Child("echo", start)))
        first.send(second.listener, b"hello")
        assert first.recv(PATIENCE).data == b"echo of hello"
        assert family.ref("echo").is_alive()
    assert not family.is_running


def test_a_subscription_of_the_sync_peer_is_cancelled_from_any_thread() -> None:
    with cicada.SwarmPeer("127.0.0.1", 0) as first, cicada.SwarmPeer("127.0.0.1", 0) as second:
        second.connect(first)
        ref: ActorRef[Message] = BlockingProbe.start()
        subscription = second.subscribe(ref)
        subscription.cancel()
        assert first.send(second.listener, b"hello").result().delivered
        assert second.recv(PATIENCE).data == b"hello"
        assert isinstance(ref, pykka.ActorRef)
        ref.stop()


async def test_a_subscriber_of_a_frozen_loop_is_not_needed_to_close() -> None:
    """An actor that never comes to an end keeps close() no longer than it was told."""
    gate = threading.Event()

    class Stuck(BlockingActor):
        def on_receive(self, message: Message) -> None:
            gate.wait(PATIENCE)

    async with swarm(2) as (sender, receiver):
        ref = Stuck.start()
        receiver.subscribe(ref)
        assert (await sender.send(receiver, b"1")).delivered
        await asyncio.wait_for(receiver.close(), PATIENCE)
        gate.set()
        await ref.stop(block=False)
