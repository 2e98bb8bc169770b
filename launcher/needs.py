"""What a swarm takes of a machine: processes, ports, descriptors, memory. Expected, before anything starts. Pure."""

from __future__ import annotations

import math
from collections import Counter

import msgspec

from cicada.config import Config
from cicada.ids import split_address
from cicada.limits import ENDPOINT, FOOTPRINT, LOG, EndpointLimits
from launcher.plan import Plan
from launcher.ports import endpoints_of


class PortRange(msgspec.Struct, frozen=True, kw_only=True):
    """Ports of one group, one for each peer."""

    group: str
    host: str
    first: int
    last: int


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What one swarm takes. ``worker_descriptors`` is the limit that the fullest worker needs, in its place the launcher's.

    ``own_ports``: how many those of metrics and watchers are. ``disk_bytes``: what its logs and its recording may grow to.
    ``modules``: those of extras without which it does not start, or its load does not.
    """

    peers: int
    workers: int
    fullest_worker: int
    processes: int
    ports: tuple[PortRange, ...]
    own_ports: int
    worker_descriptors: int
    launcher_descriptors: int
    memory_bytes: int
    disk_bytes: int
    key_files: tuple[str, ...]
    modules: tuple[str, ...]


def needs_of(config: Config, plan: Plan) -> Needs:
    """What the swarm takes when it is started as planned."""
    hosted = Counter(peer.worker for peer in plan.peers)
    fullest = max(hosted.values(), default=0)
    workers, peers = len(plan.workers), len(plan.peers)
    return Needs(
        peers=peers,
        workers=workers,
        fullest_worker=fullest,
        processes=FOOTPRINT.launcher_processes + workers,
        ports=_ports(config),
        own_ports=len(endpoints_of(config)),
        worker_descriptors=descriptors_for(fullest),
        launcher_descriptors=FOOTPRINT.launcher_descriptors + workers * FOOTPRINT.descriptors_of_worker,
        memory_bytes=(
            FOOTPRINT.launcher_bytes + workers * FOOTPRINT.worker_bytes + peers * FOOTPRINT.peer_bytes
        ),
        disk_bytes=(peers + workers + 1) * LOG.files * LOG.file + FOOTPRINT.recorded_bytes,
        key_files=tuple(
            file for file in (config.swarm.key_file, config.peer.keys, config.watch.key_file) if file
        ),
        modules=tuple(
            module
            for module, is_needed in (("prometheus_client", config.metrics.listen), ("hdrh", config.load))
            if is_needed
        ),
    )


def descriptors_for(listeners: int, limits: EndpointLimits = ENDPOINT) -> int:
    """The smallest limit under which a worker agrees to host so many peers: what is not for connections or reserved."""
    return math.ceil((listeners + limits.reserved_descriptors) / (1 - limits.connection_descriptor_share))


def _ports(config: Config) -> tuple[PortRange, ...]:
    ranges = []
    for group in config.groups:
        host, first = split_address(group.address)
        ranges.append(PortRange(group=group.name, host=host, first=first, last=first + group.count - 1))
    return tuple(ranges)
