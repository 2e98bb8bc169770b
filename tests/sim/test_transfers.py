"""The largest message through a simulated swarm that loses one in twenty."""

from __future__ import annotations

from random import Random

import pytest

from cicada.ids import Peer
from cicada.limits import MIB, WIRE, RingLimits
from cicada.routing.io import Forward, RouterInput, RouterOutput, Status
from cicada.sim.adversary import Adversary
from cicada.sim.conditions import Conditions
from cicada.sim.names import peer_number
from cicada.sim.paths import Paths
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start
from cicada.wire.routed import Data, DataAck

SMALL = RingLimits(successors=2, candidates=1, known_peers=12)
HOPS = 5
FRAGMENTS = WIRE.max_message // WIRE.max_payload
PATIENCE_S = 300.0


class Dropper(Adversary):
    """Relays what it is given, but one in twenty messages."""

    def __init__(self, own: Peer) -> None:
        self._own = own
        self._dice = Random(own.place)
        self.dropped = 0

    def router(self, cause: RouterInput, honest: list[RouterOutput], now: float) -> list[RouterOutput]:
        return [output for output in honest if not self._drops(output)]

    def _drops(self, output: RouterOutput) -> bool:
        is_relayed = (
            isinstance(output, Forward)
            and isinstance(output.message, Data | DataAck)
            and output.message.origin != self._own.address
        )
        drops = is_relayed and self._dice.random() < 0.05
        self.dropped += drops
        return drops


def settle(swarm: Swarm, origin: Peer, number: int) -> None:
    swarm.run_until(lambda: number in swarm.peer(origin).settled, PATIENCE_S)


def far_apart(swarm: Swarm) -> tuple[Peer, Peer]:
    """Two peers between whom a message crosses that many links."""
    origin = swarm.live()[0]
    for target in swarm.live()[1:]:
        number = swarm.send(origin, target, b"warm")
        settle(swarm, origin, number)
        if swarm.peer(origin).settled[number].hops == HOPS:
            return origin, target
    raise AssertionError(f"no two peers are {HOPS} hops apart")


def carried(swarm: Swarm, origin: Peer, target: Peer, size: int) -> float:
    """Send that many bytes, which must arrive intact. Returns the seconds it took."""
    payload = Random(size).randbytes(size)
    began = swarm.now
    number = swarm.send(origin, target, payload, timeout=PATIENCE_S)
    settle(swarm, origin, number)
    fate = swarm.peer(origin).settled[number]
    assert fate.status is Status.DELIVERED
    assert [deliver.payload for deliver in swarm.peer(target).mailbox[-1:]] == [payload]
    return swarm.now - began


def swarm_of(count: int, conditions: Conditions) -> Swarm:
    swarm = Swarm(11, limits=SMALL, conditions=conditions)
    warm_start(swarm, [peer_number(number) for number in range(count)])
    return swarm


def test_links_that_lose_one_in_twenty_delay_it_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = swarm_of(60, Conditions())
    undisturbed = carried(calm, *far_apart(calm), WIRE.max_message)
    lost = counting(monkeypatch, Paths, "is_lost")
    swarm = swarm_of(60, Conditions(loss=0.05, duplication=0.02, reordering=0.05))
    origin, target = far_apart(swarm)
    disturbed = carried(swarm, origin, target, WIRE.max_message)
    copies = swarm.peer(origin).router.counters()["copies"]
    assert sum(lost) > 100
    assert copies < FRAGMENTS * 1.2, "what the links repeat is not sent anew"
    assert undisturbed < disturbed < 50 * undisturbed


def counting(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[bool]:
    """What a method says from now on, each time that it is asked."""
    said: list[bool] = []
    original = getattr(owner, name)

    def asked(*arguments: object) -> bool:
        said.append(original(*arguments))
        return said[-1]

    monkeypatch.setattr(owner, name, asked)
    return said


def test_relays_that_drop_one_in_twenty_have_just_that_repeated() -> None:
    swarm = swarm_of(60, Conditions())
    origin, target = far_apart(swarm)
    undisturbed = carried(swarm, origin, target, WIRE.max_message)
    droppers = {}
    for peer in swarm.live():
        if peer not in (origin, target):
            droppers[peer] = swarm.peer(peer).adversary = Dropper(peer)
    disturbed = carried(swarm, origin, target, WIRE.max_message)
    dropped = sum(dropper.dropped for dropper in droppers.values())
    copies = swarm.peer(origin).router.counters()["copies"]
    assert dropped > 100
    assert copies < 2 * FRAGMENTS * 1.6
    assert disturbed < 20 * undisturbed


def test_two_transfers_share_a_destination() -> None:
    swarm = swarm_of(30, Conditions())
    one, other, target = swarm.live()[:3]
    numbers = [(peer, swarm.send(peer, target, bytes(4 * MIB), timeout=PATIENCE_S)) for peer in (one, other)]
    for peer, number in numbers:
        settle(swarm, peer, number)
        assert swarm.peer(peer).settled[number].status is Status.DELIVERED
