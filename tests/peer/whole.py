"""Channels of whole peers in virtual time: what every member heard, and whether that is what docs/channels.md promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from cicada.aio import Channel, SwarmPeer
from cicada.ids import RING_SIZE, Place
from cicada.testing import virtual

T = TypeVar("T")
PATIENCE_S = 60.0
Told = tuple[str, int]
"""Which message: by whom it was published, and its number."""


class World(NamedTuple):
    """A swarm of so many ``peers``, of which the first ``members`` are in the channel, or have a name each. ``latency``: seconds
    one way, at least; up to as many more are drawn."""

    peers: int
    members: int
    seed: int
    latency: float = 0.0

    def run(self, scenario: Callable[[World], Coroutine[Any, Any, T]]) -> T:
        """What a scenario returns of this world, in virtual time."""
        return virtual(lambda: scenario(self), seed=self.seed, latency=self.latency, jitter=self.latency)


class Heard(NamedTuple):
    """A message as one member got it."""

    origin: str
    number: int
    data: bytes
    at: float


def seconds() -> float:
    """Virtual ones, since the beginning."""
    return asyncio.get_running_loop().time()


def owner_of(place: Place, peers: Iterable[SwarmPeer]) -> SwarmPeer:
    """The first peer at or after a place on the ring."""
    return min(peers, key=lambda peer: (peer.hash - place) % RING_SIZE)


class Member:
    """One peer's membership, from its joining on. ``heard``: what it got, in order."""

    def __init__(self, peer: SwarmPeer, name: str) -> None:
        self.peer = peer
        self.address: str = peer.address
        self.channel: Channel = peer.channel(name)
        self.heard: list[Heard] = []
        self.joined_at = float("inf")
        self._hearing: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Returns when it has its place in the tree."""
        await self.channel.join(PATIENCE_S)
        self.joined_at = asyncio.get_running_loop().time()
        self._hearing = asyncio.create_task(self._hear())

    def end(self) -> None:
        """Hear nothing more."""
        if self._hearing is not None:
            self._hearing.cancel()

    def lacks(self, told: Iterable[Told]) -> list[Told]:
        """Which of these it has not got. Its own messages do not come back to it."""
        got = {(heard.origin, heard.number) for heard in self.heard}
        return [one for one in told if one[0] != self.address and one not in got]

    async def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        async for message in self.channel:
            origin = f"{message.source.host}:{message.source.port}"
            self.heard.append(Heard(origin, message.number, message.data, loop.time()))


class Publishers:
    """Some members, which take turns at a steady rate. ``told``: what they published, and when."""

    def __init__(self, members: Sequence[Member], per_second: float) -> None:
        self.told: dict[Told, float] = {}
        self._members = members
        self._pause = 1.0 / per_second
        self._is_ending = False
        self._task = asyncio.create_task(self._publish())

    def since(self, moment: float, origins: Iterable[Member]) -> list[Told]:
        """What these have published from that moment on."""
        wanted = {member.address for member in origins}
        return [told for told, at in self.told.items() if at >= moment and told[0] in wanted]

    async def end(self) -> None:
        """Publish nothing more. Raises what publishing raised."""
        self._is_ending = True
        await self._task

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        turn = 0
        while not self._is_ending:
            turn += 1
            member = self._members[turn % len(self._members)]
            if member.peer.bound:
                at = loop.time()
                number = await member.channel.publish(data_of(member.address, turn), PATIENCE_S)
                self.told[member.address, number] = at
            await asyncio.sleep(self._pause)


def data_of(address: str, turn: int) -> bytes:
    """What is published: no two are alike."""
    return f"{address} {turn}".encode()


def check(members: Iterable[Member], published: Publishers) -> None:
    """Nobody got anything twice, out of its origin's order, or that was not published so; and all that is missing was counted."""
    for member in members:
        for origin in {heard.origin for heard in member.heard}:
            numbers = [heard.number for heard in member.heard if heard.origin == origin]
            assert all(one < other for one, other in pairwise(numbers)), (member.address, origin, numbers)
        for heard in member.heard:
            assert (heard.origin, heard.number) in published.told, (member.address, heard)
            assert heard.data.startswith(heard.origin.encode()), (member.address, heard)


async def all_have(members: Sequence[Member], told: Callable[[Member], list[Told]]) -> float:
    """Returns the virtual seconds until every member has all that ``told`` says of it. Fails after PATIENCE_S."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while lacking := {member.address: lack for member in members if (lack := member.lacks(told(member)))}:
        assert loop.time() - began < PATIENCE_S, _shown(lacking)
        await asyncio.sleep(0.1)
    return loop.time() - began


def _shown(lacking: dict[str, list[Told]]) -> str:
    address, lack = next(iter(lacking.items()))
    return f"{len(lacking)} members lack messages; {address} {len(lack)}, the first is {lack[0]}"
