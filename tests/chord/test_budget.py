"""What a calm ring costs."""

from __future__ import annotations

import pytest

from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm


@pytest.mark.prove
def test_a_calm_ring_sends_less_than_one_ring_message_per_peer_and_second() -> None:
    swarm = Swarm(1)
    swarm.create(peer_number(0))
    for number in range(1, 80):
        swarm.join(peer_number(number), peer_number(0))
    swarm.run_until(swarm.is_ideal, 60.0)
    swarm.run_for(240.0)
    messages, proofs = swarm.sent().total(), swarm.network.proofs
    swarm.run_for(100.0)
    rate = (swarm.sent().total() - messages) / 100.0 / 80
    print(f"calm: {rate:.2f} messages per peer and second")
    assert rate < 0.6
    assert swarm.network.proofs - proofs < 80 * 5
    assert min(len(snapshot.fingers) for snapshot in swarm.snapshots().values()) >= 35


def test_a_ring_of_one_is_silent() -> None:
    swarm = Swarm(2)
    swarm.create(peer_number(0))
    swarm.run_for(600.0)
    assert swarm.sent().total() == 0
    assert swarm.network.proofs == 0
