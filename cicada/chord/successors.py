"""The successor list: who follows this node clockwise, nearest first (Zave: succ)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cicada.chord.circle import distance
from cicada.ids import Peer


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


class SuccessorList:
    """At most r entries, strictly clockwise from the owner, never the owner itself. Replaced whole or shortened."""

    __slots__ = ("_limit", "_own", "entries")

    entries: tuple[Peer, ...]

    def __init__(self, own: Peer, limit: int) -> None:
        self._own = own
        self._limit = limit
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
        self.entries = arrange(self._own, (head, *live), self._limit)

    def drop(self, peer: Peer) -> bool:
        """Take one entry out; whether it was there."""
        if peer not in self.entries:
            return False
        self.entries = tuple(entry for entry in self.entries if entry != peer)
        return True

    def clear(self) -> None:
        """Forget everybody."""
        self.entries = ()
