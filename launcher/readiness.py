"""Whether the ring is right: snapshots of every live peer compared with the sorted truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cicada.hosts import host_of
from cicada.ids import Address, peer_at
from cicada.limits import RING
from cicada.sim import truth


class RingView(msgspec.Struct, frozen=True, kw_only=True):
    """What one peer says about its place in the ring, by address."""

    joined: bool
    successors: tuple[Address, ...]
    predecessor: Address | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison. Counts are of live peers; ``missing`` gave no snapshot, and nothing is proven without them."""

    live: int
    joined: int
    missing: int
    wrong_successors: int
    wrong_predecessors: int

    @property
    def proven(self) -> bool:
        """Every live peer is in the ring and has exactly the neighbours the truth names."""
        wrong = self.missing + self.wrong_successors + self.wrong_predecessors
        return self.live > 0 and self.joined == self.live and wrong == 0

    def in_words(self) -> str:
        """What is wrong, for people."""
        if not self.live:
            return "no peer lives"
        counts = {
            "not answering": self.missing,
            "not joined": self.live - self.missing - self.joined,
            "with wrong successors": self.wrong_successors,
            "with a wrong predecessor": self.wrong_predecessors,
        }
        found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f"of {self.live} peers: {found or 'none is wrong'}"


def assess(
    live: Iterable[Address],
    views: Mapping[Address, RingView],
    list_length: int = RING.successors,
    *,
    group_hosts: bool = False,
) -> Verdict:
    """Compare fresh ``views`` with the ring that the ``live`` peers ought to form.

    Right means: the whole successor list, that is the next live peers in order until they are on ``list_length`` hosts or
    all are named, and the live peer before as predecessor. ``group_hosts`` as in the configuration. A peer that is the whole
    swarm has neither, and counts as joined.
    """
    ring = sorted(live, key=lambda address: peer_at(address).place)
    size = len(ring)
    hosts = [host_of(address, group_private=group_hosts) for address in ring]
    around = ring + ring
    joined = missing = wrong_successors = wrong_predecessors = 0
    for index, address in enumerate(ring):
        view = views.get(address)
        if view is None:
            missing += 1
            continue
        joined += view.joined or size == 1
        length = truth.list_length(hosts, index, list_length)
        wrong_successors += view.successors != tuple(around[index + 1 : index + 1 + length])
        wrong_predecessors += view.predecessor != (ring[index - 1] if size > 1 else None)
    return Verdict(
        live=size,
        joined=joined,
        missing=missing,
        wrong_successors=wrong_successors,
        wrong_predecessors=wrong_predecessors,
    )


def owner_of(place: int, live: Iterable[Address]) -> Address | None:
    """The live peer that owns ``place``: the first at or after it on the circle. None when nobody lives."""
    ring = sorted((peer_at(address) for address in live), key=lambda peer: peer.place)
    at_or_after = (peer for peer in ring if peer.place >= place)
    owner = next(at_or_after, ring[0] if ring else None)
    return owner.address if owner else None
