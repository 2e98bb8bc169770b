"""What ``report/summary.json`` holds. Its schema has a number, which rises when a field changes its meaning or goes; fields
may be added without. All times are seconds, and those called ``at_s`` and ``until_s`` count from the run's first event."""

from __future__ import annotations

from typing import Final

import msgspec

SCHEMA: Final = 1


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long operations took that succeeded, in seconds. ``histogram`` is the same in full: HDR, V2, base64, microseconds."""

    count: int
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float
    p99_9: float = msgspec.field(name="p99.9")
    p99_99: float = msgspec.field(name="p99.99")
    max: float
    mean: float
    histogram: str = ""


class OpPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of operation in one interval; ``start_s`` and ``end_s`` count from the load's start. Latencies are response
    times, None when nothing succeeded."""

    start_s: float
    end_s: float
    warmup: bool
    started: int
    late: int
    dropped: int
    succeeded: int
    failed: int
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of operation, or ``all`` of them, without what began in the warm-up. ``rate`` is how many succeeded in a second.

    ``response`` counts from the intended start of an operation, ``service`` from its actual one.
    """

    op: str
    started: int
    late: int
    dropped: int
    succeeded: int
    failed: int
    rate: float
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    response: Latency | None = None
    service: Latency | None = None
    series: tuple[OpPoint, ...] = ()


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """All operations of one interval. ``target`` is the intended rate, ``cpu`` the share of all cores that the run's
    processes used, ``lag_s`` how long a generator stood still."""

    start_s: float
    end_s: float
    warmup: bool
    target: float
    started: int
    late: int
    dropped: int
    succeeded: int
    failed: int
    cpu: float
    lag_s: float


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold's last word. ``value`` None: there was no figure, so it does not hold. Not ``final``: the load did
    not come to its end."""

    threshold: str
    value: float | None
    held: bool
    final: bool
    at_s: float


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of a load: the fields of LoadStarted, its ``ops`` as ``shares``."""

    model: str
    shares: dict[str, float]
    stages: tuple[tuple[float, float, float], ...]
    warmup_s: float
    payload: str
    targets: str
    duplicates: int | None
    timeout_s: float
    seed: int
    peers: int
    generators: int
    users: int
    think_s: float
    planned: int


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load. It began at ``offset_s`` of the run; its own times count from there. ``measured_s`` is how long it ran
    without its warm-up, which is no part of any figure but of the series.

    ``outcome`` is finished, stopped, aborted or failed; ``unknown`` when its end is not in the recording, and then it is
    not ``complete``; ``description`` is None when its beginning is not. ``verdict`` says when the figures are not the
    swarm's. The tables from ``messages`` to ``died`` are those of LoadEnded.
    """

    load: int
    offset_s: float
    seconds: float
    measured_s: float
    complete: bool
    outcome: str
    verdict: str
    description: Description | None
    target: float
    overall: Op
    ops: tuple[Op, ...]
    thresholds: tuple[Threshold, ...]
    messages: dict[str, int]
    hops: dict[int, int]
    copies: dict[str, int]
    broadcasts: dict[str, int]
    lookups: dict[str, int]
    died: tuple[str, ...]
    series: tuple[Point, ...]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that lasts: freeze, partition, delay, drop or duplicate. ``until_s`` None: until the end of the recording."""

    fault: int
    kind: str
    one: str
    other: str
    peers: int
    others: int
    at_s: float
    until_s: float | None
    ended: str
    seconds: float
    jitter: float
    percent: float


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """What the timeline did. ``late_s`` is how much later than it should."""

    entry: int
    occurrence: int
    do: str
    select: str
    at_s: float
    late_s: float
    peers: int
    problem: str


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """An [[expect]], looked at ``after_s`` seconds after the first proof of the ring."""

    check: str
    at_s: float
    after_s: float
    held: bool
    found: str


class PeerChange(msgspec.Struct, frozen=True, kw_only=True):
    """Peers that were started, killed, stopped, left or failed at about the same time, or ended with the run; some are named."""

    what: str
    at_s: float
    until_s: float
    count: int
    named: tuple[str, ...]


class WorkerExit(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process ended; ``expected``: it was told to."""

    worker: str
    at_s: float
    exit: str
    expected: bool


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """Supervision started something again: a worker, or an actor of a peer. ``gave_up``: it did not, for too many failures."""

    peer: str
    child: str
    at_s: float
    reason: str
    gave_up: bool


class RingState(msgspec.Struct, frozen=True, kw_only=True):
    """The swarm as a whole from here on."""

    state: str
    at_s: float
    detail: str


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """A wave of a rolling restart was back."""

    wave: int
    waves: int
    peers: int
    at_s: float


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What the report was made of. ``lost`` events never reached the recording, ``left_out`` marks are not in the
    lists of this summary, which are bounded; ``bad_histograms`` could not be read."""

    lines: int = 0
    bad_lines: int = 0
    torn: bool = False
    lost: int = 0
    left_out: int = 0
    bad_histograms: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run. ``complete`` unless something is missing, which ``missing`` names. ``ok``: every threshold and every expectation
    that was looked at held; ``state`` is the last one."""

    schema: int = SCHEMA
    run: str
    name: str
    version: str
    git: str
    host: str
    seed: int | None
    started: str
    seconds: float
    state: str
    complete: bool
    missing: tuple[str, ...]
    ok: bool
    loads: tuple[Load, ...]
    expectations: tuple[Expectation, ...]
    faults: tuple[Fault, ...]
    scheduled: tuple[Scheduled, ...]
    peers: tuple[PeerChange, ...]
    workers: tuple[WorkerExit, ...]
    restarts: tuple[Restart, ...]
    waves: tuple[Wave, ...]
    ring: tuple[RingState, ...]
    recording: Recording
