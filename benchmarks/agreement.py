"""Whether the load generator's latencies are those that a plain script would measure.

    python -m benchmarks.agreement [--peers N] [--rate R] [--seconds S] [--rounds N] [--json]

A ring of real peers in this process. In turns the generator and a script send the same messages between the same pairs at the
same rate. The script knows nothing of the generator: it sleeps until each is due, sends through SwarmPeer, awaits the receipt,
and takes the time around that with its own clock. Compared are the medians over the rounds of p50 and p90 of what both can
know: the time from the actual start (service).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import msgspec

from cicada.aio import Message, SwarmPeer
from cicada.commands import RunLoad
from cicada.ids import split_address
from launcher.load.histogram import percentile
from launcher.load.ledger import Layout
from launcher.load.ledgerfile import LedgerFile
from launcher.load.payloads import write
from launcher.load.plan import LoadPeer, LoadPlan, LoadShare, Shot
from launcher.load.spec import plan_load
from launcher.load.work import LoadWork

AT_ONCE = 10
"""Peers that join at the same time."""
JOIN_S = 30.0
SETTLE_S = 3.0
LOOK_S = 0.05


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that half, and 90%, of the messages took at most."""

    p50: float
    p90: float


@asynccontextmanager
async def ring(size: int) -> AsyncIterator[dict[str, SwarmPeer]]:
    """Peers in one ring, by name."""
    peers = {f"core-{index}": SwarmPeer(identity="ephemeral", map_ports=False) for index in range(size)}
    try:
        for index, peer in enumerate(peers.values()):
            peer.bind("127.0.0.1", 0, create=index == 0)
        first, *others = peers.values()
        for start in range(0, len(others), AT_ONCE):
            batch = others[start : start + AT_ONCE]
            await asyncio.gather(*(peer.connect(first.listener, timeout=JOIN_S) for peer in batch))
        yield peers
    finally:
        for peer in peers.values():
            peer.kill()


def plan_of(peers: dict[str, SwarmPeer], rate: float, seconds: float, seed: int) -> LoadPlan:
    """A load of 256-byte messages between these peers."""
    members = [LoadPeer(name, peer.address) for name, peer in peers.items()]
    return plan_load(RunLoad(rate=rate, duration=seconds, seed=seed, payload=256), members, seed + 1)


async def by_generator(plan: LoadPlan, peers: dict[str, SwarmPeer], inbox: Inbox) -> Round:
    """What the load generator measures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger"
        with LedgerFile.create(path, Layout.of(plan)) as file:
            work = LoadWork(LoadShare(plan=plan, sources=tuple(peers)), peers.get, path)
            inbox.work = work
            work.start(time.monotonic())
            await asyncio.sleep(plan.duration)
            while not (await work.report()).finished:
                await asyncio.sleep(LOOK_S)
            inbox.work = None
            await work.end()
            counts = file.ledger.main.ops["send"].service()
    return Round(p50=percentile(counts, 0.50) or 0.0, p90=percentile(counts, 0.90) or 0.0)


async def by_script(plan: LoadPlan, peers: dict[str, SwarmPeer]) -> Round:
    """What somebody measures who just sends and waits."""
    begun = time.perf_counter()
    took: list[float] = []

    async def send(shot: Shot) -> None:
        source, target = plan.peers[shot.source], plan.peers[shot.target]
        started = time.perf_counter()
        receipt = await peers[source.name].send(
            split_address(target.address), write(plan, shot), timeout=plan.timeout
        )
        if receipt.delivered:
            took.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for shot in plan.shots():
            await asyncio.sleep(max(0.0, begun + shot.at - time.perf_counter()))
            group.create_task(send(shot))
    took.sort()
    return Round(p50=took[len(took) // 2], p90=took[len(took) * 9 // 10])


class Inbox:
    """Empties all mailboxes, for the work that runs."""

    def __init__(self, peers: dict[str, SwarmPeer]) -> None:
        self.work: LoadWork | None = None
        self._readers = [asyncio.create_task(self._read(name, peer)) for name, peer in peers.items()]

    async def _read(self, name: str, peer: SwarmPeer) -> None:
        async for message in peer:
            self._take(name, message)

    def _take(self, name: str, message: Message) -> None:
        if self.work is not None:
            self.work.received(name, message)

    def close(self) -> None:
        for reader in self._readers:
            reader.cancel()


async def measure(size: int, rate: float, seconds: float, rounds: int) -> dict[str, float]:
    """The figures of this benchmark. Who is first changes from round to round; sessions are there before."""
    async with ring(size) as peers:
        inbox = Inbox(peers)
        await asyncio.sleep(SETTLE_S)
        generator: list[Round] = []
        script: list[Round] = []
        for number in range(rounds):
            plan = plan_of(peers, rate, seconds, seed=number)
            await by_script(plan, peers)  # opens the sessions of its pairs, which is not what is compared
            if number % 2:
                script.append(await by_script(plan, peers))
                generator.append(await by_generator(plan, peers, inbox))
            else:
                generator.append(await by_generator(plan, peers, inbox))
                script.append(await by_script(plan, peers))
        inbox.close()
    return _compared(generator, script)


def _compared(generator: list[Round], script: list[Round]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in ("p50", "p90"):
        ours, theirs = (median(getattr(found, name) for found in rounds) for rounds in (generator, script))
        figures |= {
            f"generator_{name}_ms": round(1000 * ours, 3),
            f"script_{name}_ms": round(1000 * theirs, 3),
            f"difference_{name}": round(ours / theirs - 1, 3),
        }
    return figures


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=50)
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5, help="of both")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        figures = runner.run(measure(options.peers, options.rate, options.seconds, options.rounds))
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:<24} {value:g}")


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


if __name__ == "__main__":
    main()
