"""Any instant of what came can be looked at again, and memory has a bound."""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.bus.snapshot import Snapshot
from cicada.bus.tolerant import Unknown
from cicada.events import Envelope, FaultStarted, PeerStopped, WorkerStarted
from visualizer.feed.history import History, Item, Stamper
from visualizer.feed.limits import CLUSTER_MS, LEAP_MS, ODD, SNAPSHOTS
from visualizer.model.fold import SwarmFold
from visualizer.model.state import SwarmState

from .tellings import START_MS, made_up, ring, started, told

EXAMPLES = int(os.environ.get("CICADA_FUZZ", "10000")) // 1_000


def snapshot(size: int, ms: int) -> Snapshot:
    return Snapshot(
        time_ms=START_MS + ms, name="swarm", run="run", sequences={}, events=tuple(ring(size, ms=ms))
    )


def from_scratch(items: list[Item]) -> SwarmState:
    fold = SwarmFold()
    for item in items:
        if isinstance(item, Snapshot):
            fold.reset(item)
        elif isinstance(item, Unknown):
            fold.note_unknown(item)
        else:
            fold.apply(item)
    return fold.state


def of(items: list[Item], **limits: int) -> History:
    history = History(**limits)
    for item in items:
        history.add(item)
    return history


def fault(number: int, ms: int) -> Envelope:
    event = FaultStarted(
        fault=number,
        kind="delay",
        one="",
        other="",
        peers=("core-0",),
        others=(),
        seconds=0.1,
        jitter=0.0,
        percent=0.0,
        lasts=None,
    )
    return told(event, ms=ms)


@pytest.mark.sized
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32), chunk=st.integers(1, 40), checkpoints=st.integers(1, 5))
def test_every_state_is_the_fold_of_what_came_until_then(seed: int, chunk: int, checkpoints: int) -> None:
    rng = Random(seed)
    items: list[Item] = list(made_up(rng, 150))
    for _ in range(rng.randrange(4)):
        items.insert(rng.randrange(150), snapshot(3, rng.randrange(3_000)))
        items.insert(rng.randrange(150), Unknown("Strange", 9, "worker-0", time_ms=START_MS))
    history = of(items, chunk=chunk, checkpoints=checkpoints)
    assert (history.first, history.end) == (0, len(items))
    for number in rng.sample(range(len(items) + 1), 12):
        assert history.state_of(number) == from_scratch(items[:number]), number
    assert history.newest.state == from_scratch(items)


@pytest.mark.sized
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_state_at_an_instant_is_the_fold_of_what_was_told_until_then(seed: int) -> None:
    rng = Random(seed)
    ms, events = 0, []
    for envelope in made_up(rng, 120):
        ms += rng.choice((0, 0, 1, 30))
        events.append(told(envelope.event, envelope.peer, ms=ms))
    history = of([*events], chunk=rng.randrange(1, 30), checkpoints=2)
    for _ in range(10):
        instant = START_MS + rng.randrange(-5, ms + 10)
        told_until = [event for event in events if event.time_ms <= instant]
        assert history.state_at(instant) == from_scratch([*told_until])
        assert history.number_at(instant) == len(told_until)


def test_a_state_that_was_looked_at_does_not_change_with_what_comes() -> None:
    history = of([*ring(3)], chunk=4)
    seen = history.state_of(history.end)
    before = dict(seen.peers)
    history.add(told(PeerStopped(how="killed"), "core-0"))
    assert seen.peers == before
    assert history.state_of(history.end).peers != before


def test_the_oldest_is_forgotten() -> None:
    items: list[Item] = [told(WorkerStarted(worker="w", pid=n), ms=n) for n in range(1_000)]
    history = of(items, events=100, chunk=10, checkpoints=2)
    assert history.end == 1_000
    assert 890 <= history.first <= 900
    assert history.first_ms == START_MS + history.first
    assert history.state_of(0) == history.state_of(history.first)
    assert history.state_of(950) == from_scratch(items[:950])
    assert history.state_at(0).workers == {"w": history.first - 1}


def test_snapshots_without_end_are_forgotten_too() -> None:
    items: list[Item] = []
    for n in range(SNAPSHOTS * 3):
        items += [snapshot(2, n), told(WorkerStarted(worker="w", pid=n), ms=n)]
    history = of(items, chunk=10)
    assert history.end - history.first <= 2 * SNAPSHOTS
    assert history.state_of(history.end - 1).workers == {}
    assert history.state_of(history.end).workers == {"w": SNAPSHOTS * 3 - 1}


def test_the_histogram_counts_what_came_in_each_part_of_the_time() -> None:
    history = of([told(WorkerStarted(worker="w", pid=1), ms=ms) for ms in (0, 1, 2, 50, 99, 100)], chunk=2)
    assert history.histogram(2) == [4, 2]
    assert history.histogram(10) == [3, 0, 0, 0, 1, 0, 0, 0, 0, 2]
    assert sum(history.histogram(7)) == 6
    assert History().histogram(3) == [0, 0, 0]
    assert of([started(0)]).histogram(3) in ([1, 0, 0], [0, 0, 1])


def test_troubles_are_visited_one_after_the_other_and_a_crowd_of_them_once() -> None:
    late = 3 * CLUSTER_MS
    deaths = [told(PeerStopped(how="killed"), f"core-{n}", ms=late + n) for n in range(3)]
    history = of([*ring(3), fault(1, 100), *deaths, fault(2, late * 2)])
    visited, ms = [], float(START_MS)
    while (found := history.next_fault(ms)) is not None:
        visited.append(found - START_MS)
        ms = found
    assert visited == [100, late, late * 2]
    assert [mark.time_ms - START_MS for mark in history.marks] == [100, late, late + 1, late + 2, late * 2]


def test_numbers_and_times_belong_together() -> None:
    history = of([told(WorkerStarted(worker="w", pid=1), ms=ms) for ms in (5, 5, 9)], chunk=2)
    assert [history.time_of(number) - START_MS for number in (0, 1, 2, 3, 99)] == [5, 5, 5, 9, 9]
    assert [history.number_at(START_MS + ms) for ms in (4, 5, 8, 9, 1e9)] == [0, 2, 2, 3, 3]


def test_the_clock_never_goes_back_and_believes_no_single_leap() -> None:
    stamper = Stamper()
    assert [stamper.stamp(ms) for ms in (1_000, 900, 1_100)] == [1_000, 1_000, 1_100]
    far = 5_000 + LEAP_MS
    assert stamper.stamp(far) == 1_100
    assert stamper.stamp(1_200) == 1_200
    assert [stamper.stamp(far) for _ in range(ODD)] == [1_200] * (ODD - 1) + [far]


@pytest.mark.parametrize("time_ms", [-(2**63), 2**63 - 1])
def test_an_absurd_time_breaks_nothing(time_ms: int) -> None:
    odd = Envelope(source="w", sequence=1, time_ms=time_ms, peer="", event=WorkerStarted(worker="w", pid=1))
    history = of([odd, *ring(2), odd], chunk=2)
    assert history.state_at(history.last_ms) == from_scratch([odd, *ring(2), odd])
    assert sum(history.histogram(5)) == history.end
