"""Loads on a running swarm."""

from __future__ import annotations

import msgspec

from cicada.commands.base import Command, Reply


class RunLoad(Command, frozen=True, kw_only=True, tag=True):
    """Open-loop load: acknowledged messages between random pairs, ``rate`` a second in all, until ``count`` or ``duration``.
    Peers that do harm on purpose neither send nor are sent to; nor are those outside ``group``, if it is given."""

    rate: float
    count: int | None = None
    duration: float | None = None
    payload: int = 64
    timeout: float = 10.0
    seed: int = 0
    duplicates: int | None = None
    group: str = ""


class GetLoad(Command, frozen=True, kw_only=True, tag=True):
    """How far the load is that runs. Refused when none does."""


class LoadProgress(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to GetLoad: messages so far, of those ``planned``; ``seconds`` have passed since the first could leave."""

    planned: int
    sent: int
    acknowledged: int
    failed: int
    seconds: float


class LoadResult(Reply, frozen=True, kw_only=True, tag=True):
    """Answer to RunLoad; latencies in seconds from the intended start to the receipt, within a thousandth.

    ``delivered``, ``duplicated``, ``altered`` and ``wrong_peer`` are counted where messages arrive, ``failed`` and
    ``acknowledged`` where their receipts settle. ``lost`` reached nobody, though their receipts settled;
    ``acknowledged_lost`` are those among them whose receipts say delivered. ``late_starts``: the generator was behind.

    A worker that dies loses nothing of the account. ``died`` names it; what it would have sent later is missing from
    ``sent``, of those ``planned``. ``unfinished`` are messages whose receipts never settled, because their sender's
    process died; they are not among the lost. ``died_with_worker`` were acknowledged and lay in a mailbox when their
    receiver's process was killed; they are not among the lost either.

    ``copies``: what became of all copies that left, as the receipts say: intact, altered, lost, unattributed.
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
