"""The finger table: proven peers by how far they are, and hints whom to dial next.

Interval i of a node holds the peers at distances [2**i, 2**(i+1)). Each keeps up to m candidates, the nearest to its
beginning first, which are the ones Chord's finger would be followed by (design section 4: at N = 1000 mean hops fall
from 4.3 with m = 1 to 2.95 with m = 16). Of one host an interval keeps one candidate, and one hint: the nearest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import filterfalse

from cicada.chord.circle import distance, interval_of
from cicada.hosts import HostOf, by_peer
from cicada.ids import Peer


class Fingers:
    """At most ``candidates`` peers an interval and ``budget`` in all. Hints are bounded like the table itself."""

    __slots__ = (
        "_budget",
        "_candidates",
        "_hints",
        "_host_of",
        "_members",
        "_own",
        "_table",
        "added",
        "removed",
    )

    added: list[Peer]
    removed: list[Peer]

    def __init__(self, own: Peer, candidates: int, budget: int, host_of: HostOf = by_peer) -> None:
        self._own = own
        self._host_of = host_of
        self._candidates = candidates
        self._budget = budget
        self._table: dict[int, list[Peer]] = {}
        self._hints: dict[int, list[Peer]] = {}
        self._members: set[Peer] = set()  # of all intervals
        self.added = []
        self.removed = []

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, peer: Peer) -> bool:
        return peer in self._members

    def others(self, peers: Iterable[Peer]) -> Iterator[Peer]:
        """Those of ``peers`` who are no fingers: few, as neighbours name the same again and again."""
        return filterfalse(self._members.__contains__, peers)

    def add(self, peer: Peer) -> None:
        """A proven peer enters if its interval has room or it is nearer than the farthest there, which then goes; so does
        one of the same host that it is nearer than."""
        if peer in self._members:
            return
        interval = interval_of(self._own.place, peer.place)
        self._discard_hint(peer, interval)
        if not self._wants(peer, interval):
            return
        rival = self._rival(peer, self._table.get(interval, ()))
        if rival is not None:
            self.remove(rival)
        candidates = self._insert(self._table, peer, interval)
        self._members.add(peer)
        self.added.append(peer)
        if len(candidates) > self._candidates:
            self._evict(candidates)
        elif len(self._members) > self._budget:
            self._evict(max(self._table.values(), key=len))

    def remove(self, peer: Peer) -> None:
        """The peer is unreachable or gone: it is neither finger nor hint."""
        interval = interval_of(self._own.place, peer.place)
        self._discard_hint(peer, interval)
        if peer in self._members:
            self._table[interval].remove(peer)
            self._members.remove(peer)
            self.removed.append(peer)

    def hint(self, peer: Peer) -> bool:
        """Somebody named a peer, which nobody here has dialled; whether it is worth a dial and was not known as such."""
        interval = interval_of(self._own.place, peer.place)
        if peer in self._hints.get(interval, ()) or not self._wants(peer, interval):
            return False
        rival = self._rival(peer, self._hints.get(interval, ()))
        if rival is not None:
            if self._distance(rival) < self._distance(peer):
                return False
            self._discard_hint(rival, interval)
        hints = self._insert(self._hints, peer, interval)
        if len(hints) > self._candidates:
            return hints.pop() is not peer
        return True

    def take_hint(self) -> Peer | None:
        """The peer to dial next: for the least covered interval (the farther one of equals), its nearest hint."""
        waiting = [interval for interval, hints in self._hints.items() if hints]
        while waiting:
            interval = min(waiting, key=lambda interval: (len(self._table.get(interval, ())), -interval))
            peer = self._hints[interval].pop(0)
            if self._wants(peer, interval):
                return peer
            if not self._hints[interval]:
                waiting.remove(interval)
        return None

    @property
    def has_hints(self) -> bool:
        """Whether there is anybody to dial."""
        return any(self._hints.values())

    def peers(self) -> list[Peer]:
        """All fingers, nearest first."""
        return [peer for interval in sorted(self._table) for peer in self._table[interval]]

    def hints(self) -> list[Peer]:
        """All peers that wait for a dial, nearest first."""
        return [peer for interval in sorted(self._hints) for peer in self._hints[interval]]

    def clear(self) -> None:
        """Forget all fingers and hints."""
        self.removed.extend(self.peers())
        self._table.clear()
        self._hints.clear()
        self._members.clear()

    def take_changes(self) -> tuple[tuple[Peer, ...], tuple[Peer, ...]]:
        """Who entered and who left since the last call."""
        added = tuple(peer for peer in self.added if peer in self)
        removed = tuple(peer for peer in self.removed if peer not in self)
        self.added.clear()
        self.removed.clear()
        return added, removed

    def _wants(self, peer: Peer, interval: int) -> bool:
        """Whether the table would take the peer: it is new, and there is room or it beats the interval's farthest. Beside
        one of its host there is room for it only in that one's place."""
        candidates = self._table.get(interval, [])
        rival = self._rival(peer, candidates)
        if rival is not None:
            has_room = self._distance(peer) < self._distance(rival)
        elif len(candidates) >= self._candidates:
            has_room = self._distance(peer) < self._distance(candidates[-1])
        else:
            has_room = len(self._members) < self._budget or len(candidates) < self._candidates // 2
        return has_room and peer not in self._members and peer != self._own

    def _rival(self, peer: Peer, row: Sequence[Peer]) -> Peer | None:
        """Another peer of the same host among these."""
        host: str = self._host_of(peer.address)
        if host == peer.address:
            return None  # it has its host to itself
        return next((other for other in row if self._host_of(other.address) == host and other != peer), None)

    def _insert(self, table: dict[int, list[Peer]], peer: Peer, interval: int) -> list[Peer]:
        row = table.setdefault(interval, [])
        row.insert(bisect_left(row, self._distance(peer), key=self._distance), peer)
        return row

    def _evict(self, candidates: list[Peer]) -> None:
        self.removed.append(candidates.pop())
        self._members.remove(self.removed[-1])

    def _discard_hint(self, peer: Peer, interval: int) -> None:
        hints = self._hints.get(interval)
        if hints and peer in hints:
            hints.remove(peer)

    def _distance(self, peer: Peer) -> int:
        return distance(self._own.place, peer.place)
