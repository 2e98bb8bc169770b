"""What a swarm costs while nobody uses it: frames, bytes and processor time of each peer, and memory.

    cicada up configs/swarm-200.toml -d --wait 60s
    python -m benchmarks.calm [RUN] [--seconds S] [--json]

Let it stand until tables are full and idle links closed: about ten minutes. Frames are all that leave an endpoint: ring
messages, acks, pings, handshakes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import psutil

from benchmarks.memory import KIB, proportional_set_size, status_of
from cicada.commands import Status


def processor_seconds(status: Status) -> float:
    """Of all workers since their start, in user and system mode."""
    times = [psutil.Process(worker.pid).cpu_times() for worker in status.workers]
    return float(sum(used.user + used.system for used in times))


def measure(run: Path, seconds: float) -> dict[str, float]:
    """Figures of one peer and second, from two looks ``seconds`` apart."""
    before, used, began = status_of(run), 0.0, time.perf_counter()
    used = processor_seconds(before)
    time.sleep(seconds)
    after = status_of(run)
    span = (time.perf_counter() - began) * after.joined
    workers = sum(proportional_set_size(worker.pid) for worker in after.workers)

    def rate(name: str) -> float:
        return (after.traffic.get(name, 0) - before.traffic.get(name, 0)) / span

    return {
        "peers": after.joined,
        "frames_per_s": rate("frames.sent"),
        "bytes_per_s": rate("bytes.sent"),
        "dials_per_s": rate("connections.dialled"),
        "cores": (processor_seconds(after) - used) / span * after.joined,
        "kib_of_workers": workers / KIB / after.joined,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/latest"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.run, options.seconds)
    if options.json:
        print(json.dumps(figures))
        return
    print(
        f"{figures['peers']:.0f} peers, each: {figures['frames_per_s']:.2f} frames/s, {figures['bytes_per_s']:.0f} B/s,"
        f" {figures['dials_per_s']:.3f} dials/s, {figures['kib_of_workers']:.0f} KiB; all: {figures['cores']:.2f} cores"
    )


if __name__ == "__main__":
    main()
