"""A follower has the exact state, whatever is lost between it and the swarm: on real sockets, without a swarm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import zmq

from cicada.bus.answering import SnapshotEndpoint
from cicada.bus.follower import Follower, Progress
from cicada.bus.proxy import BusProxy
from cicada.bus.publisher import Publisher
from cicada.bus.snapshot import Snapshot, assemble, read_snapshot
from cicada.bus.tolerant import EventReader, Malformed, Unknown
from cicada.bus.topics import EVERYTHING, topic_of
from cicada.errors import DeliveryTimeout
from cicada.events import EVENT_VERSION, Envelope, HopTaken, PhaseChanged
from cicada.limits import BUS, BusLimits

from .conftest import WAIT, Open, fault, phase, until

QUICK = msgspec.structs.replace(BUS, told=0.05, heal_pause=0.0, snapshot_gap=0.0)
HOP = HopTaken(trip="a 1", kind="data", remote="b", origin="a", target="c", hops=1, at_us=1)


class Run:
    """The launcher's side, of publishers in this process."""

    def __init__(self, folder: Path, *publishers: Publisher) -> None:
        self.publishers = publishers
        self.made = 0
        self.endpoint = SnapshotEndpoint(f"ipc://{folder}/snapshots", self.make, limits=QUICK)

    async def make(self, subscriptions: Sequence[bytes]) -> bytes:
        self.made += 1
        for publisher in self.publishers:
            for each in subscriptions:
                assert await publisher.heard(each, WAIT)
        first, *others = (publisher.part() for publisher in self.publishers)
        return assemble(first, others, time_ms=1, name="test", run="run-1")


@asynccontextmanager
async def running(folder: Path, *publishers: Publisher) -> AsyncIterator[Run]:
    run = Run(folder, *publishers)
    run.endpoint.start()
    try:
        yield run
    finally:
        await run.endpoint.stop()


def follower_of(proxy: BusProxy, run: Run, *, limits: BusLimits = QUICK) -> Follower:
    return Follower(proxy.subscribers, run.endpoint.endpoint, limits=limits)


async def snapshot_of(follower: Follower) -> Snapshot:
    """The next snapshot; events before it are void."""
    while True:
        item = await follower.receive(WAIT)
        if isinstance(item, Snapshot):
            return item


def phases(items: Sequence[object]) -> list[str]:
    events = [item.event for item in items if isinstance(item, Envelope)]
    return [event.phase for event in events if isinstance(event, PhaseChanged)]


async def test_a_late_follower_gets_the_state_and_then_each_change_once(
    proxy: BusProxy, publisher_of: Open, folder: Path
) -> None:
    publisher = publisher_of("launcher")
    publisher.publish("a", phase(1))
    publisher.publish("a", phase(2))
    async with running(folder, publisher) as run, follower_of(proxy, run) as follower:
        snapshot = await snapshot_of(follower)
        assert (snapshot.name, snapshot.run) == ("test", "run-1")
        assert phases(snapshot.events) == ["2"]
        assert snapshot.sequences["launcher"]["PhaseChanged"] == 2
        assert follower.connected
        for number in (3, 4):
            publisher.publish("a", phase(number))
        assert phases([await follower.receive(WAIT), await follower.receive(WAIT)]) == ["3", "4"]
        assert (follower.healed, follower.lost, run.made) == (0, 0, 1)


async def test_what_is_told_while_the_snapshot_is_on_its_way_is_neither_lost_nor_told_twice(
    proxy: BusProxy, publisher_of: Open, folder: Path
) -> None:
    publisher = publisher_of("launcher")
    async with running(folder, publisher) as run, follower_of(proxy, run) as follower:
        going_on = True

        async def tell() -> int:
            number = 0
            while going_on:
                number += 1
                publisher.publish("a", phase(number))
                await asyncio.sleep(0)
            return number

        telling = asyncio.create_task(tell())
        snapshot = await snapshot_of(follower)
        got = phases([snapshot.events[0]]) if snapshot.events else ["0"]
        for _ in range(20):
            got += phases([await follower.receive(WAIT)])
        going_on = False
        last = await telling
        while got[-1] != str(last):
            got += phases([await follower.receive(WAIT)])
        first = int(got[0])
        assert got == [str(number) for number in range(first, last + 1)]
        assert (follower.healed, follower.lost) == (0, 0)


async def test_a_follower_that_was_too_slow_for_its_queue_heals_also_when_nothing_comes_any_more(
    proxy: BusProxy, publisher_of: Open, folder: Path
) -> None:
    publisher = publisher_of("launcher", limits=QUICK)
    tiny = msgspec.structs.replace(QUICK, queue=5)
    async with running(folder, publisher) as run, follower_of(proxy, run, limits=tiny) as follower:
        await snapshot_of(follower)
        total = 3 * BUS.queue  # the proxy and the kernel hold many
        for number in range(1, total + 1):
            publisher.publish("a", phase(number))
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await until(lambda: publisher.lost == 0 or publisher.told(PhaseChanged) == total)
        last = ""
        async with asyncio.timeout(WAIT):
            while last != str(total):
                item = await follower.receive(WAIT)
                if isinstance(item, Snapshot):
                    last = phases(item.events)[0]
                elif phases([item]):
                    last = phases([item])[0]
        assert follower.healed >= 1
        assert follower.lost > 0


async def test_lost_traffic_is_counted_and_needs_no_snapshot() -> None:
    progress = Progress([EVERYTHING])
    progress.begin(state(HopTaken=3, PhaseChanged=1))
    assert progress.admits("worker-0", 0, "HopTaken", 6)
    assert (progress.lost, progress.is_torn) == (2, False)
    assert progress.admits("worker-0", 0, "PhaseChanged", 3)
    assert (progress.lost, progress.is_torn) == (3, True)
    progress.begin(state(HopTaken=6, PhaseChanged=3))
    assert not progress.is_torn


def test_what_a_snapshot_holds_is_not_told_again_and_a_new_life_counts_anew() -> None:
    progress = Progress([EVERYTHING])
    progress.begin(state(PhaseChanged=7))
    assert not progress.admits("worker-0", 0, "PhaseChanged", 7)
    assert progress.admits("worker-0", 1, "PhaseChanged", 1)
    assert not progress.admits("worker-0", 0, "PhaseChanged", 8), "the last word of the life before"
    assert not progress.is_torn
    assert progress.admits("worker-0", 2, "PhaseChanged", 2)
    assert progress.is_torn, "the first one of the third life never came"


def test_a_loss_after_which_nothing_came_is_noticed_by_what_the_source_says_of_itself() -> None:
    progress = Progress([topic_of(PhaseChanged)])
    progress.begin(state(PhaseChanged=7))
    progress.reaches("worker-0", 0, {"PhaseChanged": 7, "LinkOpened": 9})
    assert (progress.lost, progress.is_torn) == (0, False), "links were not subscribed to"
    progress.reaches("worker-0", 0, {"PhaseChanged": 9})
    assert (progress.lost, progress.is_torn) == (2, True)


async def test_a_follower_that_cannot_ask_gets_no_events_and_says_that_it_is_not_connected(
    proxy: BusProxy, publisher_of: Open, folder: Path
) -> None:
    publisher = publisher_of("launcher")
    limits = msgspec.structs.replace(QUICK, snapshot_wait=0.05)
    async with Follower(proxy.subscribers, f"ipc://{folder}/nobody", limits=limits) as follower:
        await until(lambda: publisher.wants(PhaseChanged))
        publisher.publish("a", phase(1))
        with pytest.raises(DeliveryTimeout):
            await follower.receive(0.3)
        assert not follower.connected
        async with running(folder, publisher) as run:
            follower._snapshots = run.endpoint.endpoint  # the launcher is back
            assert phases((await snapshot_of(follower)).events) == ["1"]
            assert follower.connected


async def test_when_the_swarm_falls_silent_the_connection_counts_as_lost_and_heals(
    proxy: BusProxy, publisher_of: Open, folder: Path
) -> None:
    publisher = publisher_of("launcher", limits=QUICK)
    limits = msgspec.structs.replace(QUICK, silence=0.3, snapshot_wait=0.2)
    async with running(folder, publisher) as run, follower_of(proxy, run, limits=limits) as follower:
        await snapshot_of(follower)
        with pytest.raises(DeliveryTimeout):
            await follower.receive(0.5)
        assert follower.connected, "its source said so"
        publisher._stop_pulse()
        await snapshot_of(follower)
        assert (follower.connected, follower.healed) == (True, 1)


async def test_events_of_newer_versions_and_unknown_kinds_arrive_as_unknown(
    proxy: BusProxy, publisher_of: Open, folder: Path
) -> None:
    publisher = publisher_of("launcher")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stranger = context.socket(zmq.PUB)
    stranger.connect(proxy.publishers)
    strange: dict[str, object] = {
        "source": "new",
        "sequence": 1,
        "time_ms": 1,
        "peer": "",
        "event": {"event": "Danced"},
    }
    newer = strange | {"event": {"event": "PhaseChanged", "phase": 3}, "version": EVENT_VERSION + 1}
    sent = [msgspec.msgpack.encode(each) for each in (strange, newer, {"source": 1})]
    async with (
        running(folder, publisher) as run,
        follower_of(proxy, run) as follower,
        AsyncExitStack() as stack,
    ):
        stack.callback(context.destroy, linger=0)
        await snapshot_of(follower)
        got: list[object] = []
        async with asyncio.timeout(WAIT):
            while len(got) < 2:
                for raw in (*sent, b"\xc1"):  # what it says before it is connected is lost
                    stranger.send_multipart([b"ring.X", raw])
                with suppress(DeliveryTimeout):
                    got += [item for item in [await follower.receive(0.1)] if isinstance(item, Unknown)]
        assert [(u.kind, u.version) for u in got if isinstance(u, Unknown)] == [
            ("Danced", 1),
            ("PhaseChanged", EVENT_VERSION + 1),
        ]


async def test_requests_that_come_together_share_a_snapshot_and_what_is_no_request_is_refused(
    publisher_of: Open, folder: Path
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    async with running(folder, publisher_of("launcher")) as run:
        asking = [context.socket(zmq.REQ) for _ in range(5)]
        for number, socket in enumerate(asking):
            socket.connect(run.endpoint.endpoint)
            socket.send(msgspec.msgpack.encode({} if number else "nonsense"))
        answers = [await asyncio.to_thread(socket.recv) for socket in asking]
        assert answers[0] == b""
        assert [read_snapshot(answer).run for answer in answers[1:]] == ["run-1"] * 4
        assert run.made <= 4
        assert run.endpoint.refused == 1
    context.destroy(linger=0)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (msgspec.json.encode(Envelope(source="a", sequence=1, time_ms=1, peer="", event=fault(1))), Envelope),
        (b'{"source":"a","sequence":1,"time_ms":1,"peer":"","event":{"event":"Danced"}}', Unknown),
        (b"\xff\x00", Malformed),
        (b'{"source":"\xff"}', Malformed),
        (b"", Malformed),
        (b"[" * 5000, Malformed),
        (b'{"source":"a","sequence":1', Malformed),
    ],
    ids=["an event", "of a later version", "noise", "no UTF-8", "nothing", "nested", "torn"],
)
def test_whatever_a_recording_holds_can_be_read(line: bytes, kind: type) -> None:
    assert type(EventReader(json=True).read(line)) is kind


def state(**sequences: int) -> Snapshot:
    return Snapshot(
        time_ms=1, name="", run="", sequences={"worker-0": sequences}, events=(), lives={"worker-0": 0}
    )
