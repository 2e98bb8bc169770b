"""Which peers a configuration asks for, and which worker hosts each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

import msgspec

from cicada.config.model import Config, Swarm
from cicada.ids import Address, Peer, peer_at
from cicada.routing.behaviour import Behaviour

WORKER_PREFIX = "worker"


class PlannedPeer(msgspec.Struct, frozen=True, kw_only=True):
    """One peer: ``number`` counts within its group. ``behaviour``: what harm it does on purpose."""

    name: str
    group: str
    number: int
    address: Address
    worker: str
    behaviour: Behaviour | None = None

    @property
    def peer(self) -> Peer:
        """The peer as the ring names it."""
        return peer_at(self.address)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All peers, in the order of the configuration, and the names of all workers."""

    peers: tuple[PlannedPeer, ...]
    workers: tuple[str, ...]


def plan_swarm(config: Config, cores: int) -> Plan:
    """Spread the configured peers over workers in turn, so that every worker hosts its share of every group."""
    workers = tuple(
        f"{WORKER_PREFIX}-{index}" for index in range(worker_count(config.swarm, config.peer_count, cores))
    )
    numbered = [
        (group, number, name, address)
        for group in config.groups
        for number, (name, address) in enumerate(group.peers())
    ]
    peers = tuple(
        PlannedPeer(
            name=name,
            group=group.name,
            number=number,
            address=address,
            worker=workers[index % len(workers)],
            behaviour=group.harm,
        )
        for index, (group, number, name, address) in enumerate(numbered)
    )
    return Plan(peers=peers, workers=workers)


def worker_count(swarm: Swarm, peers: int, cores: int) -> int:
    """How many workers host ``peers``: as configured, or one a core; never more than peers.

    "auto" means at least two where there are two peers, so that messages cross processes as they do in earnest.
    """
    if swarm.peers_per_worker is not None:
        return -(-peers // swarm.peers_per_worker)
    wanted = max(2, cores) if swarm.workers == "auto" else swarm.workers
    return min(wanted, peers)


def least_loaded(workers: Iterable[str], hosted: Iterable[str], count: int) -> list[str]:
    """The workers that take ``count`` more peers, one by one; ``hosted`` names a worker for every peer there is."""
    names = list(workers)
    load = Counter(dict.fromkeys(names, 0))
    load.update(worker for worker in hosted if worker in load)
    chosen = []
    for _ in range(count):
        worker = min(names, key=lambda name: load[name])
        load[worker] += 1
        chosen.append(worker)
    return chosen


def derived_seed(seed: int, name: str) -> int:
    """A 64-bit seed for the part called ``name``, so that a draw in one part never disturbs another."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
