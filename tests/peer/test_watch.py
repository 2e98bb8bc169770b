"""What passes between peers is told while somebody wants to know, and then truly; nobody wants to know: nothing looks."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from random import Random

import pytest
from msgspec.structs import replace

from cicada.actors.watch import Watch
from cicada.aio import Lookup, SwarmPeer
from cicada.events import (
    AnyEvent,
    BroadcastFinished,
    BroadcastReceived,
    BroadcastStarted,
    CopiesTraced,
    HopTaken,
    LookupFinished,
    LookupStarted,
    PeerMeasured,
    RelayMisbehaved,
    RelaysChanged,
    TrafficCounted,
)
from cicada.limits import BUS, DELIVERY
from cicada.routing.behaviour import Behaviour
from cicada.wire.routed import Data
from cicada.wire.trips import broadcast_trip
from tests.peer.swarm import PATIENCE_S, eventually, proven
from tests.wire.catalogue import MESSAGE_SAMPLES

LIMITS = replace(BUS, counted=0.05, hops_told=100_000)
OVER_RELAYS = replace(DELIVERY, direct=False)
PEERS = 8


class Watcher:
    """A subscriber who can change his mind."""

    def __init__(self) -> None:
        self.wanted: frozenset[type] = frozenset()
        self.told: defaultdict[type, list[tuple[str, AnyEvent]]] = defaultdict(list)
        self.watch = Watch(self.wanted.__contains__, limits=LIMITS)
        self.watch._wants = lambda kind: kind in self.wanted

    def publish(self, peer: str, event: AnyEvent) -> None:
        self.told[type(event)].append((peer, event))

    def wants(self, *kinds: type) -> None:
        self.wanted = frozenset(kinds)
        self.watch.changed()

    def edges(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for _, event in self.told[TrafficCounted]:
            if isinstance(event, TrafficCounted):
                for edge in event.edges:
                    counted.update(edge.counts)
        return counted

    def hops(self, kind: str) -> list[HopTaken]:
        return [
            event for _, event in self.told[HopTaken] if isinstance(event, HopTaken) and event.kind == kind
        ]


@pytest.fixture
async def watcher() -> AsyncIterator[Watcher]:
    watcher = Watcher()
    yield watcher
    watcher.watch.close()


@pytest.fixture
async def peers(watcher: Watcher) -> AsyncIterator[list[SwarmPeer]]:
    """A ring whose members know their neighbours only by the ring, one of which alters what it relays."""
    peers = [
        SwarmPeer(
            "127.0.0.1",
            0,
            name=f"peer-{number}",
            publish=watcher.publish,
            delivery=OVER_RELAYS,
            watch=watcher.watch,
            behaviour=Behaviour("alter") if number == 1 else None,
        )
        for number in range(PEERS)
    ]
    await asyncio.gather(*(peer.connect(peers[0], timeout=PATIENCE_S) for peer in peers[1:]))
    await proven(peers)
    yield peers
    for peer in peers:
        peer.kill()


async def has(watcher: Watcher, *kinds: type) -> None:
    async def is_told() -> bool:
        return all(watcher.told[kind] for kind in kinds)

    await eventually(is_told, f"{kinds} to be told")


async def test_a_message_is_followed_from_link_to_link_with_its_copies_and_its_receipt(
    watcher: Watcher, peers: list[SwarmPeer]
) -> None:
    watcher.wants(HopTaken, CopiesTraced)
    receipt = peers[2].send(peers[5], b"hello", duplicates=2)
    await receipt
    await has(watcher, CopiesTraced)
    ((sender, traced),) = watcher.told[CopiesTraced]
    assert isinstance(traced, CopiesTraced)
    assert (sender, traced.message) == ("peer-2", 1)
    assert traced.fates == tuple(copy.fate.value for copy in receipt.copies)
    assert traced.attempts == tuple(copy.attempt for copy in receipt.copies)
    hops = [hop for hop in watcher.hops("data") if hop.trip == traced.trip]
    for copy in {hop.copy for hop in hops}:
        way = sorted((hop.hops, hop.remote) for hop in hops if hop.copy == copy)
        assert [count for count, _ in way] == list(range(1, len(way) + 1)), "every link that it crossed"
    assert any(hop.remote == peers[5].address for hop in hops)
    answers = [hop for hop in watcher.hops("receipt") if hop.trip == traced.trips[-1]]
    assert any(hop.remote == peers[2].address for hop in answers)
    assert {hop.origin for hop in answers} == {peers[5].address}
    assert all(hop.sampled == 1 and hop.at_us > 1_600_000_000_000_000 for hop in hops)


async def test_a_lookup_is_followed_there_and_back_under_one_name(
    watcher: Watcher, peers: list[SwarmPeer]
) -> None:
    watcher.wants(HopTaken)
    for iterative in (False, True):
        await peers[3].lookup(b"somewhere else", iterative=iterative)
    finished = [event for _, event in watcher.told[LookupFinished] if isinstance(event, LookupFinished)]
    for event in finished:
        there = [hop for hop in watcher.hops("lookup") if hop.trip == event.trip]
        back = [hop for hop in watcher.hops("answer") if hop.trip == event.trip]
        assert bool(there) == bool(back) == bool(event.trip)
        assert all(hop.origin == peers[3].address for hop in (*there, *back))
        if back:
            assert back[-1].remote == peers[3].address
    assert len(finished) == 2


async def test_an_iterative_lookup_says_how_long_each_hop_took(peers: list[SwarmPeer]) -> None:
    random = Random(3)
    for _ in range(10):
        found = await peers[3].lookup(random.randbytes(8), iterative=True)
        assert isinstance(found, Lookup), found
        assert len(found.seconds_per_hop) == len(found.route) - 1
        assert 0.0 <= sum(found.seconds_per_hop) <= found.seconds


async def test_harm_is_told_under_the_name_of_the_trip_that_it_was_done_to(
    watcher: Watcher, peers: list[SwarmPeer]
) -> None:
    watcher.wants(HopTaken)
    receipts = [origin.send(target, b"hello") for origin in peers for target in peers if origin is not target]
    for receipt in receipts:
        await receipt
    harm = [
        e for _, e in watcher.told[RelayMisbehaved] if isinstance(e, RelayMisbehaved) and e.message == "Data"
    ]
    assert harm
    trips = {hop.trip for hop in watcher.hops("data")}
    assert {event.trip for event in harm} <= trips


async def test_edges_are_counted_whole_and_peers_measured_again_and_again(
    watcher: Watcher, peers: list[SwarmPeer]
) -> None:
    watcher.wants(HopTaken, TrafficCounted, PeerMeasured)
    for receipt in [peers[2].send(peers[5], b"hello") for _ in range(20)]:
        await receipt

    def measured() -> list[PeerMeasured]:
        told = watcher.told[PeerMeasured]
        return [e for name, e in told if name == "peer-2" and isinstance(e, PeerMeasured)]

    async def all_is_told() -> bool:
        edges = watcher.edges()
        is_counted = all(edges[kind] == len(watcher.hops(kind)) > 0 for kind in ("data", "receipt"))
        return is_counted and sum(event.sent * event.seconds for event in measured()) == pytest.approx(20)

    await eventually(all_is_told, "what was counted to be told")
    assert measured()[-1].links > 0
    assert max(event.round_trip_s for event in measured()) > 0


async def test_while_nobody_wants_to_know_nothing_looks(watcher: Watcher, peers: list[SwarmPeer]) -> None:
    assert len(watcher.watch._meters) == PEERS
    watcher.wants(HopTaken, TrafficCounted, CopiesTraced, PeerMeasured)
    await peers[2].send(peers[5], b"hello")
    await has(watcher, HopTaken, TrafficCounted, CopiesTraced, PeerMeasured)
    watcher.wants()

    async def nothing_looks() -> bool:
        return watcher.watch._timer is None

    await eventually(nothing_looks, "everybody to look away")
    assert not watcher.watch.sample.is_open
    watcher.told.clear()
    await peers[2].send(peers[5], b"hello")
    assert not watcher.told.keys() & {HopTaken, TrafficCounted, CopiesTraced, PeerMeasured}


async def test_an_actor_that_is_started_anew_is_watched_as_the_last_one_was(
    watcher: Watcher, peers: list[SwarmPeer]
) -> None:
    watcher.wants(HopTaken)
    (old,) = [meter for meter in watcher.watch._meters if meter._around.name == "peer-2"]
    peers[2].crash("transport")

    async def is_watched() -> bool:
        return len(watcher.watch._meters) == PEERS and old not in watcher.watch._meters

    await eventually(is_watched, "the new actor to be watched")
    await peers[2].send(peers[5], b"hello", timeout=PATIENCE_S)
    assert any(name == "peer-2" for name, _ in watcher.told[HopTaken])


async def test_lookups_and_broadcasts_are_told_from_their_beginning_to_their_end(
    watcher: Watcher, peers: list[SwarmPeer]
) -> None:
    await peers[3].lookup(b"somewhere else", iterative=True)
    (begun,), (ended,) = watcher.told[LookupStarted], watcher.told[LookupFinished]
    assert isinstance(begun[1], LookupStarted)
    assert isinstance(ended[1], LookupFinished)
    assert (begun[0], begun[1].lookup, begun[1].place) == ("peer-3", ended[1].lookup, ended[1].place)
    assert begun[1].iterative
    watcher.wants(HopTaken)
    await peers[4].broadcast(b"to all of you")
    ((_, finished),) = watcher.told[BroadcastFinished]
    received = [event for _, event in watcher.told[BroadcastReceived] if isinstance(event, BroadcastReceived)]
    assert watcher.told[BroadcastStarted] == [("peer-4", BroadcastStarted(message=1, bytes=13))]
    assert isinstance(finished, BroadcastFinished)
    assert finished.message == 1
    assert PEERS - 2 <= finished.reached < PEERS, (
        "one of them alters what it passes on, perhaps also the word of another"
    )
    assert [(event.origin, event.message) for event in received] == [(peers[4].address, 1)] * (PEERS - 1)
    trips = {hop.trip for hop in watcher.hops("broadcast")}
    assert trips == {finished.trip} == {broadcast_trip(peers[4].address, 1)}


async def test_by_whom_a_hidden_peer_is_reached_is_told(watcher: Watcher, peers: list[SwarmPeer]) -> None:
    hidden = SwarmPeer("127.0.0.1", 0, name="hidden", publish=watcher.publish, reachable=False)
    await hidden.connect(peers[0], timeout=PATIENCE_S)
    name, event = watcher.told[RelaysChanged][-1]
    assert name == "hidden"
    assert isinstance(event, RelaysChanged)
    assert event.relays
    assert set(event.relays) <= {peer.address for peer in peers}
    await hidden.disconnect()
    assert watcher.told[RelaysChanged][-1] == ("hidden", RelaysChanged(relays=()))
    hidden.kill()


async def test_above_its_budget_fewer_trips_are_told_and_again_more_when_there_are_few() -> None:
    watch = Watch(lambda kind: kind is HopTaken, limits=replace(BUS, counted=0.05, hops_told=200))
    watch.changed()
    example = next(message for message in MESSAGE_SAMPLES.values() if isinstance(message, Data))
    messages = [replace(example, counter=counter) for counter in range(10_000)]
    told = sum(watch.sample.holds(message) and watch.is_told() for message in messages)
    assert 10 <= told <= 10 * 16, "each doubling of the share left out costs the budget once"
    assert watch.sample.share >= 256

    async def everything_is_told() -> bool:
        return watch.sample.share == 1

    await eventually(everything_is_told, "the share to rise again")
    watch.close()
