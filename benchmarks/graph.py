"""The swarm both sides of the relay benchmark carry: who lives where, who knows whom, and what is sent.

The 200 places alternate between two processes around the ring, and everybody knows peers at odd distances only, so every
hop of every path crosses processes.
"""

from __future__ import annotations

import msgspec

from cicada.ids import Address, Peer, canonical_address, peer_at

OFFSETS = (1, 3, 5, 7, 9, 17, 33, 65, 129)
HOST = "127.0.0.1"


class Node(msgspec.Struct, frozen=True):
    """One peer of the benchmark: its index around the ring, its process, and the indexes of the peers it knows."""

    index: int
    process: int
    peer: Peer
    known: tuple[int, ...]


def graph(peers: int, base_port: int) -> tuple[Node, ...]:
    """``peers`` nodes in ring order; node ``i`` lives in process ``i % 2``."""
    ring = sorted(
        (peer_at(canonical_address(HOST, base_port + offset)) for offset in range(peers)),
        key=lambda peer: peer.place,
    )
    return tuple(
        Node(index, index % 2, peer, tuple((index + offset) % peers for offset in OFFSETS if offset < peers))
        for index, peer in enumerate(ring)
    )


def addresses(nodes: tuple[Node, ...], process: int) -> tuple[Address, ...]:
    """The addresses that one process binds."""
    return tuple(node.peer.address for node in nodes if node.process == process)


def next_offset(distance: int) -> int:
    """The longest step that does not pass a target ``distance`` places ahead: greedy routing on this graph."""
    return max(offset for offset in OFFSETS if offset <= distance)
