"""How much of the machine a run uses: the processor time of its processes, read from the operating system."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable

import psutil


class ProcessorUse:
    """The share of all cores that processes used between two looks. Each look reads a file of each process: not on a loop."""

    def __init__(self) -> None:
        self._cores = os.cpu_count() or 1
        self._looked = time.monotonic()
        self._used: dict[int, float] = {}

    def look(self, pids: Iterable[int]) -> float:
        """The share since the look before, from 0 to 1. What a process used before its first look counts for nothing."""
        now = time.monotonic()
        used = {pid: seconds for pid in pids if (seconds := _seconds_of(pid)) is not None}
        spent = sum(max(0.0, used[pid] - self._used[pid]) for pid in used.keys() & self._used.keys())
        elapsed, self._looked, self._used = now - self._looked, now, used
        return min(1.0, spent / (elapsed * self._cores)) if elapsed > 0 else 0.0


def _seconds_of(pid: int) -> float | None:
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return None
