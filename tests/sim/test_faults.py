"""Faults are values: each does what its name says, at once or when it is time."""

from __future__ import annotations

import pytest

from cicada.errors import Misuse
from cicada.sim.conditions import Conditions
from cicada.sim.faults import (
    Change,
    Crash,
    Create,
    CutOff,
    Fault,
    Freeze,
    Heal,
    Join,
    Leave,
    Restart,
    RestartRing,
    RestartRouter,
    Thaw,
    do,
    schedule,
    storm,
)
from cicada.sim.names import peer_number
from cicada.sim.seeds import split
from cicada.sim.swarm import Swarm
from tests.sim.test_swarm import ring_of

A, B, C = (peer_number(number) for number in range(3))


def test_a_ring_is_made_and_unmade_by_values() -> None:
    swarm = Swarm(1)
    for fault in (Create(A), Join(B, (A,)), Join(C, (A,))):
        do(swarm, fault)
        swarm.run_for(5.0)
    assert swarm.is_ideal()
    do(swarm, Leave(B))
    assert not swarm.is_live(B)
    swarm.run_until(swarm.is_ideal, 10.0)
    do(swarm, Crash(C, closes_links=False))
    swarm.run_until(swarm.is_ideal, 30.0)
    assert swarm.live() == (A,)


def test_restarts_are_of_the_process_of_the_ring_or_of_the_router() -> None:
    swarm, peers = ring_of(6)
    victim = swarm.peer(peers[2])
    for fault, boots, nodes in (
        (RestartRouter(peers[2]), False, False),
        (RestartRing(peers[2]), False, True),
        (Restart(peers[2], (peers[0],)), True, True),
    ):
        boot, node = victim.boot, victim.node
        do(swarm, fault)
        assert (victim.boot != boot) == boots
        assert (victim.node is not node) == nodes
        swarm.run_until(swarm.is_ideal, 30.0)


def test_a_freeze_and_a_cut_may_end_by_themselves() -> None:
    swarm, peers = ring_of(6)
    do(swarm, Freeze(peers[2], 5.0))
    do(swarm, CutOff(((peers[3],),), 7.0))
    swarm.run_for(4.9)
    assert not swarm.is_live(peers[2])
    swarm.run_for(0.2)
    assert swarm.is_live(peers[2])
    swarm.send(peers[0], peers[3], timeout=1.0)
    swarm.run_for(1.5)
    assert not swarm.peer(peers[3]).mailbox
    swarm.run_for(1.0)
    swarm.send(peers[0], peers[3], timeout=20.0)
    swarm.run_for(20.0)
    assert swarm.peer(peers[3]).mailbox


def test_a_freeze_that_ended_early_is_not_ended_again() -> None:
    swarm, peers = ring_of(6)
    do(swarm, Freeze(peers[2], 5.0))
    do(swarm, Thaw(peers[2]))
    swarm.run_for(1.0)
    do(swarm, Crash(peers[2]))
    do(swarm, Join(peers[2], (peers[0],)))
    swarm.run_for(1.0)
    do(swarm, Freeze(peers[2]))
    swarm.run_for(10.0)
    assert not swarm.is_live(peers[2]), "the end was that of another freeze"


def test_cuts_are_healed_together() -> None:
    swarm, peers = ring_of(6)
    do(swarm, CutOff(((peers[0],), (peers[1],))))
    do(swarm, CutOff(((peers[2],),)))
    do(swarm, Heal())
    swarm.run_for(30.0)
    assert swarm.network.broken == 0


def test_links_change_for_all_or_for_a_pair() -> None:
    swarm, peers = ring_of(6)
    do(swarm, Change(Conditions(latency=(0.3, 0.3))))
    do(swarm, Change(Conditions(latency=(0.001, 0.001)), (peers[0], peers[1])))
    for target, seconds in ((peers[1], 0.05), (peers[2], 0.6)):
        start = swarm.now
        id = swarm.send(peers[0], target)
        swarm.run_until(lambda id=id: id in swarm.peer(peers[0]).settled, 30.0)  # type: ignore[misc]
        assert (swarm.now - start < seconds) == (target == peers[1])


def test_a_scheduled_fault_happens_at_its_time() -> None:
    swarm, peers = ring_of(6)
    schedule(swarm, 3.0, Crash(peers[2]))
    swarm.run_for(2.9)
    assert swarm.is_live(peers[2])
    swarm.run_for(0.2)
    assert not swarm.is_live(peers[2])


def test_what_cannot_be_done_is_said() -> None:
    swarm, peers = ring_of(3)
    impossible: list[Fault] = [Create(peers[0]), Crash(A.__class__(B.address)), Thaw(peers[0])]
    do(swarm, Crash(B))
    for fault in impossible:
        with pytest.raises(Misuse):
            do(swarm, fault)
    schedule(swarm, swarm.now + 1.0, Leave(B))
    with pytest.raises(Misuse):
        swarm.run_for(2.0)


def test_a_storm_of_joins_is_spread_over_its_time_and_settles() -> None:
    swarm, peers = ring_of(5)
    crowd = [peer_number(number) for number in range(100, 150)]
    plan = storm(crowd, (peers[0],), split(1, "storm"), at=2.0, seconds=3.0)
    assert [fault.peer for _, fault in plan] == crowd
    times = [at for at, _ in plan]
    assert times == sorted(times)
    assert 2.0 <= times[0] < times[-1] <= 5.0
    for at, fault in plan:
        schedule(swarm, at, fault)
    swarm.run_for(5.0)
    swarm.run_until(swarm.is_ideal, 30.0)
    assert len(swarm.live()) == 55
