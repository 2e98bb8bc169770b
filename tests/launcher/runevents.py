"""Runs as the recorder would have written them: with real HDR histograms, faults, deaths and restarts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram

from cicada.events import (
    AnyEvent,
    ChildExited,
    ChildRestarted,
    Envelope,
    ExpectationChecked,
    FaultEnded,
    FaultStarted,
    LoadEnded,
    LoadInterval,
    LoadStarted,
    OpInterval,
    PeerStarted,
    PeerStopped,
    PinMade,
    RunStateChanged,
    ScheduledFaultDone,
    ThresholdChecked,
    WorkerExited,
)

START_MS = 1_795_717_537_504


def encoded(microseconds: Iterable[int]) -> str:
    """The histogram of these times, as it is in an event."""
    histogram: Any = HdrHistogram(1, 3_600_000_000, 3)
    for value in microseconds:
        histogram.record_value(value)
    return str(histogram.encode().decode())


def at(seconds: float, event: AnyEvent, *, peer: str = "", source: str = "launcher") -> Envelope:
    return Envelope(
        source=source, sequence=1, time_ms=START_MS + round(seconds * 1000), peer=peer, event=event
    )


def started(load: int = 1, **changes: Any) -> LoadStarted:
    fields: dict[str, Any] = {
        "model": "open",
        "ops": {"send": 0.8, "lookup": 0.15, "broadcast": 0.05},
        "stages": ((60.0, 200.0, 200.0),),
        "warmup_s": 5.0,
        "payload": "256",
        "targets": "uniform",
        "duplicates": None,
        "timeout_s": 20.0,
        "seed": 7,
        "peers": 200,
        "generators": 2,
        "planned": 12_000,
    }
    return LoadStarted(load=load, **(fields | changes))


def op(name: str, times: Sequence[int], **changes: Any) -> OpInterval:
    """An interval of one kind of operation whose response times (microseconds) these are."""
    fields: dict[str, Any] = {
        "started": len(times) + changes.get("failed", 0),
        "succeeded": len(times),
        "response": encoded(times) if times else "",
        "service": encoded(max(1, one // 2) for one in times) if times else "",
    }
    return OpInterval(op=name, **(fields | changes))


def interval(start: float, ops: Sequence[OpInterval], *, load: int = 1, **changes: Any) -> LoadInterval:
    fields: dict[str, Any] = {"end_s": start + 1.0, "warmup": False, "target": 200.0, "cpu": 0.4}
    return LoadInterval(load=load, start_s=start, ops=tuple(ops), **(fields | changes))


def ended(load: int = 1, **changes: Any) -> LoadEnded:
    fields: dict[str, Any] = {
        "outcome": "finished",
        "verdict": "",
        "seconds": 60.5,
        "messages": {"sent": 8800, "delivered": 8796, "acknowledged": 8795, "lost": 3, "failed": 4},
        "hops": {1: 1200, 2: 5600, 3: 1900, 4: 95},
        "copies": {"intact": 8795},
        "broadcasts": {"sent": 550, "reached": 109_300, "expected": 109_450, "complete": 546},
        "lookups": {"right": 1648, "wrong": 0, "failed": 2},
    }
    return LoadEnded(load=load, **(fields | changes))


def fault(number: int, kind: str, one: str, peers: int, **changes: Any) -> FaultStarted:
    fields: dict[str, Any] = {
        "other": "",
        "peers": tuple(f"core-{index}" for index in range(peers)),
        "others": (),
        "seconds": 0.0,
        "jitter": 0.0,
        "percent": 0.0,
        "lasts": None,
    }
    return FaultStarted(fault=number, kind=kind, one=one, **(fields | changes))


def fault_end(number: int, kind: str, peers: int, reason: str) -> FaultEnded:
    names = tuple(f"core-{index}" for index in range(peers))
    return FaultEnded(fault=number, kind=kind, peers=names, reason=reason)


def broken_run(seconds: int = 60, *, peers: int = 200, seed: int = 1, rate: int = 200) -> list[Envelope]:
    """A load of ``seconds`` on a swarm that is killed, cut, frozen and restarted meanwhile; it begins at second 6."""
    chance = random.Random(seed)
    begin = 6.0
    scale = seconds / 60
    marks = [
        at(0.0, RunStateChanged(state="starting")),
        *(
            at(
                0.5 + index / 1000,
                PeerStarted(address=f"127.0.0.1:{2000 + index}", place="0"),
                peer=f"core-{index}",
            )
            for index in range(peers)
        ),
        *(
            at(1.0 + index / 1000, PinMade(address="127.0.0.1:2000", key="0"), peer=f"core-{index}")
            for index in range(peers)
        ),
        at(4.2, RunStateChanged(state="proven", detail=f"{peers} peers after 4.20 s")),
        *_troubles(scale),
        at(
            begin,
            started(
                ops={"send": 0.8, "lookup": 0.15, "broadcast": 0.05},
                stages=((float(seconds), rate, rate),),
                peers=peers,
            ),
        ),
        *(at(begin + second + 1.0, _second(second, scale, rate, chance)) for second in range(seconds)),
        at(begin + seconds + 0.5, ended(seconds=seconds + 0.5)),
        at(
            begin + seconds + 0.6,
            ThresholdChecked(load=1, threshold="send.p99 < 50ms", value=0.312, held=False, final=True),
        ),
        at(
            begin + seconds + 0.6,
            ThresholdChecked(
                load=1, threshold="delivered.rate >= 0.999", value=0.99954, held=True, final=True
            ),
        ),
        at(begin + seconds + 1.0, WorkerExited(worker="worker-0", pid=11, exit="exit 0", expected=True)),
        at(begin + seconds + 1.2, RunStateChanged(state="stopped")),
    ]
    return sorted(marks, key=lambda envelope: envelope.time_ms)


def _troubles(scale: float) -> list[Envelope]:
    def when(second: float) -> float:
        return 6.0 + second * scale

    return [
        at(
            when(10),
            ScheduledFaultDone(
                entry=0, occurrence=0, do="kill", select="core:10%", due_s=10.0, at_s=10.01, peers=("core-1",)
            ),
        ),
        *(
            at(when(10) + index / 1000, PeerStopped(how="killed"), peer=f"core-{index}", source="worker-0")
            for index in range(20)
        ),
        at(
            when(10) + 0.3, RunStateChanged(state="degraded", detail="of 180 peers: 12 with wrong successors")
        ),
        at(when(13), RunStateChanged(state="proven", detail="180 peers")),
        at(
            when(22),
            fault(
                1,
                "partition",
                "core:50%",
                90,
                others=tuple(f"core-{index}" for index in range(90, 180)),
                lasts=8.0,
            ),
        ),
        at(
            when(22),
            ScheduledFaultDone(
                entry=1, occurrence=0, do="partition", select="core:50%", due_s=22.0, at_s=22.0
            ),
        ),
        at(when(24), RunStateChanged(state="degraded", detail="of 180 peers: 160 with wrong successors")),
        at(when(30), fault_end(1, "partition", 90, "expired")),
        at(when(33), RunStateChanged(state="proven", detail="180 peers")),
        at(when(38), fault(2, "freeze", "worker-1", 90, lasts=3.0)),
        at(when(41), fault_end(2, "freeze", 90, "expired")),
        at(when(45), WorkerExited(worker="worker-1", pid=12, exit="signal 9", expected=False)),
        at(when(45) + 0.1, ChildRestarted(child="worker-1", restarts=1)),
        at(
            when(47), ChildExited(child="ring", reason="ValueError: wrong"), peer="core-44", source="worker-0"
        ),
        at(when(47), ChildRestarted(child="ring", restarts=1), peer="core-44", source="worker-0"),
        at(
            when(50), ExpectationChecked(check="ring_proven", at_s=50.0, held=True, found="proven, 180 peers")
        ),
        at(
            when(55),
            ExpectationChecked(check="alive", at_s=55.0, held=False, found="178 of at least 180 peers live"),
        ),
    ]


def _second(second: int, scale: float, rate: int, chance: random.Random) -> LoadInterval:
    """The worse the trouble, the longer it takes, and the more fails."""
    now = second / scale
    slow = (
        8.0
        if 10 <= now < 13
        else 25.0
        if 22 <= now < 31
        else 12.0
        if 38 <= now < 41 or 45 <= now < 47
        else 1.0
    )
    failed = max(0, int(chance.gauss(rate / 25, rate / 100))) if slow > 1 else 0

    def times(count: int, median_ms: float) -> list[int]:
        long = chance.choices((1.0, slow), (0.85, 0.15), k=count)
        return [int(1000 * median_ms * factor * chance.lognormvariate(0, 0.4)) + 1 for factor in long]

    sends = op(
        "send",
        times(int(rate * 0.8) - failed, 3.5),
        failed=failed,
        failures={"timed out": failed} if failed else {},
    )
    lookups = op("lookup", times(int(rate * 0.15), 2.2))
    broadcasts = op("broadcast", times(int(rate * 0.05), 18.0))
    return interval(float(second), (sends, lookups, broadcasts), warmup=second < 5, target=float(rate))


def lines(envelopes: Iterable[Envelope]) -> bytes:
    """The recording of these."""
    return b"".join(msgspec.json.encode(envelope) + b"\n" for envelope in envelopes)
