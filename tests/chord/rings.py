"""Small rings to begin a test with."""

from __future__ import annotations

from cicada.ids import Peer
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm


def grown(swarm: Swarm, count: int) -> list[Peer]:
    """Have ``count`` peers join one after the other, and wait until the ring is ideal. Returns them by number."""
    peers = [peer_number(number) for number in range(count)]
    swarm.create(peers[0])
    for peer in peers[1:]:
        swarm.join(peer, peers[0])
        swarm.run_until(lambda peer=peer: swarm.peer(peer).phase == "member", 30.0)  # type: ignore[misc]
    swarm.run_until(swarm.is_ideal, 60.0)
    return peers
