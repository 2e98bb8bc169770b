"""Simulated peers are wired as the product wires them, live on clocks of their own, and obey every command."""

from __future__ import annotations

import pytest

from cicada.chord.io import (
    FindOwner,
    JoinFailed,
    OwnerFound,
    RingInput,
    RingOutput,
    SendTo,
    TimerFired,
)
from cicada.errors import Misuse
from cicada.ids import RING_SIZE, Peer
from cicada.limits import DELIVERY, RingLimits
from cicada.routing.io import Deliver, Forward, Reason, RouterInput, RouterOutput, Settled, Status
from cicada.sim.adversary import Adversary
from cicada.sim.conditions import Conditions
from cicada.sim.names import peer_number
from cicada.sim.swarm import Rounds, Swarm
from cicada.sim.warm import warm_start

SMALL = RingLimits(successors=4, candidates=3, known_peers=24)


def ring_of(count: int, seed: int = 1, conditions: Conditions | None = None) -> tuple[Swarm, list[Peer]]:
    """A calm ring, and its peers by number."""
    swarm = Swarm(seed, limits=SMALL, conditions=conditions)
    peers = [peer_number(number) for number in range(count)]
    warm_start(swarm, peers)
    return swarm, peers


def settled(swarm: Swarm, origin: Peer, id: int) -> Settled:
    """Run until a message has settled."""
    swarm.run_until(lambda: id in swarm.peer(origin).settled, 30.0)
    return swarm.peer(origin).settled[id]


def test_a_message_is_acknowledged_once_it_is_in_the_mailbox() -> None:
    swarm, peers = ring_of(20)
    id = swarm.send(peers[0], peers[7], b"hello", copies=3)
    receipt = settled(swarm, peers[0], id)
    assert receipt.status is Status.DELIVERED
    swarm.run_for(5.0)
    assert [(mail.origin, mail.payload) for mail in swarm.peer(peers[7]).mailbox] == [(peers[0], b"hello")]
    assert swarm.peer(peers[0]).unsettled == {}


def test_a_full_mailbox_is_busy_and_nothing_is_taken() -> None:
    swarm, peers = ring_of(8)
    swarm.peer(peers[3]).has_room = False
    receipt = settled(swarm, peers[0], swarm.send(peers[0], peers[3], b"hello"))
    assert receipt.reason is Reason.BUSY
    assert swarm.peer(peers[3]).mailbox == []


def test_a_receiver_that_restarted_takes_no_message_that_was_for_its_former_life() -> None:
    swarm, peers = ring_of(8)
    assert settled(swarm, peers[0], swarm.send(peers[0], peers[3])).status is Status.DELIVERED
    boots = [swarm.peer(peers[3]).boot]
    swarm.restart(peers[3], peers[1])
    swarm.run_until(swarm.is_ideal, 30.0)
    boots.append(swarm.peer(peers[3]).boot)
    assert boots[0] != boots[1]
    receipt = settled(swarm, peers[0], swarm.send(peers[0], peers[3], b"late"))
    assert receipt.reason is Reason.RESTARTED
    assert swarm.peer(peers[3]).mailbox == []


def test_a_restarted_router_carries_on_with_what_had_not_settled() -> None:
    swarm, peers = ring_of(8)
    id = swarm.send(peers[0], peers[3], b"hello")
    swarm.restart_router(peers[0])
    assert settled(swarm, peers[0], id).status is Status.DELIVERED
    assert len(swarm.peer(peers[3]).mailbox) == 1


@pytest.mark.parametrize("router_restarts", [False, True])
def test_no_two_lives_take_a_message_though_its_sender_has_another_router(router_restarts: bool) -> None:
    swarm, peers = ring_of(12)
    here, there = peers[:2]
    taken: list[int] = []

    def watch(now: float, peer: Peer, output: object) -> None:
        if isinstance(output, Deliver) and peer == there and not output.broadcast:
            taken.append(swarm.peer(there).boot)

    swarm.world.observers.append(watch)
    id = swarm.send(here, there, b"pay", timeout=20.0)
    swarm.run_until(lambda: bool(taken), 5.0)
    swarm.cut_where(lambda one, other: there in (one, other))  # before its ack is on its way
    swarm.run_for(0.2)
    if router_restarts:
        swarm.restart_router(here)
    swarm.heal()
    swarm.restart(there, peers[2], peers[3])
    assert settled(swarm, here, id).reason is Reason.RESTARTED
    assert taken != [swarm.peer(there).boot]
    assert len(taken) == 1


def test_a_broadcast_reaches_everybody_once() -> None:
    swarm, peers = ring_of(30)
    id = swarm.broadcast(peers[4], b"all")
    swarm.run_for(2.0)
    for peer in peers:
        received = [(mail.message, mail.broadcast) for mail in swarm.peer(peer).mailbox]
        assert received == ([] if peer == peers[4] else [(id, True)])


def test_every_life_has_its_own_incarnation_and_boot_and_clocks_differ() -> None:
    swarm, peers = ring_of(4)
    victim = swarm.peer(peers[2])
    lives = {(swarm.snapshot(peers[2]).incarnation, victim.boot)}
    swarm.restart(peers[2], peers[0])
    lives.add((swarm.snapshot(peers[2]).incarnation, victim.boot))
    swarm.restart_ring(peers[2], peers[0])
    lives.add((swarm.snapshot(peers[2]).incarnation, victim.boot))
    assert len({incarnation for incarnation, _ in lives}) == 3
    assert len({boot for _, boot in lives}) == 2, "the mailbox outlives a ring node"
    assert len({swarm.peer(peer).local() for peer in peers}) == 4


def test_the_clock_of_a_frozen_peer_stands_still_and_goes_on_from_there() -> None:
    swarm, peers = ring_of(6)
    frozen = swarm.peer(peers[2])
    swarm.freeze(peers[2])
    before, rounds = frozen.local(), frozen.rounds
    swarm.run_for(40.0)
    assert frozen.local() == before
    assert frozen.rounds == rounds
    assert not swarm.is_live(peers[2])
    assert swarm.is_ideal(), "the others are a ring without it"
    swarm.thaw(peers[2])
    assert 0.0 <= frozen.local() - before < 1e-6
    swarm.run_for(1.0)
    assert frozen.local() - before == pytest.approx(1.0)
    swarm.run_until(swarm.is_ideal, 60.0)
    assert swarm.is_live(peers[2])


def test_no_clock_ever_goes_back() -> None:
    swarm, peers = ring_of(6)
    seen: dict[Peer, float] = {}

    def check(now: float, peer: Peer, input: object, outputs: object) -> None:
        local = swarm.peer(peer).local()
        assert local >= seen.get(peer, 0.0)
        seen[peer] = local

    swarm.world.recorders.append(check)
    for victim in peers:
        swarm.freeze(victim)
        swarm.run_for(3.3)
        swarm.thaw(victim)
        swarm.run_for(0.7)
    assert len(seen) == 6


def test_no_timer_is_ever_overdue() -> None:
    swarm, peers = ring_of(6)
    swarm.crash(peers[5], closes_links=False)
    fired = 0

    def count(now: float, peer: Peer, input: object, outputs: object) -> None:
        nonlocal fired
        fired += isinstance(input, TimerFired)

    swarm.world.recorders.append(count)
    while swarm.now < 60.0:
        swarm.step()
        for peer in peers[:5]:
            deadline = swarm.node(peer).next_deadline()
            assert deadline is None or deadline > swarm.peer(peer).local() - 1e-6
    assert 50 < fired < 500


def test_a_peer_that_stands_alone_is_a_ring_of_one_when_its_join_fails() -> None:
    swarm = Swarm(1)
    for stands_alone, phase in ((True, "alone"), (False, "idle")):
        peer = peer_number(int(stands_alone))
        swarm.start(peer, stands_alone=stands_alone)
        swarm.join(peer, peer_number(9), patience=3.0)
        swarm.run_for(5.0)
        assert isinstance(swarm.peer(peer).answers[0], JoinFailed)
        assert swarm.peer(peer).phase == phase


def test_a_ring_node_that_restarted_finds_back_through_whom_its_supervisor_knows() -> None:
    swarm, peers = ring_of(12)
    swarm.restart_ring(peers[5])
    assert swarm.peer(peers[5]).phase == "joining"
    swarm.run_until(swarm.is_ideal, 30.0)


def test_asking_a_peer_that_is_down_or_frozen_is_a_mistake_and_says_which() -> None:
    swarm, peers = ring_of(4)
    swarm.freeze(peers[1])
    swarm.crash(peers[2])
    for peer, word in ((peers[1], "frozen"), (peers[2], "down"), (peer_number(77), "down")):
        with pytest.raises(Misuse, match=word):
            swarm.lookup(peer, peers[0].place)
        with pytest.raises(Misuse, match=word):
            swarm.send(peer, peers[0])
        with pytest.raises(Misuse, match=word):
            swarm.give(peer, TimerFired())
        with pytest.raises(Misuse):
            swarm.freeze(peer)
    with pytest.raises(Misuse, match="down"):
        swarm.crash(peers[2])
    with pytest.raises(Misuse, match="not frozen"):
        swarm.thaw(peers[0])
    with pytest.raises(Misuse, match="up already"):
        swarm.start(peers[0])


def test_what_is_not_reached_in_time_is_an_error_and_time_has_passed_no_further() -> None:
    swarm, _ = ring_of(4)
    with pytest.raises(TimeoutError, match=r"5\.0 s"):
        swarm.run_until(lambda: False, 5.0)
    assert swarm.now <= 5.0


def test_rounds_are_counted_for_the_living_through_all_their_lives() -> None:
    swarm, peers = ring_of(6)
    mark = swarm.round_counts()
    assert swarm.rounds_since(mark) == Rounds(mean=0.0, least=0, most=0)
    swarm.run_for(100.0)
    calm = swarm.rounds_since(mark)
    assert 12 <= calm.least <= calm.mean <= calm.most <= 18, "one in 6 to 8 s"
    swarm.restart(peers[2], peers[0])
    assert swarm.rounds_since(mark).least >= 12, "a restart takes no rounds away"
    swarm.crash(peers[3])
    counts = [swarm.peer(peer).rounds - mark[peer] for peer in swarm.live()]
    assert swarm.rounds_since(mark).mean == sum(counts) / 5


def test_a_part_of_the_swarm_has_a_truth_of_its_own() -> None:
    swarm, peers = ring_of(10)
    halves = [swarm.truth_of(peers[:5]), swarm.truth_of(peers[5:])]
    assert not any(half.is_ideal() for half in halves)
    swarm.cut(peers[:5], peers[5:])
    swarm.run_until(lambda: all(half.is_ideal() for half in halves), 120.0)
    assert not swarm.is_ideal()
    swarm.crash(peers[7])
    assert not halves[1].is_ideal()
    swarm.run_until(halves[1].is_ideal, 60.0)
    assert peers[7] not in halves[1]


def test_observers_see_what_is_not_for_the_network_and_deliveries_once() -> None:
    swarm, peers = ring_of(8)
    seen: list[tuple[Peer, RingOutput | RouterOutput]] = []
    swarm.world.observers.append(lambda now, peer, output: seen.append((peer, output)))
    settled(swarm, peers[0], swarm.send(peers[0], peers[3], b"hello", copies=3))
    swarm.lookup(peers[1], peers[4].place)
    swarm.run_for(2.0)
    kinds = [type(output) for _, output in seen]
    assert kinds.count(Deliver) == 1
    assert kinds.count(Settled) == 1
    assert kinds.count(OwnerFound) == 1
    assert SendTo not in kinds
    assert Forward not in kinds


class Silent(Adversary):
    """Takes lookups and messages and passes none on; keeps all it swallowed."""

    def __init__(self) -> None:
        self.swallowed: list[object] = []

    def ring(self, cause: RingInput, honest: list[RingOutput], now: float) -> list[RingOutput]:
        if isinstance(cause, FindOwner):
            self.swallowed += honest
            return []
        return honest

    def router(self, cause: RouterInput, honest: list[RouterOutput], now: float) -> list[RouterOutput]:
        self.swallowed += [output for output in honest if isinstance(output, Forward)]
        return [output for output in honest if not isinstance(output, Forward)]


class Doubling(Adversary):
    """Says everything twice."""

    def router(self, cause: RouterInput, honest: list[RouterOutput], now: float) -> list[RouterOutput]:
        return [output for output in honest for _ in range(2 if isinstance(output, Forward) else 1)]


def test_an_adversary_can_keep_back_what_its_peer_wants_to_send() -> None:
    swarm, peers = ring_of(8)
    silent = swarm.peer(peers[2]).adversary = Silent()
    before = swarm.sent()
    swarm.give(peers[2], FindOwner(1, (peers[2].place - 1) % RING_SIZE))  # type: ignore[arg-type]
    receipt = settled(swarm, peers[2], swarm.send(peers[2], peers[5], timeout=3.0))
    assert receipt.reason is Reason.TIMED_OUT
    assert silent.swallowed
    assert swarm.sent()["Data"] == before["Data"]
    assert swarm.is_ideal(), "it is honest in all else"


def test_an_adversary_can_add_what_its_peer_did_not_want_to_send() -> None:
    swarm, peers = ring_of(8)
    swarm.peer(peers[2]).adversary = Doubling()
    assert settled(swarm, peers[2], swarm.send(peers[2], peers[5])).status is Status.DELIVERED
    assert swarm.sent()["Data"] >= 2
    assert len(swarm.peer(peers[5]).mailbox) == 1


def test_every_lookup_ends_at_the_true_owner_once_the_ring_is_ideal() -> None:
    swarm = Swarm(3, limits=SMALL)
    swarm.create(peer_number(0))
    for number in range(1, 40):
        swarm.join(peer_number(number), peer_number(0))
    swarm.run_until(swarm.is_ideal, 60.0)
    for _ in range(200):
        place = swarm.rng.getrandbits(256)
        found = swarm.lookup(swarm.rng.choice(swarm.live()), place, iterative=swarm.rng.random() < 0.3)  # type: ignore[arg-type]
        assert isinstance(found, OwnerFound)
        assert found.owner == swarm.truth.owner(place)


@pytest.mark.parametrize("are_all_far", [True, False])
def test_a_newcomer_far_away_is_reached_by_whoever_asks_for_it_as_soon_as_it_joined(
    are_all_far: bool,
) -> None:
    far = Conditions(latency=(0.29, 0.31))
    swarm, peers = ring_of(12, conditions=far if are_all_far else None)
    newcomer = peer_number(1000)
    swarm.network.set_where(lambda one, other: far if newcomer in (one, other) else None)
    swarm.join(newcomer, peers[0])
    swarm.run_until(lambda: swarm.peer(newcomer).phase == "member", 30.0)
    sent = [(peer, swarm.send(peer, newcomer, b"hello")) for peer in peers]
    assert [settled(swarm, peer, id).status for peer, id in sent] == [Status.DELIVERED] * 12


def test_a_message_to_nobody_fails_as_such_before_it_times_out() -> None:
    for latency in (0.001, 0.3):
        swarm, peers = ring_of(12, conditions=Conditions(latency=(latency, latency)))
        began = swarm.now
        receipt = settled(swarm, peers[0], swarm.send(peers[0], peer_number(1000)))
        assert receipt.reason is Reason.NO_SUCH_PEER
        assert DELIVERY.newcomer_after <= swarm.now - began < DELIVERY.timeout
