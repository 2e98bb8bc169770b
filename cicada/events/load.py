"""What a load does, told second by second: reports are folds over these and the events of faults."""

from __future__ import annotations

import msgspec

from cicada.events.base import Event


class LoadStarted(Event, frozen=True, kw_only=True, tag=True):
    """A load begins; its times are seconds from here. Loads of a run count from 1.

    ``ops`` are shares that add up to 1, by name: send, lookup, broadcast. ``stages`` are (seconds, rate at its beginning, rate at
    its end), rates in operations a second over the whole swarm; a closed load has ``users`` instead, each with one operation in
    flight and ``think_s`` between two. What begins in the first ``warmup_s`` seconds is no part of any figure.
    """

    load: int
    model: str
    ops: dict[str, float]
    stages: tuple[tuple[float, float, float], ...]
    warmup_s: float
    payload: str
    targets: str
    duplicates: int | None
    timeout_s: float
    seed: int
    peers: int
    generators: int
    users: int = 0
    think_s: float = 0.0
    planned: int = 0


class OpInterval(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of operation within an interval, over the whole swarm.

    ``late`` began more than limits.LOAD.late after their intended start, ``dropped`` never, because too many were in flight or
    the load was over. ``succeeded`` and ``failed`` are those that ended in it. ``response`` and ``service`` are HDR histograms
    (V2, base64) in microseconds of those that succeeded: from the intended start, and from the actual one.
    """

    op: str
    started: int = 0
    late: int = 0
    dropped: int = 0
    succeeded: int = 0
    failed: int = 0
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    response: str = ""
    service: str = ""


class LoadInterval(Event, frozen=True, kw_only=True, tag=True):
    """The load between two instants, in seconds from its start. ``target`` is the intended rate in the mean. ``cpu`` is
    the share of all cores that the run's processes used, ``lag_s`` the longest that an event loop of a generator stood
    still."""

    load: int
    start_s: float
    end_s: float
    warmup: bool
    target: float
    ops: tuple[OpInterval, ...]
    cpu: float = 0.0
    lag_s: float = 0.0


class LoadEnded(Event, frozen=True, kw_only=True, tag=True):
    """The load is over. ``outcome``: finished, stopped (somebody asked), aborted (a threshold), or failed.

    ``verdict`` says in words when the figures are not the swarm's (the generator failed, or it or the processors were the
    bottleneck); empty: they are. ``messages`` holds what was counted where messages arrive, over the whole load but
    its warm-up: sent, delivered, acknowledged, lost, failed, duplicated, altered, wrong_peer, out_of_order,
    acknowledged_lost, unfinished, died_with_worker, and to_absent: those of them that did not arrive and were for peers out of
    the ring. ``hops`` counts acknowledged messages by links crossed. ``copies``: what became of all copies. ``broadcasts``:
    sent, reached, expected, complete (those that reached everybody), duplicated, and spread_p50_us, spread_p99_us,
    spread_max_us: the times from the intended start after which so many of all receptions had happened. ``lookups``:
    right, wrong, failed, unsure (somebody came or went about that time).
    """

    load: int
    outcome: str
    verdict: str
    seconds: float
    messages: dict[str, int] = msgspec.field(default_factory=dict)
    hops: dict[int, int] = msgspec.field(default_factory=dict)
    copies: dict[str, int] = msgspec.field(default_factory=dict)
    broadcasts: dict[str, int] = msgspec.field(default_factory=dict)
    lookups: dict[str, int] = msgspec.field(default_factory=dict)
    died: tuple[str, ...] = ()


class ThresholdChecked(Event, frozen=True, kw_only=True, tag=True):
    """A threshold was compared with the figures of a load so far, or (``final``) of all of it. ``value`` None: there is no figure,
    and so it does not hold."""

    load: int
    threshold: str
    value: float | None
    held: bool
    final: bool


LoadEvent = LoadStarted | LoadInterval | LoadEnded | ThresholdChecked
