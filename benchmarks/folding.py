"""How many events a second the visualizer's fold takes, and what a checkpoint of it costs.

    python -m benchmarks.folding [--peers N] [--events N] [--rounds N] [--json]

The events are made up beforehand: a ring of so many peers forms, with fingers and links, and then carries messages, a third of
them sampled hop by hop; now and then a neighbour or a finger changes, a second is counted, a peer dies and comes back. Also
told: the same with a checkpoint after every 2,000 events, and with all that the timeline keeps; how long a checkpoint takes, the
health, and a jump to any instant of the timeline.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from statistics import median

import msgspec

from cicada.events import (
    AnyEvent,
    EdgeCount,
    Envelope,
    FingersChanged,
    HopTaken,
    LinkOpened,
    MessageSettled,
    PeerMeasured,
    PeerStarted,
    PeerStopped,
    PeerSuspected,
    PhaseChanged,
    PredecessorChanged,
    SuccessorsChanged,
    TrafficCounted,
    WorkerStarted,
)
from cicada.ids import Address, place_of
from visualizer.feed.history import History
from visualizer.model.fold import SwarmFold
from visualizer.model.ring import health_of

SUCCESSORS = 16
FINGERS = 9
LINKS = 24
EDGES = 9
CHECKPOINT = 2_000
JUMPS = 10
START_MS = 1_700_000_000_000
MIX = (
    *("hop",) * 33,
    *("settled",) * 30,
    *("successors",) * 12,
    *("fingers",) * 8,
    *("link",) * 8,
    *("measured",) * 4,
    *("predecessor",) * 3,
    "counted",
    "death",
)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over the rounds."""

    peers: int
    events: int
    events_per_second: float
    with_checkpoints_per_second: float
    kept_per_second: float
    checkpoint_ms: float
    health_ms: float
    jump_ms: float


class Swarm:
    """A made-up swarm that has events to tell."""

    def __init__(self, peers: int, seed: int = 1) -> None:
        self._rng = Random(seed)
        named = {f"127.0.0.1:{20_000 + index}": f"core-{index}" for index in range(peers)}
        self._ring = sorted(named, key=lambda address: place_of(Address(address)))
        self._names = named
        self._sequence = 0

    def forming(self) -> Iterator[Envelope]:
        """The ring forms."""
        for worker in ("worker-0", "worker-1"):
            yield self._told("", WorkerStarted(worker=worker, pid=1))
        for address in self._ring:
            yield from self._started(address)
        for address in self._ring:
            for _ in range(LINKS):
                yield self._told(address, LinkOpened(remote=self._any(), dialled=True))

    def going_on(self, events: int) -> Iterator[Envelope]:
        """At least so many events of a ring that works."""
        told = 0
        while told < events:
            for envelope in self._one(self._rng.choice(MIX), self._any()):
                told += 1
                yield envelope

    def _started(self, address: str) -> Iterator[Envelope]:
        place = f"{place_of(Address(address)):064x}"
        yield self._told(address, PeerStarted(address=address, place=place))
        yield self._told(address, PhaseChanged(phase="member", reason="joined"))
        yield self._told(address, SuccessorsChanged(successors=self._after(address)))
        yield self._told(address, PredecessorChanged(predecessor=self._beside(address, -1)))
        yield self._told(
            address, FingersChanged(added=tuple(self._any() for _ in range(FINGERS)), removed=())
        )

    def _one(self, kind: str, address: str) -> Iterator[Envelope]:
        if kind == "death":
            yield self._told(address, PeerStopped(how="killed"))
            for before in (-1, -2, 1):
                suspicion = PeerSuspected(suspect=address, reason="unreachable")
                yield self._told(self._beside(address, before), suspicion)
            yield from self._started(address)
        else:
            yield self._told(address, self._event(kind, address))

    def _event(self, kind: str, address: str) -> AnyEvent:
        match kind:
            case "hop":
                return self._hop()
            case "settled":
                return MessageSettled(
                    message=self._sequence,
                    status="delivered",
                    reason="",
                    attempts=1,
                    hops=3,
                    round_trip_s=0.01,
                )
            case "successors":
                head, *rest = self._after(address)
                return SuccessorsChanged(successors=(head, *rest[: self._rng.randrange(1, SUCCESSORS)]))
            case "fingers":
                return FingersChanged(added=(self._any(),), removed=(self._any(),))
            case "link":
                return LinkOpened(remote=self._any(), dialled=False)
            case "measured":
                return PeerMeasured(
                    seconds=1.0,
                    mailbox=1,
                    in_flight=2,
                    links=9,
                    sent=3.0,
                    delivered=3.0,
                    failed=0.0,
                    dropped=0.0,
                )
            case "predecessor":
                return PredecessorChanged(predecessor=self._beside(address, -1))
            case _:
                counts = {"ring": 12, "data": 30, "receipt": 30}
                edges = tuple(EdgeCount(remote=self._any(), counts=counts) for _ in range(EDGES))
                return TrafficCounted(seconds=1.0, edges=edges)

    def _hop(self) -> HopTaken:
        trip = self._sequence // 12
        origin = self._ring[trip % len(self._ring)]
        return HopTaken(
            trip=f"{origin}/{trip}",
            kind="data",
            remote=self._any(),
            origin=origin,
            target=self._any(),
            hops=1 + self._sequence % 4,
            at_us=(START_MS + self._sequence) * 1000,
            copy=self._sequence % 3,
        )

    def _any(self) -> str:
        return self._rng.choice(self._ring)

    def _beside(self, address: str, steps: int) -> str:
        return self._ring[(self._ring.index(address) + steps) % len(self._ring)]

    def _after(self, address: str) -> tuple[str, ...]:
        index = self._ring.index(address)
        return tuple((self._ring * 2)[index + 1 : index + 1 + SUCCESSORS])

    def _told(self, address: str, event: AnyEvent) -> Envelope:
        self._sequence += 1
        return Envelope(
            source=f"worker-{self._sequence % 2}",
            sequence=self._sequence,
            time_ms=START_MS + self._sequence // 10,
            peer=self._names.get(address, ""),
            event=event,
        )


def folded(envelopes: list[Envelope], checkpoint: int = 0) -> tuple[SwarmFold, float]:
    """The fold of all, and the seconds it took; with a copy kept after every ``checkpoint`` events."""
    fold = SwarmFold()
    kept = []
    start = time.perf_counter()
    for index, envelope in enumerate(envelopes, 1):
        fold.apply(envelope)
        if checkpoint and index % checkpoint == 0:
            kept.append(fold.copy())
    return fold, time.perf_counter() - start


def remembered(envelopes: list[Envelope]) -> tuple[History, float]:
    """The timeline of all, and the seconds it took."""
    history = History()
    start = time.perf_counter()
    for envelope in envelopes:
        history.add(envelope)
    return history, time.perf_counter() - start


def measured(peers: int, events: int, rounds: int) -> Figures:
    """Fold the same events again and again."""
    swarm = Swarm(peers)
    envelopes = [*swarm.forming(), *swarm.going_on(events)]
    rng = Random(1)
    plain, checked, kept, copies, health, jumps = [], [], [], [], [], []
    for _ in range(rounds):
        fold, seconds = folded(envelopes)
        plain.append(len(envelopes) / seconds)
        checked.append(len(envelopes) / folded(envelopes, CHECKPOINT)[1])
        history, seconds = remembered(envelopes)
        kept.append(len(envelopes) / seconds)
        for _ in range(JUMPS):
            instant = rng.randrange(history.first_ms, history.last_ms)
            jumps.append(_milliseconds(partial(history.state_at, instant)))
        copies.append(_milliseconds(fold.copy))
        state = fold.state
        health.append(_milliseconds(partial(health_of, state)))
    return Figures(
        peers=peers,
        events=len(envelopes),
        events_per_second=median(plain),
        with_checkpoints_per_second=median(checked),
        kept_per_second=median(kept),
        checkpoint_ms=median(copies),
        health_ms=median(health),
        jump_ms=median(jumps),
    )


def _milliseconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return (time.perf_counter() - start) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=500)
    parser.add_argument("--events", type=int, default=100_000, help="after the ring has formed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measured(options.peers, options.events, options.rounds)
    if options.json:
        print(msgspec.json.encode(figures).decode())
        return
    print(f"{figures.events:,} events of {figures.peers} peers")
    print(f"fold               {figures.events_per_second:10,.0f} events/s")
    print(f"with checkpoints   {figures.with_checkpoints_per_second:10,.0f} events/s")
    print(f"all kept           {figures.kept_per_second:10,.0f} events/s")
    print(f"one checkpoint     {figures.checkpoint_ms:10.2f} ms")
    print(f"health of the ring {figures.health_ms:10.2f} ms")
    print(f"a jump             {figures.jump_ms:10.2f} ms")


if __name__ == "__main__":
    main()
