"""The successor list: who follows this node clockwise, nearest first (Zave: succ)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from cicada.chord.circle import distance
from cicada.hosts import HostOf, by_peer
from cicada.ids import Peer
from cicada.limits import longest_list


def arrange(own: Peer, entries: Iterable[Peer], limit: int) -> tuple[Peer, ...]:
    """The longest beginning of ``entries`` that is a successor list of ``own``.

    It runs clockwise, stops before ``own`` and where the order breaks, and has at most ``limit`` entries. An honest
    neighbour's list breaks its order, seen from here, only where it passes ``own``.
    """
    kept: list[Peer] = []
    last = 0
    for entry in entries:
        here = distance(own.place, entry.place)
        if here <= last or len(kept) == limit:
            break
        kept.append(entry)
        last = here
    return tuple(kept)


def cut(entries: tuple[Peer, ...], hosts: int, host_of: HostOf) -> tuple[Peer, ...]:
    """The beginning of ``entries`` that ends with the first peer of the last of ``hosts`` different hosts; all of them when
    they are on fewer."""
    end = min(hosts, len(entries))
    found = {host_of(entry.address) for entry in entries[:end]}
    while len(found) < hosts and end < len(entries):
        found.add(host_of(entries[end].address))
        end += 1
    return entries[:end]


class SuccessorList:
    """Entries strictly clockwise from the owner, never the owner itself, until they are on r hosts, at most 4r. Replaced
    whole or shortened.

    A live head's list, put behind it, always reaches as far: so the rule costs no message and no entry.
    """

    __slots__ = ("_host_of", "_limit", "_longest", "_own", "entries")

    entries: tuple[Peer, ...]

    def __init__(self, own: Peer, limit: int, host_of: HostOf = by_peer) -> None:
        self._own = own
        self._limit = limit
        self._longest = longest_list(limit)
        self._host_of = host_of
        self.entries = ()

    @property
    def head(self) -> Peer | None:
        """The first successor; None while the list is empty."""
        return self.entries[0] if self.entries else None

    def adopt(self, head: Peer, rest: Iterable[Peer], is_dead: Callable[[Peer], bool]) -> None:
        """Become ``[head] + rest``, where rest is one atomic answer of ``head``, without entries known to be dead.

        Leaving dead entries out skips no live member, so Zave's invariant is untouched by it.
        """
        live = (entry for entry in rest if not is_dead(entry))
        self.entries = self.fit((head, *live))

    def fit(self, entries: Iterable[Peer]) -> tuple[Peer, ...]:
        """The longest beginning of ``entries`` that may be the whole list."""
        listed = tuple(entries)
        first = arrange(self._own, listed, self._limit)
        if len(first) < self._limit or self.is_full(first):
            return first  # as ever when each peer has its host to itself
        return cut(arrange(self._own, listed, self._longest), self._limit, self._host_of)

    def is_full(self, entries: Collection[Peer]) -> bool:
        """Whether a list of these entries goes no further. One that does holds its whole ring."""
        if len(entries) < self._limit:
            return False
        found = {self._host_of(entry.address) for entry in entries}
        return len(found) >= self._limit or len(entries) >= self._longest

    def drop(self, peer: Peer) -> bool:
        """Take one entry out; whether it was there."""
        if peer not in self.entries:
            return False
        self.entries = tuple(entry for entry in self.entries if entry != peer)
        return True

    def clear(self) -> None:
        """Forget everybody."""
        self.entries = ()
