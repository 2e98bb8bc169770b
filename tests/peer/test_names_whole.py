"""Names over whole peers in virtual time: when a third of the swarm dies at once, when owners come back elsewhere or do not come
back, and when two want the same name at the same moment.

``-s`` prints the figures of docs/names.md.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from random import Random
from typing import NamedTuple

import pytest

from cicada.aio import SwarmPeer
from cicada.errors import DeliveryTimeout, NameTaken, RingNotReady
from cicada.ids import RING_SIZE
from cicada.keys.identity import Identity
from cicada.limits import KEYS, NAMES
from cicada.services.namerecords import NameRecord, place_of_name
from cicada.testing import LocalSwarm
from tests.peer.whole import PATIENCE_S, World, seconds

KILLED = 0.3
QUIET_S = 10.0
TRIES = 5
BACK_S = 60.0  # "if its owner is up, it is back within a minute"
NOTICED_S = 10.0  # the ring has noticed a death, and replicas have looked: 6 of these
SEEN_S = NAMES.cached + 2.0  # what is remembered is gone, and a cold question with its handshakes took two
AGREED_S = 30.0  # the owner's second look after 5, again where too few answered, and what is remembered
Names = dict[str, SwarmPeer]

SHORT = [World(16, 6, 1)]
LONG = [World(60, 20, seed, latency) for latency in (0.0, 0.05) for seed in (1, 2, 3)]
WORLDS = [*SHORT, *(pytest.param(world, marks=pytest.mark.prove) for world in LONG)]


class Found(NamedTuple):
    """What one peer heard of one name, once it was right. ``tries``: questions; ``nobodys``: how many had that answer. The last
    question was asked at ``asked_at`` and answered at ``at``."""

    name: str
    tries: int
    nobodys: int
    asked_at: float
    at: float


async def registered(owners: Names, lease: float = NAMES.lease) -> dict[str, NameRecord]:
    """All at once."""
    records = await asyncio.gather(*(peer.register(name, lease) for name, peer in owners.items()))
    return dict(zip(owners, records, strict=True))


async def find(peer: SwarmPeer, record: NameRecord) -> Found:
    """Ask until there is an answer, which is the owner's."""
    nobodys = tries = 0
    while True:
        tries += 1
        asked_at = seconds()
        try:
            found = await peer.resolve(record.name)
        except (RingNotReady, DeliveryTimeout):
            found = None
        else:
            nobodys += found is None
        if found is not None:
            assert (found.peer_id, found.address) == (record.peer_id, record.address)
            return Found(record.name, tries, nobodys, asked_at, seconds())
        await asyncio.sleep(0.5)


async def find_all(peers: Iterable[SwarmPeer], records: Iterable[NameRecord]) -> list[Found]:
    """Each asks for one name after another."""
    wanted = list(records)

    async def one(peer: SwarmPeer) -> list[Found]:
        return [await find(peer, record) for record in wanted]

    return [found for each in await asyncio.gather(*map(one, peers)) for found in each]


async def seen_by(peers: Iterable[SwarmPeer], name: str) -> set[NameRecord | None]:
    """All answers to the question whose it is."""
    return set(await asyncio.gather(*(answer_of(peer, name) for peer in peers)))


async def answer_of(peer: SwarmPeer, name: str) -> NameRecord | None:
    """None: nobody's. Who hears nothing in time asks again, as it is told to: on a slow network handshakes take most of that."""
    for _ in range(TRIES):
        with suppress(RingNotReady):
            return await peer.resolve(name)
    raise AssertionError(f"{peer.address} got no answer about {name}")


def replicas_of(name: str, peers: Iterable[SwarmPeer]) -> list[SwarmPeer]:
    """As the sorted ring says."""
    place = place_of_name(name)
    return sorted(peers, key=lambda peer: (peer.hash - place) % RING_SIZE)[: NAMES.replicas]


# A third dies


async def a_third_dies(world: World) -> None:
    """From that moment on every survivor asks for every name. Those who die own none."""
    async with LocalSwarm(world.peers, seed=world.seed) as swarm:
        owners = {f"name-{number}": swarm[number] for number in range(world.members)}
        records = await registered(owners)
        await asyncio.sleep(QUIET_S)
        doomed = Random(world.seed).sample(swarm.peers[world.members :], round(world.peers * KILLED))
        orphaned = {name for name in owners if set(replicas_of(name, swarm.peers)) <= set(doomed)}
        moment = seconds()
        for peer in doomed:
            peer.kill()
        answers = await find_all(swarm.peers, records.values())
        assert len(answers) == len(swarm.peers) * len(owners)
        for found in answers:
            assert found.asked_at - moment <= BACK_S, found
            assert found.name in orphaned or not found.nobodys, found
        again = await find_all(swarm.peers, records.values())
        assert all(found.tries == 1 for found in again), "nothing is lost later"
        print(
            f"\n{world}: {len(doomed)} killed, {len(orphaned)} names lost all replicas; {told(answers, moment)}"
        )


def told(answers: list[Found], moment: float) -> str:
    took = sorted(found.at - found.asked_at for found in answers)
    failed = [found.asked_at - moment for found in answers if found.tries > 1]
    return (
        f"{sum(found.tries for found in answers)} questions for {len(answers)} answers, which took {took[len(took) // 2]:.2f} s in"
        f" the median, {took[-1]:.1f} s at most; {len(failed)} were asked again, until {max(failed, default=0.0):.1f} s after"
    )


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_names_are_resolved_rightly_by_all_that_live_within_a_minute_after_a_third_died(world: World) -> None:
    world.run(a_third_dies)


async def replicas_die_in_two_steps(world: World) -> None:
    """Of three replicas two die, and the third before it has looked at the name of itself, or the owner has."""
    async with LocalSwarm(world.peers, seed=world.seed) as swarm:
        owner = swarm[0]
        others = swarm.peers[1:]
        name = next(name for name in map(str, range(1000)) if owner not in replicas_of(name, swarm.peers))
        record = await owner.register(name)
        await asyncio.sleep(
            NAMES.settle + NAMES.ask + 1.0
        )  # the owner has looked again, and does so after a minute
        first, second, third = replicas_of(name, swarm.peers)
        for peer in (first, second):
            peer.kill()
        await asyncio.sleep(NOTICED_S)
        third.kill()
        await swarm.proven()
        (asker, *_) = (peer for peer in others if peer.bound)
        found = await find(asker, record)
        assert found.nobodys == 0
        assert found.at < NAMES.repair, "neither the owner nor a look that was due anyway brought it back"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_replicas_hand_a_name_on_soon_after_their_neighbours_died(seed: int) -> None:
    World(12, 1, seed).run(replicas_die_in_two_steps)


# Owners


async def owners_come_back(world: World) -> None:
    """At other addresses, with the same keys."""
    async with LocalSwarm(world.peers, seed=world.seed) as swarm:
        keys = Identity.generate(Random(world.seed))
        before = SwarmPeer("127.0.0.1", 5000, identity=keys)
        await before.connect(swarm[0])
        old = await before.register("mover")
        longer = await before.register("mover", NAMES.lease * 2)
        assert longer.expires_ms > old.expires_ms
        await asyncio.sleep(SEEN_S)
        assert await seen_by(swarm.peers, "mover") == {longer}
        before.kill()
        await swarm.proven()
        after = SwarmPeer("127.0.0.1", 5001, identity=keys)
        await after.connect(swarm[0])
        new = await after.register("mover")
        assert (new.peer_id, new.address) == (old.peer_id, after.address)
        await asyncio.sleep(SEEN_S)
        assert await seen_by(swarm.peers, "mover") == {new}


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_what_an_owner_changes_and_where_it_comes_back_is_seen_by_all_seconds_later(world: World) -> None:
    world.run(owners_come_back)


async def an_owner_dies(world: World) -> None:
    """With a lease of a minute, which nobody renews any more."""
    async with LocalSwarm(world.peers, seed=world.seed) as swarm:
        began = seconds()
        first = await swarm[1].register("gone", NAMES.lease_min)
        await asyncio.sleep(NAMES.lease_min + QUIET_S)  # it was renewed at half of that, and once more
        last = await swarm[2].resolve("gone")
        assert last is not None
        assert last.sequence > first.sequence
        swarm[1].kill()
        expires = began + (last.expires_ms - first.issued_ms) / 1000
        await until(expires - 2 * QUIET_S)
        assert await seen_by(swarm.peers, "gone") == {last}
        await until(expires)
        assert await seen_by(swarm.peers, "gone") == {None}
        await until(expires + KEYS.clock_skew - QUIET_S)
        with pytest.raises(NameTaken):
            await swarm[3].register("gone")
        await until(expires + KEYS.clock_skew)
        taken = await swarm[3].register("gone")
        assert await seen_by(swarm.peers, "gone") == {taken}


async def until(moment: float) -> None:
    await asyncio.sleep(moment - seconds() + 0.001)


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_the_name_of_a_dead_owner_expires_in_its_second_and_is_free_five_minutes_later(world: World) -> None:
    world.run(an_owner_dies)


async def a_registration_is_given_up(world: World) -> None:
    async with LocalSwarm(world.peers, seed=world.seed) as swarm:
        with pytest.raises(DeliveryTimeout):
            await swarm[1].register("unwanted", timeout=0.0)
        await asyncio.sleep(QUIET_S)
        assert await seen_by(swarm.peers, "unwanted") == {None}
        again = await swarm[2].register("unwanted")
        with pytest.raises(DeliveryTimeout):
            await swarm[2].register("unwanted", NAMES.lease_min, timeout=0.0)
        await asyncio.sleep(QUIET_S)
        (kept,) = await seen_by(swarm.peers, "unwanted")
        assert kept is not None, "what it had before it keeps"
        assert kept.peer_id == again.peer_id


def test_who_gave_up_waiting_for_a_registration_is_not_left_with_the_name() -> None:
    World(8, 1, 1).run(a_registration_is_given_up)


async def two_want_each_name(world: World) -> set[str]:
    """At the same moment. Returns the names that both were told were theirs."""
    async with LocalSwarm(world.peers, seed=world.seed) as swarm:
        rng = Random(world.seed)
        pairs = {f"name-{number}": rng.sample(swarm.peers, 2) for number in range(world.members)}
        attempts = [(name, peer) for name, pair in pairs.items() for peer in pair]
        outcomes = await asyncio.gather(*(attempt(peer, name) for name, peer in attempts))
        winners = Counter(name for (name, _), is_won in zip(attempts, outcomes, strict=True) if is_won)
        assert set(winners) == set(pairs), "somebody got each"
        await asyncio.sleep(AGREED_S)
        for name, pair in pairs.items():
            (record,) = await seen_by(swarm.peers, name)
            assert record is not None
            assert record.address in {peer.address for peer in pair}
        return {name for name, count in winners.items() if count == 2}


async def attempt(peer: SwarmPeer, name: str) -> bool:
    for _ in range(TRIES):
        try:
            await peer.register(name, timeout=PATIENCE_S)
        except NameTaken:
            return False
        except RingNotReady:
            continue
        return True
    raise AssertionError(f"{peer.address} could neither get {name} nor was it taken")


def lost_name(message: str) -> str:
    """What an owner is told of in its log."""
    found = re.fullmatch(r"the name '(.*)' is this peer's no more: .*", message)
    return found[1] if found else ""


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_of_two_that_register_a_name_at_the_same_moment_one_keeps_it_and_the_other_is_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    both = world.run(two_want_each_name)
    lost = [name for name in map(lost_name, caplog.messages) if name]
    assert sorted(lost) == sorted(both)
    print(f"\n{world}: {len(both)} of {world.members} names were both's at first")
