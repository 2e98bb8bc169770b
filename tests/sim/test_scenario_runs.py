"""Runs of scenarios: what is done is done, what is measured is what happened, and a seed gives one result."""

from __future__ import annotations

import msgspec
import pytest

from cicada.chord.io import OwnerFound
from cicada.ids import Peer
from cicada.sim.expect import judge
from cicada.sim.names import peer_number
from cicada.sim.report import report
from cicada.sim.running import LOOK, Run, RunResult
from cicada.sim.scenariofile import parse_scenario
from cicada.sim.swarm import Swarm
from cicada.sim.traffic import Members, Traffic
from cicada.sim.warm import warm_start

BASE = """\
[sim]
name = "small"
peers = {peers}
duration = "{duration}"
"""
IDEAL = '[[expect]]\ncheck = "ideal"\nwithin = "30s"\n'


def run(
    faults: str, expects: str = IDEAL, *, peers: int = 40, duration: str = "2m", seed: int = 1
) -> RunResult:
    scenario = parse_scenario(BASE.format(peers=peers, duration=duration) + faults + expects)
    running = Run(scenario, seed)
    while running.advance():
        pass
    return running.result()


def fault(do: str, more: str = 'select = "30%"', at: str = "5s") -> str:
    return f'[[fault]]\nat = "{at}"\ndo = "{do}"\n{more}\n'


@pytest.mark.parametrize("do", ["kill", "vanish", "leave"])
def test_a_share_of_the_peers_ends_and_the_others_become_ideal(do: str) -> None:
    found = run(fault(do))
    assert (found.live, found.is_ideal, found.lost_rings) == (28, True, 0)
    (ideal,) = found.reached
    assert ideal.after == 5.0
    assert ideal.seconds is not None
    assert 0 < ideal.seconds < found.seconds - ideal.after
    assert ideal.rounds_least <= ideal.rounds_mean <= ideal.rounds_most
    assert 1 <= ideal.own_rounds <= ideal.rounds_most


def test_frozen_peers_are_gone_and_come_back() -> None:
    noticed = '[[expect]]\ncheck = "noticed"\nwithin = "10s"\nafter = "5s"\n'
    found = run(fault("freeze", 'select = "10%"\nfor = "20s"'), noticed + IDEAL)
    assert (found.live, found.is_ideal) == (40, True)
    assert [(reached.check, reached.after) for reached in found.reached] == [
        ("noticed", 5.0),
        ("ideal", 25.0),
    ]
    seconds = found.reached[0].seconds
    assert seconds is not None
    assert 1.0 < seconds < 10.0, "a link to somebody frozen breaks no sooner than its time-out"
    assert min(point.at for point in found.points if point.wrong) < 7.0


def test_a_closed_link_is_noticed_at_once() -> None:
    found = run(fault("kill", "select = 1"), '[[expect]]\ncheck = "noticed"\nwithin = "1s"\n')
    seconds = found.reached[0].seconds
    assert seconds is not None
    assert seconds <= 0.01 + LOOK, "one latency, and one look"


@pytest.mark.parametrize("through", ["any", "one"])
def test_many_join_at_once(through: str) -> None:
    found = run(fault("join", f'select = "50%"\nthrough = "{through}"'))
    assert (found.live, found.is_ideal) == (60, True)


def test_halves_meet_again_and_probes_are_counted() -> None:
    found = run(fault("part", 'for = "60s"'), duration="5m")
    assert found.is_ideal
    assert max(point.wrong for point in found.points) == 40
    assert 0.02 < found.costs[0].probes <= 0.1


@pytest.mark.prove
def test_probes_and_those_that_return_them_are_at_most_one_in_ten_rounds_while_halves_merge() -> None:
    """With a probe in ten rounds and another one in return they were 0.17."""
    merging = '[[expect]]\ncheck = "probes"\nat_most = 0.1\nafter = "65s"\n'
    found = run(fault("part", 'for = "60s"'), IDEAL + merging, peers=200, duration="150s")
    assert found.is_ideal
    assert 0.05 < found.costs[-1].probes <= 0.1


def test_churn_keeps_going_until_the_end() -> None:
    churn = fault("churn", "joins = 0.3\nfailures = 0.2")
    found = run(churn, '[[expect]]\ncheck = "messages"\nat_most = 99\n')
    assert found.seconds == 120.0
    assert 40 < found.live < 75
    assert found.costs[0].messages > run("", duration="2m").costs[0].messages


def test_nothing_expected_runs_to_the_end_and_all_reached_ends_it() -> None:
    assert run("", "", duration="30s").seconds == 30.0
    assert run(fault("kill")).seconds < 30.0


def test_what_is_not_reached_is_not_reached_and_the_run_ends() -> None:
    found = run(
        fault("part", 'for = "60s"'),
        '[[expect]]\ncheck = "ideal"\nwithin = "1s"\nafter = "6s"\n',
        duration="40s",
    )
    assert (found.seconds, found.reached[0].seconds, found.is_split) == (40.0, None, True)


def test_the_same_seed_gives_the_same_result_and_another_seed_another() -> None:
    load = "[load]\nlookups = 20\nmessages = 5\n"
    churn = fault("churn", "joins = 0.2\nfailures = 0.2")
    one, same, other = (
        msgspec.json.encode(run(load + churn, "", duration="30s", seed=seed)) for seed in (3, 3, 4)
    )
    assert one == same
    assert one != other


def test_load_is_accounted_for() -> None:
    found = run("[load]\nat = '1s'\nlookups = 50\nmessages = 20\n", "", duration="21s")
    assert 850 < found.lookups.ended < 1150
    assert 300 < found.messages.settled < 500
    assert (found.lookups.failed, found.messages.failed, found.lookups.unasked) == ({}, {}, 0)
    for hops, ended in (
        (found.lookups.hops, found.lookups.ended),
        (found.messages.hops, found.messages.settled),
    ):
        assert hops is not None
        assert hops.count == ended
        assert hops.p1 <= hops.mean <= hops.p99 <= hops.most <= 3


def test_members_know_the_owner_of_every_place() -> None:
    peers = sorted((peer_number(number) for number in range(9)), key=lambda peer: peer.place)
    members = Members(tuple(peers[:8]))
    assert members.owner(peers[3].place) == peers[3]
    assert members.owner(peers[3].place + 1) == peers[4]
    assert members.owner(peers[8].place) == peers[0]
    assert members.add(peers[8])
    assert not members.add(peers[8])
    assert members.owner(peers[7].place + 1) == peers[8]
    assert members.remove(peers[8])
    assert not members.remove(peers[8])


class _Ring:
    """A calm ring whose lookups are answered by the test."""

    def __init__(self) -> None:
        self.swarm = Swarm(1)
        self.peers = [peer_number(number) for number in range(20)]
        warm_start(self.swarm, self.peers)
        text = BASE.format(peers=20, duration="1m") + "[load]\nat = '1s'\nlookups = 1\n"
        self.traffic = Traffic(self.swarm, parse_scenario(text))

    def ask(self) -> tuple[Peer, int, Peer]:
        """Have one lookup asked; its asker, its id, and who owns the place."""
        self.swarm.run_until(lambda: bool(self.traffic.open), 60.0)
        ((address, id), asked) = next(iter(self.traffic.open.items()))
        asker = next(peer for peer in self.peers if peer.address == address)
        return asker, id, next(iter(asked.owners))


def test_an_answer_that_was_true_at_no_instant_is_a_failure() -> None:
    ring = _Ring()
    asker, id, owner = ring.ask()
    wrong = next(peer for peer in ring.peers if peer not in (owner, asker))
    for observer in ring.swarm.world.observers:
        observer(ring.swarm.now, asker, OwnerFound(id, wrong, wrong, (asker,), 0))
    assert ring.traffic.lookups().failed == {"wrong-owner": 1}
    assert ring.traffic.lookups().failed_share == 1.0


def test_an_answer_that_was_true_at_the_question_or_at_the_answer_is_right() -> None:
    for ends_true in (False, True):
        ring = _Ring()
        asker, id, owner = ring.ask()
        after = ring.swarm.truth.owner(owner.place + 1)
        if owner == asker or after == asker:
            continue
        ring.swarm.crash(owner)
        ring.traffic.changed(owner)
        answer = after if ends_true else owner
        for observer in ring.swarm.world.observers:
            observer(ring.swarm.now, asker, OwnerFound(id, answer, answer, (asker,), 0))
        assert ring.traffic.lookups().failed == {}


def test_a_lookup_whose_asker_dies_is_left_out() -> None:
    ring = _Ring()
    asker, _, _ = ring.ask()
    ring.swarm.crash(asker)
    ring.traffic.changed(asker)
    found = ring.traffic.lookups()
    assert (found.ended, found.unasked) == (0, 1)


def results(*seconds: float | None) -> list[RunResult]:
    """A run for each, which became ideal after so long."""
    real = run(fault("kill"), peers=12)
    return [
        msgspec.structs.replace(
            real,
            seed=seed,
            is_ideal=value is not None,
            reached=(msgspec.structs.replace(real.reached[0], seconds=value),),
        )
        for seed, value in enumerate(seconds, 1)
    ]


@pytest.mark.parametrize(
    ("of", "seconds", "seen", "ok", "seed"),
    [
        ("worst", (3.0, 9.0, 5.0), 9.0, True, 2),
        ("worst", (3.0, 31.0, 5.0), 31.0, False, 2),
        ("worst", (3.0, None, 5.0), None, False, 2),
        ("median", (3.0, 99.0, 5.0), 5.0, True, 2),
        ("median", (None, None, 5.0), None, False, 1),
    ],
)
def test_a_verdict_is_about_the_worst_or_the_median_and_names_the_worst_seed(
    of: str, seconds: tuple[float | None, ...], seen: float | None, ok: bool, seed: int
) -> None:
    expects = IDEAL + f'of = "{of}"\n' + '[[expect]]\ncheck = "splits"\nat_most = 1\nof = "total"\n'
    scenario = parse_scenario(BASE.format(peers=12, duration="2m") + fault("kill") + expects)
    runs = results(*seconds)
    verdict, splits = judge(scenario, runs)
    assert (verdict.seen, verdict.ok, verdict.seed) == (seen, ok, seed)
    missing = seconds.count(None)
    assert (splits.seen, splits.ok) == (float(missing), missing <= 1)
    found = report(scenario, runs)
    assert found.ok is (ok and missing <= 1)
    times = next(figure for figure in found.cases[0].figures if figure.name.endswith("virtual time"))
    assert times.missing == missing
