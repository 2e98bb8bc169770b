"""Latency as an application sees it, which knows nothing of the load tester: the load tester's figures must agree with it.

    cicada up configs/probed-200.toml -d --wait 180s
    python -m benchmarks.probe [RUN] [--group probed] [--rate 100] [--seconds 20] [--repeat 5] [--json]

The probe is a SwarmPeer in a process of its own that sends to the peers of a group at random, at the instants of a timetable, and
takes the time from each of them to its receipt. The load of the same rate, size and length goes between peers of that group. They
take turns; both have opened their sessions before. So that the two are alike, each peer of the swarm has a process of its own too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median

from cicada.aio import HostPort, SwarmPeer
from cicada.commands import AnyCommand, AnyReply, GetPeers, LoadResult, Peers, RunLoad
from cicada.control import RemoteRef
from cicada.ids import split_address
from cicada.sim.statistics import percentile
from launcher.client import find_run

ANSWER_S = 60.0
PAYLOAD = bytes(256)
SHARES = (0.5, 0.9, 0.99)
SEED = 11

Figures = list[float]


async def probe(peer: SwarmPeer, targets: Sequence[HostPort], rate: float, seconds: float) -> Figures:
    """Latencies in seconds at ``SHARES``, of messages sent at ``rate`` a second; each counts from when it was due."""
    rng = random.Random(SEED)
    began = time.perf_counter()
    latencies: list[float] = []

    async def send(due: float) -> None:
        receipt = await peer.send(rng.choice(targets), PAYLOAD, timeout=ANSWER_S)
        if receipt.delivered:
            latencies.append(time.perf_counter() - began - due)

    async with asyncio.TaskGroup() as sends:
        for number in range(round(rate * seconds)):
            due = number / rate
            await asyncio.sleep(max(0.0, due - (time.perf_counter() - began)))
            sends.create_task(send(due))
    ordered = sorted(latencies)
    return [percentile(ordered, share) for share in SHARES]


async def compare(run: Path, group: str, rate: float, seconds: float, repeat: int) -> dict[str, object]:
    """Both in turns, ``repeat`` times."""
    info = find_run(run)
    launcher: RemoteRef[AnyCommand, AnyReply] = RemoteRef(
        info.control, commands=AnyCommand, replies=AnyReply, what="launcher"
    )
    async with launcher, SwarmPeer(identity="ephemeral") as peer:
        peer.bind()
        rows = await launcher.ask(GetPeers(select=group), ANSWER_S)
        assert isinstance(rows, Peers), rows
        targets = [HostPort(*split_address(row.address)) for row in rows.rows]
        await peer.connect(targets[0], timeout=ANSWER_S)
        for target in targets:
            await peer.send(target, PAYLOAD, timeout=ANSWER_S)

        async def load() -> Figures:
            command = RunLoad(rate=rate, duration=seconds, payload=len(PAYLOAD), group=group, seed=SEED)
            result = await launcher.ask(command, seconds + ANSWER_S)
            assert isinstance(result, LoadResult), result
            sends = result.ops[0].response
            return [sends.p50 or 0.0, sends.p90 or 0.0, sends.p99 or 0.0]

        await load()  # its sessions
        ways: dict[str, Callable[[], Awaitable[Figures]]] = {
            "probe": lambda: probe(peer, targets, rate, seconds),
            "load": load,
        }
        found: dict[str, list[Figures]] = {name: [] for name in ways}
        for _ in range(repeat):
            for name, measure in ways.items():
                found[name].append(await measure())
    return _summary(found)


def _summary(found: dict[str, list[Figures]]) -> dict[str, object]:
    medians = {
        name: [median(run[at] for run in runs) for at in range(len(SHARES))] for name, runs in found.items()
    }
    figures: dict[str, object] = {}
    for at, share in enumerate(SHARES):
        mine, theirs = medians["load"][at], medians["probe"][at]
        figures[f"p{share * 100:g}"] = {
            "load_ms": round(1e3 * mine, 3),
            "probe_ms": round(1e3 * theirs, 3),
            "differs": round(mine / theirs - 1.0, 3),
        }
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/latest"))
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--group", default="probed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(compare(options.run, options.group, options.rate, options.seconds, options.repeat))
    print(
        json.dumps(figures) if options.json else "\n".join(f"{name}: {row}" for name, row in figures.items())
    )


if __name__ == "__main__":
    main()
