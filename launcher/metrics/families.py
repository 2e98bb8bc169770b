"""A status as families of metrics, labelled by group and worker, never by peer. Pure.

Counters are those of a worker's life, so that a scraper sees one that begins again when its worker does, and no sum of several
that falls. What is not kept over the end of a peer is a gauge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from cicada.commands import Status, WorkerStatus

_STATES = ("starting", "joining", "proven", "degraded", "stopping", "stopped", "failed")


class Sample(msgspec.Struct, frozen=True):
    """One value; ``labels`` in the order of its family's."""

    labels: tuple[str, ...]
    value: float


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one kind. A counter's ``name`` is without ``_total``."""

    name: str
    help: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    counts: bool = False


def families(status: Status) -> Iterator[Family]:
    """Everything that is told about a swarm."""
    yield from _of_the_swarm(status)
    yield from _of_the_ring(status)
    yield from _of_groups(status)
    yield from _of_workers(status.workers)
    yield from _of_messages(status.workers)
    yield from _of_traffic(status.workers)


def _gauge(name: str, help: str, value: float) -> Family:
    return Family(name=f"cicada_{name}", help=help, labels=(), samples=(Sample((), value),))


def _of_the_swarm(status: Status) -> Iterator[Family]:
    yield Family(
        name="cicada_swarm",
        help="Always 1; the labels say which swarm this is.",
        labels=("name", "run"),
        samples=(Sample((status.name, status.run), 1),),
    )
    yield Family(
        name="cicada_state",
        help="1 for the state that the swarm is in.",
        labels=("state",),
        samples=tuple(Sample((state,), state == status.state) for state in _STATES),
    )
    yield _gauge("uptime_seconds", "Seconds since the swarm was asked for.", status.uptime_s)
    yield Family(
        name="cicada_faults",
        help="Faults in force.",
        labels=("kind",),
        samples=_counted(fault.kind for fault in status.faults),
    )


def _of_the_ring(status: Status) -> Iterator[Family]:
    yield _gauge("ring_proven", "1 when all snapshots equal the sorted truth.", float(status.ring_proven))
    yield _gauge("wrong_successors", "Live peers with a wrong successor list.", status.wrong_successors)
    yield _gauge("wrong_predecessors", "Live peers with a wrong predecessor.", status.wrong_predecessors)
    yield _gauge("estimated_size", "Members, as the median peer believes.", status.estimated_size)
    yield _gauge(
        "churn_per_second", "Members that come or go, as the median peer believes.", status.churn_per_s
    )


def _of_groups(status: Status) -> Iterator[Family]:
    yield Family(
        name="cicada_peers",
        help="Peers by group, each in one state.",
        labels=("group", "state"),
        samples=tuple(
            Sample((group.name, state), getattr(group, state))
            for group in status.groups
            for state in ("joined", "joining", "suspect", "dead")
        ),
    )
    yield Family(
        name="cicada_actor_restarts",
        help="Restarts of actors of the peers that live.",
        labels=("group",),
        samples=tuple(Sample((group.name,), group.restarts) for group in status.groups),
    )


def _of_workers(workers: Iterable[WorkerStatus]) -> Iterator[Family]:
    every = tuple(workers)

    def of_each(name: str, help: str, values: Iterable[float], *, counts: bool = False) -> Family:
        samples = (Sample((worker.name,), value) for worker, value in zip(every, values, strict=True))
        return Family(
            name=f"cicada_worker_{name}", help=help, labels=("worker",), samples=tuple(samples), counts=counts
        )

    yield of_each(
        "up", "1 when the process runs and does not stand still.", (w.state == "running" for w in every)
    )
    yield of_each("peers", "Live peers that the worker hosts.", (w.peers for w in every))
    yield of_each("resident_memory_bytes", "Resident memory.", (w.rss_bytes for w in every))
    yield of_each("cpu_seconds", "Processor time used.", (w.cpu_s for w in every), counts=True)
    yield of_each("restarts", "How often it was brought back.", (w.restarts for w in every), counts=True)


def _of_messages(workers: Iterable[WorkerStatus]) -> Iterator[Family]:
    every = tuple(workers)
    for what in ("sent", "delivered", "failed"):
        yield Family(
            name=f"cicada_messages_{what}",
            help=f"Application messages {what}.",
            labels=("worker",),
            samples=tuple(Sample((w.name,), getattr(w.messages, what)) for w in every),
            counts=True,
        )
    yield _by_reason(
        "cicada_messages_dropped", "Messages dropped.", {w.name: w.messages.dropped for w in every}
    )
    yield _by_reason(
        "cicada_refused", "Who was not let in or not believed.", {w.name: w.refused for w in every}
    )


def _of_traffic(workers: Iterable[WorkerStatus]) -> Iterator[Family]:
    """``frames.sent`` is ``cicada_endpoint_frames_total{kind="sent"}``."""
    tables: dict[str, dict[str, dict[str, int]]] = {}
    for worker in workers:
        for name, count in worker.traffic.items():
            what, _, kind = name.partition(".")
            tables.setdefault(what, {}).setdefault(worker.name, {})[kind] = count
    for what, table in sorted(tables.items()):
        name = f"cicada_endpoint_{re.sub('[^a-z0-9]', '_', what.lower())}"
        yield _by_reason(name, f"What crossed the endpoint: {what}.", table, label="kind")


def _by_reason(name: str, help: str, table: Mapping[str, Mapping[str, int]], label: str = "reason") -> Family:
    samples = (
        Sample((worker, reason), count)
        for worker, counts in table.items()
        for reason, count in sorted(counts.items())
    )
    return Family(name=name, help=help, labels=("worker", label), samples=tuple(samples), counts=True)


def _counted(words: Iterable[str]) -> tuple[Sample, ...]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return tuple(Sample((word,), count) for word, count in sorted(counts.items()))
