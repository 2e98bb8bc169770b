"""What can be done to a swarm, as values: for plans, for replays, for showing what was done."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import assert_never

import msgspec

from cicada.ids import Peer
from cicada.sim.conditions import Conditions
from cicada.sim.swarm import Swarm


class Create(msgspec.Struct, frozen=True):
    """Start a peer as a ring of one."""

    peer: Peer


class Join(msgspec.Struct, frozen=True):
    """Have a peer join through ``seeds`` within ``patience`` seconds; it is started when it is down."""

    peer: Peer
    seeds: tuple[Peer, ...]
    patience: float = 30.0


class Leave(msgspec.Struct, frozen=True):
    """A graceful leave."""

    peer: Peer


class Crash(msgspec.Struct, frozen=True):
    """The process ends without a word; with ``closes_links`` False its host is gone too and nothing tells."""

    peer: Peer
    closes_links: bool = True


class Restart(msgspec.Struct, frozen=True):
    """A crash and a new start at once: new boot, new incarnation, same address."""

    peer: Peer
    seeds: tuple[Peer, ...]
    closes_links: bool = True


class RestartRing(msgspec.Struct, frozen=True):
    """A fresh ring node behind live links. Without seeds it joins through whom its supervisor knows."""

    peer: Peer
    seeds: tuple[Peer, ...] = ()


class RestartRouter(msgspec.Struct, frozen=True):
    """A fresh Router behind live links."""

    peer: Peer


class Freeze(msgspec.Struct, frozen=True):
    """The peer does not get to run and its clock stands still: for ``seconds``, or until it is thawed (None)."""

    peer: Peer
    seconds: float | None = None


class Thaw(msgspec.Struct, frozen=True):
    """It runs again."""

    peer: Peer


class CutOff(msgspec.Struct, frozen=True):
    """Nothing passes between the groups, nor between them and all others: for ``seconds``, or until healed (None)."""

    groups: tuple[tuple[Peer, ...], ...]
    seconds: float | None = None


class Heal(msgspec.Struct, frozen=True):
    """Undo all cuts."""


class Change(msgspec.Struct, frozen=True):
    """Links are like this from now on: all of them, or those between two peers (and then None: like all others)."""

    conditions: Conditions | None
    between: tuple[Peer, Peer] | None = None


Fault = (
    Create
    | Join
    | Leave
    | Crash
    | Restart
    | RestartRing
    | RestartRouter
    | Freeze
    | Thaw
    | CutOff
    | Heal
    | Change
)


def do(swarm: Swarm, fault: Fault) -> None:
    """Do it now. Raises Misuse when it cannot be done, such as to crash a peer that is down."""
    match fault:
        case Create(peer):
            swarm.create(peer)
        case Join(peer, seeds, patience):
            swarm.join(peer, *seeds, patience=patience)
        case Leave(peer):
            swarm.leave(peer)
        case Crash(peer, closes_links):
            swarm.crash(peer, closes_links=closes_links)
        case Restart(peer, seeds, closes_links):
            swarm.restart(peer, *seeds, closes_links=closes_links)
        case RestartRing(peer, seeds):
            swarm.restart_ring(peer, *seeds)
        case RestartRouter(peer):
            swarm.restart_router(peer)
        case _:
            _do_to_time_or_network(swarm, fault)


def _do_to_time_or_network(swarm: Swarm, fault: Freeze | Thaw | CutOff | Heal | Change) -> None:
    match fault:
        case Freeze(peer, seconds):
            swarm.freeze(peer)
            if seconds is not None:
                swarm.at(swarm.now + seconds, partial(_thaw_life, swarm, peer, swarm.peer(peer).life))
        case Thaw(peer):
            swarm.thaw(peer)
        case CutOff(groups, seconds):
            number = swarm.cut(*groups)
            if seconds is not None:
                swarm.at(swarm.now + seconds, partial(swarm.heal, number))
        case Heal():
            swarm.heal()
        case Change(conditions, between):
            if between is None:
                swarm.network.set_conditions(conditions or Conditions())
            else:
                swarm.network.set_between(*between, conditions)
        case _:
            assert_never(fault)


def schedule(swarm: Swarm, at: float, fault: Fault) -> None:
    """Do it at a virtual time. What cannot be done by then raises Misuse out of the running swarm."""
    swarm.at(at, partial(do, swarm, fault))


def storm(
    peers: Sequence[Peer], seeds: tuple[Peer, ...], rng: Random, *, at: float, seconds: float = 0.0
) -> list[tuple[float, Join]]:
    """Joins of all ``peers`` through the same seeds, at random times within ``seconds`` from ``at``, by time."""
    times = sorted(at + rng.random() * seconds for _ in peers)
    return [(time, Join(peer, seeds)) for time, peer in zip(times, peers, strict=True)]


def _thaw_life(swarm: Swarm, peer: Peer, life: int) -> None:
    """Unless it was thawed or ended meanwhile."""
    frozen = swarm.peer(peer)
    if frozen.is_frozen and frozen.life == life:
        swarm.thaw(peer)
