"""What a subscriber costs the swarm: processor time of the workers per message, with nobody and with somebody who takes everything.

    python -m benchmarks.watching [--quick] [--json] [--peers N] [--rate R] [--seconds S] [--rounds N]

One swarm under one load. A process that draws nothing subscribes and leaves again and again, and the workers' processor time
is read at both ends of each time with and without it. The figure to reach: it adds at most 3 percent. ``noise`` is the same
ratio between neighbouring times without it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

from cicada.bus.follower import Follower
from cicada.commands import LoadResult, RunLoad
from cicada.config import Config, parse_config
from cicada.errors import DeliveryTimeout
from cicada.events import Envelope
from launcher.runfolder import read_info
from tests.launcher.swarms import RunningSwarm, free_ports, running

ANSWER_S = 30.0
SETTLE_S = 0.5  # after a subscription came or went: snapshots are taken, sockets closed
WARM_S = 20.0  # for the first contacts


def _follow(events: str, snapshots: str, pipe: Connection) -> None:
    """On every word but the last, ``end``: take everything until the next; answer how much of each kind, and how much was lost."""

    async def follow() -> None:
        taken: Counter[str] = Counter()
        async with Follower(events, snapshots) as follower:
            await follower.receive(ANSWER_S)
            pipe.send("following")
            while not pipe.poll():
                try:
                    for _ in range(1000):
                        item = await follower.receive(0.2)
                        if isinstance(item, Envelope):
                            taken[type(item.event).__name__] += 1
                except DeliveryTimeout:
                    pass
            pipe.recv()
            pipe.send((dict(taken), follower.lost, follower.healed))

    while pipe.recv() != "end":
        asyncio.run(follow())


class Subscriber:
    """A process that takes everything while it is asked to."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.told: object = None
        """What it got the last time."""

    @contextmanager
    def following(self) -> Iterator[None]:
        """It is there."""
        self._ask("begin")
        yield
        self.told = self._ask("stop")

    def _ask(self, word: str) -> object:
        self._pipe.send(word)
        if not self._pipe.poll(ANSWER_S):
            raise TimeoutError(f"the subscriber gave no answer within {ANSWER_S} s")
        return self._pipe.recv()


@contextmanager
def subscriber(swarm: RunningSwarm) -> Iterator[Subscriber]:
    """One that can watch ``swarm``; its process ends with the context."""
    info = read_info(swarm.folder)
    assert info is not None
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_follow, args=(info.events, info.snapshots, theirs), daemon=True)
    child.start()
    try:
        yield Subscriber(ours)
        ours.send("end")
    finally:
        child.join(ANSWER_S)
        if child.is_alive():
            child.kill()


def cost_of(pids: list[int]) -> Callable[[float], float]:
    """What answers the share of a processor that these processes use in the next so many seconds."""
    clocks = [
        (~pid << 3) | 2 for pid in pids
    ]  # CPUCLOCK_SCHED of another process, as clock_getcpuclockid(3) makes it

    def cost(seconds: float) -> float:
        before, began = sum(map(time.clock_gettime, clocks)), time.monotonic()
        time.sleep(seconds)
        return (sum(map(time.clock_gettime, clocks)) - before) / (time.monotonic() - began)

    return cost


def swarm_config(peers: int) -> Config:
    """A swarm in two workers."""
    return parse_config(
        f"""
        [swarm]
        name = "watching"
        seed = 7
        workers = 2
        [[group]]
        name = "core"
        count = {peers}
        address = "127.0.0.1:{free_ports(peers)}"
        """
    )


def measure(peers: int, rate: float, seconds: float, rounds: int) -> dict[str, object]:
    """Rounds of one time without, one with, one without it."""
    unwatched: list[float] = []
    watched: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="watching-") as folder,
        running(swarm_config(peers), Path(folder) / "run") as swarm,
        subscriber(swarm) as other,
        ThreadPoolExecutor(1) as asking,
    ):
        cost = cost_of([worker.pid for worker in swarm.status().workers])
        duration = WARM_S + rounds * (2 * seconds + 3 * SETTLE_S) + seconds
        load = RunLoad(rate=rate, duration=duration, seed=1)
        loading = asking.submit(swarm.ask, load, LoadResult, timeout=duration + 60.0)
        time.sleep(WARM_S)
        unwatched.append(cost(seconds))
        for _ in range(rounds):
            with other.following():
                time.sleep(SETTLE_S)
                watched.append(cost(seconds))
            time.sleep(SETTLE_S)
            unwatched.append(cost(seconds))
        result = loading.result()
        told = other.told
    around = [(a + b) / 2 for a, b in pairwise(unwatched)]
    ratios = [one / other for one, other in zip(watched, around, strict=True)]
    return {
        "peers": peers,
        "rate": rate,
        "sent": result.sent,
        "unwatched_us": [share / rate * 1e6 for share in unwatched],
        "watched_us": [share / rate * 1e6 for share in watched],
        "ratio": statistics.median(ratios),
        "between": _interval(ratios),
        "noise": statistics.median(max(a, b) / min(a, b) for a, b in pairwise(unwatched)),
        "told": told,
    }


def _interval(ratios: list[float]) -> tuple[float, float]:
    """Where the median lies in 95 of 100 samples drawn from these again (bootstrap)."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(2000))
    return medians[50], medians[1949]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two short rounds, to see that it runs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", type=int, default=100)
    parser.add_argument("--rate", type=float, default=600.0)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    if asked.quick:
        asked.peers, asked.rate, asked.seconds, asked.rounds = 12, 300.0, 1.0, 2
    found = measure(asked.peers, asked.rate, asked.seconds, asked.rounds)
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{asked.peers} peers, {asked.rate:g} messages/s, µs of the workers' processors for each message:")
    for name in ("unwatched_us", "watched_us"):
        values = found[name]
        assert isinstance(values, list)
        print(f"  {name[:-3]:<10} median {statistics.median(values):7.1f}   {[round(v, 1) for v in values]}")
    between = found["between"]
    assert isinstance(between, tuple)
    low, high = between
    print(
        f"  a subscriber of everything: x {found['ratio']:.3f} ({low:.3f} to {high:.3f}; noise x {found['noise']:.3f})"
    )
    print(f"  it got (by kind, lost, healed): {found['told']}")


if __name__ == "__main__":
    main()
