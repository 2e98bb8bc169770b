"""Channels over whole peers in virtual time: when a third of the swarm dies at once, with the root, while peers come and go, and
when the root alters what it passes on.

``-s`` prints the figures of docs/channels.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import NamedTuple

import msgspec
import pytest

from cicada.aio import SwarmPeer
from cicada.services.channelssigned import place_of_channel
from cicada.testing import LocalSwarm
from cicada.wire.channels import ChannelMessage, Post, encode_channel
from tests.peer.whole import Member, Publishers, World, all_have, check, owner_of, seconds

NAME = "#general"
SPEAKERS = 4
RATE = 4.0  # messages a second, of all who publish together
STEADY_S = 10.0
LATE_S = 2.0  # whatever takes longer was filled in: on whole trees half of that is enough
KILLED = 0.3
WHOLE_S = 20.0  # until every survivor has its place again; the simulator's 200 need 11.5
CHURN_S = 4.0  # between two that die and are replaced
STAND_IN_S = 90.0  # three hosts have to come twice each, with growing pauses

SHORT = [World(16, 12, 1)]
LONG = [World(60, 40, seed, latency) for latency in (0.0, 0.05) for seed in (1, 2, 3, 4)]
WORLDS = [*SHORT, *(pytest.param(world, marks=pytest.mark.prove) for world in LONG)]


class Figures(NamedTuple):
    """What was lost of time. ``late``: deliveries that were filled in, of ``all``, the last at ``whole_at``; ``slowest``: seconds
    that one took at most before ``moment``, when the trouble began, and after ``whole_at``."""

    late: int
    all: int
    whole_at: float
    slowest: float


@asynccontextmanager
async def channel(world: World) -> AsyncIterator[tuple[LocalSwarm, list[Member]]]:
    """A swarm, and the members of one channel in it, which all have joined."""
    async with LocalSwarm(world.peers, seed=world.seed) as swarm:
        members = [Member(peer, NAME) for peer in swarm.peers[: world.members]]
        try:
            await asyncio.gather(*(member.join() for member in members))
            yield swarm, members
        finally:
            for member in members:
                member.end()


def root_of(swarm: LocalSwarm) -> SwarmPeer:
    return owner_of(place_of_channel(NAME), swarm.peers)


def figures(members: Sequence[Member], published: Publishers, moment: float) -> Figures:
    took = [
        (published.told[heard.origin, heard.number], heard.at) for member in members for heard in member.heard
    ]
    late = [at for said, at in took if at - said > LATE_S]
    whole_at = max(late, default=0.0)
    calm = [at - said for said, at in took if said > max(whole_at, moment) or at < moment]
    return Figures(len(late), len(took), whole_at, max(calm, default=0.0))


# A third dies


async def a_third_dies(world: World) -> None:
    """The root is among them, and one that publishes."""
    async with channel(world) as (swarm, members):
        root = root_of(swarm)
        speakers = [member for member in members if member.peer is not root][:SPEAKERS]
        began = seconds()
        published = Publishers(speakers, RATE)
        await asyncio.sleep(STEADY_S)
        said = {member.peer for member in speakers}
        others = [peer for peer in swarm.peers if peer is not root and peer not in said]
        doomed = Random(world.seed).sample(others, round(world.peers * KILLED) - 2)
        moment = seconds()
        for peer in (root, speakers[0].peer, *doomed):
            peer.kill()
        survivors = [member for member in members if member.peer.bound]
        await asyncio.sleep(WHOLE_S + STEADY_S)
        await published.end()
        lasting = published.since(began, speakers[1:])
        await all_have(survivors, lambda _: lasting)
        await asyncio.sleep(STEADY_S)  # in which anything might come again
        check(survivors, published)
        found = figures(survivors, published, moment)
        assert found.late, "the tree was hurt"
        assert found.whole_at - moment <= WHOLE_S
        print(
            f"\n{world}: {len(doomed) + 2} killed, whole after {found.whole_at - moment:.1f} s, {found.late} of {found.all}"
            f" deliveries filled in; on whole trees the slowest took {found.slowest:.2f} s"
        )


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_all_that_live_get_everything_once_and_in_order_though_a_third_and_the_root_died(
    world: World,
) -> None:
    world.run(a_third_dies)


# Peers come and go


async def peers_come_and_go(world: World) -> None:
    """Every few seconds one dies, the root of that moment each third time, and another one joins."""
    async with channel(world) as (swarm, members):
        rng = Random(world.seed)
        speakers = [member for member in members if member.peer is not root_of(swarm)][:SPEAKERS]
        spared = {member.peer for member in speakers}
        began = seconds()
        published = Publishers(speakers, RATE)
        roots = 0
        for turn in range(world.peers // 4):
            root = root_of(swarm)
            takes_root = turn % 3 == 0 and root not in spared
            roots += takes_root
            await swarm.kill(root if takes_root else rng.choice([p for p in swarm.peers if p not in spared]))
            newcomer = Member(await swarm.add(), NAME)
            members.append(newcomer)
            await newcomer.join()
            await asyncio.sleep(CHURN_S)
        ended = seconds()
        await asyncio.sleep(WHOLE_S)
        await published.end()
        alive = [member for member in members if member.peer.bound]
        await all_have(alive, lambda member: published.since(max(began, member.joined_at), speakers))
        await asyncio.sleep(STEADY_S)
        check(alive, published)
        found = figures(alive, published, began)
        print(
            f"\n{world}: {world.peers // 4} replaced in {ended - began:.0f} s, {roots} of them roots; the last"
            f" late delivery {found.whole_at - ended:.1f} s after that, "
            f"{found.late} of {found.all} deliveries filled in"
        )


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_members_get_everything_once_and_in_order_from_joining_on_while_peers_come_and_go(
    world: World,
) -> None:
    world.run(peers_come_and_go)


# A root that alters


async def the_root_alters(world: World) -> None:
    """All that it passes on is not what was signed. Others follow the owner of the place, and stand in."""

    def altered(message: ChannelMessage) -> bytes:
        if isinstance(message, Post):
            message = msgspec.structs.replace(message, payload=message.payload + b"!")
        return encode_channel(message)

    async with channel(world) as (swarm, members):
        root = root_of(swarm)
        root._channels.encode = altered  # type: ignore[union-attr]
        honest = [member for member in members if member.peer is not root]
        published = Publishers(honest[:SPEAKERS], RATE)
        await asyncio.sleep(STAND_IN_S)
        moment = seconds()
        await asyncio.sleep(STEADY_S)
        await published.end()
        told = published.since(moment, honest)
        await all_have(honest, lambda _: told)
        check(honest, published)
        assert figures(honest, published, moment).whole_at < moment, (
            "there is a tree, and not only members that compare"
        )


def test_another_peer_stands_in_for_a_root_that_alters_messages() -> None:
    World(10, 8, 1).run(the_root_alters)
