"""Hop rate of the product's relay path against a bare ZMQ_STREAM relay, side by side in one run.

    python -m benchmarks.relay [--quick] [--json] [--repeat N] [--seconds S] [--in-flight N]
        [--links plain,encrypted,pynacl] [--no-uvloop]

Two processes with 100 peers each; every hop crosses processes; 300-byte frames. The figures to reach are ratios of 0.50
with plain links and 0.30 with encrypted ones. ``pynacl``: encrypted without the extra ``fast``'s AEAD.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import statistics
from multiprocessing.connection import Connection

from benchmarks.bare import BareRelay
from benchmarks.graph import graph
from benchmarks.product import ProductRelay
from launcher.worker import GC_THRESHOLDS

PEERS = 200
FRAME_BYTES = 300
BASE_PORT = 26000
WARM_UP_S = 3.0  # until every link is there: some 4,000 handshakes
LINKS = ("plain", "encrypted", "pynacl")
ANSWER_S = 60.0


def _bare(process: int, pipe: Connection, in_flight: int, seconds: float, _uvloop: bool, _links: str) -> None:
    relay = BareRelay(graph(PEERS, BASE_PORT), process, FRAME_BYTES, process)
    relay.bind()
    pipe.send("bound")
    pipe.recv()
    relay.dial()
    pipe.send("dialled")
    pipe.recv()
    relay.inject(in_flight // 2)
    relay.run(WARM_UP_S)
    pipe.send(relay.run(seconds) / seconds)
    pipe.recv()
    relay.close()


def _product(
    process: int, pipe: Connection, in_flight: int, seconds: float, uvloop: bool, links: str
) -> None:
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        relay = ProductRelay(graph(PEERS, BASE_PORT), process, FRAME_BYTES, process, links)
        relay.bind()
        pipe.send("bound")
        await loop.run_in_executor(None, pipe.recv)
        pipe.send("dialled")
        await loop.run_in_executor(None, pipe.recv)
        relay.inject(in_flight // 2)
        await relay.run(WARM_UP_S)
        pipe.send(await relay.run(seconds) / seconds)
        await loop.run_in_executor(None, pipe.recv)
        await relay.close()

    if uvloop:
        import uvloop as fast

        with asyncio.Runner(loop_factory=fast.new_event_loop) as runner:
            runner.run(run())
    else:
        asyncio.run(run())


def measure(kind: str, in_flight: int, seconds: float, uvloop: bool) -> float:
    """Hops a second over both processes. ``kind``: ``bare``, or how the product's links are."""
    context = multiprocessing.get_context("spawn")
    target = _bare if kind == "bare" else _product
    pipes, processes = [], []
    for process in (0, 1):
        ours, theirs = context.Pipe()
        child = context.Process(
            target=target, args=(process, theirs, in_flight, seconds, uvloop, kind), daemon=True
        )
        child.start()
        pipes.append(ours)
        processes.append(child)
    try:
        for _ in ("bound", "dialled"):
            for pipe in pipes:
                _receive(pipe)
            for pipe in pipes:
                pipe.send("go")
        rates = [_receive(pipe) for pipe in pipes]
        for pipe in pipes:
            pipe.send("done")
        return sum(float(rate) for rate in rates)
    finally:
        for child in processes:
            child.join(10)
            if child.is_alive():
                child.kill()


def _receive(pipe: Connection) -> str | float:
    if not pipe.poll(ANSWER_S):
        raise TimeoutError(f"a benchmark process gave no answer within {ANSWER_S} s")
    answer: str | float = pipe.recv()
    return answer


def main() -> None:
    """Run both sides in turn and print the rates and their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short pair, to see that it runs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--in-flight", type=int, default=2000)
    parser.add_argument("--links", default=",".join(LINKS), help="which of them, separated by commas")
    parser.add_argument("--no-uvloop", action="store_true")
    options = parser.parse_args()
    kinds = options.links.split(",")
    if not set(kinds) <= set(LINKS):
        parser.error(f"--links takes {', '.join(LINKS)}")
    repeat, seconds = (1, 1.0) if options.quick else (options.repeat, options.seconds)
    rows = []
    for _ in range(repeat):
        row = {"bare": measure("bare", options.in_flight, seconds, uvloop=False)}
        for kind in kinds:
            row[kind] = measure(kind, options.in_flight, seconds, uvloop=not options.no_uvloop)
        rows.append(row)
    if options.json:
        print(json.dumps({"in_flight": options.in_flight, "uvloop": not options.no_uvloop, "runs": rows}))
        return
    print(f"hops/s, 2 x {PEERS // 2} peers, {FRAME_BYTES}-byte frames, {options.in_flight} in flight")
    for name in ("bare", *kinds):
        print(_line(name, [row[name] for row in rows], 0))
    for name in kinds:
        print(_line(f"{name} / bare", [row[name] / row["bare"] for row in rows], 2))


def _line(name: str, values: list[float], digits: int) -> str:
    figures = [f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values))]
    return f"{name:16} min {figures[0]:>9}  median {figures[1]:>9}  max {figures[2]:>9}"


if __name__ == "__main__":
    main()
