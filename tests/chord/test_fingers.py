"""The finger table against sorting all peers."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.chord.circle import distance, interval_of
from cicada.chord.fingers import Fingers
from cicada.ids import Peer
from cicada.sim.names import peer_number

OWN = peer_number(0)
OTHERS = [peer_number(number) for number in range(1, 400)]


def nearest(peers: list[Peer], candidates: int) -> set[Peer]:
    """What a table of ``candidates`` peers an interval holds of all of ``peers``."""
    rows: defaultdict[int, list[Peer]] = defaultdict(list)
    for peer in sorted(peers, key=lambda peer: distance(OWN.place, peer.place)):
        rows[interval_of(OWN.place, peer.place)].append(peer)
    return {peer for row in rows.values() for peer in row[:candidates]}


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(1, 200), st.integers(1, 6))
def test_the_table_holds_the_nearest_of_every_interval_whatever_the_order(
    rng: Random, count: int, candidates: int
) -> None:
    peers = rng.sample(OTHERS, count)
    fingers = Fingers(OWN, candidates, budget=1000)
    for peer in peers:
        fingers.add(peer)
    assert set(fingers.peers()) == nearest(peers, candidates)
    assert len(fingers) == len(fingers.peers())
    distances = [distance(OWN.place, peer.place) for peer in fingers.peers()]
    assert distances == sorted(distances)


def test_the_table_never_passes_its_budget() -> None:
    fingers = Fingers(OWN, 16, budget=20)
    for peer in OTHERS:
        fingers.add(peer)
        assert len(fingers) <= 20
    assert len({interval_of(OWN.place, peer.place) for peer in fingers.peers()}) > 4


def test_the_node_itself_is_neither_finger_nor_hint() -> None:
    fingers = Fingers(OWN, 4, budget=10)
    fingers.add(OWN)
    assert not fingers.hint(OWN)
    assert fingers.peers() == []


def test_hints_for_the_least_covered_interval_are_dialled_first() -> None:
    rows: defaultdict[int, list[Peer]] = defaultdict(list)
    for peer in OTHERS:
        rows[interval_of(OWN.place, peer.place)].append(peer)
    farthest, next_to_it = rows[255], rows[254]
    fingers = Fingers(OWN, 16, budget=100)
    fingers.add(farthest[0])
    assert fingers.hint(farthest[1])
    assert fingers.hint(next_to_it[0])
    assert not fingers.hint(next_to_it[0]), "known already"
    assert [fingers.take_hint(), fingers.take_hint(), fingers.take_hint()] == [
        next_to_it[0],
        farthest[1],
        None,
    ]


def test_hints_that_would_not_enter_the_table_are_not_kept() -> None:
    top = [peer for peer in OTHERS if interval_of(OWN.place, peer.place) == 255]
    ordered = sorted(top, key=lambda peer: distance(OWN.place, peer.place))
    fingers = Fingers(OWN, 2, budget=10)
    for peer in ordered[1:3]:
        fingers.add(peer)
    assert not fingers.hint(ordered[3])
    assert fingers.hint(ordered[0])
    assert fingers.hints() == [ordered[0]]


def test_hints_are_bounded_like_the_table() -> None:
    fingers = Fingers(OWN, 3, budget=10)
    for peer in OTHERS:
        fingers.hint(peer)
    rows: defaultdict[int, int] = defaultdict(int)
    for peer in fingers.hints():
        rows[interval_of(OWN.place, peer.place)] += 1
    assert max(rows.values()) == 3


def test_changes_are_told_once_and_cancel_out() -> None:
    fingers = Fingers(OWN, 4, budget=10)
    fingers.add(OTHERS[0])
    fingers.add(OTHERS[1])
    fingers.remove(OTHERS[1])
    assert fingers.take_changes() == ((OTHERS[0],), (OTHERS[1],))
    assert fingers.take_changes() == ((), ())
    fingers.clear()
    assert fingers.take_changes() == ((), (OTHERS[0],))
