"""What a configuration would start, without starting it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cicada.config import Config
from launcher.plan import plan_swarm


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One group, and the addresses of its first and last peer."""

    name: str
    count: int
    first: str
    last: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration in figures."""

    name: str
    seed: int
    peers: int
    workers: int
    groups: tuple[GroupSummary, ...]


def summarize(config: Config, cores: int) -> Summary:
    """What the configuration starts on a machine with so many cores."""
    return Summary(
        name=config.swarm.name,
        seed=config.swarm.seed,
        peers=config.peer_count,
        workers=len(plan_swarm(config, cores).workers),
        groups=tuple(
            GroupSummary(
                name=group.name,
                count=group.count,
                first=group.address_of(0),
                last=group.address_of(group.count - 1),
            )
            for group in config.groups
        ),
    )


def summary_lines(file: str, summary: Summary) -> Iterator[str]:
    """A summary for people."""
    yield f"{file} is right: swarm {summary.name}, {summary.peers} peers in {summary.workers} workers"
    for group in summary.groups:
        yield f"  {group.name}: {group.count} peers at {group.first} to {group.last}"
