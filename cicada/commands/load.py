"""Loads on a running swarm."""

from __future__ import annotations

import msgspec

from cicada.commands.base import Command, Reply


class Stage(msgspec.Struct, frozen=True):
    """A part of a load: the rate goes in a straight line from ``first`` to ``last`` operations a second."""

    seconds: float
    first: float
    last: float


class Threshold(msgspec.Struct, frozen=True):
    """What must hold of the figures, as ``send.p99 < 50ms``. With ``abort_on_fail`` a load is ended as soon as it does not, which
    is looked at from ``after`` seconds on."""

    that: str
    abort_on_fail: bool = False
    after: float = 0.0


class RunLoad(Command, frozen=True, kw_only=True, tag=True):
    """A load. Peers that do harm on purpose take no part; nor do those outside ``group``, if it is given.

    ``ops`` are weights of send, lookup and broadcast. Model ``open``: operations begin on time, whatever became of earlier ones:
    ``rate`` a second over the whole swarm for ``duration`` seconds or ``count`` operations, or as ``stages`` say. ``closed``:
    each of ``users`` has one operation in flight, and waits ``think`` seconds before the next. What begins in the first ``warmup``
    seconds is no part of any figure. Payloads have ``payload`` bytes, or with ``payload_max`` any size between.
    ``targets``: ``uniform``, or ``zipf`` with exponent ``skew``. Refused where a peer's address is no loopback address, unless
    whoever asks says ``own_network``.
    """

    rate: float | None = None
    count: int | None = None
    duration: float | None = None
    payload: int = 64
    payload_max: int | None = None
    timeout: float = 10.0
    seed: int = 0
    duplicates: int | None = None
    ordered: bool = False
    group: str = ""
    ops: dict[str, float] = msgspec.field(default_factory=lambda: {"send": 1.0})
    model: str = "open"
    users: int | None = None
    think: float = 0.0
    stages: tuple[Stage, ...] = ()
    warmup: float = 0.0
    targets: str = "uniform"
    skew: float = 1.0
    own_network: bool = False
    thresholds: tuple[Threshold, ...] = ()


class GetLoad(Command, frozen=True, kw_only=True, tag=True):
    """How far the load is that runs. Refused when none does."""


class StopLoad(Command, frozen=True, kw_only=True, tag=True):
    """Begin nothing more of the load that runs, wait for what is in flight, and end it. Refused when none runs."""


class LoadProgress(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to GetLoad: operations so far, of those ``planned`` (0: as many as there is time for); ``seconds`` have passed of
    ``duration`` since the first could start.

    ``target`` and ``rate`` are operations a second in the last second, ``p50_s`` and ``p99_s`` the response times of those that
    succeeded in it. ``failures`` are all so far, by reason; ``groups`` sends so far by the group of their target, those
    acknowledged and those that failed.
    """

    planned: int
    sent: int
    acknowledged: int
    failed: int
    seconds: float
    duration: float = 0.0
    target: float = 0.0
    rate: float = 0.0
    p50_s: float | None = None
    p99_s: float | None = None
    dropped: int = 0
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    groups: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    is_draining: bool = False


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds within a thousandth; None where nothing succeeded."""

    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    p99_99: float | None = None
    max: float | None = None


class OpResult(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of operation over the whole load but its warm-up. ``response`` counts from the intended start, ``service`` from
    the actual one. ``dropped`` never began: ``drops`` say why. ``rate``: successes a second."""

    op: str
    started: int
    late: int
    dropped: int
    succeeded: int
    failed: int
    rate: float
    failures: dict[str, int]
    drops: dict[str, int]
    response: Latency
    service: Latency


class ThresholdResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a threshold was compared with; None: there is no figure, and so it does not hold."""

    that: str
    value: float | None
    held: bool


class LoadResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to RunLoad. Figures leave the warm-up out; those down to ``copies`` are of sends alone; latencies in seconds from the
    intended start to the receipt, within a thousandth.

    ``delivered``, ``duplicated``, ``altered`` and ``wrong_peer`` are counted where messages arrive, ``failed`` and
    ``acknowledged`` where their receipts settle. ``lost`` reached nobody, though their receipts settled;
    ``acknowledged_lost`` are those among them whose receipts say delivered. ``late_starts``: the generator was behind.
    ``out_of_order`` arrived after a later one of the same pair of peers. ``to_absent`` did not arrive, and their target was
    out of the ring meanwhile.

    A worker that dies loses nothing of the account. ``died`` names it; what it would have sent until it was back (in a
    closed load: ever after) is missing from ``sent``, of those ``planned``. ``unfinished`` are messages whose receipts never
    settled, because their sender's process died; they are not among the lost. ``died_with_worker`` were acknowledged and lay in
    a mailbox when their receiver's process was killed; they are not among the lost either.

    ``copies``: what became of all copies that left, as the receipts say: intact, altered, lost, unattributed.
    ``groups``: sends by the group of their target, those acknowledged and those that failed.
    ``outcome``, ``verdict``, ``broadcasts`` and ``lookups`` as in events.LoadEnded.
    """

    sent: int
    delivered: int
    lost: int
    failed: int
    duplicated: int
    altered: int
    wrong_peer: int
    rate: float
    achieved_rate: float
    seconds: float
    latency_p50_s: float
    latency_p99_s: float
    latency_max_s: float
    hops_mean: float
    hops_p99: float
    hops_max: int
    failures: dict[str, int]
    acknowledged: int = 0
    acknowledged_lost: int = 0
    late_starts: int = 0
    planned: int = 0
    unfinished: int = 0
    died_with_worker: int = 0
    died: tuple[str, ...] = ()
    copies: dict[str, int] = msgspec.field(default_factory=dict)
    load: int = 0
    outcome: str = "finished"
    verdict: str = ""
    out_of_order: int = 0
    is_ordered: bool = False
    to_absent: int = 0
    groups: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    ops: tuple[OpResult, ...] = ()
    broadcasts: dict[str, int] = msgspec.field(default_factory=dict)
    lookups: dict[str, int] = msgspec.field(default_factory=dict)
    thresholds: tuple[ThresholdResult, ...] = ()
