"""In which order peers join: gap waves.

Joining through one seed costs O(N) rounds. In a gap wave every gap between two members admits at most one joiner, the
middle one of those that belong there, through the member it will stand behind. From an empty ring the waves have
1, 1, 2, 4, 8, ... peers, so N peers are in after about log2(N) + 2 waves (design section 4).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from cicada.ids import Peer, Place

Gap = tuple[int, list[Peer]]
"""The index of a member, and the joiners that belong between it and the next."""


class Joining(msgspec.Struct, frozen=True):
    """``peer`` joins through ``seed``; without a seed it is the ring's first member and waits for the others."""

    peer: Peer
    seed: Peer | None


Wave = tuple[Joining, ...]


def gap_wave(members: Iterable[Peer], joiners: Iterable[Peer], failures: Mapping[Peer, int]) -> Wave:
    """The joiners that enter the ring of ``members`` next, at most one a gap. Empty when all are members.

    Everyone's seed is its predecessor among the members; somebody who failed n times before tries the n-th before that.
    """
    present = sorted(set(members), key=_by_place)
    waiting = sorted(set(joiners) - set(present), key=_by_place)
    if not waiting:
        return ()
    if not present:
        return (Joining(waiting[0], None),)
    chosen = ((index, run[len(run) // 2]) for index, run in _gaps(present, waiting))
    return tuple(
        Joining(peer, present[index - failures.get(peer, 0) % len(present)]) for index, peer in chosen
    )


def one_seed_wave(members: Iterable[Peer], joiners: Iterable[Peer], failures: Mapping[Peer, int]) -> Wave:
    """The same without waves: all joiners at once, unsorted, through one address (the next, after a failure)."""
    present = list(dict.fromkeys(members))
    waiting = [peer for peer in dict.fromkeys(joiners) if peer not in set(present)]
    if waiting and not present:
        return (Joining(waiting[0], None),)
    return tuple(Joining(peer, present[failures.get(peer, 0) % len(present)]) for peer in waiting)


def seeded_wave(joiners: Iterable[Peer], seeds: Mapping[Peer, Peer]) -> Wave:
    """Those joiners that somebody chose a seed for, all at once, whatever the gaps."""
    return tuple(Joining(peer, seeds[peer]) for peer in joiners if peer in seeds)


def rolling_waves(peers: Iterable[Peer], at_once: int) -> tuple[tuple[Peer, ...], ...]:
    """All ``peers`` in waves of at most ``at_once``, as far apart on the ring as that allows: neighbours that leave
    together take each other's lists with them."""
    ring = sorted(set(peers), key=_by_place)
    count = -(-len(ring) // max(at_once, 1))
    return tuple(tuple(ring[first::count]) for first in range(count))


def _by_place(peer: Peer) -> Place:
    return peer.place


def _gaps(present: list[Peer], waiting: list[Peer]) -> list[Gap]:
    """The gaps that somebody waits for, in ring order; the joiners of each in ring order too."""
    cuts = [bisect_left(waiting, peer.place, key=_by_place) for peer in present]
    runs = [waiting[low:high] for low, high in pairwise(cuts)]
    runs.append(waiting[cuts[-1] :] + waiting[: cuts[0]])  # the last gap goes through the top of the circle
    return [(index, run) for index, run in enumerate(runs) if run]
