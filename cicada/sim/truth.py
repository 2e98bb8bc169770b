"""What an ideal ring of some peers looks like, by sorting them, and who differs from it. Shares no code with the ring."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from cicada.hosts import Host, HostOf, by_peer
from cicada.ids import Peer, Place
from cicada.limits import longest_list

T = TypeVar("T")


class View(Protocol):
    """What a peer says of itself."""

    peer: Peer
    phase: str
    successors: tuple[str, ...]
    predecessor: str


class Truth:
    """The peers that should be one ring, clockwise. Questions cost only as much as has changed since the last one.

    Ideal: every list holds the next peers until they are on ``successors`` hosts (all others, when they are on fewer; and
    at most as many as a list may hold), every predecessor is the peer before, and every phase says so.
    """

    def __init__(self, successors: int, views: Iterable[View] = (), host_of: HostOf = by_peer) -> None:
        self._successors = successors
        self._host_of = host_of
        self._views = sorted(views, key=lambda view: view.peer.place)
        self._hosts: list[Host] = [host_of(view.peer.address) for view in self._views]
        self._places: list[int] = [view.peer.place for view in self._views]
        self._addresses: list[str] = [view.peer.address for view in self._views]
        self._dirty: dict[str, View] = {view.peer.address: view for view in self._views}
        self._wrong: dict[str, View] = {}
        self._wrong_heads: dict[str, View] = {}

    def __len__(self) -> int:
        return len(self._views)

    def __contains__(self, peer: Peer) -> bool:
        index = bisect_left(self._places, peer.place)
        return index < len(self._places) and self._places[index] == peer.place

    # What happens

    def add(self, view: View) -> None:
        """The peer belongs to the ring from now on. Without effect when it does already."""
        if view.peer in self:
            return
        index = bisect_left(self._places, view.peer.place)
        self._places.insert(index, view.peer.place)
        self._addresses.insert(index, view.peer.address)
        self._hosts.insert(index, self._host_of(view.peer.address))
        self._views.insert(index, view)
        self._touch_around(index)

    def remove(self, view: View) -> None:
        """The peer does not belong to the ring any more. Without effect when it did not."""
        if view.peer not in self:
            return
        index = bisect_left(self._places, view.peer.place)
        for table in (self._places, self._addresses, self._hosts, self._views):
            del table[index]
        for found in (self._dirty, self._wrong, self._wrong_heads):
            found.pop(view.peer.address, None)
        if self._views:
            self._touch_around(index % len(self._views))

    def touch(self, view: View) -> None:
        """What the peer says of itself may have changed."""
        if view.peer in self:
            self._dirty[view.peer.address] = view

    # Questions

    def is_ideal(self) -> bool:
        """Whether nobody differs from the ideal ring."""
        self._check()
        return not self._wrong

    def are_heads_right(self) -> bool:
        """Whether the first successor of every peer is the next peer."""
        self._check()
        return not self._wrong_heads

    def wrong(self) -> list[Peer]:
        """Who differs from the ideal ring, clockwise."""
        self._check()
        return sorted((view.peer for view in self._wrong.values()), key=lambda peer: peer.place)

    def wrong_heads(self) -> list[Peer]:
        """Whose first successor is not the next peer, clockwise."""
        self._check()
        return sorted((view.peer for view in self._wrong_heads.values()), key=lambda peer: peer.place)

    def peers(self) -> tuple[Peer, ...]:
        """All of them, clockwise."""
        return tuple(view.peer for view in self._views)

    def owner(self, place: Place | int) -> Peer:
        """Who owns a place: the peer at it or the next one clockwise. There must be a peer."""
        return self._views[bisect_left(self._places, place) % len(self._views)].peer

    def successors_of(self, peer: Peer) -> tuple[str, ...]:
        """The addresses that the list of this peer should hold."""
        return self._following(bisect_left(self._places, peer.place))

    def predecessor_of(self, peer: Peer) -> str:
        """The address that its predecessor should have; empty when it is alone."""
        return self._preceding(bisect_left(self._places, peer.place))

    # Parts

    def _touch_around(self, index: int) -> None:
        """The lists of those before, and the predecessor of the one behind, are about this place of the ring."""
        count = len(self._views)
        back = 1 + _reach(self._hosts, index, -1, self._successors)
        for near in range(count) if count <= back + 1 else range(index - back, index + 2):
            view = self._views[near % count]
            self._dirty[view.peer.address] = view

    def _check(self) -> None:
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        for address, view in dirty.items():
            index = bisect_left(self._places, view.peer.place)
            following = self._following(index)
            _mark(self._wrong, address, view, not self._is_right(view, following, index))
            _mark(self._wrong_heads, address, view, view.successors[:1] != following[:1])

    def _is_right(self, view: View, following: tuple[str, ...], index: int) -> bool:
        phase = "member" if following else "alone"
        return (view.successors, view.predecessor, view.phase) == (following, self._preceding(index), phase)

    def _following(self, index: int) -> tuple[str, ...]:
        return tuple(_wrapped(self._addresses, index + 1, list_length(self._hosts, index, self._successors)))

    def _preceding(self, index: int) -> str:
        return self._addresses[index - 1] if len(self._addresses) > 1 else ""


def list_length(hosts: Sequence[Host], index: int, successors: int) -> int:
    """How long the list of the peer at ``index`` is in the ideal ring of the peers on these ``hosts``, clockwise."""
    return _reach(hosts, index, 1, successors)


def _reach(hosts: Sequence[Host], index: int, step: int, successors: int) -> int:
    """How many of the peers from ``index`` on, in one direction, it takes for so many hosts."""
    most = min(longest_list(successors), len(hosts) - 1)
    found: set[Host] = set()
    for count in range(most):
        if len(found) >= successors:
            return count
        found.add(hosts[(index + step * (count + 1)) % len(hosts)])
    return most


def _wrapped(entries: Sequence[T], start: int, count: int) -> Sequence[T]:
    """``count`` entries from ``start`` on, beginning again at the end."""
    end = start + count
    if end <= len(entries):
        return entries[start:end]
    return [*entries[start:], *entries[max(0, start - len(entries)) : end - len(entries)]]


def _mark(found: dict[str, View], address: str, view: View, is_wrong: bool) -> None:
    if is_wrong:
        found[address] = view
    else:
        found.pop(address, None)
