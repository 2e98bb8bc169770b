"""What a configuration would start, without starting it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cicada.config import Config
from launcher.needs import Needs, needs_of
from launcher.plan import plan_swarm

_MIB = 1024 * 1024
_OF_EVERY_SWARM = frozenset(
    {"swarm", "groups", "peer", "links", "supervision", "launch", "ring", "delivery", "metrics", "watch"}
)


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One group, and the addresses of its first and last peer."""

    name: str
    count: int
    first: str
    last: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration in figures. ``also``: how many tables there are of each section that has the swarm do something."""

    name: str
    seed: int
    peers: int
    workers: int
    groups: tuple[GroupSummary, ...]
    needs: Needs
    also: dict[str, int]
    metrics: str | None = None
    faults: int = 0
    expectations: int = 0


def summarize(config: Config, cores: int) -> Summary:
    """What the configuration starts on a machine with so many cores."""
    plan = plan_swarm(config, cores)
    return Summary(
        name=config.swarm.name,
        seed=config.swarm.seed,
        peers=config.peer_count,
        workers=len(plan.workers),
        groups=tuple(
            GroupSummary(
                name=group.name,
                count=group.count,
                first=group.address_of(0),
                last=group.address_of(group.count - 1),
            )
            for group in config.groups
        ),
        needs=needs_of(config, plan),
        also=dict(_also(config)),
        metrics=config.metrics.listen,
        faults=len(config.faults),
        expectations=len(config.expects),
    )


def _also(config: Config) -> Iterator[tuple[str, int]]:
    """Sections beyond those that say what the swarm is."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name not in _OF_EVERY_SWARM and value:
            yield field.alias or name, len(value) if isinstance(value, tuple) else 1


def summary_lines(file: str, summary: Summary) -> Iterator[str]:
    """A summary for people."""
    yield f"{file} is right: swarm {summary.name}, {summary.peers} peers in {summary.workers} workers"
    yield from _group_lines(summary)


def plan_lines(file: str, summary: Summary) -> Iterator[str]:
    """A summary with everything that the swarm takes of the machine."""
    needs = summary.needs
    listening = ", ".join(f"{ports.host} {ports.first} to {ports.last}" for ports in needs.ports)
    yield f"{file} would start swarm {summary.name}, seed {summary.seed}: {summary.peers} peers in {summary.workers} workers"
    yield from _group_lines(summary)
    yield f"  processes    {needs.processes}: launcher, fork server, resource tracker and {summary.workers} workers"
    yield f"  ports        {summary.peers} TCP: {listening}"
    yield (
        f"  descriptors  a limit of {needs.worker_descriptors} for the fullest worker, which has {needs.fullest_worker} peers; "
        f"the launcher uses about {needs.launcher_descriptors}"
    )
    yield f"  memory       about {needs.memory_bytes / _MIB:.0f} MiB"
    yield f"  disk         at most {needs.disk_bytes / _MIB:.0f} MiB in its run folder: logs and recorded events"
    yield f"  key files    {', '.join(needs.key_files) or 'none'}"
    if summary.metrics:
        yield f"  metrics      http://{summary.metrics}/metrics"
    for section, count in summary.also.items():
        yield f"  [{section}]".ljust(15) + (f"{count} of them" if count > 1 else "one")


def _group_lines(summary: Summary) -> Iterator[str]:
    for group in summary.groups:
        yield f"  {group.name}: {group.count} peers at {group.first} to {group.last}"
