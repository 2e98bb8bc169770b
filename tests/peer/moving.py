"""Peers that are told by which address others reach them, as a router and those who dial would have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from cicada.actors.hosted import HostedPeer
from cicada.actors.moves import Moves
from cicada.aio import SwarmPeer
from cicada.ids import Address, hidden_address
from cicada.nat.reachability import Become, Reachability, ReachabilityInput, ReachabilityOutput, TimerFired
from tests.peer.swarm import eventually, swarm


class Told(Reachability):
    """Decides what a test says, once, about the next input of a class."""

    def __init__(self, peer: SwarmPeer) -> None:
        own = peer.address
        super().__init__(own, own, Address(""), is_fixed=True)
        self.heard: list[ReachabilityInput] = []
        self._answers: dict[type, list[ReachabilityOutput]] = {}

    def answer(self, kind: type, *outputs: ReachabilityOutput) -> None:
        self._answers[kind] = list(outputs)

    def handle(self, input: ReachabilityInput, now: float, *, is_alone: bool) -> list[ReachabilityOutput]:
        self.heard.append(input)
        return self._answers.pop(type(input), [])


def hosted_of(peer: SwarmPeer) -> HostedPeer:
    assert peer._hosted is not None
    return peer._hosted


def moves_of(peer: SwarmPeer) -> Moves:
    return hosted_of(peer)._moves


def told(peer: SwarmPeer) -> Told:
    """From now on the test decides where the peer is."""
    told = Told(peer)
    moves_of(peer)._reachability = told
    return told


def hidden(peer: SwarmPeer) -> Address:
    """What it is called when nobody can dial it."""
    memory = hosted_of(peer)._holdings.memory
    assert memory is not None
    return hidden_address(memory.identity.peer_id)


def decide(peer: SwarmPeer, *outputs: ReachabilityOutput) -> None:
    """It begins to do this now."""
    told(peer).answer(TimerFired, *outputs)
    moves_of(peer).consider(TimerFired())


async def at(peer: SwarmPeer, address: Address) -> None:
    """Returns once the peer is there."""

    async def is_there() -> bool:
        return peer.address == address and moves_of(peer)._next is None

    await eventually(is_there, f"the peer to be at {address}")


async def hide(peer: SwarmPeer) -> None:
    """Returns once it has moved to where nobody can dial it."""
    decide(peer, Become(hidden(peer)))
    await at(peer, hidden(peer))


@asynccontextmanager
async def mover(members: int) -> AsyncIterator[tuple[SwarmPeer, list[SwarmPeer]]]:
    """A member that will move, and the others of its proven ring."""
    async with swarm(members + 1) as peers:
        yield peers[-1], peers[:-1]


async def until(condition: Callable[[], Any], what: str) -> None:
    """Returns once ``condition`` is true."""

    async def holds() -> bool:
        return bool(condition())

    await eventually(holds, what)
