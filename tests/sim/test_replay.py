"""One seed, one history: in the same process, and in processes that hash text differently."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cicada.limits import RingLimits
from cicada.sim.conditions import Conditions
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.trace import Fingerprint

ROOT = Path(__file__).parent.parent.parent
ROUGH = Conditions(loss=0.02, duplication=0.02, reordering=0.02, slow=0.02)


def eventful(seed: int) -> tuple[str, int]:
    """A history with some of everything. Returns its fingerprint and how many lines it is of."""
    swarm = Swarm(seed, limits=RingLimits(successors=4, candidates=3, known_peers=24), conditions=ROUGH)
    fingerprint = Fingerprint()
    swarm.world.recorders.append(fingerprint)
    swarm.create(peer_number(0))
    for number in range(1, 24):
        swarm.join(peer_number(number), peer_number(0))
    swarm.run_for(10.0)
    halves = [peer_number(number) for number in range(12)], [peer_number(number) for number in range(12, 24)]
    swarm.cut(*halves)
    swarm.crash(peer_number(3))
    swarm.crash(peer_number(4), closes_links=False)
    swarm.freeze(peer_number(5))
    swarm.restart_ring(peer_number(6))
    swarm.restart(peer_number(7), peer_number(8))
    swarm.leave(peer_number(9))
    swarm.run_for(20.0)
    swarm.heal()
    swarm.thaw(peer_number(5))
    for origin in swarm.live()[:6]:
        swarm.send(origin, peer_number(1), b"hello", copies=2)
        swarm.broadcast(origin, b"all")
    swarm.run_for(30.0)
    return fingerprint.hex(), fingerprint.lines


def test_the_same_seed_gives_the_same_history_and_another_seed_another() -> None:
    first, again, other = eventful(1), eventful(1), eventful(2)
    assert first == again
    assert first[1] > 5000
    assert first[0] != other[0]


def test_a_history_does_not_depend_on_how_a_process_hashes_text() -> None:
    hashes = [
        subprocess.run(
            [sys.executable, "-c", "from tests.sim.test_replay import eventful; print(eventful(3)[0])"],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert hashes[0] == hashes[1]
