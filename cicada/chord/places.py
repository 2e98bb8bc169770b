"""Who may have a place in the tables of one node, as far as its address decides that.

A node with a global address refuses every other: to dial one would be to dial into its own network. And a host has a cap
of places in all tables together: list, predecessor, fingers, hints, proofs and suspects. The list and the predecessor come
first, for leaving a live member out of them would break the ring; they are bounded anyway. Whoever of the host has a place
only in the others, and is one too many, is put out of all of them. Nobody can count the places of a host in the whole ring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cicada.hosts import HostOf, is_global, naming
from cicada.ids import Peer
from cicada.limits import RingLimits

NOT_GLOBAL = "not-global"
HOST_CAP = "host-cap"


class Places:
    """Decides, and counts whom it refused, by reason."""

    __slots__ = ("_cap", "_only_global", "_room", "host_of", "refused")

    def __init__(self, own: Peer, limits: RingLimits) -> None:
        self.host_of: HostOf = naming(limits.group_hosts)
        self.refused: Counter[str] = Counter()
        self._cap = limits.places_per_host
        self._only_global = is_global(own.address)
        self._room = self._cap  # so many peers may enter before any host can be beyond its cap

    def admits(self, peer: Peer) -> bool:
        """Whether the peer may stand in a table at all; else the refusal is counted."""
        if self._only_global and not is_global(peer.address):
            self.refused[NOT_GLOBAL] += 1
            return False
        return True

    def enter(self, peer: Peer) -> None:
        """The peer may be new in a table."""
        host: str = self.host_of(peer.address)
        if host != peer.address:  # who has a host to itself never hits a cap
            self._room -= 1

    @property
    def is_crowded(self) -> bool:
        """Whether a host may be beyond its cap. If none is, it takes some more entries until this is true again."""
        return self._room < 0

    def excess(self, safe: Iterable[Peer], others: Sequence[Iterable[Peer]]) -> list[Peer]:
        """Peers beyond the cap of their host, none of the ``safe``. Who stands in an earlier one of the other tables, or
        before them in the same, is kept first. Those that are returned count as refused."""
        kept = set(safe)
        held = Counter(self.host_of(peer.address) for peer in kept)
        excess: dict[Peer, None] = {}
        for table in others:
            for peer in table:
                if peer in kept or peer in excess:
                    continue
                host = self.host_of(peer.address)
                if held[host] >= self._cap:
                    excess[peer] = None
                else:
                    held[host] += 1
                    kept.add(peer)
        self._room = self._cap - max(held.values(), default=0)
        if excess:
            self.refused[HOST_CAP] += len(excess)
        return list(excess)

    def take_refused(self) -> dict[str, int]:
        """Whom it refused since the last call."""
        refused, self.refused = self.refused, Counter()
        return refused
