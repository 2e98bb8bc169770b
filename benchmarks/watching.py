"""What a subscriber costs the swarm: processor time of the workers per message, with nobody and with somebody who takes everything.

    python -m benchmarks.watching [--quick] [--json] [--peers N] [--rate R] [--seconds S] [--rounds N]

One swarm under one load after another; the subscriber, a process that draws nothing, is there in every second one. The figure to
reach: it adds at most 3 percent. ``unwatched`` again and again shows how much of that is noise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from cicada.bus.follower import Follower
from cicada.commands import LoadResult, RunLoad
from cicada.config import Config, parse_config
from cicada.errors import DeliveryTimeout
from cicada.events import Envelope
from launcher.runfolder import read_info
from tests.launcher.swarms import RunningSwarm, free_ports, running

SEED = 1  # the same pairs of peers in every load, so that all but the first find their sessions
ANSWER_S = 30.0


def _follow(events: str, snapshots: str, pipe: Connection) -> None:
    """Take everything until told to stop; answer how much it was, by kind, and how much was lost."""

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
            pipe.send((dict(taken), follower.lost, follower.healed))

    asyncio.run(follow())


@contextmanager
def following(swarm: RunningSwarm, told: list[object]) -> Iterator[None]:
    """A subscriber in a process of its own; what it says at its end is appended to ``told``."""
    info = read_info(swarm.folder)
    assert info is not None
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_follow, args=(info.events, info.snapshots, theirs), daemon=True)
    child.start()
    try:
        _receive(ours)
        yield
        ours.send("stop")
        told.append(_receive(ours))
    finally:
        child.join(ANSWER_S)
        if child.is_alive():
            child.kill()


def _receive(pipe: Connection) -> object:
    if not pipe.poll(ANSWER_S):
        raise TimeoutError(f"the subscriber gave no answer within {ANSWER_S} s")
    return pipe.recv()


def cost(swarm: RunningSwarm, rate: float, seconds: float) -> float:
    """Microseconds of the workers' processor time for each message of a load."""
    before = _used(swarm)
    load = RunLoad(rate=rate, duration=seconds, seed=SEED)
    result = swarm.ask(load, LoadResult, timeout=seconds + 60.0)
    return (_used(swarm) - before) / result.sent * 1e6


def _used(swarm: RunningSwarm) -> float:
    return sum(worker.cpu_s for worker in swarm.status().workers)


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
    """Both in turn, begun by either in turn."""
    unwatched: list[float] = []
    watched: list[float] = []
    told: list[object] = []
    with (
        tempfile.TemporaryDirectory(prefix="watching-") as folder,
        running(swarm_config(peers), Path(folder) / "run") as swarm,
    ):
        cost(swarm, rate, seconds)
        for number in range(rounds):
            for is_watched in (number % 2 == 0, number % 2 == 1):
                if is_watched:
                    with following(swarm, told):
                        watched.append(cost(swarm, rate, seconds))
                else:
                    unwatched.append(cost(swarm, rate, seconds))
    ratios = [one / other for one, other in zip(watched, unwatched, strict=True)]
    return {
        "peers": peers,
        "rate": rate,
        "unwatched_us": unwatched,
        "watched_us": watched,
        "ratio": statistics.median(ratios),
        "noise": max(unwatched) / min(unwatched),
        "told": told[-1] if told else None,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short pair, to see that it runs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=10)
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
    print(f"  a subscriber of everything: x {found['ratio']:.3f} (noise x {found['noise']:.3f})")
    print(f"  it got (by kind, lost, healed): {found['told']}")


if __name__ == "__main__":
    main()
