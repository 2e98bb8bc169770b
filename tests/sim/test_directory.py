"""The directory of names in whole swarms: nobody's name is lost or doubled while the ring lives, and liars change no answer.

A run repeats from its seed, which stands in the test's name.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from cicada.limits import KEYS, NAMES
from cicada.services.nameio import Refused, Registered
from cicada.services.namerecords import rank_of, sign_name
from cicada.sim import nameliars
from cicada.sim.directory import DirectorySwarm, Keeping, Weather
from cicada.sim.seeds import split

REPAIRED = NAMES.repair + NAMES.refresh
SEEDS = pytest.mark.parametrize("seed", range(2))


def settled(seed: int, peers: int, names: int, weather: Weather | None = None) -> DirectorySwarm:
    """A swarm in which name ``n5`` is that of the peer number 5, counted round."""
    swarm = DirectorySwarm(seed, peers, weather)
    for number in range(names):
        swarm.register(swarm.up[number % peers], f"n{number}")
    swarm.run(30.0)
    assert all(isinstance(answer, Registered) for answer, _ in swarm.answers.values())
    assert len(swarm.answers) == names
    return swarm


def owners(swarm: DirectorySwarm, asker: Keeping, names: int) -> list[str]:
    """Whose each name is, as one peer resolves them; reasons for those that are nobody's."""
    requests = [swarm.resolve(asker, f"n{number}") for number in range(names)]
    swarm.run(10.0)
    found = []
    for request in requests:
        answer, _ = swarm.answers[request]
        assert not isinstance(answer, Registered | Refused)
        found.append(answer.record.address if answer.record else answer.reason)
    return found


def addresses(nodes: list[Keeping], names: int) -> list[str]:
    return [nodes[number % len(nodes)].peer.address for number in range(names)]


def outsider(swarm: DirectorySwarm, name: str) -> Keeping:
    """A peer that does not keep the name."""
    kept = {node.peer for node in swarm.replicas(name)}
    return next(node for node in reversed(swarm.up) if node.peer not in kept)


def test_what_one_peer_registers_all_others_resolve_in_any_spelling() -> None:
    swarm = DirectorySwarm(1, 50)
    alice = swarm.up[0]
    assert isinstance(swarm.registered(alice, "Alice"), Registered)
    for node in swarm.up:
        record = swarm.resolved(node, "ALICE").record
        assert record is not None
        assert (record.address, record.peer_id) == (alice.peer.address, alice.identity.peer_id)
    assert swarm.resolved(alice, "bob").reason == "no-such-name"
    assert len(swarm.keepers("alice")) == NAMES.replicas


@pytest.mark.parametrize("peers", [1, 2, 3])
def test_the_smallest_rings_have_a_directory_too(peers: int) -> None:
    swarm = DirectorySwarm(2, peers)
    assert isinstance(swarm.registered(swarm.up[0], "alice"), Registered)
    swarm.run(60.0)
    assert swarm.resolved(swarm.up[-1], "alice").record is not None
    assert len(swarm.keepers("alice")) == peers


def test_a_name_is_its_owners_only_until_he_gives_it_back() -> None:
    swarm = DirectorySwarm(3, 30)
    alice, bob = swarm.up[:2]
    swarm.registered(alice, "alice")
    swarm.run(NAMES.settle + 1)
    refused = swarm.registered(bob, "alice")
    assert isinstance(refused, Refused)
    assert refused.reason == "taken"
    assert refused.holder is not None
    assert refused.holder.address == alice.peer.address
    swarm.release(bob, "alice")  # not his to give back
    swarm.run(5.0)
    assert isinstance(swarm.registered(bob, "alice"), Refused)
    swarm.release(alice, "alice")
    swarm.run(2.0)
    assert swarm.resolved(swarm.up[5], "alice").reason == "no-such-name"
    assert isinstance(swarm.registered(bob, "alice"), Registered)


@SEEDS
def test_of_two_who_register_at_once_all_see_the_same_one_and_the_other_is_told(seed: int) -> None:
    swarm = DirectorySwarm(seed, 60)
    for number in range(20):
        first, second = swarm.up[2 * number], swarm.up[2 * number + 1]
        swarm.register(first, f"both{number}")
        swarm.run(0.2 * number)
        swarm.register(second, f"both{number}")
    swarm.run(NAMES.settle + NAMES.ask + 5.0)
    refused = sum(isinstance(answer, Refused) for answer, _ in swarm.answers.values())
    assert refused + len(swarm.lost) == 20
    for number in range(20):
        pair = swarm.up[2 * number : 2 * number + 2]
        held = swarm.keepers(f"both{number}")
        assert len({record.peer_id for record in held.values()}) == 1
        winner = next(iter(held.values()))
        told = [node for node, lost in swarm.lost if lost.name == f"both{number}"]
        assert all(node.identity.peer_id != winner.peer_id for node in told)
        if number <= 10:  # within two seconds: the rank decides, whoever was first
            better = min(pair, key=lambda node: rank(node, winner.name))
            assert winner.peer_id == better.identity.peer_id


def rank(node: Keeping, name: str) -> bytes:
    return rank_of(sign_name(node.identity, name, "", "", sequence=0, now_ms=0, expires_ms=0).record)


def test_a_lease_is_renewed_as_long_as_its_owner_is_up_and_ends_on_time_after() -> None:
    swarm = DirectorySwarm(4, 40)
    alice = swarm.up[0]
    swarm.registered(alice, "alice", 120.0)
    asker = outsider(swarm, "alice")
    for _ in range(10):
        swarm.run(60.0)
        assert swarm.resolved(asker, "alice").record is not None
    swarm.kill(alice)
    swarm.run(10.0)
    record = swarm.resolved(asker, "alice").record
    assert record is not None
    left = (record.expires_ms - asker.wall_ms()) / 1000
    assert 50.0 < left <= 120.0
    swarm.run(left - NAMES.ask)
    assert swarm.resolved(asker, "alice").record is not None
    swarm.run(NAMES.ask)
    assert swarm.resolved(asker, "alice").reason == "no-such-name"
    bob = swarm.up[1]
    assert isinstance(swarm.registered(bob, "alice"), Refused)  # its owner's clock may be behind
    swarm.run(KEYS.clock_skew)
    assert isinstance(swarm.registered(bob, "alice"), Registered)


@SEEDS
def test_thirty_percent_of_200_die_at_once_and_only_names_whose_replicas_all_died_are_gone_for_a_minute(
    seed: int,
) -> None:
    swarm = settled(seed, 200, 300)
    all_nodes = list(swarm.nodes.values())
    replicas = {number: swarm.replicas(f"n{number}") for number in range(300)}
    for node in split(seed, "kill").sample(swarm.up, 60):
        swarm.kill(node)
    unlucky = {number for number, nodes in replicas.items() if not any(node.is_up for node in nodes)}
    assert len(unlucky) < 30
    swarm.run(5.0)
    asker, expected = swarm.up[7], addresses(all_nodes, 300)
    found = owners(swarm, asker, 300)
    assert {number for number in range(300) if found[number] != expected[number]} <= unlucky
    swarm.run(REPAIRED)
    gone = {number for number in unlucky if not all_nodes[number % 200].is_up}
    found = owners(swarm, asker, 300)
    assert {number for number in range(300) if found[number] != expected[number]} == gone
    assert Counter(len(swarm.keepers(f"n{number}")) for number in range(300)) == +Counter(
        {3: 300 - len(gone), 0: len(gone)}
    )
    assert swarm.lost == []


@SEEDS
def test_under_churn_no_name_is_lost_while_fewer_than_all_replicas_die_within_a_repair(seed: int) -> None:
    swarm = settled(seed, 60, 60, Weather(loss=0.02, skew=100.0))
    rng, everybody = split(seed, "churn"), list(swarm.nodes.values())
    asker, keep_up = everybody[0], set(range(0, 60, 2))  # half stay: names of those that go lapse some time
    fresh = 1000
    for _ in range(40):
        candidates = [node for node in swarm.up if node is not asker and is_goner(node, everybody, keep_up)]
        swarm.kill(rng.choice(candidates))
        swarm.start(fresh)
        fresh += 1
        swarm.run(20.0)
        number = rng.choice(sorted(keep_up))
        answer = swarm.resolved(asker, f"n{number}")
        assert answer.record is not None
        assert answer.record.peer_id == everybody[number].identity.peer_id
    assert swarm.lost == []
    swarm.run(REPAIRED)
    expected = addresses(everybody, 60)
    found = owners(swarm, asker, 60)
    assert [found[number] for number in keep_up] == [expected[number] for number in keep_up]


def is_goner(node: Keeping, everybody: list[Keeping], keep_up: set[int]) -> bool:
    return node not in everybody or everybody.index(node) not in keep_up


def test_a_name_outlives_its_owner_until_its_lease_ends_though_its_replicas_die_one_after_another() -> None:
    swarm = settled(13, 40, 8)
    asker, alone = swarm.up[39], swarm.up[:8]
    for node in alone:
        swarm.kill(node)
        swarm.run(NAMES.repair + 5.0)
    for number in range(8):
        first, second = [node for node in swarm.replicas(f"n{number}") if node is not asker][:2]
        swarm.kill(first)
        swarm.kill(second)
        swarm.start(1000 + 2 * number)
        swarm.start(1001 + 2 * number)
        swarm.run(NAMES.repair + 5.0)
    for number in range(8):
        assert len(swarm.keepers(f"n{number}")) == NAMES.replicas
    assert owners(swarm, asker, 8) == addresses(alone, 8)


def test_who_no_longer_keeps_a_name_forgets_it_once_all_that_do_have_it() -> None:
    swarm = settled(5, 20, 40)
    for number in range(100, 140):
        swarm.start(number)
    swarm.run(3 * NAMES.repair)
    for number in range(40):
        assert set(swarm.keepers(f"n{number}")) == {
            node.peer.address for node in swarm.replicas(f"n{number}")
        }
    assert sum(node.names.counted["name-handed-over"] for node in swarm.up) > 40


@SEEDS
def test_both_sides_of_a_partition_register_and_after_it_one_owner_is_left_everywhere(seed: int) -> None:
    swarm = DirectorySwarm(seed, 60)
    rng = split(seed, "sides")
    everybody = swarm.up
    left = rng.sample(everybody, 30)
    right = [node for node in everybody if node not in left]
    swarm.cut([left, right])
    swarm.run(10.0)
    for number in range(20):
        assert isinstance(swarm.registered(left[number], f"n{number}"), Registered)
        assert isinstance(swarm.registered(right[number], f"n{number}"), Registered)
    swarm.run(120.0)
    swarm.heal()
    swarm.run(2 * REPAIRED)
    for number in range(20):
        held = swarm.keepers(f"n{number}")
        assert len(held) == NAMES.replicas
        assert len({record.peer_id for record in held.values()}) == 1
    assert len(swarm.lost) == 20
    assert len({lost.name for _, lost in swarm.lost}) == 20
    for asker in rng.sample(swarm.up, 3):
        found = owners(swarm, asker, 20)
        assert found == owners(swarm, swarm.up[0], 20)
        assert all(found[number] in pair(left, right, number) for number in range(20))


def seen(swarm: DirectorySwarm, name: str, askers: list[Keeping]) -> set[str]:
    """Whose several peers say that a name is, asked at the same moment; those left out who say that it is nobody's."""
    requests = [swarm.resolve(asker, name) for asker in askers]
    swarm.run(1.0)
    answers = [swarm.answers[request][0] for request in requests if request in swarm.answers]
    return {answer.record.peer_id for answer in answers if not isinstance(answer, Refused) and answer.record}


@SEEDS
def test_two_see_different_owners_of_a_name_at_one_time_in_the_stated_windows_only(seed: int) -> None:
    swarm = DirectorySwarm(seed, 40)
    rng = split(seed, "askers")
    sides = swarm.up[:20], swarm.up[20:]
    for number in range(10):
        swarm.register(sides[0][number], f"n{number}")
        swarm.register(sides[1][number], f"n{number}")
    swarm.run(NAMES.settle + NAMES.cached)
    for _ in range(5):
        assert all(len(seen(swarm, f"n{number}", rng.sample(swarm.up, 5))) <= 1 for number in range(10))
    swarm.cut(sides)
    swarm.run(10.0)
    for number in range(10):
        swarm.register(sides[0][number], f"m{number}")
        swarm.register(sides[1][number], f"m{number}")
    swarm.run(100.0)
    swarm.heal()
    swarm.run(3.0 + NAMES.repair + 2 * NAMES.ask + NAMES.cached)
    for _ in range(5):
        for name in (f"{letter}{number}" for letter in "nm" for number in range(10)):
            assert len(seen(swarm, name, rng.sample(swarm.up, 5))) <= 1


def pair(left: list[Keeping], right: list[Keeping], number: int) -> tuple[str, str]:
    return left[number].peer.address, right[number].peer.address


@pytest.mark.parametrize("kind", ["old", "none", "silent", "forged"])
def test_one_honest_replica_is_enough_against_any_that_show_old_forged_or_no_records(kind: str) -> None:
    swarm = DirectorySwarm(6, 60)
    lie = nameliars.old() if kind == "old" else getattr(nameliars, kind)
    for number in range(10):
        name, alice = f"n{number}", swarm.up[number]
        liars = swarm.replicas(name)[: NAMES.replicas - 1]
        for liar in liars:
            liar.lie = lie if kind == "old" else None
        first = swarm.registered(alice, name)
        second = swarm.registered(alice, name, 7200.0)
        assert isinstance(first, Registered)
        assert isinstance(second, Registered)
        for liar in liars:
            liar.lie = lie
        assert swarm.resolved(outsider(swarm, name), name).record == second.record
        for liar in liars:
            liar.lie = None


@SEEDS
def test_one_replica_that_claims_every_name_gets_none_while_two_are_honest(seed: int) -> None:
    swarm = settled(seed, 60, 30)
    rng = Random(seed)
    for number in range(30):
        liar = rng.choice(swarm.replicas(f"n{number}"))
        liar.lie = nameliars.rival
        asker = next(node for node in swarm.up if node.lie is None)
        record = swarm.resolved(asker, f"n{number}").record
        assert record is not None
        assert record.address == swarm.up[number].peer.address
        swarm.run(NAMES.repair)
        assert swarm.keepers(f"n{number}")
        liar.lie = None
    assert swarm.lost == []


def test_against_one_honest_and_one_silent_replica_a_rival_makes_no_answer_but_no_wrong_one() -> None:
    swarm = settled(7, 60, 10)
    for number in range(10):
        one, other, _ = swarm.replicas(f"n{number}")
        one.lie, other.lie = nameliars.rival, nameliars.silent
        answer = swarm.resolved(outsider(swarm, f"n{number}"), f"n{number}")
        assert (answer.record, answer.reason) == (None, "disputed")
        one.lie = other.lie = None


def test_readers_tell_replicas_that_are_behind() -> None:
    swarm = DirectorySwarm(8, 30)
    alice = outsider(swarm, "alice")
    liar = swarm.replicas("alice")[0]
    liar.lie = nameliars.none
    swarm.registered(alice, "alice")
    liar.lie = None
    assert len(swarm.keepers("alice")) == 2
    swarm.resolved(swarm.up[0], "alice")
    swarm.run(1.0)
    assert len(swarm.keepers("alice")) == 3


def test_a_squatter_fills_nobodys_store_and_others_still_register() -> None:
    swarm = DirectorySwarm(9, 10)
    squatter = swarm.up[0]
    for number in range(200):
        swarm.register(squatter, f"squat{number}")
        swarm.run(0.05)
    swarm.run(20.0)
    got = [answer for answer, _ in swarm.answers.values() if isinstance(answer, Registered)]
    assert len(got) <= NAMES.own
    assert isinstance(swarm.registered(swarm.up[1], "mine"), Registered)
    reasons = Counter(answer.reason for answer, _ in swarm.answers.values() if isinstance(answer, Refused))
    assert set(reasons) <= {"too-many-names", "busy", "full"}


def test_a_peer_that_comes_back_at_its_address_has_its_names_again() -> None:
    swarm = DirectorySwarm(10, 30, Weather(skew=200.0))
    alice = swarm.up[3]
    swarm.registered(alice, "alice")
    swarm.kill(alice)
    swarm.run(10.0)
    again = swarm.start(3)
    swarm.run(10.0)
    again.skew_ms = (
        alice.skew_ms - 100_000
    )  # its clock has been set back: sequences it signed are ahead of it
    assert isinstance(swarm.registered(again, "alice"), Registered)
    asker = outsider(swarm, "alice")
    record = swarm.resolved(asker, "alice").record
    assert record is not None
    assert record.peer_id == alice.identity.peer_id


def test_a_run_repeats_from_its_seed() -> None:
    runs = []
    for _ in range(2):
        swarm = settled(11, 30, 30, Weather(loss=0.1))
        for node in split(11, "kill").sample(swarm.up, 10):
            swarm.kill(node)
        swarm.run(100.0)
        runs.append(
            (swarm.sent, sorted(swarm.answers), [len(swarm.keepers(f"n{number}")) for number in range(30)])
        )
    assert runs[0] == runs[1]
    assert settled(12, 30, 30).sent != runs[0][0]
