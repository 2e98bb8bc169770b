"""Hops of lookups in an ideal ring too large to simulate whole, over the tables and by the choices of RingNode itself.

    python -m benchmarks.paths --peers 1000000 --lookups 500 [--seed 1] [--json]

All peers exist as places; the nodes that a lookup passes are brought up when it reaches them, with the tables of a ring
that has been calm for a minute (cicada/sim/warm.py). Compare with `cicada sim configs/sim/paths.toml`, where every peer
is a whole one: at 1,000 to 16,384 peers both give the same.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from random import Random

from cicada.chord.io import FindOwner, MessageReceived, OwnerFound, RingOutput, SendTo
from cicada.chord.node import RingNode
from cicada.ids import RING_BITS, Peer, Place
from cicada.limits import RING
from cicada.sim.names import peer_number
from cicada.sim.seeds import split
from cicada.sim.warm import Oracle
from cicada.wire.ring import FindSuccessor, Found

AGE = 60.0
INCARNATION = 1
REMEMBERED = 5_000  # nodes; some 60 KiB each


class Sleeper:
    """A peer whose node is made when it is needed."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.node = RingNode(peer, INCARNATION, rng=split(1, peer.address))

    def local(self) -> float:
        return AGE


class Ring:
    """An ideal ring, of which as much is there as lookups have passed."""

    def __init__(self, count: int) -> None:
        self.peers = [peer_number(number) for number in range(count)]
        self._oracle = Oracle(((peer, INCARNATION) for peer in self.peers), RING)
        self._nodes: dict[Peer, RingNode] = {}

    def node(self, peer: Peer) -> RingNode:
        """The node of a peer, with the tables of a calm ring."""
        found = self._nodes.get(peer)
        if found is None:
            if len(self._nodes) >= REMEMBERED:
                self._nodes.clear()
            sleeper = Sleeper(peer)
            self._oracle.bring_up(sleeper, 0.0)
            found = self._nodes[peer] = sleeper.node
        return found

    def hops(self, asker: Peer, place: Place) -> int:
        """How many links a lookup passes until the peer that knows the owner. Raises RuntimeError when it gets stuck."""
        at = asker
        outputs = self.node(asker).handle(FindOwner(1, place), AGE)
        while True:
            following = _following(outputs)
            if isinstance(following, int):
                return following
            before, at = at, following.peer
            outputs = self.node(at).handle(MessageReceived(before, following.message), AGE)


def _following(outputs: list[RingOutput]) -> SendTo | int:
    """Where the lookup goes next, or how many hops it made."""
    for output in outputs:
        if isinstance(output, OwnerFound):
            return output.hops
        if isinstance(output, SendTo) and isinstance(output.message, Found):
            return len(output.message.path) - 1
        if isinstance(output, SendTo) and isinstance(output.message, FindSuccessor):
            return output
    raise RuntimeError(f"a lookup got stuck: {outputs}")


def measure(count: int, lookups: int, seed: int) -> dict[str, float]:
    """Mean and percentiles of hops, and how many peers a node knows."""
    ring, rng = Ring(count), Random(seed)
    hops: Counter[int] = Counter()
    known = 0
    for _ in range(lookups):
        asker = rng.choice(ring.peers)
        hops[ring.hops(asker, Place(rng.getrandbits(RING_BITS)))] += 1
        snapshot = ring.node(asker).snapshot()
        known += len({*snapshot.fingers, *snapshot.successors})
    ordered = sorted(hops.elements())
    return {
        "peers": count,
        "lookups": lookups,
        "mean": sum(ordered) / lookups,
        "p1": ordered[lookups // 100],
        "p99": ordered[lookups * 99 // 100],
        "half_log2": math.log2(count) / 2,
        "known": known / lookups,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=int, default=100_000)
    parser.add_argument("--lookups", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.peers, options.lookups, options.seed)
    if options.json:
        print(json.dumps(found))
    else:
        print("  ".join(f"{name} {value:.4g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
