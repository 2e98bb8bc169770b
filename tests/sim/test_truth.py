"""The sorted truth against a brute force that knows nothing of it."""

from __future__ import annotations

from random import Random

import pytest

from cicada.ids import RING_SIZE, Peer
from cicada.sim.names import peer_number
from cicada.sim.truth import Truth

SUCCESSORS = 3
PEERS = [peer_number(number) for number in range(12)]


class Said:
    """What a peer says of itself."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.phase = "idle"
        self.successors: tuple[str, ...] = ()
        self.predecessor = ""


def others_clockwise(own: Peer, peers: list[Peer]) -> list[Peer]:
    others = [peer for peer in peers if peer != own]
    return sorted(others, key=lambda peer: (peer.place - own.place) % RING_SIZE)


def say_the_truth(said: Said, peers: list[Peer]) -> None:
    others = others_clockwise(said.peer, peers)
    said.successors = tuple(peer.address for peer in others[:SUCCESSORS])
    said.predecessor = others[-1].address if others else ""
    said.phase = "member" if others else "alone"


def test_whoever_says_the_truth_is_ideal_whatever_came_and_went() -> None:
    rng = Random(1)
    views = {peer: Said(peer) for peer in PEERS}
    truth = Truth(SUCCESSORS)
    inside: list[Peer] = []
    for _ in range(400):
        peer = rng.choice(PEERS)
        if peer in inside:
            inside.remove(peer)
            truth.remove(views[peer])
        else:
            inside.append(peer)
            truth.add(views[peer])
        if inside and rng.random() < 0.8:
            told = rng.choice(inside)
            say_the_truth(views[told], inside)
            truth.touch(views[told])
        expected = []
        for member in inside:
            right = Said(member)
            say_the_truth(right, inside)
            if vars(right) != vars(views[member]):
                expected.append(member)
        assert truth.wrong() == sorted(expected, key=lambda member: member.place)
        assert truth.is_ideal() == (not expected)
        assert list(truth.peers()) == sorted(inside, key=lambda member: member.place)


@pytest.mark.parametrize("count", range(1, SUCCESSORS + 4))
def test_the_truth_of_a_few_peers_is_what_sorting_says(count: int) -> None:
    peers = PEERS[:count]
    truth = Truth(SUCCESSORS, [Said(peer) for peer in peers])
    for peer in peers:
        said = Said(peer)
        say_the_truth(said, peers)
        assert truth.successors_of(peer) == said.successors
        assert truth.predecessor_of(peer) == said.predecessor
        assert truth.owner(peer.place) == peer
        assert truth.owner((peer.place + 1) % RING_SIZE) == (*others_clockwise(peer, peers), peer)[0]


@pytest.mark.parametrize("wrong", ["head", "tail", "short list", "predecessor", "phase"])
def test_one_wrong_word_is_noticed(wrong: str) -> None:
    peers = PEERS[:8]
    views = [Said(peer) for peer in peers]
    for said in views:
        say_the_truth(said, peers)
    truth = Truth(SUCCESSORS, views)
    assert truth.is_ideal()
    liar = views[3]
    if wrong == "head":
        liar.successors = (liar.predecessor, *liar.successors[1:])
    elif wrong == "tail":
        liar.successors = (*liar.successors[:-1], liar.predecessor)
    elif wrong == "short list":
        liar.successors = liar.successors[:-1]
    elif wrong == "predecessor":
        liar.predecessor = liar.successors[0]
    else:
        liar.phase = "joining"
    assert truth.is_ideal(), "nobody said that something changed"
    truth.touch(liar)
    assert truth.wrong() == [liar.peer]
    assert truth.wrong_heads() == ([liar.peer] if wrong == "head" else [])
    assert truth.are_heads_right() == (wrong != "head")


def test_an_empty_ring_is_ideal() -> None:
    assert Truth(SUCCESSORS).is_ideal()
    assert Truth(SUCCESSORS).peers() == ()
