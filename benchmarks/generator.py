"""How much of a processor the load generator itself needs, and the highest rate that one can offer.

    python -m benchmarks.generator [--seconds S] [--rate R] [--json]

One generator in one process, as a worker has, whose peers are null: they acknowledge at once and do nothing else. First it is
asked for far more than it can begin, which gives the highest rate; then for ``rate`` a second, which gives what one operation
costs: the processor time of the process, less that of the same loop while nothing begins. What is sent is a message of 256
bytes with its account, as in a real load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from cicada.actors.broadcastreceipt import BroadcastReceipt
from cicada.actors.receipt import Receipt
from cicada.aio import HostPort, Lookup
from cicada.commands import RunLoad
from cicada.ids import Address, Place
from cicada.routing.io import BroadcastSettled, Settled, Status
from launcher.load.generator import Sender
from launcher.load.histogram import Counts, percentile
from launcher.load.ledger import Layout, Tally
from launcher.load.ledgerfile import LedgerFile
from launcher.load.plan import LoadPeer, LoadPlan, LoadShare
from launcher.load.spec import plan_load
from launcher.load.timer import LoopTimer, precise_timer
from launcher.load.work import LoadWork

PEERS = 100
FAR_TOO_MUCH = 1_000_000.0
"""Operations a second that no generator begins."""
LOOK_S = 0.05

Later = Callable[[Callable[[], None]], object]
"""Calls back when an operation has taken its time."""


def at_once(callback: Callable[[], None]) -> None:
    """No time at all."""
    callback()


class NullPeer:
    """A peer for which all goes well, when ``later`` calls back."""

    def __init__(self, later: Later = at_once) -> None:
        self._later = later
        self._settled = Settled(
            id=0, status=Status.DELIVERED, reason=None, attempts=1, hops=1, round_trip_s=0.0
        )
        self._spread = BroadcastSettled(id=0, reason=None, reached=1, is_complete=True)

    def send(
        self,
        target: Any,  # nobody gets it
        data: bytes,
        duplicates: int | None = None,
        timeout: float = 0.0,
        *,
        ordered: bool = False,
    ) -> Receipt:
        receipt = Receipt()
        self._later(lambda: receipt.settle(self._settled))
        return receipt

    def broadcast(self, data: bytes, timeout: float = 0.0) -> BroadcastReceipt:
        receipt = BroadcastReceipt()
        self._later(lambda: receipt.settle(self._spread))
        return receipt

    async def lookup(self, value: Place, timeout: float = 0.0) -> Lookup:
        done = asyncio.get_running_loop().create_future()
        self._later(lambda: done.set_result(None))
        await done
        return Lookup(place=value, owner=HostPort("127.0.0.1", 20000), route=(), hops=1, seconds=0.0)


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What a generator did: operations, seconds from the first to the last, and the processor's seconds meanwhile."""

    operations: int
    late: int
    seconds: float
    cpu_s: float
    response: Counts
    service: Counts

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


def loopback(count: int) -> tuple[LoadPeer, ...]:
    """Peers that have names and addresses and do not exist."""
    return tuple(LoadPeer(f"null-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(count))


@contextmanager
def work_on(
    plan: LoadPlan, peers: Callable[[str], Sender | None], clock: Callable[[], float]
) -> Iterator[tuple[LoadWork, LedgerFile]]:
    """A worker's part that is the whole load, and its account. To be ended by the caller."""
    layout = Layout.of(plan)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger"
        with LedgerFile.create(path, layout) as file:
            share = LoadShare(plan=plan, sources=tuple(peer.name for peer in plan.peers))
            timer = precise_timer if clock is time.monotonic else LoopTimer  # the kernel knows no other clock
            yield LoadWork(share, peers, path, clock=clock, timer=timer), file


async def offer(command: RunLoad, peer: Sender, clock: Callable[[], float] = time.monotonic) -> Offered:
    """Have one generator carry out the whole load."""
    plan = plan_load(command, loopback(PEERS), 1)
    with work_on(plan, lambda _: peer, clock) as (work, file):
        began, used = clock(), time.process_time()
        work.start(began)
        while clock() < began + plan.duration or not (await work.report()).finished:
            await asyncio.sleep(LOOK_S)
        used = time.process_time() - used
        await work.end()
        op = file.ledger.main.ops["send"]
        return Offered(
            operations=op[Tally.STARTED],
            late=op[Tally.LATE],
            seconds=file.ledger.seconds,
            cpu_s=used,
            response=op.response(),
            service=op.service(),
        )


def measure(seconds: float, rate: float) -> dict[str, float]:
    """The figures of this benchmark."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        count = round(seconds * 20_000)
        most = runner.run(offer(RunLoad(rate=FAR_TOO_MUCH, count=count, payload=256), NullPeer()))
        idle = runner.run(offer(RunLoad(rate=1.0 / seconds, count=1, payload=256), NullPeer()))
        at_rate = runner.run(offer(RunLoad(rate=rate, duration=seconds, payload=256), NullPeer()))
    return {
        "highest_rate_per_s": round(most.rate),
        "busy_us_per_operation": round(1e6 * most.cpu_s / most.operations, 1),
        "rate_per_s": round(at_rate.rate, 1),
        "us_per_operation": round(1e6 * (at_rate.cpu_s - idle.cpu_s) / at_rate.operations, 1),
        "processor_share": round(at_rate.cpu_s / seconds, 3),
        "idle_processor_share": round(idle.cpu_s / seconds, 3),
        "start_late_p50_us": round(1e6 * (percentile(at_rate.response, 0.50) or 0.0)),
        "start_late_p99_us": round(1e6 * (percentile(at_rate.response, 0.99) or 0.0)),
    }


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each of the three loads")
    parser.add_argument("--rate", type=float, default=1000.0, help="operations a second of the last one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = measure(options.seconds, options.rate)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:<24} {value:g}")


if __name__ == "__main__":
    main()
