"""Swarms whose peers share hosts: what is ideal, that it is reached, and what the loss of a host costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import pytest

from cicada.chord.circle import interval_of
from cicada.chord.io import JoinRing
from cicada.config.model import Ring
from cicada.hosts import by_ip
from cicada.ids import RING_SIZE, Peer, peer_at
from cicada.limits import RingLimits
from cicada.sim.checker import Checker
from cicada.sim.invariants import overlong
from cicada.sim.names import PORTS, peer_on, spread
from cicada.sim.running import Run
from cicada.sim.scenario import amount_of
from cicada.sim.scenariofile import parse_scenario
from cicada.sim.swarm import Swarm
from cicada.sim.truth import Truth
from cicada.sim.warm import warm_start
from tests.sim.test_scenario import MINIMAL, mistakes_in

GROUPED = RingLimits(group_hosts=True)
SMALL = RingLimits(successors=3, candidates=2, known_peers=24, group_hosts=True)


def ip(address: str) -> str:
    return address.rpartition(":")[0]


def others_clockwise(own: Peer, peers: list[Peer]) -> list[Peer]:
    others = [peer for peer in peers if peer != own]
    return sorted(others, key=lambda peer: (peer.place - own.place) % RING_SIZE)


def ideal_list(own: Peer, peers: list[Peer], successors: int) -> tuple[str, ...]:
    """Entry after entry, until they are on so many hosts or the list is as long as it may be."""
    entries: list[str] = []
    for peer in others_clockwise(own, peers):
        if len({ip(entry) for entry in entries}) == successors or len(entries) == 4 * successors:
            break
        entries.append(peer.address)
    return tuple(entries)


def warm(peers: list[Peer], limits: RingLimits, seed: int = 3) -> Swarm:
    swarm = Swarm(seed, limits=limits)
    warm_start(swarm, peers)
    return swarm


def on_hosts(count: int, hosts: int) -> list[Peer]:
    return [spread(number, hosts) for number in range(count)]


class Said:
    """What a peer says of itself."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.phase = "idle"
        self.successors: tuple[str, ...] = ()
        self.predecessor = ""

    def tell_the_truth(self, peers: list[Peer], successors: int) -> None:
        others = others_clockwise(self.peer, peers)
        self.successors = ideal_list(self.peer, peers, successors)
        self.predecessor = others[-1].address if others else ""
        self.phase = "member" if others else "alone"


@pytest.mark.parametrize(("count", "hosts"), [(24, 1), (24, 3), (24, 7), (24, 24)])
def test_whoever_lists_the_next_hosts_is_ideal_whatever_came_and_went(count: int, hosts: int) -> None:
    rng = Random(hosts)
    peers = on_hosts(count, hosts)
    views = {peer: Said(peer) for peer in peers}
    truth = Truth(2, host_of=by_ip)
    inside: list[Peer] = []
    for _ in range(400):
        peer = rng.choice(peers)
        if peer in inside:
            inside.remove(peer)
            truth.remove(views[peer])
        else:
            inside.append(peer)
            truth.add(views[peer])
        if inside and rng.random() < 0.9:
            told = rng.choice(inside)
            views[told].tell_the_truth(inside, 2)
            truth.touch(views[told])
        expected = []
        for member in inside:
            right = Said(member)
            right.tell_the_truth(inside, 2)
            assert truth.successors_of(member) == right.successors
            if vars(right) != vars(views[member]):
                expected.append(member)
        assert truth.wrong() == sorted(expected, key=lambda peer: peer.place)


def test_a_list_that_goes_on_behind_its_last_host_is_seen() -> None:
    hosts = {20: "a", 30: "a", 40: "b", 50: "c"}
    assert overlong({10: (20, 30, 40), 20: (30, 40)}, hosts, 2, 8) == []
    assert overlong({10: (20, 30)}, hosts, 1, 8) != []
    assert overlong({10: (20, 30, 40, 50)}, hosts, 2, 8) != []
    assert overlong({10: (20, 30, 40)}, hosts, 2, 2) != []
    assert overlong({10: (20, 30, 99)}, hosts, 2, 8) == [], "where nobody ever was is a host of its own"


@pytest.mark.parametrize(("count", "hosts"), [(60, 1), (60, 4), (60, 13), (7, 2)])
def test_a_warm_start_is_ideal_with_full_tables(count: int, hosts: int) -> None:
    peers = on_hosts(count, hosts)
    swarm = warm(peers, SMALL)
    assert swarm.is_ideal()
    for own, snapshot in swarm.snapshots().items():
        assert tuple(peer.address for peer in snapshot.successors) == ideal_list(own, peers, 3)
        rows: defaultdict[int, dict[str, Peer]] = defaultdict(dict)
        for peer in others_clockwise(own, peers):
            rows[interval_of(own.place, peer.place)].setdefault(ip(peer.address), peer)
        assert set(snapshot.fingers) == {peer for row in rows.values() for peer in list(row.values())[:2]}
        assert snapshot.unverified == ()


@pytest.mark.parametrize("hosts", [1, 2, 4, 9])
def test_peers_that_come_and_go_by_hosts_keep_the_invariants_and_become_ideal(hosts: int) -> None:
    peers = on_hosts(20, hosts)
    swarm = warm(peers[:8], SMALL, seed=hosts)
    checker = Checker(swarm)

    def settle() -> None:
        end = swarm.now + 120.0
        while not swarm.is_ideal():
            swarm.step()
            assert checker.broken() == []
            assert swarm.now < end, swarm.truth.wrong()

    for peer in peers[8:]:
        swarm.join(peer, peers[0])
    settle()
    assert len(swarm.members()) == 20
    for peer in peers[5:8]:
        swarm.leave(peer)
        settle()
    for peer in peers[5:8]:
        swarm.join(peer, peers[0])
    settle()
    if hosts > SMALL.successors:  # then every list names a host that is left
        for peer in peers:
            if ip(peer.address) == ip(peers[1].address):
                swarm.crash(peer, closes_links=False)
        settle()
    assert checker.checked > 100


def test_a_swarm_loses_a_host_with_all_its_peers_and_is_ideal_within_r_rounds() -> None:
    peers = on_hosts(200, 40)
    swarm = warm(peers, GROUPED)
    for peer in peers:
        named = [ip(entry) for entry in swarm.peer(peer).successors]
        assert len(set(named)) == 16
        assert len(set(named[:-1])) == 15
    mark, lost = swarm.round_counts(), [peer for peer in peers if ip(peer.address) == ip(peers[0].address)]
    assert len(lost) == 5
    for peer in lost:
        swarm.crash(peer, closes_links=False)
    swarm.run_until(swarm.is_ideal, 60.0)
    assert swarm.rounds_since(mark).mean <= 18
    assert {swarm.peer(peer).phase for peer in swarm.live()} == {"member"}


@pytest.mark.prove
def test_one_host_with_hundreds_of_ports_has_one_host_slot_in_any_list_and_one_finger_an_interval() -> None:
    many = [peer_on(0, number) for number in range(160)]
    ones = [peer_on(host, 0) for host in range(1, 41)]
    swarm = warm(many + ones, GROUPED)
    swarm.run_for(5.0)
    assert swarm.is_ideal()
    for peer in ones:
        snapshot = swarm.snapshot(peer)
        named = {ip(entry.address) for entry in snapshot.successors}
        assert len(snapshot.successors) == 64 or len(named) == 16
        assert len(named) >= 8, "the first 16 by ports name four"
        rows = Counter(
            interval_of(peer.place, finger.place)
            for finger in snapshot.fingers
            if ip(finger.address) == ip(many[0].address)
        )
        assert set(rows.values()) == {1}
    for peer in many:
        swarm.crash(peer, closes_links=False)
    swarm.run_until(swarm.is_ideal, 120.0)
    assert len(swarm.members()) == 40


@pytest.mark.parametrize("ports", [pytest.param(count, marks=pytest.mark.prove) for count in (200, 1000)])
def test_whatever_ports_of_a_host_join_nobodys_tables_hold_more_of_it_than_its_cap(ports: int) -> None:
    cap = 20
    limits = RingLimits(successors=4, known_peers=64, group_hosts=True, places_per_host=cap)
    ones = [peer_on(host, 0) for host in range(1, 41)]
    swarm = warm(ones + [peer_on(0, number) for number in range(ports * 4 // 5)], limits)
    for number in range(ports * 4 // 5, ports):
        swarm.join(peer_on(0, number), swarm.rng.choice(ones))
    swarm.run_until(swarm.is_ideal, 120.0)
    assert len(swarm.members()) == 40 + ports
    swarm.run_for(20.0)
    host = by_ip(peer_on(0, 0).address)
    held = [swarm.node(peer).places()[host] for peer in ones]
    assert max(held) == cap, "so the cap was met"
    assert sum((swarm.peer(peer).refused for peer in ones), Counter())["host-cap"] > 0
    assert swarm.is_ideal(), "who is refused a place in tables is a member all the same"


@pytest.mark.parametrize("hosts", [1, 3, 6])
def test_halves_of_a_swarm_on_few_hosts_become_one_ring(hosts: int) -> None:
    peers = on_hosts(40, hosts)
    swarm = warm(peers, RingLimits(successors=4, group_hosts=True))
    halves = peers[:20], peers[20:]
    truths = [swarm.truth_of(half) for half in halves]
    swarm.cut(*halves)
    # Lists of four hosts lose half their entries at once: who lost all of his has to find the others by probes.
    swarm.run_until(lambda: all(truth.is_ideal() for truth in truths), 300.0)
    swarm.heal()
    swarm.run_until(swarm.is_ideal, 300.0)


def test_a_ring_on_two_hosts_joins_a_larger_one_on_many_although_its_lists_are_longer() -> None:
    """Its lists hold the whole ring; those of the larger ring end at r hosts, so their lengths say nothing."""
    swarm = Swarm(5, limits=RingLimits(successors=4, group_hosts=True))
    few = [peer_on(host, number) for host in range(2) for number in range(6)]
    many = [peer_on(host, 0) for host in range(10, 50)]
    for ring in (few, many):
        swarm.create(ring[0])
        for peer in ring[1:]:
            swarm.join(peer, ring[0])
            swarm.run_until(lambda peer=peer: swarm.peer(peer).phase == "member", 30.0)  # type: ignore[misc]
    truths = [swarm.truth_of(ring) for ring in (few, many)]
    swarm.run_until(lambda: all(truth.is_ideal() for truth in truths), 60.0)
    assert [len(swarm.peer(ring[0]).successors) for ring in (few, many)] == [11, 4]
    lost: set[Peer] = set()
    swarm.give(few[0], JoinRing((many[0],), swarm.now + 10.0))
    end = swarm.now + 300.0
    while not swarm.is_ideal():
        swarm.step()
        lost |= {peer for peer in many if swarm.peer(peer).phase != "member"}
        assert swarm.now < end
    assert not lost, "nobody of the larger ring had to join anew"


# Scenarios


def test_a_scenario_spreads_its_peers_over_hosts_and_loses_some_of_them() -> None:
    text = MINIMAL + "[ring]\ngroup_hosts = true\nplaces_per_host = 100\n"
    text += "[[fault]]\nat = '5s'\ndo = 'kill'\nselect = '3 hosts'\n"
    text += "[[fault]]\nat = '6s'\ndo = 'join'\nselect = 2\n[[expect]]\ncheck = 'ideal'\nwithin = '30s'\n"
    scenario = parse_scenario(text, overrides=[("sim.peers", "40"), ("sim.hosts", "10")])
    assert scenario.ring == Ring(group_hosts=True, places_per_host=100)
    run = Run(scenario, 1)
    while run.advance():
        pass
    result = run.result()
    assert (result.live, result.is_ideal, result.lost_rings) == (30, True, 0)
    left = Counter(ip(peer.address) for peer in run.swarm.live())
    assert sum(count >= 4 for count in left.values()) == 7
    assert {peer.address for peer in run.swarm.live()} >= {spread(40, 10).address, spread(41, 10).address}
    assert run.swarm.world.limits == RingLimits(group_hosts=True, places_per_host=100)


def test_peers_of_a_scenario_have_one_host_unless_it_says_otherwise() -> None:
    scenario = parse_scenario(MINIMAL)
    assert {ip(scenario.peer(number).address) for number in range(100)} == {"127.0.0.1"}
    assert not scenario.ring.group_hosts


@pytest.mark.parametrize(
    ("more", "settings", "words"),
    [
        ("[ring]\nplaces_per_host = 10\n", [], "must be at least 80, got 10"),
        ("[ring]\ngroup_host = true\n", [], "did you mean 'group_hosts'?"),
        ("", [("sim.hosts", "0")], "must be at least 1, got 0"),
        ("[sweep]\nover = 'peers'\nvalues = [50000]\n", [("sim.hosts", "1")], "50000 need 2 hosts or more"),
        ("[[fault]]\nat = '1s'\ndo = 'join'\nselect = '2 hosts'\n", [], "peers join, not hosts"),
        (
            "[[fault]]\nat = '1s'\ndo = 'kill'\nselect = '0 hosts'\n",
            [],
            'or a number of peers, got "0 hosts"',
        ),
        ("[[fault]]\nat = '1s'\ndo = 'kill'\nselect = '101% of hosts'\n", [], "expected a share"),
    ],
)
def test_a_mistake_about_hosts_is_explained(more: str, settings: list[tuple[str, str]], words: str) -> None:
    assert any(words in mistake for mistake in mistakes_in(MINIMAL + more, *settings))


def test_a_number_or_a_share_of_hosts_is_at_least_one_and_at_most_all() -> None:
    assert [
        amount_of(select, 40) for select in ("3 hosts", "1 host", "99 hosts", "10% of hosts", "1% of hosts")
    ] == [
        3,
        1,
        40,
        4,
        1,
    ]


def test_simulated_peers_of_a_host_have_one_ip_and_different_ports() -> None:
    peers = [peer_on(host, number) for host in (0, 255, 256, 65535) for number in (0, 1, PORTS - 1)]
    assert len({peer.address for peer in peers}) == 12
    assert len({ip(peer.address) for peer in peers}) == 4
    assert all(peer_at(peer.address) == peer for peer in peers)
