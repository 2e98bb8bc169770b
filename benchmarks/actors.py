"""Four actors hand messages round: our dispatcher against pykka.ThreadingActor, on this machine, in one run.

Each measurement is a process of its own, either free on all cores or pinned to one. ``tokens`` messages are under way
at a time; a rate is tells a second. Ratios compare medians; min and max show how far the repetitions spread.

    python -m benchmarks.actors [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pykka

from cicada.actors.loop import LoopActor, LoopDispatcher

ACTORS = 4
TIMEOUT = 60.0


class Wire(msgspec.Struct, frozen=True):
    """The actor to hand tokens to."""

    to: pykka.ActorRef[Any]


class LoopRelay(LoopActor):
    """Hands numbers on, one less each time, and says when they have run out."""

    def __init__(self, dispatcher: LoopDispatcher, ran_out: Callable[[], None]) -> None:
        super().__init__(dispatcher)
        self.ran_out = ran_out

    def on_receive(self, message: Any) -> None:
        if type(message) is not int:
            self.tell_next = message.to.tell
        elif message > 0:
            self.tell_next(message - 1)
        else:
            self.ran_out()


class ThreadRelay(pykka.ThreadingActor):
    """The same on a thread."""

    def __init__(self, ran_out: Callable[[], None]) -> None:
        super().__init__()
        self.ran_out = ran_out

    def on_receive(self, message: Any) -> None:
        if type(message) is not int:
            self.tell_next = message.to.tell
        elif message > 0:
            self.tell_next(message - 1)
        else:
            self.ran_out()


class Countdown:
    """Calls ``done`` when it was called ``count`` times, from any thread."""

    def __init__(self, count: int, done: Callable[[], None]) -> None:
        self._left = count
        self._lock = threading.Lock()
        self._done = done

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._done()


def begin(refs: list[pykka.ActorRef[Any]], tokens: int, tells: int) -> None:
    """Wire the ring of actors and let the tokens go."""
    for index, ref in enumerate(refs):
        ref.tell(Wire(refs[(index + 1) % len(refs)]))
    for token in range(tokens):
        refs[token % len(refs)].tell(tells // tokens)


async def loop_rate(tokens: int, tells: int) -> float:
    """Tells a second between LoopActors on the running loop."""
    dispatcher, done = LoopDispatcher(), asyncio.Event()
    ran_out = Countdown(tokens, done.set)
    refs: list[pykka.ActorRef[Any]] = [LoopRelay.start(dispatcher, ran_out) for _ in range(ACTORS)]
    began = time.perf_counter()
    begin(refs, tokens, tells)
    await asyncio.wait_for(done.wait(), TIMEOUT)
    seconds = time.perf_counter() - began
    for ref in refs:
        await ref.stop(block=False)
    return tells / seconds


def thread_rate(tokens: int, tells: int) -> float:
    """Tells a second between ThreadingActors."""
    done = threading.Event()
    ran_out = Countdown(tokens, done.set)
    refs: list[pykka.ActorRef[Any]] = [ThreadRelay.start(ran_out) for _ in range(ACTORS)]
    began = time.perf_counter()
    begin(refs, tokens, tells)
    done.wait(TIMEOUT)
    seconds = time.perf_counter() - began
    pykka.ActorRegistry.stop_all(timeout=TIMEOUT)
    return tells / seconds


def rate(kind: str, tokens: int, tells: int) -> float:
    """One measurement."""
    if kind == "threads":
        return thread_rate(tokens, tells)
    if kind == "uvloop":
        import uvloop

        return float(uvloop.run(loop_rate(tokens, tells)))
    return asyncio.run(loop_rate(tokens, tells))


def measure(kind: str, tokens: int, seconds: float) -> float:
    """A rate, over about ``seconds``; a short first measurement says how many tells that takes."""
    first = rate(kind, tokens, 4_000)
    return rate(kind, tokens, max(4_000, int(first * seconds)))


def measure_apart(kind: str, tokens: int, seconds: float, pinned: bool) -> float:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.actors", "--one", kind, str(tokens), str(seconds)]
    command += ["--pinned"] if pinned else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    return float(done.stdout)


def compare(kinds: list[str], tokens: int, pinned: bool, seconds: float, repeats: int) -> dict[str, Any]:
    """All kinds side by side, in turn, so that what else the machine does meets all of them."""
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for kind in kinds:
            rates[kind].append(measure_apart(kind, tokens, seconds, pinned))
    base = statistics.median(rates["threads"])
    rows = {
        kind: {
            "median": statistics.median(found),
            "min": min(found),
            "max": max(found),
            "ratio": statistics.median(found) / base,
        }
        for kind, found in rates.items()
    }
    return {"tokens": tokens, "cores": 1 if pinned else os.cpu_count(), "tells_per_second": rows}


def show(result: dict[str, Any]) -> None:
    """One comparison for people."""
    print(f"\n{result['tokens']} token(s), {result['cores']} core(s)")
    for kind, row in result["tells_per_second"].items():
        spread = f"median {row['median']:>12,.0f}   min {row['min']:>12,.0f}   max {row['max']:>12,.0f}"
        print(f"  {kind:8} {spread} tells/s   {row['ratio']:6.2f} x threads")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Tells a second round a chain of four actors.")
    parser.add_argument("--quick", action="store_true", help="about 5 s instead of 20 s")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--pinned", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        if options.pinned:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        kind, tokens, seconds = options.one
        print(measure(kind, int(tokens), float(seconds)))
        return
    kinds = ["threads", "asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])
    seconds, repeats = (0.08, 1) if options.quick else (0.2, 3)
    settings = [(tokens, pinned) for pinned in (False, True) for tokens in (1, 16)]
    results = []
    for tokens, pinned in settings:
        results.append(compare(kinds, tokens, pinned, seconds, repeats))
        if not options.json:
            show(results[-1])
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
